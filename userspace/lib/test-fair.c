// SPDX-License-Identifier: GPL-2.0-only
/* bpf/fair.h, the arithmetic of the CPU scheduler, function by function. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "fair.h"
#include "tap.h"

#define MS	1000000ULL
#define SEC	(1000 * MS)

/* xorshift64*: the same numbers in every run. */
static uint64_t seed = 88172645463325252ULL;

static uint64_t any(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 2685821657736338717ULL;
}

static uint64_t between(uint64_t least, uint64_t most)
{
	return least + any() % (most - least + 1);
}

static void test_inverse(void)
{
	double error, worst = 0;
	uint32_t weight;

	tap_ok(agentcg_inverse(100) == 1 << AGENTCG_INVERSE_SHIFT, "the default weight is exact");
	for (weight = 1; weight <= AGENTCG_WEIGHT_MAX; weight++) {
		error = 1 - agentcg_inverse(weight) * (weight / 100.0) / (1 << AGENTCG_INVERSE_SHIFT);
		worst = fmax(worst, fabs(error));
	}
	tap_ok(worst < 0.0001, "no weight is off by a ten-thousandth (%.1e)", worst);
	tap_ok(agentcg_inverse(0) == agentcg_inverse(1), "a weight too small counts as the least");
	weight = AGENTCG_WEIGHT_MAX;
	tap_ok(agentcg_inverse(weight + 1) == agentcg_inverse(weight) && agentcg_inverse(~0U) == agentcg_inverse(weight),
	       "one too large as the greatest");
}

static void test_vtime(void)
{
	double error, worst = 0;
	uint64_t service;
	uint32_t weight;
	int i;

	tap_ok(agentcg_vtime(SEC, agentcg_inverse(100)) == SEC, "at the default weight virtual time is time");
	tap_ok(agentcg_vtime((1ULL << 37) - 1, agentcg_inverse(1)) == ((1ULL << 37) - 1) * 100,
	       "two minutes at the least weight do not overflow");
	tap_ok(agentcg_vtime(0, agentcg_inverse(1)) == 0, "no service, no time");
	/* From 1 ms on; shorter ones lose up to 1 ns each, see below. */
	for (i = 0; i < 100000; i++) {
		weight = between(1, AGENTCG_WEIGHT_MAX);
		service = between(MS, 100 * SEC);
		error = agentcg_vtime(service, agentcg_inverse(weight)) / (service * 100.0 / weight) - 1;
		worst = fmax(worst, fabs(error));
	}
	tap_ok(worst < 0.0002, "service is charged by weight (off by %.1e)", worst);
	/* 4 ms, in 400 pieces: what is rounded away each time must not add up to much. */
	for (service = 0, i = 0; i < 400; i++)
		service += agentcg_vtime(10000, agentcg_inverse(1000));
	tap_ok(fabs(service / 400000.0 - 1) < 0.002, "runs of 10 us are charged like long ones");
}

static void test_order(void)
{
	uint64_t ends[] = { 0, 1, 1ULL << 62, 1ULL << 63, ~0ULL - 5, ~0ULL };
	unsigned int i, wrong = 0;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		wrong += !agentcg_before(ends[i], ends[i] + 10);
		wrong += agentcg_before(ends[i] + 10, ends[i]);
		wrong += agentcg_before(ends[i], ends[i]);
		wrong += agentcg_later(ends[i], ends[i] + 10) != ends[i] + 10;
		wrong += agentcg_later(ends[i] + 10, ends[i]) != ends[i] + 10;
	}
	tap_ok(!wrong, "before and later also where virtual time wraps");
}

static void test_lag(void)
{
	tap_ok(agentcg_lag(100, 300, 100) == 200, "who is behind the clock is owed service");
	tap_ok(agentcg_lag(300, 100, 100) == -200, "who is ahead owes");
	tap_ok(agentcg_lag(100, 300, 400) == 800, "more to the heavier");
	tap_ok(agentcg_lag(~0ULL - 99, 100, 100) == 200, "also where the clock wraps");
	tap_ok(agentcg_lag(0, 50 * SEC, AGENTCG_WEIGHT_MAX) == (int64_t)(5000 * SEC), "without overflow");
}

static void test_join(void)
{
	uint64_t keep = AGENTCG_LAG_KEEP, now = 100 * SEC;
	uint32_t inverse, weight;
	int wrong = 0;
	int64_t lag;

	tap_ok(agentcg_join(now + MS, now, agentcg_inverse(100), keep) == now + MS,
	       "who is ahead stays there, to go idle pays no debt");
	tap_ok(agentcg_join(now - MS, now, agentcg_inverse(100), keep) == now - MS, "a small lag is kept");
	tap_ok(agentcg_join(0, now, agentcg_inverse(100), keep) == now - keep, "of a long one what is allowed");
	for (weight = 1; weight <= AGENTCG_WEIGHT_MAX; weight++) {
		inverse = agentcg_inverse(weight);
		lag = agentcg_lag(agentcg_join(now - 90 * SEC, now, inverse, keep), now, weight);
		wrong += lag > (int64_t)keep || lag < (int64_t)keep - 1000;
	}
	tap_ok(!wrong, "which is the same service at every weight");
	tap_ok(agentcg_join(~0ULL - SEC, 5, agentcg_inverse(100), keep) == 5 - keep, "also where the clock wraps");
}

static void test_place(void)
{
	uint64_t clock = 5, turn = AGENTCG_ADVANCE, wrong = 0, vtime, got;

	tap_ok(agentcg_place(clock + MS, clock, 100) == clock + MS && agentcg_place(clock - MS, clock, 100) == clock - MS,
	       "a task that is about where the others are stays there, also where the clock wraps");
	tap_ok(agentcg_place(clock - 9 * SEC, clock, 100) == clock - AGENTCG_SLICE, "one that is far behind is a slice behind");
	tap_ok(agentcg_place(clock + 9 * SEC, clock, 100) == clock + turn, "one that is far ahead is a turn ahead");
	tap_ok(agentcg_place(clock + 9 * SEC, clock, 1) == clock + 100 * turn && agentcg_place(clock + 9 * SEC, clock, 10000) ==
	       clock + turn / 100, "which is more for who weighs less");
	tap_ok(agentcg_place(clock + 9 * SEC, clock, 0) == clock + 100 * turn, "a weight of 0 counts as the least");
	for (int i = 0; i < 100000; i++) {
		clock = any();
		vtime = clock + between(0, 20 * SEC) - 10 * SEC;
		got = agentcg_place(vtime, clock, 100);
		wrong += agentcg_before(got, clock - AGENTCG_SLICE) || agentcg_before(clock + turn, got);
	}
	tap_ok(!wrong, "never elsewhere");
}

static void test_lead(void)
{
	uint64_t now = ~0ULL - 100 * MS, burst = AGENTCG_BURST_INTERACTIVE;
	uint32_t heavy = agentcg_inverse(1000), plain = agentcg_inverse(100);

	tap_ok(agentcg_may_lead(now, now, plain, burst), "one at the clock may be served first");
	tap_ok(agentcg_may_lead(now + burst - 1, now, plain, burst), "and one less than its burst ahead, across the wrap");
	tap_ok(!agentcg_may_lead(now + burst, now, plain, burst), "not one that has used it");
	tap_ok(!agentcg_may_lead(now + burst / 10, now, heavy, burst), "the burst is CPU time, whatever the weight");
	tap_ok(agentcg_may_lead(now - 1, now, plain, 0) && !agentcg_may_lead(now, now, plain, 0),
	       "without a burst only who is behind");
	tap_ok(agentcg_burst(AGENTCG_CLASS_INTERACTIVE) == burst &&
	       agentcg_burst(AGENTCG_CLASS_AUTO) == AGENTCG_BURST_AUTO &&
	       !agentcg_burst(AGENTCG_CLASS_BATCH) && !agentcg_burst(~0U), "each class has its burst");
}

static void test_tokens(void)
{
	int64_t full = AGENTCG_BURST_AUTO, tokens = 0;
	uint64_t second = SEC * AGENTCG_AUTO_PERCENT / 100;
	int i, short_for = 0;

	tap_ok(agentcg_tokens(0, 10 * MS) == (int64_t)(10 * MS * AGENTCG_AUTO_PERCENT / 100), "tokens come with time");
	tap_ok(agentcg_tokens(full - (int64_t)MS, 10 * MS) == full && agentcg_tokens(full + 5, 0) == full, "up to the burst");
	tap_ok(agentcg_tokens(AGENTCG_TOKENS_MIN, ~0ULL) == full, "however long it has been");
	tap_ok(agentcg_spend(5, 7) == -2, "service takes them");
	tap_ok(agentcg_spend(0, 1ULL << 62) == AGENTCG_TOKENS_MIN, "a debt has an end");
	tap_ok(agentcg_tokens(AGENTCG_TOKENS_MIN, 10 * SEC) > 0 && agentcg_tokens(-1, 1) < 0,
	       "and is paid within seconds, not at once");
	/* 5 ms of each 20 ms are a quarter of a CPU: more than is called short. */
	for (i = 0, tokens = full; i < 1000; i++) {
		tokens = agentcg_spend(agentcg_tokens(tokens, 20 * MS), 5 * MS);
		short_for += tokens > 0;
	}
	tap_ok(short_for < 50 && tokens < 0, "a quarter of a CPU is not short, after its burst");
	for (i = 0; i < 1000; i++)
		tokens = agentcg_spend(agentcg_tokens(tokens, 20 * MS), 3 * MS);
	tap_ok(tokens > 0, "15 %% of one is");
	/* Asked every microsecond, as a busy machine does. */
	for (i = 0, tokens = AGENTCG_TOKENS_MIN; i < 1000000; i++)
		tokens = agentcg_tokens(tokens, 1000);
	tap_ok(tokens == AGENTCG_TOKENS_MIN + (int64_t)second || tokens == full, "nothing is lost by asking often");
}

static void test_head_start(void)
{
	uint64_t burst = 100 * MS, start = 5 * SEC, end = 15 * SEC, now, got, before = 0;
	int wrong = 0, i;

	tap_ok(!agentcg_head_start(end, start, 0, burst), "no deadline, no head start");
	tap_ok(!agentcg_head_start(start, start, end, burst) && !agentcg_head_start(start + 5 * SEC, start, end, burst),
	       "none while half of the time is left");
	tap_ok(agentcg_head_start(end, start, end, burst) == burst &&
	       agentcg_head_start(end + 1, start, end, burst) == burst &&
	       agentcg_head_start(~0ULL, start, end, burst) == burst, "all of it from the deadline on");
	for (now = start; now < end; now += 7 * MS) {
		got = agentcg_head_start(now, start, end, burst);
		wrong += got < before || got > burst;
		before = got;
	}
	tap_ok(!wrong && before > burst * 99 / 100, "more and more in between");
	got = agentcg_head_start(end - 2500 * MS, start, end, burst);
	tap_ok(got >= burst * 49 / 100 && got <= burst * 51 / 100, "half of it after half of the slack");
	for (i = 0, wrong = 0; i < 100000; i++) {
		start = any() >> between(0, 63);
		end = start + (any() >> between(0, 63));
		if (end < start)
			continue;
		now = start + (end > start ? any() % (end - start) : 0);
		burst = between(1, AGENTCG_BURST_INTERACTIVE);
		wrong += agentcg_head_start(now, start, end, burst) > burst;
	}
	tap_ok(!wrong, "never more than the burst, whatever the times");
}

/* One period after another, as the definition has it. */
static uint64_t refill_slowly(uint64_t now, uint64_t end, uint64_t period, uint64_t quota, uint64_t burst, __s64 *left)
{
	for (; now >= end; end += period) {
		*left += (int64_t)quota;
		if (*left > (int64_t)(quota + burst))
			*left = (int64_t)(quota + burst);
	}
	return end;
}

static void test_refill(void)
{
	uint64_t now, end, want_end, period, quota, burst;
	__s64 left, want;
	int i, wrong = 0;

	for (i = 0; i < 20000; i++) {
		period = between(MS, SEC);
		quota = between(MS, 8 * period);
		burst = any() & 1 ? 0 : between(0, quota);
		end = between(0, 1000 * SEC);
		now = end + between(0, (any() & 1 ? 5 : 3000) * period) - between(0, period < end ? period : 0);
		left = (int64_t)between(0, quota) - (int64_t)between(0, 2000 * quota);
		want = left;
		want_end = refill_slowly(now, end, period, quota, burst, &want);
		wrong += agentcg_refill(now, end, period, quota, burst, &left) != want_end || left != want;
	}
	tap_ok(!wrong, "many periods at once are like one after another, debts included (%d wrong)", wrong);

	left = -5;
	tap_ok(agentcg_refill(10 * SEC, SEC, 0, 5, 5, &left) == SEC && left == -5, "no cpu.max, no change");
	tap_ok(agentcg_refill(SEC - 1, SEC, MS, 5, 5, &left) == SEC && left == -5, "nor before the period has ended");
	/* The greatest that cpu.max takes: 2^44 us. */
	quota = (1ULL << 44) * 1000;
	left = -5;
	agentcg_refill(900 * SEC, SEC, SEC, quota, quota, &left);
	tap_ok(left == (int64_t)(2 * quota), "the largest quota, idle for minutes");
	left = 100;
	agentcg_refill(SEC, SEC, SEC, 50, 0, &left);
	tap_ok(left == 50, "what is left of a larger quota is cut to the new one");
}

/* A group that is stopped only at the tick, up to 4 ms late, on several CPUs. */
static void test_quota(void)
{
	uint64_t period = 100 * MS, quota = 50 * MS, now, end = period, used = 0;
	__s64 left = quota;

	for (now = 0; now < 100 * SEC; now += 4 * MS) {
		end = agentcg_refill(now, end, period, quota, 0, &left);
		if (left > 0) {
			left -= (int64_t)(16 * MS);
			used += 16 * MS;
		}
	}
	tap_ok(llabs((long long)used - (long long)(50 * SEC)) <= (long long)(quota + 16 * MS),
	       "half a CPU by ticks of four: %.3f", used / 100e9);
}

static void test_histogram(void)
{
	uint64_t ns, previous = 0;
	uint32_t i, b, wrong = 0;
	double width = 0;

	for (i = 0; i < AGENTCG_HIST_BUCKETS; i++) {
		ns = agentcg_bucket_floor(i);
		wrong += (i && ns <= previous) || agentcg_bucket(ns) != i || (i && agentcg_bucket(ns - 1) != i - 1);
		if (i > 4)
			width = fmax(width, (double)(ns - previous) / previous);
		previous = ns;
	}
	tap_ok(!wrong, "a bucket begins at its floor, the one before ends there");
	tap_ok(width <= 0.25, "none is wider than a quarter of its floor");
	tap_ok(previous > 25 * SEC, "the last begins at %.1f s", previous / 1e9);
	for (i = 0, wrong = 0; i < 200000; i++) {
		ns = any() >> between(0, 63);
		b = agentcg_bucket(ns);
		wrong += b >= AGENTCG_HIST_BUCKETS || agentcg_bucket_floor(b) > ns ||
			 (b + 1 < AGENTCG_HIST_BUCKETS && agentcg_bucket_floor(b + 1) <= ns);
	}
	tap_ok(!wrong, "every time is in the bucket whose floors enclose it");
	tap_ok(agentcg_bucket(0) == 0 && agentcg_bucket(~0ULL) == AGENTCG_HIST_BUCKETS - 1, "both ends");
}

#define BASINS	12

/* The level at which the water stands, by bisection. */
static void fill_slowly(const double *weight, const double *demand, double *share, unsigned int n, double capacity)
{
	double low = 0, high = 1e9, sum;
	unsigned int i, step;

	for (step = 0; step < 200; step++) {
		for (i = 0, sum = 0; i < n; i++) {
			share[i] = fmin(demand[i], (low + high) / 2 * weight[i]);
			sum += share[i];
		}
		if (sum > capacity)
			high = (low + high) / 2;
		else
			low = (low + high) / 2;
	}
}

static void test_waterfill(void)
{
	double weight[BASINS], demand[BASINS], share[BASINS], want[BASINS], capacity, worst = 0, sum, all, lost = 0;
	unsigned int i, round, n;

	for (round = 0; round < 20000; round++) {
		n = between(1, BASINS);
		capacity = between(1, 64) / 4.0;
		for (i = 0, all = 0; i < n; i++) {
			weight[i] = between(1, any() & 1 ? 3 : AGENTCG_WEIGHT_MAX);
			demand[i] = any() & 1 ? between(0, 8) : between(1, 1000) / 250.0;
			all += demand[i];
		}
		agentcg_waterfill(weight, demand, share, n, capacity);
		fill_slowly(weight, demand, want, n, capacity);
		for (i = 0, sum = 0; i < n; i++) {
			worst = fmax(worst, fabs(share[i] - want[i]));
			sum += share[i];
		}
		lost = fmax(lost, fabs(sum - fmin(capacity, all)));
	}
	tap_ok(worst < 0.00001, "each gets what the level says (off by %.1e CPU)", worst);
	tap_ok(lost < 0.000001, "nothing is lost, nothing invented");

	/* 3:1 on two CPUs, one thread against five: an even split */
	agentcg_waterfill((double[]){ 300, 100 }, (double[]){ 1, 2 }, share, 2, 2);
	tap_ok(share[0] == 1 && share[1] == 1, "a share that one thread cannot use goes to the others");
	agentcg_waterfill(NULL, NULL, NULL, 0, 2);
	agentcg_waterfill((double[]){ 5 }, (double[]){ 0 }, share, 1, 2);
	tap_ok(share[0] == 0, "who wants nothing gets nothing");
	agentcg_waterfill((double[]){ 5, 5 }, (double[]){ 1, 1 }, share, 2, 0);
	tap_ok(share[0] == 0 && share[1] == 0, "of nothing, too");
}

int main(void)
{
	test_inverse();
	test_vtime();
	test_order();
	test_lag();
	test_join();
	test_place();
	test_lead();
	test_tokens();
	test_head_start();
	test_refill();
	test_quota();
	test_histogram();
	test_waterfill();
	return tap_done();
}
