/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ladder above the kernel's hold: what to do with a call that was held
 * longer than the deadline.  The decision is pure; climb.c carries it out.
 *
 *	held too long --> freeze and reclaim --> somebody above is short: kill
 *	     ^                   |          \
 *	     |                   |           `-> nobody is: let go, throttled
 *	   release <-- room -----+<-- look again each FreezeTime ---'
 *
 * Where its on_pressure says so, a call that was held too long is let go first
 * (throttle) or ends at once (kill).
 */
#ifndef _AGENTCG_LADDER_H
#define _AGENTCG_LADDER_H

#include "intent.h"

enum agentcg_rung {
	AGENTCG_RUNG_GROUND,	/* the kernel's holds suffice */
	AGENTCG_RUNG_EXPIRED,	/* held longer than the deadline */
	AGENTCG_RUNG_FROZEN,
	AGENTCG_RUNG_LET_GO,	/* one batch per ExpiredDelay */
};

enum agentcg_step {
	AGENTCG_STEP_WAIT,	/* look again in a while */
	AGENTCG_STEP_RELEASE,	/* back to the ground */
	AGENTCG_STEP_FREEZE,
	AGENTCG_STEP_LET_GO,
	AGENTCG_STEP_KILL,
};

struct agentcg_ladder_view {
	enum agentcg_rung rung;
	uint64_t rung_usec;	/* how long on this rung */
	uint64_t freeze_usec;	/* FreezeTime */
	bool room;		/* the headroom covers its threshold again */
	bool short_above;	/* someone ranked above lacks memory right now */
	enum agentcg_on_pressure wish;	/* what the call would rather have */
};

enum agentcg_step agentcg_ladder_step(const struct agentcg_ladder_view *view);

#endif
