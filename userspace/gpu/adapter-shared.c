// SPDX-License-Identifier: GPL-2.0-only
/*
 * vLLM (vllm/v1/metrics/loggers.py; entrypoints/serve/dev/cache/api_router.py, with VLLM_SERVER_DEV_MODE=1):
 *
 *	GET /metrics			num_requests_running, _waiting, request_success_total (by reason);
 *					prefix_cache_queries_total: tokens of prompts, prefix_cache_hits_total: of those, reused;
 *					external_prefix_cache_hits_total: reused from a connector, as LMCache is
 *	POST /reset_prefix_cache	200 without a body, or {"success": bool} of later versions; nothing is done while
 *					blocks are in use
 *
 * SGLang (sglang/srt/observability/metrics_collector.py, with --enable-metrics; srt/entrypoints/http_server.py):
 *
 *	GET /metrics			num_running_reqs, num_queue_reqs, num_requests_total (ended), prompt_tokens_total,
 *					cached_tokens_total (by where it came from)
 *	POST /flush_cache		200, or 400 and nothing done while requests run or wait; 401 where it has an admin's key
 *
 * Both hold whatever sessions use them in one cache of prefixes and know no sessions, so what is counted is of all of them.
 * Series of one name are added up: engines, models, ranks.
 */
#include "adapter-private.h"
#include "metrics.h"

struct words {
	const char *running, *waiting, *ended;
	const char *prompts;		/* tokens, with those that are reused */
	const char *reused[2];		/* the first is always there */
	const char *empty;		/* POST */
	const char *option;		/* without which it is not there */
};

static const struct words vllm = {
	"vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:request_success_total",
	"vllm:prefix_cache_queries_total", { "vllm:prefix_cache_hits_total", "vllm:external_prefix_cache_hits_total" },
	"/reset_prefix_cache", "VLLM_SERVER_DEV_MODE=1",
};

static const struct words sglang = {
	"sglang:num_running_reqs", "sglang:num_queue_reqs", "sglang:num_requests_total",
	"sglang:prompt_tokens_total", { "sglang:cached_tokens_total", NULL },
	"/flush_cache", "its admin's key",
};

static const struct words *words_of(enum engine_kind kind)
{
	return kind == ENGINE_VLLM ? &vllm : &sglang;
}

/* ---- what it says ------------------------------------------------------------- */

int agentcg_shared_metrics(enum engine_kind kind, const char *body, struct kv_look *ret, char *why)
{
	const struct words *w = words_of(kind);
	double running, waiting, ended, prompts, reused, more = 0;

	*ret = (struct kv_look){ .task = -1 };
	/* Whether it is idle must be known for sure. */
	if (!agentcg_metrics_sum(body, w->running, &running) || !agentcg_metrics_sum(body, w->waiting, &waiting))
		return agentcg_why(-EBADMSG, why, "the engine's /metrics does not say how many requests run and wait");
	ret->busy = running > 0;
	ret->waiting = (unsigned int)(waiting < UINT32_MAX ? waiting : UINT32_MAX);
	ret->counted = agentcg_metrics_sum(body, w->ended, &ended) && agentcg_metrics_sum(body, w->prompts, &prompts) &&
		agentcg_metrics_sum(body, w->reused[0], &reused);
	if (!ret->counted)
		return 0;
	if (w->reused[1] && agentcg_metrics_sum(body, w->reused[1], &more))
		reused += more;
	ret->task = (int64_t)ended;
	ret->reused = (uint64_t)reused;
	ret->computed = prompts > reused ? (uint64_t)(prompts - reused) : 0;
	return 0;
}

int agentcg_shared_emptied(enum engine_kind kind, int status, const char *body, struct kv_done *ret, char *why)
{
	const struct words *w = words_of(kind);
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	sd_json_variant *success;

	*ret = (struct kv_done){};
	if (status == 404 || status == 401 || status == 403)
		return agentcg_why(-EOPNOTSUPP, why, "the engine refuses %s without %s (HTTP status %d)", w->empty, w->option, status);
	if (kind == ENGINE_SGLANG && status == 400)
		return agentcg_why(-EBUSY, why, "requests run or wait");
	if (status != 200)
		return agentcg_job_refused("the engine", status, body, why);
	if (kind == ENGINE_SGLANG)
		return 0;
	ret->unsaid = sd_json_parse(body, SD_JSON_PARSE_MUST_BE_OBJECT, &v, NULL, NULL) < 0;
	success = v ? sd_json_variant_by_key(v, "success") : NULL;
	ret->unsaid |= !success || !sd_json_variant_is_boolean(success);
	if (!ret->unsaid && !sd_json_variant_boolean(success))
		return agentcg_why(-EBUSY, why, "some of its cache is in use");
	return 0;
}

/* ---- requests ------------------------------------------------------------------- */

static void on_metrics(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;
	char why[AGENTCG_WHY_MAX] = "";
	int r = status == 200 ? agentcg_shared_metrics(job->engine, body, &job->look, why) :
				agentcg_job_refused("the engine", status, body, why);

	agentcg_job_end(job, r, why, NULL);
}

static int look(enum engine_kind kind, struct http *h, const char *base, adapter_look_t done, void *userdata, struct adapter_job **ret)
{
	struct adapter_job *job = agentcg_job_new(h, base, &(struct kv_ref){ .slot = -1 }, userdata);

	if (!job)
		return -ENOMEM;
	job->engine = kind;
	job->looked = done;
	return agentcg_job_start(job, "/metrics", NULL, ADAPTER_TIMEOUT_USEC, on_metrics, ret);
}

static void on_emptied(int status, const char *body, size_t size, void *userdata)
{
	struct adapter_job *job = userdata;
	char why[AGENTCG_WHY_MAX] = "";
	struct kv_done done = {};
	int r = agentcg_shared_emptied(job->engine, status, body, &done, why);

	agentcg_job_end(job, r, why, &done);
}

static int act(enum engine_kind kind, struct http *h, const char *base, enum kv_action what, adapter_done_t done, void *userdata,
	       struct adapter_job **ret)
{
	struct adapter_job *job = what == KV_ERASE ? agentcg_job_new(h, base, &(struct kv_ref){ .slot = -1 }, userdata) : NULL;

	if (!job)
		return what == KV_ERASE ? -ENOMEM : -EOPNOTSUPP;
	job->engine = kind;
	job->done = done;
	return agentcg_job_start(job, words_of(kind)->empty, "{}", ADAPTER_TIMEOUT_USEC, on_emptied, ret);
}

static int look_vllm(struct http *h, const char *url, const struct kv_ref *kv, adapter_look_t done, void *userdata,
		     struct adapter_job **ret)
{
	return look(ENGINE_VLLM, h, url, done, userdata, ret);
}

static int act_vllm(struct http *h, const char *url, const struct kv_ref *kv, enum kv_action what, adapter_done_t done,
		    void *userdata, struct adapter_job **ret)
{
	return act(ENGINE_VLLM, h, url, what, done, userdata, ret);
}

static int look_sglang(struct http *h, const char *url, const struct kv_ref *kv, adapter_look_t done, void *userdata,
		       struct adapter_job **ret)
{
	return look(ENGINE_SGLANG, h, url, done, userdata, ret);
}

static int act_sglang(struct http *h, const char *url, const struct kv_ref *kv, enum kv_action what, adapter_done_t done,
		      void *userdata, struct adapter_job **ret)
{
	return act(ENGINE_SGLANG, h, url, what, done, userdata, ret);
}

const struct adapter agentcg_adapter_vllm = { .shared = true, .look = look_vllm, .act = act_vllm };
const struct adapter agentcg_adapter_sglang = { .shared = true, .look = look_sglang, .act = act_sglang };
