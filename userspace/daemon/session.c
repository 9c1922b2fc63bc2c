// SPDX-License-Identifier: GPL-2.0-only
#include "session.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "admission.h"
#include "attachment.h"
#include "call.h"
#include "cgroup.h"
#include "kernel.h"
#include "log.h"
#include "pause.h"
#include "priority.h"
#include "record.h"
#include "timeleft.h"
#include "user.h"

#define RMDIR_RETRY_USEC	(50 * USEC_PER_MSEC)

bool agentcg_session_name_valid(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t n = strlen(name);

	return n && n <= AGENTCG_SESSION_NAME_MAX && strchr(first, name[0]) && strspn(name, rest) == n;
}

static struct session **bucket(struct manager *m, const char *name)
{
	uint32_t hash = 0x811c9dc5;	/* FNV-1a */

	for (const char *p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 0x01000193;
	return &m->by_name[hash % AGENTCG_SESSION_BUCKETS];
}

struct session *agentcg_session_find(struct manager *m, const char *name)
{
	struct session *s = *bucket(m, name);

	while (s && !streq(s->name, name))
		s = s->next;
	return s;
}

uint32_t agentcg_session_count(const struct manager *m, uid_t uid)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->nr_sessions; i++)
		n += m->sessions[i] && m->sessions[i]->uid == uid;
	return n;
}

static void dir_name(const struct session *s, char buf[AGENTCG_SESSION_NAME_MAX + 16])
{
	snprintf(buf, AGENTCG_SESSION_NAME_MAX + 16, AGENTCG_SESSION_PREFIX "%s", s->name);
}

char *agentcg_session_path(const struct session *s)
{
	char *path;

	return asprintf(&path, "%s/" AGENTCG_SESSION_PREFIX "%s", s->m->pool_path, s->name) < 0 ?
	       NULL : path;
}

/* ---- slots and the policy ----------------------------------------------- */

static int take_slot(struct session *s)
{
	struct manager *m = s->m;
	struct session **first = bucket(m, s->name);
	int slot = m->kernel ? agentcg_kernel_find_session(m->kernel, s->id) : -ENOENT;

	if (slot < 0 || m->sessions[slot])
		for (slot = 0; slot < AGENTCG_MAX_SESSIONS && m->sessions[slot]; slot++)
			;
	if (slot == AGENTCG_MAX_SESSIONS)
		return -ENOSPC;
	s->slot = (uint32_t)slot;
	m->sessions[slot] = s;
	s->next = *first;
	*first = s;
	m->reserved += s->grant.reserve;
	if (s->slot >= m->nr_sessions)
		m->nr_sessions = s->slot + 1;
	return 0;
}

static void drop_slot(struct session *s)
{
	struct manager *m = s->m;

	if (s->slot == UINT32_MAX)
		return;
	for (struct session **p = bucket(m, s->name); *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
	m->sessions[s->slot] = NULL;
	m->reserved -= s->grant.reserve;
	while (m->nr_sessions && !m->sessions[m->nr_sessions - 1])
		m->nr_sessions--;
	s->slot = UINT32_MAX;
}

int agentcg_session_publish(struct session *s)
{
	struct agentcg_session v = {
		.cgroup_id = s->id,
		.rank = agentcg_rank(s->grant.priority, s->arrival),
		.budget = agentcg_user_limit(s),
		.reserve = s->grant.reserve,
		.requested = s->requested,
		.nr_calls = s->nr_calls,
		.flags = s->yields ? AGENTCG_SESSION_YIELDS : 0,
	};

	if (!s->m->kernel || s->m->adopting)
		return 0;
	return agentcg_kernel_set_session(s->m->kernel, s->slot, &v);
}

/* ---- the group ---------------------------------------------------------- */

static int write_group(struct session *s)
{
	struct manager *m = s->m;
	uint64_t low = 0;
	int r;

	/* What its leaves may be protected with, where there is no policy. */
	if (!m->kernel)
		low = s->grant.priority > AGENTCG_PRIORITY_NORMAL ?
		      AGENTCG_CGROUP_MAX : s->grant.reserve;
	r = agentcg_cgroup_write_u64(s->fd, "memory.max", s->grant.budget);
	if (!r)
		r = agentcg_cgroup_write_u64(s->fd, "memory.low", low);
	if (!r && s->has_cpu)
		r = agentcg_cgroup_write_u64(s->fd, "cpu.weight",
					     agentcg_priority_cpu_weight(s->grant.priority));
	return r;
}

static int open_group(struct session *s)
{
	char dir[AGENTCG_SESSION_NAME_MAX + 16];
	int r;

	dir_name(s, dir);
	s->fd = agentcg_cgroup_open(s->m->pool_fd, dir);
	if (s->fd < 0)
		return s->fd;
	r = agentcg_cgroup_id(s->fd, &s->id);
	if (r < 0)
		return r;
	r = agentcg_cgroup_enable(s->fd, "memory");
	if (!r)
		r = agentcg_cgroup_enable(s->fd, "pids");
	if (!r)
		s->has_cpu = agentcg_cgroup_enable(s->fd, "cpu") >= 0;	/* good to have */
	return r;
}

int agentcg_session_apply(struct session *s)
{
	int r = write_group(s);

	if (!r)
		r = agentcg_session_publish(s);
	return r ?: agentcg_record_save_session(s);
}

static struct session *alloc_session(struct manager *m, const char *name)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct session){ .m = m, .slot = UINT32_MAX, .fd = -1, .time.calls_left = AGENTCG_CALLS_UNKNOWN };
	snprintf(s->name, sizeof(s->name), "%s", name);
	return s;
}

static void freep(struct session **s)
{
	agentcg_session_free(*s);
}

/* Its slot, and the module's knowledge of the group. */
static int publish_new(struct session *s)
{
	struct manager *m = s->m;
	int r = take_slot(s);

	if (r || !m->kernel || m->adopting)
		return r;
	r = agentcg_kernel_adopt(m->kernel, s->id, AGENTCG_GATE_OPEN);
	if (!r)
		r = agentcg_manager_write_pool(m);
	return r ?: agentcg_session_publish(s);
}

int agentcg_session_new(struct manager *m, const char *name, uid_t uid,
			const struct session_grant *grant, bool automatic, struct session **ret)
{
	_cleanup_(freep) struct session *s = alloc_session(m, name);
	char dir[AGENTCG_SESSION_NAME_MAX + 16];
	int r;

	if (!s)
		return -ENOMEM;
	s->uid = uid;
	s->grant = *grant;
	s->automatic = automatic;
	s->arrival = ++m->arrivals;

	dir_name(s, dir);
	if (mkdirat(m->pool_fd, dir, 0755) < 0)
		return -errno;
	r = open_group(s);
	if (!r)
		r = write_group(s);
	if (!r)
		r = publish_new(s);
	/* With the record it is whole: a restarted daemon will keep it. */
	if (!r)
		r = agentcg_record_save_session(s);
	if (r < 0) {
		if (m->kernel && s->slot != UINT32_MAX)
			agentcg_kernel_clear_session(m->kernel, s->slot);
		agentcg_cgroup_remove(m->pool_fd, dir);
		return r;
	}
	*ret = TAKE_PTR(s);
	return 0;
}

int agentcg_session_adopt(struct manager *m, const char *name, struct session **ret)
{
	_cleanup_(freep) struct session *s = alloc_session(m, name);
	int r;

	if (!s)
		return -ENOMEM;
	r = open_group(s);
	if (!r)
		r = agentcg_record_load_session(s);
	if (r >= 0)
		r = write_group(s);
	if (!r)
		r = publish_new(s);
	if (r < 0)
		return r;
	r = agentcg_anchor_restore(s);
	if (r < 0) {
		agentcg_log(LOG_WARNING, "session %s no longer ends with process %u: %s", name, s->anchor.pid, strerror(-r));
		agentcg_anchor_drop(s);
	}
	if (s->arrival > m->arrivals)
		m->arrivals = s->arrival;
	*ret = TAKE_PTR(s);
	return 0;
}

struct session *agentcg_session_free(struct session *s)
{
	if (!s)
		return NULL;
	agentcg_pause_forget(s);
	drop_slot(s);
	agentcg_anchor_drop(s);
	agentcg_results_clear(&s->results);
	sd_event_source_disable_unref(s->retry);
	sd_varlink_unref(s->close_link);
	sd_json_variant_unref(s->killed);
	sd_json_variant_unref(s->attached);
	sd_json_variant_unref(s->bound);
	agentcg_closep(&s->fd);
	free(s);
	return NULL;
}

/* ---- the end ------------------------------------------------------------ */

static void reply_close(struct session *s, uint32_t detached)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = TAKE_PTR(s->close_link);

	if (link)
		sd_varlink_replybo(link,
			SD_JSON_BUILD_PAIR_CONDITION(!s->killed, "killed", SD_JSON_BUILD_EMPTY_ARRAY),
			SD_JSON_BUILD_PAIR_CONDITION(!!s->killed, "killed", SD_JSON_BUILD_VARIANT(s->killed)),
			SD_JSON_BUILD_PAIR_UNSIGNED("detached", detached));
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct session *s = userdata;

	s->retry = sd_event_source_disable_unref(s->retry);
	agentcg_session_gc(s);
	return 0;
}

void agentcg_session_gc(struct session *s)
{
	char dir[AGENTCG_SESSION_NAME_MAX + 16];
	struct manager *m = s->m;

	if (s->nr_calls || s->nr_waiting || !(s->automatic || s->closing) || (!s->closing && agentcg_later_pending(s)))
		return;
	agentcg_later_drop(s);
	dir_name(s, dir);
	if (agentcg_cgroup_remove(m->pool_fd, dir) < 0) {
		/* Somebody put processes into it by hand, or the kernel is not done. */
		agentcg_cgroup_kill(s->fd);
		if (!s->retry)
			sd_event_add_time_relative(m->event, &s->retry, CLOCK_MONOTONIC,
						   RMDIR_RETRY_USEC, 0, on_retry, s);
		return;
	}
	agentcg_later_drop(s);
	if (m->kernel)
		agentcg_kernel_clear_session(m->kernel, s->slot);
	reply_close(s, 0);
	agentcg_session_free(s);
	agentcg_manager_write_pool(m);
}

void agentcg_session_note_killed(struct call *c, sd_json_variant **list)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	char name[AGENTCG_CALL_NAME_MAX];

	if (c->ending || agentcg_cgroup_populated(c->fd) <= 0)
		return;
	if (sd_json_buildo(&v,
			   SD_JSON_BUILD_PAIR_STRING("call", agentcg_call_name(c, name)),
			   SD_JSON_BUILD_PAIR_VARIANT("command", c->command)) >= 0)
		sd_json_variant_append_array(list, v);
}

void agentcg_session_close(struct session *s, bool all)
{
	struct manager *m = s->m;
	uint32_t slot = s->slot, detached = 0;

	s->closing = true;
	agentcg_declare_forget(&m->declared, s->uid, s->name);
	agentcg_admission_close(s);
	agentcg_attachment_end_all(s);
	if (m->sessions[slot] != s)
		return;
	for (uint32_t i = 0; i < m->nr_calls; i++) {
		struct call *c = m->calls[i];

		if (!c || c->session != s)
			continue;
		if (c->grant.detach && !all && !c->ending && agentcg_cgroup_populated(c->fd) > 0) {
			detached++;
			continue;
		}
		agentcg_session_note_killed(c, &s->killed);
		agentcg_call_kill(c, AGENTCG_FATE_CLOSED);
		agentcg_call_end(c, NULL);
		/* The end of its last call was the session's. */
		if (m->sessions[slot] != s)
			return;
	}
	if (!detached) {
		agentcg_session_gc(s);
		return;
	}
	s->closing = false;
	s->automatic = true;
	agentcg_record_save_session(s);
	reply_close(s, detached);
	s->killed = sd_json_variant_unref(s->killed);	/* told */
}

/* ---- for GetStatus ------------------------------------------------------ */

static int build_calls(struct session *s, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	int r = sd_json_variant_new_array(&list, NULL, 0);

	for (uint32_t i = 0; r >= 0 && i < s->m->nr_calls; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
		struct call *c = s->m->calls[i];

		if (!c || c->session != s || c->ending || c->spare)
			continue;
		r = agentcg_call_build(c, &v);
		if (r >= 0)
			r = sd_json_variant_append_array(&list, v);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list);
	return 0;
}

int agentcg_session_build(struct session *s, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *calls = NULL, *attached = NULL;
	_cleanup_free_ char *path = agentcg_session_path(s);
	uint64_t usage;
	int r;

	if (!path)
		return -ENOMEM;
	r = build_calls(s, &calls);
	if (r >= 0)
		r = agentcg_attachment_build(s, &attached);
	if (r < 0)
		return r;
	if (agentcg_cgroup_read_u64(s->fd, "memory.current", &usage) < 0)
		usage = 0;
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("name", s->name),
		SD_JSON_BUILD_PAIR_STRING("cgroup", path),
		SD_JSON_BUILD_PAIR_UNSIGNED("uid", s->uid),
		SD_JSON_BUILD_PAIR_CONDITION(s->anchor.pid != 0, "pid", SD_JSON_BUILD_UNSIGNED(s->anchor.pid)),
		SD_JSON_BUILD_PAIR_UNSIGNED("priority", s->grant.priority),
		SD_JSON_BUILD_PAIR_CONDITION(s->grant.budget != AGENTCG_NONE, "budget",
					     SD_JSON_BUILD_UNSIGNED(s->grant.budget)),
		SD_JSON_BUILD_PAIR_UNSIGNED("reserve", s->grant.reserve),
		SD_JSON_BUILD_PAIR_UNSIGNED("memoryCurrent", usage),
		SD_JSON_BUILD_PAIR_CONDITION(s->time.due_usec != 0, "timeLeftUSec",
					     SD_JSON_BUILD_UNSIGNED(agentcg_time_left(s))),
		SD_JSON_BUILD_PAIR_CONDITION(s->time.calls_left != AGENTCG_CALLS_UNKNOWN, "callsLeft",
					     SD_JSON_BUILD_UNSIGNED(s->time.calls_left)),
		SD_JSON_BUILD_PAIR_VARIANT("calls", calls),
		SD_JSON_BUILD_PAIR_CONDITION(sd_json_variant_elements(attached) > 0, "attached",
					     SD_JSON_BUILD_VARIANT(attached)));
}
