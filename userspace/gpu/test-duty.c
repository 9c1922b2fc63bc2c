// SPDX-License-Identifier: GPL-2.0-only
/* When the launch probe looks: duty.c, by itself and over an hour of a modelled worker. */
#include "duty.h"
#include "tap.h"

#define SEC	1000000000ULL
#define MS	1000000ULL

/* What a worker that launches @rate times a CPU second on @cpus pays in an hour, in parts of its time; the windows in @windows. */
static double paid(uint64_t cost, double rate, double cpus, uint64_t detach, unsigned int *windows)
{
	uint64_t now = SEC, end = now + 3600 * SEC, budget;
	struct duty d;
	double hits = 0;

	*windows = 0;
	agentcg_duty_begin(&d, cost, now);
	while (now < end) {
		struct duty_window w = { .began = now };
		/* Breakpoints stretch what the threads do. */
		double per_sec = rate * cpus / (1 + rate * (double)cost / 1e9);
		uint64_t length = AGENTCG_DUTY_WINDOW;

		budget = agentcg_duty_budget(&d);
		if (per_sec * (double)length / 1e9 >= (double)budget) {
			length = (uint64_t)((double)budget / per_sec * 1e9);
			w.spent = true;
		}
		w.hits = (uint64_t)(per_sec * (double)length / 1e9);
		w.ended = now + length;
		w.detached = w.ended + detach;
		w.exec_nsec = (uint64_t)((double)length * cpus);
		hits += per_sec * (double)(length + detach) / 1e9;
		(*windows)++;
		agentcg_duty_end(&d, &w);
		now = d.next;
	}
	return hits * (double)cost / 3600e9 / cpus;
}

static void test_budget(void)
{
	static const struct {
		uint64_t cost;
		double rate, cpus;
	} workers[] = {
		{ 2000, 100, 1 }, { 2000, 10000, 1 }, { 2000, 10000, 8 }, { 2000, 200000, 1 }, { 500, 3e6, 16 },
		{ 25000, 10000, 1 }, { 25000, 1000, 0.1 }, { 25000, 300000, 1 }, { 100000, 1e6, 4 },
	};
	unsigned int windows;

	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		double part = paid(workers[i].cost, workers[i].rate, workers[i].cpus, 20 * MS, &windows);

		tap_ok(part < 0.01 && windows > 3, "%.0f launches a second on %.1f CPUs, %lu ns each: %.2f %% of their time, %u windows",
		       workers[i].rate, workers[i].cpus, workers[i].cost, part * 100, windows);
	}
}

static void test_storm(void)
{
	struct duty_window w = { .began = SEC, .ended = SEC + 10 * MS, .detached = SEC + 20 * MS, .hits = 2500, .exec_nsec = 10 * MS,
				 .spent = true };
	uint64_t careful, backoff = 0;
	struct duty d;

	agentcg_duty_begin(&d, 2000, SEC);
	careful = agentcg_duty_budget(&d);
	for (int i = 0; i < 10; i++) {
		tap_ok(agentcg_duty_end(&d, &w), "storm %d is one", i + 1);
		if (i && i < 7)
			tap_ok(d.next - w.detached == 2 * backoff, "... and the wait doubles: %llu s", (d.next - w.detached) / SEC);
		backoff = d.next - w.detached;
		w.began = d.next;
		w.ended = w.began + 10 * MS;
		w.detached = w.ended + 10 * MS;
	}
	tap_ok(backoff == 640 * SEC, "it ends at 640 s (%llu)", backoff / SEC);
	tap_ok(agentcg_duty_budget(&d) == careful, "after a storm the budget is that of the first window");
	w.hits = 100;
	w.spent = false;
	w.ended = w.began + AGENTCG_DUTY_WINDOW;
	w.detached = w.ended + MS;
	w.exec_nsec = AGENTCG_DUTY_WINDOW;
	tap_ok(!agentcg_duty_end(&d, &w) && d.next - w.detached < 10 * SEC, "when it is over, windows come as before");
	tap_ok(agentcg_duty_budget(&d) > careful, "... and are whole");
}

static void test_idle(void)
{
	struct duty_window w = { .began = SEC, .ended = SEC + AGENTCG_DUTY_WINDOW, .detached = SEC + AGENTCG_DUTY_WINDOW + MS };
	struct duty d;

	agentcg_duty_begin(&d, 2000, SEC);
	tap_ok(!agentcg_duty_end(&d, &w) && d.next == w.detached + AGENTCG_DUTY_PAUSE, "who does nothing is looked at after each pause");
	agentcg_duty_begin(&d, 0, SEC);
	tap_ok(agentcg_duty_budget(&d) > 0, "a cost that was not measured divides nothing");
}

int main(void)
{
	test_budget();
	test_storm();
	test_idle();
	return tap_done();
}
