// SPDX-License-Identifier: GPL-2.0-only
#include "idle.h"
#include "tap.h"

#define AFTER	(10 * USEC_PER_SEC)

static struct idle_state s;
static struct idle_view v;

static void reset(void)
{
	s = (struct idle_state){};
	v = (struct idle_view){
		.now = 1000 * USEC_PER_SEC, .after = AFTER, .usage = 160 * MIB, .reclaimable = 160 * MIB,
		.headroom = 100 * MIB, .pool_max = GIB, .refaults = 5 * MIB, .stall = 7 * USEC_PER_SEC,
	};
	agentcg_idle_rest(&s, v.now);
}

/* Steps for @seconds; what was taken. */
static uint64_t run(unsigned int seconds)
{
	uint64_t end = v.now + seconds * USEC_PER_SEC, sum = 0, bytes;

	for (; v.now < end; v.now += 100 * USEC_PER_MSEC) {
		bytes = agentcg_idle_step(&s, &v);
		v.usage -= bytes;
		sum += bytes;
	}
	return sum;
}

/* A call after so much idle time, whose first second loses @stall. */
static void call(uint64_t stall)
{
	agentcg_idle_wake(&s, v.now, v.stall);
	v.now += USEC_PER_SEC;
	v.stall += stall;
	if (agentcg_idle_measured(&s, v.now))
		agentcg_idle_judge(&s, v.now, v.stall);
	agentcg_idle_rest(&s, v.now);
}

static void test_cold(void)
{
	uint64_t first;

	reset();
	tap_ok(run(10) == 0, "a session is not idle at once");
	first = agentcg_idle_step(&s, &v);
	tap_ok(first == 10 * MIB, "then a sixteenth is taken");
	tap_ok(agentcg_idle_step(&s, &v) == 0, "and no more before it is known what that did");
	v.usage -= first;
	first += run(60);
	tap_ok(first > 38 * MIB && first <= 40 * MIB, "of what is cold a quarter: %llu MiB", (unsigned long long)(first / MIB));
	call(0);
	v.usage = 160 * MIB;
	first = run(60);
	tap_ok(first > 76 * MIB && first <= 80 * MIB, "if the call after it lost nothing, half");
	call(0);
	call(0);
	v.usage = 160 * MIB;
	first = run(120);
	tap_ok(first > 150 * MIB && first <= 160 * MIB, "then all");
	call(60 * USEC_PER_MSEC);
	v.usage = 160 * MIB;
	tap_ok(run(19) == 0, "a call that lost more than the bound: it is left alone for a while");
	first = run(120);
	tap_ok(first > 76 * MIB && first <= 80 * MIB, "then half of it");
	for (int i = 0; i < 20; i++) {
		call(60 * USEC_PER_MSEC);
		run(1200);
	}
	tap_ok(s.share == 15, "never to nothing, so that it is found out when things have changed");
}

static void test_hot(void)
{
	uint64_t steps = 0, bytes;

	reset();
	s.share = 1000;
	v.usage = 64 * GIB;
	v.reclaimable = v.usage;
	run(10);
	for (int i = 0; i < 36000; i++, v.now += 100 * USEC_PER_MSEC) {
		bytes = agentcg_idle_step(&s, &v);
		steps += bytes > 0;
		v.refaults += bytes / 2;
	}
	tap_ok(steps <= 12, "what is read back is left alone: %llu steps in an hour", (unsigned long long)steps);
	reset();
	s.share = 1000;
	v.usage = 64 * GIB;
	v.reclaimable = v.usage;
	run(10);
	steps = 0;
	for (int i = 0; i < 36000; i++, v.now += 100 * USEC_PER_MSEC) {
		steps += agentcg_idle_step(&s, &v) > 0;
		v.stall += 3 * USEC_PER_MSEC;
	}
	tap_ok(steps <= 12, "so is what tasks wait for: %llu steps", (unsigned long long)steps);
}

static void test_not(void)
{
	reset();
	v.headroom = 512 * MIB;
	tap_ok(run(60) == 0, "not while half of the pool is free");
	v.headroom = 511 * MIB;
	tap_ok(run(10) > 0, "but then");
	reset();
	agentcg_idle_wake(&s, v.now, v.stall);
	tap_ok(run(60) == 0, "not while a call runs");
	tap_ok(!agentcg_idle_measured(&s, v.now), "where nothing was taken nothing is measured");
	reset();
	run(10);
	agentcg_idle_step(&s, &v);
	agentcg_idle_wake(&s, v.now, v.stall);
	tap_ok(run(60) == 0, "a call that begins ends it");
	reset();
	v.reclaimable = 512 * KIB;
	tap_ok(run(60) == 0, "not what can go nowhere");
	s = (struct idle_state){};
	tap_ok(run(60) == 0, "not a session that has run nothing yet");
}

int main(void)
{
	test_cold();
	test_hot();
	test_not();
	return tap_done();
}
