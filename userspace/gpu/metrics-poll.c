// SPDX-License-Identifier: GPL-2.0-only
/*
 * One request every two seconds.  An engine that has answered before and does not
 * any more, HUNG_AFTER times in a row, is hung: its requests wait for what does not come.  It may be that it refuses
 * connections, or takes them and says nothing; any answer, an error too, is one.  Tool calls yield nothing to it.
 */
#include "metrics-poll.h"

#include <math.h>

#include "checkpoint.h"
#include "http.h"
#include "manager.h"
#include "metrics.h"
#include "worker.h"
#include "yield-pool.h"

#define POLL_USEC	(2 * USEC_PER_SEC)
/* llama-server answers between two batches of a prompt, which may take seconds. */
#define TIMEOUT_USEC	(5 * USEC_PER_SEC)
#define HUNG_AFTER	4
/* While its GPU memory is away: a request waits for being seen. */
#define AWAY_USEC	(200 * USEC_PER_MSEC)

struct worker_metrics {
	struct worker *w;
	struct http *http;
	struct http_request *request;
	sd_event_source *timer;
	unsigned int missed;		/* in a row */
	bool answered;			/* ever */
	bool away;			/* its GPU memory is */
	uint64_t idle_usec;		/* CLOCK_MONOTONIC, since when it has no requests; 0: it has */

	bool has_last;
	struct metrics last;
	uint64_t last_usec;
	struct inference now;
	double tokens_per_sec;
	double ttft_sec, token_sec;	/* of the last time that anything ended */
	struct yield yield;
	char why[AGENTCG_WHY_MAX];	/* of the level */
};

unsigned int agentcg_metrics_yield(const struct worker *w)
{
	return w->metrics ? w->metrics->yield.level : 0;
}

static double target(uint64_t usec)
{
	return usec == AGENTCG_NONE ? NAN : (double)usec / USEC_PER_SEC;
}

/* ---- what it says ------------------------------------------------------- */

static void judge(struct worker_metrics *p)
{
	const struct agentcg_gpu_policy *policy = &p->w->m->policy.gpu;
	struct yield_target t = { target(policy->ttft_usec), target(policy->token_usec) };

	if (agentcg_yield_step(&p->yield, &t, &p->now, p->why)) {
		char why[AGENTCG_WHY_MAX];

		agentcg_why(0, why, "%s: %s", p->w->name, p->why);
		agentcg_yield_pool_apply(p->w->m, why);
	}
}

/* One that says nothing of its requests is never idle. */
static void look_idle(struct worker_metrics *p, uint64_t now)
{
	bool idle = p->now.running == 0 && !(p->now.queue > 0) && !(p->now.tokens > 0);

	if (!idle)
		p->idle_usec = 0;
	else if (!p->idle_usec)
		p->idle_usec = now;
	p->away = agentcg_checkpoint_look(p->w, idle ? now - p->idle_usec : 0, !idle);
}

static void take(struct worker_metrics *p, const char *body, size_t size)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	struct metrics m;

	if (!agentcg_metrics_parse(body, size, &m))
		return;
	agentcg_metrics_delta(p->has_last ? &p->last : NULL, &m, &p->now);
	p->now.time_usec = now;
	p->tokens_per_sec = p->has_last && now > p->last_usec ?
		p->now.tokens * USEC_PER_SEC / (double)(now - p->last_usec) : NAN;
	if (!isnan(p->now.ttft_sec))
		p->ttft_sec = p->now.ttft_sec;
	if (!isnan(p->now.token_sec))
		p->token_sec = p->now.token_sec;
	p->last = m;
	p->last_usec = now;
	p->has_last = true;
	judge(p);
	look_idle(p, now);
}

static void missed(struct worker_metrics *p, const char *reason)
{
	char text[AGENTCG_WHY_MAX];

	if (p->away) {
		/* It may wait for its GPU to answer. */
		p->away = agentcg_checkpoint_look(p->w, 0, true);
		return;
	}
	p->missed++;
	if (!p->answered || p->missed < HUNG_AFTER || p->w->state != WORKER_RUNNING)
		return;
	p->has_last = false;
	p->now = (struct inference){ .ttft_sec = NAN, .token_sec = NAN, .tokens = NAN, .queue = NAN, .running = NAN };
	p->yield = (struct yield){};
	agentcg_why(0, p->why, "its engine does not answer");
	agentcg_yield_pool_apply(p->w->m, p->why);
	agentcg_why(0, text, "its engine at %s does not answer (%s)", p->w->url, reason);
	agentcg_worker_set_state(p->w, WORKER_HUNG, text);
}

static void on_answer(int status, const char *body, size_t size, void *userdata)
{
	struct worker_metrics *p = userdata;

	p->request = NULL;
	if (status == -ECANCELED)
		return;
	/* Too long an answer is one. */
	if (status < 0 && status != -EMSGSIZE) {
		missed(p, body ?: strerror(-status));
		return;
	}
	p->missed = 0;
	p->answered = true;
	if (p->w->state == WORKER_HUNG)
		agentcg_worker_set_state(p->w, WORKER_RUNNING, NULL);
	if (status == 200)
		take(p, body, size);
}

/* ---- asking ------------------------------------------------------------- */

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct worker_metrics *p = userdata;
	char url[AGENTCG_WORKER_URL_MAX + 32];
	int r;

	(void)sd_event_source_set_time_relative(source, p->away ? AWAY_USEC : POLL_USEC);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	if (p->request)
		return 0;
	/* TensorRT-LLM's /metrics is JSON of another kind. */
	snprintf(url, sizeof(url), "%s%s", p->w->url, p->w->engine == ENGINE_TRTLLM ? "/prometheus/metrics" : "/metrics");
	r = agentcg_http_send(p->http, url, NULL, p->away ? AWAY_USEC : TIMEOUT_USEC, on_answer, p, &p->request);
	if (r < 0)
		missed(p, strerror(-r));
	return 0;
}

static void end(struct worker *w)
{
	struct worker_metrics *p = w->metrics;
	bool yielded;

	if (!p)
		return;
	yielded = p->yield.level;
	sd_event_source_disable_unref(p->timer);
	if (p->request)
		agentcg_http_cancel(p->request);
	agentcg_http_free(p->http);
	free(p);
	w->metrics = NULL;
	if (yielded)
		agentcg_yield_pool_apply(w->m, "the worker that wanted it has ended");
}

static void begin(struct worker *w)
{
	struct worker_metrics *p;

	if (w->metrics || !*w->url)
		return;
	p = calloc(1, sizeof(*p));
	if (!p)
		return;
	w->metrics = p;
	p->w = w;
	p->ttft_sec = NAN;
	p->token_sec = NAN;
	p->tokens_per_sec = NAN;
	p->now = (struct inference){ .queue = NAN, .running = NAN };
	p->yield = (struct yield){ .level = agentcg_yield_pool_level(w->m), .since_usec = now_usec(CLOCK_MONOTONIC) };
	if (agentcg_http_new(w->m->event, &p->http) < 0 ||
	    sd_event_add_time_relative(w->m->event, &p->timer, CLOCK_MONOTONIC, 0, 0, on_timer, p) < 0)
		end(w);
}

/* ---- shown -------------------------------------------------------------- */

static uint64_t usec_of(double sec)
{
	return isnan(sec) ? 0 : (uint64_t)(sec * USEC_PER_SEC);
}

static int build(struct worker *w, uid_t uid, sd_json_variant **object)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	struct worker_metrics *p = w->metrics;
	int r;

	if (!p || !p->answered)
		return 0;
	r = sd_json_buildo(&v,
		SD_JSON_BUILD_PAIR_CONDITION(!isnan(p->now.running), "running", SD_JSON_BUILD_UNSIGNED((uint64_t)p->now.running)),
		SD_JSON_BUILD_PAIR_CONDITION(!isnan(p->now.queue), "waiting", SD_JSON_BUILD_UNSIGNED((uint64_t)p->now.queue)),
		SD_JSON_BUILD_PAIR_CONDITION(!isnan(p->ttft_sec), "ttftUSec", SD_JSON_BUILD_UNSIGNED(usec_of(p->ttft_sec))),
		SD_JSON_BUILD_PAIR_CONDITION(!isnan(p->token_sec), "tokenUSec", SD_JSON_BUILD_UNSIGNED(usec_of(p->token_sec))),
		SD_JSON_BUILD_PAIR_CONDITION(!isnan(p->tokens_per_sec), "tokensPerSecond", SD_JSON_BUILD_REAL(p->tokens_per_sec)),
		SD_JSON_BUILD_PAIR_UNSIGNED("yield", p->yield.level),
		SD_JSON_BUILD_PAIR_CONDITION(p->yield.level != 0, "reason", SD_JSON_BUILD_STRING(p->why)));
	return r < 0 ? r : sd_json_variant_set_field(object, "inference", v);
}

const struct worker_part agentcg_metrics_part = {
	.name = "metrics",
	.begin = begin,
	.end = end,
	.build = build,
};
