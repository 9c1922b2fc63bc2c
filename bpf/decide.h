/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The decision: may this call charge more memory now?
 *
 * Pure functions, compiled into the BPF policy and into user space (the daemon
 * explains with them, userspace/lib/test-decide.c checks them).  No kernel, no
 * clock, no map.
 *
 * The rule is the banker's algorithm with a total order.  Calls are ranked by
 * priority, then by arrival.  Whoever is ranked above me may still want what
 * it has requested and does not use yet; I may grow only while the headroom
 * covers all of that and the reserve of the pool:
 *
 *	headroom                threshold = reserve + wanted by those above me
 *	|<------------------------------------------------->|
 *	|<-- reserve -->|<-- wanted above -->|<-- spare --->|
 *	                                     |<- throttle ->|  slowed
 *	<=============== held ==============>|
 *
 * The thresholds rise with the rank: the least important is held first and let
 * go last, and nobody holds the most important one of a pool, so somebody can
 * always proceed (Dijkstra, EWD108; with ranks in place of a safety search).
 * The same rule runs twice, in the pool and in the budget of the session, and
 * the stricter answer wins.
 */
#ifndef _AGENTCG_DECIDE_H
#define _AGENTCG_DECIDE_H

#include "../module/uapi/agentcg.h"

enum agentcg_verdict {
	AGENTCG_PASS,
	AGENTCG_THROTTLE,
	AGENTCG_HOLD,
};

/* What a level (the pool, or a session's budget) looks like to one call. */
struct agentcg_view {
	__u64 limit;		/* bytes; ~0: this level does not limit */
	__u64 usage;		/* bytes */
	__u64 reserve;		/* bytes */
	__u64 wanted_above;	/* bytes wanted by those ranked above */
	__u32 nr_active;	/* live calls at this level, at least 1 */
	__u32 top;		/* nobody is ranked above: never held */
};

struct agentcg_answer {
	__u32 verdict;		/* enum agentcg_verdict */
	__u32 delay_ms;		/* of this batch, when throttled */
	__u64 step;		/* bytes it may grow before it asks again */
	__u64 headroom;		/* bytes */
	__u64 threshold;	/* bytes; held while headroom is below */
};

static inline __u64 agentcg_sub(__u64 a, __u64 b)
{
	return a > b ? a - b : 0;
}

static inline __u64 agentcg_clamp(__u64 v, __u64 lo, __u64 hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

/* What a session may still claim: its requests or its reserve, less its usage. */
static inline __u64 agentcg_wanted(const struct agentcg_session *s, __u64 usage)
{
	__u64 claim = s->requested > s->reserve ? s->requested : s->reserve;

	if (claim > s->budget)
		claim = s->budget;
	return agentcg_sub(claim, usage);
}

/*
 * Decides for one level.  @held: the call is held now; it goes on only when a
 * step beyond the threshold is free, so that it does not flap.
 */
static inline void agentcg_decide(const struct agentcg_pool *pool,
				  const struct agentcg_view *view, bool held,
				  struct agentcg_answer *out)
{
	__u64 spare;

	out->verdict = AGENTCG_PASS;
	out->delay_ms = 0;
	out->step = pool->step_max;
	out->headroom = agentcg_sub(view->limit, view->usage);
	out->threshold = 0;
	if (view->limit == ~0ULL)
		return;

	if (!view->top) {
		out->threshold = view->reserve + view->wanted_above;
		if (held)
			out->threshold += pool->step_min;
		if (out->headroom < out->threshold) {
			out->verdict = AGENTCG_HOLD;
			out->step = 0;
			return;
		}
	}

	spare = out->headroom - out->threshold;
	/* All that grow at once must not use up the spare between decisions. */
	out->step = agentcg_clamp(spare / (2 * (__u64)(view->nr_active ?: 1)),
				  pool->step_min, pool->step_max);

	if (!view->top && !held && spare < pool->throttle) {
		out->verdict = AGENTCG_THROTTLE;
		out->delay_ms = (__u32)((pool->throttle - spare) *
					pool->throttle_ms / pool->throttle);
		if (!out->delay_ms)
			out->verdict = AGENTCG_PASS;
	}
}

/* The stricter of two answers into @a. */
static inline void agentcg_stricter(struct agentcg_answer *a,
				    const struct agentcg_answer *b)
{
	__u64 step = a->step < b->step ? a->step : b->step;

	if (b->verdict > a->verdict ||
	    (b->verdict == a->verdict && b->delay_ms > a->delay_ms))
		*a = *b;
	a->step = step;
}

#endif /* _AGENTCG_DECIDE_H */
