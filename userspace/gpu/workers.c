// SPDX-License-Identifier: GPL-2.0-only
#include "workers.h"

#include <dirent.h>
#include <sys/epoll.h>

#include "bind.h"
#include "cgroup.h"
#include "launch-part.h"
#include "log.h"
#include "manager.h"
#include "mps.h"
#include "mps-part.h"
#include "yield-pool.h"

/* Threads, usage and CPUs tell nobody when they change. */
#define TICK_USEC		(2 * USEC_PER_SEC)
/* Whether one that starts has executed its command. */
#define TICK_STARTING_USEC	(100 * USEC_PER_MSEC)
/* ... whether new kernel threads came: those that matter are there from the boot on. */
#define KTHREADS_TICKS		5
/* A snapshot of the GPUs that is no older is good enough to answer with, and so long one is waited for. */
#define FRESH_USEC		(1 * USEC_PER_SEC)
#define ANSWER_USEC		(1 * USEC_PER_SEC)

struct worker_asker {
	struct worker_asker *next;
	struct workers *ws;
	sd_varlink *link;
	worker_answer_t answer;
	sd_event_source *timer;
};

const struct worker_part *agentcg_worker_part(size_t i)
{
	static const struct worker_part *const all[] = {
		&agentcg_share_part, &agentcg_launch_part, &agentcg_engine_part, &agentcg_metrics_part,
	};

	return i < ARRAY_SIZE(all) ? all[i] : NULL;
}

/* ---- GPUs --------------------------------------------------------------- */

static void check_gpus(struct workers *ws, struct worker *w)
{
	for (unsigned int i = 0; i < w->nr_gpus; i++) {
		const struct gpu *g = agentcg_gpus_find(&ws->gpus, w->gpus[i]);

		if (g && g->state == GPU_OK)
			continue;
		/* None at all: the driver does not answer, which says nothing of this one. */
		if (!g && !ws->gpus.nr)
			return;
		if (w->state != WORKER_GPU_LOST) {
			char reason[AGENTCG_WHY_MAX];

			agentcg_why(0, reason, "GPU %s is lost: %s", w->gpus[i], g && *g->error ? g->error : "it is not there any more");
			agentcg_worker_set_state(w, WORKER_GPU_LOST, reason);
		}
		return;
	}
	if (w->state == WORKER_GPU_LOST)
		agentcg_worker_set_state(w, WORKER_RUNNING, NULL);
}

/* The busiest of its GPUs. */
static void tell_busy(const struct workers *ws, struct worker *w)
{
	int busy = -1;

	for (unsigned int i = 0; i < w->nr_gpus; i++) {
		const struct gpu *g = agentcg_gpus_find(&ws->gpus, w->gpus[i]);

		if (g && g->busy > busy)
			busy = g->busy;
	}
	agentcg_launch_set_busy(w, busy);
}

static void answer(struct worker_asker *a)
{
	for (struct worker_asker **p = &a->ws->askers; *p; p = &(*p)->next)
		if (*p == a) {
			*p = a->next;
			break;
		}
	if (a->answer && !a->ws->m->stopping) {
		int r = a->answer(a->ws, a->link);

		if (r < 0)
			(void)sd_varlink_error_errno(a->link, r);
	}
	sd_event_source_disable_unref(a->timer);
	sd_varlink_unref(a->link);
	free(a);
}

static int on_nvml(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct workers *ws = userdata;

	agentcg_nvml_get(ws->nvml, &ws->gpus);
	for (unsigned int i = 0; i < ws->nr; i++) {
		if (ws->list[i]->state != WORKER_STARTING)
			check_gpus(ws, ws->list[i]);
		tell_busy(ws, ws->list[i]);
	}
	while (ws->askers)
		answer(ws->askers);
	return 0;
}

static int on_waited(sd_event_source *source, uint64_t usec, void *userdata)
{
	answer(userdata);
	return 0;
}

int agentcg_workers_ask(struct workers *ws, sd_varlink *link, worker_answer_t done)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	struct worker_asker *a;
	int r;

	if (!ws->nvml || (ws->gpus.time_usec && now - ws->gpus.time_usec < FRESH_USEC))
		return done(ws, link);
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	*a = (struct worker_asker){ .next = ws->askers, .ws = ws, .link = sd_varlink_ref(link), .answer = done };
	ws->askers = a;
	r = sd_event_add_time_relative(ws->m->event, &a->timer, CLOCK_MONOTONIC, ANSWER_USEC, 0, on_waited, a);
	if (r < 0) {
		a->answer = NULL;
		answer(a);
		return r;
	}
	agentcg_nvml_refresh(ws->nvml);
	return 0;
}

/* ---- placement ---------------------------------------------------------- */

static void place_policy(const struct manager *m, struct place_policy *ret)
{
	const struct agentcg_gpu_policy *gpu = &m->policy.gpu;

	*ret = (struct place_policy){ .calls_min = gpu->call_cores, .when_short = (enum place_short)gpu->when_short };
	if (!streq(gpu->far_nodes, "auto") && !streq(gpu->far_nodes, "none"))
		(void)cpus_parse(gpu->far_nodes, &ret->far_nodes);
}

/* All get their place, or nobody's changes: the partition covers both while they change. */
static int put(struct workers *ws, const struct placement *places, char *why)
{
	struct cpus after = {}, both = ws->slice.cpus;
	unsigned int i;
	int r;

	for (i = 0; i < ws->nr; i++)
		cpus_or(&after, &places[i].cpus);
	cpus_or(&both, &after);
	r = agentcg_slice_set_cpus(&ws->slice, &both, why);
	for (i = 0; !r && i < ws->nr; i++) {
		r = agentcg_worker_bind(ws->list[i], &places[i]);
		if (r < 0)
			agentcg_why(r, why, "cannot bind worker %s: %s", ws->list[i]->name, strerror(-r));
	}
	if (!r)
		r = agentcg_slice_set_cpus(&ws->slice, &after, why);
	agentcg_slice_clear(&ws->slice);
	return r;
}

static int place(struct workers *ws, struct place_wish *wishes, struct placement *places, struct placement *before, char *why)
{
	struct place_policy policy;
	unsigned int i;
	int r;

	place_policy(ws->m, &policy);
	for (i = 0; i < ws->nr; i++) {
		wishes[i] = ws->list[i]->wish;
		before[i] = ws->list[i]->place;
	}
	r = agentcg_place(&ws->topology, &policy, wishes, places, ws->nr);
	for (i = 0; i < ws->nr; i++) {
		if (streq(ws->m->policy.gpu.far_nodes, "none"))
			places[i].far = (struct cpus){};
		if (cpus_empty(&places[i].cpus))
			return agentcg_why(r ?: -ENOSPC, why, "%s: %s", ws->list[i]->name,
					   *places[i].why ? places[i].why : "there is not one core for each");
	}
	if (r < 0)
		return agentcg_why(r, why, "workers cannot be placed: %s", strerror(-r));
	r = put(ws, places, why);
	if (r < 0)
		for (i = 0; i < ws->nr; i++)
			if (!cpus_empty(&before[i].cpus))
				(void)agentcg_worker_bind(ws->list[i], &before[i]);
	return r;
}

int agentcg_workers_place(struct workers *ws, char *why)
{
	_cleanup_free_ struct place_wish *wishes = calloc(ws->nr + 1, sizeof(*wishes));
	_cleanup_free_ struct placement *places = calloc(2 * ws->nr + 1, sizeof(*places));
	int r;

	if (!wishes || !places)
		return -ENOMEM;
	agentcg_topology_done(&ws->topology);
	r = agentcg_topology_read(AGENTCG_SYSFS, &ws->topology);
	if (r < 0)
		return agentcg_why(r, why, "cannot read the machine's topology: %s", strerror(-r));
	if (ws->nr)
		return place(ws, wishes, places, places + ws->nr, why);
	agentcg_slice_remove(&ws->slice);
	return 0;
}

void agentcg_workers_call_cpus(const struct workers *ws, struct cpus *ret)
{
	*ret = ws->topology.online;
	for (unsigned int i = 0; i < ws->nr; i++)
		cpus_andnot(ret, &ws->list[i]->place.cpus);
}

/* ---- memory ------------------------------------------------------------- */

void agentcg_workers_protect(struct workers *ws)
{
	uint64_t sum = 0, current, min[AGENTCG_WORKERS_MAX];
	unsigned int i;

	for (i = 0; i < ws->nr; i++) {
		const struct worker *w = ws->list[i];

		if (w->fd < 0 || agentcg_cgroup_read_u64(w->fd, "memory.current", &current) < 0)
			current = 0;
		min[i] = w->fd < 0 ? 0 : agentcg_worker_protection(w->memory, w->min, current);
		sum += min[i];
	}
	/* What is above first: a group is protected only as far as they are. */
	if (sum > ws->slice.min && agentcg_slice_set_min(&ws->slice, sum) < 0)
		agentcg_log(LOG_WARNING, "cannot protect the memory of GPU workers");
	for (i = 0; i < ws->nr; i++)
		if (min[i] != ws->list[i]->min && agentcg_cgroup_write_u64(ws->list[i]->fd, "memory.min", min[i]) >= 0)
			ws->list[i]->min = min[i];
	(void)agentcg_slice_set_min(&ws->slice, sum);
	(void)agentcg_manager_limit_pool(ws->m);
}

uint64_t agentcg_workers_taken(const struct manager *m)
{
	const struct workers *ws = m->workers;
	uint64_t sum = 0;

	for (unsigned int i = 0; ws && i < ws->nr; i++)
		sum += agentcg_worker_taken(ws->list[i]);
	return sum;
}

/* ---- now and then ------------------------------------------------------- */

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata);

static void look_in(struct workers *ws)
{
	uint64_t wait = TICK_USEC;

	ws->tick = sd_event_source_disable_unref(ws->tick);
	for (unsigned int i = 0; i < ws->nr; i++)
		if (ws->list[i]->state == WORKER_STARTING)
			wait = TICK_STARTING_USEC;
	if (ws->nr && sd_event_add_time_relative(ws->m->event, &ws->tick, CLOCK_MONOTONIC, wait, 0, on_tick, ws) < 0)
		agentcg_log(LOG_WARNING, "cannot watch the GPU workers");
}

/* CPUs came or went, or the partition broke for another reason. */
static void check_cpus(struct workers *ws)
{
	struct topology now = {};
	char why[AGENTCG_WHY_MAX];
	bool valid = !ws->slice.can_cpuset || cpus_empty(&ws->slice.cpus) || agentcg_slice_check(&ws->slice);

	if (agentcg_topology_read(AGENTCG_SYSFS, &now) < 0)
		return;
	if ((!valid || !cpus_equal(&now.online, &ws->topology.online)) && agentcg_workers_place(ws, why) < 0)
		agentcg_log(LOG_WARNING, "GPU workers keep the cores that they have: %s", why);
	agentcg_topology_done(&now);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct workers *ws = userdata;
	uint64_t now = now_usec(CLOCK_MONOTONIC);

	for (unsigned int i = 0; i < ws->nr; i++)
		agentcg_worker_look(ws->list[i]);
	if (now - ws->looked_usec >= TICK_USEC) {
		ws->looked_usec = now;
		check_cpus(ws);
		if (ws->ticks++ % KTHREADS_TICKS == 0)
			agentcg_slice_clear(&ws->slice);
		agentcg_workers_protect(ws);
		if (ws->nvml)
			agentcg_nvml_refresh(ws->nvml);
	}
	look_in(ws);
	return 0;
}

/* ---- the list ----------------------------------------------------------- */

int agentcg_workers_add(struct workers *ws, struct worker *w)
{
	if (ws->nr == AGENTCG_WORKERS_MAX)
		return -ENOSPC;
	ws->list[ws->nr++] = w;
	look_in(ws);
	return 0;
}

void agentcg_workers_remove(struct workers *ws, struct worker *w)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < ws->nr; i++)
		if (ws->list[i] != w)
			ws->list[n++] = ws->list[i];
	ws->nr = n;
	agentcg_mps_part_removed(ws, w);
}

struct worker *agentcg_workers_of(struct workers *ws, pid_t pid)
{
	_cleanup_free_ char *path = NULL;
	const char *name;

	for (unsigned int i = 0; i < ws->nr; i++)
		if (ws->list[i]->fd < 0 && agentcg_tree_is_below(pid, ws->list[i]->pid))
			return ws->list[i];
	if (!ws->slice.path || agentcg_cgroup_of_pid(pid, &path) < 0)
		return NULL;
	name = startswith(path, ws->slice.path);
	name = name ? startswith(name, "/" AGENTCG_WORKER_PREFIX) : NULL;
	if (!name)
		return NULL;
	path[(name - path) + (ptrdiff_t)strcspn(name, "/")] = 0;
	return agentcg_worker_find(ws->m, name);
}

/* ---- beginning and end -------------------------------------------------- */

static int compare_age(const void *a, const void *b)
{
	const struct worker *x = *(struct worker *const *)a, *y = *(struct worker *const *)b;

	return x->began_usec < y->began_usec ? -1 : x->began_usec > y->began_usec;
}

/* A group without a record was half-made: whoever was to come into it was not told to go on. */
static void adopt(struct workers *ws)
{
	int copy = agentcg_cgroup_open(ws->slice.fd, ".");
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	char why[AGENTCG_WHY_MAX];

	for (struct dirent *d; dir && (d = readdir(dir));) {
		const char *name = startswith(d->d_name, AGENTCG_WORKER_PREFIX);

		if (d->d_type != DT_DIR || !name || !agentcg_worker_name_valid(name))
			continue;
		if (agentcg_worker_adopt(ws->m, name) < 0 && agentcg_slice_drop(&ws->slice, name) < 0)
			agentcg_log(LOG_WARNING, "%s/%s has no record and processes: it is left alone", ws->slice.path, d->d_name);
	}
	if (dir)
		closedir(dir);
	qsort(ws->list, ws->nr, sizeof(ws->list[0]), compare_age);
	if (agentcg_workers_place(ws, why) < 0)
		agentcg_log(LOG_WARNING, "GPU workers keep the cores that they have: %s", why);
	agentcg_workers_protect(ws);
	if (ws->nr)
		agentcg_log(LOG_INFO, "adopted %u GPU workers", ws->nr);
}

static int open_slice(struct workers *ws)
{
	_cleanup_free_ char *mount = NULL;
	struct manager *m = ws->m;

	if (m->pool_fd < 0 || agentcg_cgroup_mount(&mount) < 0)
		return agentcg_slice_init(&ws->slice, NULL, NULL, m->pool_reason);
	return agentcg_slice_init(&ws->slice, mount, m->root_path, NULL);
}

int agentcg_workers_open(struct manager *m)
{
	struct workers *ws = calloc(1, sizeof(*ws));
	int r;

	if (!ws)
		return -ENOMEM;
	ws->m = m;
	ws->slice.fd = -1;
	m->workers = ws;
	r = agentcg_yield_pool_open(m);
	if (!r)
		r = agentcg_mps_part_open(ws);
	if (!r)
		r = open_slice(ws);
	if (!r)
		r = agentcg_topology_read(AGENTCG_SYSFS, &ws->topology);
	if (r < 0)
		return r;
	if (agentcg_nvml_open(&ws->nvml, NULL) >= 0) {
		(void)sd_event_add_io(m->event, &ws->nvml_source, agentcg_nvml_fd(ws->nvml), EPOLLIN, on_nvml, ws);
		agentcg_nvml_refresh(ws->nvml);
	}
	if (agentcg_slice_adopt(&ws->slice) >= 0)
		adopt(ws);
	agentcg_mps_part_adopted(ws);
	return 0;
}

void agentcg_workers_apply(struct manager *m)
{
	char why[AGENTCG_WHY_MAX];

	if (!m->workers || !m->workers->nr)
		return;
	if (agentcg_workers_place(m->workers, why) < 0)
		agentcg_log(LOG_WARNING, "GPU workers keep the cores that they have: %s", why);
	agentcg_workers_protect(m->workers);
}

struct workers *agentcg_workers_free(struct workers *ws)
{
	if (!ws)
		return NULL;
	while (ws->askers)
		answer(ws->askers);
	sd_event_source_disable_unref(ws->tick);
	sd_event_source_disable_unref(ws->nvml_source);
	while (ws->nr)
		agentcg_worker_free(ws->list[--ws->nr]);
	ws->mps = agentcg_mps_free(ws->mps);
	ws->m->yield = agentcg_yield_pool_free(ws->m->yield);
	agentcg_nvml_close(ws->nvml);
	agentcg_topology_done(&ws->topology);
	agentcg_slice_done(&ws->slice);
	free(ws);
	return NULL;
}
