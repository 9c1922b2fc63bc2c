/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When the launch probe may look at a worker, and for how long: a bucket of time
 * that the probe may take, filled with 0.4 percent of the CPU time that the
 * worker's launching threads use, of which each window takes what its breakpoints
 * have cost.  Not the whole percent that it may take: what a breakpoint does to caches is not seen when its cost is
 * measured, nor is it here what the daemon itself does for a window.  Pure.
 */
#ifndef _AGENTCG_DUTY_H
#define _AGENTCG_DUTY_H

#include "util.h"

#define AGENTCG_DUTY_PERMILLE	4
#define AGENTCG_DUTY_BUDGET	(25 * 1000 * 1000ULL)	/* of a window, in ns of the threads' time */
#define AGENTCG_DUTY_WINDOW	(250 * 1000 * 1000ULL)	/* it ends then, if its budget has not been spent */
#define AGENTCG_DUTY_PAUSE	(1000 * 1000 * 1000ULL)	/* at least, between windows */
#define AGENTCG_DUTY_BACKOFF	(10 * 1000 * 1000 * 1000ULL)	/* after a storm; doubled with each, six times */
#define AGENTCG_DUTY_STORMS	7

struct duty {
	uint64_t cost_nsec;	/* of a call that is looked at */
	int64_t tokens;		/* ns */
	uint64_t refill;	/* ns a second */
	uint64_t updated;	/* CLOCK_MONOTONIC ns, as all times here */
	uint64_t next;		/* window, not before */
	unsigned int storms;	/* in a row; 0: the last window was none */
	bool known;		/* a whole window has been seen */
};

/* What a window was. */
struct duty_window {
	uint64_t began, ended, detached;
	uint64_t hits;
	uint64_t exec_nsec;	/* CPU time of the threads that were seen */
	bool spent;		/* its budget ended it */
};

void agentcg_duty_begin(struct duty *d, uint64_t cost_nsec, uint64_t now);
/* Calls that the window which begins now may look at. */
uint64_t agentcg_duty_budget(const struct duty *d);
/* Says when the next one may begin, in @d->next.  Whether it was a storm. */
bool agentcg_duty_end(struct duty *d, const struct duty_window *w);

#endif
