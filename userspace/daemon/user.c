// SPDX-License-Identifier: GPL-2.0-only
#include "user.h"

#include "cgroup.h"
#include "decide.h"
#include "gauge.h"
#include "log.h"
#include "session.h"
#include "size.h"
#include "watch.h"

#define BYTES(bytes)	agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, (bytes))

/* Short against what a call takes to grow by a few steps; a look costs a read for each session. */
#define LOOK_USEC	(100 * USEC_PER_MSEC)

/* As of a session's budget (alert.c), in thousandths. */
static const struct gauge_marks marks = { .up = { 800, 950 }, .down = { 750, 900 } };

struct user {
	uid_t uid;
	bool seen;
	uint64_t usage;
	struct gauge gauge;
};

struct user_watch {
	sd_event_source *source;
	struct user *list;
	size_t nr;
	uint64_t used[AGENTCG_MAX_SESSIONS];	/* by slot */
};

uint64_t agentcg_user_limit(const struct session *s)
{
	uint64_t budget = agentcg_policy_user_budget(&s->m->policy, s->uid);

	return budget == AGENTCG_NONE ? s->grant.budget : min_u64(s->grant.budget, agentcg_sub(budget, s->others));
}

static uint64_t rank(const struct session *s)
{
	return agentcg_rank(s->grant.priority, s->arrival);
}

static bool has_budget(const struct session *s)
{
	return s && agentcg_policy_user_budget(&s->m->policy, s->uid) != AGENTCG_NONE;
}

/* What the others leave of the user's budget to @s. */
static void share_out(struct session *s, const uint64_t *used)
{
	uint64_t others = 0, before = agentcg_user_limit(s), now;
	const struct manager *m = s->m;
	bool yields = false;

	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		const struct session *o = m->sessions[i];

		if (!o || o == s || o->uid != s->uid)
			continue;
		others += used[i];
		if (rank(o) < rank(s) && o->nr_calls) {
			others += agentcg_sub(o->requested, used[i]);
			yields = true;
		}
	}
	s->others = others;
	now = agentcg_user_limit(s);
	if (yields == s->yields && (now > before ? now - before : before - now) < m->policy.step_min)
		return;
	s->yields = yields;
	agentcg_session_publish(s);
}

static struct user *find_user(struct user_watch *w, uid_t uid)
{
	struct user *list;

	for (size_t i = 0; i < w->nr; i++)
		if (w->list[i].uid == uid)
			return &w->list[i];
	list = reallocarray(w->list, w->nr + 1, sizeof(*list));
	if (!list)
		return NULL;
	w->list = list;
	list[w->nr] = (struct user){ .uid = uid };
	return &list[w->nr++];
}

static void tell(struct manager *m, struct user *u)
{
	uint64_t budget = agentcg_policy_user_budget(&m->policy, u->uid);
	int level = agentcg_gauge_step(&u->gauge, &marks, u->usage / (budget / 1000 + 1), now_usec(CLOCK_MONOTONIC));

	if (level == 0)
		agentcg_watch_tell_user(m, u->uid, u->usage, "budget", "%s of the budget of user %u, %s, are free again",
					BYTES(agentcg_sub(budget, u->usage)), u->uid, BYTES(budget));
	else if (level > 0)
		agentcg_watch_tell_user(m, u->uid, u->usage, "budget", "%s of the budget of user %u, %s, are used, %u %%: %s",
					BYTES(u->usage), u->uid, BYTES(budget), (unsigned int)(u->usage / (budget / 100 + 1)),
					level == 1 ? "run less at once" : "calls are held, those of the least important session first");
}

static void sum_up(struct manager *m, struct user_watch *w)
{
	for (size_t i = 0; i < w->nr; i++)
		w->list[i].seen = false;
	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		struct session *s = m->sessions[i];
		struct user *u = has_budget(s) ? find_user(w, s->uid) : NULL;

		if (!u)
			continue;
		if (!u->seen)
			u->usage = 0;
		u->seen = true;
		u->usage += w->used[i];
	}
	for (size_t i = 0; i < w->nr;) {
		if (w->list[i].seen)
			tell(m, &w->list[i++]);
		else
			w->list[i] = w->list[--w->nr];
	}
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;
	struct user_watch *w = m->users;

	for (uint32_t i = 0; i < m->nr_sessions; i++)
		if (!has_budget(m->sessions[i]) || agentcg_cgroup_read_u64(m->sessions[i]->fd, "memory.current", &w->used[i]) < 0)
			w->used[i] = 0;
	for (uint32_t i = 0; i < m->nr_sessions; i++)
		if (has_budget(m->sessions[i]) && m->sessions[i]->nr_calls)
			share_out(m->sessions[i], w->used);
	if (m->watchers)
		sum_up(m, w);
	sd_event_source_set_time_relative(source, LOOK_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* The kernel is not to go by what a policy said that is no more. */
static void forget(struct manager *m)
{
	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		struct session *s = m->sessions[i];

		if (!s || has_budget(s) || !(s->others || s->yields))
			continue;
		s->others = 0;
		s->yields = false;
		agentcg_session_publish(s);
	}
}

void agentcg_user_start(struct manager *m)
{
	int r;

	forget(m);
	if (!agentcg_policy_user_budgets(&m->policy)) {
		agentcg_user_free(m);
		return;
	}
	if (m->users)
		return;
	m->users = calloc(1, sizeof(*m->users));
	r = m->users ? sd_event_add_time_relative(m->event, &m->users->source, CLOCK_MONOTONIC, 0, 0, on_look, m) : -ENOMEM;
	if (r < 0)
		agentcg_log(LOG_ERR, "budgets of users are not kept: %s", strerror(-r));
}

void agentcg_user_free(struct manager *m)
{
	if (!m->users)
		return;
	sd_event_source_disable_unref(m->users->source);
	free(m->users->list);
	free(m->users);
	m->users = NULL;
}
