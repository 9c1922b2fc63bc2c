/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an engine can be asked to do with the KV cache of one session.  Each
 * operation is one or two requests over HTTP and ends later, with what the engine
 * says that it did; whether that is so is checked by pause.c, by looking again.
 *
 * Only llama-server can be asked for one session (its slots).  vLLM (/sleep, /reset_prefix_cache) and SGLang
 * (/release_memory_occupation, /flush_cache) empty the whole engine, under whoever else uses it; LMCache's controller
 * (/pin, /move, /clear) wants the tokens themselves, which only the agent's framework has.  Those who run
 * them are told of pauses (WatchWorkers, webhooks).
 */
#ifndef _AGENTCG_ADAPTER_H
#define _AGENTCG_ADAPTER_H

#include "engine.h"
#include "http.h"

/* One session's cache in an engine. */
struct kv_ref {
	int slot;			/* of llama-server; -1: unknown */
	unsigned int file;		/* number of what it is saved as; one for each session of a worker */
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
};

/* What it says that it has done. */
struct kv_done {
	uint64_t tokens, bytes, usec;
};

struct adapter_job;

/* @result: 0, or a negative errno with @why: of http.h, -EOPNOTSUPP, -EBADMSG (not to be understood), -EIO (it could not). */
typedef void (*adapter_look_t)(int result, const char *why, const struct kv_look *look, void *userdata);
typedef void (*adapter_done_t)(int result, const char *why, const struct kv_done *done, void *userdata);

enum kv_action { KV_SAVE, KV_RESTORE, KV_ERASE };

struct adapter {
	int (*look)(struct http *h, const char *url, const struct kv_ref *kv, adapter_look_t done, void *userdata,
		    struct adapter_job **ret);
	int (*act)(struct http *h, const char *url, const struct kv_ref *kv, enum kv_action what, adapter_done_t done,
		   void *userdata, struct adapter_job **ret);
	void (*cancel)(struct adapter_job *job);	/* nobody is told any more; the engine may do it all the same */
};

/* NULL: nothing can be asked for. */
const struct adapter *agentcg_adapter_of(enum engine_kind kind);

/* ---- for the tests ---------------------------------------------------------- */

int agentcg_llama_slots(const char *body, int slot, struct kv_look *ret, char *why);
/* Fills in what is counted, if it is there. */
void agentcg_llama_metrics(const char *body, struct kv_look *ret);
int agentcg_llama_done(const char *body, enum kv_action what, struct kv_done *ret, char *why);

#endif
