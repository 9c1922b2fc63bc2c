/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A session's tool calls, told to the worker that holds its KV cache.
 *
 *	        begin            tau               end of the last call
 *	kept ─────────► paused ───────► offloaded ──────────► restored, checked
 *	                   │       or    dropped  ──────────► computed anew
 *	                   └── end: kept
 *
 * Sessions are bound to workers by their owners.  That is forgotten when the daemon
 * ends: who binds a session binds it again.  Calls that are detached pause nothing.
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

/* @slot: -1: unknown.  @tokens: 0: unknown. */
int agentcg_pause_bind(struct session *s, struct worker *w, int slot, uint64_t tokens);
/* False: it was not. */
bool agentcg_pause_unbind(struct session *s);

int agentcg_pause_watch(struct manager *m, sd_varlink *link, uid_t uid);
void agentcg_pause_disconnect(struct manager *m, sd_varlink *link);

#endif
