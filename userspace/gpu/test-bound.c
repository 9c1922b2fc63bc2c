// SPDX-License-Identifier: GPL-2.0-only
/* What limits a worker, and quantiles of its delays: bound.c. */
#include "bound.h"
#include "fair.h"
#include "tap.h"

#define US	1000ULL

/* A step of a model: @n launches of 4 us with @host us between; the GPU takes @kernel us for each, and the step ends with a wait. */
static struct bound_in step(uint64_t n, uint64_t host, uint64_t kernel, uint64_t depth, int busy)
{
	uint64_t now = 0, gpu = 0, call;
	struct bound_in in = { .floor_nsec = 4 * US, .gpu_busy = busy };

	for (uint64_t i = 0; i < n; i++) {
		call = 4 * US;
		/* More than @depth kernels are not queued: the launch waits. */
		if (gpu > now + depth * kernel * US)
			call += gpu - (now + depth * kernel * US);
		now += call;
		in.call_nsec += call;
		gpu = max_u64(gpu, now) + kernel * US;
		now += host * US;
		in.host_nsec += host * US;
	}
	in.launches = n;
	in.wait_nsec = gpu > now ? gpu - now : 0;
	return in;
}

static void is(struct bound_in in, enum bound expected, const char *what)
{
	enum bound b = agentcg_bound_by(&in);

	tap_ok(b == expected, "%s: %s (queueing %.2f)", what, agentcg_bound_name(b), agentcg_bound_queueing(&in));
}

static void test_bound(void)
{
	double before = 0, now;

	is(step(500, 6, 2, 1024, -1), BOUND_CPU, "small kernels");
	is(step(500, 6, 9, 1024, -1), BOUND_CPU, "kernels just shorter than a launch takes");
	is(step(500, 6, 100, 1024, -1), BOUND_GPU, "large kernels, the host waits at the end of a step");
	is(step(5000, 6, 100, 64, -1), BOUND_GPU, "large kernels, the host waits in launches");
	is(step(20, 6, 100, 1024, -1), BOUND_UNKNOWN, "too few launches");
	is(step(500, 6, 12, 1024, -1), BOUND_UNKNOWN, "between the two, and the GPU is not asked");
	is(step(500, 6, 12, 1024, 97), BOUND_GPU, "between the two, the GPU is busy");
	is(step(500, 6, 12, 1024, 70), BOUND_CPU, "between the two, the GPU is not");
	is(step(500, 6, 100, 1024, 20), BOUND_UNKNOWN, "it waits, but the GPU idles");
	is((struct bound_in){ .gpu_busy = -1 }, BOUND_UNKNOWN, "nothing");
	is((struct bound_in){ .launches = 100, .gpu_busy = -1 }, BOUND_CPU, "launches that take no time");
	for (uint64_t kernel = 1; kernel < 200; kernel += 10) {
		struct bound_in in = step(500, 6, kernel, 1024, -1);

		now = agentcg_bound_queueing(&in);
		if (now < before || now < 0 || now > 1)
			break;
		before = now;
	}
	tap_ok(before > 0.9, "the longer the kernels the more is queueing, up to %.2f", before);
}

static void test_quantile(void)
{
	uint64_t counts[AGENTCG_HIST_BUCKETS] = {}, q;

	tap_ok(agentcg_launch_quantile(counts, ARRAY_SIZE(counts), 500) == 0, "of nothing");
	/* 1 to 8191 us, evenly, which fills the buckets */
	for (uint64_t us = 1; us < 8192; us++)
		counts[agentcg_bucket(us * US)]++;
	for (unsigned int permille = 100; permille < 1000; permille += 100) {
		q = agentcg_launch_quantile(counts, ARRAY_SIZE(counts), permille);
		tap_ok(q > permille * 8110 && q < permille * 8275, "%u permille of 1 to 8191 us is %lu ns", permille, q);
	}
	memset(counts, 0, sizeof(counts));
	counts[AGENTCG_HIST_BUCKETS - 1] = 1;
	q = agentcg_launch_quantile(counts, ARRAY_SIZE(counts), 990);
	tap_ok(q >= agentcg_bucket_floor(AGENTCG_HIST_BUCKETS - 1), "the last bucket has a value: %lu", q);
}

int main(void)
{
	test_bound();
	test_quantile();
	return tap_done();
}
