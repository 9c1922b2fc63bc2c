// SPDX-License-Identifier: GPL-2.0-only
#include "place.h"
#include "tap.h"

#define WORKERS_MAX	8

/* --- Machines and workers by hand -------------------------------------------------------------------------------------- */

/* Sets of CPUs as text, cores divided by '/', nodes by ';': "0,4/1,5;2,6/3,7;" is two sockets with SMT and a far node. */
static void machine(struct topology *t, const char *cores)
{
	char *text = strdup(cores), *node, *node_rest;

	*t = (struct topology){ .cores = calloc(256, sizeof(*t->cores)) };
	node_rest = text;
	while ((node = strsep(&node_rest, ";"))) {
		struct node *n = &t->nodes[t->nr_nodes];
		char *core;

		n->memory = 8 * GIB;
		while ((core = strsep(&node, "/"))) {
			struct core *c = &t->cores[t->nr_cores];

			if (!*core || cpus_parse(core, &c->cpus) < 0)
				continue;
			c->node = (int)t->nr_nodes;
			cpus_or(&n->cpus, &c->cpus);
			cpus_or(&t->online, &c->cpus);
			t->nr_cores++;
		}
		n->kind = cpus_empty(&n->cpus) ? NODE_FAR : NODE_NEAR;
		for (int i = 0; i < 8; i++)
			n->distance[i] = i == (int)t->nr_nodes ? 10 : 20 + 2 * abs(i - (int)t->nr_nodes);
		t->nr_nodes++;
	}
	/* placement wants them by their first CPU */
	for (size_t i = 1; i < t->nr_cores; i++)
		for (size_t k = i; k > 0 && cpus_next(&t->cores[k].cpus, 0) < cpus_next(&t->cores[k - 1].cpus, 0); k--) {
			struct core c = t->cores[k];

			t->cores[k] = t->cores[k - 1];
			t->cores[k - 1] = c;
		}
	free(text);
}

static bool is(const struct cpus *s, const char *text)
{
	char buf[AGENTCG_CPUS_TEXT_MAX];

	return streq(cpus_format(s, buf), text);
}

static struct place_wish wish(unsigned int cores, int node, const char *before)
{
	struct place_wish w = { .cores = cores, .node = node, .gpus = node >= 0, .priority = 500 };

	cpus_parse(before, &w.before);
	return w;
}

static bool has(const struct placement *p, const char *cpus, const char *mems, const char *why)
{
	bool ok = is(&p->cpus, cpus) && is(&p->mems, mems) && streq(p->why, why);
	char buf[AGENTCG_CPUS_TEXT_MAX];

	if (!ok) {
		printf("# CPUs %s", cpus_format(&p->cpus, buf));
		printf(", memory %s: %s\n", cpus_format(&p->mems, buf), p->why);
	}
	return ok;
}

static void one_worker(void)
{
	struct place_policy policy = { .calls_min = 1 };
	struct placement p;
	struct topology t;
	struct place_wish w;

	machine(&t, "0,6/1,7/2,8;3,9/4,10/5,11;");
	w = wish(2, 1, "");
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && has(&p, "3-4,9-10", "1", "2 cores at node 1, where its GPU is") &&
	       is(&p.far, "2") && p.node == 1 && p.cores == 2, "whole cores where its GPU is, memory there, the far node for what it offloads");
	w = wish(2, 0, "");
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && has(&p, "1-2,7-8", "0", "2 cores at node 0, where its GPU is"), "not CPU 0's core");
	w = wish(4, 0, "");
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 &&
	       has(&p, "1-4,7-10", "0", "2 cores at node 0, where its GPU is, 2 at node 1"), "the rest at the nearest node; memory where its GPU is");
	w = wish(2, 2, "");
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 &&
	       has(&p, "3-4,9-10", "1", "2 cores at node 1, near its GPU at node 2"), "a GPU at a node without CPUs: the nearest");
	w = wish(2, AGENTCG_NODE_UNKNOWN, "");
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 &&
	       has(&p, "3-4,9-10", "1", "2 cores at node 1, where most was free"), "without a GPU: where most is free");
	w.memory = 9 * GIB;
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && is(&p.mems, "0-1"), "more memory than the node has: the next one's too, never the far one's");
	w = wish(100, 0, "");
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 &&
	       has(&p, "1-5,7-11", "0", "2 cores at node 0, where its GPU is, 3 at node 1; "
		   "5 of the 6 wanted, as tool calls keep 1 and 1 worker shares the rest"),
	       "tool calls keep a core");
	policy.calls_min = 4;
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && is(&p.cpus, "1-2,7-8"), "or as many as the policy says");
	policy.calls_min = 6;
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == -ENOSPC &&
	       has(&p, "", "", "no core is left for it: tool calls keep 6 of the machine's 6, and 1 worker wants the rest; "
		   "end one, or lower CallCores="),
	       "which may leave nothing");
	agentcg_topology_done(&t);
}

static void defaults(void)
{
	struct place_policy policy = {};
	struct place_wish w = wish(0, 0, "");
	struct placement p;
	struct topology t;

	machine(&t, "0/1/2/3/4/5/6/7;8/9/10/11/12/13/14/15");
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && p.cores == 3, "nothing said: two cores and one for its GPU");
	w.gpus = 4;
	w.gpus_at_node = 4;
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && p.cores == 6, "for each of its GPUs");
	w.gpus = 1;
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && p.cores == 2, "not more than the GPU's part of the node");
	w.gpus_at_node = 8;
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && p.cores == 2, "two at least");
	w = wish(0, AGENTCG_NODE_UNKNOWN, "");
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && p.cores == 2, "two without a GPU");
	agentcg_topology_done(&t);
}

static void several(void)
{
	struct place_policy policy = { .calls_min = 1 };
	struct place_wish w[3];
	struct placement p[3];
	struct topology t;

	machine(&t, "0/1/2/3;4/5/6/7");
	w[0] = wish(2, 1, "5,7");
	w[1] = wish(2, 1, "");
	tap_ok(agentcg_place(&t, &policy, w, p, 2) == 0 && is(&p[0].cpus, "5,7") && is(&p[1].cpus, "4,6"), "one that runs keeps its cores");
	w[0].cores = 3;
	tap_ok(agentcg_place(&t, &policy, w, p, 2) == 0 && is(&p[0].cpus, "4-5,7") && is(&p[1].cpus, "1,6"), "and takes its due when it grows");
	w[0].cores = 1;
	tap_ok(agentcg_place(&t, &policy, w, p, 2) == 0 && is(&p[0].cpus, "5") && is(&p[1].cpus, "4,6"), "it shrinks to one that it has");
	w[0] = wish(6, 0, "1-3,5-7");
	w[1] = wish(6, 1, "");
	tap_ok(agentcg_place(&t, &policy, w, p, 2) == 0 && p[0].cores == 4 && p[1].cores == 3 && is(&p[0].cpus, "1-3,5") &&
	       is(&p[1].cpus, "4,6-7"),
	       "short: all give up in proportion, and first what is far from their GPU");
	w[0] = wish(5, 0, "");
	w[1] = wish(5, 1, "");
	w[2] = wish(5, 1, "");
	w[1].priority = 750;
	tap_ok(agentcg_place(&t, &policy, w, p, 3) == 0 && p[0].cores == 2 && p[1].cores == 3 && p[2].cores == 2,
	       "the more important has what cannot be divided");
	w[0] = wish(6, 0, "1-3,5-7");
	w[1] = wish(6, 1, "");
	w[1].priority = 750;
	policy.when_short = PLACE_SHORT_PRIORITY;
	tap_ok(agentcg_place(&t, &policy, w, p, 2) == 0 && is(&p[0].cpus, "1") && is(&p[1].cpus, "2-7"), "or the less important, to one core");
	policy.calls_min = 6;
	w[0].priority = 250;
	w[2] = wish(1, 0, "");
	tap_ok(agentcg_place(&t, &policy, w, p, 3) == -ENOSPC && p[0].cores == 1 && p[1].cores == 1 && p[2].cores == 0 && p[2].why[0],
	       "too many: who runs and the more important have one");
	policy = (struct place_policy){ .calls_min = 1 };
	w[0] = wish(2, AGENTCG_NODE_UNKNOWN, "");
	w[1] = wish(4, 1, "");
	tap_ok(agentcg_place(&t, &policy, w, p, 2) == 0 && is(&p[0].cpus, "1-2") && is(&p[1].cpus, "4-7"), "who has no GPU leaves the GPUs' nodes to others");
	w[0] = wish(3, 1, "");
	w[1] = wish(3, 1, "");
	tap_ok(agentcg_place(&t, &policy, w, p, 2) == 0 && is(&p[0].cpus, "1,4-5") && is(&p[1].cpus, "2,6-7"), "a node that is too small is divided");
	agentcg_topology_done(&t);
}

static void far(void)
{
	struct place_policy policy = { .calls_min = 1 };
	struct place_wish w = wish(2, 1, "");
	struct placement p;
	struct topology t;

	machine(&t, "0/1/2;3/4/5;;");
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && is(&p.far, "2-3"), "far is what has no CPUs");
	t.nodes[3].kind = NODE_DEVICE;
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && is(&p.far, "2"), "but not a GPU's own memory");
	cpus_parse("1,3,9", &policy.far_nodes);
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && is(&p.far, "1") && is(&p.mems, "0") && is(&p.cpus, "1-2"),
	       "a node that the policy names is far, whatever is there, and serves no launches");
	policy = (struct place_policy){ .far_none = true };
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && is(&p.far, "") && is(&p.mems, "1"), "or none is");
	t.nodes[1].kind = NODE_EMPTY;
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && is(&p.cpus, "3-4") && is(&p.mems, "0"), "a node without memory: cores there, memory at the nearest");
	w.cores = 100;
	t.nodes[0].kind = NODE_EMPTY;
	t.nodes[1].kind = NODE_NEAR;
	tap_ok(agentcg_place(&t, &policy, &w, &p, 1) == 0 && is(&p.cpus, "0-2,4-5"), "tool calls' last core is one with memory");
	agentcg_topology_done(&t);
}

/* --- Whatever the machine ---------------------------------------------------------------------------------------------- */

static unsigned int below(unsigned int n)
{
	return n ? (unsigned int)rand() % n : 0;
}

static void any_machine(struct topology *t)
{
	unsigned int threads = 1u << below(3), cpu = 0, cores = 0, nr[4];
	bool apart = below(2);		/* siblings are numbered after all cores */

	*t = (struct topology){ .nr_nodes = 1 + below(4), .cores = calloc(64, sizeof(*t->cores)) };
	for (unsigned int n = 0; n < t->nr_nodes; n++)
		cores += nr[n] = below(5) ? below(9) : 0;
	if (!cores)
		cores = ++nr[0];
	for (unsigned int n = 0; n < t->nr_nodes; n++) {
		struct node *node = &t->nodes[n];

		for (unsigned int c = 0; c < nr[n]; c++, cpu++) {
			struct core *core = &t->cores[t->nr_cores++];

			core->node = below(30) ? (int)n : AGENTCG_NODE_UNKNOWN;
			for (unsigned int k = 0; k < threads; k++)
				cpus_add(&core->cpus, apart ? cpu + k * cores : cpu * threads + k);
			if (core->node >= 0)
				cpus_or(&node->cpus, &core->cpus);
		}
		node->memory = below(6) ? (1 + below(8)) * GIB : 0;
		node->kind = cpus_empty(&node->cpus) ? node->memory ? below(4) ? NODE_FAR : NODE_DEVICE : NODE_ABSENT :
			     node->memory ? NODE_NEAR : NODE_EMPTY;
		node->distance[n] = 10;
		for (unsigned int m = 0; m < n; m++) {
			node->distance[m] = below(5) ? 11 + below(20) : 0;
			t->nodes[m].distance[n] = node->distance[m];
		}
	}
}

static void any_policy(struct place_policy *policy)
{
	*policy = (struct place_policy){ .calls_min = below(5), .when_short = below(2), .far_none = !below(4) };
	if (!below(4))
		cpus_add(&policy->far_nodes, below(4));
}

static void any_wish(struct place_wish *w, const struct topology *t)
{
	struct cpus before = w->before;

	*w = (struct place_wish){
		.cores = 1 + below(1 + below(12)), .node = (int)below(t->nr_nodes + 1) - 1, .priority = 250 * (1 + below(3)),
		.memory = below(16) * GIB, .before = before,
	};
}

static bool serves(const struct topology *t, const struct place_policy *policy, int node)
{
	return node >= 0 && (t->nodes[node].kind == NODE_NEAR || t->nodes[node].kind == NODE_EMPTY) && !cpus_has(&policy->far_nodes, node);
}

/* Who has the core: a worker, -1, or -2 if it is not whole or has two owners. */
static int owner(const struct topology *t, size_t core, const struct placement *p, size_t n)
{
	int found = -1;

	for (size_t i = 0; i < n; i++) {
		struct cpus s = t->cores[core].cpus;

		if (!cpus_intersect(&s, &p[i].cpus))
			continue;
		cpus_andnot(&s, &p[i].cpus);
		if (found >= 0 || !cpus_empty(&s))
			return -2;
		found = (int)i;
	}
	return found;
}

static unsigned int cores_in(const struct topology *t, const struct cpus *s)
{
	unsigned int n = 0;

	for (size_t c = 0; c < t->nr_cores; c++)
		n += cpus_intersect(&t->cores[c].cpus, s);
	return n;
}

/* Cores that workers may have together. */
static unsigned int available(const struct topology *t, const struct place_policy *policy)
{
	unsigned int usable = 0, total = (unsigned int)t->nr_cores, calls = policy->calls_min ?: 1;
	bool near = false, apart_serves = false;

	for (size_t c = 0; c < total; c++) {
		int node = t->cores[c].node;
		bool is_near = node >= 0 && t->nodes[node].kind == NODE_NEAR;

		usable += serves(t, policy, node);
		/* The one that tool calls have in any case; of CPU 0's node, or of a node that has memory. */
		if ((c == 0 || !near) && (is_near || c == 0)) {
			near = is_near;
			apart_serves = serves(t, policy, node);
		}
	}
	usable -= apart_serves;
	return total <= calls ? 0 : usable < total - calls ? usable : total - calls;
}

static unsigned int far_away(const struct topology *t, int from, int to)
{
	return from == to ? 0 : t->nodes[from].distance[to] ?: 256;
}

static const char *whole(const struct topology *t, const struct place_policy *policy, const struct placement *p, size_t n)
{
	struct cpus used = {}, cores = {};
	bool near = false, any_near = false;
	unsigned int left = 0;

	for (size_t i = 0; i < n; i++)
		cpus_or(&used, &p[i].cpus);
	for (size_t c = 0; c < t->nr_cores; c++) {
		int who = owner(t, c, p, n), node = t->cores[c].node;
		bool is_near = node >= 0 && t->nodes[node].kind == NODE_NEAR;

		if (who == -2)
			return "cores are whole and have one owner";
		if (who >= 0 && !serves(t, policy, node))
			return "no cores of nodes that are far or unknown";
		if (who >= 0 && c == 0 && is_near)
			return "CPU 0 stays with tool calls";
		left += who == -1;
		near |= who == -1 && is_near;
		any_near |= is_near;
		cpus_or(&cores, &t->cores[c].cpus);
	}
	cpus_andnot(&used, &cores);
	if (!cpus_empty(&used))
		return "only CPUs that there are";
	if (left < (policy->calls_min ?: 1) && left < t->nr_cores)
		return "tool calls keep their minimum";
	return near || !any_near ? NULL : "tool calls keep a core with memory";
}

static const char *amounts(const struct topology *t, const struct place_policy *policy, const struct place_wish *w,
			   const struct placement *p, size_t n, int r)
{
	unsigned int room = available(t, policy), sum = 0, all = 0, pool = room - n, missing = 0;

	if (r != (room < n ? -ENOSPC : 0))
		return "-ENOSPC if there is not a core for each";
	for (size_t i = 0; i < n; i++) {
		sum += w[i].cores < t->nr_cores ? w[i].cores : t->nr_cores;
		all += p[i].cores;
		if (p[i].cores != cores_in(t, &p[i].cpus) || p[i].cores > w[i].cores || (r == 0 && !p[i].cores) || !p[i].why[0])
			return "one core at least, and not more than wanted";
	}
	if (all != (r < 0 ? room : min_u64(sum, room)))
		return "nobody is short while cores are free";
	if (r < 0 || sum <= room)
		return NULL;
	missing = sum - n;
	for (size_t i = 0; i < n; i++) {
		unsigned int want = min_u64(w[i].cores, t->nr_cores);
		double due = (double)(want - 1) * pool / missing;

		if (policy->when_short == PLACE_SHORT_EQUAL && !(p[i].cores - 1 > due - 1 && p[i].cores - 1 < due + 1))
			return "all give up in proportion";
		for (size_t k = 0; k < n && policy->when_short == PLACE_SHORT_PRIORITY; k++)
			if (w[k].priority < w[i].priority && p[i].cores < want && p[k].cores > 1)
				return "the less important give up first";
	}
	return NULL;
}

/* Those that are new: no core that is free at the end is nearer than one that they have. */
static const char *nearness(const struct topology *t, const struct place_policy *policy, const struct place_wish *w,
			    const struct placement *p, size_t n)
{
	for (size_t c = 0; c < t->nr_cores; c++) {
		int who = owner(t, c, p, n), home;

		if (who < 0 || w[who].node < 0 || !cpus_empty(&w[who].before))
			continue;
		home = w[who].node;
		if (!serves(t, policy, home))
			continue;
		for (size_t k = 1; k < t->nr_cores; k++) {
			int node = t->cores[k].node;

			/* of the node of the one that tool calls have in any case, one may be left */
			if (owner(t, k, p, n) == -1 && serves(t, policy, node) && t->nodes[0].kind == NODE_NEAR && t->cores[0].node == 0 &&
			    far_away(t, home, node) < far_away(t, home, t->cores[c].node))
				return "cores are near the GPU";
		}
	}
	return NULL;
}

static const char *memory(const struct topology *t, const struct place_policy *policy, const struct place_wish *w,
			  const struct placement *p, size_t n)
{
	bool any = false;

	for (int i = 0; i < (int)t->nr_nodes; i++)
		any |= serves(t, policy, i) && t->nodes[i].kind == NODE_NEAR;
	for (size_t i = 0; i < n; i++) {
		uint64_t bytes = 0, all = 0;

		if (cpus_intersect(&p[i].mems, &p[i].far))
			return "far and near are apart";
		if (p[i].cores && cpus_empty(&p[i].mems))
			return "who has cores has memory";
		if (policy->far_none && !cpus_empty(&p[i].far))
			return "nothing is far if the policy says so";
		for (int node = 0; any && node < (int)t->nr_nodes; node++) {
			bool good = serves(t, policy, node) && t->nodes[node].kind == NODE_NEAR;

			if (cpus_has(&p[i].mems, node) && !good)
				return "memory is never far";
			bytes += cpus_has(&p[i].mems, node) ? t->nodes[node].memory : 0;
			all += good ? t->nodes[node].memory : 0;
		}
		if (any && p[i].cores && bytes < min_u64(all, w[i].memory))
			return "memory is enough if it can be";
		if (p[i].cores && p[i].node >= 0 && t->nodes[p[i].node].kind == NODE_NEAR && !cpus_has(&p[i].mems, p[i].node))
			return "memory is at its node";
	}
	return NULL;
}

static const char *judge(const struct topology *t, const struct place_policy *policy, const struct place_wish *w,
			 const struct placement *p, size_t n, int r)
{
	return whole(t, policy, p, n) ?: amounts(t, policy, w, p, n, r) ?: nearness(t, policy, w, p, n) ?: memory(t, policy, w, p, n);
}

static const char *compare(const struct placement *a, const struct placement *b, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (!cpus_equal(&a[i].cpus, &b[i].cpus) || !cpus_equal(&a[i].mems, &b[i].mems) || !cpus_equal(&a[i].far, &b[i].far) ||
		    a[i].node != b[i].node || a[i].cores != b[i].cores)
			return what;
	return NULL;
}

/* Workers come, grow, shrink and go on one machine. */
static const char *one_life(void)
{
	struct place_wish w[WORKERS_MAX] = {};
	struct placement p[WORKERS_MAX], again[WORKERS_MAX];
	struct place_policy policy;
	const char *wrong = NULL;
	struct topology t;
	size_t n = 0;
	int r;

	any_machine(&t);
	any_policy(&policy);
	for (int step = 0; step < 8 && !wrong; step++) {
		if (n < WORKERS_MAX && (n == 0 || below(2))) {
			w[n] = (struct place_wish){};
			any_wish(&w[n++], &t);
		} else if (below(2)) {
			any_wish(&w[below(n)], &t);
		} else {
			memmove(&w[0], &w[1], --n * sizeof(*w));
		}
		r = agentcg_place(&t, &policy, w, p, n);
		wrong = n == 0 ? NULL : judge(&t, &policy, w, p, n, r);
		if (!wrong && (agentcg_place(&t, &policy, w, again, n) != r || compare(p, again, n, "")))
			wrong = "the same gives the same";
		for (size_t i = 0; i < n && !wrong; i++) {
			struct cpus kept = w[i].before;

			cpus_and(&kept, &p[i].cpus);
			if (cores_in(&t, &kept) != min_u64(cores_in(&t, &w[i].before), p[i].cores))
				wrong = "who grows or shrinks keeps what can be kept";
			w[i].before = p[i].cpus;
		}
		if (!wrong && agentcg_place(&t, &policy, w, again, n) == r)
			wrong = compare(p, again, n, "nothing changes while nothing changes");
	}
	agentcg_topology_done(&t);
	return wrong;
}

int main(void)
{
	const char *wrong = NULL;
	unsigned int seed;

	one_worker();
	defaults();
	several();
	far();
	for (seed = 0; seed < 5000 && !wrong; seed++) {
		srand(seed);
		wrong = one_life();
	}
	tap_ok(!wrong, "5000 lives of machines");
	if (wrong)
		printf("# not so: %s (seed %u)\n", wrong, seed - 1);
	return tap_done();
}
