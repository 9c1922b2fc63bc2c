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

static const struct call_wish no_wish = { .priority = AGENTCG_UNSET_PRIORITY, .intent = AGENTCG_INTENT_NONE };

/* With a policy of 300 MiB, 60 s, 100 processes and 4 CPUs a call. */
static struct call_grant begin(struct grant_view view, uint64_t budget, struct call_wish wish, struct notes *notes)
{
	struct session_grant session = { .priority = 500, .budget = budget };
	struct agentcg_policy policy;
	struct call_grant g;

	agentcg_policy_init(&policy);
	policy.call_max = 300 * MIB;
	policy.timeout_max_usec = 60 * USEC_PER_SEC;
	policy.pids_max = 100;
	policy.cpu_max = 4000;
	view.policy = &policy;
	view.session = &session;
	view.pool_max = POOL;
	*notes = (struct notes){};
	agentcg_grant_call(&view, NULL, &wish, &g, notes);
	return g;
}

static const struct grant_view user = { .detached_left = 1 }, root = { .root = true, .detached_left = 1 };

static void test_calls(void)
{
	struct call_wish wish = no_wish;
	struct notes notes;
	struct call_grant g = begin(user, AGENTCG_NONE, no_wish, &notes);

	tap_ok(g.priority == 500 && g.memory == 128 * MIB && g.memory_max == 300 * MIB && g.pids_max == 100 &&
	       g.cpu == 1000 && g.cpu_max == 4000 && g.timeout_usec == 60 * USEC_PER_SEC && !g.detach &&
	       g.on_pressure == AGENTCG_PRESSURE_FREEZE && !notes.n, "no wish: the policy's, no notes");

	wish.intent.memory_request = 2 * POOL;
	g = begin(user, 200 * MIB, wish, &notes);
	tap_ok(g.memory == 200 * MIB && notes.n == 1, "a request fits the budget: %s", notes.list[0]);

	wish = no_wish;
	wish.intent.memory_limit = 64 * MIB;
	g = begin(user, AGENTCG_NONE, wish, &notes);
	tap_ok(g.memory == 64 * MIB && g.memory_max == 64 * MIB && !notes.n, "the default request fits the limit");
	wish.intent.memory_request = 100 * MIB;
	g = begin(user, AGENTCG_NONE, wish, &notes);
	tap_ok(g.memory == 64 * MIB && notes.n == 1, "a request fits the limit: %s", notes.list[0]);

	wish = no_wish;
	wish.intent.memory_limit = 500 * MIB;
	wish.intent.timeout_usec = 90 * USEC_PER_SEC;
	wish.intent.pids_limit = 101;
	wish.intent.cpu_limit = 5000;
	g = begin(root, AGENTCG_NONE, wish, &notes);
	tap_ok(g.memory_max == 300 * MIB && g.timeout_usec == 60 * USEC_PER_SEC && g.pids_max == 100 &&
	       g.cpu_max == 4000 && notes.n == 4, "the policy's limits of a call hold for all: %s; %s; %s; %s",
	       notes.list[0], notes.list[1], notes.list[2], notes.list[3]);
	wish.intent.pids_limit = 10;
	wish.intent.cpu_limit = 500;
	g = begin(user, AGENTCG_NONE, wish, &notes);
	tap_ok(g.pids_max == 10 && g.cpu_max == 500 && notes.n == 2, "less is granted as asked");
	wish.intent.cpu_limit = 1;
	g = begin(user, AGENTCG_NONE, wish, &notes);
	tap_ok(g.cpu_max == 10 && notes.n == 3, "no quota below the kernel's least: %s", notes.list[2]);

	wish = no_wish;
	wish.priority = 501;
	g = begin(user, AGENTCG_NONE, wish, &notes);
	tap_ok(g.priority == 500 && notes.n == 1, "no priority above the session's: %s", notes.list[0]);
	g = begin(root, AGENTCG_NONE, wish, &notes);
	tap_ok(g.priority == 501, "but for root");

	wish = no_wish;
	wish.agent = true;
	wish.intent.detach = true;
	wish.intent.detach_set = true;
	g = begin(user, AGENTCG_NONE, wish, &notes);
	tap_ok(g.priority == AGENTCG_PRIORITY_MAX && g.memory_max == AGENTCG_NONE && g.pids_max == AGENTCG_NONE &&
	       g.timeout_usec == AGENTCG_NONE, "the framework has no limits of a tool call");
	tap_ok(!g.detach && notes.n == 1, "... and is not detached: %s", notes.list[0]);
}

static void test_wishes(void)
{
	const struct grant_view last = {};
	struct call_wish wish = no_wish;
	struct notes notes;
	struct call_grant g;

	wish.intent.detach = true;
	wish.intent.detach_set = true;
	wish.intent.on_pressure = AGENTCG_PRESSURE_KILL;
	wish.intent.reserved = true;
	g = begin(user, AGENTCG_NONE, wish, &notes);
	tap_ok(g.detach && g.on_pressure == AGENTCG_PRESSURE_KILL && notes.n == 1, "granted, but: %s", notes.list[0]);
	g = begin(last, AGENTCG_NONE, wish, &notes);
	tap_ok(!g.detach && notes.n == 2, "not more detached calls than allowed: %s", notes.list[0]);

	g = (struct call_grant){ .priority = 500, .cpu = 1000 };
	tap_ok(agentcg_grant_cpu_weight(&g) == 100, "a call that says nothing weighs what its priority does");
	g.cpu = 2500;
	tap_ok(agentcg_grant_cpu_weight(&g) == 250, "a request of 2.5 CPUs 2.5 times that");
	g.cpu = 1;
	tap_ok(agentcg_grant_cpu_weight(&g) == 1, "... at least 1");
	g.cpu = UINT64_MAX - 10;
	g.priority = 1000;
	tap_ok(agentcg_grant_cpu_weight(&g) == 10000, "... and at most 10000");
}

/* But for the deadline, which is from now on. */
static bool same_grant(const struct call_grant *a, const struct call_grant *b)
{
	return a->priority == b->priority && a->cpu == b->cpu && a->cpu_max == b->cpu_max && a->memory == b->memory &&
	       a->memory_max == b->memory_max && a->pids_max == b->pids_max && a->timeout_usec == b->timeout_usec &&
	       a->latency == b->latency && a->on_pressure == b->on_pressure && a->detach == b->detach;
}

static void test_adjust(void)
{
	struct session_grant session = { .priority = 500, .budget = AGENTCG_NONE };
	struct agentcg_policy policy;
	struct grant_view view = {
		.policy = &policy, .session = &session, .pool_max = POOL, .age_usec = 10 * USEC_PER_SEC,
	};
	struct call_grant before = {
		.priority = 400, .cpu = 2000, .cpu_max = 3000, .memory = 50 * MIB, .memory_max = 100 * MIB,
		.pids_max = 50, .timeout_usec = 20 * USEC_PER_SEC, .latency = AGENTCG_CLASS_BATCH,
		.deadline_usec = 5 * USEC_PER_SEC, .on_pressure = AGENTCG_PRESSURE_KILL, .detach = true,
	}, g;
	struct call_wish wish = no_wish;
	struct notes notes = {};

	agentcg_policy_init(&policy);
	agentcg_grant_call(&view, &before, &wish, &g, &notes);
	tap_ok(same_grant(&g, &before) && g.deadline_usec == AGENTCG_NONE && !notes.n,
	       "adjusted without a wish: all stays, the deadline is no new one");
	wish.intent.memory_limit = 30 * MIB;
	agentcg_grant_call(&view, &before, &wish, &g, &notes);
	tap_ok(g.memory_max == 30 * MIB && g.memory == 30 * MIB && g.pids_max == 50, "a request follows its limit");
	wish = no_wish;
	wish.intent.timeout_usec = 9 * USEC_PER_SEC;
	agentcg_grant_call(&view, &before, &wish, &g, &notes);
	tap_ok(g.timeout_usec == 9 * USEC_PER_SEC && notes.n == 1, "a timeout counts from the beginning: %s", notes.list[0]);
	notes = (struct notes){};
	wish = no_wish;
	wish.intent.detach_set = true;
	agentcg_grant_call(&view, &before, &wish, &g, &notes);
	tap_ok(!g.detach && !notes.n, "a detached call may be tied again");
}

static struct call_grant declare(uint32_t latency, uint64_t deadline, const char *weights_only, struct notes *notes)
{
	struct call_wish wish = no_wish;

	wish.intent.latency = latency;
	wish.intent.deadline_usec = deadline;
	return begin((struct grant_view){ .weights_only = weights_only }, AGENTCG_NONE, wish, notes);
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
	test_wishes();
	test_adjust();
	test_cpu();
	return tap_done();
}
