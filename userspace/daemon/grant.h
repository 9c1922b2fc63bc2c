/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a client gets of what it asks for.  Pure: policy and wish in, grant
 * and notes out.  Whoever is not root gets nothing above the policy.
 */
#ifndef _AGENTCG_GRANT_H
#define _AGENTCG_GRANT_H

#include "agentcg_sched.h"
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
	uint32_t latency;	/* enum agentcg_class */
	uint64_t deadline_usec;	/* from now on */
};

struct call_grant {
	uint32_t priority;
	uint64_t memory;
	uint64_t memory_max;	/* AGENTCG_NONE: no limit of its own */
	uint64_t timeout_usec;	/* AGENTCG_NONE: none */
	uint32_t latency;	/* enum agentcg_class: AUTO, BATCH or INTERACTIVE */
	uint64_t deadline_usec;	/* AGENTCG_NONE: none */
};

/* Nobody means a deadline beyond a year, and its sums stay far below 2^63 ns. */
#define AGENTCG_DEADLINE_MAX_USEC	(366ULL * 24 * 3600 * USEC_PER_SEC)

/* @weights_only: why classes and deadlines have no effect; NULL: they have. */
void agentcg_grant_call(const struct agentcg_policy *policy, bool root,
			const struct session_grant *session, uint64_t pool_max,
			const char *weights_only, const struct call_wish *wish,
			struct call_grant *ret, struct notes *notes);

#endif
