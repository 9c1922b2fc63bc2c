/* SPDX-License-Identifier: GPL-2.0-only */
/* What became of a call, in words that a model can act on.  Pure. */
#ifndef _AGENTCG_RESULT_H
#define _AGENTCG_RESULT_H

#include "util.h"

enum agentcg_outcome {
	AGENTCG_OK,
	AGENTCG_WAS_HELD,
	AGENTCG_WAS_THROTTLED,
	AGENTCG_OOM_KILLED,
	AGENTCG_TIMEOUT,
	AGENTCG_KILLED_BY_POLICY,
	AGENTCG_PIDS_EXCEEDED,
};

/* What a client may try that was not served. */
enum agentcg_retry {
	AGENTCG_RETRY_NO,		/* nothing failed */
	AGENTCG_RETRY_LATER,		/* the same, when less runs */
	AGENTCG_RETRY_LARGER,		/* with a higher limit, which the policy allows */
	AGENTCG_RETRY_SMALLER,		/* only with less work at once */
};

/* Whose limit was hit when the kernel killed. */
enum agentcg_oom_level {
	AGENTCG_OOM_CALL,
	AGENTCG_OOM_SESSION,
	AGENTCG_OOM_POOL,
};

/* What the daemon killed it for, if it did. */
enum agentcg_fate {
	AGENTCG_FATE_NONE,
	AGENTCG_FATE_TIMEOUT,
	AGENTCG_FATE_POLICY,
	AGENTCG_FATE_CLOSED,	/* its session or connection is gone */
};

struct result {
	/* in */
	enum agentcg_fate fate;
	enum agentcg_oom_level oom_level;
	bool stuck;			/* processes that would not die yet */
	uint64_t peak;
	uint64_t request;
	uint64_t memory_max;		/* ~0: none */
	uint64_t memory_cap;		/* what the policy allows at most */
	uint64_t pids_max;
	uint64_t pids_cap;
	uint64_t pids_exceeded;		/* forks that failed at pids_max */
	uint64_t session_budget;	/* ~0: none */
	uint64_t pool_max;
	uint64_t held_usec;
	uint64_t timeout_usec;
	uint64_t timeout_cap;
	bool kill_wished;		/* its on_pressure was kill */
	uint32_t holds;
	uint32_t throttles;
	uint64_t oom_kills;
	/* out */
	enum agentcg_outcome outcome;
	enum agentcg_retry retry;
	uint64_t suggested;		/* 0: none */
	char text[400];
};

void agentcg_result_judge(struct result *r);
const char *agentcg_outcome_name(enum agentcg_outcome outcome);
/* NULL for AGENTCG_RETRY_NO. */
const char *agentcg_retry_name(enum agentcg_retry retry);

#endif
