// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a call lacks to begin.  A pool of 1000 MiB of which 100 are kept:
 *
 *	session	priority	calls (requests, usage)
 *	high	750		a: 300, 100
 *	mine	500		b: 200, 50; agent: 400, 30
 *	low	250		c: 500, 120
 */
#include "lack.h"

#include "session.h"
#include "tap.h"

enum { HIGH, MINE, LOW };
enum { A, B, C, AGENT };

static struct manager m = { .pool_max = 1000 * MIB, .pool_fd = -1 };
static struct session sessions[3];
static struct call calls[4];
static struct usage usage;

static void add(int slot, int session, uint64_t request, uint64_t used)
{
	struct session *s = &sessions[session];

	calls[slot] = (struct call){
		.m = &m, .session = s, .slot = (uint32_t)slot, .number = (uint32_t)slot + 1, .agent = slot == AGENT,
		.grant = { .priority = s->grant.priority, .memory = request * MIB },
	};
	m.calls[slot] = &calls[slot];
	s->nr_calls++;
	s->requested += request * MIB;
	m.requested += request * MIB;
	if (slot == AGENT)
		s->agent = &calls[slot];
	usage.calls[slot] = used * MIB;
	usage.sessions[session] += used * MIB;
	usage.pool += used * MIB;
}

static void build(void)
{
	static const uint32_t priorities[] = { 750, 500, 250 };

	agentcg_policy_init(&m.policy);
	m.policy.reserve = 100 * MIB;
	/* Only whether it is there is asked. */
	m.kernel = (struct kernel *)&m;
	m.nr_sessions = 3;
	m.nr_calls = 4;
	for (uint32_t i = 0; i < 3; i++) {
		sessions[i] = (struct session){
			.m = &m, .slot = i, .arrival = i, .fd = -1, .uid = 1000, .grant = { priorities[i], AGENTCG_NONE, 0 },
		};
		m.sessions[i] = &sessions[i];
	}
	add(A, HIGH, 300, 100);
	add(B, MINE, 200, 50);
	add(C, LOW, 500, 120);
	add(AGENT, MINE, 400, 30);
}

static struct shortage look(int session, uint64_t request)
{
	struct begin b = {
		.session = &sessions[session], .uid = 1000, .wait = true,
		.granted = { .priority = sessions[session].grant.priority, .memory = request * MIB },
	};
	struct shortage ret;

	agentcg_lack_look(&b, &usage, &ret);
	return ret;
}

static void test_pool(void)
{
	struct shortage s;

	/* 1000 - 100 kept - 300 used - 200 wanted by a - 150 by b = 250; what c and the agent request does not count */
	tap_ok(look(MINE, 250).lack == AGENTCG_LACKS_NOTHING, "there is room beside those above");
	s = look(MINE, 251);
	tap_ok(s.lack == AGENTCG_LACKS_POOL && !s.what, "... no more");
	tap_ok(s.before == 2 && s.before_bytes == 500 * MIB, "those before it are counted: %u with %llu", s.before,
	       (unsigned long long)s.before_bytes);
	/* c wants 380 more than all that */
	tap_ok(look(LOW, 1).lack == AGENTCG_LACKS_POOL, "the least important waits for all");
	tap_ok(look(HIGH, 400).lack == AGENTCG_LACKS_NOTHING && look(HIGH, 401).lack == AGENTCG_LACKS_POOL,
	       "the most important only for its equals");
	m.calls[A] = NULL;
	sessions[HIGH].nr_calls = 0;
	sessions[HIGH].requested = 0;
	tap_ok(look(HIGH, 900).lack == AGENTCG_LACKS_NOTHING, "nobody above: it may have what there is not");
	sessions[HIGH].grant.reserve = 300 * MIB;
	tap_ok(look(MINE, 251).lack == AGENTCG_LACKS_POOL, "what a session above has reserved counts as requested");
	sessions[HIGH].grant.reserve = 0;
	m.calls[B] = NULL;
	sessions[MINE].nr_calls = 1;
	sessions[MINE].requested = 400 * MIB;
	tap_ok(look(MINE, 900).lack == AGENTCG_LACKS_NOTHING, "an agent is nobody to wait for");
	m.kernel = NULL;
	tap_ok(look(MINE, 900).lack == AGENTCG_LACKS_POOL, "without the kernel's policy nobody gives way, however unimportant");
}

static void test_budget(void)
{
	sessions[MINE].grant.budget = 400 * MIB;
	/* 400 - 80 used - 150 wanted by b = 170 */
	usage.sessions[MINE] = 80 * MIB;
	tap_ok(look(MINE, 170).lack == AGENTCG_LACKS_NOTHING && look(MINE, 171).lack == AGENTCG_LACKS_BUDGET, "a budget");
	tap_ok(look(MINE, 400).lack == AGENTCG_LACKS_BUDGET, "... comes before the pool");
	sessions[MINE].grant.budget = AGENTCG_NONE;
}

static void test_user(void)
{
	struct shortage s;

	/* 600 - 300 of a - 200 of b - 30 that the agent uses - 500 of c: nothing is left */
	m.policy.user_budget = 600 * MIB;
	s = look(HIGH, 1);
	tap_ok(s.lack == AGENTCG_LACKS_USER_BUDGET && !s.what && s.before == 3 && s.before_bytes == 1000 * MIB,
	       "a user's budget: all of its sessions count, whatever their rank");
	sessions[LOW].uid = 1001;
	tap_ok(look(HIGH, 70).lack == AGENTCG_LACKS_NOTHING && look(HIGH, 71).lack == AGENTCG_LACKS_USER_BUDGET, "... not other users'");
	m.policy.user_budget = AGENTCG_NONE;
}

static void test_policy(void)
{
	struct shortage s;

	m.policy.admission = AGENTCG_ADMISSION_QUOTA;
	tap_ok(look(LOW, 900).lack == AGENTCG_LACKS_NOTHING, "quotas alone: memory is not looked at");
	m.policy.session.calls_per_session = 1;
	s = look(LOW, 1);
	tap_ok(s.lack == AGENTCG_LACKS_SESSION_CALLS && streq(s.what, "calls of one session") && s.limit == 1, "a quota");
	m.policy.session.calls_per_session = 256;
	m.policy.admission = AGENTCG_ADMISSION_MEMORY;
}

int main(void)
{
	build();
	test_pool();
	usage = (struct usage){};
	m.requested = 0;
	build();
	test_budget();
	test_user();
	test_policy();
	return tap_done();
}
