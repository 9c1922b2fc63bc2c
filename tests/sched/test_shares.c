// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shares: who gets how much of two CPUs, with groups below agentcg-test that
 * each have a weight and some hogs.  What is wanted is the fluid ideal; the
 * exact errors are bench-cpu's.
 */
#include <errno.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "harness.h"

#define MAX_GROUPS	8
#define SETTLE_MS	500
#define WINDOW_MS	2500

struct member {
	const char *name;
	long weight;
	int hogs;
	double want;		/* CPUs; 0: it is not looked at */
};

FIXTURE(shares) {
	struct group groups[MAX_GROUPS];
	struct worker workers[16];
	double cpus[MAX_GROUPS];
};

FIXTURE_SETUP(shares)
{
	if (get_nprocs() != 2)
		SKIP(return, "the numbers are for two CPUs");
	ASSERT_TRUE(sched_ready());
}

FIXTURE_TEARDOWN(shares)
{
	int i;

	for (i = 0; i < 16; i++)
		worker_stop(&self->workers[i]);
	for (i = MAX_GROUPS - 1; i >= 0; i--)
		group_remove(&self->groups[i]);
	EXPECT_TRUE(sched_running());
}

/* Makes the groups that @members name (parents first), with their hogs. */
static int populate(struct __test_metadata *_metadata, FIXTURE_DATA(shares) *self,
		    const struct member *members)
{
	int n;

	for (n = 0; members[n].name; n++) {
		ASSERT_EQ(0, group_make(&self->groups[n], members[n].name));
		ASSERT_EQ(0, group_set(&self->groups[n], "cpu.weight", members[n].weight));
	}
	for (n = 0; members[n].name; n++)
		ASSERT_EQ(0, hogs_start(&self->groups[n], members[n].hogs));
	return n;
}

static void check_shares(struct __test_metadata *_metadata, FIXTURE_DATA(shares) *self,
			 const struct member *members, double percent)
{
	int i, n = populate(_metadata, self, members);
	struct usage u;

	sleep_ms(SETTLE_MS);
	u = measure_parts(self->groups, self->cpus, n, WINDOW_MS, 2);
	EXPECT_GE(0.1, u.idle);
	for (i = 0; i < n; i++) {
		if (members[i].want)
			EXPECT_NEAR(members[i].want, self->cpus[i], percent, members[i].name);
	}
}

/*
 *	a 300, 3 hogs		1.5
 *	b 100, 3 hogs		0.5
 */
TEST_F(shares, follow_weights)
{
	static const struct member members[] = {
		{ "a", 300, 3, 1.5 }, { "b", 100, 3, 0.5 }, {},
	};

	check_shares(_metadata, self, members, 10);
}

/*
 *	a 10000, 4 hogs		1.98
 *	b 100, 1 hog		0.02: a slice now and then
 */
TEST_F(shares, can_be_tiny)
{
	static const struct member members[] = {
		{ "a", 10000, 4 }, { "b", 100, 1 }, {},
	};

	populate(_metadata, self, members);
	sleep_ms(2000);
	measure_parts(self->groups, self->cpus, 2, 6000, 2);
	EXPECT_NEAR(1.98, self->cpus[0], 10, "a");
	EXPECT_NEAR(0.0198, self->cpus[1], 25, "b");
}

/* As many hogs as CPUs: a cannot always use what it is owed at this moment. */
TEST_F(shares, follow_weights_with_two_hogs_each)
{
	static const struct member members[] = {
		{ "a", 300, 2, 1.5 }, { "b", 100, 2, 0.5 }, {},
	};

	check_shares(_metadata, self, members, 10);
}

/*
 *	a 300, 1 hog		1, though its weight is 1.5
 *	b 100, 5 hogs		1
 */
TEST_F(shares, what_one_cannot_use_goes_to_others)
{
	static const struct member members[] = {
		{ "a", 300, 1, 1 }, { "b", 100, 5, 1 }, {},
	};

	check_shares(_metadata, self, members, 10);
}

/*
 *	the root's own 3 hogs	1, however long they were alone
 *	agentcg-test, 3 hogs	1
 */
TEST_F(shares, who_was_alone_is_not_ahead)
{
	static const struct member members[] = { { "a", 100, 3 }, {} };
	double used = 0;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, worker_start(&self->workers[i], NULL, &(struct work){}));
	sleep_ms(6000);
	populate(_metadata, self, members);
	sleep_ms(SETTLE_MS);
	for (i = 0; i < 3; i++)
		used -= worker_cpu_ms(&self->workers[i]);
	measure(self->groups, self->cpus, 1, WINDOW_MS);
	for (i = 0; i < 3; i++)
		used += worker_cpu_ms(&self->workers[i]);
	EXPECT_NEAR(self->cpus[0], used / WINDOW_MS, 25, "the root's own");
}

/*
 *	p 200	p/a 300, 2 hogs	1
 *		p/b 100, 2 hogs	1/3
 *	q 100	q/a 300, 2 hogs	1/2
 *		q/b 100, 2 hogs	1/6
 */
TEST_F(shares, are_those_of_the_parents_first)
{
	static const struct member members[] = {
		{ "p", 200, 0, 4 / 3. }, { "q", 100, 0, 2 / 3. },
		{ "p/a", 300, 2, 1 }, { "p/b", 100, 2, 1 / 3. },
		{ "q/a", 300, 2, 1 / 2. }, { "q/b", 100, 2, 1 / 6. }, {},
	};

	check_shares(_metadata, self, members, 10);
}

/*
 *	a 100, 2 hogs	1
 *	b 100, 20 hogs	1
 */
TEST_F(shares, do_not_grow_with_the_number_of_tasks)
{
	static const struct member members[] = {
		{ "a", 100, 2, 1 }, { "b", 100, 20, 1 }, {},
	};

	check_shares(_metadata, self, members, 10);
}

/* 300:100, each with two hogs and four that run 1 ms and sleep 5 ms. */
TEST_F(shares, hold_among_hogs_and_sleepers)
{
	static const struct member members[] = {
		{ "a", 300, 2, 1.5 }, { "b", 100, 2, 0.5 }, {},
	};
	static const struct work sleeper = { .run_us = 1000, .sleep_us = 5000 };
	int i;

	populate(_metadata, self, members);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, worker_start(&self->workers[i], &self->groups[i % 2], &sleeper));
	sleep_ms(SETTLE_MS);
	measure_parts(self->groups, self->cpus, 2, WINDOW_MS, 2);
	EXPECT_NEAR(1.5, self->cpus[0], 10, "a");
	EXPECT_NEAR(0.5, self->cpus[1], 10, "b");
}

/* The least weight, and nobody else: both CPUs. */
TEST_F(shares, of_one_alone_are_all)
{
	static const struct member members[] = { { "a", 1, 2 }, {} };
	struct usage u;

	populate(_metadata, self, members);
	sleep_ms(SETTLE_MS);
	u = measure(self->groups, self->cpus, 1, WINDOW_MS);
	EXPECT_GE(0.1, u.idle);
	EXPECT_NEAR(2, self->cpus[0], 15, "alone");
}

/*
 *	a 10000, 4 hogs bound to CPU 0	1
 *	b 1, 2 hogs			1: no CPU idles for a's sake
 */
TEST_F(shares, no_cpu_idles_while_others_wait_elsewhere)
{
	static const struct member members[] = {
		{ "a", 10000, 0 }, { "b", 1, 2 }, {},
	};
	static const struct work bound = { .cpus = 1 };
	struct usage u;
	int i;

	populate(_metadata, self, members);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, worker_start(&self->workers[i], &self->groups[0], &bound));
	sleep_ms(SETTLE_MS);
	u = measure_parts(self->groups, self->cpus, 2, WINDOW_MS, 2);
	EXPECT_GE(0.1, u.idle);
	EXPECT_NEAR(1, self->cpus[0], 10, "bound to CPU 0");
	EXPECT_NEAR(1, self->cpus[1], 10, "the other CPU");
}

/* The share of groups[0], in percent, in a window that begins 50 ms after a change. */
static double share_after_change(FIXTURE_DATA(shares) *self, const struct group *changed,
				 long weight)
{
	group_set(changed, "cpu.weight", weight);
	sleep_ms(50);
	measure_parts(self->groups, self->cpus, 2, 200, 100);
	return self->cpus[0];
}

/* 100:100, then 900:100 and back: 90 % and 50 % in the 200 ms from 50 ms on. */
TEST_F(shares, a_new_weight_takes_effect_within_50_ms)
{
	static const struct member members[] = {
		{ "a", 100, 3 }, { "b", 100, 3 }, {},
	};
	double more = 0, back = 0;
	int i;

	populate(_metadata, self, members);
	sleep_ms(SETTLE_MS);
	for (i = 0; i < 4; i++) {
		more += share_after_change(self, &self->groups[0], 900) / 4;
		sleep_ms(200);
		back += share_after_change(self, &self->groups[0], 100) / 4;
		sleep_ms(200);
	}
	EXPECT_NEAR(90, more, 6, "percent after 900:100");
	EXPECT_NEAR(50, back, 12, "percent after 100:100");
}

/* Who was served with the least weight is not in debt for that when it is not the least any more. */
TEST_F(shares, a_weight_that_grows_takes_effect_within_50_ms)
{
	static const struct member members[] = {
		{ "a", 1, 3 }, { "b", 100, 3 }, {},
	};
	double share = 0;
	int i;

	populate(_metadata, self, members);
	sleep_ms(SETTLE_MS);
	for (i = 0; i < 4; i++) {
		share += share_after_change(self, &self->groups[0], 100) / 4;
		group_set(&self->groups[0], "cpu.weight", 1);
		sleep_ms(1000);
	}
	EXPECT_NEAR(50, share, 12, "percent after 1:100 became 100:100");
}

/* The same one level up: the weight of a's parent. */
TEST_F(shares, a_new_weight_of_a_parent_takes_effect_within_50_ms)
{
	static const struct member members[] = {
		{ "p/a", 100, 3 }, { "q/a", 100, 3 }, {},
	};
	struct group parent;
	double more = 0;
	int i;

	populate(_metadata, self, members);
	ASSERT_EQ(0, group_make(&parent, "p"));
	sleep_ms(SETTLE_MS);
	for (i = 0; i < 4; i++) {
		more += share_after_change(self, &parent, 900) / 4;
		sleep_ms(100);
		group_set(&parent, "cpu.weight", 100);
		sleep_ms(300);
	}
	EXPECT_NEAR(90, more, 6, "percent after 900:100");
	for (i = 0; i < 2; i++)
		group_remove(&self->groups[i]);
	group_remove(&parent);
}

/* nice 0 and nice 5 weigh 1024 and 335: 3.06 to 1 in one leaf. */
TEST_F(shares, in_a_leaf_follow_nice)
{
	static const struct member members[] = { { "a", 100, 0 }, {} };
	static const struct work nice = { .nice = 5 }, usual = {};
	double before[4], got[4];
	int i;

	populate(_metadata, self, members);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, worker_start(&self->workers[i], &self->groups[0], i % 2 ? &nice : &usual));
	sleep_ms(SETTLE_MS);
	for (i = 0; i < 4; i++)
		before[i] = worker_cpu_ms(&self->workers[i]);
	sleep_ms(WINDOW_MS);
	for (i = 0; i < 4; i++)
		got[i] = worker_cpu_ms(&self->workers[i]) - before[i];
	EXPECT_NEAR(3.06, (got[0] + got[2]) / (got[1] + got[3]), 15, "nice 0 to nice 5");
	EXPECT_NEAR(1, got[0] / got[2], 10, "nice 0 to nice 0");
}

/*
 * Who was idle is not owed for it: after 3 s a gets half, not all until it has
 * caught up, and who ran alone meanwhile has no debts either.
 */
TEST_F(shares, idle_time_is_not_saved_up)
{
	static const struct member members[] = {
		{ "a", 100, 0 }, { "b", 100, 3 }, {},
	};
	populate(_metadata, self, members);
	sleep_ms(3000);
	ASSERT_EQ(0, hogs_start(&self->groups[0], 3));
	measure_parts(self->groups, self->cpus, 2, 400, 100);
	EXPECT_NEAR(50, self->cpus[0], 20, "percent of who was idle");
}

/*
 *	3 hogs in the root	1: together they are one more child, of weight 100
 *	a 100, 3 hogs		1
 */
TEST_F(shares, tasks_of_the_root_count_as_one_more_group)
{
	static const struct member members[] = { { "a", 100, 3 }, {} };
	static const struct work hog = {};
	int i;

	populate(_metadata, self, members);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, worker_start(&self->workers[i], NULL, &hog));
	sleep_ms(SETTLE_MS);
	measure(self->groups, self->cpus, 1, WINDOW_MS);
	EXPECT_NEAR(1, self->cpus[0], 15, "the group");
}

/* A task of a pair: a byte to the other, a byte back, for ever. */
static void take_turns(int from, int to)
{
	char byte = 0;

	while (write(to, &byte, 1) == 1 && read(from, &byte, 1) == 1)
		;
	_exit(0);
}

static int pair_start(const struct group *g)
{
	int pipes[2][2], i;
	pid_t pid;

	for (i = 0; i < 2; i++)
		if (pipe(pipes[i]))
			return -errno;
	for (i = 0; i < 2; i++) {
		pid = worker_fork(g);
		if (!pid)
			take_turns(pipes[i][0], pipes[!i][1]);
		if (pid < 0)
			return pid;
	}
	for (i = 0; i < 4; i++)
		close(pipes[i / 2][i % 2]);
	return 0;
}

/*
 * Those who wake each other hand over their turn, but make no more of it.
 *
 *	a 100, 3 pairs		0.5
 *	b 300, 3 hogs		1.5
 */
TEST_F(shares, do_not_grow_by_waking_each_other)
{
	static const struct member members[] = { { "a", 100, 0 }, { "b", 300, 3 }, {} };
	__u64 handed;
	int i;

	populate(_metadata, self, members);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pair_start(&self->groups[0]));
	sleep_ms(SETTLE_MS);
	handed = sched_counter(&sched, AGENTCG_SCHED_HANDED);
	measure_parts(self->groups, self->cpus, 2, WINDOW_MS, 2);
	EXPECT_NEAR(0.5, self->cpus[0], 10, "a");
	EXPECT_NEAR(1.5, self->cpus[1], 10, "b");
	EXPECT_LT(handed + 100, sched_counter(&sched, AGENTCG_SCHED_HANDED));
}

int main(int argc, char **argv)
{
	return sched_main(argc, argv);
}
