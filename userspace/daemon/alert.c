// SPDX-License-Identifier: GPL-2.0-only
#include "alert.h"

#include "cgroup.h"
#include "decide.h"
#include "log.h"
#include "manager.h"
#include "session.h"
#include "size.h"
#include "watch.h"

#define BYTES(bytes)	agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, (bytes))

#define INTERVAL_USEC	(500 * USEC_PER_MSEC)
/* Sessions looked at each time: two files each, so that a look takes a millisecond. */
#define SESSIONS_AT_ONCE	64

/* Thousandths of a budget. */
static const struct gauge_marks budget_marks = { .up = { 800, 950 }, .down = { 750, 900 } };
/* Hundredths of a percent of time in which some task waits for memory, over 10 s. */
static const struct gauge_marks psi_marks = { .up = { 1000, 4000 }, .down = { 500, 2000 } };

static uint32_t psi(int fd)
{
	char buf[256];

	return agentcg_cgroup_read(fd, "memory.pressure", buf, sizeof(buf)) < 0 ? 0 : agentcg_gauge_psi(buf);
}

/* Where calls are slowed, and where they are held: the policy's own thresholds. */
static void look_at_headroom(struct manager *m, uint64_t now)
{
	uint64_t hold = m->policy.reserve, slow = hold + m->policy.throttle_band, some = slow / 4;
	uint64_t headroom = agentcg_sub(m->pool_max, agentcg_manager_usage(m));
	const struct gauge_marks marks = {
		.up = { agentcg_sub(m->pool_max, slow), agentcg_sub(m->pool_max, hold) },
		.down = { agentcg_sub(m->pool_max, slow + some), agentcg_sub(m->pool_max, hold + some) },
	};

	switch (agentcg_gauge_step(&m->alerts.headroom, &marks, m->pool_max - headroom, now)) {
	case 0:
		agentcg_watch_tell_pool(m, "pressure", "%s are free again in the pool", BYTES(headroom));
		break;
	case 1:
		agentcg_watch_tell_pool(m, "pressure", "%s are free in the pool: calls are slowed as it nears %s",
					BYTES(headroom), BYTES(hold));
		break;
	case 2:
		agentcg_watch_tell_pool(m, "pressure", "%s are free in the pool: calls are held, the least important ones first",
					BYTES(headroom));
		break;
	}
}

static void look_at_pool(struct manager *m, uint64_t now)
{
	uint32_t stalled = psi(m->pool_fd);
	int level;

	look_at_headroom(m, now);
	level = agentcg_gauge_step(&m->alerts.psi, &psi_marks, stalled, now);
	if (level >= 0)
		agentcg_watch_tell_pool(m, "pressure", "tasks wait for memory %u %% of the time%s", stalled / 100,
					level ? ": run less at once" : " only");
}

static void look_at_budget(struct session *s, uint64_t now)
{
	uint64_t usage, budget = s->grant.budget;
	int level;

	if (budget == AGENTCG_NONE || agentcg_cgroup_read_u64(s->fd, "memory.current", &usage) < 0)
		return;
	level = agentcg_gauge_step(&s->alerts.budget, &budget_marks, usage / (budget / 1000 + 1), now);
	if (level == 0)
		agentcg_watch_tell_session(s, "budget", "%s of its budget of %s are free again",
					   BYTES(agentcg_sub(budget, usage)), BYTES(budget));
	else if (level > 0)
		agentcg_watch_tell_session(s, "budget", "%s of its budget of %s are used, %u %%: %s", BYTES(usage), BYTES(budget),
					   (unsigned int)(usage / (budget / 100 + 1)),
					   level == 1 ? "run less at once" : "when it is full, a call is killed");
}

static void look_at_session(struct session *s, uint64_t now)
{
	uint32_t stalled = psi(s->fd);
	int level;

	look_at_budget(s, now);
	level = agentcg_gauge_step(&s->alerts.psi, &psi_marks, stalled, now);
	if (level >= 0)
		agentcg_watch_tell_session(s, "pressure", "its tasks wait for memory %u %% of the time%s", stalled / 100,
					   level ? ": run less at once" : " only");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	struct manager *m = userdata;
	struct alerts *a = &m->alerts;

	if (!m->watchers) {
		a->source = sd_event_source_disable_unref(a->source);
		return 0;
	}
	look_at_pool(m, now);
	for (uint32_t i = 0; i < min_u64(m->nr_sessions, SESSIONS_AT_ONCE); i++) {
		if (a->next >= m->nr_sessions)
			a->next = 0;
		if (m->sessions[a->next] && agentcg_watch_wanted(m, m->sessions[a->next]->uid))
			look_at_session(m->sessions[a->next], now);
		a->next++;
	}
	sd_event_source_set_time_relative(source, INTERVAL_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void agentcg_alert_start(struct manager *m)
{
	int r;

	if (m->alerts.source)
		return;
	r = sd_event_add_time_relative(m->event, &m->alerts.source, CLOCK_MONOTONIC, INTERVAL_USEC, 0, on_timer, m);
	if (r < 0)
		agentcg_log(LOG_ERR, "no timer for pressure: %s", strerror(-r));
}
