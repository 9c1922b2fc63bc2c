/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pause.c (events of sessions), pause-cache.c (what becomes of a cache), pause-shared.c (... in an engine
 * that holds all in one) and pause-record.c (what is remembered of it) share.
 */
#ifndef _AGENTCG_PAUSE_PRIVATE_H
#define _AGENTCG_PAUSE_PRIVATE_H

#include "adapter.h"
#include "keep.h"
#include "news.h"
#include "pause.h"
#include "predict.h"
#include "worker.h"

enum cache_state {
	CACHE_KEPT,
	CACHE_SAVING,
	CACHE_ERASING,		/* after it was saved, or to drop it */
	CACHE_OFFLOADED,
	CACHE_DROPPED,
	CACHE_RESTORING,
};

/* What the next look at the engine is for. */
enum look_for {
	LOOK_PLAN,
	LOOK_SAVED,		/* whether it was this session's that was */
	LOOK_RESTORE,		/* whether it can be */
	LOOK_RESTORED,		/* whether it was */
	LOOK_REUSED,		/* whether the next completion used it */
	LOOK_ADOPTED,		/* what became of it while there was no daemon */
};

/* What has been seen of one engine; that it is broken, and why, is remembered with its worker. */
struct worker_engine {
	double bytes_per_token, save_rate, restore_rate;
	bool broken;		/* nothing is saved there any more */
	unsigned int misses;	/* in a row: restored and not used */
	char why[AGENTCG_WHY_MAX];
};

/* A session's cache in a worker. */
struct cache {
	struct pauses *ps;
	struct cache *next;
	struct session *session;
	struct worker *worker;
	struct kv_ref kv;	/* its ids are the cache's own */
	uint64_t tokens;	/* that it holds, or held when it was put away */
	int64_t task;		/* the last request in its slot, when it was paused; -1: unknown, or it is not */

	unsigned int calls;	/* that it waits for */
	uint64_t paused_usec;	/* CLOCK_MONOTONIC; 0: it is not */
	uint64_t expected_usec;	/* AGENTCG_NONE: unknown */
	uint64_t longer[AGENTCG_OBSERVATIONS_MAX * KEEP_SPREAD];	/* durations of calls of its kind */
	size_t nr_longer;

	enum cache_state state;
	bool saved;		/* the file has it, as it was after @task */
	bool adopted;		/* an earlier daemon's; nothing is done before its engine was looked at */
	struct {
		const char *kv;
		int64_t task;
	} noted;		/* in its session's record */
	enum look_for look_for;
	struct adapter_job *job;
	sd_event_source *timer;

	struct kv_look before;	/* the next completion, after it was restored */
	bool watched;		/* it is */
	struct kv_look stored;	/* what LMCache had of it when it was paused */
	char from[AGENTCG_WORKER_NAME_MAX + 1];	/* that held it before */
	uint64_t watched_until;
};

struct pauses {
	struct manager *m;
	struct http *http;
	struct news *news;
	struct cache *caches;
};

struct cache *agentcg_cache_find(const struct session *s);
/* Binds @s, which is not; nothing is remembered yet. */
int agentcg_cache_new(struct session *s, struct worker *w, int slot, uint64_t tokens, struct cache **ret);
/* @call is one that it waits for, from now on; false: it pauses nothing. */
bool agentcg_cache_join(struct cache *c, struct call *call);
/* What calls of that kind took. */
void agentcg_cache_predict(struct cache *c, const struct call *call);
/* "kept", "offloaded", "dropped" */
const char *agentcg_cache_kv(const struct cache *c);
/* Remembers how it stands, if that has changed. */
void agentcg_cache_note(struct cache *c);
/* Its engine is known: goes on where an earlier daemon was. */
void agentcg_cache_go_on(struct cache *c);
void agentcg_cache_become(struct cache *c, enum cache_state state);
void agentcg_cache_recomputed(struct cache *c, const char *why);
/* Its engine cannot do what it was asked for: it is not asked again. */
void agentcg_cache_break(struct cache *c, const char *why);

/* Paused, and what its call will probably take is known. */
void agentcg_cache_paused(struct cache *c);
void agentcg_cache_resumed(struct cache *c);
/* Ends what is under way; nobody is told. */
void agentcg_cache_stop(struct cache *c);
_printf_(3, 4)
void agentcg_cache_tell(struct cache *c, const char *event, const char *format, ...);

/* The same for an engine of which all sessions are in one cache. */
void agentcg_shared_paused(struct cache *c);
void agentcg_shared_resumed(struct cache *c);
/* It comes from the worker ->from, whose LMCache has it perhaps. */
void agentcg_shared_carry(struct cache *c);
/* What one look after the other says of the session's next request: as agentcg_cache_judge(), or -EAGAIN: look again.  Pure. */
int agentcg_shared_judge(uint64_t tokens, const struct kv_look *before, const struct kv_look *now);

/* What counters say of a session that held @tokens: 1: they were used again, 0: not, -1: who knows.  Pure. */
int agentcg_cache_judge(uint64_t tokens, uint64_t computed, uint64_t reused);

#endif
