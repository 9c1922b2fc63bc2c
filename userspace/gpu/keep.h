/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What becomes of a session's KV cache while it waits for a tool call: kept on
 * the GPU, offloaded to host memory, or dropped and computed anew.  Pure.
 * The rule, its costs and their sources are in the comment of keep.c.
 */
#ifndef _AGENTCG_KEEP_H
#define _AGENTCG_KEEP_H

#include "util.h"

enum keep_action {
	KEEP_KEEP,
	KEEP_OFFLOAD,
	KEEP_DROP,
};

/* How long tool calls of this class took, the shortest first; whole calls, also where some of it has passed. */
struct keep_durations {
	const uint64_t *usec;
	size_t nr;
};

struct keep_view {
	uint64_t tokens;		/* that the session holds */
	uint64_t cache_tokens;		/* that the engine has room for; 0: unknown */
	uint64_t bytes_per_token;
	double prefill_rate;		/* tokens a second */
	double offload_rate;		/* bytes a second to host memory; 0: cannot be */
	double restore_rate;		/* back */
	uint64_t waiting;		/* tokens of sessions that wait for room; 0: nobody does */
	uint64_t lacking;		/* room that they need and that is not free, tokens */
	uint64_t host_free;		/* bytes that may hold what is offloaded */
	uint64_t elapsed_usec;		/* of the call, until now */
	struct keep_durations durations;
};

struct keep_plan {
	uint64_t keep_usec;		/* keep until the call is so old (tau), then do @then; UINT64_MAX: to its end */
	enum keep_action then;
	double cost;			/* expected from now on, in tokens of prefill */
	char why[AGENTCG_WHY_MAX];
};

/*
 * A few calls say little of the next one to the millisecond: each becomes @KEEP_SPREAD ones around it.
 * @usec in any order, @nr of them; @ret has room for @KEEP_SPREAD * @nr, and is in order.
 */
#define KEEP_SPREAD	5
void agentcg_keep_spread(const uint64_t *usec, size_t nr, uint64_t *ret);

void agentcg_keep_plan(const struct keep_view *view, struct keep_plan *ret);

/* What the parts of it cost, in tokens of prefill. */
double agentcg_keep_second(const struct keep_view *view);	/* a second of keeping */
double agentcg_keep_away(const struct keep_view *view, enum keep_action how);	/* to have it away once; HUGE_VAL: cannot be */
/* Expected if it is kept until the call is @keep_usec old, which is not less than elapsed. */
double agentcg_keep_cost(const struct keep_view *view, uint64_t keep_usec);

#endif
