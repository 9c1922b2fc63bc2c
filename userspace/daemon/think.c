// SPDX-License-Identifier: GPL-2.0-only
#include "think.h"

#include <fcntl.h>
#include <sys/sysinfo.h>

#include "call.h"
#include "cgroup.h"
#include "decide.h"
#include "log.h"
#include "reclaim.h"
#include "session.h"
#include "size.h"

#define BYTES(bytes)	agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, (bytes))

/* Looks while there is something to do, and else. */
#define BUSY_USEC	(250 * USEC_PER_MSEC)
#define QUIET_USEC	(2 * USEC_PER_SEC)

/* Swap that is nearly full is for emergencies. */
#define SWAP_MIN	(64 * MIB)

/* Calls that are judged at once: a file each. */
#define JUDGED_AT_ONCE	64

/* Usec that some task waited for memory; 0 where the kernel does not count that. */
static uint64_t stall(const struct session *s)
{
	char buf[256], *total;

	if (agentcg_cgroup_read(s->fd, "memory.pressure", buf, sizeof(buf)) < 0)
		return 0;
	total = strstr(buf, "total=");
	return total ? strtoull(total + strlen("total="), NULL, 10) : 0;
}

/* Whether reclaim moves anonymous memory to a slower node. */
static bool demotes(void)
{
	char buf[8];

	return agentcg_cgroup_read(AT_FDCWD, "/sys/kernel/mm/numa/demotion_enabled", buf, sizeof(buf)) > 0 &&
	       streq(buf, "true");
}

static uint64_t free_swap(void)
{
	struct sysinfo info;
	uint64_t bytes;

	if (sysinfo(&info) < 0)
		return 0;
	bytes = (uint64_t)info.freeswap * info.mem_unit;
	return bytes < SWAP_MIN ? 0 : bytes;
}

static uint64_t key(const char *stat, const char *name)
{
	uint64_t v;

	return agentcg_cgroup_find_key(stat, name, &v) < 0 ? 0 : v;
}

static bool look(struct session *s, struct idle_view *v, bool *ret_anon)
{
	const struct manager *m = s->m;
	char stat[8192];
	uint64_t anon;

	if (agentcg_cgroup_read(s->fd, "memory.stat", stat, sizeof(stat)) < 0 ||
	    agentcg_cgroup_read_u64(s->fd, "memory.current", &v->usage) < 0)
		return false;
	anon = key(stat, "anon") + key(stat, "shmem");
	if (!demotes())
		anon = min_u64(anon, free_swap());
	*ret_anon = anon > 0;
	v->reclaimable = anon + key(stat, "inactive_file") + key(stat, "active_file");
	v->refaults = (key(stat, "workingset_refault_anon") + key(stat, "workingset_refault_file")) *
		      (uint64_t)sysconf(_SC_PAGESIZE);
	v->stall = stall(s);
	v->pool_max = m->pool_max;
	v->headroom = agentcg_sub(m->pool_max, agentcg_manager_usage(m));
	return true;
}

/*
 * The agent's leaf is protected from reclaim that comes from above; so it is
 * taken from there if most is there.
 */
static int target(const struct session *s, uint64_t usage)
{
	const struct manager *m = s->m;

	for (uint32_t i = 0; i < m->nr_calls; i++)
		if (m->calls[i] && m->calls[i]->session == s && m->calls[i]->agent)
			return agentcg_call_usage(m->calls[i]) > usage / 2 ? m->calls[i]->fd : s->fd;
	return s->fd;
}

static void step(struct session *s, uint64_t now)
{
	struct idle_view v = { .now = now, .after = s->m->policy.idle_after_usec };
	uint64_t bytes;
	bool anon;
	int r;

	if (!look(s, &v, &anon))
		return;
	bytes = agentcg_idle_step(&s->idle, &v);
	if (!bytes)
		return;
	r = agentcg_reclaim(target(s, v.usage), bytes, !anon);
	agentcg_log(LOG_DEBUG, "%s: idle, %s of %s are reclaimed: %s", s->name, BYTES(bytes), BYTES(v.usage),
		    r < 0 ? strerror(-r) : anon ? "swapped out or dropped" : "dropped");
}

/* What the first second of calls lost that came after think time; whether some are still in it. */
static bool judge(struct manager *m, uint64_t now)
{
	bool waiting = false;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		struct session *s = m->sessions[i];
		uint64_t total, before;

		if (!s || !s->idle.woke)
			continue;
		waiting = true;
		if (n == JUDGED_AT_ONCE || !agentcg_idle_measured(&s->idle, now))
			continue;
		n++;
		before = s->idle.woke_stall;
		total = stall(s);
		agentcg_idle_judge(&s->idle, now, total);
		agentcg_log(LOG_DEBUG, "%s: its call lost %llu ms; %u of 1000 may be taken the next time", s->name,
			    (unsigned long long)((total - before) / USEC_PER_MSEC), s->idle.share);
	}
	return waiting;
}

/* The next session that is due, in turn. */
static struct session *choose(struct manager *m, uint64_t now)
{
	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		struct session *s;

		if (m->think.next >= m->nr_sessions)
			m->think.next = 0;
		s = m->sessions[m->think.next++];
		if (s && !s->closing && agentcg_idle_due(&s->idle, now, m->policy.idle_after_usec))
			return s;
	}
	return NULL;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	struct manager *m = userdata;
	struct session *s = NULL;
	bool waiting;

	if (!m->nr_sessions) {
		m->think.source = sd_event_source_disable_unref(m->think.source);
		return 0;
	}
	waiting = judge(m, now);
	/* Those who are held come first: one reclaims at a time. */
	if (m->policy.idle == AGENTCG_IDLE_AUTO && !agentcg_reclaim_runs())
		s = choose(m, now);
	if (s)
		step(s, now);
	sd_event_source_set_time_relative(source, s || waiting ? BUSY_USEC : QUIET_USEC);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void start(struct manager *m)
{
	int r;

	if (m->think.source || m->stopping)
		return;
	r = sd_event_add_time_relative(m->event, &m->think.source, CLOCK_MONOTONIC, QUIET_USEC, 0, on_timer, m);
	if (r < 0)
		agentcg_log(LOG_ERR, "no timer for think time: %s", strerror(-r));
}

void agentcg_think_busy(struct session *s)
{
	if (s->tools++)
		return;
	agentcg_idle_wake(&s->idle, now_usec(CLOCK_MONOTONIC), s->idle.taken ? stall(s) : 0);
	start(s->m);
	/* To be measured in time. */
	if (s->idle.woke && s->m->think.source)
		sd_event_source_set_time_relative(s->m->think.source, BUSY_USEC);
}

void agentcg_think_free(struct session *s)
{
	if (!--s->tools)
		agentcg_idle_rest(&s->idle, now_usec(CLOCK_MONOTONIC));
}
