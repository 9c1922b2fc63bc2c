// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpu.max and cpu.idle, in groups below agentcg-test:
 *
 *	p	the limit in most tests
 *	p/a	hogs
 *	p/b	hogs
 *	other	2 hogs, who get what is left
 */
#include <stdio.h>
#include <sys/sysinfo.h>

#include "harness.h"

#define SETTLE_MS	500
#define WINDOW_MS	3000

enum { P, A, B, OTHER, NR_GROUPS };

FIXTURE(limits) {
	struct group groups[NR_GROUPS];
	double cpus[NR_GROUPS];
	struct worker worker;
};

FIXTURE_SETUP(limits)
{
	static const char * const names[] = { "p", "p/a", "p/b", "other" };
	int i;

	if (get_nprocs() != 2)
		SKIP(return, "the numbers are for two CPUs");
	ASSERT_TRUE(sched_ready());
	for (i = 0; i < NR_GROUPS; i++)
		ASSERT_EQ(0, group_make(&self->groups[i], names[i]));
}

FIXTURE_TEARDOWN(limits)
{
	int i;

	worker_stop(&self->worker);
	for (i = NR_GROUPS - 1; i >= 0; i--)
		group_remove(&self->groups[i]);
	EXPECT_TRUE(sched_running());
}

static int limit(const struct group *g, long quota_us, long period_us)
{
	char text[64];

	snprintf(text, sizeof(text), "%ld %ld", quota_us, period_us);
	return group_write(g, "cpu.max", text);
}

static void watch(FIXTURE_DATA(limits) *self, long ms)
{
	sleep_ms(SETTLE_MS);
	measure(self->groups, self->cpus, NR_GROUPS, ms);
}

/* a: 50 ms in 100 ms for three hogs, half a CPU; the others have the rest */
TEST_F(limits, cpu_max_is_kept)
{
	ASSERT_EQ(0, limit(&self->groups[A], 50000, 100000));
	ASSERT_EQ(0, hogs_start(&self->groups[A], 3));
	ASSERT_EQ(0, hogs_start(&self->groups[OTHER], 2));
	watch(self, WINDOW_MS);
	EXPECT_NEAR(0.5, self->cpus[A], 5, "limited");
	EXPECT_NEAR(1.5, self->cpus[OTHER], 12, "the rest");
	EXPECT_LT(0, sched_node(&sched, &self->groups[A])->nr_throttled);
}

/* The same with nobody else: CPUs idle rather than run it. */
TEST_F(limits, cpu_max_is_kept_on_an_idle_machine)
{
	ASSERT_EQ(0, limit(&self->groups[A], 5000, 20000));
	ASSERT_EQ(0, hogs_start(&self->groups[A], 3));
	watch(self, WINDOW_MS);
	EXPECT_NEAR(0.25, self->cpus[A], 6, "limited");
}

/* p may use 0.8 CPUs, of which a (300) has 0.6 and b (100) 0.2 */
TEST_F(limits, cpu_max_of_an_inner_group_is_shared_by_weight)
{
	ASSERT_EQ(0, limit(&self->groups[P], 40000, 50000));
	ASSERT_EQ(0, group_set(&self->groups[A], "cpu.weight", 300));
	ASSERT_EQ(0, hogs_start(&self->groups[A], 2));
	ASSERT_EQ(0, hogs_start(&self->groups[B], 2));
	ASSERT_EQ(0, hogs_start(&self->groups[OTHER], 2));
	watch(self, WINDOW_MS);
	EXPECT_NEAR(0.8, self->cpus[P], 6, "limited");
	EXPECT_NEAR(0.6, self->cpus[A], 12, "300 of it");
	EXPECT_NEAR(0.2, self->cpus[B], 15, "100 of it");
	EXPECT_NEAR(1.2, self->cpus[OTHER], 12, "the rest");
}

/* Both p and a have one; a's is tighter. */
TEST_F(limits, the_tightest_of_nested_ones_counts)
{
	ASSERT_EQ(0, limit(&self->groups[P], 100000, 100000));
	ASSERT_EQ(0, limit(&self->groups[A], 30000, 100000));
	ASSERT_EQ(0, hogs_start(&self->groups[A], 2));
	ASSERT_EQ(0, hogs_start(&self->groups[B], 2));
	watch(self, WINDOW_MS);
	EXPECT_NEAR(0.3, self->cpus[A], 6, "a");
	EXPECT_NEAR(1, self->cpus[P], 6, "p");
}

/* 2 % for hogs; then none: both CPUs at once */
TEST_F(limits, who_was_stopped_goes_on_when_it_is_lifted)
{
	double lifted = 0;
	int i;

	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, limit(&self->groups[A], 2000, 100000));
		if (!i)
			ASSERT_EQ(0, hogs_start(&self->groups[A], 2));
		watch(self, 200);
		EXPECT_GE(0.06, self->cpus[A]);
		ASSERT_EQ(0, group_write(&self->groups[A], "cpu.max", "max"));
		sleep_ms(20);
		measure(self->groups, self->cpus, NR_GROUPS, 100);
		lifted += self->cpus[A] / 8;
	}
	EXPECT_NEAR(2, lifted, 15, "lifted");
}

/* The longest of a worker's rounds of 30 ms of CPU time and 250 ms of sleep, ms. */
static double longest_ms(FIXTURE_DATA(limits) *self)
{
	double longest = 0, began;
	long rounds;
	int i;

	/* The first may meet a bucket that is not full yet. */
	for (i = 0; i < 6; i++) {
		rounds = self->worker.log->rounds;
		began = now_ms();
		while (self->worker.log->rounds == rounds && now_ms() < began + 2000)
			sleep_ms(1);
		if (i > 1 && now_ms() - began - 250 > longest)
			longest = now_ms() - began - 250;
	}
	return longest;
}

/* Quota 20 ms in 100 ms: 30 ms of work wait for the next period, or use the burst. */
TEST_F(limits, a_burst_is_lent)
{
	static const struct work command = { .run_us = 30000, .sleep_us = 250000 };
	double without, with;

	ASSERT_EQ(0, limit(&self->groups[A], 20000, 100000));
	ASSERT_EQ(0, worker_start(&self->worker, &self->groups[A], &command));
	without = longest_ms(self);
	ASSERT_EQ(0, group_set(&self->groups[A], "cpu.max.burst", 20000));
	with = longest_ms(self);
	TH_LOG("30 ms take %.0f ms, with a burst %.0f ms", without, with);
	EXPECT_LE(45, without);
	EXPECT_GE(without - 10, with);
}

/* cpu.idle is the least weight: next to nothing while others want it, all else */
TEST_F(limits, cpu_idle_leaves_the_cpus_to_others)
{
	ASSERT_EQ(0, group_set(&self->groups[A], "cpu.idle", 1));
	ASSERT_EQ(0, hogs_start(&self->groups[A], 2));
	ASSERT_EQ(0, hogs_start(&self->groups[B], 2));
	watch(self, WINDOW_MS);
	EXPECT_GE(0.06, self->cpus[A]);
	EXPECT_LT(0, self->cpus[A]);
	EXPECT_NEAR(2, self->cpus[B], 12, "the other");

	ASSERT_EQ(0, group_set(&self->groups[A], "cpu.idle", 0));
	watch(self, 1500);
	EXPECT_NEAR(1, self->cpus[A], 12, "no longer idle");
}

int main(int argc, char **argv)
{
	return sched_main(argc, argv);
}
