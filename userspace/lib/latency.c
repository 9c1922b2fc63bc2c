// SPDX-License-Identifier: GPL-2.0-only
#include "latency.h"

#include "fair.h"

void agentcg_latency_add(struct agentcg_latency *l, const struct agentcg_hist *h)
{
	for (int i = 0; i < AGENTCG_HIST_BUCKETS; i++)
		l->count[i] += h->count[i];
}

uint64_t agentcg_latency_wakeups(const struct agentcg_latency *l)
{
	uint64_t n = 0;

	for (int i = 0; i < AGENTCG_HIST_BUCKETS; i++)
		n += l->count[i];
	return n;
}

uint64_t agentcg_latency_at(const struct agentcg_latency *l, unsigned int permille)
{
	uint64_t n = agentcg_latency_wakeups(l), rank, seen = 0;

	/* The smallest rank that covers so many: of two, the median is the first. */
	rank = n / 1000 * permille + (n % 1000 * permille + 999) / 1000;
	for (uint32_t i = 0; n && i < AGENTCG_HIST_BUCKETS; i++) {
		seen += l->count[i];
		if (l->count[i] && seen >= rank)
			return agentcg_bucket_floor(i);
	}
	return 0;
}
