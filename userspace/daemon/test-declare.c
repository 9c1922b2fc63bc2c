// SPDX-License-Identifier: GPL-2.0-only
#include "declare.h"
#include "tap.h"

#define NOW	(5 * USEC_PER_SEC)

static struct agentcg_intent memory(uint64_t mib)
{
	struct agentcg_intent i = AGENTCG_INTENT_NONE;

	i.memory_request = mib * MIB;
	return i;
}

static int declare(struct declarations *d, uid_t uid, const char *session, const char *kind, uint64_t mib, uint64_t now)
{
	struct agentcg_intent i = memory(mib);

	return agentcg_declare(d, uid, session, kind, &i, now);
}

/* MiB that a call which says nothing gets to request; 0: nothing was declared. */
static uint64_t take(struct declarations *d, uid_t uid, const char *session, const char *kind, uint64_t now)
{
	struct agentcg_intent i = AGENTCG_INTENT_NONE;

	return agentcg_declare_take(d, uid, session, kind, &i, now) ? i.memory_request / MIB : 0;
}

static void test_once(void)
{
	_cleanup_(agentcg_declare_done) struct declarations d = {};
	struct agentcg_intent none = AGENTCG_INTENT_NONE;

	tap_ok(!declare(&d, 1, "a", "", 10, NOW) && take(&d, 1, "a", "make", NOW) == 10, "what was declared is the next call's");
	tap_ok(!take(&d, 1, "a", "make", NOW), "... and no other's");
	declare(&d, 1, "a", "", 10, NOW);
	declare(&d, 1, "a", "", 20, NOW);
	tap_ok(d.nr == 1 && take(&d, 1, "a", "make", NOW) == 20, "said again, the last word counts");
	declare(&d, 1, "a", "", 10, NOW);
	tap_ok(!take(&d, 2, "a", "make", NOW) && !take(&d, 1, "b", "make", NOW), "not another user's, nor another session's");
	tap_ok(!agentcg_declare(&d, 1, "a", "", &none, NOW) && !d.nr, "nothing said takes it back");
	declare(&d, 1, "a", "", 10, NOW);
	tap_ok(!take(&d, 1, "a", "make", NOW + AGENTCG_DECLARED_USEC) && !d.nr, "ten minutes later it is forgotten");
	declare(&d, 1, "a", "", 10, NOW);
	tap_ok(take(&d, 1, "a", "make", NOW + AGENTCG_DECLARED_USEC - 1) == 10, "... not before");
	declare(&d, 1, "a", "", 10, NOW);
	declare(&d, 1, "a", "make", 11, NOW);
	declare(&d, 1, "b", "", 12, NOW);
	agentcg_declare_forget(&d, 1, "a");
	tap_ok(d.nr == 1 && take(&d, 1, "b", "make", NOW) == 12, "with its session it is forgotten");
}

static void test_kinds(void)
{
	_cleanup_(agentcg_declare_done) struct declarations d = {};

	declare(&d, 1, "a", "", 10, NOW);
	declare(&d, 1, "a", "pytest", 20, NOW);
	tap_ok(take(&d, 1, "a", "pytest", NOW) == 20, "what was declared for this command goes before what was for any");
	tap_ok(take(&d, 1, "a", "pytest", NOW) == 10, "... which is next");
	declare(&d, 1, "a", "pytest", 20, NOW);
	tap_ok(!take(&d, 1, "a", "make", NOW) && take(&d, 1, "a", "pytest", NOW) == 20, "another command does not get it");
	declare(&d, 1, "a", "", 9, NOW);
	for (unsigned int i = 0; i <= AGENTCG_DECLARED_KINDS; i++) {
		char kind[2] = { (char)('a' + i), 0 };

		declare(&d, 1, "a", kind, 10 + i, NOW + i);
	}
	tap_ok(d.nr == 1 + AGENTCG_DECLARED_KINDS, "four commands and any are kept");
	tap_ok(take(&d, 1, "a", "a", NOW + 9) == 9 && take(&d, 1, "a", "b", NOW + 9) == 11 && take(&d, 1, "a", "e", NOW + 9) == 14,
	       "... the oldest command is forgotten");
}

static void test_fields(void)
{
	_cleanup_(agentcg_declare_done) struct declarations d = {};
	struct agentcg_intent said = memory(10), own = AGENTCG_INTENT_NONE;

	said.deadline_usec = 60 * USEC_PER_SEC;
	said.timeout_usec = 90 * USEC_PER_SEC;
	said.on_pressure = AGENTCG_PRESSURE_FREEZE;
	said.detach = true;
	said.detach_set = true;
	own.timeout_usec = 120 * USEC_PER_SEC;
	own.on_pressure = AGENTCG_PRESSURE_KILL;
	agentcg_declare(&d, 1, "a", "", &said, NOW);
	tap_ok(agentcg_declare_take(&d, 1, "a", "x", &own, NOW + 20 * USEC_PER_SEC) && own.memory_request == 10 * MIB && own.detach,
	       "a call that says only what frameworks always say gets the rest");
	tap_ok(own.timeout_usec == 120 * USEC_PER_SEC && own.on_pressure == AGENTCG_PRESSURE_KILL, "... its own word counts");
	tap_ok(own.deadline_usec == 40 * USEC_PER_SEC, "a deadline counts from when it was declared");
	agentcg_declare(&d, 1, "a", "", &said, NOW);
	own = AGENTCG_INTENT_NONE;
	agentcg_declare_take(&d, 1, "a", "x", &own, NOW + 70 * USEC_PER_SEC);
	tap_ok(own.deadline_usec == 1, "... one that has passed is due now");
	agentcg_declare(&d, 1, "a", "", &said, NOW);
	own = memory(5);
	tap_ok(!agentcg_declare_take(&d, 1, "a", "x", &own, NOW) && own.memory_request == 5 * MIB && d.nr == 1,
	       "a call that says itself what it needs leaves it for the next");
}

static void test_bounds(void)
{
	_cleanup_(agentcg_declare_done) struct declarations d = {};
	char session[32];
	int r = 0;

	for (unsigned int i = 0; i < AGENTCG_DECLARED_PER_UID + 10; i++) {
		snprintf(session, sizeof(session), "s%u", i);
		r = r ?: declare(&d, 1, session, "", 10 + i, NOW);
	}
	tap_ok(!r && d.nr == AGENTCG_DECLARED_PER_UID && !take(&d, 1, "s9", "x", NOW) && take(&d, 1, "s10", "x", NOW) == 20,
	       "of one user, the oldest beyond %d are forgotten", AGENTCG_DECLARED_PER_UID);
	for (uid_t uid = 2; uid < 6; uid++)
		for (unsigned int i = 0; i < AGENTCG_DECLARED_PER_UID; i++) {
			snprintf(session, sizeof(session), "s%u", i);
			r = declare(&d, uid, session, "", 10, NOW);
		}
	tap_ok(r == -ENOSPC && d.nr == AGENTCG_DECLARED_MAX, "too many users are told");
	tap_ok(take(&d, 1, "s11", "x", NOW) == 21, "... others keep theirs");
	tap_ok(!declare(&d, 9, "s", "", 10, NOW + AGENTCG_DECLARED_USEC) && d.nr == 1, "... and there is room as time passes");
}

int main(void)
{
	test_once();
	test_kinds();
	test_fields();
	test_bounds();
	return tap_done();
}
