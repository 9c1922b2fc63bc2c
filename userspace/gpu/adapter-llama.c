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
#include "adapter-private.h"

#include "metrics.h"

/* ---- what it says ------------------------------------------------------------- */

static void read_slot(sd_json_variant *v, struct kv_look *ret)
{
	sd_json_variant *task = sd_json_variant_by_key(v, "id_task");

	ret->busy = agentcg_job_truth(v, "is_processing");
	ret->task = task && sd_json_variant_is_integer(task) ? sd_json_variant_integer(task) : -1;
	ret->tokens = agentcg_job_number(v, "n_prompt_tokens");
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
		ret->room += agentcg_job_number(v, "n_ctx");
		ret->places++;
		ret->free_places += !agentcg_job_number(v, "n_prompt_tokens") && !agentcg_job_truth(v, "is_processing");
		if (slot < 0 || agentcg_job_number(v, "id") != (uint64_t)slot || !sd_json_variant_by_key(v, "id"))
			continue;
		found = true;
		read_slot(v, ret);
	}
	return found ? 0 : agentcg_why(-ENOENT, why, "the engine has no slot %d", slot);
}

void agentcg_llama_metrics(const char *body, struct kv_look *ret)
{
	double computed, reused, seconds, deferred;

	ret->counted = agentcg_metrics_sum(body, "llamacpp:prompt_tokens_total", &computed) &&
		agentcg_metrics_sum(body, "llamacpp:prompt_tokens_cached_total", &reused) &&
		agentcg_metrics_sum(body, "llamacpp:prompt_seconds_total", &seconds) &&
		agentcg_metrics_sum(body, "llamacpp:requests_deferred", &deferred);
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
	ret->tokens = agentcg_job_number(v, names[what][0]);
	ret->bytes = agentcg_job_number(v, names[what][1]);
	ms = sd_json_variant_by_key(v, "timings");
	ms = ms && sd_json_variant_is_object(ms) ? sd_json_variant_by_key(ms, names[what][2]) : NULL;
	if (ms && sd_json_variant_is_number(ms) && sd_json_variant_real(ms) > 0 && sd_json_variant_real(ms) < 1e9)
		ret->usec = (uint64_t)(sd_json_variant_real(ms) * USEC_PER_MSEC);
	return 0;
}

/* ---- requests ------------------------------------------------------------------- */

/* Without --metrics there is no such page. */
static void on_metrics(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;

	if (status == 200)
		agentcg_llama_metrics(body, &job->look);
	agentcg_job_end(job, status < 0 ? status : 0, body, NULL);
}

static void on_slots(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;
	char why[AGENTCG_WHY_MAX] = "";
	int r = status < 0 ? status : 0;

	if (!r && status != 200)
		r = agentcg_why(-EOPNOTSUPP, why, "the engine does not show its slots (HTTP status %d)", status);
	if (!r)
		r = agentcg_llama_slots(body, job->kv.slot, &job->look, why);
	if (!r)
		r = agentcg_job_send(job, "/metrics", NULL, ADAPTER_TIMEOUT_USEC, on_metrics);
	if (r < 0)
		agentcg_job_end(job, r, status < 0 ? body : why, NULL);
}

static int look(struct http *h, const char *base, const struct kv_ref *kv, adapter_look_t done, void *userdata,
		struct adapter_job **ret)
{
	struct adapter_job *job = agentcg_job_new(h, base, kv, userdata);

	if (!job)
		return -ENOMEM;
	job->looked = done;
	return agentcg_job_start(job, "/slots", NULL, ADAPTER_TIMEOUT_USEC, on_slots, ret);
}

/* "501: ..." where it was started without --slot-save-path. */
static void on_done(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;
	char why[AGENTCG_WHY_MAX] = "";
	struct kv_done done = {};
	int r;

	if (status != 200)
		r = agentcg_job_refused("the engine", status, body, why);
	else
		r = agentcg_llama_done(body, job->what, &done, why);
	agentcg_job_end(job, r, why, &done);
}

static int act(struct http *h, const char *base, const struct kv_ref *kv, enum kv_action what, adapter_done_t done,
	       void *userdata, struct adapter_job **ret)
{
	static const char *const names[] = { [KV_SAVE] = "save", [KV_RESTORE] = "restore", [KV_ERASE] = "erase" };
	struct adapter_job *job = agentcg_job_new(h, base, kv, userdata);
	char path[64], json[64] = "{}";

	if (!job)
		return -ENOMEM;
	job->what = what;
	job->done = done;
	snprintf(path, sizeof(path), "/slots/%d?action=%s", kv->slot, names[what]);
	if (what != KV_ERASE)
		snprintf(json, sizeof(json), "{\"filename\":\"agentcg-%u.bin\"}", kv->file);
	return agentcg_job_start(job, path, json, what == KV_ERASE ? ADAPTER_TIMEOUT_USEC : ADAPTER_MOVE_USEC, on_done, ret);
}

const struct adapter agentcg_adapter_llama = { .look = look, .act = act };
