// SPDX-License-Identifier: GPL-2.0-only
#include "call.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "class.h"
#include "climb.h"
#include "decide.h"
#include "end.h"
#include "kernel.h"
#include "log.h"
#include "pause.h"
#include "priority.h"
#include "record.h"
#include "scheduler.h"
#include "session.h"
#include "size.h"
#include "watch.h"

const char *agentcg_call_name(const struct call *c, char buf[AGENTCG_CALL_NAME_MAX])
{
	if (c->agent)
		snprintf(buf, AGENTCG_CALL_NAME_MAX, "%s/" AGENTCG_AGENT_LEAF, c->session->name);
	else
		snprintf(buf, AGENTCG_CALL_NAME_MAX, "%s/" AGENTCG_TOOL_PREFIX "%u",
			 c->session->name, c->number);
	return buf;
}

struct call *agentcg_call_find(struct manager *m, const char *name)
{
	const char *leaf = strrchr(name, '/');
	char buf[AGENTCG_CALL_NAME_MAX];
	struct session *s = NULL;

	if (leaf && (size_t)(leaf - name) < sizeof(buf)) {
		snprintf(buf, sizeof(buf), "%.*s", (int)(leaf - name), name);
		s = agentcg_session_find(m, buf);
	}
	for (uint32_t i = 0; s && i < m->nr_calls; i++)
		if (m->calls[i] && m->calls[i]->session == s &&
		    streq(agentcg_call_name(m->calls[i], buf), name))
			return m->calls[i];
	return NULL;
}

const char *agentcg_call_leaf(const struct call *c, char buf[AGENTCG_CALL_NAME_MAX])
{
	return strchr(agentcg_call_name(c, buf), '/') + 1;
}

char *agentcg_call_path(const struct call *c)
{
	_cleanup_free_ char *session = agentcg_session_path(c->session);
	char buf[AGENTCG_CALL_NAME_MAX], *path;

	if (!session || asprintf(&path, "%s/%s", session, agentcg_call_leaf(c, buf)) < 0)
		return NULL;
	return path;
}

uint64_t agentcg_call_usage(const struct call *c)
{
	uint64_t usage;

	return agentcg_cgroup_read_u64(c->fd, "memory.current", &usage) < 0 ? 0 : usage;
}

/* ---- slots and the policy ----------------------------------------------- */

/* Takes the slot that the policy has for this group, or the lowest free one. */
static int take_slot(struct call *c)
{
	struct manager *m = c->m;
	/* A group that was made just now has none. */
	int slot = m->kernel && m->adopting ? agentcg_kernel_find_call(m->kernel, c->id) : -ENOENT;

	if (slot < 0 || m->calls[slot])
		for (slot = 0; slot < AGENTCG_MAX_CALLS && m->calls[slot]; slot++)
			;
	if (slot == AGENTCG_MAX_CALLS)
		return -ENOSPC;
	c->slot = (uint32_t)slot;
	m->calls[slot] = c;
	if (c->slot >= m->nr_calls)
		m->nr_calls = c->slot + 1;
	c->session->nr_calls++;
	if (!c->agent)
		agentcg_think_busy(c->session);
	c->session->requested += c->grant.memory;
	m->requested += c->grant.memory;
	if (c->agent)
		c->session->agent = c;
	return 0;
}

void agentcg_call_drop_slot(struct call *c)
{
	struct manager *m = c->m;

	if (c->slot == UINT32_MAX || m->calls[c->slot] != c)
		return;
	m->calls[c->slot] = NULL;
	while (m->nr_calls && !m->calls[m->nr_calls - 1])
		m->nr_calls--;
	c->session->nr_calls--;
	if (!c->agent)
		agentcg_think_free(c->session);
	c->session->requested -= c->grant.memory;
	m->requested -= c->grant.memory;
	if (c->session->agent == c)
		c->session->agent = NULL;
}

/* @fresh: a group that was made just now has no usage, and the policy does not know it. */
static int publish(struct call *c, bool fresh)
{
	struct manager *m = c->m;
	struct agentcg_call v = {
		.cgroup_id = c->id,
		.rank = agentcg_rank(c->grant.priority, c->number),
		.request = c->grant.memory,
		.session = c->session->slot,
		.flags = c->agent ? AGENTCG_CALL_AGENT : 0,
	};
	bool known;
	int r;

	if (!m->kernel || m->adopting)
		return 0;
	/* What has ended holds nothing back from it. */
	agentcg_later_clear(m);
	/* Slots above the counts are not looked at: raise them first. */
	r = agentcg_manager_write_pool(m);
	known = !fresh && agentcg_kernel_find_call(m->kernel, c->id) == (int)c->slot;
	if (!r)
		r = agentcg_kernel_set_call(m->kernel, c->slot, &v);
	/* One that the policy knows has its gate. */
	if (!r && !known)
		r = agentcg_kernel_adopt(m->kernel, c->id,
					 (fresh ? 0 : agentcg_call_usage(c)) + m->policy.step_min);
	if (!r)
		r = agentcg_session_publish(c->session);
	return r;
}

int agentcg_call_publish(struct call *c)
{
	return publish(c, false);
}

/* ---- the leaf ----------------------------------------------------------- */

/* What a file says already need not be written. */
static int write_unless(bool fresh, int fd, const char *file, uint64_t value, uint64_t is)
{
	return fresh && value == is ? 0 : agentcg_cgroup_write_u64(fd, file, value);
}

static int write_cpu(struct call *c, bool fresh)
{
	char max[64] = "max 100000";
	int r;

	/* Thousandths of a CPU, as usec of a period of 100 ms. */
	if (c->grant.cpu_max != AGENTCG_NONE)
		snprintf(max, sizeof(max), "%llu 100000", (unsigned long long)c->grant.cpu_max * 100);
	r = write_unless(fresh, c->fd, "cpu.weight", agentcg_grant_cpu_weight(&c->grant), 100);
	if (r || (fresh && c->grant.cpu_max == AGENTCG_NONE))
		return r;
	return agentcg_cgroup_write(c->fd, "cpu.max", max);
}

/* What the files of the leaf say; without the policy also memory.low.  @fresh: they are as agentcg_call_prepare() left them. */
static int write_leaf(struct call *c, bool fresh)
{
	struct manager *m = c->m;
	uint64_t low = 0;
	int r;

	if (!m->kernel && c->agent)
		low = AGENTCG_CGROUP_MAX;
	else if (!m->kernel && c->session->grant.priority > AGENTCG_PRIORITY_NORMAL)
		low = c->grant.memory;

	r = write_unless(fresh, c->fd, "memory.max", c->grant.memory_max, AGENTCG_CGROUP_MAX);
	if (!r)
		r = write_unless(fresh, c->fd, "memory.low", low, 0);
	if (!r && !c->agent)
		r = write_unless(fresh, c->fd, "pids.max", min_u64(c->grant.pids_max, m->policy.pids_max), c->pids_made);
	if (!r && !c->agent && !fresh)
		r = agentcg_cgroup_write(c->fd, "memory.oom.group", "1");
	/* Not there on machines whose cpu controller is taken. */
	if (!r && c->session->has_cpu)
		r = write_cpu(c, fresh);
	return r;
}

int agentcg_call_apply(struct call *c)
{
	return write_leaf(c, false) ?: agentcg_call_publish(c);
}

static int open_leaf(struct call *c, const char *name)
{
	int r;

	c->fd = agentcg_cgroup_open(c->session->fd, name);
	if (c->fd < 0)
		return c->fd;
	r = agentcg_cgroup_id(c->fd, &c->id);
	if (r < 0)
		return r;
	c->events_fd = openat(c->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	return c->events_fd < 0 ? -errno : 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct call *c = userdata;

	/* Of one that has not begun the time has not, either. */
	if (!c->spare)
		agentcg_call_kill(c, AGENTCG_FATE_TIMEOUT);
	return 0;
}

/* Also in place of an earlier one. */
static int arm_timeout(struct call *c)
{
	uint64_t due;

	c->timeout = sd_event_source_disable_unref(c->timeout);
	if (c->grant.timeout_usec == AGENTCG_NONE ||
	    __builtin_add_overflow(c->started_usec, c->grant.timeout_usec, &due))
		return 0;	/* never */
	return sd_event_add_time(c->m->event, &c->timeout, CLOCK_BOOTTIME, due, 1, on_timeout, c);
}

/* Events and timers of a call that is in its slot. */
static int start(struct call *c)
{
	int r;

	r = sd_event_add_io(c->m->event, &c->events, c->events_fd, EPOLLPRI, agentcg_end_on_events, c);
	return r < 0 ? r : arm_timeout(c);
}

static void set_due(struct call *c)
{
	if (c->grant.deadline_usec != AGENTCG_NONE)
		c->due_usec = now_usec(CLOCK_MONOTONIC) + c->grant.deadline_usec;
}

static struct call *alloc_call(struct session *s)
{
	struct call *c = calloc(1, sizeof(*c));

	if (c)
		*c = (struct call){
			.m = s->m, .session = s, .slot = UINT32_MAX, .fd = -1, .events_fd = -1,
		};
	return c;
}

static void freep(struct call **c)
{
	agentcg_call_free(*c);
}

/* What is set in it is the policy's part, and the same for every call but the agent. */
static int make_leaf(struct call *c, const char *leaf)
{
	char events[128];
	int r = open_leaf(c, leaf);

	c->pids_made = c->agent ? AGENTCG_CGROUP_MAX : c->m->policy.pids_max;
	if (!r && !c->agent)
		r = agentcg_cgroup_write(c->fd, "memory.oom.group", "1");
	if (!r)
		r = write_unless(true, c->fd, "pids.max", c->pids_made, AGENTCG_CGROUP_MAX);
	/* That it is empty is no event: without this there would be one at once. */
	if (!r && pread(c->events_fd, events, sizeof(events), 0) < 0)
		r = -errno;
	return r;
}

int agentcg_call_prepare(struct session *s, bool agent, struct call **ret)
{
	_cleanup_(freep) struct call *c = alloc_call(s);
	char buf[AGENTCG_CALL_NAME_MAX];
	const char *leaf;
	int r;

	if (!c)
		return -ENOMEM;
	c->agent = agent;
	c->number = agent ? 0 : ++s->calls_ever;
	c->started_usec = now_usec(CLOCK_BOOTTIME);
	leaf = agentcg_call_leaf(c, buf);
	if (mkdirat(s->fd, leaf, 0755) < 0)
		return -errno;
	r = make_leaf(c, leaf);
	if (r < 0) {
		agentcg_cgroup_remove(s->fd, leaf);
		return r;
	}
	*ret = TAKE_PTR(c);
	return 0;
}

static void set_birth(struct call *c, const struct call_birth *birth)
{
	c->may_control = birth->may_control;
	c->placed = birth->placed;
	c->grant = *birth->grant;
	c->command = sd_json_variant_ref(birth->command);
	c->declared = birth->declared;
	c->arrival = birth->arrival;
	snprintf(c->group, sizeof(c->group), "%s", birth->group ?: "");
	snprintf(c->kind, sizeof(c->kind), "%s", birth->kind);
	c->started_usec = now_usec(CLOCK_BOOTTIME);
	c->began_usec = now_usec(CLOCK_REALTIME);
	set_due(c);
}

int agentcg_call_new(struct session *s, const struct call_birth *birth, struct call **ret)
{
	_cleanup_(freep) struct call *c = birth->agent ? NULL : agentcg_later_take(s);
	char buf[AGENTCG_CALL_NAME_MAX];
	int r = c ? 0 : agentcg_call_prepare(s, birth->agent, &c);

	if (r < 0)
		return r;
	set_birth(c, birth);
	r = write_leaf(c, true);
	if (!r)
		r = take_slot(c);
	if (!r)
		r = publish(c, true);
	/* With the record it is whole: a restarted daemon will keep it. */
	if (!r)
		r = agentcg_record_save_call(c);
	if (r >= 0)
		r = start(c);
	if (r < 0) {
		if (s->m->kernel && c->slot != UINT32_MAX)
			agentcg_kernel_clear_call(s->m->kernel, c->slot, c->id);
		agentcg_call_drop_slot(c);
		agentcg_session_publish(s);
		agentcg_cgroup_remove(s->fd, agentcg_call_leaf(c, buf));
		return r;
	}
	agentcg_scheduler_hint(s->m->scheduler, c);
	/* One that is placed has not begun yet. */
	if (!c->placed)
		agentcg_pause_begin(c);
	*ret = TAKE_PTR(c);
	return 0;
}

/* Puts @grant in force; the sum of its session's requests with it. */
static int put_grant(struct call *c, const struct call_grant *grant)
{
	c->session->requested += grant->memory - c->grant.memory;
	c->m->requested += grant->memory - c->grant.memory;
	c->grant = *grant;
	set_due(c);
	return agentcg_call_apply(c) ?: agentcg_record_save_call(c);
}

int agentcg_call_adjust(struct call *c, const struct call_grant *grant)
{
	struct call_grant before = c->grant;
	uint64_t due = c->due_usec;
	int r;

	r = put_grant(c, grant);
	if (r < 0) {
		/* Its deadline was a point in time: "from now on" it would be later. */
		before.deadline_usec = AGENTCG_NONE;
		c->due_usec = due;
		put_grant(c, &before);
		return r;
	}
	agentcg_scheduler_hint(c->m->scheduler, c);
	return arm_timeout(c);
}

void agentcg_call_resume(struct call *c)
{
	struct agentcg_state state;
	uint64_t frozen;

	if (c->agent || !c->m->kernel)
		return;
	if (!agentcg_cgroup_read_u64(c->fd, "cgroup.freeze", &frozen) && frozen)
		agentcg_climb_resume(c, AGENTCG_RUNG_FROZEN);
	else if (!agentcg_kernel_state(c->m->kernel, c->slot, &state) &&
		 state.phase == AGENTCG_EXPIRED)
		agentcg_climb_resume(c, AGENTCG_RUNG_EXPIRED);
}

int agentcg_call_adopt(struct session *s, const char *name, struct call **ret)
{
	_cleanup_(freep) struct call *c = alloc_call(s);
	const char *number = startswith(name, AGENTCG_TOOL_PREFIX);
	char buf[AGENTCG_CALL_NAME_MAX];
	int r;

	if (!c)
		return -ENOMEM;
	c->agent = streq(name, AGENTCG_AGENT_LEAF);
	if (number)
		c->number = (uint32_t)strtoul(number, NULL, 10);
	if (c->number > s->calls_ever)
		s->calls_ever = c->number;
	if (!streq(agentcg_call_leaf(c, buf), name))
		return -EBADMSG;
	r = open_leaf(c, name);
	if (!r)
		r = agentcg_record_load_call(c);
	if (r >= 0)
		r = write_leaf(c, false);
	if (!r)
		r = take_slot(c);
	if (!r)
		r = start(c);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

struct call *agentcg_call_free(struct call *c)
{
	if (!c)
		return NULL;
	agentcg_pause_end(c);
	agentcg_call_drop_slot(c);
	sd_event_source_disable_unref(c->events);
	sd_event_source_disable_unref(c->timeout);
	sd_event_source_disable_unref(c->grace);
	sd_event_source_disable_unref(c->climb);
	sd_event_source_disable_unref(c->retry);
	sd_varlink_unref(c->end_link);
	sd_json_variant_unref(c->command);
	agentcg_closep(&c->events_fd);
	agentcg_closep(&c->fd);
	free(c);
	return NULL;
}

void agentcg_call_tie(struct call *c, sd_varlink *link)
{
	c->link = link;
	c->grace = sd_event_source_disable_unref(c->grace);
}

void agentcg_call_kill(struct call *c, enum agentcg_fate fate)
{
	char a[AGENTCG_TEXT_MAX];

	if (c->fate == AGENTCG_FATE_NONE) {
		c->fate = fate;
		/* First the reason, so that a restarted daemon can tell it. */
		agentcg_record_save_call(c);
	}
	agentcg_cgroup_kill(c->fd);
	if (fate == AGENTCG_FATE_TIMEOUT)
		agentcg_watch_tell(c, "timeout", "killed after %s",
				   agentcg_format_time(a, c->grant.timeout_usec));
	else if (fate == AGENTCG_FATE_POLICY)
		agentcg_watch_tell(c, "killed", "memory stayed short for more important calls");
}

/* ---- for GetStatus ------------------------------------------------------ */

static const char *phase_name(const struct call *c, const struct agentcg_state *state)
{
	if (c->rung == AGENTCG_RUNG_FROZEN)
		return "frozen";
	switch (state->phase) {
	case AGENTCG_HELD:
		return "held";
	case AGENTCG_EXPIRED:
		return "expired";
	default:
		return "running";
	}
}

int agentcg_call_build(struct call *c, sd_json_variant **ret)
{
	_cleanup_free_ char *path = agentcg_call_path(c);
	char name[AGENTCG_CALL_NAME_MAX];
	struct agentcg_state state = {};
	uint64_t peak;

	if (!path)
		return -ENOMEM;
	if (c->m->kernel)
		agentcg_kernel_state(c->m->kernel, c->slot, &state);
	if (agentcg_cgroup_read_u64(c->fd, "memory.peak", &peak) < 0)
		peak = 0;
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("call", agentcg_call_name(c, name)),
		SD_JSON_BUILD_PAIR_STRING("cgroup", path),
		SD_JSON_BUILD_PAIR_VARIANT("command", c->command),
		SD_JSON_BUILD_PAIR_UNSIGNED("priority", c->grant.priority),
		SD_JSON_BUILD_PAIR_UNSIGNED("request", c->grant.memory),
		SD_JSON_BUILD_PAIR_CONDITION(c->grant.memory_max != AGENTCG_NONE, "memoryMax",
					     SD_JSON_BUILD_UNSIGNED(c->grant.memory_max)),
		SD_JSON_BUILD_PAIR_UNSIGNED("memoryCurrent", agentcg_call_usage(c)),
		SD_JSON_BUILD_PAIR_UNSIGNED("memoryPeak", peak),
		SD_JSON_BUILD_PAIR_STRING("phase", phase_name(c, &state)),
		SD_JSON_BUILD_PAIR_UNSIGNED("heldUSec", agentcg_end_held_usec(&state)),
		SD_JSON_BUILD_PAIR_UNSIGNED("holds", state.holds),
		SD_JSON_BUILD_PAIR_CONDITION(c->grant.timeout_usec != AGENTCG_NONE, "timeoutUSec",
					     SD_JSON_BUILD_UNSIGNED(c->grant.timeout_usec)),
		SD_JSON_BUILD_PAIR_CONDITION(c->grant.latency != AGENTCG_CLASS_AUTO, "latency",
					     SD_JSON_BUILD_STRING(agentcg_class_name(c->grant.latency))),
		SD_JSON_BUILD_PAIR_CONDITION(c->due_usec != 0, "deadlineUSec",
					     SD_JSON_BUILD_UNSIGNED(agentcg_sub(c->due_usec, now_usec(CLOCK_MONOTONIC)))),
		SD_JSON_BUILD_PAIR_CONDITION(c->grant.detach, "detached", SD_JSON_BUILD_BOOLEAN(true)),
		SD_JSON_BUILD_PAIR_CONDITION(*c->group != 0, "group", SD_JSON_BUILD_STRING(c->group)),
		SD_JSON_BUILD_PAIR_UNSIGNED("ageUSec", agentcg_sub(now_usec(CLOCK_BOOTTIME), c->started_usec)));
}
