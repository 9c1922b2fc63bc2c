// SPDX-License-Identifier: GPL-2.0-only
/* GetHistory: what earlier calls of a user needed, by kind. */
#include "command.h"
#include "history.h"
#include "summary.h"
#include "varlink.h"

/* A reply has no more kinds: some 5 ms of reading at worst, and 16 KiB. */
#define KINDS_MAX	64

struct history_parameters {
	sd_json_variant *command;
	const char *kind;
	uint64_t limit;
	uint64_t uid;
};

static int build_kind(struct history *h, uid_t uid, const char *kind, sd_json_variant **list)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	struct observation runs[AGENTCG_SUMMARY_MAX];
	struct run_summary s;
	int n, r;

	n = agentcg_history_read_kind(h, uid, kind, runs, ARRAY_SIZE(runs));
	if (n <= 0)
		return n;
	agentcg_summarize(runs, (size_t)n, &s);
	r = sd_json_buildo(&v,
		SD_JSON_BUILD_PAIR_STRING("kind", kind),
		SD_JSON_BUILD_PAIR_UNSIGNED("runs", s.runs),
		SD_JSON_BUILD_PAIR_UNSIGNED("failures", s.failures),
		SD_JSON_BUILD_PAIR_UNSIGNED("peakP50", s.peak_p50),
		SD_JSON_BUILD_PAIR_UNSIGNED("peakP95", s.peak_p95),
		SD_JSON_BUILD_PAIR_UNSIGNED("peakMax", s.peak_max),
		SD_JSON_BUILD_PAIR_UNSIGNED("durationP50USec", s.duration_p50),
		SD_JSON_BUILD_PAIR_UNSIGNED("durationP95USec", s.duration_p95),
		SD_JSON_BUILD_PAIR_UNSIGNED("lastUSec", s.last_usec));
	return r < 0 ? r : sd_json_variant_append_array(list, v);
}

static bool is_list_of_strings(sd_json_variant *v)
{
	if (!sd_json_variant_is_array(v))
		return false;
	for (size_t i = 0; i < sd_json_variant_elements(v); i++)
		if (!sd_json_variant_is_string(sd_json_variant_by_index(v, i)))
			return false;
	return true;
}

METHOD(get_history)
{
	static const sd_json_dispatch_field table[] = {
		{ "command", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_variant_noref, offsetof(struct history_parameters, command), 0 },
		{ "kind", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_const_string, offsetof(struct history_parameters, kind), 0 },
		{ "limit", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_u64, offsetof(struct history_parameters, limit), 0 },
		{ "uid", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_u64, offsetof(struct history_parameters, uid), 0 },
		{}
	};
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	struct history_parameters p = { .limit = KINDS_MAX, .uid = AGENTCG_NONE };
	struct kind_name kinds[KINDS_MAX];
	struct manager *m = userdata;
	uid_t uid;
	int n, r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	/* The last rows are not in the database yet. */
	if (m->history)
		agentcg_history_fold(m->history);
	if (p.command && !sd_json_variant_is_null(p.command) && !is_list_of_strings(p.command))
		return sd_varlink_error_invalid_parameter_name(link, "command");
	if (p.uid != AGENTCG_NONE && p.uid >= UINT32_MAX)
		return sd_varlink_error_invalid_parameter_name(link, "uid");
	if (!p.limit)
		return sd_varlink_error_invalid_parameter_name(link, "limit");
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	if (p.uid != AGENTCG_NONE && p.uid != uid && uid != 0)
		return agentcg_reply_denied(link, "the history of another user; only root sees that");
	if (p.uid != AGENTCG_NONE)
		uid = (uid_t)p.uid;

	n = 1;
	if (p.kind)
		snprintf(kinds[0].text, sizeof(kinds[0].text), "%s", p.kind);
	else if (p.command && !sd_json_variant_is_null(p.command))
		agentcg_command_kind(p.command, kinds[0].text);
	else
		n = agentcg_history_read_kinds(m->history, uid, kinds, min_u64(p.limit, KINDS_MAX));
	r = n < 0 ? n : sd_json_variant_new_array(&list, NULL, 0);
	for (int i = 0; r >= 0 && i < n; i++)
		r = build_kind(m->history, uid, kinds[i].text, &list);
	return r < 0 ? r : sd_varlink_replybo(link, SD_JSON_BUILD_PAIR_VARIANT("kinds", list));
}
