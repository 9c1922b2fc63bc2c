// SPDX-License-Identifier: GPL-2.0-only
#include "admission.h"
#include "attach.h"
#include "call.h"
#include "class.h"
#include "climb.h"
#include "command.h"
#include "io-agentcg.h"
#include "intent-mcp.h"
#include "learn.h"
#include "notes.h"
#include "decide.h"
#include "rerun.h"
#include "scheduler.h"
#include "session.h"
#include "timeleft.h"
#include "varlink.h"
#include "watch.h"

/* A release lets a call grow by a batch: not a way around its hold. */
#define RELEASE_USEC		USEC_PER_SEC

/* The call that the peer names and owns; NULL: the error is sent, *ret tells. */
static struct call *get_call(sd_varlink *link, struct manager *m, const char *name, uid_t *ret_uid,
			     int *ret)
{
	struct call *c;

	*ret = sd_varlink_get_peer_uid(link, ret_uid);
	if (*ret < 0)
		return NULL;
	c = agentcg_call_find(m, name);
	if (!c) {
		*ret = agentcg_reply_no_call(link, name);
		return NULL;
	}
	if (*ret_uid != 0 && *ret_uid != c->session->uid) {
		*ret = agentcg_reply_denied(link, "the call belongs to another user");
		return NULL;
	}
	return c;
}

/* ---- BeginCall ---------------------------------------------------------- */

struct begin_parameters {
	const char *session;
	const char *group;
	sd_json_variant *after;
	bool wait;
	sd_json_variant *command;
	sd_json_variant *intent;
	struct call_wish wish;
};

bool agentcg_method_intent(sd_varlink *link, sd_json_variant *v, struct call_wish *wish, int *ret)
{
	char field[AGENTCG_FIELD_MAX], why[AGENTCG_WHY_MAX] = "";

	wish->intent = AGENTCG_INTENT_NONE;
	if (!v || sd_json_variant_is_null(v))
		return true;
	if (agentcg_intent_parse_mcp(v, &wish->intent, field, why) >= 0)
		return true;
	*ret = agentcg_reply_intent(link, field, why);
	return false;
}

struct session *agentcg_method_session(sd_varlink *link, struct manager *m, const char *name, uid_t uid,
				       uint32_t priority, struct notes *notes, int *ret)
{
	const struct session_wish wish = { priority, AGENTCG_UNSET, AGENTCG_UNSET };
	struct session *s;
	char own[32];

	if (!name) {
		snprintf(own, sizeof(own), "uid-%u", uid);
		name = own;
	}
	s = agentcg_session_find(m, name);
	if (!s) {
		*ret = agentcg_session_make(link, m, name, uid, &wish, true, notes, &s);
		return s;
	}
	if (uid != 0 && uid != s->uid)
		*ret = agentcg_reply_denied(link, "the session belongs to another user; choose another name");
	else if (s->closing)
		*ret = agentcg_reply_no_session(link, name);
	else
		return s;
	return NULL;
}

static uint32_t count_detached(const struct session *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->m->nr_calls; i++)
		n += s->m->calls[i] && s->m->calls[i]->session == s && s->m->calls[i]->grant.detach;
	return n;
}

void agentcg_call_grant(struct session *s, uid_t uid, const struct call_grant *before, uint64_t age,
			const struct call_wish *wish, struct call_grant *ret, struct notes *notes)
{
	struct agentcg_session_policy policy;
	char why[AGENTCG_WHY_MAX];
	const char *reason = agentcg_scheduler_reason(s->m->scheduler, why);
	struct grant_view view = {
		.policy = &s->m->policy,
		.session = &s->grant,
		.root = uid == 0,
		.pool_max = s->m->pool_max,
		.weights_only = *reason ? reason : NULL,
		.age_usec = age,
	};

	agentcg_policy_session(&s->m->policy, s->name, s->uid, &policy);
	view.detached_left = (uint32_t)agentcg_sub(policy.detached_calls, count_detached(s));
	agentcg_grant_call(&view, before, wish, ret, notes);
}

#define MAYBE(name, value)						\
	SD_JSON_BUILD_PAIR_CONDITION((value) != AGENTCG_NONE, name, SD_JSON_BUILD_UNSIGNED(value))

/* In the shape of an intent, numbers in one unit each. */
static int build_grant(const struct call *c, const struct prediction *learned, sd_json_variant **ret)
{
	const struct call_grant *g = &c->grant;
	bool knows_duration = learned && learned->duration_usec != AGENTCG_NONE;

	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_UNSIGNED("priority", g->priority),
		SD_JSON_BUILD_PAIR_OBJECT("requests",
			SD_JSON_BUILD_PAIR_UNSIGNED("milliCPU", g->cpu),
			SD_JSON_BUILD_PAIR_UNSIGNED("memory", g->memory)),
		SD_JSON_BUILD_PAIR_OBJECT("limits",
			MAYBE("milliCPU", g->cpu_max),
			MAYBE("memory", g->memory_max),
			MAYBE("pids", g->pids_max)),
		SD_JSON_BUILD_PAIR_CONDITION(learned && *learned->text, "reason", SD_JSON_BUILD_STRING(learned->text)),
		SD_JSON_BUILD_PAIR_CONDITION(knows_duration, "durationUSec",
					     SD_JSON_BUILD_UNSIGNED(knows_duration ? learned->duration_usec : 0)),
		MAYBE("timeoutUSec", g->timeout_usec),
		SD_JSON_BUILD_PAIR_CONDITION(c->due_usec != 0, "deadlineUSec",
			SD_JSON_BUILD_UNSIGNED(agentcg_sub(c->due_usec, now_usec(CLOCK_MONOTONIC)))),
		SD_JSON_BUILD_PAIR_CONDITION(g->latency != AGENTCG_CLASS_AUTO, "latency",
					     SD_JSON_BUILD_STRING(agentcg_class_name(g->latency))),
		SD_JSON_BUILD_PAIR_STRING("onPressure", agentcg_on_pressure_name(g->on_pressure)),
		SD_JSON_BUILD_PAIR_BOOLEAN("detach", g->detach));
}

static int reply_begin(sd_varlink *link, struct call *c, const struct prediction *learned,
		       uint64_t waited_usec, struct notes *notes)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *granted = NULL;
	_cleanup_free_ char *path = agentcg_call_path(c);
	char name[AGENTCG_CALL_NAME_MAX];
	int fd, r;

	if (!path)
		return -ENOMEM;
	r = build_grant(c, learned, &granted);
	if (r < 0)
		return r;
	fd = sd_varlink_push_dup_fd(link, c->fd);
	if (fd < 0)
		return fd;
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_STRING("call", agentcg_call_name(c, name)),
		SD_JSON_BUILD_PAIR_STRING("cgroup", path),
		SD_JSON_BUILD_PAIR_INTEGER("cgroupFd", fd),
		SD_JSON_BUILD_PAIR_VARIANT("granted", granted),
		SD_JSON_BUILD_PAIR_CONDITION(waited_usec != 0, "queuedUSec", SD_JSON_BUILD_UNSIGNED(waited_usec)),
		SD_JSON_BUILD_PAIR_STRV("notes", notes->list));
}

void agentcg_begin_decide(struct begin *b, uint64_t waited_usec, struct notes *notes)
{
	struct call_wish wish = b->wish;
	struct agentcg_intent *i = &wish.intent;

	/* "From now on" was then. */
	if (i->deadline_usec != AGENTCG_UNSET)
		i->deadline_usec = max_u64(agentcg_sub(i->deadline_usec, waited_usec), 1);
	agentcg_learn_wish(b->session, b->kind, &wish, &b->learned);
	agentcg_call_grant(b->session, b->uid, NULL, 0, &wish, &b->granted, notes);
	agentcg_time_begin(b, notes);
}

int agentcg_begin_start(sd_varlink *link, const struct begin *b, uint64_t waited_usec, struct notes *notes)
{
	uint64_t declared = b->wish.intent.memory_request;
	const struct call_birth birth = {
		.agent = b->wish.agent, .may_control = b->wish.may_control, .grant = &b->granted, .kind = b->kind, .command = b->command,
		.group = b->group, .arrival = b->arrival,
		.declared = declared == AGENTCG_UNSET ? AGENTCG_NONE : declared,
	};
	struct call *c;
	int r;

	if (!b->wish.agent && !agentcg_time_left(b->session))
		return agentcg_reply_limit(link, "usec of the session's timeLeft, which are over", b->session->time.total_usec);
	r = agentcg_call_new(b->session, &birth, &c);
	if (r == -ENOSPC)
		return agentcg_reply_limit(link, "calls", AGENTCG_MAX_CALLS);
	if (r < 0)
		return r;
	agentcg_time_begun(b->session);
	agentcg_call_tie(c, link);
	agentcg_rerun_begin(c, b->sent ?: b->command, notes);
	if (!c->agent)
		agentcg_later_want(b->session);
	r = reply_begin(link, c, &b->learned, waited_usec, notes);
	if (r < 0)
		agentcg_call_end(c, NULL);
	else if (waited_usec)
		agentcg_watch_tell(c, "admitted", "%s", notes->text[0]);
	return r;
}

static int begin(sd_varlink *link, struct session *s, const struct begin_parameters *p, uid_t uid,
		 struct notes *notes)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *command = NULL;
	struct begin b = { .session = s, .uid = uid, .wait = p->wait, .wish = p->wish };
	const char *unknown = NULL;
	int r, reply;

	if (p->group && !agentcg_group_name_valid(p->group))
		return sd_varlink_error_invalid_parameter_name(link, "group");
	snprintf(b.group, sizeof(b.group), "%s", p->group ?: "");
	r = agentcg_after_read(s, p->after, &b.after, &unknown);
	if (r < 0)
		return r == -ENOENT ? agentcg_reply_no_call(link, unknown) : sd_varlink_error_invalid_parameter_name(link, "after");
	if (agentcg_command_trim(p->command, &command) < 0)
		return sd_varlink_error_invalid_parameter_name(link, "command");
	b.command = command;
	b.sent = p->command;
	agentcg_command_kind(p->command, b.kind);
	if (!b.wish.agent && agentcg_declare_take(&s->m->declared, s->uid, s->name, b.kind, &b.wish.intent,
						  now_usec(CLOCK_BOOTTIME)))
		agentcg_note(notes, "what it needs is as declared before");
	agentcg_begin_decide(&b, 0, notes);
	r = agentcg_admission_ask(link, &b, &reply);
	if (r)
		return r < 0 ? r : reply;
	agentcg_after_tell(s, &b.after, notes);
	return agentcg_begin_start(link, &b, 0, notes);
}

METHOD(begin_call)
{
	static const sd_json_dispatch_field table[] = {
		{ "session", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_const_string, offsetof(struct begin_parameters, session), 0 },
		{ "agent", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_bool, offsetof(struct begin_parameters, wish.agent), 0 },
		{ "mayControl", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_bool, offsetof(struct begin_parameters, wish.may_control), 0 },
		{ "group", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_const_string, offsetof(struct begin_parameters, group), 0 },
		{ "after", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_variant_noref, offsetof(struct begin_parameters, after), 0 },
		{ "wait", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_bool, offsetof(struct begin_parameters, wait), 0 },
		{ "command", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_variant_noref, offsetof(struct begin_parameters, command), 0 },
		{ "priority", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_priority, offsetof(struct begin_parameters, wish.priority), 0 },
		{ "intent", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_variant_noref, offsetof(struct begin_parameters, intent), 0 },
		{}
	};
	struct begin_parameters p = { .wish = { .priority = AGENTCG_UNSET_PRIORITY } };
	struct manager *m = userdata;
	struct notes notes = {};
	struct session *s;
	uint32_t slot;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	if (!agentcg_method_intent(link, p.intent, &p.wish, &r))
		return r;
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	s = agentcg_method_session(link, m, p.session, uid, p.wish.priority, &notes, &r);
	if (!s)
		return r;
	slot = s->slot;
	r = begin(link, s, &p, uid, &notes);
	/* It may have been made for a call that is not; or be gone with it. */
	if (m->sessions[slot] == s)
		agentcg_session_gc(s);
	return r;
}

int agentcg_preview_call(struct session *s, uid_t uid, const char *kind, const struct call_wish *wish,
			 struct notes *notes, sd_json_variant **ret)
{
	struct call c = {};	/* none that is or will be; it has a grant */
	struct call_wish learned_wish = *wish;
	struct prediction learned;

	agentcg_learn_wish(s, kind, &learned_wish, &learned);
	agentcg_call_grant(s, uid, NULL, 0, &learned_wish, &c.grant, notes);
	if (c.grant.deadline_usec != AGENTCG_NONE)
		c.due_usec = now_usec(CLOCK_MONOTONIC) + c.grant.deadline_usec;
	return build_grant(&c, &learned, ret);
}

METHOD(adjust_call)
{
	struct {
		const char *call;
		sd_json_variant *intent;
		uint32_t priority;
	} p = { .priority = AGENTCG_UNSET_PRIORITY };
	static const sd_json_dispatch_field table[] = {
		{ "call", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, offsetof(typeof(p), call), SD_JSON_MANDATORY },
		{ "intent", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_variant_noref, offsetof(typeof(p), intent), 0 },
		{ "priority", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_priority, offsetof(typeof(p), priority), 0 },
		{}
	};
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	struct call_wish wish = {};
	struct call_grant granted;
	struct notes notes = {};
	struct call *c;
	uint64_t age;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	if (!agentcg_method_intent(link, p.intent, &wish, &r))
		return r;
	c = get_call(link, userdata, p.call, &uid, &r);
	if (!c)
		return r;
	if (c->ending)
		return agentcg_reply_no_call(link, p.call);
	wish.agent = c->agent;
	wish.priority = p.priority;
	age = agentcg_sub(now_usec(CLOCK_BOOTTIME), c->started_usec);
	agentcg_call_grant(c->session, uid, &c->grant, age, &wish, &granted, &notes);
	if (wish.intent.timeout_usec != AGENTCG_UNSET && !c->agent)
		agentcg_time_adjust(c->session, age, &granted, &notes);
	r = agentcg_call_adjust(c, &granted);
	if (r >= 0)
		r = build_grant(c, NULL, &v);
	if (r < 0)
		return r;
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_VARIANT("granted", v),
		SD_JSON_BUILD_PAIR_STRV("notes", notes.list));
}

/* ---- the others --------------------------------------------------------- */

static const sd_json_dispatch_field call_table[] = {
	{ "call", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, 0, SD_JSON_MANDATORY },
	{}
};

METHOD(attach_process)
{
	static const sd_json_dispatch_field table[] = {
		{ "call", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, 0, SD_JSON_MANDATORY },
		{ "pidFd", SD_JSON_VARIANT_UNSIGNED, agentcg_dispatch_u64, 8, SD_JSON_MANDATORY },
		{}
	};
	struct {
		const char *call;
		uint64_t index;
	} p = {};
	char why[AGENTCG_WHY_MAX] = "";
	_cleanup_close_ int fd = -1;
	struct call *c;
	uid_t uid;
	int r;

	_Static_assert(offsetof(typeof(p), index) == 8, "as in the table");
	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	c = get_call(link, userdata, p.call, &uid, &r);
	if (!c)
		return r;
	if (c->ending)
		return agentcg_reply_no_call(link, p.call);
	fd = sd_varlink_peek_dup_fd(link, p.index);
	if (fd < 0)
		return sd_varlink_error_invalid_parameter_name(link, "pidFd");
	r = agentcg_attach(c, fd, uid, why);
	if (r == -EPERM)
		return agentcg_reply_denied(link, why);
	return r < 0 ? r : sd_varlink_reply(link, NULL);
}

METHOD(end_call)
{
	struct {
		const char *call;
		bool kill;
	} p = {};
	static const sd_json_dispatch_field table[] = {
		{ "call", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, offsetof(typeof(p), call), SD_JSON_MANDATORY },
		{ "kill", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_bool, offsetof(typeof(p), kill), 0 },
		{}
	};
	struct call *c;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	c = get_call(link, userdata, p.call, &uid, &r);
	if (!c)
		return r;
	if (c->end_link)
		return agentcg_reply_no_call(link, p.call);
	if (p.kill)
		agentcg_call_end(c, link);
	else
		agentcg_call_leave(c, link);
	return 0;
}

METHOD(claim_call)
{
	const char *name = NULL;
	struct call *c;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, call_table, &name);
	if (r)
		return r;
	c = get_call(link, userdata, name, &uid, &r);
	if (!c)
		return r;
	if (c->ending)
		return agentcg_reply_no_call(link, name);
	if (c->link && c->link != link)
		return agentcg_reply_denied(link, "another connection has the call");
	agentcg_call_tie(c, link);
	return sd_varlink_reply(link, NULL);
}

METHOD(release)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	struct manager *m = userdata;
	const char *name = NULL;
	struct call *c;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, call_table, &name);
	if (r)
		return r;
	c = get_call(link, m, name, &uid, &r);
	if (!c)
		return r;
	if (!m->kernel)
		return sd_varlink_errorbo(link, AGENTCG_ERROR_NOT_SUPPORTED,
					  SD_JSON_BUILD_PAIR_STRING("reason", m->reason));
	if (uid != 0 && c->released_usec && now - c->released_usec < RELEASE_USEC)
		return agentcg_reply_limit(link, "releases of a call per second", 1);
	c->released_usec = now;
	r = agentcg_climb_release(c);
	return r < 0 ? r : sd_varlink_replybo(link, SD_JSON_BUILD_PAIR_INTEGER("woken", r));
}
