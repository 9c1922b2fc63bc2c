/* SPDX-License-Identifier: GPL-2.0-only */
/* Percentiles of the wake-up latencies that the scheduler counts.  Pure. */
#ifndef _AGENTCG_LATENCY_H
#define _AGENTCG_LATENCY_H

#include "agentcg_sched.h"
#include "util.h"

/* 64 bits: sums over many groups. */
struct agentcg_latency {
	uint64_t count[AGENTCG_HIST_BUCKETS];
};

void agentcg_latency_add(struct agentcg_latency *l, const struct agentcg_hist *h);
uint64_t agentcg_latency_wakeups(const struct agentcg_latency *l);

/*
 * The latency in ns that @permille of 1000 wake-ups do not exceed, as the lower
 * bound of its bucket; 1000 is the maximum.  0 if there was none.
 */
uint64_t agentcg_latency_at(const struct agentcg_latency *l, unsigned int permille);

#endif /* _AGENTCG_LATENCY_H */
