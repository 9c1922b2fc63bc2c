/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One command in a leaf of its own, from begin to end: what run and record
 * have in common.
 */
#ifndef _AGENTCG_LAUNCH_H
#define _AGENTCG_LAUNCH_H

#include "child.h"
#include "leaf.h"

struct agentcg_launch {
	struct agentcg_leaf leaf;
	struct agentcg_child child;
	sd_json_variant *result;	/* borrowed from the leaf; NULL if there is none */
	bool timed_out;			/* while the daemon was away */
	/* Called every @interval usec (0: never) while the command runs. */
	void (*tick)(struct agentcg_launch *launch, void *userdata);
	uint64_t interval;
	void *userdata;
};

#define AGENTCG_LAUNCH_NONE \
	((struct agentcg_launch){ .leaf = AGENTCG_LEAF_NONE, .child = AGENTCG_CHILD_NONE })

/*
 * Starts; says itself what is wrong, and returns an exit code, 0 if nothing is.  In a tool call already, and with
 * @wish->in_place, the command takes the place of this program.
 */
int agentcg_launch_start(struct agentcg_launch *l, const char *socket,
			 const struct agentcg_wish *wish);
/* Waits for the command and ends the call; returns its exit code. */
int agentcg_launch_finish(struct agentcg_launch *l, const struct agentcg_wish *wish);
/* Says what its user should know of the result, if there is something. */
void agentcg_launch_tell(const struct agentcg_launch *l);
void agentcg_launch_done(struct agentcg_launch *l);

#endif /* _AGENTCG_LAUNCH_H */
