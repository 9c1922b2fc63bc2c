// SPDX-License-Identifier: GPL-2.0-only
#include "timebudget.h"

#include "size.h"

/* The least that is expected of any call, so that there is something to divide. */
#define LEAST_USEC	USEC_PER_MSEC

/* To the second where there are many: more is noise in a sentence. */
static const char *text(char buf[AGENTCG_TEXT_MAX], uint64_t usec)
{
	if (usec >= 10 * USEC_PER_SEC)
		usec -= usec % USEC_PER_SEC;
	else
		usec -= usec % (100 * USEC_PER_MSEC);
	return agentcg_format_time(buf, usec);
}

#define TIME(usec)	text((char[AGENTCG_TEXT_MAX]){}, (usec))

uint64_t agentcg_time_share(const struct time_view *v)
{
	uint64_t expected = v->expected != AGENTCG_NONE ? v->expected : v->mean, mean = v->mean;
	double part;

	if (v->calls_left == AGENTCG_CALLS_UNKNOWN || !v->calls_left)
		return max_u64(v->left, LEAST_USEC);
	if (expected == AGENTCG_NONE)
		expected = LEAST_USEC;	/* all alike */
	if (mean == AGENTCG_NONE)
		mean = expected;
	expected = max_u64(expected, LEAST_USEC);
	part = (double)expected / ((double)expected + (double)v->calls_left * (double)mean);
	return max_u64(min_u64((uint64_t)((double)v->left * part), v->left), LEAST_USEC);
}

/* "pytest took 4m10s at the median of 12 runs" */
static const char *evidence(const struct time_view *v, char buf[120])
{
	if (v->kind)
		snprintf(buf, 120, "%.48s took %s at the median of %zu run%s", v->kind, TIME(v->expected), v->runs,
			 v->runs == 1 ? "" : "s");
	else
		snprintf(buf, 120, "it is said to take %s", TIME(v->expected));
	return buf;
}

static void tell(const struct time_view *v, uint64_t granted, struct notes *notes)
{
	char others[48] = "", took[120];

	if (v->calls_left != AGENTCG_CALLS_UNKNOWN && v->calls_left)
		snprintf(others, sizeof(others), ", also for %u more call%s", v->calls_left, v->calls_left == 1 ? "" : "s");
	agentcg_note(notes, "%s are left of the session's %s%s; %s: it will be stopped after %s, run less",
		     TIME(v->left), TIME(v->total), others, evidence(v, took), TIME(granted));
}

uint64_t agentcg_time_grant(const struct time_view *v, uint64_t asked, struct notes *notes)
{
	uint64_t share = agentcg_time_share(v), granted = share;

	if (asked != AGENTCG_NONE) {
		granted = max_u64(min_u64(asked, v->left), LEAST_USEC);
		if (asked > granted)
			agentcg_note(notes, "timeout %s is more than the session has left: %s granted", TIME(asked), TIME(granted));
		else if (asked > share)
			agentcg_note(notes, "timeout %s is more than its share of the %s that the session has left (%s): %u more calls follow",
				     TIME(asked), TIME(v->left), TIME(share), v->calls_left);
	}
	/* A timeout below that was its own choice, and no news. */
	if (v->expected != AGENTCG_NONE && v->expected > granted && granted >= share)
		tell(v, granted, notes);
	return granted;
}
