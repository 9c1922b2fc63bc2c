// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policies and gates: who decides for whom, whose memory.high is in force, what
 * reclaim may take.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy.h"
#include "kselftest_harness.h"

FIXTURE(policy) {
	struct group pool, session, call;
	struct policy outer, inner;
	struct eater eater;
};

/*
 * The kernel itself throttles by how far a group is over memory.high, so this
 * goes a little over a lot.
 */
#define MUCH	8192
#define A_BIT	(2 * BATCH_PAGES)

FIXTURE_SETUP(policy)
{
	ASSERT_EQ(0, group_make(&self->pool, "pool"));
	ASSERT_EQ(0, group_make(&self->session, "pool/session"));
	ASSERT_EQ(0, group_make(&self->call, "pool/session/call"));
	ASSERT_EQ(0, policy_attach(&self->outer, &self->pool, 0));
	ASSERT_EQ(0, policy_add(&self->outer, &self->call));
}

FIXTURE_TEARDOWN(policy)
{
	policy_detach(&self->inner);
	policy_detach(&self->outer);
	eater_stop(&self->eater);
	group_remove(&self->call);
	group_remove(&self->session);
	group_remove(&self->pool);
}

TEST_F(policy, the_nearest_ancestor_decides)
{
	ASSERT_EQ(0, policy_attach(&self->inner, &self->session, 0));
	ASSERT_EQ(0, eater_start(&self->eater, &self->call, 1, false));
	eater_want(&self->eater, MUCH);
	ASSERT_TRUE(eater_done(&self->eater, 20000));
	ASSERT_EQ(0, policy_gate(&self->outer, &self->call, 0));
	eater_want(&self->eater, MUCH + A_BIT);
	ASSERT_TRUE(eater_done(&self->eater, 20000));
	EXPECT_LT(0, self->inner.knobs->asked);
	EXPECT_EQ(0, self->outer.knobs->asked);

	/* Once it is gone, the next one does. */
	policy_detach(&self->inner);
	eater_want(&self->eater, MUCH + 2 * A_BIT);
	ASSERT_TRUE(eater_done(&self->eater, 20000));
	EXPECT_LT(0, self->outer.knobs->asked);
}

TEST_F(policy, nobody_decides_outside_of_the_subtree)
{
	struct group other;

	ASSERT_EQ(0, group_make(&other, "other"));
	ASSERT_EQ(0, policy_add(&self->outer, &other));
	ASSERT_EQ(0, eater_start(&self->eater, &other, 1, false));
	eater_want(&self->eater, MUCH);
	ASSERT_TRUE(eater_done(&self->eater, 20000));
	self->outer.knobs->delay_ms = 60000;
	ASSERT_EQ(0, policy_gate(&self->outer, &other, 0));
	eater_want(&self->eater, MUCH + A_BIT);
	EXPECT_TRUE(eater_done(&self->eater, 20000));
	EXPECT_EQ(0, self->outer.knobs->asked);
	eater_stop(&self->eater);
	group_remove(&other);
}

TEST_F(policy, attaching_twice_is_refused)
{
	EXPECT_EQ(-EEXIST, policy_attach(&self->inner, &self->pool, 0));
}

TEST_F(policy, attaching_to_nothing_is_refused)
{
	struct group none = { .path = "", .id = 0x7fffffff };

	EXPECT_EQ(-ENOENT, policy_attach(&self->inner, &none, 0));
	none.id = 0;
	EXPECT_EQ(-EINVAL, policy_attach(&self->inner, &none, 0));
	EXPECT_EQ(-EINVAL, policy_attach(&self->inner, &self->session, 1U << 31));
}

TEST_F(policy, a_group_is_added_once_and_goes_with_its_cgroup)
{
	struct group g;

	ASSERT_EQ(0, group_make(&g, "pool/short"));
	EXPECT_EQ(-ENOENT, policy_usage(&self->outer, &g));
	EXPECT_EQ(-ENOENT, policy_gate(&self->outer, &g, 0));
	EXPECT_EQ(-ENOENT, policy_release(&self->outer, &g));
	EXPECT_EQ(0, policy_add(&self->outer, &g));
	EXPECT_EQ(0, policy_add(&self->outer, &g));
	EXPECT_LE(0, policy_usage(&self->outer, &g));
	group_remove(&g);
	EXPECT_EQ(-ENOENT, policy_usage(&self->outer, &g));
	EXPECT_EQ(-ENOENT, policy_add(&self->outer, &g));
}

TEST_F(policy, usage_is_the_kernels)
{
	ASSERT_EQ(0, eater_start(&self->eater, &self->call, 1, false));
	eater_want(&self->eater, 4096);
	ASSERT_TRUE(eater_done(&self->eater, 20000));
	EXPECT_EQ(group_usage(&self->call), policy_usage(&self->outer, &self->call));
}

TEST_F(policy, the_owners_memory_high_is_kept)
{
	ASSERT_EQ(0, group_write(&self->call, "memory.high", "64M"));
	ASSERT_EQ(0, policy_gate(&self->outer, &self->call, 32 * MIB));
	EXPECT_EQ(32 * MIB, group_read(&self->call, "memory.high", NULL));
	/* The lower one is in force. */
	ASSERT_EQ(0, policy_gate(&self->outer, &self->call, 128 * MIB));
	EXPECT_EQ(64 * MIB, group_read(&self->call, "memory.high", NULL));
	/* What the owner writes meanwhile counts, too. */
	ASSERT_EQ(0, policy_gate(&self->outer, &self->call, 16 * MIB));
	ASSERT_EQ(0, group_write(&self->call, "memory.high", "48M"));
	ASSERT_EQ(0, policy_gate(&self->outer, &self->call, 16 * MIB));
	ASSERT_EQ(0, policy_gate(&self->outer, &self->call, AGENTCG_GATE_OPEN));
	EXPECT_EQ(48 * MIB, group_read(&self->call, "memory.high", NULL));
}

TEST_F(policy, a_moving_gate_asks_once_a_step)
{
	long pages = 16384, asked;

	ASSERT_EQ(0, eater_start(&self->eater, &self->call, 1, false));
	self->outer.knobs->step_pages = 1024;
	ASSERT_EQ(0, policy_gate(&self->outer, &self->call, 0));
	eater_want(&self->eater, pages);
	ASSERT_TRUE(eater_done(&self->eater, 30000));
	asked = self->outer.knobs->asked;
	EXPECT_LE(pages / 1024 - 2, asked);
	EXPECT_GE(pages / 1024 + 2, asked);
	/* The kernel itself neither reclaimed nor throttled. */
	EXPECT_EQ(0, group_read(&self->call, "memory.events.local", "high"));
}

/* Fills @g's page cache from a file on a disk file system; bytes cached. */
static long fill_cache(const struct group *g, const char *name)
{
	char cmd[600];

	snprintf(cmd, sizeof(cmd),
		 "echo $$ > %s/cgroup.procs && dd if=/dev/zero of=/scratch/%s bs=1M count=32 conv=fsync 2>/dev/null && exec cat /scratch/%s > /dev/null",
		 g->path, name, name);
	if (system(cmd))
		return -1;
	return group_read(g, "memory.stat", "file");
}

static long reclaim_beside(struct __test_metadata *_metadata, FIXTURE_DATA(policy) *self)
{
	struct group other;
	long left;

	ASSERT_EQ(0, group_make(&other, "pool/session/other"));
	ASSERT_LT(16 * MIB, fill_cache(&self->call, "a"));
	ASSERT_LT(16 * MIB, fill_cache(&other, "b"));
	group_write(&self->pool, "memory.reclaim", "24M");
	left = group_read(&self->call, "memory.stat", "file");
	EXPECT_GT(24 * MIB, group_read(&other, "memory.stat", "file"));
	group_remove(&other);
	unlink("/scratch/a");
	unlink("/scratch/b");
	return left;
}

TEST_F(policy, below_low_protects_from_reclaim)
{
	self->outer.knobs->protected_id = self->call.id;
	self->outer.knobs->low = 1;
	EXPECT_LT(30 * MIB, reclaim_beside(_metadata, self));
}

TEST_F(policy, below_min_protects_from_reclaim)
{
	self->outer.knobs->protected_id = self->call.id;
	self->outer.knobs->min = 1;
	EXPECT_LT(30 * MIB, reclaim_beside(_metadata, self));
}

TEST_F(policy, without_protection_reclaim_takes)
{
	EXPECT_GT(30 * MIB, reclaim_beside(_metadata, self));
}

TEST_F(policy, the_module_stays_while_a_policy_is_attached)
{
	EXPECT_NE(0, system("rmmod agentcg 2>/dev/null"));
	EXPECT_EQ(0, access("/sys/module/agentcg/stats/abi", R_OK));
}

TEST_HARNESS_MAIN
