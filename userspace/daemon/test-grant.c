// SPDX-License-Identifier: GPL-2.0-only
#include "grant.h"
#include "priority.h"
#include "tap.h"

#define POOL	(1000 * MIB)

static const struct agentcg_session_policy session_policy = {
	.priority = 500, .budget = 400 * MIB, .reserve = 10 * MIB,
};

static struct session_grant open_session(bool root, uint64_t free, struct session_wish wish, struct notes *notes)
{
	struct session_grant g;

	*notes = (struct notes){};
	agentcg_grant_session(&session_policy, root, POOL, free, &wish, &g, notes);
	return g;
}

static void test_sessions(void)
{
	struct session_wish none = { AGENTCG_UNSET_PRIORITY, AGENTCG_UNSET, AGENTCG_UNSET };
	struct session_wish much = { 900, 500 * MIB, 20 * MIB };
	struct notes notes;
	struct session_grant g = open_session(false, POOL, none, &notes);

	tap_ok(g.priority == 500 && g.budget == 400 * MIB && g.reserve == 10 * MIB && !notes.n,
	       "no wish: the policy's, no notes");
	g = open_session(false, POOL, much, &notes);
	tap_ok(g.priority == 500 && g.budget == 400 * MIB && g.reserve == 10 * MIB && notes.n == 3,
	       "a user gets nothing above the policy, and is told: %s", notes.list[0]);
	g = open_session(false, POOL, (struct session_wish){ 100, 50 * MIB, MIB }, &notes);
	tap_ok(g.priority == 100 && g.budget == 50 * MIB && g.reserve == MIB && !notes.n, "less is granted as asked");
	g = open_session(false, POOL, (struct session_wish){ 500, AGENTCG_NONE, 0 }, &notes);
	tap_ok(g.budget == 400 * MIB, "nobody opts out of a budget");
	g = open_session(true, POOL, much, &notes);
	tap_ok(g.priority == 900 && g.budget == 500 * MIB && g.reserve == 20 * MIB && !notes.n, "root goes above the policy");
	g = open_session(true, POOL, (struct session_wish){ 500, 2 * POOL, 0 }, &notes);
	tap_ok(g.budget == POOL && notes.n == 1, "not above the pool: %s", notes.list[0]);
	g = open_session(true, 5 * MIB, much, &notes);
	tap_ok(g.reserve == 5 * MIB && notes.n == 1, "reserves do not overlap: %s", notes.list[0]);
	g = open_session(true, POOL, (struct session_wish){ 500, 8 * MIB, 20 * MIB }, &notes);
	tap_ok(g.reserve == 8 * MIB, "a reserve fits its budget: %s", notes.list[0]);
}

static struct call_grant begin(bool root, uint64_t budget, struct call_wish wish, struct notes *notes)
{
	struct session_grant session = { .priority = 500, .budget = budget };
	struct agentcg_policy policy;
	struct call_grant g;

	agentcg_policy_init(&policy);
	policy.call_max = 300 * MIB;
	policy.timeout_max_usec = 60 * USEC_PER_SEC;
	*notes = (struct notes){};
	agentcg_grant_call(&policy, root, &session, POOL, NULL, &wish, &g, notes);
	return g;
}

static void test_calls(void)
{
	const struct call_wish none = {
		.priority = AGENTCG_UNSET_PRIORITY, .memory = AGENTCG_UNSET,
		.memory_max = AGENTCG_UNSET, .timeout_usec = AGENTCG_UNSET, .deadline_usec = AGENTCG_UNSET,
	};
	struct call_wish wish = none;
	struct notes notes;
	struct call_grant g = begin(false, AGENTCG_NONE, none, &notes);

	tap_ok(g.priority == 500 && g.memory == 128 * MIB && g.memory_max == 300 * MIB &&
	       g.timeout_usec == 60 * USEC_PER_SEC && !notes.n, "no wish: the policy's, no notes");

	wish.memory = 2 * POOL;
	wish.memory_max = AGENTCG_UNSET;
	g = begin(false, 200 * MIB, wish, &notes);
	tap_ok(g.memory == 200 * MIB && notes.n == 1, "a request fits the budget: %s", notes.list[0]);

	wish = none;
	wish.memory_max = 64 * MIB;
	g = begin(false, AGENTCG_NONE, wish, &notes);
	tap_ok(g.memory == 64 * MIB && g.memory_max == 64 * MIB && !notes.n, "the default request fits the limit");
	wish.memory = 100 * MIB;
	g = begin(false, AGENTCG_NONE, wish, &notes);
	tap_ok(g.memory == 64 * MIB && notes.n == 1, "a request fits the limit: %s", notes.list[0]);

	wish = none;
	wish.memory_max = 500 * MIB;
	wish.timeout_usec = 90 * USEC_PER_SEC;
	g = begin(true, AGENTCG_NONE, wish, &notes);
	tap_ok(g.memory_max == 300 * MIB && g.timeout_usec == 60 * USEC_PER_SEC && notes.n == 2,
	       "the policy's limits of a call hold for all: %s", notes.list[1]);

	wish = none;
	wish.priority = 501;
	g = begin(false, AGENTCG_NONE, wish, &notes);
	tap_ok(g.priority == 500 && notes.n == 1, "no priority above the session's: %s", notes.list[0]);
	g = begin(true, AGENTCG_NONE, wish, &notes);
	tap_ok(g.priority == 501, "but for root");

	wish = none;
	wish.agent = true;
	g = begin(false, AGENTCG_NONE, wish, &notes);
	tap_ok(g.priority == AGENTCG_PRIORITY_MAX && g.memory_max == AGENTCG_NONE && g.timeout_usec == AGENTCG_NONE,
	       "the framework has no limits of a tool call");
}

static struct call_grant declare(uint32_t latency, uint64_t deadline, const char *weights_only, struct notes *notes)
{
	const struct call_wish wish = {
		.priority = AGENTCG_UNSET_PRIORITY, .memory = AGENTCG_UNSET, .memory_max = AGENTCG_UNSET,
		.timeout_usec = AGENTCG_UNSET, .latency = latency, .deadline_usec = deadline,
	};
	struct session_grant session = { .priority = 500, .budget = AGENTCG_NONE };
	struct agentcg_policy policy;
	struct call_grant g;

	agentcg_policy_init(&policy);
	policy.timeout_max_usec = 60 * USEC_PER_SEC;
	*notes = (struct notes){};
	agentcg_grant_call(&policy, false, &session, POOL, weights_only, &wish, &g, notes);
	return g;
}

static void test_cpu(void)
{
	struct notes notes;
	struct call_grant g = declare(AGENTCG_CLASS_AUTO, AGENTCG_UNSET, "no scheduler", &notes);

	tap_ok(g.latency == AGENTCG_CLASS_AUTO && g.deadline_usec == AGENTCG_NONE && !notes.n,
	       "nothing declared: no class, no deadline, no note");
	g = declare(AGENTCG_CLASS_INTERACTIVE, 5 * USEC_PER_SEC, NULL, &notes);
	tap_ok(g.latency == AGENTCG_CLASS_INTERACTIVE && g.deadline_usec == 5 * USEC_PER_SEC && !notes.n,
	       "anybody declares a class and a deadline");
	g = declare(AGENTCG_CLASS_BATCH, AGENTCG_UNSET, "no scheduler", &notes);
	tap_ok(g.latency == AGENTCG_CLASS_BATCH && notes.n == 1, "they are told without a scheduler: %s", notes.list[0]);
	g = declare(AGENTCG_CLASS_AUTO, 61 * USEC_PER_SEC, NULL, &notes);
	tap_ok(g.deadline_usec == 61 * USEC_PER_SEC && notes.n == 1, "a deadline after the timeout: %s", notes.list[0]);
}

int main(void)
{
	test_sessions();
	test_calls();
	test_cpu();
	return tap_done();
}
