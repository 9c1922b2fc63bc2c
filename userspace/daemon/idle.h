/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Think time: how much of an idle session's memory to reclaim, and when.  Pure.
 *
 * In small steps, each judged by what it did, as senpai does (Weiner et al.:
 * TMO, ASPLOS 2022): when the session's tasks stall or pages come back, the
 * memory was not cold, and it is left alone for a while, longer each time.
 *
 * What all of it costs shows when the next call begins: the time that tasks of
 * the session wait for memory in its first second.  It starts with a quarter of
 * the session; above the bound half as much is taken the next time, well below
 * it twice as much.
 */
#ifndef _AGENTCG_IDLE_H
#define _AGENTCG_IDLE_H

#include "util.h"

#define AGENTCG_IDLE_COST_USEC		(50 * USEC_PER_MSEC)	/* the next call's first second may lose so much */
#define AGENTCG_IDLE_STEP_MIN		MIB
/* Also what a call that begins may have to compete with: some 50 ms of swapping out. */
#define AGENTCG_IDLE_STEP_MAX		(16 * MIB)
#define AGENTCG_IDLE_INTERVAL_USEC	(500 * USEC_PER_MSEC)	/* between steps */
#define AGENTCG_IDLE_SHARE		250			/* thousandths of a session, to begin with */

/* Times are CLOCK_MONOTONIC. */
struct idle_state {
	uint64_t since;		/* no tool call runs since then; 0: one does, or none ever did */
	uint64_t next;		/* no step before */
	uint64_t pause;		/* the last time that it was left alone */
	uint32_t share;		/* thousandths of the session that may be taken while it is idle; 0: not known yet */
	/* of this idle time */
	uint64_t base;		/* bytes used as it began to be reclaimed */
	uint64_t taken;		/* bytes */
	uint64_t step;		/* bytes, the last one; 0: none to be judged */
	uint64_t step_usec;
	uint64_t refaults;	/* before it */
	uint64_t stall;
	/* of the call after it */
	uint64_t woke;		/* 0: none is being measured */
	uint64_t woke_stall;
};

struct idle_view {
	uint64_t now;
	uint64_t after;		/* idle for so long, it may begin */
	uint64_t usage;		/* bytes of the session */
	uint64_t reclaimable;	/* those of them that can go somewhere */
	uint64_t headroom;	/* of the pool */
	uint64_t pool_max;
	uint64_t refaults;	/* bytes ever read back that had been reclaimed */
	uint64_t stall;		/* usec ever that some task waited for memory */
};

/* Whether it is worth looking at the session's files; all but @now of no matter. */
bool agentcg_idle_due(const struct idle_state *s, uint64_t now, uint64_t after);
/* Bytes to reclaim now. */
uint64_t agentcg_idle_step(struct idle_state *s, const struct idle_view *v);

/* A tool call begins, with so much stalled until now; none is left. */
void agentcg_idle_wake(struct idle_state *s, uint64_t now, uint64_t stall);
void agentcg_idle_rest(struct idle_state *s, uint64_t now);
/* Whether the first second of a call is over, and it can be judged what it lost. */
bool agentcg_idle_measured(const struct idle_state *s, uint64_t now);
void agentcg_idle_judge(struct idle_state *s, uint64_t now, uint64_t stall);

#endif
