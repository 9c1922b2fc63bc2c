/* SPDX-License-Identifier: GPL-2.0-only */
/* A session: one agent's share of the pool, ROOT/agentcg.slice/session-NAME. */
#ifndef _AGENTCG_SESSION_H
#define _AGENTCG_SESSION_H

#include "anchor.h"
#include "grant.h"
#include "group.h"
#include "idle.h"
#include "manager.h"
#include "results.h"

#define AGENTCG_SESSION_NAME_MAX	64
#define AGENTCG_SESSION_PREFIX		"session-"

/* What it has left for all its calls; usec (timeleft.h). */
struct session_time {
	uint64_t due_usec;		/* CLOCK_BOOTTIME; 0: it has no end */
	uint64_t total_usec;		/* when that was said */
	uint32_t calls_left;		/* that are to begin; or AGENTCG_CALLS_UNKNOWN */
	uint32_t ended;			/* calls, and what they took together */
	uint64_t ended_usec;
};

struct session {
	struct manager *m;
	uint32_t slot;
	struct session *next;		/* in its bucket of manager->by_name */
	char name[AGENTCG_SESSION_NAME_MAX + 1];
	uid_t uid;			/* its owner */
	uint32_t arrival;
	struct session_grant grant;
	struct session_time time;
	struct ended_calls ended;
	bool automatic;			/* goes away with its last call */
	bool closing;
	struct anchor anchor;		/* the process with which it ends */
	struct results results;		/* of its last calls */
	sd_json_variant *attached;	/* its processes that an earlier daemon followed */
	sd_json_variant *bound;		/* the worker that an earlier daemon knew it bound to, until it is again (gpu/pause.h) */

	int fd;
	uint64_t id;
	bool has_cpu;			/* its leaves have the files of the cpu controller */
	uint32_t calls_ever;		/* numbers the leaves */
	uint32_t nr_calls;
	uint64_t requested;		/* sum over its calls */
	uint64_t others;		/* what its user's other sessions use, or may before it (user.h) */
	bool yields;			/* some of these are ranked above */
	struct call *agent;		/* one of them, or NULL */
	struct call *ready;		/* the leaf of the next (later.h), or NULL */
	bool wanted;			/* there is to be one */
	uint32_t nr_waiting;		/* calls that are to begin in it (admission.h) */
	uint64_t gone;			/* calls that ended, and that wait no longer */

	uint32_t tools;			/* of its calls, all but the agent */
	struct idle_state idle;
	struct session_alerts alerts;

	sd_event_source *retry;		/* rmdir again */
	sd_varlink *close_link;		/* who waits for the end */
	sd_json_variant *killed;	/* whom closing it killed: array of Killed */
};

bool agentcg_session_name_valid(const char *name);
struct session *agentcg_session_find(struct manager *m, const char *name);

/* Makes the session's group and all that belongs to it. */
int agentcg_session_new(struct manager *m, const char *name, uid_t uid,
			const struct session_grant *grant, bool automatic, struct session **ret);
/* Takes over the group @name that an earlier daemon made; it is not published. */
int agentcg_session_adopt(struct manager *m, const char *name, struct session **ret);
/* Puts session->grant and ->automatic in force and remembers them. */
int agentcg_session_apply(struct session *s);
/* The session's slot in the policy, after its calls have changed. */
int agentcg_session_publish(struct session *s);

/*
 * Kills what is in it; it is freed when the last leaf is gone.  Calls that are
 * detached and run stay, unless @all, and the session goes with the last one.
 */
void agentcg_session_close(struct session *s, bool all);
/* For a reply: adds @c to the array @list, a Killed, if something runs in it that is about to be killed. */
void agentcg_session_note_killed(struct call *c, sd_json_variant **list);
/* Removes and frees the session if nothing keeps it. */
void agentcg_session_gc(struct session *s);
/* Frees the memory only; the group stays. */
struct session *agentcg_session_free(struct session *s);

/*
 * For a client: checks name and quota, grants, makes.  If *ret stays NULL an
 * error was sent on @link, or the negative errno is to be.
 */
int agentcg_session_make(sd_varlink *link, struct manager *m, const char *name, uid_t uid,
			 const struct session_wish *wish, bool automatic, struct notes *notes,
			 struct session **ret);

uint32_t agentcg_session_count(const struct manager *m, uid_t uid);
/* The path of its group below the mount; to be freed. */
char *agentcg_session_path(const struct session *s);
int agentcg_session_build(struct session *s, sd_json_variant **ret);

#endif
