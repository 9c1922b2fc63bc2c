// SPDX-License-Identifier: GPL-2.0-only
#include "pressure.h"

#include "call.h"
#include "cgroup.h"
#include "decide.h"
#include "session.h"
#include "user.h"

struct above {
	uint64_t wanted;
	bool any;
};

static uint64_t session_rank(const struct session *s)
{
	return agentcg_rank(s->grant.priority, s->arrival);
}

static uint64_t call_rank(const struct call *c)
{
	return agentcg_rank(c->grant.priority, c->number);
}

static void calls_above(const struct call *mine, struct above *above)
{
	const struct manager *m = mine->m;

	for (uint32_t i = 0; i < m->nr_calls; i++) {
		const struct call *c = m->calls[i];

		if (!c || c->session != mine->session || call_rank(c) >= call_rank(mine))
			continue;
		above->wanted += agentcg_sub(c->grant.memory, agentcg_call_usage(c));
		above->any |= !c->agent;
	}
}

static uint64_t session_usage(const struct session *s)
{
	uint64_t usage;

	return agentcg_cgroup_read_u64(s->fd, "memory.current", &usage) < 0 ? 0 : usage;
}

static void sessions_above(const struct session *mine, struct above *above)
{
	const struct manager *m = mine->m;

	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		const struct session *s = m->sessions[i];
		struct agentcg_session v;

		if (!s || session_rank(s) >= session_rank(mine))
			continue;
		v = (struct agentcg_session){
			.budget = s->grant.budget,
			.reserve = s->grant.reserve,
			.requested = s->requested,
		};
		above->wanted += agentcg_wanted(&v, session_usage(s));
		above->any |= s->nr_calls > 0;
	}
}

void agentcg_pressure_look(const struct call *c, struct pressure *ret)
{
	const struct session *s = c->session;
	const struct manager *m = c->m;
	struct agentcg_answer in_session, in_pool;
	struct agentcg_pool pool;
	struct above above = {};
	struct agentcg_view view;

	agentcg_manager_pool(m, &pool);
	calls_above(c, &above);
	view = (struct agentcg_view){
		.limit = agentcg_user_limit(s),
		.usage = session_usage(s),
		.reserve = s->yields ? pool.step_max : 0,
		.wanted_above = above.wanted,
		.nr_active = s->nr_calls,
		.top = !above.any && !s->yields,
	};
	agentcg_decide(&pool, &view, true, &in_session);
	/* A budget keeps no reserve: short is when not even a step is free. */
	ret->short_above = (above.any || s->yields) && view.limit != AGENTCG_NONE &&
			   in_session.headroom < pool.step_max;

	sessions_above(s, &above);
	view = (struct agentcg_view){
		.limit = pool.limit,
		.usage = agentcg_manager_usage(m),
		.reserve = pool.reserve,
		.wanted_above = above.wanted,
		.nr_active = m->nr_calls,
		.top = !above.any,
	};
	agentcg_decide(&pool, &view, true, &in_pool);
	ret->short_above |= above.any && in_pool.headroom < pool.reserve;
	ret->headroom = in_pool.headroom;
	ret->missing = agentcg_sub(in_pool.threshold, in_pool.headroom);
	agentcg_stricter(&in_session, &in_pool);
	ret->room = in_session.verdict != AGENTCG_HOLD;
}
