// SPDX-License-Identifier: GPL-2.0-only
#include "summary.h"

bool agentcg_outcome_is_bad(enum agentcg_outcome outcome)
{
	return outcome == AGENTCG_OOM_KILLED || outcome == AGENTCG_TIMEOUT ||
	       outcome == AGENTCG_KILLED_BY_POLICY || outcome == AGENTCG_PIDS_EXCEEDED;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The smallest of @sorted that @percent of them do not exceed. */
static uint64_t percentile(const uint64_t *sorted, size_t nr, size_t percent)
{
	return sorted[(nr * percent + 99) / 100 - 1];
}

void agentcg_summarize(const struct observation *runs, size_t nr, struct run_summary *ret)
{
	uint64_t peaks[AGENTCG_SUMMARY_MAX], durations[AGENTCG_SUMMARY_MAX];

	*ret = (struct run_summary){};
	if (nr > AGENTCG_SUMMARY_MAX)
		nr = AGENTCG_SUMMARY_MAX;
	if (!nr)
		return;
	for (size_t i = 0; i < nr; i++) {
		peaks[i] = runs[i].peak;
		durations[i] = runs[i].duration_usec;
		ret->failures += agentcg_outcome_is_bad(runs[i].outcome);
		ret->last_usec = max_u64(ret->last_usec, runs[i].time_usec);
	}
	qsort(peaks, nr, sizeof(*peaks), compare);
	qsort(durations, nr, sizeof(*durations), compare);
	ret->runs = nr;
	ret->peak_p50 = percentile(peaks, nr, 50);
	ret->peak_p95 = percentile(peaks, nr, 95);
	ret->peak_max = peaks[nr - 1];
	ret->duration_p50 = percentile(durations, nr, 50);
	ret->duration_p95 = percentile(durations, nr, 95);
}
