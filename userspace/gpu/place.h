/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which cores and which node each worker gets.  Pure: topology, wishes and the
 * policy in, placements out, each with a sentence that explains it.
 *
 * - Whole cores, with all their SMT siblings, so that no tool call shares one.
 * - At the node of the worker's GPUs; where that has no cores left, at the
 *   nearest that has; a worker without a GPU goes where most is free.
 * - A worker that runs keeps its cores as long as its wish is the same, and when
 *   it grows or shrinks it keeps as many of them as can be.
 * - Tool calls keep at least @calls_min cores (one, if nothing is said), and
 *   at least one on a node with memory.  When that leaves too few, workers shrink:
 *   by the policy equally, or the less important first; none below one core.
 * - CPU 0's core goes last: much of the kernel's own work is there.
 * - A node without CPUs is never a worker's memory, but for what it offloads.
 */
#ifndef _AGENTCG_PLACE_H
#define _AGENTCG_PLACE_H

#include "topology.h"
#include "util.h"

enum place_short {
	PLACE_SHORT_EQUAL,		/* all give up in proportion */
	PLACE_SHORT_PRIORITY,		/* the least important first */
};

struct place_policy {
	unsigned int calls_min;		/* cores that tool calls keep; at least 1 */
	enum place_short when_short;
	struct cpus far_nodes;		/* that may hold what is offloaded and cold; empty: all NODE_FAR */
};

struct place_wish {
	unsigned int cores;		/* 0: as many as its GPUs' node has for each of its GPUs, 2 at least */
	int node;			/* of its GPUs; AGENTCG_NODE_UNKNOWN */
	uint32_t priority;
	struct cpus before;		/* CPUs that it has; empty: it is new */
};

struct placement {
	struct cpus cpus;		/* empty: it cannot be placed, see @why */
	struct cpus mems;		/* nodes of its memory */
	struct cpus far;		/* nodes for what it offloads */
	int node;
	unsigned int cores;
	char why[AGENTCG_WHY_MAX];	/* "4 cores at node 1, where GPU 0 is" */
};

/* All at once; @wishes and @ret have @n elements each.  -ENOSPC: not even one core each. */
int agentcg_place(const struct topology *t, const struct place_policy *policy, const struct place_wish *wishes,
		  struct placement *ret, size_t n);

#endif
