// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading, 100 times, under load and with tasks held.
 *
 *	agentcg-test/pool		policy attached here, while loaded
 *	agentcg-test/pool/call		four threads that keep allocating
 *	agentcg-test/pool/held		two threads that are held at each unload
 *
 * The module is not loaded when this starts; AGENTCG_KO names it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "policy.h"
#include "kselftest_harness.h"

#define CYCLES	100

static int load(void)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "insmod %s", getenv("AGENTCG_KO") ?: "agentcg.ko");
	return system(cmd);
}

/* BPF drops its last references some RCU grace periods after the policy went. */
static int unload(void)
{
	int i, users = 1;
	FILE *f;

	for (i = 0; i < 500 && users; i++) {
		sleep_ms(10);
		f = fopen("/sys/module/agentcg/refcnt", "re");
		if (f) {
			if (fscanf(f, "%d", &users) != 1)
				users = 1;
			fclose(f);
		}
	}
	return system("rmmod agentcg");
}

static int one_in(const char *path, const char *what)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "grep -q '%s' %s", what, path);
	return !system(cmd);
}

FIXTURE(unload) {
	struct group pool, call, held;
	struct eater busy, stuck;
};

FIXTURE_SETUP(unload)
{
	if (!access("/sys/module/agentcg", F_OK))
		ASSERT_EQ(0, unload());
	ASSERT_EQ(0, group_make(&self->pool, "pool"));
	ASSERT_EQ(0, group_make(&self->call, "pool/call"));
	ASSERT_EQ(0, group_make(&self->held, "pool/held"));
}

FIXTURE_TEARDOWN(unload)
{
	eater_stop(&self->busy);
	eater_stop(&self->stuck);
	group_remove(&self->call);
	group_remove(&self->held);
	group_remove(&self->pool);
	if (access("/sys/module/agentcg", F_OK))
		load();
}

/* One life of the module; leaves eater "stuck" held until the policy goes. */
static void cycle(struct __test_metadata *_metadata, FIXTURE_DATA(unload) *self, int i)
{
	struct policy policy;

	ASSERT_EQ(0, load());
	ASSERT_EQ(0, policy_attach(&policy, &self->pool, i & 1));
	ASSERT_EQ(0, policy_add(&policy, &self->call));
	ASSERT_EQ(0, policy_add(&policy, &self->held));
	policy.knobs->step_pages = 1;
	policy.knobs->delay_ms = i % 3 ? 60000 : 0;
	policy_gate(&policy, &self->call, 0);
	policy_gate(&policy, &self->held, 0);
	self->busy.shared->want += 512;
	self->stuck.shared->want += 256;
	sleep_ms(i % 7);
	ASSERT_NE(0, system("rmmod agentcg 2>/dev/null"));
	policy_detach(&policy);
	ASSERT_EQ(0, unload());
}

TEST_F_TIMEOUT(unload, a_hundred_times_under_load, 800)
{
	int i;

	ASSERT_EQ(0, eater_start(&self->busy, &self->call, 4, false));
	ASSERT_EQ(0, eater_start(&self->stuck, &self->held, 2, false));
	for (i = 0; i < CYCLES; i++)
		cycle(_metadata, self, i);
	/* Nobody is stuck and nothing is left. */
	EXPECT_TRUE(eater_done(&self->busy, 30000));
	EXPECT_TRUE(eater_done(&self->stuck, 30000));
	EXPECT_EQ(INT64_MAX, group_read(&self->call, "memory.high", NULL));
	EXPECT_EQ(INT64_MAX, group_read(&self->held, "memory.high", NULL));
	EXPECT_FALSE(one_in("/proc/slabinfo", "agentcg"));
	EXPECT_FALSE(one_in("/proc/modules", "^agentcg "));
}

TEST_F(unload, with_tasks_held)
{
	struct policy policy;

	ASSERT_EQ(0, load());
	ASSERT_EQ(0, policy_attach(&policy, &self->pool, 0));
	ASSERT_EQ(0, policy_add(&policy, &self->held));
	ASSERT_EQ(0, eater_start(&self->stuck, &self->held, 8, false));
	policy.knobs->delay_ms = 60000;
	ASSERT_EQ(0, policy_gate(&policy, &self->held, 0));
	eater_want(&self->stuck, 4096);
	sleep_ms(300);
	EXPECT_FALSE(eater_done(&self->stuck, 0));
	policy_detach(&policy);
	ASSERT_EQ(0, unload());
	EXPECT_TRUE(eater_done(&self->stuck, 30000));
}

TEST_F(unload, leaves_no_dying_cgroup_behind)
{
	struct policy policy;
	struct group g;
	int i;

	ASSERT_EQ(0, load());
	ASSERT_EQ(0, policy_attach(&policy, &self->pool, 0));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, group_make(&g, "pool/short"));
		ASSERT_EQ(0, policy_add(&policy, &g));
		group_remove(&g);
	}
	policy_detach(&policy);
	ASSERT_EQ(0, unload());
	for (i = 0; i < 100 && group_read(&self->pool, "cgroup.stat", "nr_dying_descendants"); i++)
		sleep_ms(50);
	EXPECT_EQ(0, group_read(&self->pool, "cgroup.stat", "nr_dying_descendants"));
}

TEST_HARNESS_MAIN
