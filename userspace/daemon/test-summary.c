// SPDX-License-Identifier: GPL-2.0-only
#include "summary.h"
#include "tap.h"

static struct observation runs[AGENTCG_SUMMARY_MAX + 10];

int main(void)
{
	struct run_summary s;

	agentcg_summarize(runs, 0, &s);
	tap_ok(!s.runs && !s.peak_max && !s.last_usec, "of no runs nothing is known");
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)	/* 1 to 60, mixed: 37, 41 and 61 have no common factor */
		runs[i] = (struct observation){
			.peak = (i + 1) * 37 % 61, .duration_usec = (i + 1) * 41 % 61, .time_usec = i < 50 ? i : 10,
		};
	agentcg_summarize(runs, 1, &s);
	tap_ok(s.runs == 1 && s.peak_p50 == 37 && s.peak_p95 == 37 && s.peak_max == 37, "one run is its own percentile");
	agentcg_summarize(runs, 60, &s);
	tap_ok(s.runs == 60 && s.peak_p50 == 30 && s.peak_p95 == 57 && s.peak_max == 60, "of 1 to 60: 30, 57, 60");
	tap_ok(s.duration_p50 == 30 && s.duration_p95 == 57, "times, too");
	tap_ok(s.last_usec == 49 && !s.failures, "the last one is the newest, in whatever order");
	runs[0].outcome = AGENTCG_OOM_KILLED;
	runs[1].outcome = AGENTCG_TIMEOUT;
	runs[2].outcome = AGENTCG_KILLED_BY_POLICY;
	runs[3].outcome = AGENTCG_PIDS_EXCEEDED;
	runs[4].outcome = AGENTCG_WAS_HELD;
	runs[5].outcome = AGENTCG_WAS_THROTTLED;
	agentcg_summarize(runs, 60, &s);
	tap_ok(s.failures == 4, "to wait is no failure");
	agentcg_summarize(runs, ARRAY_SIZE(runs), &s);
	tap_ok(s.runs == AGENTCG_SUMMARY_MAX, "more than so many are not looked at");
	return tap_done();
}
