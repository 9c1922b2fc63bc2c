/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an engine can be asked to do with the KV cache of one session.  Each
 * operation is one or two requests over HTTP and ends later, with what the engine
 * says that it did; whether that is so is checked by those who asked, by looking again.
 *
 *	llama-server	adapter-llama.c		a slot is one session's: saved, emptied, restored (pause-cache.c)
 *	vLLM, SGLang	adapter-shared.c	one cache for all who use the engine: looked at, and emptied (pause-shared.c)
 *	LMCache		adapter-lmcache.c	beside these two: what it has of a session, by its tokens; copied
 *
 * What they offer beyond that, and why it is not used:
 *
 * vLLM: POST /sleep (level 1 or 2; with --enable-sleep-mode, and VLLM_SERVER_DEV_MODE=1 as for the others) gives the
 *	GPU's memory away, and whoever sends a request before /wake_up gets no answer; agentcg does not see requests come.
 *	An idle worker's memory is moved by checkpoint.c instead, which looks for them.  Blocks of idle sessions need not be
 *	dropped for room: they are the first that a new request takes.  /reset_prefix_cache?reset_running_requests=true
 *	stops what runs: never sent.
 * SGLang: /release_memory_occupation is as /sleep is.  /open_session and /close_session are the framework's: to close
 *	one would break its next request.  HiCache writes to the host by itself, and has no request for one session.
 * LMCache's controller: /pin has no counterpart (there is no /unpin), so a pause that pinned would fill host memory for
 *	ever; /compress is lossy: it changes what the model will say; /move without copy takes from other sessions the
 *	beginning that they share.  /clear empties a place for all: only with the engine's own cache.
 */
#ifndef _AGENTCG_ADAPTER_H
#define _AGENTCG_ADAPTER_H

#include "engine.h"
#include "http.h"

#define AGENTCG_PLACE_MAX	64	/* of LMCache: "LocalCPUBackend" */

/* One session's cache in an engine. */
struct kv_ref {
	int slot;			/* of llama-server; -1: unknown */
	unsigned int file;		/* number of what it is saved as; one for each session of a worker */
	const uint32_t *ids;		/* its tokens, as the engine numbers them, for LMCache; NULL: unknown */
	size_t nr_ids;
};

/* What an engine says of it, and of itself. */
struct kv_look {
	bool busy;			/* a request is served there */
	int64_t task;			/* number of the last one; -1: none yet */
	uint64_t tokens;		/* that it holds */
	uint64_t room;			/* tokens, of the engine */
	unsigned int places, free_places;	/* of sessions; free: they hold nothing and do nothing */
	bool counted;			/* the rest is known */
	unsigned int waiting;		/* requests */
	uint64_t computed, reused;	/* tokens of prompts, since it began */
	double prefill_rate;		/* tokens a second; 0: unknown */
	char place[AGENTCG_PLACE_MAX];	/* of LMCache, where the tokens are; "": nowhere */
	char instance[AGENTCG_PLACE_MAX];	/* that has them */
};

/* What it says that it has done. */
struct kv_done {
	uint64_t tokens, bytes, usec;
	bool unsaid;			/* it says nothing of whether it did */
};

struct adapter_job;

/*
 * @result: 0, or a negative errno with @why: of http.h, -EOPNOTSUPP, -EBADMSG (not to be understood), -EIO (it could not),
 * -EBUSY (requests run).
 */
typedef void (*adapter_look_t)(int result, const char *why, const struct kv_look *look, void *userdata);
typedef void (*adapter_done_t)(int result, const char *why, const struct kv_done *done, void *userdata);

enum kv_action { KV_SAVE, KV_RESTORE, KV_ERASE };

struct adapter {
	bool shared;		/* all sessions are in one cache: KV_ERASE is of all of them, and nothing else can be done */
	int (*look)(struct http *h, const char *url, const struct kv_ref *kv, adapter_look_t done, void *userdata,
		    struct adapter_job **ret);
	int (*act)(struct http *h, const char *url, const struct kv_ref *kv, enum kv_action what, adapter_done_t done,
		   void *userdata, struct adapter_job **ret);
};

extern const struct adapter agentcg_adapter_llama, agentcg_adapter_vllm, agentcg_adapter_sglang;

/* NULL: nothing can be asked for. */
const struct adapter *agentcg_adapter_of(enum engine_kind kind);

/* Nobody is told any more; the engine may do it all the same. */
void agentcg_adapter_cancel(struct adapter_job *job);

/* LMCache's controller at @url.  How many of @kv's tokens, and where, @instance has; or who else has them, if it is one. */
int agentcg_lmcache_look(struct http *h, const char *url, const struct kv_ref *kv, const char *instance, adapter_look_t done,
			 void *userdata, struct adapter_job **ret);
/* Copies what @from found to the same place of @instance. */
int agentcg_lmcache_copy(struct http *h, const char *url, const struct kv_ref *kv, const struct kv_look *from,
			 const char *instance, adapter_done_t done, void *userdata, struct adapter_job **ret);
/* Empties that place, for all. */
int agentcg_lmcache_clear(struct http *h, const char *url, const struct kv_look *at, adapter_done_t done, void *userdata,
			  struct adapter_job **ret);

/* ---- for the tests ---------------------------------------------------------- */

int agentcg_llama_slots(const char *body, int slot, struct kv_look *ret, char *why);
/* Fills in what is counted, if it is there. */
void agentcg_llama_metrics(const char *body, struct kv_look *ret);
int agentcg_llama_done(const char *body, enum kv_action what, struct kv_done *ret, char *why);
int agentcg_shared_metrics(enum engine_kind kind, const char *body, struct kv_look *ret, char *why);
int agentcg_shared_emptied(enum engine_kind kind, int status, const char *body, struct kv_done *ret, char *why);
int agentcg_lmcache_found(const char *body, const char *instance, struct kv_look *ret, char *why);
int agentcg_lmcache_done(const char *body, struct kv_done *ret, char *why);

#endif
