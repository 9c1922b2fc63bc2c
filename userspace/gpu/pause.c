// SPDX-License-Identifier: GPL-2.0-only
#include "pause.h"

#include "call.h"
#include "history.h"
#include "log.h"
#include "manager.h"
#include "pause-private.h"
#include "record.h"
#include "session.h"

/* As many runs of a kind as predict.c wants, before the wider class is asked. */
#define MIN_RUNS	3

struct cache *agentcg_cache_find(const struct session *s)
{
	struct pauses *ps = s->m->pauses;

	for (struct cache *c = ps ? ps->caches : NULL; c; c = c->next)
		if (c->session == s)
			return c;
	return NULL;
}

/* ---- what calls of its kind took -------------------------------------------------- */

static size_t known(int rows)
{
	return rows < 0 ? 0 : (size_t)rows;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void agentcg_cache_predict(struct cache *c, const struct call *call)
{
	struct observation runs[AGENTCG_OBSERVATIONS_MAX];
	uint64_t usec[AGENTCG_OBSERVATIONS_MAX];
	struct history *h = c->ps->m->history;
	uid_t uid = c->session->uid;
	size_t n = 0;

	c->expected_usec = AGENTCG_NONE;
	c->nr_longer = 0;
	if (!h || !*call->kind)
		return;
	n = known(agentcg_history_read_kind(h, uid, call->kind, runs, ARRAY_SIZE(runs)));
	if (n < MIN_RUNS)
		n = known(agentcg_history_read_family(h, uid, call->kind, runs, ARRAY_SIZE(runs)));
	if (n < MIN_RUNS)
		n = known(agentcg_history_read_user(h, uid, runs, ARRAY_SIZE(runs)));
	if (!n)
		return;
	for (size_t i = 0; i < n; i++)
		usec[i] = runs[i].duration_usec;
	qsort(usec, n, sizeof(*usec), by_size);
	c->expected_usec = usec[n / 2];
	agentcg_keep_spread(usec, n, c->longer);
	c->nr_longer = n * KEEP_SPREAD;
}

/* ---- calls ------------------------------------------------------------------------ */

bool agentcg_cache_join(struct cache *c, struct call *call)
{
	if (call->agent || call->grant.detach || call->spare || call->ending || call->ours)
		return false;
	call->pauses = true;
	c->calls++;
	return true;
}

void agentcg_pause_begin(struct call *call)
{
	struct cache *c = call->m->pauses && !call->pauses ? agentcg_cache_find(call->session) : NULL;
	char name[AGENTCG_CALL_NAME_MAX];

	if (!c || !agentcg_cache_join(c, call) || c->calls > 1)
		return;
	c->paused_usec = now_usec(CLOCK_MONOTONIC);
	agentcg_cache_predict(c, call);
	agentcg_cache_tell(c, "paused", "%s%s%s", agentcg_call_name(call, name), *call->kind ? ": " : "", call->kind);
	agentcg_cache_paused(c);
}

void agentcg_pause_end(struct call *call)
{
	struct cache *c = call->pauses ? agentcg_cache_find(call->session) : NULL;

	call->pauses = false;
	if (!c || !c->calls || --c->calls || call->m->stopping)
		return;
	agentcg_cache_tell(c, "resumed", "after %.1f s", (double)(now_usec(CLOCK_MONOTONIC) - c->paused_usec) / USEC_PER_SEC);
	c->paused_usec = 0;
	agentcg_cache_resumed(c);
}

/* ---- bindings ---------------------------------------------------------------------- */

static void drop(struct cache *c)
{
	struct cache **p = &c->ps->caches;
	struct manager *m = c->ps->m;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	agentcg_cache_stop(c);
	for (uint32_t i = 0; i < m->nr_calls; i++)
		if (m->calls[i] && m->calls[i]->session == c->session)
			m->calls[i]->pauses = false;
	free((void *)c->kv.ids);
	free(c);
}

void agentcg_pause_forget(struct session *s)
{
	struct cache *c = agentcg_cache_find(s);

	if (c)
		drop(c);
}

int agentcg_pause_unbind(struct session *s)
{
	if (!agentcg_cache_find(s))
		return 0;
	agentcg_pause_forget(s);
	return agentcg_record_save_session(s);
}

static int open_pauses(struct manager *m)
{
	struct pauses *ps = m->pauses ? NULL : calloc(1, sizeof(*ps));
	int r;

	if (m->pauses)
		return 0;
	if (!ps)
		return -ENOMEM;
	ps->m = m;
	r = agentcg_http_new(m->event, &ps->http);
	if (r >= 0)
		r = agentcg_news_new(m, ps->http, &ps->news);
	if (r < 0) {
		agentcg_http_free(ps->http);
		free(ps);
		return r;
	}
	m->pauses = ps;
	return 0;
}

/* The lowest that no other session of the worker has, so that there are never more files than sessions. */
static unsigned int free_file(const struct pauses *ps, const struct worker *w)
{
	for (unsigned int n = 0;; n++) {
		const struct cache *c = ps->caches;

		while (c && (c->worker != w || c->kv.file != n))
			c = c->next;
		if (!c)
			return n;
	}
}

int agentcg_cache_new(struct session *s, struct worker *w, int slot, uint64_t tokens, struct cache **ret)
{
	int r = open_pauses(s->m);
	struct cache *c;

	if (r < 0)
		return r;
	if (!w->adapter)
		w->adapter = calloc(1, sizeof(*w->adapter));
	c = w->adapter ? calloc(1, sizeof(*c)) : NULL;
	if (!c)
		return -ENOMEM;
	*c = (struct cache){
		.ps = s->m->pauses, .next = s->m->pauses->caches, .session = s, .worker = w, .tokens = tokens, .task = -1,
		.kv = { .slot = slot, .file = free_file(s->m->pauses, w) }, .expected_usec = AGENTCG_NONE,
	};
	s->m->pauses->caches = c;
	*ret = c;
	return 0;
}

static void take_ids(struct cache *c, uint32_t *ids, size_t nr)
{
	free((void *)c->kv.ids);
	c->kv.ids = ids;
	c->kv.nr_ids = nr;
}

/* Elsewhere; what is known of its tokens, and where they were, goes with it. */
static int rebind(struct session *s, struct worker *w, int slot, uint64_t tokens, uint32_t *ids, size_t nr)
{
	struct cache *old = agentcg_cache_find(s), *c;
	char from[AGENTCG_WORKER_NAME_MAX + 1] = "";
	int r;

	if (old && old->worker != w)
		strcpy(from, old->worker->name);
	if (old && !ids) {
		nr = old->kv.nr_ids;
		ids = (uint32_t *)TAKE_PTR(old->kv.ids);
	}
	agentcg_pause_forget(s);
	r = agentcg_cache_new(s, w, slot, tokens ?: nr, &c);
	if (r < 0) {
		free(ids);
		return r;
	}
	take_ids(c, ids, nr);
	strcpy(c->from, from);
	r = agentcg_record_save_session(s);
	if (r < 0)
		agentcg_pause_forget(s);
	else if (*from)
		agentcg_shared_carry(c);
	return r;
}

int agentcg_pause_bind(struct session *s, struct worker *w, int slot, uint64_t tokens, uint32_t *ids, size_t nr)
{
	struct cache *c = agentcg_cache_find(s);

	if (!c || c->worker != w || c->kv.slot != slot)
		return rebind(s, w, slot, tokens, ids, nr);
	c->tokens = tokens ?: nr ?: c->tokens;
	if (ids)
		take_ids(c, ids, nr);
	return agentcg_record_save_session(s);
}

size_t agentcg_pause_ids(const struct session *except)
{
	struct pauses *ps = except->m->pauses;
	size_t n = 0;

	for (const struct cache *c = ps ? ps->caches : NULL; c; c = c->next)
		n += c->session != except && c->session->uid == except->uid ? c->kv.nr_ids : 0;
	return n;
}

int agentcg_pause_watch(struct manager *m, sd_varlink *link, uid_t uid)
{
	int r = open_pauses(m);

	return r < 0 ? r : agentcg_news_watch(m->pauses->news, link, uid);
}

void agentcg_pause_disconnect(struct manager *m, sd_varlink *link)
{
	if (m->pauses)
		agentcg_news_forget(m->pauses->news, link);
}

struct pauses *agentcg_pauses_free(struct pauses *ps)
{
	if (!ps)
		return NULL;
	while (ps->caches)
		drop(ps->caches);
	agentcg_news_free(ps->news);
	agentcg_http_free(ps->http);
	free(ps);
	return NULL;
}

/* ---- hung on workers ----------------------------------------------------------------- */

/* By the end of its worker; a daemon that stops leaves to the next what is bound. */
static void unbind(struct cache *c)
{
	struct session *s = c->session;

	drop(c);
	if (!s->m->stopping)
		(void)agentcg_record_save_session(s);
}

static void begin(struct worker *w)
{
	for (struct cache *c = w->m->pauses ? w->m->pauses->caches : NULL; c; c = c->next)
		if (c->worker == w)
			agentcg_cache_go_on(c);
}

static void end(struct worker *w)
{
	struct pauses *ps = w->m->pauses;
	struct cache *next;

	for (struct cache *c = ps ? ps->caches : NULL; c; c = next) {
		next = c->next;
		if (c->worker != w)
			continue;
		agentcg_cache_stop(c);
		if (w->state == WORKER_GONE || w->m->stopping)
			unbind(c);
	}
	if (w->state != WORKER_GONE && !w->m->stopping)
		return;
	free(w->adapter);
	w->adapter = NULL;
}

static void state(struct worker *w)
{
	static const char *const names[] = { "starting", "running", "hung", "gpu_lost", "gone" };
	char text[AGENTCG_WHY_MAX + 16];

	if (!w->m->pauses && (!*w->m->policy.gpu.webhook || open_pauses(w->m) < 0))
		return;
	snprintf(text, sizeof(text), "%s%s%s", names[w->state], *w->reason ? ": " : "", w->reason);
	agentcg_news_tell(w->m->pauses->news, &(struct news_item){
		.event = "state", .worker = w->name, .expected_usec = AGENTCG_NONE, .text = text });
}

static int build(struct worker *w, uid_t uid, sd_json_variant **object)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	int r = sd_json_variant_new_array(&list, NULL, 0);

	for (struct cache *c = w->m->pauses ? w->m->pauses->caches : NULL; r >= 0 && c; c = c->next) {
		if (c->worker != w || (uid && c->session->uid != uid))
			continue;
		r = sd_json_variant_append_arraybo(&list,
			SD_JSON_BUILD_PAIR_STRING("session", c->session->name),
			SD_JSON_BUILD_PAIR_CONDITION(c->kv.slot >= 0, "slot", SD_JSON_BUILD_INTEGER(c->kv.slot)),
			SD_JSON_BUILD_PAIR_CONDITION(c->tokens > 0, "tokens", SD_JSON_BUILD_UNSIGNED(c->tokens)),
			SD_JSON_BUILD_PAIR_CONDITION(c->paused_usec > 0, "pausedUSec", SD_JSON_BUILD_UNSIGNED(now - c->paused_usec)),
			SD_JSON_BUILD_PAIR_CONDITION(c->stored.tokens > 0, "stored", SD_JSON_BUILD_UNSIGNED(c->stored.tokens)),
			SD_JSON_BUILD_PAIR_STRING("kv", agentcg_cache_kv(c)));
	}
	if (r >= 0)
		r = sd_json_variant_set_field(object, "caches", list);
	if (r >= 0 && w->adapter && w->adapter->broken)
		r = sd_json_variant_set_field_string(object, "offloading", w->adapter->why);
	return r;
}

const struct worker_part agentcg_engine_part = { .name = "engine", .begin = begin, .end = end, .state = state, .build = build };
