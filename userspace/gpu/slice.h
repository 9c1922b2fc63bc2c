/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The group of all GPU workers, ROOT/agentcg-gpu.slice, and what it takes to
 * keep everybody else off their CPUs and their memory.
 *
 * It is a cpuset partition: the kernel takes its CPUs away from all groups that are
 * not in it.  Below the mount's root that is said with cpuset.cpus.exclusive in each
 * group on the way (a "remote" partition).  memory.min counts only as far as every
 * group above has it too.  What stood in those groups before is in the slice's own
 * xattr, written before anything is changed, so that a later daemon gives it back.
 */
#ifndef _AGENTCG_SLICE_H
#define _AGENTCG_SLICE_H

#include "cpus.h"
#include "kthreads.h"
#include "util.h"

#define AGENTCG_GPU_SLICE	"agentcg-gpu.slice"
#define AGENTCG_WORKER_PREFIX	"worker-"
#define AGENTCG_SLICE_DEPTH	8

/* A group above, from the mount's root (which has no files of its own but one) to ROOT. */
struct slice_above {
	int fd;
	bool had_cpuset;		/* its children had the cpuset controller before */
	uint64_t min;			/* memory.min, before */
	struct cpus exclusive;		/* cpuset.cpus.exclusive, before */
};

struct slice {
	struct slice_above above[AGENTCG_SLICE_DEPTH];
	unsigned int nr_above;		/* 0: no groups here, for this reason */
	bool can_cpuset;		/* else groups protect memory and CPUs are bound one process at a time */
	int fd;				/* -1: not made */
	char *path;			/* below the mount */
	struct cpus cpus;		/* as written */
	bool exclusive;			/* the kernel confirms it */
	uint64_t min;
	struct kthreads kthreads;	/* that were moved away */
	char reason[AGENTCG_WHY_MAX];	/* why not all of it is in force */
};

/* @mount: of cgroup v2; @root: ROOT below it, or NULL with the reason in @why: there is none. */
int agentcg_slice_init(struct slice *s, const char *mount, const char *root, const char *why);
/* Frees the memory only. */
void agentcg_slice_done(struct slice *s);

/* Takes over what an earlier daemon made.  -ENOENT: nothing. */
int agentcg_slice_adopt(struct slice *s);
/* Makes it, if it is not there. */
int agentcg_slice_make(struct slice *s, char *why);
/* Gives everything back; there is no worker in it any more. */
void agentcg_slice_remove(struct slice *s);

/*
 * The CPUs of all workers: to let some grow and others shrink, first cover the old
 * and the new, then bind the workers, then trim.  Whether they are exclusive is
 * in ->exclusive afterwards; negative errno: the kernel refuses them at all.
 */
int agentcg_slice_set_cpus(struct slice *s, const struct cpus *cpus, char *why);
int agentcg_slice_set_min(struct slice *s, uint64_t bytes);
/* Whether the partition is still one: CPUs come and go. */
bool agentcg_slice_check(struct slice *s);
/* Kernel threads too, those that came meanwhile: off its CPUs, and back on those that it gave back. */
void agentcg_slice_clear(struct slice *s);

/* A worker's group: made, bound, removed. */
int agentcg_slice_add(struct slice *s, const char *worker, int *ret_fd);
int agentcg_slice_open(struct slice *s, const char *worker, int *ret_fd);
int agentcg_slice_bind(struct slice *s, int fd, const struct cpus *cpus, const struct cpus *mems);
int agentcg_slice_drop(struct slice *s, const char *worker);

#endif
