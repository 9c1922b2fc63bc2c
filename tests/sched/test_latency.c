// SPDX-License-Identifier: GPL-2.0-only
/*
 * Latency: who runs first, and what it costs the others.  Each test has
 *
 *	agentcg-test/call	what is hinted at
 *	agentcg-test/peer	another such
 *	agentcg-test/hogs	4 hogs for each CPU
 *
 * of equal weight.  Wake-up latencies are those that the scheduler counts; the
 * exact figures are bench-cpu's.
 */
#include <errno.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#define HOGS_PER_CPU	4
#define SETTLE_MS	300
#define WINDOW_MS	3000
#define NR_WORKERS	16

/* A short command: 1 ms, then it waits for 10 ms. */
static const struct work short_work = { .run_us = 1000, .sleep_us = 10000 };

FIXTURE(latency) {
	struct group call, peer, hogs;
	struct worker workers[NR_WORKERS];
};

FIXTURE_SETUP(latency)
{
	ASSERT_TRUE(sched_ready());
	ASSERT_EQ(0, group_make(&self->call, "call"));
	ASSERT_EQ(0, group_make(&self->peer, "peer"));
	ASSERT_EQ(0, group_make(&self->hogs, "hogs"));
}

FIXTURE_TEARDOWN(latency)
{
	int i;

	for (i = 0; i < NR_WORKERS; i++)
		worker_stop(&self->workers[i]);
	group_remove(&self->call);
	group_remove(&self->peer);
	group_remove(&self->hogs);
	EXPECT_TRUE(sched_running());
}

static __u64 now_ns(void)
{
	return now_ms() * NS_PER_MS;
}

static long declare(const struct group *g, enum agentcg_class class)
{
	return sched_hint(&sched, g->id, 0, class, 0);
}

/* The group's wake-up latency in the next @ms, us. */
static double latency_us(const struct group *g, long ms, double percent)
{
	struct agentcg_hist before, after;

	before = sched_wakeups(&sched, g);
	sleep_ms(ms);
	after = sched_wakeups(&sched, g);
	return wakeup_percentile(&before, &after, percent);
}

/*
 * The hogs weigh 20 times as much, so the call's share is about what it uses,
 * and in its turn it waits.  Interactive, it may be a burst ahead.
 */
TEST_F(latency, an_interactive_call_comes_before_its_turn)
{
	double batch, interactive;

	ASSERT_EQ(0, group_set(&self->hogs, "cpu.weight", 2000));
	ASSERT_EQ(0, hogs_start(&self->hogs, HOGS_PER_CPU * get_nprocs()));
	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_BATCH));
	ASSERT_EQ(0, worker_start(&self->workers[0], &self->call, &short_work));
	sleep_ms(1000);
	batch = latency_us(&self->call, WINDOW_MS, 75);
	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_INTERACTIVE));
	sleep_ms(SETTLE_MS);
	interactive = latency_us(&self->call, 2000, 75);
	TH_LOG("p75: batch %.0f us, interactive %.0f us", batch, interactive);
	EXPECT_LT(0, interactive);
	EXPECT_GE(batch / 3, interactive);
	EXPECT_LT(0, sched_node(&sched, &self->call)->nr_fast_runs);
}

/* Nobody needs to say so: the same for one that uses little, by its own bucket; but not if it says that it is batch. */
TEST_F(latency, an_undeclared_call_that_is_short_comes_before_its_turn)
{
	static const struct work tiny = { .run_us = 100, .sleep_us = 10000 };
	const struct agentcg_node *n;
	__u64 runs, fast;

	ASSERT_EQ(0, group_set(&self->hogs, "cpu.weight", 1000));
	ASSERT_EQ(0, hogs_start(&self->hogs, HOGS_PER_CPU * get_nprocs()));
	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_BATCH));
	n = sched_node(&sched, &self->call);
	ASSERT_NE(NULL, n);
	ASSERT_EQ(0, worker_start(&self->workers[0], &self->call, &tiny));
	sleep_ms(1000);
	EXPECT_EQ(0, n->nr_fast_runs);
	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_AUTO));
	runs = n->nr_switches;
	fast = n->nr_fast_runs;
	sleep_ms(1000);
	runs = n->nr_switches - runs;
	fast = n->nr_fast_runs - fast;
	TH_LOG("%llu of %llu times out of turn", fast, runs);
	EXPECT_LT(0, runs);
	EXPECT_GE(fast, runs / 2);
}

/* Within its share an interactive task waits about as little as a real-time one. */
TEST_F(latency, an_interactive_call_waits_as_little_as_real_time)
{
	static const struct work fifo = { .run_us = 1000, .sleep_us = 10000, .fifo = 10 };
	double best, interactive;

	ASSERT_EQ(0, hogs_start(&self->hogs, HOGS_PER_CPU * get_nprocs()));
	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_INTERACTIVE));
	ASSERT_EQ(0, worker_start(&self->workers[0], &self->call, &short_work));
	ASSERT_EQ(0, worker_start(&self->workers[1], &self->call, &fifo));
	sleep_ms(WINDOW_MS);
	interactive = worker_wait_us(&self->workers[0], 0, 75);
	best = worker_wait_us(&self->workers[1], 0, 75);
	TH_LOG("p75: interactive %.0f us, real-time %.0f us", interactive, best);
	EXPECT_GE(3 * best + 500, interactive);
}

/*
 * Two hogs that wake up every ms and say that they are interactive, against
 * three of equal weight: 1 CPU each, and the burst once.
 */
TEST_F(latency, a_hog_that_lies_gains_its_burst_once)
{
	static const struct work liar = { .run_us = 1000, .sleep_us = 50 };
	double usage[2], share;
	int i;

	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_INTERACTIVE));
	ASSERT_EQ(0, hogs_start(&self->hogs, 3));
	sleep_ms(SETTLE_MS);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, worker_start(&self->workers[i], &self->call, &liar));
	usage[0] = group_cpu_ms(&self->call);
	usage[1] = group_cpu_ms(&self->hogs);
	sleep_ms(WINDOW_MS);
	usage[0] = group_cpu_ms(&self->call) - usage[0];
	usage[1] = group_cpu_ms(&self->hogs) - usage[1];
	share = (usage[0] + usage[1]) / 2;
	TH_LOG("%.0f ms, %.0f ms more than its share", usage[0], usage[0] - share);
	EXPECT_GE(share * 1.03 + AGENTCG_BURST_INTERACTIVE / NS_PER_MS, usage[0]);
	/* Or it was not served as interactive at all. */
	EXPECT_LT(0, sched_node(&sched, &self->call)->nr_fast_runs);
	EXPECT_LE(share * 0.9, usage[0]);
}

/* Those who wait are served all the same: a group of weight 1 among interactive ones. */
TEST_F(latency, many_interactive_calls_starve_nobody)
{
	static const struct work work = { .run_us = 2000, .sleep_us = 500 };
	double before;
	int i;

	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_INTERACTIVE));
	ASSERT_EQ(0, declare(&self->peer, AGENTCG_CLASS_INTERACTIVE));
	for (i = 0; i < NR_WORKERS; i++)
		ASSERT_EQ(0, worker_start(&self->workers[i], i % 2 ? &self->peer : &self->call, &work));
	ASSERT_EQ(0, hogs_start(&self->hogs, 2));
	sleep_ms(1000);
	before = group_cpu_ms(&self->hogs);
	sleep_ms(WINDOW_MS);
	/* a third of two CPUs */
	EXPECT_NEAR(WINDOW_MS * 2 / 3., group_cpu_ms(&self->hogs) - before, 15, "ms of the hogs");
}

/*
 * call and peer start at once, again and again, each with as many tasks as there
 * are CPUs.  Equal, they come forward equally; the one whose deadline has passed
 * is AGENTCG_BURST_AUTO ahead.
 */
TEST_F(latency, of_equals_the_one_with_a_deadline_goes_first)
{
	static const struct work command = { .run_us = 200000, .sleep_us = 3600000000 };
	double first, second, gain[2] = {};
	int i, j, cpus = get_nprocs(), with, round;

	ASSERT_LE(2 * cpus, NR_WORKERS);
	for (round = 0; round < 16; round++) {
		with = round % 2;
		ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_BATCH));
		ASSERT_EQ(0, sched_hint(&sched, self->peer.id, 0, AGENTCG_CLASS_BATCH,
					with ? now_ns() - NS_PER_MS : 0));
		for (j = 0; j < 2 * cpus; j++)
			ASSERT_EQ(0, worker_start(&self->workers[j], j % 2 ? &self->peer : &self->call, &command));
		sleep_ms(80);
		first = 0;
		second = 0;
		for (j = 0; j < 2 * cpus; j += 2) {
			first += worker_cpu_ms(&self->workers[j]);
			second += worker_cpu_ms(&self->workers[j + 1]);
		}
		gain[with] += second - first;
		for (i = 0; i < 2 * cpus; i++)
			worker_stop(&self->workers[i]);
	}
	TH_LOG("peer ahead of call by %.1f ms, with a deadline by %.1f ms", gain[0] / 8, gain[1] / 8);
	EXPECT_LE(gain[0] / 8 + 0.5 * AGENTCG_BURST_AUTO / NS_PER_MS, gain[1] / 8);
}

/*
 * Interactive tasks of two calls wait for each other; a thread that feeds a GPU
 * waits for none of them.
 */
static void crowd(struct __test_metadata *_metadata, FIXTURE_DATA(latency) *self)
{
	static const struct work work = { .run_us = 1000, .sleep_us = 3000 };
	int i;

	ASSERT_EQ(0, declare(&self->peer, AGENTCG_CLASS_INTERACTIVE));
	for (i = 1; i < NR_WORKERS; i++)
		ASSERT_EQ(0, worker_start(&self->workers[i], &self->peer, &work));
	ASSERT_EQ(0, hogs_start(&self->hogs, 4));
}

static const struct work launch = { .run_us = 200, .sleep_us = 3000 };

TEST_F(latency, a_gpu_leaf_comes_before_interactive_ones)
{
	double gpu, interactive;

	crowd(_metadata, self);
	ASSERT_EQ(0, worker_start(&self->workers[0], &self->call, &launch));
	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_INTERACTIVE));
	sleep_ms(SETTLE_MS);
	interactive = latency_us(&self->call, WINDOW_MS, 90);
	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_GPU));
	sleep_ms(SETTLE_MS);
	gpu = latency_us(&self->call, WINDOW_MS, 90);
	TH_LOG("p90: interactive %.0f us, gpu %.0f us", interactive, gpu);
	EXPECT_LT(0, gpu);
	EXPECT_GT(interactive, gpu);
}

/* By thread: the leaf's other tasks stay what they are. */
TEST_F(latency, a_gpu_thread_comes_before_interactive_ones)
{
	double gpu, interactive;
	long from;

	crowd(_metadata, self);
	ASSERT_EQ(0, worker_start(&self->workers[0], &self->peer, &launch));
	sleep_ms(SETTLE_MS);
	from = self->workers[0].log->rounds;
	sleep_ms(WINDOW_MS);
	interactive = worker_wait_us(&self->workers[0], from, 90);
	ASSERT_EQ(0, sched_hint(&sched, 0, self->workers[0].pid, AGENTCG_CLASS_GPU, 0));
	sleep_ms(SETTLE_MS);
	from = self->workers[0].log->rounds;
	sleep_ms(WINDOW_MS);
	gpu = worker_wait_us(&self->workers[0], from, 90);
	TH_LOG("p90: interactive %.0f us, gpu %.0f us", interactive, gpu);
	EXPECT_LT(0, gpu);
	EXPECT_GT(interactive / 2, gpu);
	/* And back. */
	EXPECT_EQ(0, sched_hint(&sched, 0, self->workers[0].pid, AGENTCG_CLASS_AUTO, 0));
}

/* The rounds of a worker that began on @cpu, in percent of those from @from on. */
static double percent_on(const struct worker *w, long from, int cpu)
{
	long i, n = w->log->rounds, on = 0;

	for (i = from; i < n; i++)
		on += w->log->round[i % MAX_ROUNDS].cpu == cpu;
	return n > from ? 100. * on / (n - from) : -1;
}

TEST_F(latency, gpu_threads_take_the_reserved_cpu)
{
	long from;
	int cpu;

	ASSERT_EQ(0, declare(&self->call, AGENTCG_CLASS_GPU));
	ASSERT_EQ(0, worker_start(&self->workers[0], &self->call, &launch));
	for (cpu = 0; cpu < 2; cpu++) {
		ASSERT_EQ(0, sched_reserve(&sched, cpu, true));
		sleep_ms(SETTLE_MS);
		from = self->workers[0].log->rounds;
		sleep_ms(1000);
		EXPECT_LE(90, percent_on(&self->workers[0], from, cpu));
		ASSERT_EQ(0, sched_reserve(&sched, cpu, false));
	}
}

TEST_F(latency, hints_that_make_no_sense_are_refused)
{
	EXPECT_EQ(-ENOENT, sched_hint(&sched, 1ULL << 40, 0, AGENTCG_CLASS_BATCH, 0));
	EXPECT_EQ(-EINVAL, sched_hint(&sched, self->call.id, 0, AGENTCG_NR_CLASSES, 0));
	EXPECT_EQ(-EINVAL, sched_hint(&sched, self->call.id, getpid(), AGENTCG_CLASS_AUTO, 0));
	EXPECT_EQ(-EINVAL, sched_hint(&sched, 0, 0, AGENTCG_CLASS_AUTO, 0));
	EXPECT_EQ(-EINVAL, sched_hint(&sched, 0, getpid(), AGENTCG_CLASS_INTERACTIVE, 0));
	EXPECT_EQ(-ESRCH, sched_hint(&sched, 0, 4194303, AGENTCG_CLASS_GPU, 0));
	EXPECT_EQ(-EINVAL, sched_reserve(&sched, AGENTCG_MAX_CPUS + 1, true));
	EXPECT_EQ(-EINVAL, sched_inject(&sched, 99));
}

int main(int argc, char **argv)
{
	return sched_main(argc, argv);
}
