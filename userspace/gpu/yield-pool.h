/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pool gives up what the worker wants most whose inference misses its target:
 * cpu.weight and cpu.max of the pool's group.  What both were before is kept in an extended attribute of the group, so that the next
 * daemon finds it; and all is given back with the last worker that wants something.
 *
 * Memory bandwidth is given up with the CPU time that would use it.  Where the CPU can limit it by itself (resctrl, MBA),
 * that takes a group of tasks, not of cgroups, and is left alone.
 */
#ifndef _AGENTCG_YIELD_POOL_H
#define _AGENTCG_YIELD_POOL_H

#include "util.h"

struct manager;
struct yield_pool;

/* Takes over what an earlier daemon left; should no worker want it any more soon, it is given back. */
int agentcg_yield_pool_open(struct manager *m);
struct yield_pool *agentcg_yield_pool_free(struct yield_pool *p);	/* what is in force stays */
/* What holds now; where a worker begins that an earlier daemon knew. */
unsigned int agentcg_yield_pool_level(const struct manager *m);
/* What workers want has changed: @why of the one that did. */
void agentcg_yield_pool_apply(struct manager *m, const char *why);

/* cpu.max of the pool at a level: @before is what the file said, @cpus how many it may run on.  Pure; -EINVAL. */
int agentcg_yield_cpu_max_text(const char *before, unsigned int cpus, unsigned int level, char ret[64]);

#endif
