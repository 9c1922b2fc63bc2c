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

/* How long tool calls of this class took, in order. */
struct keep_durations {
	const uint64_t *usec;
	size_t nr;
};

struct keep_view {
	uint64_t tokens;		/* that the session holds */
	uint64_t bytes_per_token;
	double prefill_rate;		/* tokens a second */
	double offload_rate;		/* bytes a second to host memory; 0: cannot be */
	double restore_rate;		/* back */
	double pressure;		/* tokens of cache that others want and lack, over all tokens of the cache; 0: nobody waits */
	uint64_t host_free;		/* bytes that may hold what is offloaded */
	struct keep_durations durations;
};

struct keep_plan {
	uint64_t keep_usec;		/* keep so long (tau), then do @then; UINT64_MAX: to its end */
	enum keep_action then;
	double cost;			/* expected, in tokens of prefill */
	char why[AGENTCG_WHY_MAX];
};

void agentcg_keep_plan(const struct keep_view *view, struct keep_plan *ret);

#endif
