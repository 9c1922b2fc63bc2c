// SPDX-License-Identifier: GPL-2.0-only
#include "feed.h"

#include <sched.h>

#include "cgroup.h"
#include "manager.h"
#include "scheduler.h"

/* More threads than these launch nothing, however they are called. */
#define FEEDERS_MAX	256

struct worker_feed {
	uint64_t since;			/* of the scheduler that knows them */
	pid_t tids[FEEDERS_MAX];
	size_t nr;
};

static struct worker_feed *get(struct worker *w)
{
	if (!w->feed)
		w->feed = calloc(1, sizeof(*w->feed));
	return w->feed;
}

static bool knows(const struct worker_feed *f, pid_t tid)
{
	for (size_t i = 0; i < f->nr; i++)
		if (f->tids[i] == tid)
			return true;
	return false;
}

/* CPUs that a thread may use. */
static size_t cpus_of(pid_t tid)
{
	size_t size = CPU_ALLOC_SIZE(AGENTCG_CPUS_MAX), n = 0;
	cpu_set_t *set = CPU_ALLOC(AGENTCG_CPUS_MAX);

	if (set && sched_getaffinity(tid, size, set) == 0)
		n = (size_t)CPU_COUNT_S(size, set);
	CPU_FREE(set);
	return n;
}

void agentcg_feed_add(struct worker *w, pid_t tid)
{
	struct worker_feed *f = get(w);

	/*
	 * Such threads may spin: what else the worker does wants a CPU too, also where the engine is bound to fewer than
	 * it has (its threads for clients would send nothing until it has nothing more to compute).
	 */
	if (!f || f->nr == FEEDERS_MAX || knows(f, tid) || f->nr + 1 >= min_u64(cpus_count(&w->place.cpus), cpus_of(tid)))
		return;
	if (agentcg_scheduler_set_gpu(w->m->scheduler, tid, true) >= 0)
		f->tids[f->nr++] = tid;
}

/* Of those that have ended the numbers are given again. */
static void forget_ended(struct worker_feed *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->nr; i++) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/comm", f->tids[i]);
		if (access(path, F_OK) == 0)
			f->tids[n++] = f->tids[i];
	}
	f->nr = n;
}

static bool feeds(const struct worker *w, pid_t tid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], name[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	f = fopen(path, "re");
	if (!f || !fgets(name, sizeof(name), f))
		return false;
	name[strcspn(name, "\n")] = 0;
	return agentcg_engine_feeds(w->engine, name);
}

void agentcg_feed_look(struct worker *w)
{
	uint64_t since = agentcg_scheduler_since(w->m->scheduler);
	_cleanup_free_ char *text = NULL;
	struct worker_feed *f = get(w);
	char *save = NULL;

	if (!f || w->fd < 0 || !since)
		return;
	if (f->since != since) {
		struct worker_feed before = *f;

		*f = (struct worker_feed){ .since = since };
		for (size_t i = 0; i < before.nr; i++)
			agentcg_feed_add(w, before.tids[i]);
	}
	forget_ended(f);
	text = malloc(64 * KIB);
	if (!text || agentcg_cgroup_read(w->fd, "cgroup.threads", text, 64 * KIB) < 0)
		return;
	for (char *t = strtok_r(text, "\n", &save); t; t = strtok_r(NULL, "\n", &save)) {
		pid_t tid = (pid_t)strtol(t, NULL, 10);

		if (!knows(f, tid) && feeds(w, tid))
			agentcg_feed_add(w, tid);
	}
}

unsigned int agentcg_feed_count(const struct worker *w)
{
	return w->feed ? (unsigned int)w->feed->nr : 0;
}

void agentcg_feed_done(struct worker *w)
{
	for (size_t i = 0; w->feed && i < w->feed->nr; i++)
		(void)agentcg_scheduler_set_gpu(w->m->scheduler, w->feed->tids[i], false);
	free(w->feed);
	w->feed = NULL;
}
