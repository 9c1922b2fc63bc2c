// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which worker holds a session's cache, and where, in the session's record
 * (daemon/record.c).  Written when it is bound, and in a pause when something comes to be true
 * that a new daemon could not see by itself: what is in the slot, that a file has it, that it is gone.
 * A worker is known by its group: another of the same name holds nothing.
 */
#include "call.h"
#include "decide.h"
#include "json.h"
#include "log.h"
#include "manager.h"
#include "pause-private.h"
#include "record.h"
#include "session.h"

static const char *const kv_names[] = { "kept", "offloaded", "dropped" };

const char *agentcg_cache_kv(const struct cache *c)
{
	switch (c->state) {
	case CACHE_OFFLOADED:
	case CACHE_RESTORING:
		return kv_names[1];
	case CACHE_DROPPED:
		return kv_names[2];
	case CACHE_ERASING:
		return kv_names[c->saved];
	default:
		return kv_names[0];
	}
}

void agentcg_cache_note(struct cache *c)
{
	const char *kv = agentcg_cache_kv(c);
	int r;

	if (c->noted.kv == kv && c->noted.task == c->task)
		return;
	r = agentcg_record_save_session(c->session);
	if (r < 0)
		agentcg_log(LOG_WARNING, "cannot remember where the cache of session %s is: %s", c->session->name, strerror(-r));
}

int agentcg_pause_save(const struct session *s, sd_json_variant **ret)
{
	struct cache *c = agentcg_cache_find(s);
	int r;

	if (!c) {
		*ret = s->bound ? sd_json_variant_ref(s->bound) : NULL;
		return 0;
	}
	*ret = NULL;
	r = !c->worker->id ? 0 : sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("worker", c->worker->name),
		SD_JSON_BUILD_PAIR_UNSIGNED("group", c->worker->id),
		SD_JSON_BUILD_PAIR_INTEGER("slot", c->kv.slot),
		SD_JSON_BUILD_PAIR_UNSIGNED("file", c->kv.file),
		SD_JSON_BUILD_PAIR_UNSIGNED("tokens", c->tokens),
		SD_JSON_BUILD_PAIR_INTEGER("task", c->task),
		SD_JSON_BUILD_PAIR_STRING("kv", agentcg_cache_kv(c)));
	if (r >= 0) {
		c->noted.kv = agentcg_cache_kv(c);
		c->noted.task = c->task;
	}
	return r;
}

const char *agentcg_pause_broken(const struct worker *w)
{
	return w->adapter && w->adapter->broken ? w->adapter->why : "";
}

int agentcg_pause_set_broken(struct worker *w, const char *why)
{
	if (!*why)
		return 0;
	w->adapter = calloc(1, sizeof(*w->adapter));
	if (!w->adapter)
		return -ENOMEM;
	w->adapter->broken = true;
	agentcg_why(0, w->adapter->why, "%s", why);
	return 0;
}

/* ---- after a restart ------------------------------------------------------------------- */

static int64_t integer(sd_json_variant *object, const char *key)
{
	sd_json_variant *v = sd_json_variant_by_key(object, key);

	return v && sd_json_variant_is_integer(v) ? sd_json_variant_integer(v) : -1;
}

static void load(struct cache *c, sd_json_variant *v)
{
	const char *kv = agentcg_json_string(v, "kv") ?: "";

	c->kv.file = (unsigned int)agentcg_json_u64(v, "file");
	c->task = integer(v, "task");
	c->saved = streq(kv, kv_names[1]);
	c->state = c->saved ? CACHE_OFFLOADED : streq(kv, kv_names[2]) ? CACHE_DROPPED : CACHE_KEPT;
	c->noted.kv = agentcg_cache_kv(c);
	c->noted.task = c->task;
	c->adopted = true;
}

/* Those that still run, or have yet to be ended: every leaf of before is there. */
static void join_calls(struct cache *c)
{
	uint64_t now = now_usec(CLOCK_BOOTTIME), age;
	struct manager *m = c->ps->m;
	struct call *first = NULL;

	for (uint32_t i = 0; i < m->nr_calls; i++) {
		struct call *call = m->calls[i];

		if (call && call->session == c->session && agentcg_cache_join(c, call) &&
		    (!first || call->started_usec < first->started_usec))
			first = call;
	}
	if (!first)
		return;
	age = now > first->started_usec ? now - first->started_usec : 0;
	c->paused_usec = max_u64(agentcg_sub(now_usec(CLOCK_MONOTONIC), age), 1);
	agentcg_cache_predict(c, first);
}

static void take_up(struct session *s, sd_json_variant *v)
{
	const char *name = agentcg_json_string(v, "worker") ?: "";
	struct worker *w = agentcg_worker_find(s->m, name);
	struct cache *c;
	int r;

	if (!w || w->state == WORKER_GONE || !w->id || w->id != agentcg_json_u64(v, "group")) {
		agentcg_log(LOG_NOTICE, "session %s is bound no more: GPU worker %s has ended", s->name, name);
		(void)agentcg_record_save_session(s);
		return;
	}
	r = agentcg_cache_new(s, w, (int)integer(v, "slot"), agentcg_json_u64(v, "tokens"), &c);
	if (r < 0) {
		agentcg_log(LOG_ERR, "cannot bind session %s to GPU worker %s again: %s", s->name, name, strerror(-r));
		return;
	}
	load(c, v);
	join_calls(c);
	agentcg_cache_go_on(c);
}

void agentcg_pause_adopt(struct manager *m)
{
	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = m->sessions[i] ? TAKE_PTR(m->sessions[i]->bound) : NULL;

		if (v)
			take_up(m->sessions[i], v);
	}
}
