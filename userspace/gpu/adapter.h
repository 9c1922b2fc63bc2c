/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an engine can be asked to do with the KV cache of one session.  Each
 * operation is a request over HTTP that ends later; an adapter that finds that
 * what it asked for did not happen (a restore that reused nothing) says so with -EIO and is
 * not used any more for that operation on that worker.
 */
#ifndef _AGENTCG_ADAPTER_H
#define _AGENTCG_ADAPTER_H

#include "engine.h"
#include "http.h"

struct worker;

enum adapter_can {
	ADAPTER_PIN	= 1 << 0,
	ADAPTER_SAVE	= 1 << 1,	/* to host memory or disk */
	ADAPTER_RESTORE	= 1 << 2,
	ADAPTER_ERASE	= 1 << 3,
	ADAPTER_TOKENS	= 1 << 4,	/* tells how many tokens a session holds */
};

/* One session's cache in an engine. */
struct kv_ref {
	char session[65];
	int slot;			/* of llama-server; -1: unknown */
	uint64_t tokens;		/* 0: unknown */
};

typedef void (*adapter_done_t)(int result, const char *why, void *userdata);

struct adapter {
	const char *name;
	enum engine_kind engine;
	unsigned int (*probe)(struct http *h, struct worker *w);	/* what it can, as far as is known without asking */
	int (*save)(struct http *h, struct worker *w, const struct kv_ref *kv, adapter_done_t done, void *userdata);
	int (*restore)(struct http *h, struct worker *w, const struct kv_ref *kv, adapter_done_t done, void *userdata);
	int (*erase)(struct http *h, struct worker *w, const struct kv_ref *kv, adapter_done_t done, void *userdata);
};

#endif
