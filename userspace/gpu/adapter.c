// SPDX-License-Identifier: GPL-2.0-only
#include "adapter-private.h"

const struct adapter *agentcg_adapter_of(enum engine_kind kind)
{
	switch (kind) {
	case ENGINE_LLAMA:
		return &agentcg_adapter_llama;
	case ENGINE_VLLM:
		return &agentcg_adapter_vllm;
	case ENGINE_SGLANG:
		return &agentcg_adapter_sglang;
	default:
		return NULL;
	}
}

struct adapter_job *agentcg_job_new(struct http *h, const char *url, const struct kv_ref *kv, void *userdata)
{
	struct adapter_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	*job = (struct adapter_job){ .h = h, .kv = *kv, .userdata = userdata };
	snprintf(job->url, sizeof(job->url), "%s", url);
	return job;
}

int agentcg_job_send(struct adapter_job *job, const char *path, const char *json, uint64_t timeout_usec, http_done_t answer)
{
	char url[ADAPTER_URL_MAX + 64];

	job->request = NULL;
	snprintf(url, sizeof(url), "%s%s", job->url, path);
	return agentcg_http_send(job->h, url, json, timeout_usec, answer, job, &job->request);
}

int agentcg_job_start(struct adapter_job *job, const char *path, const char *json, uint64_t timeout_usec, http_done_t answer,
		      struct adapter_job **ret)
{
	int r = agentcg_job_send(job, path, json, timeout_usec, answer);

	if (r < 0)
		free(job);
	else
		*ret = job;
	return r;
}

void agentcg_job_end(struct adapter_job *job, int result, const char *why, const struct kv_done *done)
{
	if (job->looked)
		job->looked(result, why, &job->look, job->userdata);
	else
		job->done(result, why, done ?: &(struct kv_done){}, job->userdata);
	free(job);
}

void agentcg_adapter_cancel(struct adapter_job *job)
{
	agentcg_http_cancel(job->request);
	free(job);
}

/* {"error":{"message":...}} of most, {"detail":...} of LMCache; SGLang says it as plain text. */
int agentcg_job_refused(const char *who, int status, const char *body, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	sd_json_variant *text = NULL, *error;

	if (status < 0)
		return agentcg_why(status, why, "%s does not answer: %s", who, body);
	if (sd_json_parse(body, 0, &v, NULL, NULL) >= 0 && sd_json_variant_is_object(v)) {
		error = sd_json_variant_by_key(v, "error");
		text = error && sd_json_variant_is_object(error) ? sd_json_variant_by_key(error, "message") :
								   sd_json_variant_by_key(v, "detail");
	}
	return agentcg_why(status == 501 || status == 404 ? -EOPNOTSUPP : -EIO, why, "%s says: %.200s (HTTP status %d)", who,
			   text && sd_json_variant_is_string(text) ? sd_json_variant_string(text) : "nothing", status);
}

uint64_t agentcg_job_number(sd_json_variant *object, const char *key)
{
	sd_json_variant *v = sd_json_variant_by_key(object, key);

	return v && sd_json_variant_is_unsigned(v) ? sd_json_variant_unsigned(v) : 0;
}

bool agentcg_job_truth(sd_json_variant *object, const char *key)
{
	sd_json_variant *v = sd_json_variant_by_key(object, key);

	return v && sd_json_variant_is_boolean(v) && sd_json_variant_boolean(v);
}
