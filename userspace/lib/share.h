/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the groups of a tree may ask for by their weights, from what they used
 * and wanted in an interval: water-filling (bpf/fair.h) at every level.  Pure.
 */
#ifndef _AGENTCG_SHARE_H
#define _AGENTCG_SHARE_H

#include "util.h"

#define AGENTCG_SHARE_ROOT	(-1)

struct agentcg_share {
	/* in; CPUs are means over the interval */
	int parent;		/* index; AGENTCG_SHARE_ROOT: of the tree's root */
	uint32_t weight;
	double got;		/* CPUs, its whole subtree */
	double runnable;	/* threads of its own and child groups that ran or waited */
	double busy;		/* of the time: the part when there was one */
	double limit;		/* CPUs that it may use at most; INFINITY: all */
	/* out */
	double asked;		/* CPUs */
};

/*
 * Fills in ->asked.  A group wants as many CPUs as it has threads to run, and
 * at least what it got; tasks beside child groups count as one more child of
 * the default weight.  A tree that is none (a cycle, a parent outside) is
 * refused.
 */
int agentcg_share_ask(struct agentcg_share *groups, size_t n, double cpus);

#endif /* _AGENTCG_SHARE_H */
