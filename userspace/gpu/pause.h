/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A session's tool calls, told to the worker that holds its KV cache.
 *
 *	        begin            tau               end of the last call
 *	kept ─────────► paused ───────► offloaded ──────────► restored, checked
 *	                   │       or    dropped  ──────────► computed anew
 *	                   └── end: kept
 *
 * Sessions are bound to workers by their owners, until they unbind them or either ends.  That, and where the cache
 * is, is remembered in the session's group (pause-record.c), for the next daemon.  Where there are
 * no groups there are no sessions to bind.  Calls that are detached pause nothing.
 */
#ifndef _AGENTCG_PAUSE_H
#define _AGENTCG_PAUSE_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-varlink.h>

struct call;
struct manager;
struct pauses;
struct session;
struct worker;

struct pauses *agentcg_pauses_free(struct pauses *ps);

/* A call of it begins, or ends; each is asked once or more, and costs nothing for sessions that are not bound. */
void agentcg_pause_begin(struct call *c);
void agentcg_pause_end(struct call *c);
/* The session is gone. */
void agentcg_pause_forget(struct session *s);

/*
 * @slot: -1: unknown.  @tokens: 0: unknown.  @ids: all its tokens, as the model numbers them, or NULL; allocated, and taken over
 * in any case.  They are not remembered for the next daemon: there may be many.
 */
int agentcg_pause_bind(struct session *s, struct worker *w, int slot, uint64_t tokens, uint32_t *ids, size_t nr);
/* How many are known of all other sessions of its user. */
size_t agentcg_pause_ids(const struct session *except);
/* 0 too if it was not. */
int agentcg_pause_unbind(struct session *s);

/* What is to be remembered of @s, an object; NULL: it is not bound. */
int agentcg_pause_save(const struct session *s, sd_json_variant **ret);
/* Once sessions, calls and workers that an earlier daemon left are there, in whatever order: binds what was bound. */
void agentcg_pause_adopt(struct manager *m);

/* Why nothing is asked of its engine any more, or ""; to be remembered, and what was. */
const char *agentcg_pause_broken(const struct worker *w);
int agentcg_pause_set_broken(struct worker *w, const char *why);

int agentcg_pause_watch(struct manager *m, sd_varlink *link, uid_t uid);
void agentcg_pause_disconnect(struct manager *m, sd_varlink *link);

#endif
