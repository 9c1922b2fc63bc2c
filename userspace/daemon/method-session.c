// SPDX-License-Identifier: GPL-2.0-only
#include <pwd.h>

#include "admission.h"
#include "attach.h"
#include "decide.h"
#include "notes.h"
#include "record.h"
#include "session.h"
#include "size.h"
#include "timeleft.h"
#include "varlink.h"

/* A year: far from where sums overflow. */
#define TIME_LEFT_MAX		(365 * 24 * 3600 * USEC_PER_SEC)

struct open_parameters {
	const char *name;
	uint64_t pidfd;			/* index; AGENTCG_UNSET: none */
	struct session_wish wish;
	const char *time_left;
	uint64_t time_left_usec;	/* AGENTCG_UNSET, or AGENTCG_NONE: no end */
	uint64_t calls_left;		/* AGENTCG_UNSET */
};

/* The process that a session is to end with. */
struct tie {
	int fd;				/* -1: none */
	pid_t pid;
};
/* A time as in an intent, or "none".  Whether it could be read. */
static bool read_time_left(struct open_parameters *p)
{
	if (!p->time_left)
		return p->calls_left == AGENTCG_UNSET || p->calls_left < AGENTCG_CALLS_UNKNOWN;
	p->time_left_usec = AGENTCG_NONE;
	return streq(p->time_left, "none") ||
	       (agentcg_parse_time(p->time_left, &p->time_left_usec, NULL) >= 0 && p->time_left_usec &&
		p->time_left_usec <= TIME_LEFT_MAX);
}

static void set_time(struct session *s, const struct open_parameters *p)
{
	uint32_t calls = p->calls_left == AGENTCG_UNSET ? AGENTCG_CALLS_UNKNOWN : (uint32_t)p->calls_left;

	if (p->time_left)
		agentcg_time_set(s, p->time_left_usec, calls);
	else if (p->calls_left != AGENTCG_UNSET)
		s->time.calls_left = calls;
}

/* What others have not reserved, and the pool does not need itself. */
static uint64_t unreserved(const struct manager *m, const struct session *except)
{
	return agentcg_sub(m->pool_max, m->policy.reserve + m->policy.throttle_band +
			   agentcg_manager_reserved(m, except));
}

/* What was granted before holds until something else is wished. */
static void keep_wishes(const struct session *s, struct session_wish *wish)
{
	if (wish->priority == AGENTCG_UNSET_PRIORITY)
		wish->priority = s->grant.priority;
	if (wish->budget == AGENTCG_UNSET)
		wish->budget = s->grant.budget;
	if (wish->reserve == AGENTCG_UNSET)
		wish->reserve = s->grant.reserve;
}

static int reply_session(sd_varlink *link, struct session *s, struct notes *notes)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	int r = agentcg_session_build(s, &v);

	if (r < 0)
		return r;
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_VARIANT("session", v),
		SD_JSON_BUILD_PAIR_STRV("notes", notes->list));
}

/* What came along as descriptor @index.  false: no process of @uid's, the error is sent, *ret tells. */
static bool take_tie(sd_varlink *link, uint64_t index, uid_t uid, struct tie *tie, int *ret)
{
	char why[AGENTCG_WHY_MAX] = "";

	if (index == AGENTCG_UNSET)
		return true;
	tie->fd = sd_varlink_peek_dup_fd(link, index);
	*ret = tie->fd < 0 ? -ESRCH : agentcg_attach_check(tie->fd, uid, &tie->pid, why);
	if (*ret == -EPERM)
		*ret = agentcg_reply_denied(link, why);
	else if (*ret < 0)
		*ret = sd_varlink_error_invalid_parameter_name(link, "pidFd");
	else
		return true;
	return false;
}

static int put_tie(struct session *s, const struct tie *tie)
{
	int r = tie->fd < 0 ? 0 : agentcg_anchor_set(s, tie->fd, tie->pid);

	return r < 0 || tie->fd < 0 ? r : agentcg_record_save_session(s);
}

/* The owner's (or root's) new wishes for a session that is there. */
static int change_session(sd_varlink *link, struct session *s, uid_t uid, struct open_parameters *p,
			  const struct tie *tie)
{
	struct session_wish *wish = &p->wish;
	struct session_time time = s->time;
	struct session_grant before = s->grant, grant;
	struct agentcg_session_policy policy;
	struct manager *m = s->m;
	struct notes notes = {};
	int r;

	if (s->closing)
		return agentcg_reply_no_session(link, s->name);
	agentcg_policy_session(&m->policy, s->name, s->uid, &policy);
	/* What root granted above the policy stays granted. */
	if (policy.priority < s->grant.priority)
		policy.priority = s->grant.priority;
	policy.budget = max_u64(policy.budget, s->grant.budget);
	policy.reserve = max_u64(policy.reserve, s->grant.reserve);
	keep_wishes(s, wish);
	agentcg_grant_session(&policy, uid == 0, m->pool_max, unreserved(m, s), wish, &grant, &notes);

	m->reserved += grant.reserve - before.reserve;
	s->grant = grant;
	set_time(s, p);
	s->automatic = false;
	r = agentcg_session_apply(s);
	if (r < 0) {
		m->reserved += before.reserve - grant.reserve;
		s->grant = before;
		s->time = time;
		return r;
	}
	r = put_tie(s, tie);
	if (r < 0)
		return r;
	agentcg_admission_reload(m);
	return reply_session(link, s, &notes);
}

/* "uid-1000" is where the calls of uid 1000 go that name no session. */
static bool is_of_another(const char *name, uid_t uid)
{
	const char *number = startswith(name, "uid-");
	char own[32];

	snprintf(own, sizeof(own), "%u", uid);
	return number && uid != 0 && !streq(number, own);
}

int agentcg_session_make(sd_varlink *link, struct manager *m, const char *name, uid_t uid,
			 const struct session_wish *wish, bool automatic, struct notes *notes,
			 struct session **ret)
{
	struct agentcg_session_policy policy;
	struct session_grant grant;
	int r;

	if (!agentcg_session_name_valid(name))
		return sd_varlink_error_invalid_parameter_name(link, automatic ? "session" : "name");
	if (is_of_another(name, uid))
		return agentcg_reply_denied(link, "names that begin with uid- are for that user's own calls");
	if (uid != 0 && agentcg_session_count(m, uid) >= m->policy.sessions_per_user)
		return agentcg_reply_limit(link, "sessions of one user", m->policy.sessions_per_user);

	agentcg_policy_session(&m->policy, name, uid, &policy);
	agentcg_grant_session(&policy, uid == 0, m->pool_max, unreserved(m, NULL), wish, &grant, notes);
	r = agentcg_session_new(m, name, uid, &grant, automatic, ret);
	if (r == -ENOSPC)
		return agentcg_reply_limit(link, "sessions", AGENTCG_MAX_SESSIONS);
	return r;
}

METHOD(open_session)
{
	static const sd_json_dispatch_field table[] = {
		{ "name", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, offsetof(struct open_parameters, name), SD_JSON_MANDATORY },
		{ "priority", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_priority, offsetof(struct open_parameters, wish.priority), 0 },
		{ "budget", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_u64, offsetof(struct open_parameters, wish.budget), 0 },
		{ "reserve", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_u64, offsetof(struct open_parameters, wish.reserve), 0 },
		{ "pidFd", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_u64, offsetof(struct open_parameters, pidfd), 0 },
		{ "timeLeft", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_const_string, offsetof(struct open_parameters, time_left), 0 },
		{ "callsLeft", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_u64, offsetof(struct open_parameters, calls_left), 0 },
		{}
	};
	struct open_parameters p = {
		.pidfd = AGENTCG_UNSET,
		.wish = { AGENTCG_UNSET_PRIORITY, AGENTCG_UNSET, AGENTCG_UNSET },
		.time_left_usec = AGENTCG_UNSET, .calls_left = AGENTCG_UNSET,
	};
	struct manager *m = userdata;
	_cleanup_close_ int pidfd = -1;
	struct tie tie = { .fd = -1 };
	struct notes notes = {};
	struct session *s;
	bool valid;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	if (!read_time_left(&p))
		return sd_varlink_error_invalid_parameter_name(link, p.time_left ? "timeLeft" : "callsLeft");
	/* Less than a MiB, and nothing could run. */
	if (p.wish.budget < MIB)
		return sd_varlink_error_invalid_parameter_name(link, "budget");
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	valid = take_tie(link, p.pidfd, uid, &tie, &r);
	pidfd = tie.fd;
	if (!valid)
		return r;
	s = agentcg_session_find(m, p.name);
	if (s) {
		if (uid != 0 && uid != s->uid)
			return agentcg_reply_denied(link, "the session belongs to another user; choose another name");
		return change_session(link, s, uid, &p, &tie);
	}
	s = NULL;
	r = agentcg_session_make(link, m, p.name, uid, &p.wish, false, &notes, &s);
	if (!s)
		return r;
	set_time(s, &p);
	r = put_tie(s, &tie);
	if (r >= 0 && (p.time_left || p.calls_left != AGENTCG_UNSET))
		r = agentcg_record_save_session(s);
	if (r < 0)
		agentcg_session_close(s, true);
	return r < 0 ? r : reply_session(link, s, &notes);
}

METHOD(close_session)
{
	struct {
		const char *name;
		bool kill;
	} p = {};
	static const sd_json_dispatch_field table[] = {
		{ "name", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, offsetof(typeof(p), name), SD_JSON_MANDATORY },
		{ "kill", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_bool, offsetof(typeof(p), kill), 0 },
		{}
	};
	struct session *s;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	s = agentcg_session_find(userdata, p.name);
	if (!s || s->close_link)
		return agentcg_reply_no_session(link, p.name);
	if (uid != 0 && uid != s->uid)
		return agentcg_reply_denied(link, "the session belongs to another user");
	s->close_link = sd_varlink_ref(link);
	agentcg_session_close(s, p.kill);
	return 0;
}

METHOD(end_group)
{
	struct {
		const char *session;
		const char *group;
	} p = {};
	static const sd_json_dispatch_field table[] = {
		{ "session", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, offsetof(typeof(p), session), SD_JSON_MANDATORY },
		{ "group", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, offsetof(typeof(p), group), SD_JSON_MANDATORY },
		{}
	};
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *killed = NULL;
	uint32_t cancelled = 0;
	struct session *s;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r >= 0)
		r = sd_json_variant_new_array(&killed, NULL, 0);
	if (r < 0)
		return r;
	s = agentcg_session_find(userdata, p.session);
	if (!s)
		return agentcg_reply_no_session(link, p.session);
	if (uid != 0 && uid != s->uid)
		return agentcg_reply_denied(link, "the session belongs to another user");
	if (!agentcg_group_name_valid(p.group))
		return sd_varlink_error_invalid_parameter_name(link, "group");
	r = agentcg_group_end(s, p.group, &killed, &cancelled);
	if (r == -ENOENT)
		return agentcg_reply_no_call(link, p.group);
	return r < 0 ? r : sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_VARIANT("killed", killed),
		SD_JSON_BUILD_PAIR_UNSIGNED("cancelled", cancelled));
}

METHOD(get_results)
{
	struct {
		const char *session;
		struct results_choice choice;
	} p = {};
	static const sd_json_dispatch_field table[] = {
		{ "session", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, offsetof(typeof(p), session), SD_JSON_MANDATORY },
		{ "untold", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_bool, offsetof(typeof(p), choice.untold), 0 },
		{ "failed", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_bool, offsetof(typeof(p), choice.failed), 0 },
		{}
	};
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	struct session *s;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	s = agentcg_session_find(userdata, p.session);
	if (!s)
		return agentcg_reply_no_session(link, p.session);
	if (uid != 0 && uid != s->uid)
		return agentcg_reply_denied(link, "the session belongs to another user");
	r = agentcg_results_build(&s->results, &p.choice, &list);
	return r < 0 ? r : sd_varlink_replybo(link, SD_JSON_BUILD_PAIR_VARIANT("results", list));
}
