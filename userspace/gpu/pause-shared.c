// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of caches in an engine that holds those of all its sessions in one (vLLM, SGLang).
 *
 * It takes room from idle sessions by itself when others need it, so nothing is offloaded or
 * dropped for room.  What is left:
 *
 *	paused		LMCache is asked what it has, so that who routes knows what comes back without the engine
 *	Cache=drop	the engine is emptied, and what LMCache has: only if the policy says that this may be done
 *			(EmptyEngines=yes), all sessions that are bound there are paused, and nothing runs or waits; the
 *			engine itself refuses while requests run
 *	resumed		whether the next request reused what the session held: by the counters of all, so only if it is
 *			the only one that has ended since
 *	bound elsewhere	LMCache copies what it has there
 */
#include "manager.h"
#include "pause-private.h"
#include "session.h"

#define LOOK_USEC	USEC_PER_SEC
/* So long after a tool call its next request is waited for. */
#define WATCH_USEC	(600 * USEC_PER_SEC)

#define N(tokens)	((unsigned long long)(tokens))

static void may_empty(struct cache *c);
static void look_back(struct cache *c, adapter_look_t done);

static const struct adapter *adapter_of(const struct cache *c)
{
	return agentcg_adapter_of(c->worker->engine);
}

static const char *lmcache_of(const struct cache *c)
{
	return c->kv.nr_ids ? c->ps->m->policy.gpu.lmcache : "";
}

static void on_looked_again(int result, const char *why, const struct kv_look *l, void *userdata);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct cache *c = userdata;

	c->timer = sd_event_source_disable_unref(c->timer);
	if (c->paused_usec)
		may_empty(c);
	else if (c->watched && now_usec(CLOCK_MONOTONIC) < c->watched_until)
		look_back(c, on_looked_again);
	return 0;
}

/* Should there be no timer, it is not looked again. */
static void look_later(struct cache *c)
{
	sd_event_source_disable_unref(c->timer);
	c->timer = NULL;
	(void)sd_event_add_time_relative(c->ps->m->event, &c->timer, CLOCK_MONOTONIC, LOOK_USEC, 0, on_timer, c);
}

/* ---- emptied -------------------------------------------------------------------- */

static void on_cleared(int result, const char *why, const struct kv_done *done, void *userdata)
{
	struct cache *c = userdata;

	c->job = NULL;
	if (result < 0)
		agentcg_cache_tell(c, "kept", "LMCache: %s", why);
	else
		agentcg_cache_tell(c, "dropped", "%llu tokens in %s of LMCache's %s", N(done->tokens), c->stored.place, c->stored.instance);
	c->stored = (struct kv_look){};
}

static void not_emptied(struct cache *c, int result, const char *why)
{
	if (!c->paused_usec) {
		agentcg_shared_resumed(c);
		return;
	}
	if (result == -EBUSY) {
		look_later(c);
		return;
	}
	agentcg_cache_tell(c, "kept", "%s", why);
	if (result == -EIO || result == -EOPNOTSUPP || result == -EBADMSG)
		agentcg_cache_break(c, why);
}

static void on_emptied(int result, const char *why, const struct kv_done *done, void *userdata)
{
	struct cache *c = userdata;

	c->job = NULL;
	c->state = CACHE_KEPT;
	if (result < 0) {
		not_emptied(c, result, why);
		return;
	}
	for (struct cache *x = c->ps->caches; x; x = x->next) {
		if (x->worker != c->worker || x->state == CACHE_DROPPED)
			continue;
		agentcg_cache_become(x, CACHE_DROPPED);
		agentcg_cache_tell(x, "dropped", done->unsaid ? "the engine was told to empty its cache, and does not say whether it did" :
				   "the cache of the whole engine was emptied");
		/* It came back meanwhile. */
		if (!x->paused_usec)
			agentcg_shared_resumed(x);
	}
	if (c->paused_usec && c->stored.tokens && *lmcache_of(c))
		(void)agentcg_lmcache_clear(c->ps->http, lmcache_of(c), &c->stored, on_cleared, c, &c->job);
}

static bool all_paused(const struct cache *c)
{
	for (const struct cache *x = c->ps->caches; x; x = x->next)
		if (x->worker == c->worker && !x->paused_usec)
			return false;
	return true;
}

/* An engine that does not answer is asked again in the next pause. */
static void on_idle(int result, const char *why, const struct kv_look *l, void *userdata)
{
	struct cache *c = userdata;

	c->job = NULL;
	if (result < 0 || !all_paused(c))
		return;
	if (l->busy || l->waiting)
		look_later(c);		/* its own last words, too */
	else if (adapter_of(c)->act(c->ps->http, c->worker->url, &c->kv, KV_ERASE, on_emptied, c, &c->job) >= 0)
		c->state = CACHE_ERASING;
}

static void may_empty(struct cache *c)
{
	const struct agentcg_gpu_policy *policy = &c->ps->m->policy.gpu;

	if (policy->cache != AGENTCG_CACHE_DROP || !policy->empty_engines || c->worker->adapter->broken || c->state != CACHE_KEPT ||
	    !all_paused(c))
		return;
	look_back(c, on_idle);
}

/* ---- paused --------------------------------------------------------------------- */

static void on_stored(int result, const char *why, const struct kv_look *l, void *userdata)
{
	struct cache *c = userdata;

	c->job = NULL;
	if (result < 0) {
		agentcg_cache_tell(c, "kept", "LMCache: %s", why);
	} else {
		c->stored = *l;
		agentcg_cache_tell(c, "kept", "LMCache has %llu of %llu tokens%s%s", N(l->tokens), N(c->kv.nr_ids),
				   *l->place ? ", in " : "", l->place);
	}
	may_empty(c);
}

void agentcg_shared_paused(struct cache *c)
{
	int r = -ENOENT;

	/* Of all; it goes on when that has ended. */
	if (c->state == CACHE_ERASING && c->job)
		return;
	agentcg_cache_stop(c);
	c->watched = false;
	c->stored = (struct kv_look){};
	if (*lmcache_of(c))
		r = agentcg_lmcache_look(c->ps->http, lmcache_of(c), &c->kv, c->worker->name, on_stored, c, &c->job);
	if (r < 0)
		may_empty(c);
}

/* ---- resumed -------------------------------------------------------------------- */

int agentcg_shared_judge(uint64_t tokens, const struct kv_look *before, const struct kv_look *now)
{
	uint64_t computed = now->computed - before->computed, reused = now->reused - before->reused;

	/* It began anew, or says nothing any more. */
	if (!now->counted || now->task < before->task || now->computed < before->computed || now->reused < before->reused)
		return -1;
	if (now->busy || now->task == before->task)
		return -EAGAIN;
	if (now->task > before->task + 1 || computed + reused < tokens)
		return -1;
	return agentcg_cache_judge(tokens, computed, reused);
}

static void on_looked_again(int result, const char *why, const struct kv_look *l, void *userdata)
{
	struct cache *c = userdata;
	int used = -EAGAIN;

	c->job = NULL;
	if (result >= 0)
		used = agentcg_shared_judge(c->tokens, &c->before, l);
	if (used == -EAGAIN) {
		look_later(c);
		return;
	}
	c->watched = false;
	if (used >= 0)
		agentcg_cache_tell(c, used ? "kept" : "recomputed", "the engine's next request reused %llu of %llu tokens of its prompt",
				   N(l->reused - c->before.reused), N(l->computed + l->reused - c->before.computed - c->before.reused));
}

static void on_looked_first(int result, const char *why, const struct kv_look *l, void *userdata)
{
	struct cache *c = userdata;

	c->job = NULL;
	if (result < 0 || !l->counted || l->busy)
		return;
	c->before = *l;
	c->watched = true;
	c->watched_until = now_usec(CLOCK_MONOTONIC) + WATCH_USEC;
	look_later(c);
}

static void look_back(struct cache *c, adapter_look_t done)
{
	if (!c->job && *c->worker->url)
		(void)adapter_of(c)->look(c->ps->http, c->worker->url, &c->kv, done, c, &c->job);
}

void agentcg_shared_resumed(struct cache *c)
{
	if (c->state == CACHE_ERASING && c->job)
		return;
	agentcg_cache_stop(c);
	if (c->state == CACHE_DROPPED)
		agentcg_cache_recomputed(c, "its cache was dropped");
	else if (c->tokens)
		look_back(c, on_looked_first);
}

/* ---- bound elsewhere ------------------------------------------------------------- */

static void on_copied(int result, const char *why, const struct kv_done *done, void *userdata)
{
	struct cache *c = userdata;

	c->job = NULL;
	if (result < 0)
		agentcg_cache_tell(c, "recomputed", "LMCache leaves it with %s: %s", c->from, why);
	else
		agentcg_cache_tell(c, "copied", "%llu tokens from %s", N(done->tokens), c->from);
}

static void on_source(int result, const char *why, const struct kv_look *l, void *userdata)
{
	struct cache *c = userdata;

	c->job = NULL;
	if (result >= 0 && (!l->tokens || streq(l->instance, c->worker->name)))
		return;
	if (result >= 0)
		result = agentcg_lmcache_copy(c->ps->http, lmcache_of(c), &c->kv, l, c->worker->name, on_copied, c, &c->job);
	if (result < 0)
		on_copied(result, *why ? why : strerror(-result), NULL, c);
}

void agentcg_shared_carry(struct cache *c)
{
	if (*lmcache_of(c))
		(void)agentcg_lmcache_look(c->ps->http, lmcache_of(c), &c->kv, c->from, on_source, c, &c->job);
}
