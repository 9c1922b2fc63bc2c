// SPDX-License-Identifier: GPL-2.0-only
#include "lack.h"

#include "cgroup.h"
#include "decide.h"
#include "session.h"

#define UNKNOWN		UINT64_MAX

void agentcg_usage_forget(struct usage *u)
{
	if (u->used || !u->pool)
		memset(u, 0xff, sizeof(*u));
	u->pool = UNKNOWN;
	u->used = false;
}

static uint64_t pool_usage(const struct manager *m, struct usage *u)
{
	if (u->pool == UNKNOWN)
		u->pool = agentcg_manager_usage(m);
	return u->pool;
}

static uint64_t session_usage(const struct session *s, struct usage *u)
{
	uint64_t *p = &u->sessions[s->slot];

	u->used = true;
	if (*p == UNKNOWN && agentcg_cgroup_read_u64(s->fd, "memory.current", p) < 0)
		*p = 0;
	return *p;
}

static uint64_t call_usage(const struct call *c, struct usage *u)
{
	uint64_t *p = &u->calls[c->slot];

	u->used = true;
	if (*p == UNKNOWN)
		*p = agentcg_call_usage(c);
	return *p;
}

/* ---- quotas ------------------------------------------------------------- */

static uint32_t count_calls(const struct manager *m, uid_t uid)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->nr_calls; i++)
		n += m->calls[i] && m->calls[i]->session->uid == uid;
	return n;
}

static bool no_slot(const struct manager *m)
{
	uint32_t n = 0;

	while (n < m->nr_calls && m->calls[n])
		n++;
	return n == AGENTCG_MAX_CALLS;
}

static bool lacks(struct shortage *ret, enum agentcg_lack lack, const char *what, uint64_t limit)
{
	*ret = (struct shortage){ .lack = lack, .what = what, .limit = limit };
	return true;
}

static bool look_at_quotas(const struct begin *b, struct shortage *ret)
{
	const struct session *s = b->session;
	struct agentcg_session_policy policy;
	const struct manager *m = s->m;

	agentcg_policy_session(&m->policy, s->name, s->uid, &policy);
	if (s->nr_calls >= policy.calls_per_session)
		return lacks(ret, AGENTCG_LACKS_SESSION_CALLS, "calls of one session", policy.calls_per_session);
	if (b->uid != 0 && count_calls(m, s->uid) >= AGENTCG_CALLS_PER_UID)
		return lacks(ret, AGENTCG_LACKS_USER_CALLS, "calls of one user", AGENTCG_CALLS_PER_UID);
	if (b->wish.agent && s->agent)
		return lacks(ret, AGENTCG_LACKS_SESSION_CALLS, "agents of one session", 1);
	if (no_slot(m))
		return lacks(ret, AGENTCG_LACKS_SLOTS, "calls", AGENTCG_MAX_CALLS);
	return false;
}

/* ---- memory ------------------------------------------------------------- */

/* What runs and is ranked above the call that is to begin. */
struct above {
	uint64_t wanted;	/* bytes requested and not used yet */
	uint32_t calls;		/* tool calls */
	uint64_t requested;	/* bytes, of them */
};

/* Those of its own session: by its number it comes last among its equals. */
static void calls_above(const struct begin *b, struct usage *u, struct above *above)
{
	const struct manager *m = b->session->m;

	for (uint32_t i = 0; i < m->nr_calls; i++) {
		const struct call *c = m->calls[i];

		if (!c || c->session != b->session || c->agent)
			continue;
		/* Without the kernel's policy nobody gives way. */
		if (m->kernel && c->grant.priority < b->granted.priority)
			continue;
		above->wanted += agentcg_sub(c->grant.memory, call_usage(c, u));
		above->requested += c->grant.memory;
		above->calls++;
	}
}

/* What a session may still claim; its agent no more than it uses. */
static uint64_t session_wanted(const struct session *s, struct usage *u, uint64_t tools)
{
	const struct agentcg_session v = {
		.budget = s->grant.budget, .reserve = s->grant.reserve,
		.requested = tools + (s->agent ? call_usage(s->agent, u) : 0),
	};

	return agentcg_wanted(&v, session_usage(s, u));
}

static void sessions_above(const struct begin *b, struct usage *u, struct above *above)
{
	const struct session *mine = b->session;
	const struct manager *m = mine->m;

	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		const struct session *s = m->sessions[i];
		uint64_t tools;

		if (!s || s == mine)
			continue;
		if (m->kernel && agentcg_rank(s->grant.priority, s->arrival) >= agentcg_rank(mine->grant.priority, mine->arrival))
			continue;
		tools = s->requested - (s->agent ? s->agent->grant.memory : 0);
		above->wanted += session_wanted(s, u, tools);
		above->requested += tools;
		above->calls += s->nr_calls - !!s->agent;
	}
}

/* Whether @request still fits into @limit beside @usage and what is wanted by those above. */
static bool fits(uint64_t limit, uint64_t usage, uint64_t wanted, uint64_t request)
{
	return agentcg_sub(limit, usage) >= wanted + request;
}

static bool look_at_memory(const struct begin *b, struct usage *u, struct shortage *ret)
{
	const struct session *s = b->session;
	uint64_t request = b->granted.memory;
	const struct manager *m = s->m;
	struct above above = {};

	/* As if those that run used nothing of what they request: enough for all is enough. */
	bool pool = !fits(m->pool_max, pool_usage(m, u), m->requested + m->reserved + m->policy.reserve, request);
	bool budget = s->grant.budget != AGENTCG_NONE && !fits(s->grant.budget, session_usage(s, u), s->requested, request);

	if (!pool && !budget)
		return false;
	calls_above(b, u, &above);
	if (budget && above.calls && !fits(s->grant.budget, session_usage(s, u), above.wanted, request)) {
		ret->lack = AGENTCG_LACKS_BUDGET;
	} else if (pool) {
		sessions_above(b, u, &above);
		if (above.calls && !fits(m->pool_max, pool_usage(m, u), above.wanted + m->policy.reserve, request))
			ret->lack = AGENTCG_LACKS_POOL;
	}
	ret->before = above.calls;
	ret->before_bytes = above.requested;
	return ret->lack != AGENTCG_LACKS_NOTHING;
}

/* What a user's sessions have or may claim, whatever their rank; agents count with what they use. */
static bool look_at_user(const struct begin *b, struct usage *u, struct shortage *ret)
{
	const struct session *mine = b->session;
	const struct manager *m = mine->m;
	uint64_t budget = agentcg_policy_user_budget(&m->policy, mine->uid), claimed = 0;
	struct above above = {};

	for (uint32_t i = 0; budget != AGENTCG_NONE && i < m->nr_sessions; i++) {
		const struct session *s = m->sessions[i];
		uint64_t tools;

		if (!s || s->uid != mine->uid)
			continue;
		tools = s->requested - (s->agent ? s->agent->grant.memory : 0);
		claimed += session_usage(s, u) + session_wanted(s, u, tools);
		above.requested += tools;
		above.calls += s->nr_calls - !!s->agent;
	}
	if (!above.calls || fits(budget, claimed, 0, b->granted.memory))
		return false;
	*ret = (struct shortage){
		.lack = AGENTCG_LACKS_USER_BUDGET, .before = above.calls, .before_bytes = above.requested,
	};
	return true;
}

void agentcg_lack_look(const struct begin *b, struct usage *u, struct shortage *ret)
{
	*ret = (struct shortage){};
	if (agentcg_after_pending(b->session, &b->after, b->arrival)) {
		ret->lack = AGENTCG_LACKS_AFTER;
		return;
	}
	if (look_at_quotas(b, ret) || b->wish.agent || !b->wait)
		return;
	if (b->session->m->policy.admission == AGENTCG_ADMISSION_MEMORY && !look_at_user(b, u, ret))
		look_at_memory(b, u, ret);
}

/* ---- words -------------------------------------------------------------- */

static const struct {
	const char *id, *name;
} names[] = {
	[AGENTCG_LACKS_NOTHING] = { "turn", "its turn" },
	[AGENTCG_LACKS_AFTER] = { "after", "others to end" },
	[AGENTCG_LACKS_SESSION_CALLS] = { "calls", "the session to have fewer calls" },
	[AGENTCG_LACKS_USER_CALLS] = { "calls", "the user to have fewer calls" },
	[AGENTCG_LACKS_SLOTS] = { "calls", "the machine to have fewer calls" },
	[AGENTCG_LACKS_BUDGET] = { "budget", "memory of its session's budget" },
	[AGENTCG_LACKS_USER_BUDGET] = { "budget", "memory of its user's budget" },
	[AGENTCG_LACKS_POOL] = { "memory", "memory of the pool" },
};

const char *agentcg_lack_name(enum agentcg_lack lack)
{
	return names[lack].name;
}

const char *agentcg_lack_id(enum agentcg_lack lack)
{
	return names[lack].id;
}
