/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tool call as its launcher sees it: begun with the daemon, kept over a
 * restart of the daemon, and ended with a result.
 */
#ifndef _AGENTCG_LEAF_H
#define _AGENTCG_LEAF_H

#include "client.h"
#include "intent.h"

/* What to ask for. */
struct agentcg_wish {
	const char *session;	/* or NULL */
	char **command;
	char **shown;		/* what the daemon is told of it; NULL: all */
	uint64_t priority;	/* ~0: the session's */
	struct agentcg_intent intent;
	const char *group;	/* or NULL */
	sd_json_variant *after;	/* array of names, or NULL */
	bool wait;		/* to begin, rather than to fail */
	bool may_control;	/* what runs in it may speak for its session */
	bool in_place;		/* where this is part of a tool call: run it there */
	bool quiet;		/* ... and do not say so */
};

#define AGENTCG_WISH_NONE						\
	((struct agentcg_wish){ .priority = UINT64_MAX, .intent = AGENTCG_INTENT_NONE, .wait = true })

struct agentcg_leaf {
	const char *socket;
	sd_varlink *link;		/* NULL while the daemon is away */
	char *call;
	int cgroup_fd;
	uint32_t priority;
	sd_json_variant *notes;		/* what was not granted as asked */
	uint64_t deadline;		/* CLOCK_MONOTONIC usec, of the whole call */
	uint64_t retry;			/* when to look for the daemon again */
	uint64_t give_up;		/* when its absence is told */
	bool orphaned;			/* the daemon is back and does not know the call */
};

#define AGENTCG_LEAF_NONE						\
	((struct agentcg_leaf){						\
		.cgroup_fd = -1, .deadline = UINT64_MAX,		\
		.retry = UINT64_MAX, .give_up = UINT64_MAX,		\
	})

/* These write a sentence to @why when they fail; see client.h for the errors. */
int agentcg_leaf_begin(struct agentcg_leaf *leaf, const struct agentcg_wish *wish, char *why);
/* Moves a process in, for those who may not clone into the group. */
int agentcg_leaf_attach(struct agentcg_leaf *leaf, int pidfd, char *why);
/*
 * Kills what is left and removes the group; @ret is borrowed until the leaf is
 * done.  If the daemon is away it is waited for until leaf->give_up.
 */
int agentcg_leaf_end(struct agentcg_leaf *leaf, sd_json_variant **ret, char *why);

/* The connection broke: from now on agentcg_leaf_reconnect() wants to be called. */
void agentcg_leaf_lost(struct agentcg_leaf *leaf);
/* At the time leaf->retry; 0 when connected and claimed. */
int agentcg_leaf_reconnect(struct agentcg_leaf *leaf);

/* To wait for: readable when the daemon went away; -1 while it is away. */
int agentcg_leaf_fd(struct agentcg_leaf *leaf);

/* Drops the connection: a call that has not ended is killed by the daemon. */
void agentcg_leaf_done(struct agentcg_leaf *leaf);

#endif /* _AGENTCG_LEAF_H */
