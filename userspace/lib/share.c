// SPDX-License-Identifier: GPL-2.0-only
#include "share.h"

#include "fair.h"

/* The groups in an order in which parents come before their children. */
struct tree {
	struct agentcg_share *groups;
	size_t n;
	size_t *order;
	size_t *nr_children;
	double *demand;
	double *own;		/* what the tasks beside child groups want */
};

static void done(struct tree *t)
{
	free(t->order);
	free(t->nr_children);
	free(t->demand);
	free(t->own);
}

static int make_order(struct tree *t)
{
	size_t found = 0, before;

	for (size_t i = 0; i < t->n; i++) {
		int parent = t->groups[i].parent;

		t->groups[i].asked = -1;
		if (parent == AGENTCG_SHARE_ROOT)
			continue;
		if (parent < 0 || (size_t)parent >= t->n)
			return -EINVAL;
		t->nr_children[parent]++;
	}
	/* One level of the tree in each pass; there are eight or so. */
	do {
		before = found;
		for (size_t i = 0; i < t->n; i++) {
			int parent = t->groups[i].parent;

			if (t->groups[i].asked >= 0 ||
			    (parent != AGENTCG_SHARE_ROOT && t->groups[parent].asked < 0))
				continue;
			t->groups[i].asked = 0;
			t->order[found++] = i;
		}
	} while (found > before);
	return found == t->n ? 0 : -EINVAL;
}

/* What is left for the tasks of the group itself, then upwards what all want. */
static void sum_demands(struct tree *t)
{
	double *got = t->own;	/* of the children, until it is known */

	for (size_t k = t->n; k-- > 0;) {
		size_t i = t->order[k];
		const struct agentcg_share *g = &t->groups[i];
		double own = g->got - got[i], all;

		/* ->asked holds the child groups that had something to run. */
		if (g->runnable - g->asked > own)
			own = g->runnable - g->asked;
		/* Readings are not quite of one moment. */
		t->own[i] = own > 0.001 ? own : 0;
		all = t->demand[i] + t->own[i];
		t->demand[i] = all < g->limit ? all : g->limit;
		if (g->parent == AGENTCG_SHARE_ROOT)
			continue;
		got[g->parent] += g->got;
		t->groups[g->parent].asked += g->busy;
		t->demand[g->parent] += t->demand[i];
	}
}

/* Shares what @parent may have among its children; -ENOMEM. */
static int fill(struct tree *t, int parent, size_t nr_children, double capacity, double own)
{
	_cleanup_free_ double *v = calloc(3 * (nr_children + 1), sizeof(*v));
	double *weight = v, *demand = v + nr_children + 1, *share = demand + nr_children + 1;
	unsigned int n = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < t->n; i++) {
		if (t->groups[i].parent != parent)
			continue;
		weight[n] = t->groups[i].weight ?: 1;
		demand[n++] = t->demand[i];
	}
	weight[n] = AGENTCG_WEIGHT_DEFAULT;
	demand[n] = own;
	agentcg_waterfill(weight, demand, share, n + 1, capacity);
	for (size_t i = 0, k = 0; i < t->n; i++)
		if (t->groups[i].parent == parent)
			t->groups[i].asked = share[k++];
	return 0;
}

static int ask(struct tree *t, double cpus)
{
	size_t roots = 0;
	int r = make_order(t);

	if (r < 0)
		return r;
	sum_demands(t);
	for (size_t i = 0; i < t->n; i++)
		roots += t->groups[i].parent == AGENTCG_SHARE_ROOT;
	r = fill(t, AGENTCG_SHARE_ROOT, roots, cpus, 0);
	for (size_t k = 0; !r && k < t->n; k++) {
		size_t i = t->order[k];

		if (t->nr_children[i])
			r = fill(t, (int)i, t->nr_children[i], t->groups[i].asked, t->own[i]);
	}
	return r;
}

int agentcg_share_ask(struct agentcg_share *groups, size_t n, double cpus)
{
	struct tree t = {
		.groups = groups,
		.n = n,
		.order = calloc(n + 1, sizeof(*t.order)),
		.nr_children = calloc(n + 1, sizeof(*t.nr_children)),
		.demand = calloc(n + 1, sizeof(*t.demand)),
		.own = calloc(n + 1, sizeof(*t.own)),
	};
	int r = t.order && t.nr_children && t.demand && t.own ? ask(&t, cpus) : -ENOMEM;

	done(&t);
	return r;
}
