// SPDX-License-Identifier: GPL-2.0-only
#include "fair.h"
#include "latency.h"
#include "tap.h"

static struct agentcg_latency of(uint64_t usec, uint32_t n)
{
	struct agentcg_hist h = {};
	struct agentcg_latency l = {};

	h.count[agentcg_bucket(usec * 1000)] = n;
	agentcg_latency_add(&l, &h);
	return l;
}

static void add(struct agentcg_latency *l, uint64_t usec, uint32_t n)
{
	struct agentcg_latency other = of(usec, n);

	for (int i = 0; i < AGENTCG_HIST_BUCKETS; i++)
		l->count[i] += other.count[i];
}

int main(void)
{
	struct agentcg_latency l = {};

	tap_ok(!agentcg_latency_wakeups(&l) && !agentcg_latency_at(&l, 500) && !agentcg_latency_at(&l, 1000),
	       "nothing counted: 0");

	l = of(7, 1);
	tap_ok(agentcg_latency_at(&l, 1) == 7000 && agentcg_latency_at(&l, 500) == 7000 &&
	       agentcg_latency_at(&l, 1000) == 7000, "one wake-up is every percentile");

	l = of(2, 1);
	add(&l, 3, 1);
	tap_ok(agentcg_latency_at(&l, 500) == 2000 && agentcg_latency_at(&l, 501) == 3000,
	       "the median of two is the first");

	l = of(1, 990);
	add(&l, 6, 9);
	add(&l, 1024, 1);
	tap_ok(agentcg_latency_wakeups(&l) == 1000, "sums");
	tap_ok(agentcg_latency_at(&l, 990) == 1000 && agentcg_latency_at(&l, 991) == 6000,
	       "p99 of 1000 is the 990th");
	tap_ok(agentcg_latency_at(&l, 999) == 6000 && agentcg_latency_at(&l, 1000) == 1024000,
	       "the maximum is one of them");

	l = of(1100, 5);
	tap_ok(agentcg_latency_at(&l, 500) == 1024000, "a bucket counts as its lower bound");
	l = of(1ULL << 40, 5);
	tap_ok(agentcg_latency_at(&l, 500) == agentcg_bucket_floor(AGENTCG_HIST_BUCKETS - 1),
	       "what is longer is in the last bucket");

	l = (struct agentcg_latency){};
	l.count[2] = UINT64_MAX / 4;
	l.count[5] = UINT64_MAX / 4;
	tap_ok(agentcg_latency_at(&l, 500) == 2000 && agentcg_latency_at(&l, 999) == 5000,
	       "large counts do not overflow");
	return tap_done();
}
