// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of one session's cache while it is paused.
 *
 * Before anything is done the engine is looked at: whether the slot still holds what
 * this session left there (the number of the last request in it), and nothing runs in it.
 * llama-server lets whoever comes take an idle slot, with what it holds.  So when no slot is
 * free, one more session counts as waiting for room; then what is paused is saved and its slot emptied, and that nobody
 * saves is what dropping would be there.
 *
 * A restore is not believed.  It must restore as many tokens as were saved, the slot
 * must show them afterwards, and the next completion must use them: of the engine's counters since then
 * less than half of them computed anew shows that it did, less than half of them reused that it did not, whoever else
 * was served meanwhile.  The first two fail at once; a completion may have another
 * beginning (an agent that shortens its history), so only two of them in a row.  What failed is not used on
 * this worker any more.
 *
 * A daemon that takes over finds in the record (pause-record.c) where the cache was put, and which request was the slot's last
 * then.  If it still is, nobody was served there meanwhile.  If it is not, that may have been another, or
 * the session itself, which has come back: the file is older than what it left, and is not put over it.
 */
#include <stdarg.h>

#include "log.h"
#include "manager.h"
#include "pause-private.h"
#include "session.h"
#include "workers.h"

/* While it is kept: how things stand. */
#define LOOK_MIN_USEC		USEC_PER_SEC
#define LOOK_MAX_USEC		(10 * USEC_PER_SEC)
/* So long after a restore its use is waited for. */
#define WATCH_USEC		(600 * USEC_PER_SEC)
/* Before anything was saved there: a model of some billion parameters, and a slow disk. */
#define BYTES_PER_TOKEN		100e3
#define MOVE_RATE		1e9
#define PREFILL_RATE		1000.0
#define MISSES_MAX		2

/* Where it is, from now on; remembered before anything is done that relies on it. */
void agentcg_cache_become(struct cache *c, enum cache_state state)
{
	c->state = state;
	agentcg_cache_note(c);
}

static void look(struct cache *c, enum look_for what);
static void act(struct cache *c, enum kv_action what);

void agentcg_cache_tell(struct cache *c, const char *event, const char *format, ...)
{
	char text[300 + AGENTCG_WHY_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	agentcg_news_tell(c->ps->news, &(struct news_item){
		.event = event, .worker = c->worker->name, .session = c->session->name, .uid = c->session->uid,
		.expected_usec = streq(event, "paused") ? c->expected_usec : AGENTCG_NONE, .text = text,
	});
}

int agentcg_cache_judge(uint64_t tokens, uint64_t computed, uint64_t reused)
{
	if (computed < tokens / 2)
		return 1;
	return reused < tokens / 2 ? 0 : -1;
}

static struct worker_engine *engine_of(struct cache *c)
{
	return c->worker->adapter;
}

void agentcg_cache_break(struct cache *c, const char *why)
{
	struct worker_engine *e = engine_of(c);

	if (e->broken)
		return;
	e->broken = true;
	snprintf(e->why, sizeof(e->why), "nothing is %s any more: %s",
		 agentcg_adapter_of(c->worker->engine)->shared ? "emptied" : "offloaded", why);
	agentcg_log(LOG_WARNING, "GPU worker %s: %s", c->worker->name, e->why);
	(void)agentcg_worker_save(c->worker);
	agentcg_news_tell(c->ps->news, &(struct news_item){
		.event = "state", .worker = c->worker->name, .expected_usec = AGENTCG_NONE, .text = e->why });
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct cache *c = userdata;

	c->timer = sd_event_source_disable_unref(c->timer);
	if (c->job)
		return 0;
	if (c->paused_usec && c->state == CACHE_KEPT)
		look(c, LOOK_PLAN);
	else if (c->watched)
		look(c, LOOK_REUSED);
	return 0;
}

static void wake_in(struct cache *c, uint64_t usec)
{
	sd_event_source_disable_unref(c->timer);
	c->timer = NULL;
	if (sd_event_add_time_relative(c->ps->m->event, &c->timer, CLOCK_MONOTONIC, usec, 0, on_timer, c) < 0)
		agentcg_log(LOG_ERR, "no timer for the cache of a session");
}

static uint64_t age(const struct cache *c)
{
	return now_usec(CLOCK_MONOTONIC) - c->paused_usec;
}

/* ---- the next completion after a restore ------------------------------------------ */

static void judge(struct cache *c, const struct kv_look *l)
{
	struct worker_engine *e = engine_of(c);
	char why[AGENTCG_WHY_MAX];
	int used;

	if (!c->watched || l->busy || l->task == c->before.task)
		return;
	c->watched = false;
	/* Less than before: the engine began anew. */
	if (!l->counted || l->computed < c->before.computed || l->reused < c->before.reused)
		return;
	used = agentcg_cache_judge(c->tokens, l->computed - c->before.computed, l->reused - c->before.reused);
	if (used > 0) {
		e->misses = 0;
		return;
	}
	if (used < 0)
		return;
	agentcg_cache_tell(c, "recomputed", "%llu tokens were restored, and the completion used %llu of them",
			   (unsigned long long)c->tokens, (unsigned long long)(l->reused - c->before.reused));
	agentcg_why(0, why, "restored caches were not used, %u times in a row", ++e->misses);
	if (e->misses >= MISSES_MAX)
		agentcg_cache_break(c, why);
}

static void watch(struct cache *c, const struct kv_look *l)
{
	c->before = *l;
	c->watched = l->counted;
	c->watched_until = now_usec(CLOCK_MONOTONIC) + WATCH_USEC;
	if (c->watched)
		wake_in(c, LOOK_MIN_USEC);
}

/* ---- what to do ------------------------------------------------------------------- */

static void make_view(const struct cache *c, const struct worker_engine *e, const struct kv_look *l, struct keep_view *v)
{
	uint64_t waiting = l->waiting + !l->free_places;

	*v = (struct keep_view){
		.tokens = c->tokens, .cache_tokens = l->room,
		.bytes_per_token = (uint64_t)(e->bytes_per_token > 0 ? e->bytes_per_token : BYTES_PER_TOKEN),
		.prefill_rate = l->prefill_rate > 0 ? l->prefill_rate : PREFILL_RATE,
		.offload_rate = e->broken ? 0 : e->save_rate > 0 ? e->save_rate : MOVE_RATE,
		.restore_rate = e->broken ? 0 : e->restore_rate > 0 ? e->restore_rate : MOVE_RATE,
		.waiting = waiting * c->tokens, .lacking = waiting * c->tokens,
		.host_free = INT64_MAX,		/* the engine says so if its disk is full */
		.elapsed_usec = age(c),
		.durations = { c->longer, c->nr_longer },
	};
}

static void decide(struct cache *c, const struct kv_look *l)
{
	struct worker_engine *e = engine_of(c);
	uint64_t next = min_u64(max_u64(age(c) / 8, LOOK_MIN_USEC), LOOK_MAX_USEC);
	struct keep_view view;
	struct keep_plan plan;

	if (c->ps->m->policy.gpu.cache == AGENTCG_CACHE_DROP) {
		c->saved = false;
		act(c, KV_ERASE);
		return;
	}
	make_view(c, e, l, &view);
	agentcg_keep_plan(&view, &plan);
	/* Who wants the slot takes it: to empty it gains nothing. */
	if (plan.then == KEEP_DROP || plan.keep_usec == UINT64_MAX) {
		wake_in(c, next);
	} else if (plan.keep_usec > age(c)) {
		wake_in(c, min_u64(plan.keep_usec - age(c), next));
	} else {
		agentcg_log(LOG_DEBUG, "%s: %s", c->session->name, plan.why);
		act(c, KV_SAVE);
	}
}

/* Whether the slot still holds what this session left in it. */
static bool is_there(struct cache *c, const struct kv_look *l)
{
	if (l->task == c->task && l->tokens >= c->tokens)
		return true;
	agentcg_cache_become(c, CACHE_DROPPED);
	agentcg_cache_tell(c, "dropped", "another request has taken slot %d", c->kv.slot);
	return false;
}

static void plan(struct cache *c, const struct kv_look *l)
{
	if (l->busy && (c->task < 0 || l->task == c->task)) {
		wake_in(c, LOOK_MIN_USEC);	/* its own last words */
		return;
	}
	if (c->task < 0) {
		c->task = l->task;
		c->tokens = l->tokens;
		agentcg_cache_note(c);
	}
	if (is_there(c, l) && c->tokens && !engine_of(c)->broken)
		decide(c, l);
}

/* ---- acts -------------------------------------------------------------------------- */

/* In its slot and its session's: what it was when it was paused is no matter any more. */
static void back(struct cache *c)
{
	c->task = -1;
	c->saved = false;
	agentcg_cache_become(c, CACHE_KEPT);
}

void agentcg_cache_recomputed(struct cache *c, const char *why)
{
	back(c);
	agentcg_cache_tell(c, "recomputed", "%s", why);
	if (c->paused_usec)
		agentcg_cache_paused(c);
}

/* The file has it: from here on it is known there. */
static void leave_slot(struct cache *c)
{
	c->saved = true;
	act(c, KV_ERASE);
}

/* Size and rate together: bytes that are guessed, at a rate that was seen, take no time that means anything. */
static void learn(struct worker_engine *e, const struct kv_done *done, double *rate)
{
	if (done->bytes && done->tokens)
		e->bytes_per_token = (double)done->bytes / (double)done->tokens;
	if (done->bytes && done->usec)
		*rate = (double)done->bytes * USEC_PER_SEC / (double)done->usec;
}

static void saved(struct cache *c, const struct kv_done *done)
{
	struct worker_engine *e = engine_of(c);
	char why[AGENTCG_WHY_MAX];

	if (done->tokens < c->tokens) {
		agentcg_why(0, why, "%llu of %llu tokens were saved", (unsigned long long)done->tokens, (unsigned long long)c->tokens);
		c->state = CACHE_KEPT;
		agentcg_cache_break(c, why);
		return;
	}
	c->tokens = done->tokens;
	learn(e, done, &e->save_rate);
	look(c, LOOK_SAVED);
}

static void erased(struct cache *c)
{
	agentcg_cache_become(c, c->saved ? CACHE_OFFLOADED : CACHE_DROPPED);
	agentcg_cache_tell(c, c->saved ? "offloaded" : "dropped", "%llu tokens", (unsigned long long)c->tokens);
	if (!c->paused_usec)
		agentcg_cache_resumed(c);
}

static void restored(struct cache *c, const struct kv_done *done)
{
	struct worker_engine *e = engine_of(c);
	char why[AGENTCG_WHY_MAX];

	if (done->tokens < c->tokens) {
		agentcg_why(0, why, "%llu of %llu tokens were restored", (unsigned long long)done->tokens, (unsigned long long)c->tokens);
		agentcg_cache_break(c, why);
		agentcg_cache_recomputed(c, why);
		return;
	}
	learn(e, done, &e->restore_rate);
	look(c, LOOK_RESTORED);
}

/* An engine that does not answer is not broken for that; it is not asked again in this pause. */
static void failed(struct cache *c, int result, const char *why)
{
	bool says_so = result == -EIO || result == -EOPNOTSUPP || result == -EBADMSG;
	enum cache_state state = c->state;

	/* A file that it has been saved to is of no use while its slot has it. */
	c->saved = false;
	agentcg_cache_become(c, CACHE_KEPT);
	if (says_so)
		agentcg_cache_break(c, why);
	if (state == CACHE_RESTORING)
		agentcg_cache_recomputed(c, why);
	else if (c->paused_usec)
		agentcg_cache_tell(c, "kept", "%s", why);
}

static void on_acted(int result, const char *why, const struct kv_done *done, void *userdata)
{
	struct cache *c = userdata;

	c->job = NULL;
	if (result < 0)
		failed(c, result, why);
	else if (c->state == CACHE_SAVING)
		saved(c, done);
	else if (c->state == CACHE_ERASING)
		erased(c);
	else
		restored(c, done);
}

static void act(struct cache *c, enum kv_action what)
{
	static const enum cache_state states[] = {
		[KV_SAVE] = CACHE_SAVING, [KV_ERASE] = CACHE_ERASING, [KV_RESTORE] = CACHE_RESTORING,
	};
	const struct adapter *a = agentcg_adapter_of(c->worker->engine);
	int r;

	agentcg_cache_become(c, states[what]);
	r = a->act(c->ps->http, c->worker->url, &c->kv, what, on_acted, c, &c->job);
	if (r < 0)
		failed(c, r, strerror(-r));
}

/* ---- looks ------------------------------------------------------------------------- */

/* What came in between was another's, and is over: the slot is this session's, which comes now. */
static void may_restore(struct cache *c, const struct kv_look *l)
{
	if (l->busy)
		agentcg_cache_recomputed(c, "its slot is busy already");
	else
		act(c, KV_RESTORE);
}

static void check_restored(struct cache *c, const struct kv_look *l)
{
	char why[AGENTCG_WHY_MAX];

	if (l->tokens < c->tokens && !l->busy) {
		agentcg_why(0, why, "a restore succeeded, and %llu of %llu tokens are there", (unsigned long long)l->tokens,
			    (unsigned long long)c->tokens);
		agentcg_cache_break(c, why);
		agentcg_cache_recomputed(c, why);
		return;
	}
	back(c);
	agentcg_cache_tell(c, "restored", "%llu tokens", (unsigned long long)c->tokens);
	if (!l->busy)
		watch(c, l);
	if (c->paused_usec)
		agentcg_cache_paused(c);
}

/* What was done without this daemon. */
static void found(struct cache *c, const struct kv_look *l)
{
	bool same = c->task >= 0 && l->task == c->task;
	char why[AGENTCG_WHY_MAX];

	/* Its slot was not emptied, or it was restored. */
	if (c->state == CACHE_OFFLOADED && same && l->tokens >= c->tokens) {
		c->saved = false;
		agentcg_cache_become(c, CACHE_KEPT);
		agentcg_cache_tell(c, "kept", "%llu tokens are in slot %d", (unsigned long long)l->tokens, c->kv.slot);
	}
	if (c->paused_usec) {
		if (c->state == CACHE_KEPT && c->task >= 0 && c->ps->m->policy.gpu.cache != AGENTCG_CACHE_KEEP)
			plan(c, l);
		return;
	}
	agentcg_why(0, why, "slot %d was used while there was no daemon", c->kv.slot);
	if (c->state == CACHE_OFFLOADED && !same)
		agentcg_cache_recomputed(c, why);
	else
		agentcg_cache_resumed(c);
}

static void looked(struct cache *c, const struct kv_look *l)
{
	judge(c, l);
	switch (c->look_for) {
	case LOOK_PLAN:
		if (c->paused_usec && c->state == CACHE_KEPT)
			plan(c, l);
		break;
	case LOOK_SAVED:
		if (is_there(c, l))
			leave_slot(c);
		break;
	case LOOK_RESTORE:
		may_restore(c, l);
		break;
	case LOOK_RESTORED:
		check_restored(c, l);
		break;
	case LOOK_REUSED:
		if (c->watched && now_usec(CLOCK_MONOTONIC) < c->watched_until)
			wake_in(c, LOOK_MIN_USEC);
		break;
	case LOOK_ADOPTED:
		found(c, l);
		break;
	}
}

static void on_looked(int result, const char *why, const struct kv_look *l, void *userdata)
{
	struct cache *c = userdata;

	c->job = NULL;
	if (result >= 0)
		looked(c, l);
	else if (c->look_for == LOOK_ADOPTED && (c->paused_usec || c->state == CACHE_KEPT))
		return;		/* what is remembered of it holds until something else is known */
	else if (c->state == CACHE_RESTORING || c->state == CACHE_OFFLOADED || c->look_for == LOOK_ADOPTED)
		agentcg_cache_recomputed(c, why);
	else if (c->look_for == LOOK_SAVED)
		failed(c, result, why);
	else if (c->look_for == LOOK_PLAN && c->paused_usec)
		wake_in(c, LOOK_MAX_USEC);
}

static void look(struct cache *c, enum look_for what)
{
	const struct adapter *a = agentcg_adapter_of(c->worker->engine);
	int r;

	if (!a || !*c->worker->url || c->kv.slot < 0)
		return;
	c->look_for = what;
	r = a->look(c->ps->http, c->worker->url, &c->kv, on_looked, c, &c->job);
	if (r < 0)
		on_looked(r, strerror(-r), NULL, c);
}

void agentcg_cache_stop(struct cache *c)
{
	if (c->job)
		agentcg_adapter_cancel(c->job);
	c->job = NULL;
	c->timer = sd_event_source_disable_unref(c->timer);
}

static bool is_shared(const struct cache *c)
{
	const struct adapter *a = agentcg_adapter_of(c->worker->engine);

	return a && a->shared;
}

void agentcg_cache_go_on(struct cache *c)
{
	/* Which engine it is may not be known yet. */
	if (!c->adopted || !agentcg_adapter_of(c->worker->engine) || !*c->worker->url)
		return;
	c->adopted = false;
	if (is_shared(c)) {
		if (!c->paused_usec)
			agentcg_shared_resumed(c);
		else if (c->state == CACHE_KEPT)
			agentcg_shared_paused(c);
	} else if (c->kv.slot >= 0 && !c->job) {
		look(c, LOOK_ADOPTED);
	}
}

void agentcg_cache_paused(struct cache *c)
{
	if (c->adopted)
		return;
	if (is_shared(c)) {
		agentcg_shared_paused(c);
		return;
	}
	/* One that comes back and pauses again at once may be under way still. */
	if (c->state != CACHE_KEPT || c->ps->m->policy.gpu.cache == AGENTCG_CACHE_KEEP)
		return;
	agentcg_cache_stop(c);
	c->task = -1;
	look(c, LOOK_PLAN);
}

void agentcg_cache_resumed(struct cache *c)
{
	if (c->adopted)
		return;
	if (is_shared(c)) {
		agentcg_shared_resumed(c);
		return;
	}
	switch (c->state) {
	case CACHE_KEPT:
	case CACHE_SAVING:	/* what is saved may stay: it is written over the next time */
		agentcg_cache_stop(c);
		back(c);
		if (c->watched)
			wake_in(c, LOOK_MIN_USEC);
		break;
	case CACHE_OFFLOADED:
		/* Looked at already, for the pause before or after a restart: what comes of that is seen then. */
		if (!c->job)
			look(c, LOOK_RESTORE);
		break;
	case CACHE_DROPPED:
		agentcg_cache_recomputed(c, "its cache was dropped");
		break;
	case CACHE_ERASING:	/* it comes back when that has ended */
	case CACHE_RESTORING:
		break;
	}
}
