// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where tasks may run: affinity, cpusets, partitions, CPUs that go and come
 * back.  Nobody is forgotten, nobody runs where it must not, and shares hold.
 */
#include <sched.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "harness.h"

#define SETTLE_MS	500
#define WINDOW_MS	2000
#define NR_WORKERS	8

FIXTURE(affinity) {
	struct group a, b;
	struct worker workers[NR_WORKERS];
	double before[NR_WORKERS];
	bool offline;
};

static int set_cpu1(int online)
{
	FILE *f = fopen("/sys/devices/system/cpu/cpu1/online", "we");
	int r;

	if (!f)
		return -1;
	fprintf(f, "%d\n", online);
	r = fclose(f);
	return r;
}

FIXTURE_SETUP(affinity)
{
	if (get_nprocs() != 2)
		SKIP(return, "the numbers are for two CPUs");
	ASSERT_TRUE(sched_ready());
	ASSERT_EQ(0, group_make(&self->a, "a"));
	ASSERT_EQ(0, group_make(&self->b, "b"));
}

FIXTURE_TEARDOWN(affinity)
{
	int i;

	for (i = 0; i < NR_WORKERS; i++)
		worker_stop(&self->workers[i]);
	group_write(&self->a, "cpuset.cpus.partition", "member");
	group_remove(&self->a);
	group_remove(&self->b);
	if (get_nprocs() != 2)
		set_cpu1(1);
	EXPECT_TRUE(sched_running());
}

static void hog_on(struct __test_metadata *_metadata, FIXTURE_DATA(affinity) *self, int i,
		   const struct group *g, unsigned long cpus)
{
	ASSERT_EQ(0, worker_start(&self->workers[i], g, &(struct work){ .cpus = cpus }));
}

/* CPU time of each worker in the next @ms, in CPUs. */
static void watch(FIXTURE_DATA(affinity) *self, double *cpus, int n, long ms)
{
	double began = now_ms();
	int i;

	for (i = 0; i < n; i++)
		cpus[i] = -worker_cpu_ms(&self->workers[i]);
	sleep_ms(ms);
	for (i = 0; i < n; i++)
		cpus[i] = (cpus[i] + worker_cpu_ms(&self->workers[i])) / (now_ms() - began);
}

/*
 *	a 300	one hog bound to CPU 0	1, for a's share would be 1.5
 *	b 100	four hogs anywhere	1
 */
TEST_F(affinity, a_bound_task_has_its_share)
{
	double cpus[5];
	int i;

	ASSERT_EQ(0, group_set(&self->a, "cpu.weight", 300));
	hog_on(_metadata, self, 0, &self->a, 1);
	for (i = 1; i < 5; i++)
		hog_on(_metadata, self, i, &self->b, 0);
	sleep_ms(SETTLE_MS);
	watch(self, cpus, 5, WINDOW_MS);
	EXPECT_NEAR(1, cpus[0], 12, "bound to CPU 0");
	EXPECT_NEAR(1, cpus[1] + cpus[2] + cpus[3] + cpus[4], 12, "the others");
}

/*
 * One group, tasks here and there: those bound to a CPU share it, none is left
 * out.  Two on CPU 0, one on CPU 1, one anywhere.
 */
TEST_F(affinity, bound_tasks_of_one_group_all_run)
{
	double cpus[4], sum = 0;
	int i;

	hog_on(_metadata, self, 0, &self->a, 1);
	hog_on(_metadata, self, 1, &self->a, 1);
	hog_on(_metadata, self, 2, &self->a, 2);
	hog_on(_metadata, self, 3, &self->a, 0);
	sleep_ms(SETTLE_MS);
	watch(self, cpus, 4, WINDOW_MS);
	for (i = 0; i < 4; i++) {
		EXPECT_LE(0.3, cpus[i]);
		sum += cpus[i];
	}
	EXPECT_NEAR(2, sum, 8, "together");
}

/*
 * One group. On CPU 0, alone, a task whose time counts seventy times; that is no reason for those on CPU 1, where a hog
 * has all that it wants, to let others wait.
 */
TEST_F(affinity, a_task_is_not_placed_by_those_elsewhere)
{
	static const struct work nice = { .run_us = 2000, .sleep_us = 500, .cpus = 1, .nice = 19 };
	static const struct work sleeper = { .run_us = 200, .sleep_us = 5000, .cpus = 2 };
	double wait;
	long from;

	ASSERT_EQ(0, worker_start(&self->workers[0], &self->a, &nice));
	hog_on(_metadata, self, 1, &self->a, 2);
	sleep_ms(3000);
	ASSERT_EQ(0, worker_start(&self->workers[2], &self->a, &sleeper));
	from = self->workers[2].log->rounds;
	sleep_ms(WINDOW_MS);
	wait = worker_wait_us(&self->workers[2], from, 90);
	TH_LOG("%ld rounds, p90 of the wait %.0f us", self->workers[2].log->rounds - from, wait);
	EXPECT_LT(50, self->workers[2].log->rounds - from);
	EXPECT_GE(30000, wait);
}

/* A running task is sent to and fro; it always goes, and never elsewhere. */
TEST_F(affinity, a_task_goes_where_it_is_sent)
{
	static const struct work busy = { .run_us = 500, .sleep_us = 500 };
	cpu_set_t cpus;
	int i, cpu, wrong = 0;
	long rounds;
	double end;

	ASSERT_EQ(0, worker_start(&self->workers[0], &self->a, &busy));
	ASSERT_EQ(0, hogs_start(&self->b, 4));
	sleep_ms(100);
	for (i = 0; i < 40; i++) {
		cpu = i % 2;
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		ASSERT_EQ(0, sched_setaffinity(self->workers[0].pid, sizeof(cpus), &cpus));
		rounds = self->workers[0].log->rounds;
		for (end = now_ms() + 500; now_ms() < end && self->workers[0].log->rounds < rounds + 10;)
			sleep_ms(5);
		EXPECT_LT(rounds, self->workers[0].log->rounds);
		/* What it noted first may be of before. */
		for (rounds++; rounds < self->workers[0].log->rounds; rounds++)
			wrong += self->workers[0].log->round[rounds % MAX_ROUNDS].cpu != cpu;
	}
	EXPECT_EQ(0, wrong);
}

/* The cpuset of a (300) is CPU 0, both, CPU 1, both: it has that one, or 1.5 of all. */
TEST_F(affinity, cpusets_change_under_load)
{
	static const char * const sets[] = { "0", "0-1", "1", "0-1" };
	static const double want[] = { 1, 1.5, 1, 1.5 };
	struct group groups[2] = { self->a, self->b };
	struct usage u;
	double cpus[2];
	int i;

	ASSERT_EQ(0, group_set(&self->a, "cpu.weight", 300));
	ASSERT_EQ(0, hogs_start(&self->a, 3));
	ASSERT_EQ(0, hogs_start(&self->b, 3));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, group_write(&self->a, "cpuset.cpus", sets[i]));
		sleep_ms(300);
		u = measure_parts(groups, cpus, 2, 1000, 2);
		EXPECT_GE(0.15, u.idle);
		EXPECT_NEAR(want[i], cpus[0], 10, sets[i]);
		EXPECT_NEAR(2 - want[i], cpus[1], 12, "the other group");
	}
}

static void in_a_partition(struct __test_metadata *_metadata, FIXTURE_DATA(affinity) *self,
			   const char *kind)
{
	struct group groups[2] = { self->a, self->b }, top = self->a;
	struct usage u;
	double cpus[2];
	char state[64] = "";
	FILE *f;

	*strrchr(top.path, '/') = 0;
	/* A partition needs a parent that is one. */
	ASSERT_EQ(0, group_write(&top, "cpuset.cpus", "0-1"));
	ASSERT_EQ(0, group_write(&top, "cpuset.cpus.exclusive", "1"));
	ASSERT_EQ(0, group_write(&self->a, "cpuset.cpus", "1"));
	ASSERT_EQ(0, group_write(&self->a, "cpuset.cpus.exclusive", "1"));
	ASSERT_EQ(0, hogs_start(&self->a, 2));
	ASSERT_EQ(0, hogs_start(&self->b, 4));
	ASSERT_EQ(0, group_write(&self->a, "cpuset.cpus.partition", kind));
	snprintf(top.path, sizeof(top.path), "%s/cpuset.cpus.partition", self->a.path);
	f = fopen(top.path, "re");
	ASSERT_NE(NULL, f);
	fgets(state, sizeof(state), f);
	fclose(f);
	if (strncmp(state, kind, strlen(kind)) || strstr(state, "invalid"))
		SKIP(return, "this kernel made no partition of CPU 1");
	sleep_ms(SETTLE_MS);
	u = measure_parts(groups, cpus, 2, WINDOW_MS, 2);
	EXPECT_GE(0.1, u.idle);
	EXPECT_NEAR(1, cpus[0], 10, "the partition's own CPU");
	EXPECT_NEAR(1, cpus[1], 10, "the other group");
	ASSERT_EQ(0, group_write(&self->a, "cpuset.cpus.partition", "member"));
	sleep_ms(200);
	u = measure(groups, cpus, 2, 1000);
	EXPECT_GE(0.15, u.idle);
	EXPECT_LT(0.3, cpus[0]);
	EXPECT_LT(0.3, cpus[1]);
}

TEST_F(affinity, a_partition_root_has_its_cpu)
{
	in_a_partition(_metadata, self, "root");
}

TEST_F(affinity, an_isolated_partition_has_its_cpu)
{
	in_a_partition(_metadata, self, "isolated");
}

/*
 * CPU 1 goes and comes five times, with hogs, sleepers, and one task bound to
 * it; then a 300 and b 100 have what their weights say.
 */
TEST_F(affinity, cpus_go_and_come_back_under_load)
{
	static const struct work sleeper = { .run_us = 500, .sleep_us = 2000 };
	struct group groups[2] = { self->a, self->b };
	double cpus[2], bound;
	long rounds;
	int i;

	ASSERT_EQ(0, group_set(&self->a, "cpu.weight", 300));
	ASSERT_EQ(0, hogs_start(&self->a, 3));
	ASSERT_EQ(0, hogs_start(&self->b, 3));
	ASSERT_EQ(0, worker_start(&self->workers[0], &self->a, &sleeper));
	ASSERT_EQ(0, worker_start(&self->workers[1], &self->b, &sleeper));
	hog_on(_metadata, self, 2, &self->b, 2);
	for (i = 0; i < 5; i++) {
		if (set_cpu1(0))
			SKIP(return, "this kernel cannot switch CPU 1 off");
		rounds = self->workers[0].log->rounds + self->workers[1].log->rounds;
		bound = worker_cpu_ms(&self->workers[2]);
		sleep_ms(300);
		EXPECT_LT(rounds, self->workers[0].log->rounds + self->workers[1].log->rounds);
		ASSERT_EQ(0, set_cpu1(1));
		sleep_ms(300);
		EXPECT_LT(bound, worker_cpu_ms(&self->workers[2]));
		ASSERT_TRUE(sched_running());
	}
	for (i = 0; i < 3; i++)
		worker_stop(&self->workers[i]);
	sleep_ms(SETTLE_MS);
	measure_parts(groups, cpus, 2, WINDOW_MS, 2);
	EXPECT_NEAR(1.5, cpus[0], 10, "a");
	EXPECT_NEAR(0.5, cpus[1], 10, "b");
}

int main(int argc, char **argv)
{
	return sched_main(argc, argv);
}
