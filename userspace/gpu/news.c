// SPDX-License-Identifier: GPL-2.0-only
#include "news.h"

#include "log.h"
#include "manager.h"
#include "watcher.h"

#define WATCHERS_MAX		64

/* Events that wait for the webhook; then the oldest go. */
#define HOOK_QUEUE_MAX		64
#define HOOK_TIMEOUT_USEC	(5 * USEC_PER_SEC)
/* After an error, doubled from one to the next. */
#define HOOK_WAIT_MIN_USEC	USEC_PER_SEC
#define HOOK_WAIT_MAX_USEC	(30 * USEC_PER_SEC)

struct news {
	struct manager *m;
	struct http *http;
	struct watcher *watchers;

	char *queue[HOOK_QUEUE_MAX];	/* a ring */
	unsigned int first, nr;
	uint64_t lost;
	struct http_request *request;
	uint64_t wait_usec;		/* 0: it answers */
	sd_event_source *retry;
};

/* ---- the webhook --------------------------------------------------------- */

static void post(struct news *n);

static void drop_first(struct news *n)
{
	free(n->queue[n->first]);
	n->queue[n->first] = NULL;
	n->first = (n->first + 1) % HOOK_QUEUE_MAX;
	n->nr--;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct news *n = userdata;

	n->retry = sd_event_source_disable_unref(n->retry);
	post(n);
	return 0;
}

static void wait_longer(struct news *n, const char *why)
{
	if (!n->wait_usec)
		agentcg_log(LOG_WARNING, "the webhook %s does not take events: %s", n->m->policy.gpu.webhook, why);
	n->wait_usec = n->wait_usec ? min_u64(2 * n->wait_usec, HOOK_WAIT_MAX_USEC) : HOOK_WAIT_MIN_USEC;
	if (!n->retry)
		sd_event_add_time_relative(n->m->event, &n->retry, CLOCK_MONOTONIC, n->wait_usec, 0, on_retry, n);
}

static void on_posted(int status, const char *body, size_t size, void *userdata)
{
	struct news *n = userdata;
	char why[64];

	n->request = NULL;
	if (status >= 200 && status < 300) {
		if (n->wait_usec)
			agentcg_log(LOG_NOTICE, "the webhook takes events again");
		n->wait_usec = 0;
		n->lost = 0;
		if (n->nr)
			drop_first(n);
		post(n);
		return;
	}
	snprintf(why, sizeof(why), "HTTP status %d", status);
	wait_longer(n, status < 0 ? body : why);
}

static void post(struct news *n)
{
	const char *url = n->m->policy.gpu.webhook;
	int r;

	while (n->nr && !*url)
		drop_first(n);	/* the policy has none any more */
	if (!n->nr || n->request || n->retry)
		return;
	r = agentcg_http_send(n->http, url, n->queue[n->first], HOOK_TIMEOUT_USEC, on_posted, n, &n->request);
	if (r < 0)
		wait_longer(n, strerror(-r));
}

static void enqueue(struct news *n, sd_json_variant *v)
{
	_cleanup_free_ char *text = NULL;

	if (sd_json_variant_format(v, 0, &text) < 0)
		return;
	/* The one that is under way is the first: it stays until it is answered. */
	if (n->nr == HOOK_QUEUE_MAX) {
		if (n->request) {
			n->lost++;
			return;
		}
		drop_first(n);
		n->lost++;
	}
	n->queue[(n->first + n->nr++) % HOOK_QUEUE_MAX] = TAKE_PTR(text);
	post(n);
}

/* ---- watchers --------------------------------------------------------------- */

static int build(const struct news_item *item, uint64_t lost, sd_json_variant **ret)
{
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("event", item->event),
		SD_JSON_BUILD_PAIR_STRING("worker", item->worker),
		SD_JSON_BUILD_PAIR_CONDITION(!!item->session, "session", SD_JSON_BUILD_STRING(item->session)),
		SD_JSON_BUILD_PAIR_CONDITION(item->expected_usec != AGENTCG_NONE, "expectedUSec", SD_JSON_BUILD_UNSIGNED(item->expected_usec)),
		SD_JSON_BUILD_PAIR_STRING("text", item->text),
		SD_JSON_BUILD_PAIR_UNSIGNED("timeUSec", now_usec(CLOCK_REALTIME)),
		SD_JSON_BUILD_PAIR_CONDITION(lost > 0, "lost", SD_JSON_BUILD_UNSIGNED(lost)));
}

void agentcg_news_tell(struct news *n, const struct news_item *item)
{
	agentcg_log(LOG_DEBUG, "%s: %s%s%s: %s", item->worker, item->session ?: "", item->session ? " " : "", item->event, item->text);
	for (struct watcher *w = n->watchers; w; w = w->next) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		if ((item->session && w->uid && w->uid != item->uid) || !agentcg_watcher_reads(w) || build(item, w->lost, &v) < 0)
			continue;
		sd_varlink_notify(w->link, v);
		agentcg_watcher_sent(w);
	}
	if (*n->m->policy.gpu.webhook) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		if (build(item, n->lost, &v) >= 0)
			enqueue(n, v);
	}
}

int agentcg_news_watch(struct news *n, sd_varlink *link, uid_t uid)
{
	return agentcg_watcher_add(&n->watchers, link, uid, WATCHERS_MAX);
}

void agentcg_news_forget(struct news *n, sd_varlink *link)
{
	agentcg_watcher_remove(&n->watchers, link);
}

int agentcg_news_new(struct manager *m, struct http *h, struct news **ret)
{
	struct news *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->m = m;
	n->http = h;
	*ret = n;
	return 0;
}

struct news *agentcg_news_free(struct news *n)
{
	if (!n)
		return NULL;
	agentcg_news_forget(n, NULL);
	agentcg_http_cancel(n->request);
	sd_event_source_disable_unref(n->retry);
	while (n->nr)
		drop_first(n);
	free(n);
	return NULL;
}
