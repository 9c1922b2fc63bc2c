/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is done to processes themselves: where a group does not bind them, and
 * for memory that does not follow its group.
 */
#ifndef _AGENTCG_BIND_H
#define _AGENTCG_BIND_H

#include <systemd/sd-event.h>
#include <sys/types.h>

#include "cpus.h"
#include "util.h"

#define AGENTCG_TREE_MAX	4096

struct tree {
	pid_t pids[AGENTCG_TREE_MAX];
	size_t nr;
};

/* @root and all processes below it, as /proc shows them; -ESRCH: it is gone. */
int agentcg_tree_read(pid_t root, struct tree *ret);
/* Whether @pid is @root or below it. */
bool agentcg_tree_is_below(pid_t pid, pid_t root);

/* Binds all threads of a process to @cpus; the first error, -ESRCH aside. */
int agentcg_bind_threads(pid_t pid, const struct cpus *cpus);

/*
 * Moves memory to @mems in a process of its own, for gigabytes take seconds:
 * writes cpuset.mems of @group (-1: none), which moves what is a process's alone,
 * and then moves what is left page by page (migrate_pages(2)).
 */
struct mover;

typedef void (*agentcg_moved_t)(int error, void *userdata);

int agentcg_mover_start(sd_event *event, int group, const pid_t *pids, size_t nr, const struct cpus *mems,
			agentcg_moved_t done, void *userdata, struct mover **ret);
/* The process that moves; only valid until it is done. */
pid_t agentcg_mover_pid(const struct mover *v);
/* Forgets the outcome; the move goes on. */
struct mover *agentcg_mover_free(struct mover *v);

#endif
