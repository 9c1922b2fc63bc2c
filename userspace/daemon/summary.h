/* SPDX-License-Identifier: GPL-2.0-only */
/* Many runs of one kind in a few figures, for people and frameworks that ask.  Pure. */
#ifndef _AGENTCG_SUMMARY_H
#define _AGENTCG_SUMMARY_H

#include "predict.h"

/* Bytes and microseconds.  Percentiles are nearest ranks: figures that a run really had. */
struct run_summary {
	size_t runs;
	size_t failures;	/* killed, or could not start all of its processes */
	uint64_t peak_p50, peak_p95, peak_max;
	uint64_t duration_p50, duration_p95;
	uint64_t last_usec;	/* when the last one began, CLOCK_REALTIME */
};

/* More runs than these are not looked at. */
#define AGENTCG_SUMMARY_MAX	AGENTCG_OBSERVATIONS_MAX

/* @runs in any order; without any all is 0. */
void agentcg_summarize(const struct observation *runs, size_t nr, struct run_summary *ret);

/* Whether a call that ended so did not do what it was for, as far as the daemon can see. */
bool agentcg_outcome_is_bad(enum agentcg_outcome outcome);

#endif
