/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a client gets of what it asks for.  Pure: policy and wish in, grant
 * and notes out.  Whoever is not root gets nothing above the policy.
 */
#ifndef _AGENTCG_GRANT_H
#define _AGENTCG_GRANT_H

#include "agentcg_sched.h"
#include "intent.h"
#include "notes.h"
#include "policy.h"

/* A wish that was not uttered; others are AGENTCG_UNSET. */
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
	bool may_control;	/* what runs in it may speak for its session (varlink.c) */
	uint32_t priority;
	struct agentcg_intent intent;
};

struct call_grant {
	uint32_t priority;
	uint64_t cpu;		/* thousandths of a CPU: its weight is that of its priority times this */
	uint64_t cpu_max;	/* thousandths of a CPU; AGENTCG_NONE: no limit of its own */
	uint64_t memory;
	uint64_t memory_max;	/* AGENTCG_NONE: no limit of its own */
	uint64_t pids_max;
	uint64_t timeout_usec;	/* AGENTCG_NONE: none */
	uint32_t latency;	/* enum agentcg_class: AUTO, BATCH or INTERACTIVE */
	uint64_t deadline_usec;	/* from now on; AGENTCG_NONE: none */
	enum agentcg_on_pressure on_pressure;
	bool detach;
};

/* What else counts when a call is granted. */
struct grant_view {
	const struct agentcg_policy *policy;
	const struct session_grant *session;
	bool root;			/* who asks */
	uint64_t pool_max;
	const char *weights_only;	/* why classes and deadlines have no effect; NULL: they have */
	uint32_t detached_left;		/* of the session's DetachedCalls */
	uint64_t age_usec;		/* of the call, when it is adjusted */
};

/*
 * A new call, or with @before one that is adjusted: what is not wished then
 * stays as it was.
 */
void agentcg_grant_call(const struct grant_view *view, const struct call_grant *before,
			const struct call_wish *wish, struct call_grant *ret, struct notes *notes);

/* cpu.weight of a call, 1..10000. */
uint32_t agentcg_grant_cpu_weight(const struct call_grant *g);

#endif
