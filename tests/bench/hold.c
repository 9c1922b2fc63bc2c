// SPDX-License-Identifier: GPL-2.0-only
/*
 * How exact holds are: with the test policy, RUNS times each, one line of JSON
 * a sample on stdout.
 *
 *	{"hold_ms": x}		a hold of 2000 ms, as the held thread sees it
 *	{"release_ms": x}	from the release to the last held thread's progress
 *	{"growth": x}		growth after the gate closed, in batches per thread
 *	{"huge_growth": x}	the same in huge pages per thread
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

#define HOLD_MS	2000
#define THREADS	8

static struct group pool, call;
static struct policy policy;
static struct eater eater;

static void check(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "bench-hold: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void begin(int threads, bool huge)
{
	check(group_make(&call, "bench/call"), "make the test cgroup");
	check(policy_add(&policy, &call), "agentcg_add");
	check(eater_start(&eater, &call, threads, huge), "start the test process");
}

static void end(void)
{
	eater_stop(&eater);
	group_remove(&call);
	policy.knobs->delay_ms = 0;
}

static void hold_once(void)
{
	begin(1, false);
	/* Much, so that the kernel's own throttle does not add to it. */
	eater_want(&eater, 8192);
	if (!eater_done(&eater, 30000))
		check(-ETIMEDOUT, "allocate");
	policy.knobs->delay_ms = HOLD_MS;
	check(policy_gate(&policy, &call, 0), "agentcg_gate");
	eater_want(&eater, eater.shared->touched[0] + BATCH_PAGES + 1);
	sleep_ms(HOLD_MS / 2);
	policy.knobs->delay_ms = 0;
	if (!eater_done(&eater, 3 * HOLD_MS))
		check(-ETIMEDOUT, "hold");
	printf("{\"hold_ms\": %.3f}\n", eater.shared->worst_ms[0]);
	end();
}

static void release_once(void)
{
	double released, last = 0;
	int i;

	begin(THREADS, false);
	policy.knobs->delay_ms = 60000;
	check(policy_gate(&policy, &call, 0), "agentcg_gate");
	eater_want(&eater, 4096);
	sleep_ms(500);
	/* The next charge shall pass: what is timed is the wake-up alone. */
	policy.knobs->delay_ms = 0;
	policy_gate(&policy, &call, AGENTCG_GATE_OPEN);
	eater.shared->want = 0;
	released = now_ms();
	if (policy_release(&policy, &call) != THREADS)
		check(-EINVAL, "release: not all threads were held");
	sleep_ms(300);
	for (i = 0; i < THREADS; i++)
		if (eater.shared->done_at[i] > last)
			last = eater.shared->done_at[i];
	printf("{\"release_ms\": %.3f}\n", last > released ? last - released : 1e9);
	end();
}

static void growth_once(bool huge)
{
	long before, unit = (huge ? HUGE_PAGES : BATCH_PAGES) * PAGE;

	begin(THREADS, huge);
	policy.knobs->delay_ms = 60000;
	before = group_usage(&call);
	check(policy_gate(&policy, &call, 0), "agentcg_gate");
	eater_want(&eater, 64 * 1024);
	sleep_ms(800);
	printf("{\"%s\": %.4f}\n", huge ? "huge_growth" : "growth",
	       (double)(group_usage(&call) - before) / unit / THREADS);
	end();
}

int main(int argc, char **argv)
{
	int i, runs = argc > 1 ? atoi(argv[1]) : 20;

	check(group_make(&pool, "bench"), "make the test cgroup");
	check(policy_attach(&policy, &pool, 0), "attach the test policy (is agentcg.ko loaded?)");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < runs; i++) {
		hold_once();
		release_once();
		growth_once(false);
		growth_once(true);
	}
	policy_detach(&policy);
	group_remove(&pool);
	return 0;
}
