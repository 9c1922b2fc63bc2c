/* SPDX-License-Identifier: GPL-2.0-only */
/* When to say that something runs full: two marks, each with a lower one to fall below first.  Pure. */
#ifndef _AGENTCG_GAUGE_H
#define _AGENTCG_GAUGE_H

#include "util.h"

#define AGENTCG_GAUGE_LEVELS	2

/* One that goes up and down around a mark is told so often at most. */
#define AGENTCG_GAUGE_USEC	(10 * USEC_PER_SEC)

struct gauge {
	uint8_t level;		/* 0: all is well, up to AGENTCG_GAUGE_LEVELS */
	uint8_t told;
	uint64_t told_usec;
};

/* In any unit; more is worse.  down[i] < up[i] < up[i + 1]. */
struct gauge_marks {
	uint64_t up[AGENTCG_GAUGE_LEVELS];
	uint64_t down[AGENTCG_GAUGE_LEVELS];
};

/*
 * The level to tell now, that @value is known; -1: none.  What is worse than
 * what was told last is told at once, what is better after a while.
 */
int agentcg_gauge_step(struct gauge *g, const struct gauge_marks *marks, uint64_t value, uint64_t now);

/* Percent of stalled time over 10 s of a memory.pressure's line "some", in hundredths; 0 if it is not there. */
uint32_t agentcg_gauge_psi(const char *text);

#endif
