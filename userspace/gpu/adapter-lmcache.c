// SPDX-License-Identifier: GPL-2.0-only
/*
 * LMCache's controller (`lmcache_controller`; lmcache/v1/api_server/__main__.py, docs/source/kv_cache_management):
 *
 *	POST /lookup {tokens}					-> {event_id, layout_info: {INSTANCE: [PLACE, tokens]}}
 *	POST /move {old_position: [INSTANCE, PLACE],
 *		    new_position: [...], tokens, copy}		-> {event_id, num_tokens}
 *	POST /clear {instance_id, location}			-> {event_id, num_tokens}
 *
 * and 500 with {"detail"} where anything is wrong.  Tokens are ids of the model's vocabulary, from the beginning of the
 * prompt: who wants its cache found says which (BindSession).  What is found is whole chunks (256 tokens, unless it is
 * configured otherwise) of their beginning.  A worker is found as the instance that has its name (lmcache_instance_id),
 * or, where one instance alone has the tokens, as that.
 */
#include "adapter-private.h"

#include <inttypes.h>

/* ---- what it says ------------------------------------------------------------- */

static bool take(struct kv_look *ret, const char *instance, sd_json_variant *at)
{
	sd_json_variant *place, *tokens;

	if (!sd_json_variant_is_array(at) || sd_json_variant_elements(at) != 2)
		return false;
	place = sd_json_variant_by_index(at, 0);
	tokens = sd_json_variant_by_index(at, 1);
	if (!sd_json_variant_is_string(place) || !sd_json_variant_is_unsigned(tokens) ||
	    strlen(sd_json_variant_string(place)) >= AGENTCG_PLACE_MAX || strlen(instance) >= AGENTCG_PLACE_MAX)
		return false;
	snprintf(ret->place, sizeof(ret->place), "%s", sd_json_variant_string(place));
	snprintf(ret->instance, sizeof(ret->instance), "%s", instance);
	ret->tokens = sd_json_variant_unsigned(tokens);
	return true;
}

int agentcg_lmcache_found(const char *body, const char *instance, struct kv_look *ret, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	sd_json_variant *layout, *own;
	bool ok = true;

	*ret = (struct kv_look){ .task = -1 };
	layout = sd_json_parse(body, SD_JSON_PARSE_MUST_BE_OBJECT, &v, NULL, NULL) < 0 ? NULL : sd_json_variant_by_key(v, "layout_info");
	if (!layout || !sd_json_variant_is_object(layout))
		return agentcg_why(-EBADMSG, why, "LMCache's answer cannot be understood");
	own = sd_json_variant_by_key(layout, instance);
	/* An object's elements are its names and values in turn. */
	if (own)
		ok = take(ret, instance, own);
	else if (sd_json_variant_elements(layout) == 2)
		ok = take(ret, sd_json_variant_string(sd_json_variant_by_index(layout, 0)), sd_json_variant_by_index(layout, 1));
	else if (sd_json_variant_elements(layout) > 2)
		return agentcg_why(-ENOENT, why, "several instances of LMCache have it, and none is called as the worker: "
				   "set lmcache_instance_id to %s", instance);
	return ok ? 0 : agentcg_why(-EBADMSG, why, "LMCache's answer cannot be understood");
}

int agentcg_lmcache_done(const char *body, struct kv_done *ret, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

	*ret = (struct kv_done){};
	if (sd_json_parse(body, SD_JSON_PARSE_MUST_BE_OBJECT, &v, NULL, NULL) < 0 || !sd_json_variant_by_key(v, "num_tokens"))
		return agentcg_why(-EBADMSG, why, "LMCache's answer cannot be understood");
	ret->tokens = agentcg_job_number(v, "num_tokens");
	return 0;
}

/* ---- requests ------------------------------------------------------------------- */

/* @v, an object, with the tokens of @kv. */
static int with_tokens(sd_json_variant **v, const struct kv_ref *kv)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	_cleanup_free_ sd_json_variant **ids = calloc(kv->nr_ids + 1, sizeof(*ids));
	int r = ids ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < kv->nr_ids; i++)
		r = sd_json_variant_new_unsigned(&ids[i], kv->ids[i]);
	if (r >= 0)
		r = sd_json_variant_new_array(&list, ids, kv->nr_ids);
	for (size_t i = 0; ids && i < kv->nr_ids; i++)
		sd_json_variant_unref(ids[i]);
	return r < 0 ? r : sd_json_variant_set_field(v, "tokens", list);
}

static int start(struct adapter_job *job, const char *path, sd_json_variant *v, uint64_t timeout_usec, http_done_t answer,
		 struct adapter_job **ret)
{
	_cleanup_free_ char *json = NULL;
	int r = sd_json_variant_format(v, 0, &json);

	if (r < 0) {
		free(job);
		return r;
	}
	return agentcg_job_start(job, path, json, timeout_usec, answer, ret);
}

static void on_found(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;
	char why[AGENTCG_WHY_MAX] = "";
	int r = status == 200 ? agentcg_lmcache_found(body, job->instance, &job->look, why) :
				agentcg_job_refused("the controller", status, body, why);

	agentcg_job_end(job, r, why, NULL);
}

int agentcg_lmcache_look(struct http *h, const char *url, const struct kv_ref *kv, const char *instance, adapter_look_t done,
			 void *userdata, struct adapter_job **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	struct adapter_job *job;
	int r = with_tokens(&v, kv);

	if (r < 0)
		return r;
	job = agentcg_job_new(h, url, kv, userdata);
	if (!job)
		return -ENOMEM;
	job->looked = done;
	snprintf(job->instance, sizeof(job->instance), "%s", instance);
	return start(job, "/lookup", v, ADAPTER_TIMEOUT_USEC, on_found, ret);
}

static void on_done(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;
	char why[AGENTCG_WHY_MAX] = "";
	struct kv_done done = {};
	int r = status == 200 ? agentcg_lmcache_done(body, &done, why) : agentcg_job_refused("the controller", status, body, why);

	agentcg_job_end(job, r, why, &done);
}

int agentcg_lmcache_copy(struct http *h, const char *url, const struct kv_ref *kv, const struct kv_look *from,
			 const char *instance, adapter_done_t done, void *userdata, struct adapter_job **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	struct adapter_job *job;
	int r;

	r = sd_json_buildo(&v,
		SD_JSON_BUILD_PAIR("old_position",
				   SD_JSON_BUILD_ARRAY(SD_JSON_BUILD_STRING(from->instance), SD_JSON_BUILD_STRING(from->place))),
		SD_JSON_BUILD_PAIR("new_position", SD_JSON_BUILD_ARRAY(SD_JSON_BUILD_STRING(instance), SD_JSON_BUILD_STRING(from->place))),
		SD_JSON_BUILD_PAIR_BOOLEAN("copy", true));
	if (r >= 0)
		r = with_tokens(&v, kv);
	if (r < 0)
		return r;
	job = agentcg_job_new(h, url, kv, userdata);
	if (!job)
		return -ENOMEM;
	job->done = done;
	return start(job, "/move", v, ADAPTER_MOVE_USEC, on_done, ret);
}

int agentcg_lmcache_clear(struct http *h, const char *url, const struct kv_look *at, adapter_done_t done, void *userdata,
			  struct adapter_job **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	struct adapter_job *job;
	int r;

	r = sd_json_buildo(&v, SD_JSON_BUILD_PAIR_STRING("instance_id", at->instance), SD_JSON_BUILD_PAIR_STRING("location", at->place));
	if (r < 0)
		return r;
	job = agentcg_job_new(h, url, &(struct kv_ref){ .slot = -1 }, userdata);
	if (!job)
		return -ENOMEM;
	job->done = done;
	return start(job, "/clear", v, ADAPTER_TIMEOUT_USEC, on_done, ret);
}
