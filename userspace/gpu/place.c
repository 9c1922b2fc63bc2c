// SPDX-License-Identifier: GPL-2.0-only
/*
 * Four steps: how many cores each gets (grant), which of those that it has it keeps,
 * which it takes at its home node, and which elsewhere.  They are done for all workers in one
 * order: those that run, the more important, as they come.
 */
#include "place.h"

#include <limits.h>
#include <stdarg.h>

#define FREE		(-1)
#define FOR_CALLS	(-2)

struct plan {
	const struct topology *t;
	const struct place_policy *policy;
	const struct place_wish *wishes;
	size_t n;
	int *owner;			/* of each core: a worker, FREE, FOR_CALLS */
	size_t *order;			/* workers */
	int *home;			/* of each worker; AGENTCG_NODE_UNKNOWN: not chosen yet */
	unsigned int *want, *grant, *got;
	unsigned int *missing, *part;	/* in_proportion() */
	unsigned int calls_min;
};

static void done(struct plan *p)
{
	free(p->owner);
	free(p->order);
	free(p->home);
	free(p->want);
}

/* Where launches may run and their memory may be. */
static bool node_serves(const struct plan *p, int node)
{
	enum node_kind kind;

	if (node < 0 || node >= (int)p->t->nr_nodes || cpus_has(&p->policy->far_nodes, node))
		return false;
	kind = p->t->nodes[node].kind;
	return kind == NODE_NEAR || kind == NODE_EMPTY;
}

static unsigned int distance(const struct topology *t, int from, int to)
{
	if (from == to)
		return 0;
	if (from < 0 || to < 0 || !t->nodes[from].distance[to])
		return UINT8_MAX + 1;
	return t->nodes[from].distance[to];
}

/* The nearest to @node that serves and, if it is for @memory, has some. */
static int nearest_serving(const struct plan *p, int node, bool memory, const struct cpus *but)
{
	int best = AGENTCG_NODE_UNKNOWN;

	for (int i = 0; i < (int)p->t->nr_nodes; i++) {
		if (!node_serves(p, i) || (memory && p->t->nodes[i].kind != NODE_NEAR) || cpus_has(but, i))
			continue;
		if (best < 0 || distance(p->t, node, i) < distance(p->t, node, best))
			best = i;
	}
	return best;
}

static unsigned int free_at(const struct plan *p, int node)
{
	unsigned int n = 0;

	for (size_t c = 0; c < p->t->nr_cores; c++)
		n += p->owner[c] == FREE && p->t->cores[c].node == node;
	return n;
}

static bool is_near(const struct topology *t, size_t core)
{
	int node = t->cores[core].node;

	return node >= 0 && t->nodes[node].kind == NODE_NEAR;
}

/* The one core that tool calls have in any case: CPU 0's, or one with memory beside it. */
static size_t core_of_calls(const struct topology *t)
{
	for (size_t c = 0; c < t->nr_cores; c++)
		if (is_near(t, c))
			return c;
	return 0;
}

/* Cores that workers may have in all. */
static unsigned int set_apart(struct plan *p)
{
	unsigned int usable = 0, total = (unsigned int)p->t->nr_cores;
	size_t apart = core_of_calls(p->t);

	for (size_t c = 0; c < total; c++) {
		p->owner[c] = c != apart && node_serves(p, p->t->cores[c].node) ? FREE : FOR_CALLS;
		usable += p->owner[c] == FREE;
	}
	if (total <= p->calls_min)
		return 0;
	return usable < total - p->calls_min ? usable : total - p->calls_min;
}

static bool comes_before(const struct plan *p, size_t a, size_t b)
{
	const struct place_wish *wa = &p->wishes[a], *wb = &p->wishes[b];
	bool runs_a = !cpus_empty(&wa->before), runs_b = !cpus_empty(&wb->before);

	if (runs_a != runs_b)
		return runs_a;
	if (wa->priority != wb->priority)
		return wa->priority > wb->priority;
	return a < b;
}

static void put_in_order(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++) {
		size_t at = i;

		for (; at > 0 && comes_before(p, i, p->order[at - 1]); at--)
			p->order[at] = p->order[at - 1];
		p->order[at] = i;
	}
}

static unsigned int wanted(const struct plan *p, const struct place_wish *w)
{
	unsigned int want = 2 + w->gpus, at_node = 0, part;

	if (w->cores)
		return w->cores < p->t->nr_cores ? w->cores : (unsigned int)p->t->nr_cores;
	if (w->gpus == 0 || w->gpus_at_node == 0)
		return want;
	for (size_t c = 0; c < p->t->nr_cores; c++)
		at_node += p->t->cores[c].node == w->node;
	part = at_node * w->gpus / w->gpus_at_node;
	if (part < 2)
		part = 2;
	return want < part ? want : part;
}

/*
 * Fills p->part for those workers whose p->missing is not 0: what of @pool each is due.  What is left by rounding goes to
 * those who would lose most by it; who runs does not matter here, or the same wishes would not give the same again.
 */
static void in_proportion(struct plan *p, unsigned int pool)
{
	uint64_t sum = 0;
	unsigned int left;

	for (size_t i = 0; i < p->n; i++)
		sum += p->missing[i];
	if (pool > sum)
		pool = (unsigned int)sum;
	left = pool;
	for (size_t i = 0; i < p->n; i++) {
		p->part[i] = sum ? (unsigned int)((uint64_t)p->missing[i] * pool / sum) : 0;
		left -= p->part[i];
	}
	for (; left > 0; left--) {
		int64_t most = 0;
		size_t best = 0;

		for (size_t i = 0; i < p->n; i++) {
			int64_t lost = (int64_t)p->missing[i] * pool - (int64_t)(p->part[i] * sum);

			if (lost > most || (lost > 0 && lost == most && p->wishes[i].priority > p->wishes[best].priority)) {
				most = lost;
				best = i;
			}
		}
		p->part[best]++;
	}
}

/* Gives of @pool what those of @priority (any: UINT64_MAX) lack. */
static unsigned int grant_level(struct plan *p, uint64_t priority, unsigned int pool)
{
	for (size_t i = 0; i < p->n; i++)
		p->missing[i] = priority == UINT64_MAX || p->wishes[i].priority == priority ? p->want[i] - p->grant[i] : 0;
	in_proportion(p, pool);
	for (size_t i = 0; i < p->n; i++) {
		p->grant[i] += p->part[i];
		pool -= p->part[i];
	}
	return pool;
}

static int grant(struct plan *p, unsigned int available)
{
	uint64_t level = UINT64_MAX, next;
	int r = available < p->n ? -ENOSPC : 0;

	for (size_t i = 0; i < p->n; i++)
		p->want[i] = wanted(p, &p->wishes[i]);
	for (size_t k = 0; k < p->n && available > 0; k++, available--)
		p->grant[p->order[k]] = 1;
	if (r < 0)
		return r;
	if (p->policy->when_short == PLACE_SHORT_EQUAL) {
		grant_level(p, level, available);
		return 0;
	}
	do {
		next = UINT64_MAX;
		for (size_t i = 0; i < p->n; i++)
			if (p->wishes[i].priority < level && (next == UINT64_MAX || p->wishes[i].priority > next))
				next = p->wishes[i].priority;
		level = next;
		if (level != UINT64_MAX)
			available = grant_level(p, level, available);
	} while (level != UINT64_MAX);
	return 0;
}

/* Takes up to @nr free cores for worker @i, the nearest to its home first: of @only node, or of those that it has had. */
static void take(struct plan *p, size_t i, unsigned int nr, int only, bool had)
{
	const struct topology *t = p->t;

	for (; nr > 0; nr--) {
		unsigned int best_distance = UINT_MAX;
		size_t best = SIZE_MAX;

		for (size_t c = 0; c < t->nr_cores; c++) {
			unsigned int d = distance(t, p->home[i], t->cores[c].node);

			if (p->owner[c] != FREE || (only >= 0 && t->cores[c].node != only) ||
			    (had && !cpus_intersect(&t->cores[c].cpus, &p->wishes[i].before)))
				continue;
			/* CPU 0's, which is the first, is for tool calls unless it has no memory beside it. */
			if (d < best_distance || (d == best_distance && best == 0 && t->cores[c].node == t->cores[0].node)) {
				best_distance = d;
				best = c;
			}
		}
		if (best == SIZE_MAX)
			return;
		p->owner[best] = (int)i;
		p->got[i]++;
	}
}

/* Of all nodes the one that has most of @owner's cores; the lowest of equals. */
static int most_at(const struct plan *p, int owner)
{
	unsigned int count[AGENTCG_NODES_MAX] = {}, most = 0;
	int node = AGENTCG_NODE_UNKNOWN;

	for (size_t c = 0; c < p->t->nr_cores; c++)
		if (p->owner[c] == owner)
			count[p->t->cores[c].node]++;
	for (int i = 0; i < (int)p->t->nr_nodes; i++)
		if (count[i] > most) {
			most = count[i];
			node = i;
		}
	return node;
}

static void keep(struct plan *p)
{
	for (size_t k = 0; k < p->n; k++) {
		size_t i = p->order[k];
		int node = p->wishes[i].node;

		p->home[i] = AGENTCG_NODE_UNKNOWN;
		if (node >= 0 && node < (int)p->t->nr_nodes)
			p->home[i] = node_serves(p, node) ? node : nearest_serving(p, node, false, &(struct cpus){});
		take(p, i, p->grant[i], -1, true);
		if (p->home[i] < 0)
			p->home[i] = most_at(p, (int)i);
	}
}

static void take_at_home(struct plan *p)
{
	for (int node = 0; node < (int)p->t->nr_nodes; node++) {
		for (size_t i = 0; i < p->n; i++)
			p->missing[i] = p->home[i] == node ? p->grant[i] - p->got[i] : 0;
		in_proportion(p, free_at(p, node));
		for (size_t k = 0; k < p->n; k++)
			take(p, p->order[k], p->part[p->order[k]], node, false);
	}
}

static void take_elsewhere(struct plan *p)
{
	for (size_t k = 0; k < p->n; k++)
		if (p->home[p->order[k]] >= 0)
			take(p, p->order[k], p->grant[p->order[k]] - p->got[p->order[k]], -1, false);
	for (size_t k = 0; k < p->n; k++) {
		size_t i = p->order[k];

		if (p->home[i] < 0)
			p->home[i] = most_at(p, FREE);
		take(p, i, p->grant[i] - p->got[i], -1, false);
	}
}

static void set_mems(const struct plan *p, const struct place_wish *w, struct placement *ret)
{
	uint64_t memory = 0;
	int node = nearest_serving(p, ret->node, true, &ret->mems);

	while (node >= 0) {
		cpus_add(&ret->mems, node);
		memory += p->t->nodes[node].memory;
		if (memory >= w->memory)
			break;
		node = nearest_serving(p, ret->node, true, &ret->mems);
	}
	for (int i = 0; i < (int)p->t->nr_nodes && !p->policy->far_none; i++) {
		enum node_kind kind = p->t->nodes[i].kind;
		bool named = cpus_has(&p->policy->far_nodes, i);

		if (cpus_empty(&p->policy->far_nodes) ? kind == NODE_FAR : named && (kind == NODE_FAR || kind == NODE_NEAR))
			cpus_add(&ret->far, i);
	}
	/* On a machine where no node has any memory that is known, at least its own. */
	if (cpus_empty(&ret->mems))
		cpus_add(&ret->mems, ret->node);
}

static void add(char *why, const char *format, ...) _printf_(2, 3);

static void add(char *why, const char *format, ...)
{
	size_t used = strlen(why);
	va_list ap;

	va_start(ap, format);
	vsnprintf(why + used, AGENTCG_WHY_MAX - used, format, ap);
	va_end(ap);
}

static void explain(const struct plan *p, size_t i, struct placement *ret)
{
	const struct place_wish *w = &p->wishes[i];
	unsigned int count[AGENTCG_NODES_MAX] = {}, nodes = 0;
	char *why = ret->why;

	for (size_t c = 0; c < p->t->nr_cores; c++)
		if (p->owner[c] == (int)i)
			count[p->t->cores[c].node]++;
	for (int node = 0; node < (int)p->t->nr_nodes; node++)
		nodes += node_serves(p, node);
	add(why, "%u core%s at node %d", count[ret->node], count[ret->node] == 1 ? "" : "s", ret->node);
	if (w->node >= 0 && ret->node == w->node)
		add(why, ", where its GPU is");
	else if (w->node >= 0)
		add(why, ", near its GPU at node %d", w->node);
	else if (nodes > 1 && cpus_empty(&w->before))
		add(why, ", where most was free");
	for (int node = 0; node < (int)p->t->nr_nodes; node++)
		if (count[node] && node != ret->node)
			add(why, ", %u at node %d", count[node], node);
	if (p->got[i] < p->want[i])
		add(why, "; %u of the %u wanted, as tool calls keep %u and %zu worker%s share%s the rest", p->got[i], p->want[i],
		    p->calls_min, p->n, p->n == 1 ? "" : "s", p->n == 1 ? "s" : "");
}

/* Its memory belongs to its GPU, as long as it has a core there; without a GPU to most of its cores. */
static int node_of(const struct plan *p, size_t i)
{
	for (size_t c = 0; c < p->t->nr_cores && p->wishes[i].node >= 0; c++)
		if (p->owner[c] == (int)i && p->t->cores[c].node == p->home[i])
			return p->home[i];
	return most_at(p, (int)i);
}

static void tell(const struct plan *p, size_t i, struct placement *ret)
{
	*ret = (struct placement){ .node = AGENTCG_NODE_UNKNOWN, .cores = p->got[i] };
	if (!p->got[i]) {
		add(ret->why, "no core is left for it: tool calls keep %u of the machine's %zu, and %zu worker%s want%s the rest; ",
		    p->calls_min, p->t->nr_cores, p->n, p->n == 1 ? "" : "s", p->n == 1 ? "s" : "");
		add(ret->why, "end one, or lower CallCores=");
		return;
	}
	for (size_t c = 0; c < p->t->nr_cores; c++)
		if (p->owner[c] == (int)i)
			cpus_or(&ret->cpus, &p->t->cores[c].cpus);
	ret->node = node_of(p, i);
	set_mems(p, &p->wishes[i], ret);
	explain(p, i, ret);
}

static int make_plan(struct plan *p)
{
	p->owner = calloc(p->t->nr_cores, sizeof(*p->owner));
	p->order = calloc(p->n, sizeof(*p->order));
	p->home = calloc(p->n, sizeof(*p->home));
	p->want = calloc(p->n * 5, sizeof(*p->want));
	if (!p->owner || !p->order || !p->home || !p->want)
		return -ENOMEM;
	p->grant = p->want + p->n;
	p->got = p->grant + p->n;
	p->missing = p->got + p->n;
	p->part = p->missing + p->n;
	return 0;
}

int agentcg_place(const struct topology *t, const struct place_policy *policy, const struct place_wish *wishes,
		  struct placement *ret, size_t n)
{
	_cleanup_(done) struct plan p = {
		.t = t, .policy = policy, .wishes = wishes, .n = n,
		.calls_min = policy->calls_min > 1 ? policy->calls_min : 1,
	};
	int r;

	if (n == 0)
		return 0;
	if (t->nr_cores == 0)
		return -ENODATA;
	r = make_plan(&p);
	if (r < 0)
		return r;
	put_in_order(&p);
	r = grant(&p, set_apart(&p));
	keep(&p);
	take_at_home(&p);
	take_elsewhere(&p);
	for (size_t i = 0; i < n; i++)
		tell(&p, i, &ret[i]);
	return r;
}
