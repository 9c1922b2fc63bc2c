// SPDX-License-Identifier: GPL-2.0-only
/*
 * The launch probe, hung on a worker: its launches are followed, shown, and the
 * threads that make them told to the scheduler.  The probe is loaded with the first worker
 * and goes with the last.
 */
#include "launch-part.h"

#include "launches.h"
#include "scheduler.h"
#include "worker.h"

/* Threads that feed the GPU live long; they are looked for so often. */
#define THREADS_USEC	(2 * USEC_PER_SEC)

struct worker_launch {
	struct launches *launches;	/* of all workers; NULL: see why */
	sd_event_source *timer;
	int gpu_busy;
	char why[AGENTCG_WHY_MAX];
};

static struct {
	struct launches *launches;
	unsigned int users;
} shared;

/* A worker without a group is known by its process, which is no group's id. */
static uint64_t key_of(const struct worker *w)
{
	return w->id ?: 1ULL << 63 | (uint64_t)w->pid;
}

static struct launches *get_launches(char *why)
{
	int r = shared.launches ? 0 : agentcg_launches_open(&shared.launches);

	if (r < 0) {
		agentcg_why(r, why, "cannot start to measure launches: %s", strerror(-r));
		return NULL;
	}
	shared.users++;
	return shared.launches;
}

static void put_launches(void)
{
	if (!--shared.users)
		shared.launches = agentcg_launches_close(shared.launches);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct worker *w = userdata;
	pid_t tids[AGENTCG_LAUNCH_THREADS];
	int n = agentcg_launches_threads(w->launch->launches, key_of(w), tids, ARRAY_SIZE(tids));

	/* Without a scheduler of ours there is nobody to tell; a thread may be gone. */
	for (int i = 0; i < n; i++)
		agentcg_scheduler_set_gpu(w->m->scheduler, tids[i], true);
	sd_event_source_set_time_relative(source, THREADS_USEC);
	return 0;
}

static int follow(struct worker *w, struct worker_launch *l)
{
	int r;

	l->launches = get_launches(l->why);
	if (!l->launches)
		return -EOPNOTSUPP;
	r = agentcg_launches_add(l->launches, key_of(w), w->fd, w->pid, l->why);
	if (!r) {
		r = sd_event_add_time_relative(w->m->event, &l->timer, CLOCK_MONOTONIC, THREADS_USEC, 0, on_timer, w);
		if (r >= 0)
			r = sd_event_source_set_enabled(l->timer, SD_EVENT_ON);
		if (r >= 0)
			return 0;
		agentcg_why(r, l->why, "cannot look for its threads: %s", strerror(-r));
		agentcg_launches_remove(l->launches, key_of(w));
	}
	l->timer = sd_event_source_disable_unref(l->timer);
	l->launches = NULL;
	put_launches();
	return r;
}

static void begin(struct worker *w)
{
	if (w->launch)
		return;
	w->launch = calloc(1, sizeof(*w->launch));
	if (!w->launch)
		return;
	w->launch->gpu_busy = -1;
	follow(w, w->launch);
}

static void end(struct worker *w)
{
	struct worker_launch *l = w->launch;

	if (!l)
		return;
	w->launch = NULL;
	sd_event_source_disable_unref(l->timer);
	if (l->launches) {
		agentcg_launches_remove(l->launches, key_of(w));
		put_launches();
	}
	free(l);
}

void agentcg_launch_set_busy(struct worker *w, int percent)
{
	if (w->launch)
		w->launch->gpu_busy = percent;
}

static int build_figures(const struct launch_figures *f, int gpu_busy, sd_json_variant **ret)
{
	struct bound_in bound = f->bound;
	bool seen = f->sampled;

	bound.gpu_busy = gpu_busy;
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_UNSIGNED("launches", f->launches),
		SD_JSON_BUILD_PAIR_UNSIGNED("sampled", f->sampled),
		SD_JSON_BUILD_PAIR_CONDITION(seen, "p50NSec", SD_JSON_BUILD_UNSIGNED(f->p50_nsec)),
		SD_JSON_BUILD_PAIR_CONDITION(seen, "p99NSec", SD_JSON_BUILD_UNSIGNED(f->p99_nsec)),
		SD_JSON_BUILD_PAIR_CONDITION(f->seen > 0, "tklqtNSec", SD_JSON_BUILD_UNSIGNED(f->tklqt_nsec)),
		SD_JSON_BUILD_PAIR_STRING("boundBy", agentcg_bound_name(agentcg_bound_by(&bound))),
		SD_JSON_BUILD_PAIR_CONDITION(f->reason[0], "reason", SD_JSON_BUILD_STRING(f->reason)));
}

static int build(struct worker *w, uid_t uid, sd_json_variant **object)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	struct launch_figures f = {};
	int r;

	if (!w->launch)
		return 0;
	if (w->launch->launches)
		agentcg_launches_read(w->launch->launches, key_of(w), &f);
	else
		snprintf(f.reason, sizeof(f.reason), "%s", w->launch->why);
	r = build_figures(&f, w->launch->gpu_busy, &v);
	return r < 0 ? r : sd_json_variant_set_field(object, "launches", v);
}

const struct worker_part agentcg_launch_part = {
	.name = "launches",
	.begin = begin,
	.end = end,
	.build = build,
};
