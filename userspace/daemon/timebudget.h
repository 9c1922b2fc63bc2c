/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a session's time is divided into.  Pure.
 *
 * A session may have so much time left for all its calls.  They run one after
 * another, so each gets of what is left as much as it is expected to take, in
 * proportion to it and those that are still to come:
 *
 *	share = left * expected / (expected + calls_left * mean)
 *
 * where expected is the median of earlier runs of its kind, or what it says
 * itself, and mean is that of the session's calls so far.  Where time is ample
 * all have more than they are expected to need; where it is short, all are
 * short alike, and are told so before they begin.  Whoever does not say how
 * many calls are to come has all that is left.  The share is the timeout of a
 * call that asks for none; one that asks gets no more than what is left.
 */
#ifndef _AGENTCG_TIMEBUDGET_H
#define _AGENTCG_TIMEBUDGET_H

#include "notes.h"
#include "policy.h"

#define AGENTCG_CALLS_UNKNOWN	UINT32_MAX

/* Times are usec, AGENTCG_NONE: unknown. */
struct time_view {
	uint64_t left;
	uint64_t total;		/* that was left when it was said */
	uint64_t expected;	/* of this call */
	uint64_t mean;		/* of the session's calls that have ended */
	uint32_t calls_left;	/* after this one; or AGENTCG_CALLS_UNKNOWN */
	const char *kind;	/* of whose @runs the median is expected; NULL: it says so itself */
	size_t runs;
};

/* Of this call; usec, at least 1 ms and no more than what is left. */
uint64_t agentcg_time_share(const struct time_view *v);

/* What it gets that asks for @asked (AGENTCG_NONE: nothing), with a note where that will probably not do. */
uint64_t agentcg_time_grant(const struct time_view *v, uint64_t asked, struct notes *notes);

#endif
