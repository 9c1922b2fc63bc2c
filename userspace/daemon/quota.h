/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many requests a user may send: a token bucket for each uid, so that a
 * flood of one is refused at a small price and the others are served.  Pure.
 *
 * Users are found in sets of a few places; in a set that is full the one whose
 * bucket is fullest gives way, for a full bucket says nothing about its user.
 */
#ifndef _AGENTCG_QUOTA_H
#define _AGENTCG_QUOTA_H

#include <sys/types.h>

#include "util.h"

#define AGENTCG_QUOTA_SETS	64
#define AGENTCG_QUOTA_WAYS	4

/* In a burst, so many seconds' worth. */
#define AGENTCG_QUOTA_BURST_SEC	2

struct quota_bucket {
	bool used;
	uid_t uid;
	uint64_t tokens;	/* millionths of a request */
	uint64_t seen_usec;
};

struct quota {
	struct quota_bucket list[AGENTCG_QUOTA_SETS][AGENTCG_QUOTA_WAYS];
};

/*
 * Whether @uid may have something that costs as much as @cost plain requests
 * now, if @rate of those are allowed a second.  @now: usec, never going back.
 */
bool agentcg_quota_take(struct quota *q, uid_t uid, uint64_t now, uint32_t rate, uint32_t cost);

#endif
