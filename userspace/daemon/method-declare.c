// SPDX-License-Identifier: GPL-2.0-only
#include "call.h"
#include "command.h"
#include "declare.h"
#include "notes.h"
#include "session.h"
#include "varlink.h"

struct declare_parameters {
	const char *session;
	sd_json_variant *command;
	sd_json_variant *intent;
};

/*
 * The session that the next call will run in: @name, or as it would be made for
 * that call.  false: the error is sent, *ret tells.
 */
static bool find_session(sd_varlink *link, struct manager *m, const char *name, uid_t uid,
			 struct session *to_be, struct session **ret_session, int *ret)
{
	const struct session_wish wish = { AGENTCG_UNSET_PRIORITY, AGENTCG_UNSET, AGENTCG_UNSET };
	struct agentcg_session_policy policy;
	struct notes ignored = {};
	struct session *s = agentcg_session_find(m, name);

	if (s) {
		*ret_session = s;
		if (uid == 0 || uid == s->uid)
			return true;
		*ret = agentcg_reply_denied(link, "the session belongs to another user");
		return false;
	}
	if (!agentcg_session_name_valid(name)) {
		*ret = sd_varlink_error_invalid_parameter_name(link, "session");
		return false;
	}
	*to_be = (struct session){ .m = m, .uid = uid, .automatic = true };
	snprintf(to_be->name, sizeof(to_be->name), "%s", name);
	agentcg_policy_session(&m->policy, name, uid, &policy);
	/* What it may reserve of the pool does not matter to a call. */
	agentcg_grant_session(&policy, uid == 0, m->pool_max, 0, &wish, &to_be->grant, &ignored);
	*ret_session = to_be;
	return true;
}

static int declare(sd_varlink *link, struct session *s, uid_t uid, const char *kind, const struct call_wish *wish)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *granted = NULL;
	struct manager *m = s->m;
	struct notes notes = {};
	int r;

	r = agentcg_preview_call(s, uid, kind, wish, &notes, &granted);
	if (r < 0)
		return r;
	r = agentcg_declare(&m->declared, s->uid, s->name, kind, &wish->intent, now_usec(CLOCK_BOOTTIME));
	if (r == -ENOSPC)
		return agentcg_reply_limit(link, "declared intents of all users", AGENTCG_DECLARED_MAX);
	if (r < 0)
		return r;
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_VARIANT("granted", granted),
		SD_JSON_BUILD_PAIR_STRV("notes", notes.list));
}

METHOD(declare_intent)
{
	static const sd_json_dispatch_field table[] = {
		{ "session", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_const_string, offsetof(struct declare_parameters, session), 0 },
		{ "intent", SD_JSON_VARIANT_OBJECT, sd_json_dispatch_variant_noref, offsetof(struct declare_parameters, intent),
			SD_JSON_MANDATORY },
		{ "command", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_variant_noref, offsetof(struct declare_parameters, command), 0 },
		{}
	};
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *trimmed = NULL;
	struct call_wish wish = { .priority = AGENTCG_UNSET_PRIORITY };
	struct declare_parameters p = {};
	char kind[AGENTCG_KIND_MAX] = "", own[32];
	struct session to_be, *s;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	if (!agentcg_method_intent(link, p.intent, &wish, &r))
		return r;
	if (agentcg_command_trim(p.command, &trimmed) < 0)
		return sd_varlink_error_invalid_parameter_name(link, "command");
	if (sd_json_variant_elements(trimmed) > 0)
		agentcg_command_kind(p.command, kind);
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	snprintf(own, sizeof(own), "uid-%u", uid);
	if (!find_session(link, userdata, p.session ?: own, uid, &to_be, &s, &r))
		return r;
	return declare(link, s, uid, kind, &wish);
}
