/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A call: one tool call (or the agent framework itself) in a leaf of its own.
 *
 *	new -> live -> ending -> over -> gone
 *
 * Ending takes time (the kernel must finish killing), so it is driven by the
 * leaf's cgroup.events and a timer, and whoever asked for it waits for the
 * reply without keeping anybody else waiting.  What is over has been told to its
 * client and has no slot any more; what is left of it is for later.c.
 */
#ifndef _AGENTCG_CALL_H
#define _AGENTCG_CALL_H

#include "grant.h"
#include "group.h"
#include "kind.h"
#include "ladder.h"
#include "manager.h"
#include "result.h"

#define AGENTCG_AGENT_LEAF	"agent"
#define AGENTCG_TOOL_PREFIX	"tool-"

struct session;

struct call {
	struct manager *m;
	struct session *session;
	uint32_t slot;
	bool agent;
	bool may_control;		/* what runs in it may speak for its session */
	uint32_t number;		/* of a tool's leaf, and its order of arrival */
	struct call_grant grant;
	sd_json_variant *command;	/* array of strings, for people */
	char group[AGENTCG_GROUP_MAX];	/* of its session (group.h); "": none */
	uint64_t arrival;		/* when it was asked for, of all; 0: before this daemon */
	char kind[AGENTCG_KIND_MAX];	/* for the history; "": it is not kept */
	uint64_t text;			/* digest of its command (habit.h); 0: unknown */
	uint32_t alike;			/* so many in a row ended as it did; 0: not known yet, or well */
	uint64_t declared;		/* bytes requested; AGENTCG_NONE: nothing was */
	uint64_t began_usec;		/* CLOCK_REALTIME */
	uint64_t started_usec;		/* CLOCK_BOOTTIME */
	uint64_t due_usec;		/* its deadline, CLOCK_MONOTONIC; 0: none */
	enum agentcg_fate fate;

	int fd;				/* the leaf */
	uint64_t pids_made;		/* its pids.max as it was made */
	uint64_t id;
	int events_fd;			/* its cgroup.events */
	sd_event_source *events;
	sd_event_source *timeout;
	sd_event_source *grace;		/* adopted: end of the time to claim it */

	enum agentcg_rung rung;
	uint64_t rung_since;		/* CLOCK_MONOTONIC */
	sd_event_source *climb;
	uint64_t released_usec;		/* last Release by its owner */

	sd_varlink *link;		/* its connection, not a reference; NULL: detached, or to be claimed */

	/*
	 * Placed by the kernel, not begun by a client (attachment.c): it ends with its
	 * last process, but neither as a spare nor while a shell works on its line.
	 */
	bool placed;
	bool spare;			/* nothing has run in it yet */
	bool open;			/* the line of commands may go on */
	bool terminals;			/* its shells are attached too */
	bool scripted;			/* its command is what a shell was told */
	bool ours;			/* one of our hooks: there is nothing to tell of it */
	uint32_t follower;		/* slot of the attachment */
	struct agentcg_ticket_name ticket;	/* "": it has none, or not any more */

	bool ending;
	bool oom_told;
	bool learned;			/* it is in the history */
	bool pauses;			/* its session's cache waits for it (gpu/pause.h) */
	uint64_t ending_since;		/* CLOCK_MONOTONIC */
	bool over;
	bool settled;			/* its slot of the policy is clear */
	struct call *next;		/* of those that are over */
	sd_event_source *retry;
	sd_varlink *end_link;		/* who waits for the result */
	struct result result;
};

/* "SESSION/tool-3" */
#define AGENTCG_CALL_NAME_MAX	96

/* No user takes more than this part of the machine's slots. */
#define AGENTCG_CALLS_PER_UID	(AGENTCG_MAX_CALLS / 4)
const char *agentcg_call_name(const struct call *c, char buf[AGENTCG_CALL_NAME_MAX]);
/* "tool-3", the directory in its session's */
const char *agentcg_call_leaf(const struct call *c, char buf[AGENTCG_CALL_NAME_MAX]);
struct call *agentcg_call_find(struct manager *m, const char *name);

/* What is known of a call before it begins. */
struct call_birth {
	bool agent;
	bool may_control;
	const struct call_grant *grant;
	sd_json_variant *command;
	const char *kind;
	const char *group;
	uint64_t arrival;
	uint64_t declared;
	bool placed;
};

/*
 * What the policy grants of @wish to a call of @s; @before, @age: of one that is
 * adjusted, and how old it is.  @uid: who asks.
 */
void agentcg_call_grant(struct session *s, uid_t uid, const struct call_grant *before, uint64_t age,
			const struct call_wish *wish, struct call_grant *ret, struct notes *notes);

/* A leaf that no call has yet, with all in it that is alike for all of @s. */
int agentcg_call_prepare(struct session *s, bool agent, struct call **ret);
int agentcg_call_new(struct session *s, const struct call_birth *birth, struct call **ret);
/* Takes over the leaf @name of @s; it is not published. */
int agentcg_call_adopt(struct session *s, const char *name, struct call **ret);
/* Goes on with the ladder where an earlier daemon was. */
void agentcg_call_resume(struct call *c);
/* Puts another grant in force; if that fails, what was. */
int agentcg_call_adjust(struct call *c, const struct call_grant *grant);
/* Puts what was granted in force again. */
int agentcg_call_apply(struct call *c);
/* Its slot in the policy: rank, request and flags as they are now. */
int agentcg_call_publish(struct call *c);

/* SIGKILL for all of it; the reason is remembered across a restart. */
void agentcg_call_kill(struct call *c, enum agentcg_fate fate);
/* Kills what is left, removes the leaf, then replies to @link if there is one. */
void agentcg_call_end(struct call *c, sd_varlink *link);
/*
 * Its client has no more to do with it: that is its end, unless it is detached
 * and something runs in it; then @link, if there is one, gets the result so far.
 */
void agentcg_call_leave(struct call *c, sd_varlink *link);
/* It counts no longer; c->slot is still what the policy has. */
void agentcg_call_drop_slot(struct call *c);
/* Frees the memory only; the leaf stays. */
struct call *agentcg_call_free(struct call *c);

/* Ties it to the connection; it ends when that does. */
void agentcg_call_tie(struct call *c, sd_varlink *link);

/* What would be granted of @wish now to a call of @kind, as the Granted of the interface. */
int agentcg_preview_call(struct session *s, uid_t uid, const char *kind, const struct call_wish *wish,
			 struct notes *notes, sd_json_variant **ret);

char *agentcg_call_path(const struct call *c);
uint64_t agentcg_call_usage(const struct call *c);
int agentcg_call_build(struct call *c, sd_json_variant **ret);

#endif
