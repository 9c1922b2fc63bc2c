/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's end of the programs that follow what attached processes start:
 * loads them, gives them leaves, reads what they tell.  They are not pinned and
 * go with the daemon.  Nobody else includes their skeleton.
 */
#ifndef _AGENTCG_FOLLOW_H
#define _AGENTCG_FOLLOW_H

#include "agentcg_follow.h"
#include "util.h"

struct follow;

typedef void (*agentcg_follow_start_t)(const struct agentcg_start *start, void *userdata);

/*
 * Loads the programs.  @exe: path of agentcg, whose processes are never commands.
 * Negative errno: they cannot be, with the reason in @why.
 */
int agentcg_follow_open(struct follow **ret, const char *exe, agentcg_follow_start_t on_start,
			void *userdata, char *why);
void agentcg_follow_close(struct follow *f);

/* Becomes readable when there are records; then call agentcg_follow_read(). */
int agentcg_follow_fd(struct follow *f);
int agentcg_follow_read(struct follow *f);

/* Follows the process of @pidfd, which lives in the group @home, as number @slot. */
int agentcg_follow_attach(struct follow *f, uint32_t slot, enum agentcg_follow_kind kind, uint64_t home, int pidfd);
/* @pidfd may be of a process that is gone. */
void agentcg_follow_detach(struct follow *f, uint32_t slot, int pidfd);

/* Makes a group that the module knows a leaf for @slot; @dirfd: its directory. */
int agentcg_follow_leaf(struct follow *f, uint32_t slot, uint64_t leaf, int dirfd, int oom_score_adj);
/* Gives @slot a leaf; @key: for the command that waits for it, 0: as a spare.  @leaf 0: it gets none. */
int agentcg_follow_give(struct follow *f, uint32_t slot, uint64_t leaf, uint64_t key);
/* A spare of @slot that is not used and will not be, or -ENOENT. */
int agentcg_follow_take(struct follow *f, uint32_t slot, uint64_t *ret);
/* No task is placed in @leaf from now on. */
void agentcg_follow_forget(struct follow *f, uint32_t slot, uint64_t leaf);

/* Tasks of @slot that should have been placed and were not. */
uint32_t agentcg_follow_unplaced(struct follow *f, uint32_t slot);

int agentcg_follow_add_ticket(struct follow *f, const struct agentcg_ticket_name *name, const struct agentcg_ticket *ticket);
void agentcg_follow_remove_ticket(struct follow *f, const struct agentcg_ticket_name *name);

#endif
