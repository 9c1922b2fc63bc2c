/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The arithmetic of the CPU scheduler.
 *
 * Pure functions, compiled into sched.bpf.c and into user space, where
 * userspace/lib/test-fair.c checks them, by themselves and in a model of
 * several CPUs against the fluid ideal.  No kernel, no clock, no map.
 *
 * Virtual time (start-time fair queueing, Goyal, Vin and Cheng 1996; here at
 * every level of the tree, Bennett and Zhang 1996): a group's own advances by
 * service * 100 / weight, so of two that both have work, the one that is behind
 * is owed service.  The clock of a parent is the least virtual time among its
 * children that wait.  How far a child is behind it, times its weight, is its
 * lag: the CPU time that it is owed.
 *
 * Infeasible weights: one thread cannot use the two CPUs that its group's
 * weight may stand for.  Its lag would grow for ever and then, with a second
 * thread, starve the others.  So whoever has nothing that waits is owed at
 * most AGENTCG_LAG_MAX; what is left is shared by weight among those who can use it, as
 * water fills basins (agentcg_waterfill() is that ideal, Chandra et al. 2000).
 *
 * All times are ns; virtual times wrap and are compared by their difference.
 */
#ifndef _AGENTCG_FAIR_H
#define _AGENTCG_FAIR_H

#include "../module/uapi/agentcg_sched.h"

#define AGENTCG_WEIGHT_DEFAULT	100
#define AGENTCG_WEIGHT_MAX	10000
#define AGENTCG_INVERSE_SHIFT	20

/* What a task runs before others are looked at; the tick rounds it up. */
#define AGENTCG_SLICE		(3 * 1000 * 1000ULL)
/* That of the latency and GPU classes, who come first and so ask often. */
#define AGENTCG_SLICE_FAST	(1 * 1000 * 1000ULL)
/* Nobody who has nothing that waits is owed more. */
#define AGENTCG_LAG_MAX		(100 * 1000 * 1000ULL)
/* What is kept of a lag by a group that was idle: enough to come next. */
#define AGENTCG_LAG_KEEP	AGENTCG_SLICE
/*
 * What a task that begins to run is charged in advance: at least as much as it
 * will run, so a slice, and the ticks that may come late.  So CPUs that look at
 * the same time do not all take the same group, and the CPUs of a group do not
 * come in bursts, of which a single thread in it could use a part only.  What
 * it does not use is given back.
 */
#define AGENTCG_ADVANCE		(12 * 1000 * 1000ULL)
/*
 * So far ahead may the running task's branch go on while a group further down
 * on its path is behind: a thread that is owed nearly a whole CPU must not wait
 * for the next turn of the groups above.
 */
#define AGENTCG_OWED		(2 * AGENTCG_ADVANCE)
/* An undeclared group that is so far behind interrupts those ahead. */
#define AGENTCG_LAG_PREEMPT	(1 * 1000 * 1000ULL)

/*
 * So far ahead of their share may the latency classes get by being served
 * first.  A declared one can finish a short command (git status, ls) in it.
 */
#define AGENTCG_BURST_INTERACTIVE (200 * 1000 * 1000ULL)
#define AGENTCG_BURST_AUTO	(20 * 1000 * 1000ULL)
/* Who is not declared counts as short while it uses less than this of a CPU. */
#define AGENTCG_AUTO_PERCENT	20

/* A deadline begins to matter when so much of the time given is left, in percent. */
#define AGENTCG_SLACK_PERCENT	50

static inline __u32 agentcg_inverse(__u32 weight)
{
	if (weight < 1)
		weight = 1;
	if (weight > AGENTCG_WEIGHT_MAX)
		weight = AGENTCG_WEIGHT_MAX;
	return (AGENTCG_WEIGHT_DEFAULT << AGENTCG_INVERSE_SHIFT) / weight;
}

/* Virtual time for @service ns (below 2^37, two minutes). */
static inline __u64 agentcg_vtime(__u64 service, __u32 inverse)
{
	return service * inverse >> AGENTCG_INVERSE_SHIFT;
}

static inline int agentcg_before(__u64 a, __u64 b)
{
	return (__s64)(a - b) < 0;
}

static inline __u64 agentcg_later(__u64 a, __u64 b)
{
	return agentcg_before(a, b) ? b : a;
}

/* Service that is owed to whom is at @vtime; negative: it is ahead. */
static inline __s64 agentcg_lag(__u64 vtime, __u64 clock, __u32 weight)
{
	__s64 behind = (__s64)(clock - vtime);

	/* BPF divides unsigned */
	if (behind < 0)
		return -(__s64)((__u64)-behind * weight / AGENTCG_WEIGHT_DEFAULT);
	return (__s64)((__u64)behind * weight / AGENTCG_WEIGHT_DEFAULT);
}

/* The virtual time that keeps the lag when the weight becomes another. */
static inline __u64 agentcg_reweigh(__u64 vtime, __u64 clock, __u32 old_weight, __u32 new_inverse)
{
	__s64 lag = agentcg_lag(vtime, clock, old_weight);

	if (lag < 0)
		return clock + agentcg_vtime(-lag, new_inverse);
	return clock - agentcg_vtime(lag, new_inverse);
}

/* Where to go on after having been idle, or with more lag than is kept. */
static inline __u64 agentcg_join(__u64 vtime, __u64 clock, __u32 inverse, __u64 keep)
{
	return agentcg_later(vtime, clock - agentcg_vtime(keep, inverse));
}

/*
 * Where a task queues among those of its group, whose @clock is that of the last whose
 * turn it was: at most a slice behind, however long it could not run, and at most a turn
 * ahead, however much it ran out of turn or while nobody waited.  @weight: 100 is nice 0.
 */
static inline __u64 agentcg_place(__u64 vtime, __u64 clock, __u32 weight)
{
	__u64 latest = clock + AGENTCG_ADVANCE * 100 / (weight ? weight : 1);

	vtime = agentcg_later(vtime, clock - AGENTCG_SLICE);
	return agentcg_before(latest, vtime) ? latest : vtime;
}

/* Whether it may be served before its turn: it is less than @burst ahead. */
static inline int agentcg_may_lead(__u64 vtime, __u64 clock, __u32 inverse, __u64 burst)
{
	return agentcg_before(vtime, clock + agentcg_vtime(burst, inverse));
}

static inline __u64 agentcg_burst(__u32 class)
{
	if (class == AGENTCG_CLASS_INTERACTIVE)
		return AGENTCG_BURST_INTERACTIVE;
	return class == AGENTCG_CLASS_AUTO ? AGENTCG_BURST_AUTO : 0;
}

/*
 * The token bucket that tells short from long: it fills with AUTO_PERCENT of
 * the time that passes, up to BURST_AUTO, and is emptied by service.
 */
static inline __s64 agentcg_tokens(__s64 tokens, __u64 passed)
{
	__u64 lacking;

	if (tokens >= (__s64)AGENTCG_BURST_AUTO)
		return AGENTCG_BURST_AUTO;
	lacking = AGENTCG_BURST_AUTO - tokens;
	if (passed / 100 * AGENTCG_AUTO_PERCENT >= lacking)
		return AGENTCG_BURST_AUTO;
	return tokens + (__s64)(passed / 100 * AGENTCG_AUTO_PERCENT);
}

/*
 * A long debt would take as long to pay: what was used beyond this is forgiven,
 * so that a command that becomes quiet is short again within seconds.
 */
#define AGENTCG_TOKENS_MIN	(-(__s64)(10 * AGENTCG_BURST_AUTO))

static inline __s64 agentcg_spend(__s64 tokens, __u64 service)
{
	tokens -= (__s64)service;
	return tokens < AGENTCG_TOKENS_MIN ? AGENTCG_TOKENS_MIN : tokens;
}

/*
 * The head start of a group with a deadline: none while more than
 * SLACK_PERCENT of the time from @hinted to @deadline is left, then more and
 * more, all of @burst when the deadline has come.  It does not change shares,
 * only who comes first among those that are about equal.
 */
static inline __u64 agentcg_head_start(__u64 now, __u64 hinted, __u64 deadline, __u64 burst)
{
	__u64 horizon, left;

	if (!deadline)
		return 0;
	if (now >= deadline)
		return burst;
	horizon = (deadline - hinted) / 100 * AGENTCG_SLACK_PERCENT;
	left = deadline - now;
	if (left >= horizon)
		return 0;
	/* in 1/1024, so that nothing overflows */
	return burst - burst * (left / (horizon / 1024 + 1)) / 1024;
}

/*
 * cpu.max: what is left of the quota after the periods that ended by @now.
 * Debts stay, so the average is exact however late somebody was stopped.
 * Returns the end of the running period.
 */
static inline __u64 agentcg_refill(__u64 now, __u64 end, __u64 period, __u64 quota, __u64 burst,
				   __s64 *left)
{
	__s64 full = (__s64)(quota + burst);
	__u64 n;

	if (!period || !quota || now < end)
		return end;
	n = (now - end) / period + 1;
	/* the product of many periods and a large quota would not fit */
	if (*left >= full || n > (__u64)(full - *left) / quota)
		*left = full;
	else
		*left += (__s64)(n * quota);
	return end + n * period;
}

/* ---- the histogram: four buckets to an octave, from 1 us on ----------------- */

static inline __u32 agentcg_bucket(__u64 ns)
{
	__u64 us = ns / 1000, v;
	__u32 octave = 0;

	if (us < 4)
		return (__u32)us;
	v = us;
	if (v >> 16) {
		octave += 16;
		v >>= 16;
	}
	if (v >> 8) {
		octave += 8;
		v >>= 8;
	}
	if (v >> 4) {
		octave += 4;
		v >>= 4;
	}
	if (v >> 2) {
		octave += 2;
		v >>= 2;
	}
	octave += v >> 1;
	if (octave > 24)
		return AGENTCG_HIST_BUCKETS - 1;
	/* 4..7 us are the octave 2 and the buckets 4..7 */
	v = (__u64)(octave - 1) * 4 + (us >> (octave - 2) & 3);
	return v < AGENTCG_HIST_BUCKETS ? (__u32)v : AGENTCG_HIST_BUCKETS - 1;
}

/* The lower bound of a bucket, ns. */
static inline __u64 agentcg_bucket_floor(__u32 bucket)
{
	__u32 octave = bucket / 4 + 1;

	if (bucket < 4)
		return bucket * 1000ULL;
	return ((4ULL + bucket % 4) << (octave - 2)) * 1000;
}

/* ---- the fluid ideal ---------------------------------------------------------- */

#ifndef __bpf__
/*
 * Shares @capacity (CPUs) among @n by @weight, none getting more than its
 * @demand (CPUs): who wants less than its part gets what it wants, the others
 * share the rest.  Writes @share; the sum is min(capacity, all demands).
 */
static inline void agentcg_waterfill(const double *weight, const double *demand, double *share,
				     unsigned int n, double capacity)
{
	double weights, rest = capacity;
	unsigned int i, full;

	for (i = 0; i < n; i++)
		share[i] = -1;
	do {
		weights = 0;
		full = 0;
		for (i = 0; i < n; i++)
			if (share[i] < 0)
				weights += weight[i];
		for (i = 0; i < n && weights > 0; i++)
			if (share[i] < 0 && demand[i] * weights <= rest * weight[i])
				full++;
		if (!full)
			break;
		/* all of these at once: a smaller rest makes nobody else infeasible before */
		double taken = 0;

		for (i = 0; i < n; i++)
			if (share[i] < 0 && demand[i] * weights <= rest * weight[i]) {
				share[i] = demand[i];
				taken += demand[i];
			}
		rest -= taken;
	} while (1);
	for (i = 0; i < n; i++)
		if (share[i] < 0)
			share[i] = rest * weight[i] / weights;
}
#endif

#endif /* _AGENTCG_FAIR_H */
