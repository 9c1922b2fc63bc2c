// SPDX-License-Identifier: GPL-2.0-only
#include "ladder.h"
#include "tap.h"

static enum agentcg_step step(enum agentcg_rung rung, uint64_t sec, bool room, bool short_above)
{
	struct agentcg_ladder_view view = {
		.rung = rung,
		.rung_usec = sec * USEC_PER_SEC,
		.freeze_usec = 5 * USEC_PER_SEC,
		.room = room,
		.short_above = short_above,
	};

	return agentcg_ladder_step(&view);
}

/* Whatever happens, a call that is not killed goes on within two FreezeTimes. */
static bool always_ends(bool short_above)
{
	enum agentcg_rung rung = AGENTCG_RUNG_EXPIRED;

	for (int looks = 0; looks < 3; looks++)
		switch (step(rung, 5, false, short_above)) {
		case AGENTCG_STEP_FREEZE:
			rung = AGENTCG_RUNG_FROZEN;
			break;
		case AGENTCG_STEP_KILL:
		case AGENTCG_STEP_LET_GO:
		case AGENTCG_STEP_RELEASE:
			return true;
		case AGENTCG_STEP_WAIT:
			break;
		}
	return false;
}

static enum agentcg_step expired(enum agentcg_on_pressure wish, bool room, bool short_above)
{
	struct agentcg_ladder_view view = {
		.rung = AGENTCG_RUNG_EXPIRED, .room = room, .short_above = short_above, .wish = wish,
	};

	return agentcg_ladder_step(&view);
}

static void test_wishes(void)
{
	tap_ok(expired(AGENTCG_PRESSURE_KILL, false, false) == AGENTCG_STEP_KILL, "kill: at once, though nobody is short");
	tap_ok(expired(AGENTCG_PRESSURE_KILL, true, true) == AGENTCG_STEP_RELEASE, "... but not while there is room");
	tap_ok(expired(AGENTCG_PRESSURE_THROTTLE, false, false) == AGENTCG_STEP_LET_GO, "throttle: goes on slowly");
	tap_ok(expired(AGENTCG_PRESSURE_THROTTLE, false, true) == AGENTCG_STEP_FREEZE, "... but not at the cost of those above");
	tap_ok(expired(AGENTCG_PRESSURE_FREEZE, false, false) == AGENTCG_STEP_FREEZE, "freeze: as without a wish");
}

int main(void)
{
	test_wishes();
	for (int room = 0; room < 2; room++)
		for (int is_short = 0; is_short < 2; is_short++)
			tap_ok(step(AGENTCG_RUNG_GROUND, 100, room, is_short) == AGENTCG_STEP_WAIT,
			       "on the ground the kernel's holds suffice (room %d, short %d)", room, is_short);

	tap_ok(step(AGENTCG_RUNG_EXPIRED, 0, true, false) == AGENTCG_STEP_RELEASE, "expired, room again: release");
	tap_ok(step(AGENTCG_RUNG_EXPIRED, 0, false, false) == AGENTCG_STEP_FREEZE, "expired, no room: freeze");
	tap_ok(step(AGENTCG_RUNG_EXPIRED, 0, false, true) == AGENTCG_STEP_FREEZE, "freeze comes before kill");

	tap_ok(step(AGENTCG_RUNG_FROZEN, 1, true, true) == AGENTCG_STEP_RELEASE, "frozen, room again: release at once");
	tap_ok(step(AGENTCG_RUNG_FROZEN, 4, false, true) == AGENTCG_STEP_WAIT, "frozen, not yet due: wait");
	tap_ok(step(AGENTCG_RUNG_FROZEN, 5, false, true) == AGENTCG_STEP_KILL, "frozen, due, someone above is short: kill");
	tap_ok(step(AGENTCG_RUNG_FROZEN, 5, false, false) == AGENTCG_STEP_LET_GO, "frozen, due, nobody is short: let go");

	tap_ok(step(AGENTCG_RUNG_LET_GO, 1, true, false) == AGENTCG_STEP_RELEASE, "let go, room again: release");
	tap_ok(step(AGENTCG_RUNG_LET_GO, 1, false, true) == AGENTCG_STEP_WAIT, "let go, not yet due: wait");
	tap_ok(step(AGENTCG_RUNG_LET_GO, 9, false, false) == AGENTCG_STEP_WAIT, "let go, nobody is short: stays so");
	tap_ok(step(AGENTCG_RUNG_LET_GO, 9, false, true) == AGENTCG_STEP_FREEZE, "let go, someone above is short: freeze again");

	tap_ok(always_ends(false) && always_ends(true), "nobody stays on the ladder for ever");
	return tap_done();
}
