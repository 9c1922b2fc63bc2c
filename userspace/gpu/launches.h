/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Launch delay of GPU workers, measured in the kernel by bpf/gpu.bpf.c, whose top comment
 * says what, and why in windows of time (duty.h).
 *
 * All of it happens in a thread of its own, for taking a breakpoint away waits for the
 * kernel, and a storm is not to wait for the daemon.  These functions return at once.
 */
#ifndef _AGENTCG_LAUNCHES_H
#define _AGENTCG_LAUNCHES_H

#include <sys/types.h>

#include "bound.h"
#include "util.h"

struct launches;

#define AGENTCG_LAUNCH_THREADS	64	/* of a worker, that are told of */

struct launch_figures {
	uint64_t launches;	/* since it was added, by the rate in the windows */
	uint64_t seen;		/* in windows */
	uint64_t sampled;	/* of these, after the thread had woken or been preempted */
	/* What follows is of the last minute or two. */
	uint64_t delay_nsec;	/* mean, runnable to launch */
	uint64_t p50_nsec, p99_nsec;	/* of the delay */
	uint64_t tklqt_nsec;	/* a second: in launches, and waiting for the GPU */
	double rate;		/* launches a second */
	struct bound_in bound;	/* for agentcg_bound_by() */
	unsigned int windows;	/* ever */
	bool detached;		/* too dear; @reason tells */
	char reason[AGENTCG_WHY_MAX];	/* of that, or why there is nothing to see */
};

/* One for all workers.  Where the kernel refuses, the figures' reason says so. */
int agentcg_launches_open(struct launches **ret);
struct launches *agentcg_launches_close(struct launches *l);
/* What a call that is looked at costs its thread, as it was measured at the start; 0: it has not been, yet. */
uint64_t agentcg_launches_cost(struct launches *l);

/* Follows the processes of the group @cgroup_id, whose directory is @dirfd (it is duplicated); -1: only @pid. */
int agentcg_launches_add(struct launches *l, uint64_t cgroup_id, int dirfd, pid_t pid, char *why);
void agentcg_launches_remove(struct launches *l, uint64_t cgroup_id);
int agentcg_launches_read(struct launches *l, uint64_t cgroup_id, struct launch_figures *ret);
/* Threads of the group that launched since the last call: host tids; how many. */
int agentcg_launches_threads(struct launches *l, uint64_t cgroup_id, pid_t *tids, size_t max);

#endif
