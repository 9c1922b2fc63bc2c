// SPDX-License-Identifier: GPL-2.0-only
/* io.agentcg.gpu: whose caches are where, and who is told what becomes of them. */
#include "io-agentcg.h"
#include "io-agentcg-gpu.h"
#include "pause.h"
#include "session.h"
#include "varlink.h"
#include "worker.h"

#define SLOTS_MAX	65536
/* 256 KiB, and of a user 4 MiB. */
#define IDS_MAX		65536
#define IDS_MAX_USER	(16 * IDS_MAX)

struct bind_parameters {
	const char *session, *worker;
	uint64_t slot, tokens;
	sd_json_variant *ids;
};

#define FIELD(member)	offsetof(struct bind_parameters, member)

/* The session @name if it is the caller's; NULL: the error is sent, *@ret tells. */
static struct session *own_session(sd_varlink *link, struct manager *m, const char *name, int *ret)
{
	struct session *s = agentcg_session_find(m, name);
	uid_t uid;

	*ret = sd_varlink_get_peer_uid(link, &uid);
	if (*ret < 0)
		return NULL;
	if (!s || s->closing)
		*ret = agentcg_reply_no_session(link, name);
	else if (uid != 0 && uid != s->uid)
		*ret = agentcg_reply_denied(link, "the session belongs to another user");
	else
		return s;
	return NULL;
}

/* *@ret may be NULL: none were given. */
static int read_ids(sd_json_variant *list, uint32_t **ret, size_t *nr)
{
	_cleanup_free_ uint32_t *ids = NULL;
	size_t n = list ? sd_json_variant_elements(list) : 0;

	*ret = NULL;
	*nr = n;
	ids = n ? calloc(n, sizeof(*ids)) : NULL;
	if (n && !ids)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		sd_json_variant *v = sd_json_variant_by_index(list, i);

		if (!sd_json_variant_is_unsigned(v) || sd_json_variant_unsigned(v) > INT32_MAX)
			return -EINVAL;
		ids[i] = (uint32_t)sd_json_variant_unsigned(v);
	}
	*ret = TAKE_PTR(ids);
	return 0;
}

METHOD(bind_session)
{
	static const sd_json_dispatch_field table[] = {
		{ "session", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, FIELD(session), SD_JSON_MANDATORY },
		{ "worker", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, FIELD(worker), SD_JSON_MANDATORY },
		{ "slot", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_u64, FIELD(slot), 0 },
		{ "tokens", _SD_JSON_VARIANT_TYPE_INVALID, agentcg_dispatch_u64, FIELD(tokens), 0 },
		{ "tokenIds", SD_JSON_VARIANT_ARRAY, sd_json_dispatch_variant_noref, FIELD(ids), SD_JSON_NULLABLE },
		{}
	};
	struct bind_parameters p = { .slot = UINT64_MAX };
	struct manager *m = userdata;
	struct session *s;
	struct worker *w;
	uint32_t *ids;
	size_t nr;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	if (p.slot != UINT64_MAX && p.slot >= SLOTS_MAX)
		return sd_varlink_error_invalid_parameter_name(link, "slot");
	s = own_session(link, m, p.session, &r);
	if (!s)
		return r;
	w = agentcg_worker_find(m, p.worker);
	if (!w || w->state == WORKER_GONE)
		return sd_varlink_errorbo(link, AGENTCG_GPU_ERROR("NoSuchWorker"), SD_JSON_BUILD_PAIR_STRING("worker", p.worker));
	if (p.ids && sd_json_variant_elements(p.ids) > IDS_MAX)
		return agentcg_reply_limit(link, "token ids of a session", IDS_MAX);
	if (p.ids && sd_json_variant_elements(p.ids) + agentcg_pause_ids(s) > IDS_MAX_USER)
		return agentcg_reply_limit(link, "token ids of a user", IDS_MAX_USER);
	r = read_ids(p.ids, &ids, &nr);
	if (r == -EINVAL)
		return sd_varlink_error_invalid_parameter_name(link, "tokenIds");
	if (!r)
		r = agentcg_pause_bind(s, w, p.slot == UINT64_MAX ? -1 : (int)p.slot, p.tokens, ids, nr);
	return r < 0 ? r : sd_varlink_reply(link, NULL);
}

METHOD(unbind_session)
{
	static const sd_json_dispatch_field table[] = {
		{ "session", SD_JSON_VARIANT_STRING, sd_json_dispatch_const_string, FIELD(session), SD_JSON_MANDATORY },
		{}
	};
	struct bind_parameters p = {};
	struct session *s;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	s = own_session(link, userdata, p.session, &r);
	if (!s)
		return r;
	r = agentcg_pause_unbind(s);
	return r < 0 ? r : sd_varlink_reply(link, NULL);
}

METHOD(watch_workers)
{
	uid_t uid;
	int r;

	if (!(flags & SD_VARLINK_METHOD_MORE))
		return sd_varlink_error(link, SD_VARLINK_ERROR_EXPECTED_MORE, NULL);
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r >= 0)
		r = agentcg_pause_watch(userdata, link, uid);
	return r == -ENOSPC ? agentcg_reply_limit(link, "watchers of workers", 64) : r;
}
