// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>

#include "keep.h"
#include "tap.h"

#define SEC	USEC_PER_SEC

/* A cache of 100,000 tokens that is filled in 10 s; a tenth of it is the session's. */
static const struct keep_view plain = {
	.tokens = 10000, .cache_tokens = 100000, .bytes_per_token = 1000,
	.prefill_rate = 10000, .waiting = 100000, .lacking = 100000,
};

static bool near(double a, double b)
{
	return fabs(a - b) <= 0.000001 * fmax(1, fabs(b));
}

static struct keep_plan plan(struct keep_view v, const uint64_t *usec, size_t nr)
{
	struct keep_plan p;

	v.durations = (struct keep_durations){ usec, nr };
	agentcg_keep_plan(&v, &p);
	return p;
}

static void test_prices(void)
{
	struct keep_view v = plain;

	tap_ok(near(agentcg_keep_second(&v), 1000), "a tenth of the cache for a second is a tenth of what is computed meanwhile");
	v.waiting = 5000;
	v.lacking = 5000;
	tap_ok(near(agentcg_keep_second(&v), 500), "of others who wait with half as much, half of it");
	v.waiting = 50000;
	tap_ok(near(agentcg_keep_second(&v), 5000), "of a large one that lacks little, all of it");
	v.waiting = 0;
	v.lacking = 0;
	tap_ok(agentcg_keep_second(&v) == 0, "of nobody, nothing");
	v = plain;
	tap_ok(near(agentcg_keep_away(&v, KEEP_DROP), 21000), "dropped: its tokens, twice, and their room for the second that it takes");
	tap_ok(isinf(agentcg_keep_away(&v, KEEP_OFFLOAD)), "an engine that cannot offload does not");
	v.offload_rate = 1e7;
	v.restore_rate = 2e7;
	v.host_free = GIB;
	tap_ok(near(agentcg_keep_away(&v, KEEP_OFFLOAD), 1000 + 500), "offloaded: a second out, half a second in");
	v.host_free = 9999999;
	tap_ok(isinf(agentcg_keep_away(&v, KEEP_OFFLOAD)), "one byte too few in host memory, and it is not");
	v = plain;
	v.cache_tokens = 0;
	tap_ok(near(agentcg_keep_second(&v), 10000), "of an unknown cache it is taken to be all");
}

static void test_plans(void)
{
	const uint64_t alike[] = { 2 * SEC, 2 * SEC, 2 * SEC }, longer[] = { 30 * SEC, 30 * SEC, 40 * SEC };
	const uint64_t mixed[] = { SEC, SEC, SEC, 100 * SEC }, gap[] = { 12600000, 25200000 };
	struct keep_view v = plain;
	struct keep_plan p;

	p = plan(v, NULL, 0);
	tap_ok(p.keep_usec == 21 * SEC && p.then == KEEP_DROP && near(p.cost, 42000), "without history: as long as it costs what dropping does");
	p = plan(v, alike, 3);
	tap_ok(p.keep_usec == 21 * SEC && near(p.cost, 2000), "short calls: kept to their end, and longer, %s", p.why);
	p = plan(v, longer, 3);
	tap_ok(p.keep_usec == 0 && p.then == KEEP_DROP && near(p.cost, 21000), "long ones: dropped at once, %s", p.why);
	/* (3 * 1000 + 1000 + 21000) / 4, against 21000 at once and (3 * 1000 + 100000) / 4 to the end */
	p = plan(v, mixed, 4);
	tap_ok(p.keep_usec == SEC && near(p.cost, 6250), "mostly short ones: kept as long as those take, %s", p.why);
	/* At once 21000; until the first (12600 + 12600 + 21000) / 2 = 23100; until both are over (12600 + 25200) / 2 = 18900. */
	p = plan(v, gap, 2);
	tap_ok(p.keep_usec == 25200000 && near(p.cost, 18900), "tau may be longer than what is even, where those in between pay for it");

	v.elapsed_usec = 2 * SEC;
	p = plan(v, mixed, 4);
	tap_ok(p.keep_usec == 2 * SEC && near(p.cost, 21000), "one of them that was not short is a long one, and dropped");
	p = plan(v, alike, 3);
	tap_ok(p.keep_usec == 21 * SEC, "one that was longer than any before: as without history");
	v = plain;
	v.waiting = 0;
	v.lacking = 0;
	p = plan(v, longer, 3);
	tap_ok(p.keep_usec == UINT64_MAX && p.cost == 0, "nobody waits: kept to the end");

	v = plain;
	v.offload_rate = 1e8;
	v.restore_rate = 1e8;
	v.host_free = GIB;
	p = plan(v, mixed, 4);
	tap_ok(p.then == KEEP_OFFLOAD && p.keep_usec == 0 && near(p.cost, 200), "cheap to offload: done at once");
	v.restore_rate = 1e5;
	p = plan(v, mixed, 4);
	tap_ok(p.then == KEEP_DROP, "dear to restore: dropped");
	v.tokens = 0;
	p = plan(v, mixed, 4);
	tap_ok(p.keep_usec == UINT64_MAX && p.cost == 0, "nothing is held: nothing is done");
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x >> 12;
	*x ^= *x << 25;
	*x ^= *x >> 27;
	return *x * 0x2545f4914f6cdd1dULL >> 33;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void random_view(uint64_t *x, struct keep_view *v, uint64_t *usec, size_t max)
{
	size_t n = 1 + next(x) % max;

	for (size_t i = 0; i < n; i++)
		usec[i] = 1000 + (uint64_t)pow(10, 3 + (double)(next(x) % 5000) / 1000);
	qsort(usec, n, sizeof(*usec), by_size);
	*v = (struct keep_view){
		.tokens = 1 + next(x) % 100000, .cache_tokens = 1 + next(x) % 400000, .bytes_per_token = 1 + next(x) % 200000,
		.prefill_rate = 100 + (double)(next(x) % 20000), .waiting = next(x) % 3 * (next(x) % 200000), .lacking = 1 + next(x) % 200000,
		.offload_rate = (double)(next(x) % 2) * 1e9, .restore_rate = 1e8 + (double)(next(x) % 10) * 1e9,
		.host_free = next(x) % (32 * GIB), .durations = { usec, n },
	};
	v->elapsed_usec = next(x) % 3 ? 0 : usec[next(x) % n];
}

static void test_properties(void)
{
	unsigned int worse = 0, wrong = 0, later = 0, past = 0;
	uint64_t usec[40], x = 7;

	for (int i = 0; i < 20000; i++) {
		struct keep_plan p, q;
		struct keep_view v;
		double least;

		random_view(&x, &v, usec, ARRAY_SIZE(usec));
		agentcg_keep_plan(&v, &p);
		past += p.keep_usec < v.elapsed_usec;
		if (usec[v.durations.nr - 1] > v.elapsed_usec) {
			least = fmin(agentcg_keep_cost(&v, v.elapsed_usec), agentcg_keep_cost(&v, UINT64_MAX));
			for (size_t j = 0; j < v.durations.nr; j++)
				if (usec[j] > v.elapsed_usec)
					least = fmin(least, agentcg_keep_cost(&v, usec[j] + next(&x) % 2 * (next(&x) % usec[j])));
			worse += p.cost > least * 1.000000001 + 0.000001;
			wrong += !near(p.cost, agentcg_keep_cost(&v, p.keep_usec));
		}
		if (next(&x) % 2) {
			v.waiting *= 2;
			v.lacking *= 2;
		} else {
			v.waiting += next(&x) % 100000;
		}
		agentcg_keep_plan(&v, &q);
		later += q.keep_usec > p.keep_usec;
	}
	tap_ok(!worse, "never worse in expectation than keeping, acting at once, or any other time (%u of 20000)", worse);
	tap_ok(!wrong, "what a plan says it costs is what it costs (%u)", wrong);
	tap_ok(!later, "the more others want, the earlier (%u)", later);
	tap_ok(!past, "never earlier than now (%u)", past);
}

static void test_spread(void)
{
	const uint64_t usec[] = { 1000, 10 };
	uint64_t all[2 * KEEP_SPREAD];
	bool ordered = true;

	agentcg_keep_spread(usec, 2, all);
	for (size_t i = 1; i < ARRAY_SIZE(all); i++)
		ordered &= all[i - 1] <= all[i];
	tap_ok(ordered && all[0] == 5 && all[ARRAY_SIZE(all) - 1] == 2000, "each becomes some around it, in order");
}

/* Whatever happens, without history: at most twice of who knows. */
static void test_competitive(void)
{
	struct keep_plan p = plan(plain, NULL, 0);
	double worst = 0;

	for (uint64_t d = 1000; d < 1000 * SEC; d += d / 7 + 1) {
		double pay = 1000 * (double)min_u64(d, p.keep_usec) / SEC + (d > p.keep_usec ? 21000 : 0);

		worst = fmax(worst, pay / fmin(21000, 1000 * (double)d / SEC));
	}
	tap_ok(worst > 1.9 && worst <= 2.0001, "without history twice the least possible at worst (%.3f)", worst);
}

int main(void)
{
	test_prices();
	test_plans();
	test_properties();
	test_spread();
	test_competitive();
	return tap_done();
}
