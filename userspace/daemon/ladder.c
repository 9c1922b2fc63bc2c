// SPDX-License-Identifier: GPL-2.0-only
#include "ladder.h"

enum agentcg_step agentcg_ladder_step(const struct agentcg_ladder_view *view)
{
	bool due = view->rung_usec >= view->freeze_usec;

	if (view->rung == AGENTCG_RUNG_GROUND)
		return AGENTCG_STEP_WAIT;
	if (view->room)
		return AGENTCG_STEP_RELEASE;

	switch (view->rung) {
	case AGENTCG_RUNG_EXPIRED:
		if (view->wish == AGENTCG_PRESSURE_KILL)
			return AGENTCG_STEP_KILL;
		/* Slowly, as long as nobody more important pays for it. */
		return view->wish == AGENTCG_PRESSURE_THROTTLE && !view->short_above ?
		       AGENTCG_STEP_LET_GO : AGENTCG_STEP_FREEZE;
	case AGENTCG_RUNG_FROZEN:
		if (!due)
			return AGENTCG_STEP_WAIT;
		/* Only reservations in the way are no reason to kill. */
		return view->short_above ? AGENTCG_STEP_KILL : AGENTCG_STEP_LET_GO;
	case AGENTCG_RUNG_LET_GO:
		return due && view->short_above ? AGENTCG_STEP_FREEZE : AGENTCG_STEP_WAIT;
	default:
		return AGENTCG_STEP_WAIT;
	}
}
