// SPDX-License-Identifier: GPL-2.0-only
/*
 * GetScheduler: the tree of groups as far as the caller's calls compete in it.
 * These are its sessions and calls by name, and without names all that share a
 * parent with one of them or with a group above them: what a share is a share of.
 */
#include <fcntl.h>
#include <limits.h>

#include "call.h"
#include "cgroup.h"
#include "class.h"
#include "cpu.h"
#include "io-agentcg.h"
#include "latency.h"
#include "priority.h"
#include "scheduler.h"
#include "session.h"
#include "varlink.h"

/* What is known of the scheduler's slots. */
struct view {
	struct cpu *cpu;
	struct agentcg_node *nodes;			/* a copy, of a moment */
	const struct session *sessions[AGENTCG_MAX_NODES];
	const struct call *calls[AGENTCG_MAX_NODES];
	bool above[AGENTCG_MAX_NODES];			/* the pool and what is above it */
};

static struct view *free_view(struct view *v)
{
	if (v)
		free(v->nodes);
	free(v);
	return NULL;
}

static void free_viewp(struct view **v)
{
	free_view(*v);
}

static bool is_visible(const struct session *s, uid_t uid)
{
	return s && (uid == 0 || s->uid == uid);
}

/* The slot of the group that the daemon runs in, or of one above that has one. */
static int own_slot(struct cpu *cpu)
{
	_cleanup_free_ char *mount = NULL, *path = NULL;
	char dir[PATH_MAX];
	char *end;
	int slot;

	if (agentcg_cgroup_mount(&mount) < 0 || agentcg_cgroup_of_pid(0, &path) < 0)
		return -ENOENT;
	do {
		_cleanup_close_ int fd = -1;
		uint64_t id;

		snprintf(dir, sizeof(dir), "%s%s", mount, path);
		fd = agentcg_cgroup_open(AT_FDCWD, dir);
		slot = fd < 0 || agentcg_cgroup_id(fd, &id) < 0 ? -ENOENT : agentcg_cpu_slot(cpu, id);
		end = strrchr(path, '/');
		if (end)
			*end = 0;
	} while (slot < 0 && end);
	return slot;
}

/*
 * Whoever looks runs just then: without this the group of the daemon would seem
 * to want a CPU at all times.
 */
static void discount_self(struct view *v)
{
	int slot = own_slot(v->cpu);

	for (int level = 0; slot >= 0 && level <= AGENTCG_MAX_LEVEL; level++) {
		struct agentcg_node *n = &v->nodes[slot];

		if (n->nr_runnable < 1 || --n->nr_runnable || !n->level)
			return;
		slot = (int)(n->parent % AGENTCG_MAX_NODES);
	}
}

/* The copy is not quite of one moment, for the scheduler goes on: of some 100 us. */
static struct view *new_view(const struct manager *m, struct cpu *cpu, uid_t uid)
{
	struct view *v = calloc(1, sizeof(*v));
	int slot;

	if (!v)
		return NULL;
	v->cpu = cpu;
	v->nodes = malloc(AGENTCG_MAX_NODES * sizeof(*v->nodes));
	if (!v->nodes)
		return free_view(v);
	memcpy(v->nodes, agentcg_cpu_nodes(cpu), AGENTCG_MAX_NODES * sizeof(*v->nodes));

	discount_self(v);
	for (uint32_t i = 0; i < m->nr_sessions; i++)
		if (is_visible(m->sessions[i], uid)) {
			slot = agentcg_cpu_slot(cpu, m->sessions[i]->id);
			if (slot >= 0)
				v->sessions[slot] = m->sessions[i];
		}
	for (uint32_t i = 0; i < m->nr_calls; i++) {
		const struct call *c = m->calls[i];

		if (!c || c->ending || !is_visible(c->session, uid))
			continue;
		slot = agentcg_cpu_slot(cpu, c->id);
		if (slot >= 0)
			v->calls[slot] = c;
	}
	slot = agentcg_cpu_slot(cpu, m->pool_id);
	for (int level = 0; slot >= 0 && level <= AGENTCG_MAX_LEVEL; level++) {
		v->above[slot] = true;
		slot = v->nodes[slot].level ? (int)(v->nodes[slot].parent % AGENTCG_MAX_NODES) : -1;
	}
	return v;
}

/* Whether the caller's shares depend on it. */
static bool matters(const struct view *v, uint32_t slot)
{
	const struct agentcg_node *n = &v->nodes[slot];
	uint32_t parent;

	if (!n->cgroup_id)
		return false;
	if (v->above[slot] || v->sessions[slot] || v->calls[slot])
		return true;
	parent = n->parent % AGENTCG_MAX_NODES;
	return n->level && (v->above[parent] || v->sessions[parent]);
}

/* Of a call its own; of a session those of its calls together. */
static void get_latency(const struct view *v, uint32_t slot, struct agentcg_latency *ret)
{
	const struct session *s = v->sessions[slot];
	struct agentcg_hist h;

	*ret = (struct agentcg_latency){};
	if (v->calls[slot] && agentcg_cpu_wakeups(v->cpu, slot, &h) >= 0)
		agentcg_latency_add(ret, &h);
	for (uint32_t i = 0; s && i < AGENTCG_MAX_NODES; i++)
		if (v->calls[i] && v->calls[i]->session == s && agentcg_cpu_wakeups(v->cpu, i, &h) >= 0)
			agentcg_latency_add(ret, &h);
}

static int build_histogram(const struct agentcg_latency *l, sd_json_variant **ret)
{
	sd_json_variant *list[AGENTCG_HIST_BUCKETS] = {};
	size_t n = AGENTCG_HIST_BUCKETS;
	int r = 0;

	while (n && !l->count[n - 1])
		n--;
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = sd_json_variant_new_unsigned(&list[i], l->count[i]);
	if (r >= 0)
		r = sd_json_variant_new_array(ret, list, n);
	for (size_t i = 0; i < n; i++)
		sd_json_variant_unref(list[i]);
	return r;
}

static int add_latency(const struct view *v, uint32_t slot, sd_json_variant **group)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *histogram = NULL;
	struct agentcg_latency l;
	int r;

	get_latency(v, slot, &l);
	r = build_histogram(&l, &histogram);
	if (r < 0)
		return r;
	return sd_json_variant_merge_objectbo(group,
		SD_JSON_BUILD_PAIR_UNSIGNED("wakeups", agentcg_latency_wakeups(&l)),
		SD_JSON_BUILD_PAIR_UNSIGNED("p50USec", agentcg_latency_at(&l, 500) / NSEC_PER_USEC),
		SD_JSON_BUILD_PAIR_UNSIGNED("p95USec", agentcg_latency_at(&l, 950) / NSEC_PER_USEC),
		SD_JSON_BUILD_PAIR_UNSIGNED("p99USec", agentcg_latency_at(&l, 990) / NSEC_PER_USEC),
		SD_JSON_BUILD_PAIR_UNSIGNED("maxUSec", agentcg_latency_at(&l, 1000) / NSEC_PER_USEC),
		SD_JSON_BUILD_PAIR_VARIANT("histogram", histogram));
}

static int build_node(const struct view *v, uint32_t slot, sd_json_variant **ret)
{
	const struct agentcg_node *n = &v->nodes[slot], *parent = &v->nodes[n->parent % AGENTCG_MAX_NODES];
	char buf[AGENTCG_CALL_NAME_MAX];
	const char *name = NULL;
	int r;

	if (v->sessions[slot])
		name = v->sessions[slot]->name;
	else if (v->calls[slot])
		name = agentcg_call_name(v->calls[slot], buf);
	r = sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_UNSIGNED("id", n->cgroup_id),
		SD_JSON_BUILD_PAIR_CONDITION(n->level != 0, "parent", SD_JSON_BUILD_UNSIGNED(parent->cgroup_id)),
		SD_JSON_BUILD_PAIR_CONDITION(!!name, "name", SD_JSON_BUILD_STRING(name)),
		SD_JSON_BUILD_PAIR_UNSIGNED("weight", n->weight),
		SD_JSON_BUILD_PAIR_UNSIGNED("usageNSec", n->usage),
		SD_JSON_BUILD_PAIR_STRING("class", agentcg_class_name(n->class)),
		SD_JSON_BUILD_PAIR_UNSIGNED("runnable", n->nr_runnable > 0 ? (uint64_t)n->nr_runnable : 0),
		SD_JSON_BUILD_PAIR_CONDITION(n->bw_period != 0, "limit",
					     SD_JSON_BUILD_UNSIGNED(n->bw_quota * 1000 / (n->bw_period ?: 1))),
		SD_JSON_BUILD_PAIR_UNSIGNED("switches", n->nr_switches),
		SD_JSON_BUILD_PAIR_UNSIGNED("fastRuns", n->nr_fast_runs),
		SD_JSON_BUILD_PAIR_UNSIGNED("throttled", n->nr_throttled));
	return r < 0 || !name ? r : add_latency(v, slot, ret);
}

static int build_nodes(const struct manager *m, struct cpu *cpu, uid_t uid, sd_json_variant **ret)
{
	_cleanup_(free_viewp) struct view *v = new_view(m, cpu, uid);
	int r = v ? 0 : -ENOMEM;

	for (uint32_t slot = 0; r >= 0 && slot < AGENTCG_MAX_NODES; slot++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *group = NULL;

		if (!matters(v, slot))
			continue;
		r = build_node(v, slot, &group);
		if (r >= 0)
			r = sd_json_variant_append_array(ret, group);
	}
	return r;
}

/* ---- without the scheduler ---------------------------------------------- */

static int append_plain(int fd, uint64_t id, uint64_t parent, const char *name, uint32_t priority,
			sd_json_variant **list)
{
	uint64_t usec = 0;

	/* It is there without the controller too. */
	(void)agentcg_cgroup_read_key(fd, "cpu.stat", "usage_usec", &usec);
	return sd_json_variant_append_arraybo(list,
		SD_JSON_BUILD_PAIR_UNSIGNED("id", id),
		SD_JSON_BUILD_PAIR_CONDITION(parent != 0, "parent", SD_JSON_BUILD_UNSIGNED(parent)),
		SD_JSON_BUILD_PAIR_STRING("name", name),
		SD_JSON_BUILD_PAIR_UNSIGNED("weight", agentcg_priority_cpu_weight(priority)),
		SD_JSON_BUILD_PAIR_UNSIGNED("usageNSec", usec * NSEC_PER_USEC));
}

static int build_plain(const struct manager *m, uid_t uid, sd_json_variant **ret)
{
	char name[AGENTCG_CALL_NAME_MAX];
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < m->nr_sessions; i++) {
		const struct session *s = m->sessions[i];

		if (is_visible(s, uid))
			r = append_plain(s->fd, s->id, 0, s->name, s->grant.priority, ret);
	}
	for (uint32_t i = 0; r >= 0 && i < m->nr_calls; i++) {
		const struct call *c = m->calls[i];

		if (c && !c->ending && is_visible(c->session, uid))
			r = append_plain(c->fd, c->id, c->session->id, agentcg_call_name(c, name),
					 c->grant.priority, ret);
	}
	return r;
}

/* ---- the methods -------------------------------------------------------- */

static int build_counters(struct cpu *cpu, sd_json_variant **ret)
{
	static const char *const names[AGENTCG_NR_SCHED_COUNTERS] = {
		[AGENTCG_SCHED_DIRECT] = "direct",
		[AGENTCG_SCHED_FAST] = "fast",
		[AGENTCG_SCHED_PREEMPT] = "preempt",
		[AGENTCG_SCHED_HANDED] = "handed",
		[AGENTCG_SCHED_QUEUED] = "queued",
		[AGENTCG_SCHED_KEPT] = "kept",
		[AGENTCG_SCHED_EMPTY] = "empty",
		[AGENTCG_SCHED_RESCUED] = "rescued",
		[AGENTCG_SCHED_NO_NODE] = "noNode",
	};
	uint64_t counters[AGENTCG_NR_SCHED_COUNTERS] = {};
	int r = agentcg_cpu_counters(cpu, counters);

	for (int i = 0; r >= 0 && i < AGENTCG_NR_SCHED_COUNTERS; i++)
		if (names[i])
			r = sd_json_variant_set_field_unsigned(ret, names[i], counters[i]);
	return r;
}

METHOD(get_scheduler)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *groups = NULL, *counters = NULL;
	struct manager *m = userdata;
	struct cpu *cpu = agentcg_scheduler_cpu(m->scheduler);
	char why[AGENTCG_WHY_MAX];
	uint64_t now;
	uid_t uid;
	int r;

	r = sd_varlink_get_peer_uid(link, &uid);
	if (r >= 0)
		r = sd_json_variant_new_array(&groups, NULL, 0);
	now = now_usec(CLOCK_MONOTONIC) * NSEC_PER_USEC;
	if (r >= 0)
		r = cpu ? build_nodes(m, cpu, uid, &groups) : build_plain(m, uid, &groups);
	if (r >= 0 && cpu)
		r = build_counters(cpu, &counters);
	if (r < 0)
		return r;
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_STRING("active", cpu ? "sched_ext" : "weights"),
		SD_JSON_BUILD_PAIR_CONDITION(!!cpu, "sinceUSec",
					     SD_JSON_BUILD_UNSIGNED(agentcg_scheduler_since(m->scheduler))),
		SD_JSON_BUILD_PAIR_CONDITION(!cpu, "reason",
					     SD_JSON_BUILD_STRING(agentcg_scheduler_reason(m->scheduler, why))),
		SD_JSON_BUILD_PAIR_UNSIGNED("timeNSec", now),
		SD_JSON_BUILD_PAIR_INTEGER("cpus", sysconf(_SC_NPROCESSORS_ONLN)),
		SD_JSON_BUILD_PAIR_CONDITION(!!cpu, "counters", SD_JSON_BUILD_VARIANT(counters)),
		SD_JSON_BUILD_PAIR_VARIANT("groups", groups));
}

METHOD(set_thread_class)
{
	static const sd_json_dispatch_field table[] = {
		{ "tid", SD_JSON_VARIANT_UNSIGNED, agentcg_dispatch_u64, 0, SD_JSON_MANDATORY },
		{ "class", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, 8, SD_JSON_MANDATORY },
		{}
	};
	struct {
		uint64_t tid;
		const char *class;
	} p = {};
	struct manager *m = userdata;
	char why[AGENTCG_WHY_MAX];
	uid_t uid;
	int r;

	_Static_assert(offsetof(typeof(p), class) == 8, "as in the table");
	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	if (!p.tid || p.tid > INT32_MAX)
		return sd_varlink_error_invalid_parameter_name(link, "tid");
	if (!streq(p.class, "gpu") && !streq(p.class, "auto"))
		return sd_varlink_error_invalid_parameter_name(link, "class");
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	if (uid != 0)
		return agentcg_reply_denied(link, "only root may put a thread before all others");
	r = agentcg_scheduler_set_gpu(m->scheduler, (pid_t)p.tid, streq(p.class, "gpu"));
	if (r == -EOPNOTSUPP)
		return sd_varlink_errorbo(link, AGENTCG_ERROR_NOT_SUPPORTED,
			SD_JSON_BUILD_PAIR_STRING("reason", agentcg_scheduler_reason(m->scheduler, why)));
	if (r == -ESRCH)
		return sd_varlink_error_invalid_parameter_name(link, "tid");
	return r < 0 ? r : sd_varlink_reply(link, NULL);
}
