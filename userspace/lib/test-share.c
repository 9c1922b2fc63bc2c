// SPDX-License-Identifier: GPL-2.0-only
#include <math.h>

#include "share.h"
#include "tap.h"

#define ROOT	AGENTCG_SHARE_ROOT

static struct agentcg_share group(int parent, uint32_t weight, double got, double runnable)
{
	return (struct agentcg_share){
		.parent = parent, .weight = weight, .got = got, .runnable = runnable,
		.busy = runnable < 1 ? runnable : 1, .limit = INFINITY,
	};
}

static bool near(double a, double b)
{
	return fabs(a - b) < 0.000001;
}

static void test_flat(void)
{
	struct agentcg_share g[3] = { group(ROOT, 300, 1.2, 3), group(ROOT, 100, 0.8, 3) };

	tap_ok(!agentcg_share_ask(g, 2, 2) && near(g[0].asked, 1.5) && near(g[1].asked, 0.5),
	       "3:1 of two CPUs, whatever they got");
	g[0] = group(ROOT, 300, 1, 1);
	g[1] = group(ROOT, 100, 1, 5);
	tap_ok(!agentcg_share_ask(g, 2, 2) && near(g[0].asked, 1) && near(g[1].asked, 1),
	       "one thread cannot use 1.5 CPUs");
	g[0] = group(ROOT, 100, 0.1, 0.1);
	g[1] = group(ROOT, 100, 1.9, 4);
	g[2] = group(ROOT, 10000, 0, 0);
	tap_ok(!agentcg_share_ask(g, 3, 2) && near(g[0].asked, 0.1) && near(g[1].asked, 1.9) && near(g[2].asked, 0),
	       "sleepers ask for what they use, idle groups for nothing");
	g[0].limit = 0.05;
	tap_ok(!agentcg_share_ask(g, 3, 2) && near(g[0].asked, 0.05), "cpu.max bounds what is asked for");
	g[0] = group(ROOT, 0, 1, 1);
	tap_ok(!agentcg_share_ask(g, 1, 2) && near(g[0].asked, 1), "one thread alone: one CPU of two");
	tap_ok(!agentcg_share_ask(g, 0, 2), "no group at all");
}

/*
 * The machine's root (with a thread of its own that wants half a CPU) has a
 * pool and a service; the pool two sessions, 2:1; the first session two calls, 3:1.
 */
static void test_tree(void)
{
	struct agentcg_share g[] = {
		group(4, 300, 0.5, 2),		/* 0: first call */
		group(4, 100, 0.5, 2),		/* 1: second call */
		group(6, 100, 1, 2),		/* 2: pool */
		group(6, 100, 0.25, 0.25),	/* 3: service */
		group(2, 200, 1, 2),		/* 4: first session */
		group(2, 100, 0, 2),		/* 5: second session */
		group(ROOT, 100, 1.75, 2.75),	/* 6: root: its thread and two groups, one of them a quarter of the time */
	};

	g[6].runnable = 0.5 + 1 + 0.25;
	tap_ok(!agentcg_share_ask(g, ARRAY_SIZE(g), 2), "a tree in any order");
	tap_ok(near(g[6].asked, 2) && near(g[3].asked, 0.25), "the root has all CPUs, the service what it wants");
	tap_ok(near(g[2].asked, 1.25), "the pool what its sessions want and the root's own thread leaves: %g", g[2].asked);
	tap_ok(near(g[4].asked, 1.25 * 2 / 3) && near(g[5].asked, 1.25 / 3), "its sessions 2:1");
	tap_ok(near(g[0].asked, g[4].asked * 3 / 4) && near(g[1].asked, g[4].asked / 4), "... and the calls of one 3:1");
}

static void test_refused(void)
{
	struct agentcg_share g[2] = { group(1, 100, 1, 1), group(0, 100, 1, 1) };

	tap_ok(agentcg_share_ask(g, 2, 2) == -EINVAL, "a circle is no tree");
	g[1] = group(7, 100, 1, 1);
	tap_ok(agentcg_share_ask(g, 2, 2) == -EINVAL, "nor is a parent that is not there");
}

int main(void)
{
	test_flat();
	test_tree();
	test_refused();
	return tap_done();
}
