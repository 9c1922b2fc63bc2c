// SPDX-License-Identifier: GPL-2.0-only
/*
 * llama-server (tools/server/README.md of llama.cpp; here version 0.7.0):
 *
 *	GET /slots			[{id, n_ctx, is_processing, id_task, n_prompt_tokens}]; the last two once a slot was used.
 *					n_prompt_tokens is what it holds, also after save, restore and erase.
 *	POST /slots/N?action=save	{filename} -> {n_saved, n_written, timings.save_ms}
 *	POST /slots/N?action=restore	{filename} -> {n_restored, n_read, timings.restore_ms}
 *	POST /slots/N?action=erase	-> {n_erased}
 *	GET /metrics			with --metrics: prompt_tokens_total (computed), prompt_tokens_cached_total (reused),
 *					prompt_seconds_total, requests_deferred
 *
 * Files are below --slot-save-path; without it the actions are refused.  What a
 * completion reused is in its answer (timings.cache_n), which we do not see: the
 * counters of all of them are what is left, see pause.c.
 */
#include "adapter.h"

#include <systemd/sd-json.h>

#define TIMEOUT_USEC		(5 * USEC_PER_SEC)
/* Gigabytes are written to a disk. */
#define MOVE_TIMEOUT_USEC	(60 * USEC_PER_SEC)
#define URL_MAX			256

struct adapter_job {
	struct http *h;
	struct http_request *request;
	char url[URL_MAX];
	struct kv_ref kv;
	enum kv_action what;
	struct kv_look look;
	adapter_look_t looked;
	adapter_done_t done;
	void *userdata;
};

/* ---- what it says ------------------------------------------------------------- */

static uint64_t number(sd_json_variant *object, const char *key)
{
	sd_json_variant *v = sd_json_variant_by_key(object, key);

	return v && sd_json_variant_is_unsigned(v) ? sd_json_variant_unsigned(v) : 0;
}

static bool truth(sd_json_variant *object, const char *key)
{
	sd_json_variant *v = sd_json_variant_by_key(object, key);

	return v && sd_json_variant_is_boolean(v) && sd_json_variant_boolean(v);
}

static void read_slot(sd_json_variant *v, struct kv_look *ret)
{
	sd_json_variant *task = sd_json_variant_by_key(v, "id_task");

	ret->busy = truth(v, "is_processing");
	ret->task = task && sd_json_variant_is_integer(task) ? sd_json_variant_integer(task) : -1;
	ret->tokens = number(v, "n_prompt_tokens");
}

int agentcg_llama_slots(const char *body, int slot, struct kv_look *ret, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	bool found = false;

	*ret = (struct kv_look){ .task = -1 };
	if (sd_json_parse(body, 0, &list, NULL, NULL) < 0 || !sd_json_variant_is_array(list))
		return agentcg_why(-EBADMSG, why, "the engine's /slots cannot be understood");
	for (size_t i = 0; i < sd_json_variant_elements(list); i++) {
		sd_json_variant *v = sd_json_variant_by_index(list, i);

		if (!sd_json_variant_is_object(v))
			return agentcg_why(-EBADMSG, why, "the engine's /slots cannot be understood");
		ret->room += number(v, "n_ctx");
		ret->places++;
		ret->free_places += !number(v, "n_prompt_tokens") && !truth(v, "is_processing");
		if (slot < 0 || number(v, "id") != (uint64_t)slot || !sd_json_variant_by_key(v, "id"))
			continue;
		found = true;
		read_slot(v, ret);
	}
	return found ? 0 : agentcg_why(-ENOENT, why, "the engine has no slot %d", slot);
}

static bool metric(const char *body, const char *name, double *ret)
{
	size_t n = strlen(name);

	for (const char *p = body; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, n) == 0 && p[n] == ' ') {
			*ret = strtod(p + n, NULL);
			return *ret >= 0 && *ret < 1e18;
		}
	}
	return false;
}

void agentcg_llama_metrics(const char *body, struct kv_look *ret)
{
	double computed, reused, seconds, deferred;

	ret->counted = metric(body, "llamacpp:prompt_tokens_total", &computed) &&
		metric(body, "llamacpp:prompt_tokens_cached_total", &reused) &&
		metric(body, "llamacpp:prompt_seconds_total", &seconds) &&
		metric(body, "llamacpp:requests_deferred", &deferred);
	if (!ret->counted)
		return;
	ret->computed = (uint64_t)computed;
	ret->reused = (uint64_t)reused;
	ret->waiting = (unsigned int)deferred;
	if (seconds > 0)
		ret->prefill_rate = computed / seconds;
}

int agentcg_llama_done(const char *body, enum kv_action what, struct kv_done *ret, char *why)
{
	static const char *const names[][3] = {
		[KV_SAVE] = { "n_saved", "n_written", "save_ms" },
		[KV_RESTORE] = { "n_restored", "n_read", "restore_ms" },
		[KV_ERASE] = { "n_erased", "", "" },
	};
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	sd_json_variant *ms;

	*ret = (struct kv_done){};
	if (sd_json_parse(body, 0, &v, NULL, NULL) < 0 || !sd_json_variant_is_object(v) ||
	    !sd_json_variant_by_key(v, names[what][0]))
		return agentcg_why(-EBADMSG, why, "the engine's answer cannot be understood");
	ret->tokens = number(v, names[what][0]);
	ret->bytes = number(v, names[what][1]);
	ms = sd_json_variant_by_key(v, "timings");
	ms = ms && sd_json_variant_is_object(ms) ? sd_json_variant_by_key(ms, names[what][2]) : NULL;
	if (ms && sd_json_variant_is_number(ms) && sd_json_variant_real(ms) > 0 && sd_json_variant_real(ms) < 1e9)
		ret->usec = (uint64_t)(sd_json_variant_real(ms) * USEC_PER_MSEC);
	return 0;
}

/* ---- requests ------------------------------------------------------------------- */

static void tell_looked(struct adapter_job *job, int result, const char *why)
{
	job->looked(result, why, &job->look, job->userdata);
	free(job);
}

/* Without --metrics there is no such page. */
static void on_metrics(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;

	if (status == 200)
		agentcg_llama_metrics(body, &job->look);
	tell_looked(job, status < 0 ? status : 0, body);
}

static void on_slots(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;
	char why[AGENTCG_WHY_MAX] = "", url[URL_MAX + 16];
	int r = status < 0 ? status : 0;

	job->request = NULL;
	if (!r && status != 200)
		r = agentcg_why(-EOPNOTSUPP, why, "the engine does not show its slots (HTTP status %d)", status);
	if (!r)
		r = agentcg_llama_slots(body, job->kv.slot, &job->look, why);
	snprintf(url, sizeof(url), "%s/metrics", job->url);
	if (!r)
		r = agentcg_http_send(job->h, url, NULL, TIMEOUT_USEC, on_metrics, job, &job->request);
	if (r < 0)
		tell_looked(job, r, status < 0 ? body : why);
}

static struct adapter_job *new_job(struct http *h, const char *url, const struct kv_ref *kv, void *userdata)
{
	struct adapter_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	*job = (struct adapter_job){ .h = h, .kv = *kv, .userdata = userdata };
	snprintf(job->url, sizeof(job->url), "%s", url);
	return job;
}

static int look(struct http *h, const char *base, const struct kv_ref *kv, adapter_look_t done, void *userdata,
		struct adapter_job **ret)
{
	struct adapter_job *job = new_job(h, base, kv, userdata);
	char url[URL_MAX + 16];
	int r;

	if (!job)
		return -ENOMEM;
	job->looked = done;
	snprintf(url, sizeof(url), "%s/slots", base);
	r = agentcg_http_send(h, url, NULL, TIMEOUT_USEC, on_slots, job, &job->request);
	if (r < 0)
		free(job);
	else
		*ret = job;
	return r;
}

/* "501: ..." where it was started without --slot-save-path. */
static int refusal(int status, const char *body, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	sd_json_variant *error = NULL, *text = NULL;

	if (sd_json_parse(body, 0, &v, NULL, NULL) >= 0 && sd_json_variant_is_object(v))
		error = sd_json_variant_by_key(v, "error");
	if (error && sd_json_variant_is_object(error))
		text = sd_json_variant_by_key(error, "message");
	return agentcg_why(status == 501 || status == 404 ? -EOPNOTSUPP : -EIO, why, "the engine says: %.200s (HTTP status %d)",
			   text && sd_json_variant_is_string(text) ? sd_json_variant_string(text) : "nothing", status);
}

static void on_done(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;
	char why[AGENTCG_WHY_MAX] = "";
	struct kv_done done = {};
	int r;

	if (status < 0)
		r = agentcg_why(status, why, "the engine does not answer: %s", body);
	else if (status != 200)
		r = refusal(status, body, why);
	else
		r = agentcg_llama_done(body, job->what, &done, why);
	job->done(r, why, &done, job->userdata);
	free(job);
}

static int act(struct http *h, const char *base, const struct kv_ref *kv, enum kv_action what, adapter_done_t done,
	       void *userdata, struct adapter_job **ret)
{
	static const char *const names[] = { [KV_SAVE] = "save", [KV_RESTORE] = "restore", [KV_ERASE] = "erase" };
	struct adapter_job *job = new_job(h, base, kv, userdata);
	char url[URL_MAX + 64], json[64] = "{}";
	int r;

	if (!job)
		return -ENOMEM;
	job->what = what;
	job->done = done;
	snprintf(url, sizeof(url), "%s/slots/%d?action=%s", base, kv->slot, names[what]);
	if (what != KV_ERASE)
		snprintf(json, sizeof(json), "{\"filename\":\"agentcg-%u.bin\"}", kv->file);
	r = agentcg_http_send(h, url, json, what == KV_ERASE ? TIMEOUT_USEC : MOVE_TIMEOUT_USEC, on_done, job, &job->request);
	if (r < 0)
		free(job);
	else
		*ret = job;
	return r;
}

static void cancel(struct adapter_job *job)
{
	agentcg_http_cancel(job->request);
	free(job);
}

static const struct adapter llama = { look, act, cancel };

const struct adapter *agentcg_adapter_of(enum engine_kind kind)
{
	return kind == ENGINE_LLAMA ? &llama : NULL;
}
