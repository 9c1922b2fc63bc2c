/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which cores and which node each worker gets.  Pure: topology, wishes and the
 * policy in, placements out, each with a sentence that explains it.
 *
 * - Whole cores, with all their SMT siblings, so that no tool call shares one.
 * - At the node of the worker's GPUs; where that has no cores left, at the
 *   nearest that has; a worker without a GPU goes where most is free.
 * - A worker that runs keeps its cores as long as its wish is the same, and when
 *   it grows or shrinks it keeps as many of them as can be.  To have it moved (its
 *   GPU's node was not known before), leave @before empty.
 * - Tool calls keep at least @calls_min cores (one, if nothing is said), and
 *   at least one on a node with memory.  When that leaves too few, workers shrink:
 *   by the policy equally, or the less important first; none below one core.  When not
 *   even that can be, those that run and then the more important get one.
 * - CPU 0's core goes last, which is never, as tool calls keep one: much of the
 *   kernel's own work is there.
 * - A node without CPUs is never a worker's memory, but for what it offloads.  Nor is
 *   a node that the policy names as far, whose cores are left to tool calls.
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
	bool far_none;			/* nothing is to be far */
	struct cpus far_nodes;		/* that may hold what is offloaded and cold; empty: all NODE_FAR */
};

struct place_wish {
	/*
	 * 0: two and one for each of its GPUs, what engines want at least (a server,
	 * a scheduler, and one process for each GPU: vLLM's documentation,
	 * "CPU Resources for GPU Deployments"), but not more than its GPUs' part of their node.
	 */
	unsigned int cores;
	int node;			/* of its GPUs; AGENTCG_NODE_UNKNOWN */
	unsigned int gpus;		/* how many it has */
	unsigned int gpus_at_node;	/* how many there are at @node, others' included; 0: not known */
	uint64_t memory;		/* bytes that must fit; 0: on one node */
	uint32_t priority;
	struct cpus before;		/* CPUs that it has; empty: it is new */
};

struct placement {
	struct cpus cpus;		/* empty: it cannot be placed, see @why */
	struct cpus mems;		/* nodes of its memory: @node's, and the nearest ones if it needs more than that has */
	struct cpus far;		/* nodes for what it offloads */
	int node;			/* its GPUs', or the nearest with cores of it; without a GPU where most of its cores are */
	unsigned int cores;
	char why[AGENTCG_WHY_MAX];	/* "4 cores at node 1, where its GPU is" */
};

/*
 * All at once; @wishes and @ret have @n elements each.  -ENOSPC: not even one core
 * each; @ret is filled in all the same.
 */
int agentcg_place(const struct topology *t, const struct place_policy *policy, const struct place_wish *wishes,
		  struct placement *ret, size_t n);

#endif
