// SPDX-License-Identifier: GPL-2.0-only
#include "gauge.h"
#include "tap.h"

int main(void)
{
	static const struct gauge_marks marks = { .up = { 80, 95 }, .down = { 75, 90 } };
	uint64_t now = 100 * USEC_PER_SEC;
	struct gauge g = {};
	int told = 0;

	tap_ok(agentcg_gauge_step(&g, &marks, 79, now) == -1, "below the first mark nothing is told");
	tap_ok(agentcg_gauge_step(&g, &marks, 80, now) == 1, "at the mark it is");
	tap_ok(agentcg_gauge_step(&g, &marks, 85, now) == -1, "once");
	tap_ok(agentcg_gauge_step(&g, &marks, 95, now) == 2, "the second is told at once");
	tap_ok(agentcg_gauge_step(&g, &marks, 91, now + 60 * USEC_PER_SEC) == -1, "a little less is not better");
	tap_ok(agentcg_gauge_step(&g, &marks, 89, now + 61 * USEC_PER_SEC) == 1, "below the lower mark it is");
	tap_ok(agentcg_gauge_step(&g, &marks, 10, now + 62 * USEC_PER_SEC) == -1, "better news can wait");
	tap_ok(agentcg_gauge_step(&g, &marks, 10, now + 72 * USEC_PER_SEC) == 0, "but come");
	now += 200 * USEC_PER_SEC;
	tap_ok(agentcg_gauge_step(&g, &marks, 99, now) == 2, "from nothing to all at once: the worse one only");
	g = (struct gauge){};
	for (int i = 0; i < 1000; i++) {
		told += agentcg_gauge_step(&g, &marks, i & 1 ? 100 : 0, now) >= 0;
		now += 100 * USEC_PER_MSEC;
	}
	tap_ok(told > 5 && told <= 22, "what goes up and down for 100 s is told %d times", told);
	tap_ok(agentcg_gauge_psi("some avg10=12.34 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.00") == 1234, "stalled time");
	tap_ok(agentcg_gauge_psi("some avg10=100.00 avg60") == 10000 && agentcg_gauge_psi("") == 0, "all of it, or not known");
	return tap_done();
}
