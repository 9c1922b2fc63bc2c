// SPDX-License-Identifier: GPL-2.0-only
/*
 * A model of the CPU scheduler: CPUs with a tick, a tree of groups, tasks that
 * compute for ever (hogs) or for a while (sleepers), and the rules of
 * bpf/sched.bpf.c over the functions of bpf/fair.h.  What each group gets is
 * compared with the fluid ideal, agentcg_waterfill() at every level.
 *
 * What may be lacking or too much after ten seconds is a slice, with what the
 * tick adds to it, for each CPU and each level, and a thousandth of the share.
 * Everything is drawn from a seed, so each run is the same; a failed check
 * prints a tree that it failed with.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fair.h"
#include "tap.h"

#define MS		1000000ULL
#define TICK		(4 * MS)
#define LENGTH		(11000 * MS)
/* Counted from here on: at the start somebody may be owed AGENTCG_LAG_MAX for what he could not use. */
#define SETTLED		(1000 * MS)
#define NEVER		(~0ULL)
#define MAX_CPUS	8
#define MAX_GROUPS	48
#define MAX_CHILDREN	12
#define MAX_TASKS	512
#define NONE		(-1)

struct group {
	int parent, nr_children, child[MAX_CHILDREN], level;
	uint32_t weight, inverse, class;
	uint64_t vtime, clock, task_clock;
	int nr_runnable, nr_waiting;
	uint64_t usage;
	double demand, share, ideal;	/* CPUs, CPUs, ns */
};

enum state { SLEEPING, WAITING, RUNNING, GONE };

struct task {
	int group;
	enum state state;
	uint64_t vtime;
	uint64_t run, period;		/* a sleeper; 0: a hog */
	uint64_t left;			/* what a sleeper has still to do */
	uint64_t nap;			/* sleeps so long after that, not until the period ends */
	uint64_t start, end;
	uint64_t wake;
	uint64_t fast;			/* since when it waits to be served first; 0: it does not */
};

struct cpu {
	int task;
	uint64_t charged, picked, tick, slice;
	int64_t advance;		/* charged and not yet used */
	bool fast;
};

static struct group groups[MAX_GROUPS];
static struct task tasks[MAX_TASKS];
static struct cpu cpus[MAX_CPUS];
static int nr_groups, nr_tasks, nr_cpus;
/* A virtual CPU that its host makes wait gets its ticks late: up to so many periods. */
static unsigned int tick_periods;
static uint64_t now, counted_from;

static uint64_t seed = 1;

static uint64_t between(uint64_t least, uint64_t most)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return least + (seed * 2685821657736338717ULL >> 16) % (most - least + 1);
}

/* ---- the scheduler -------------------------------------------------------- */

/* On the scale of the parent; the root, which has none, is not charged. */
static void charge_vtime(int i, int64_t service)
{
	struct group *g;

	for (; i; i = g->parent) {
		g = &groups[i];
		if (service < 0) {
			g->vtime -= agentcg_vtime(-service, g->inverse);
			continue;
		}
		g->vtime += agentcg_vtime(service, g->inverse);
		if (!g->nr_waiting)
			g->vtime = agentcg_join(g->vtime, groups[g->parent].clock, g->inverse, AGENTCG_LAG_MAX);
	}
}

static void count_waiting(int i, int add)
{
	for (; i >= 0; i = groups[i].parent)
		groups[i].nr_waiting += add;
}

static void activate(int i)
{
	struct group *g;

	for (; i >= 0; i = g->parent) {
		g = &groups[i];
		if (g->nr_runnable++ || !i)
			break;
		g->vtime = agentcg_join(g->vtime, groups[g->parent].clock, g->inverse, AGENTCG_LAG_KEEP);
	}
}

static void deactivate(int i)
{
	for (; i >= 0 && !--groups[i].nr_runnable; i = groups[i].parent)
		;
}

static void charge(struct cpu *c)
{
	struct task *t = &tasks[c->task];
	uint64_t service = now - c->charged;
	int i;

	c->charged = now;
	t->vtime += service;
	if (t->period)
		t->left -= service;
	for (i = t->group; i >= 0; i = groups[i].parent)
		groups[i].usage += service;
	c->advance -= service;
	if (c->advance < 0) {
		charge_vtime(t->group, -c->advance);
		c->advance = 0;
	}
}

/* What was charged in advance and not used is given back before anybody compares. */
static void refund(struct cpu *c, int group)
{
	charge_vtime(group, -c->advance);
	c->advance = 0;
}

/* The child of @parent whose turn it is; @mine is the branch of who has just run, which keeps @bonus. */
static int turn_of_child(int parent, int mine, uint64_t bonus)
{
	uint64_t key, least_key = 0, least = 0;
	struct group *p = &groups[parent], *g;
	int i, k, child = NONE;

	for (i = 0; i < p->nr_children; i++) {
		k = p->child[i];
		g = &groups[k];
		if (!g->nr_waiting && k != mine)
			continue;
		key = g->vtime - (k == mine ? agentcg_vtime(bonus, g->inverse) : 0);
		if (child == NONE || agentcg_before(g->vtime, least))
			least = g->vtime;
		if (child == NONE || agentcg_before(key, least_key) || (key == least_key && k == mine)) {
			least_key = key;
			child = k;
		}
	}
	if (child != NONE)
		p->clock = agentcg_later(p->clock, least);
	return child;
}

static int turn_of_task(int group, int prev)
{
	int i, best = prev;

	for (i = 0; i < nr_tasks; i++)
		if (tasks[i].group == group && tasks[i].state == WAITING && !tasks[i].fast &&
		    (best == NONE || agentcg_before(tasks[i].vtime, tasks[best].vtime)))
			best = i;
	return best;
}

static int first_in_fast(void)
{
	int i, best = NONE;

	for (i = 0; i < nr_tasks; i++)
		if (tasks[i].fast && (best == NONE || tasks[i].fast < tasks[best].fast))
			best = i;
	return best;
}

static int whose_turn(int prev)
{
	/* By parent: the child on the path of @prev, and what it may be ahead. */
	int path[MAX_GROUPS], i, at = 0;
	uint64_t bonus[MAX_GROUPS] = {}, keep = 0;

	for (i = 0; i < nr_groups; i++)
		path[i] = NONE;
	for (i = prev == NONE ? 0 : tasks[prev].group; i; i = groups[i].parent) {
		path[groups[i].parent] = i;
		bonus[groups[i].parent] = keep;
		if (agentcg_before(groups[i].vtime, groups[groups[i].parent].clock))
			keep = AGENTCG_OWED;
	}
	while (groups[at].nr_children) {
		at = turn_of_child(at, path[at], bonus[at]);
		if (at == NONE)
			return NONE;
	}
	return turn_of_task(at, prev != NONE && tasks[prev].group == at ? prev : NONE);
}

static void leave_queue(struct task *t)
{
	if (!t->fast)
		count_waiting(t->group, -1);
	t->fast = 0;
}

static void dispatch(struct cpu *c, int prev)
{
	int next = first_in_fast();
	struct task *t;

	if (prev != NONE)
		refund(c, tasks[prev].group);
	c->fast = next != NONE;
	if (!c->fast)
		next = whose_turn(prev);
	c->task = next;
	c->charged = now;
	c->picked = now;
	if (next == NONE)
		return;
	t = &tasks[next];
	if (next != prev) {
		leave_queue(t);
		t->state = RUNNING;
		if (prev != NONE) {
			tasks[prev].state = WAITING;
			count_waiting(tasks[prev].group, 1);
		}
	}
	groups[t->group].task_clock = agentcg_later(groups[t->group].task_clock, t->vtime);
	c->slice = c->fast ? AGENTCG_SLICE_FAST : AGENTCG_SLICE;
	c->advance = AGENTCG_ADVANCE;
	charge_vtime(t->group, c->advance);
}

static bool may_be_fast(int i)
{
	uint64_t burst = agentcg_burst(groups[i].class);

	if (!burst)
		return false;
	for (; i; i = groups[i].parent)
		if (!agentcg_may_lead(groups[i].vtime, groups[groups[i].parent].clock, groups[i].inverse, burst))
			return false;
	return true;
}

static void wake_up(struct task *t)
{
	struct group *g = &groups[t->group];
	int i;

	t->state = WAITING;
	activate(t->group);
	t->vtime = agentcg_later(t->vtime, g->task_clock - AGENTCG_SLICE);
	if (may_be_fast(t->group))
		t->fast = now + 1;
	else
		count_waiting(t->group, 1);
	for (i = 0; i < nr_cpus; i++)
		if (cpus[i].task == NONE)
			return dispatch(&cpus[i], NONE);
	for (i = 0; i < nr_cpus && t->fast; i++)
		if (!cpus[i].fast) {
			charge(&cpus[i]);
			return dispatch(&cpus[i], cpus[i].task);
		}
}

static void stop(struct cpu *c, enum state state)
{
	struct task *t = &tasks[c->task];

	charge(c);
	refund(c, t->group);
	t->state = state;
	deactivate(t->group);
	dispatch(c, NONE);
}

/* ---- time ------------------------------------------------------------------ */

static uint64_t next_event(void)
{
	uint64_t next = now < counted_from ? counted_from : LENGTH, done;
	int i;

	for (i = 0; i < nr_cpus; i++) {
		if (cpus[i].task == NONE)
			continue;
		done = tasks[cpus[i].task].period ? cpus[i].charged + tasks[cpus[i].task].left : NEVER;
		if (cpus[i].tick < next)
			next = cpus[i].tick;
		if (done < next)
			next = done;
	}
	for (i = 0; i < nr_tasks; i++) {
		if (tasks[i].wake < next)
			next = tasks[i].wake;
		if (tasks[i].end < next && tasks[i].state != GONE)
			next = tasks[i].end;
	}
	return next;
}

static void leave(int i)
{
	struct task *t = &tasks[i];
	int k;

	t->wake = NEVER;
	if (t->state == WAITING) {
		leave_queue(t);
		deactivate(t->group);
	}
	for (k = 0; k < nr_cpus; k++)
		if (cpus[k].task == i)
			stop(&cpus[k], GONE);
	t->state = GONE;
}

static void tasks_come_and_go(void)
{
	struct task *t;
	int i;

	for (i = 0; i < nr_tasks; i++) {
		t = &tasks[i];
		if (t->end <= now && t->state != GONE)
			leave(i);
		if (t->wake > now)
			continue;
		t->left += t->run;
		t->wake = t->period && !t->nap ? t->wake + t->period : NEVER;
		if (t->state == SLEEPING)
			wake_up(t);
	}
}

static void cpus_go_on(void)
{
	struct cpu *c;
	struct task *t;

	for (c = cpus; c < cpus + nr_cpus; c++) {
		t = &tasks[c->task];
		if (c->task != NONE && t->period && c->charged + t->left <= now) {
			stop(c, SLEEPING);
			if (t->nap)
				t->wake = now + t->nap;
		}
		if (c->tick > now)
			continue;
		while (c->tick <= now)
			c->tick += TICK * between(1, tick_periods);
		if (c->task == NONE)
			continue;
		charge(c);
		if (now - c->picked >= c->slice)
			dispatch(c, c->task);
	}
}

/* ---- the fluid ideal --------------------------------------------------------- */

static double find_demand(int i)
{
	struct group *g = &groups[i];
	double sum = 0;
	int k;

	for (k = 0; k < g->nr_children; k++)
		sum += find_demand(g->child[k]);
	for (k = 0; k < nr_tasks; k++)
		if (tasks[k].group == i && tasks[k].start <= now && now < tasks[k].end)
			sum += tasks[k].period ? (double)tasks[k].run / tasks[k].period : 1;
	g->demand = fmin(sum, nr_cpus);
	return g->demand;
}

static void share_out(int i, double share)
{
	double weight[MAX_CHILDREN], demand[MAX_CHILDREN], part[MAX_CHILDREN];
	struct group *g = &groups[i];
	int k;

	g->share = share;
	for (k = 0; k < g->nr_children; k++) {
		weight[k] = groups[g->child[k]].weight;
		demand[k] = groups[g->child[k]].demand;
	}
	agentcg_waterfill(weight, demand, part, g->nr_children, share);
	for (k = 0; k < g->nr_children; k++)
		share_out(g->child[k], part[k]);
}

static bool somebody_changes(void)
{
	int i;

	for (i = 0; i < nr_tasks; i++)
		if (tasks[i].start == now || tasks[i].end == now)
			return true;
	return false;
}

static void begin_to_count(void)
{
	int i;

	for (i = 0; i < nr_cpus; i++)
		if (cpus[i].task != NONE)
			charge(&cpus[i]);
	for (i = 0; i < nr_groups; i++) {
		groups[i].usage = 0;
		groups[i].ideal = 0;
	}
}

static void run(void)
{
	uint64_t before = 0;
	int i;

	share_out(0, find_demand(0));
	while (now < LENGTH) {
		now = next_event();
		if (now == LENGTH || now == counted_from || somebody_changes()) {
			for (i = 0; i < nr_groups; i++)
				groups[i].ideal += groups[i].share * (now - before);
			before = now;
			share_out(0, find_demand(0));
		}
		if (now == counted_from)
			begin_to_count();
		tasks_come_and_go();
		cpus_go_on();
	}
	for (i = 0; i < nr_cpus; i++)
		if (cpus[i].task != NONE)
			charge(&cpus[i]);
}

/* ---- the trees ---------------------------------------------------------------- */

static void machine(int n, bool aligned)
{
	int i;

	memset(groups, 0, sizeof(groups));
	memset(tasks, 0, sizeof(tasks));
	memset(cpus, 0, sizeof(cpus));
	nr_cpus = n;
	nr_groups = 1;
	nr_tasks = 0;
	now = 0;
	counted_from = SETTLED;
	tick_periods = 1;
	groups[0].parent = NONE;
	for (i = 0; i < n; i++) {
		cpus[i].task = NONE;
		cpus[i].tick = aligned ? TICK : TICK * (i + 1) / n;
	}
}

static int group(int parent, uint32_t weight)
{
	struct group *g = &groups[nr_groups], *p = &groups[parent];

	g->parent = parent;
	g->level = p->level + 1;
	g->weight = weight;
	g->inverse = agentcg_inverse(weight);
	g->class = AGENTCG_CLASS_BATCH;
	p->child[p->nr_children++] = nr_groups;
	return nr_groups++;
}

static struct task *task(int group, uint64_t run, uint64_t period)
{
	struct task *t = &tasks[nr_tasks++];

	t->group = group;
	t->run = run;
	t->period = period;
	t->start = between(0, 4000) * 1000;
	t->wake = t->start;
	t->end = NEVER;
	return t;
}

static void hogs(int group, int n)
{
	while (n--)
		task(group, 0, 0);
}

static int group_of_hogs(int parent, uint32_t weight, int n)
{
	int g = group(parent, weight);

	hogs(g, n);
	return g;
}

/* By how much, in ns, the worst group misses its share beyond what is allowed. */
static double excess(void)
{
	double worst = -1e18, error, allowed;
	struct group *g;

	for (g = groups + 1; g < groups + nr_groups; g++) {
		error = fabs((double)g->usage - g->ideal);
		allowed = (double)(AGENTCG_SLICE + TICK) * (nr_cpus + g->level) + 0.001 * g->ideal;
		worst = fmax(worst, error - allowed);
	}
	return worst;
}

/* The greatest part of a CPU that a group has too much or too little. */
static double misses(void)
{
	double worst = 0;
	struct group *g;

	for (g = groups + 1; g < groups + nr_groups; g++)
		worst = fmax(worst, fabs((double)g->usage - g->ideal) / (LENGTH - counted_from));
	return worst;
}

static void print_tree(void)
{
	int i;

	for (i = 1; i < nr_groups; i++)
		printf("# group %d in %d, weight %u, wants %.2f: %.1f ms, ideal %.1f ms\n", i, groups[i].parent,
		       groups[i].weight, groups[i].demand, groups[i].usage / 1e6, groups[i].ideal / 1e6);
}

static void expect_ideal(const char *what)
{
	run();
	if (!tap_ok(excess() <= 0, "%s: off by %.2f %% of a CPU", what, misses() * 100))
		print_tree();
}

/* ---- what the issue measures ---------------------------------------------------- */

static void test_flat(void)
{
	int i;

	machine(2, true);
	group_of_hogs(0, 300, 3);
	group_of_hogs(0, 100, 3);
	expect_ideal("3:1, three hogs each");

	machine(2, true);
	group_of_hogs(0, 300, 2);
	group_of_hogs(0, 100, 2);
	expect_ideal("3:1, two hogs each");

	machine(2, true);
	group_of_hogs(0, 300, 1);
	group_of_hogs(0, 100, 5);
	expect_ideal("3:1, one hog against five");

	machine(4, false);
	for (i = 1; i <= 8; i++)
		group_of_hogs(0, 100 * i, 4);
	expect_ideal("weights 1 to 8 on 4 CPUs");
}

static void test_nested(void)
{
	int i, g;

	machine(2, false);
	for (i = 2; i >= 1; i--) {
		g = group(0, 100 * i);
		group_of_hogs(g, 300, 2);
		group_of_hogs(g, 100, 2);
	}
	expect_ideal("2:1, in each 3:1");

	/* One thread that may use three quarters of its session's CPU. */
	machine(2, false);
	g = group(0, 100);
	group_of_hogs(g, 300, 1);
	group_of_hogs(g, 100, 1);
	group_of_hogs(0, 100, 2);
	expect_ideal("in one of two halves 3:1, a hog each");

	/* A session's two CPUs: one for a single thread, one for a parallel job. */
	machine(4, true);
	g = group(0, 100);
	group_of_hogs(g, 100, 1);
	group_of_hogs(g, 100, 5);
	group_of_hogs(0, 100, 8);
	expect_ideal("in one of two halves one hog against five");

	machine(4, false);
	tick_periods = 3;
	g = group(0, 100);
	group_of_hogs(g, 100, 1);
	group_of_hogs(g, 100, 5);
	group_of_hogs(0, 100, 8);
	expect_ideal("the same with ticks up to 8 ms late");
}

static void test_sleepers(void)
{
	int i, k, g;

	machine(2, false);
	for (i = 0; i < 2; i++) {
		g = group_of_hogs(0, i ? 100 : 300, 2);
		for (k = 0; k < 4; k++)
			task(g, MS, 6 * MS);
	}
	expect_ideal("3:1, hogs and sleepers");

	/* 0.2 of a CPU is less than its share: it gets all that it wants. */
	machine(2, false);
	group_of_hogs(0, 100, 4);
	g = group(0, 100);
	task(g, MS, 10 * MS);
	task(g, 2 * MS, 20 * MS);
	expect_ideal("sleepers against hogs");
}

/* A hog that is declared interactive, and sleeps just enough to wake up often. */
static void test_liar(void)
{
	struct group *liar;
	double gained;
	int i;

	machine(2, false);
	counted_from = 0;
	group_of_hogs(0, 100, 4);
	liar = &groups[group(0, 100)];
	liar->class = AGENTCG_CLASS_INTERACTIVE;
	for (i = 0; i < 4; i++)
		task(2, MS, MS)->nap = 50 * 1000;
	run();
	gained = liar->usage - liar->ideal;
	tap_ok(gained <= AGENTCG_BURST_INTERACTIVE + (AGENTCG_SLICE + TICK) * 2,
	       "an interactive hog gains its burst, no more: %.0f ms", gained / MS);
	tap_ok(gained >= 0, "and loses nothing by it");
}

/* ---- any trees -------------------------------------------------------------------- */

/* What is drawn: bits. */
#define FEW		1	/* hogs, so that weights are infeasible */
#define EQUAL		2	/* weights */
#define NESTED		4
#define SLEEPERS	8
#define CHANGES		16	/* hogs come and go */

static void draw_leaf(int g, int kind)
{
	struct task *t;
	int n;

	hogs(g, kind & FEW ? between(1, nr_cpus + 1) : (uint64_t)nr_cpus);
	for (n = kind & SLEEPERS ? between(0, 3) : 0; n; n--)
		task(g, between(100, 2000) * 1000, between(8, 30) * MS);
	for (n = kind & CHANGES ? between(0, 2) : 0; n; n--) {
		t = task(g, 0, 0);
		t->start = between(0, 6000) * MS;
		t->wake = t->start;
		t->end = t->start + between(1, 5000) * MS;
	}
}

static void draw_children(int parent, int kind)
{
	int n = between(1, 4), g;

	for (; n && nr_groups < MAX_GROUPS && nr_tasks < MAX_TASKS / 2; n--) {
		g = group(parent, kind & EQUAL ? 100 : between(0, 1) ? between(1, 10000) : 100 * between(1, 10));
		if (kind & NESTED && groups[g].level < 3 && between(0, 1))
			draw_children(g, kind);
		if (!groups[g].nr_children)
			draw_leaf(g, kind);
	}
}

static void draw(uint64_t number, int kind)
{
	seed = number * 0x9e3779b97f4a7c15ULL;
	machine(between(1, between(0, 3) ? 4 : MAX_CPUS), between(0, 1));
	draw_children(0, kind);
	run();
}

/* @tolerated: trees of a thousand that may be further off. */
static void test_trees(const char *what, int kind, int n, int tolerated)
{
	int i, bad = 0, last = 0;
	double worst = 0;

	for (i = 1; i <= n; i++) {
		draw(i, kind);
		worst = fmax(worst, misses());
		if (excess() <= 0)
			continue;
		bad++;
		last = i;
	}
	if (tap_ok(bad * 1000 <= tolerated * n, "%d trees, %s: %d too far off, the worst by %.2f %% of a CPU", n, what,
		   bad, worst * 100))
		return;
	draw(last, kind);
	printf("# tree %d, kind %d, %d CPUs\n", last, kind, nr_cpus);
	print_tree();
}

int main(void)
{
	test_flat();
	test_nested();
	test_sleepers();
	test_liar();
	test_trees("hogs enough", NESTED, 400, 0);
	test_trees("hogs enough, coming and going", NESTED | CHANGES, 400, 0);
	/* Now and then nothing of a group waits, and it is owed up to AGENTCG_LAG_MAX afterwards. */
	test_trees("hogs enough, and sleepers", NESTED | SLEEPERS, 200, 5);
	test_trees("few hogs on one level", FEW, 400, 0);
	test_trees("few hogs, equal weights", NESTED | FEW | EQUAL, 400, 0);
	/* Weights of 1 to 10000 below each other ask for what no order of slices can give. */
	test_trees("few hogs, any weights", NESTED | FEW, 400, 20);
	return tap_done();
}
