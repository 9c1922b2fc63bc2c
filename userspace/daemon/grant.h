/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a client gets of what it asks for.  Pure: policy and wish in, grant
 * and notes out.  Whoever is not root gets nothing above the policy.
 */
#ifndef _AGENTCG_GRANT_H
#define _AGENTCG_GRANT_H

#include "notes.h"
#include "policy.h"

/* A wish that was not uttered. */
#define AGENTCG_UNSET		(UINT64_MAX - 1)
#define AGENTCG_UNSET_PRIORITY	UINT32_MAX

struct session_wish {
	uint32_t priority;
	uint64_t budget;
	uint64_t reserve;
};

struct session_grant {
	uint32_t priority;
	uint64_t budget;	/* AGENTCG_NONE: the pool's */
	uint64_t reserve;
};

/* @free: bytes of the pool that nobody else has reserved. */
void agentcg_grant_session(const struct agentcg_session_policy *policy, bool root,
			   uint64_t pool_max, uint64_t free, const struct session_wish *wish,
			   struct session_grant *ret, struct notes *notes);

struct call_wish {
	bool agent;
	uint32_t priority;
	uint64_t memory;
	uint64_t memory_max;
	uint64_t timeout_usec;
};

struct call_grant {
	uint32_t priority;
	uint64_t memory;
	uint64_t memory_max;	/* AGENTCG_NONE: no limit of its own */
	uint64_t timeout_usec;	/* AGENTCG_NONE: none */
};

void agentcg_grant_call(const struct agentcg_policy *policy, bool root,
			const struct session_grant *session, uint64_t pool_max,
			const struct call_wish *wish, struct call_grant *ret,
			struct notes *notes);

#endif
