// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds: how long, who ends them, who is never held, how far a group still
 * grows.  The module is loaded; each test has its own policy on
 *
 *	agentcg-test/pool		policy attached here
 *	agentcg-test/pool/call		an eater in here
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy.h"
#include "kselftest_harness.h"

/* Emulated CPUs are late by some ms; the exact figures are bench-memory's. */
#define SOON_MS	100
/* As module/hold.c has it: handlers that run while the gate stays shut. */
#define SIGNAL_PASSES	8

FIXTURE(hold) {
	struct group pool, call;
	struct policy policy;
	struct eater eater;
};

FIXTURE_SETUP(hold)
{
	ASSERT_EQ(0, group_make(&self->pool, "pool"));
	ASSERT_EQ(0, group_make(&self->call, "pool/call"));
	ASSERT_EQ(0, policy_attach(&self->policy, &self->pool, 0));
	ASSERT_EQ(0, policy_add(&self->policy, &self->call));
}

FIXTURE_TEARDOWN(hold)
{
	policy_detach(&self->policy);
	eater_stop(&self->eater);
	group_remove(&self->call);
	group_remove(&self->pool);
}

/* Starts an eater and lets it run into a closed gate. */
static void be_held(struct __test_metadata *_metadata, FIXTURE_DATA(hold) *self, int threads,
		    __u32 delay_ms)
{
	ASSERT_EQ(0, eater_start(&self->eater, &self->call, threads, false));
	self->policy.knobs->delay_ms = delay_ms;
	ASSERT_EQ(0, policy_gate(&self->policy, &self->call, 0));
	eater_want(&self->eater, 64 * 1024);
	sleep_ms(SOON_MS);
	ASSERT_LT(0, self->policy.knobs->asked);
	ASSERT_FALSE(eater_done(&self->eater, 0));
}

static void let_go(FIXTURE_DATA(hold) *self)
{
	self->policy.knobs->delay_ms = 0;
	policy_gate(&self->policy, &self->call, AGENTCG_GATE_OPEN);
	policy_release(&self->policy, &self->call);
}

TEST_F(hold, lasts_as_long_as_the_policy_says)
{
	struct eater_shared *s;

	ASSERT_EQ(0, eater_start(&self->eater, &self->call, 1, false));
	s = self->eater.shared;
	eater_want(&self->eater, 8192);	/* or the kernel's own throttle shows */
	ASSERT_TRUE(eater_done(&self->eater, 20000));
	self->policy.knobs->delay_ms = 400;
	ASSERT_EQ(0, policy_gate(&self->policy, &self->call, 0));
	eater_want(&self->eater, s->touched[0] + BATCH_PAGES + 1);
	sleep_ms(200);
	self->policy.knobs->delay_ms = 0;	/* not a second time */
	ASSERT_TRUE(eater_done(&self->eater, 5000));
	EXPECT_LE(400, s->worst_ms[0]);
	EXPECT_GE(400 + SOON_MS, s->worst_ms[0]);
}

TEST_F(hold, without_an_answer_nobody_is_held)
{
	ASSERT_EQ(0, eater_start(&self->eater, &self->call, 1, false));
	eater_want(&self->eater, 8192);	/* or the kernel's own throttle shows */
	ASSERT_TRUE(eater_done(&self->eater, 20000));
	ASSERT_EQ(0, policy_gate(&self->policy, &self->call, 0));
	eater_want(&self->eater, 8192 + 2 * BATCH_PAGES);
	ASSERT_TRUE(eater_done(&self->eater, 20000));
	EXPECT_LT(0, self->policy.knobs->asked);
	EXPECT_EQ(self->call.id, self->policy.knobs->last);
}

TEST_F(hold, release_wakes_at_once)
{
	double released;
	long touched;

	be_held(_metadata, self, 1, 60000);
	touched = eater_touched(&self->eater);
	sleep_ms(300);
	EXPECT_EQ(touched, eater_touched(&self->eater));
	self->policy.knobs->delay_ms = 0;
	released = now_ms();
	EXPECT_EQ(1, policy_release(&self->policy, &self->call));
	while (eater_touched(&self->eater) == touched && now_ms() < released + 2000)
		;
	EXPECT_GE(SOON_MS, now_ms() - released);
	EXPECT_EQ(0, policy_release(&self->policy, &self->call));
}

TEST_F(hold, reaches_cgroups_that_a_call_makes)
{
	struct group inner;
	long before;

	ASSERT_EQ(0, group_make(&inner, "pool/call/inner"));
	ASSERT_EQ(0, eater_start(&self->eater, &inner, 2, false));
	self->policy.knobs->delay_ms = 60000;
	before = group_usage(&self->call);
	ASSERT_EQ(0, policy_gate(&self->policy, &self->call, 0));
	eater_want(&self->eater, 64 * 1024);
	sleep_ms(1000);
	EXPECT_GE(2 * BATCH_PAGES * PAGE, group_usage(&self->call) - before);
	EXPECT_EQ(2, policy_release(&self->policy, &self->call));
	eater_stop(&self->eater);
	group_remove(&inner);
}

TEST_F(hold, release_of_the_pool_reaches_calls_below)
{
	ASSERT_EQ(0, policy_add(&self->policy, &self->pool));
	be_held(_metadata, self, 1, 60000);
	EXPECT_EQ(1, policy_release(&self->policy, &self->pool));
}

TEST_F(hold, all_threads_are_held_and_grow_by_a_batch_each)
{
	long before, threads = 8;

	ASSERT_EQ(0, eater_start(&self->eater, &self->call, threads, false));
	self->policy.knobs->delay_ms = 60000;
	before = group_usage(&self->call);
	ASSERT_EQ(0, policy_gate(&self->policy, &self->call, 0));
	eater_want(&self->eater, 64 * 1024);
	sleep_ms(1500);
	/* Charges are what counts; what a thread touched lies below. */
	EXPECT_GE(threads * BATCH_PAGES * PAGE, group_usage(&self->call) - before);
	EXPECT_EQ(threads, policy_release(&self->policy, &self->call));
	let_go(self);
}

TEST_F(hold, with_huge_pages_growth_is_a_huge_page_each)
{
	long before, threads = 4;

	ASSERT_EQ(0, eater_start(&self->eater, &self->call, threads, true));
	if (group_read(&self->call, "memory.stat", "anon_thp") <= 0)
		SKIP(return, "no transparent huge pages here");
	self->policy.knobs->delay_ms = 60000;
	before = group_usage(&self->call);
	ASSERT_EQ(0, policy_gate(&self->policy, &self->call, 0));
	eater_want(&self->eater, 64 * 1024);
	sleep_ms(1500);
	EXPECT_GE(threads * HUGE_PAGES * PAGE, group_usage(&self->call) - before);
	let_go(self);
}

static long squeezes(void)
{
	const struct group stats = { .path = "/sys/module/agentcg/stats" };

	return group_read(&stats, "squeezes", NULL);
}

TEST_F(hold, inside_one_system_call_growth_is_slowed)
{
	long before, grown, had = squeezes(), i;

	ASSERT_EQ(0, eater_start(&self->eater, &self->call, 1, false));
	self->policy.knobs->delay_ms = 60000;
	self->eater.shared->loop_write = 1;
	before = group_usage(&self->call);
	ASSERT_EQ(0, policy_gate(&self->policy, &self->call, 0));
	eater_want(&self->eater, 128 * MIB / PAGE);
	for (i = 0; i < 1000 && squeezes() == had; i++)
		sleep_ms(10);
	EXPECT_LT(had, squeezes());
	sleep_ms(3000);
	grown = group_usage(&self->call) - before;
	/* Two batches before anybody can tell, then one in 2 s. */
	EXPECT_LT(0, grown);
	EXPECT_GE(6 * BATCH_PAGES * PAGE, grown);
	let_go(self);
	EXPECT_TRUE(eater_done(&self->eater, 30000));
	/* The gate is where it was put, not where the throttle had it. */
	EXPECT_EQ(INT64_MAX, group_read(&self->call, "memory.high", NULL));
}

TEST_F(hold, a_signal_handler_runs)
{
	double sent;

	be_held(_metadata, self, 1, 60000);
	sent = now_ms();
	kill(self->eater.pid, SIGUSR1);
	while (!self->eater.shared->handled && now_ms() < sent + 2000)
		;
	EXPECT_EQ(1, self->eater.shared->handled);
	EXPECT_GE(SOON_MS, now_ms() - sent);
}

/*
 * Sends a signal to an eater that is held, and waits until its handler has run
 * and it is held again.  One that came while it was on its way there would have
 * its handler begun first, and held with it.
 */
static void pass_by_signal(FIXTURE_DATA(hold) *self)
{
	__u64 asked = self->policy.knobs->asked;
	long handled = self->eater.shared->handled;
	double end = now_ms() + 5000;

	kill(self->eater.pid, SIGUSR1);
	while (now_ms() < end &&
	       (self->eater.shared->handled == handled || self->policy.knobs->asked == asked))
		sleep_ms(1);
	sleep_ms(SOON_MS / 4);
}

TEST_F(hold, signals_are_no_way_around_it)
{
	long before, i;

	be_held(_metadata, self, 1, 60000);
	before = group_usage(&self->call);
	for (i = 0; i < SIGNAL_PASSES; i++)
		pass_by_signal(self);
	EXPECT_EQ(SIGNAL_PASSES, self->eater.shared->handled);
	for (i = 0; i < 200; i++) {
		kill(self->eater.pid, SIGUSR1);
		sleep_ms(5);
	}
	/* From now on handlers wait. */
	EXPECT_EQ(SIGNAL_PASSES, self->eater.shared->handled);
	/* Without a bound this would be 200 batches. */
	EXPECT_GE((SIGNAL_PASSES + 4) * BATCH_PAGES * PAGE, group_usage(&self->call) - before);
	let_go(self);
	EXPECT_TRUE(eater_done(&self->eater, 60000));
	EXPECT_LT(SIGNAL_PASSES, self->eater.shared->handled);
}

TEST_F(hold, a_kill_acts_at_once)
{
	double sent;
	int status;

	be_held(_metadata, self, 4, 60000);
	sent = now_ms();
	kill(self->eater.pid, SIGKILL);
	ASSERT_EQ(self->eater.pid, waitpid(self->eater.pid, &status, 0));
	self->eater.pid = 0;
	EXPECT_GE(3 * SOON_MS, now_ms() - sent);
	EXPECT_EQ(0, policy_release(&self->policy, &self->call));
}

TEST_F(hold, a_kill_acts_while_handlers_wait)
{
	double sent;
	int i;

	be_held(_metadata, self, 1, 60000);
	for (i = 0; i < 30; i++) {
		kill(self->eater.pid, SIGUSR1);
		sleep_ms(5);
	}
	sent = now_ms();
	kill(self->eater.pid, SIGKILL);
	ASSERT_EQ(self->eater.pid, waitpid(self->eater.pid, NULL, 0));
	self->eater.pid = 0;
	EXPECT_GE(3 * SOON_MS, now_ms() - sent);
}

TEST_F(hold, the_freezer_takes_effect)
{
	int i;

	be_held(_metadata, self, 2, 60000);
	ASSERT_EQ(0, group_write(&self->call, "cgroup.freeze", "1"));
	for (i = 0; i < 100 && group_read(&self->call, "cgroup.events", "frozen") != 1; i++)
		sleep_ms(10);
	EXPECT_EQ(1, group_read(&self->call, "cgroup.events", "frozen"));
	ASSERT_EQ(0, group_write(&self->call, "cgroup.freeze", "0"));
	let_go(self);
	EXPECT_TRUE(eater_done(&self->eater, 60000));
}

TEST_F(hold, a_stop_signal_takes_effect)
{
	int status;

	be_held(_metadata, self, 1, 60000);
	kill(self->eater.pid, SIGSTOP);
	sleep_ms(SOON_MS);
	EXPECT_EQ(self->eater.pid, waitpid(self->eater.pid, &status, WUNTRACED | WNOHANG));
	EXPECT_TRUE(WIFSTOPPED(status));
	kill(self->eater.pid, SIGCONT);
}

TEST_F(hold, detaching_the_policy_ends_it)
{
	be_held(_metadata, self, 2, 60000);
	policy_detach(&self->policy);
	EXPECT_TRUE(eater_done(&self->eater, 60000));
}

TEST_F(hold, removing_the_group_of_a_killed_call_leaves_nothing)
{
	be_held(_metadata, self, 2, 60000);
	eater_stop(&self->eater);
	group_remove(&self->call);
	EXPECT_EQ(-ENOENT, policy_usage(&self->policy, &self->call));
}

/* PSI weighs stalls by busy CPUs, so 1500 ms of hold count as less. */
static long stall_us(const struct group *g)
{
	char path[300], line[128];
	long total = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/memory.pressure", g->path);
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fgets(line, sizeof(line), f))
		sscanf(strstr(line, "total="), "total=%ld", &total);
	fclose(f);
	return total;
}

TEST_F(hold, counts_in_psi_only_if_the_policy_says_so)
{
	if (stall_us(&self->call) < 0)
		SKIP(return, "no PSI in this kernel (boot with psi=1)");
	be_held(_metadata, self, 1, 60000);
	sleep_ms(1500);
	let_go(self);
	EXPECT_TRUE(eater_done(&self->eater, 60000));
	EXPECT_GT(100 * 1000, stall_us(&self->call));

	eater_stop(&self->eater);
	policy_detach(&self->policy);
	ASSERT_EQ(0, policy_attach(&self->policy, &self->pool, AGENTCG_OPS_PSI));
	be_held(_metadata, self, 1, 60000);
	sleep_ms(1500);
	let_go(self);
	EXPECT_TRUE(eater_done(&self->eater, 60000));
	EXPECT_LE(250 * 1000, stall_us(&self->call));
}

static bool trace_events(const char *on)
{
	FILE *f = fopen("/sys/kernel/tracing/events/agentcg/enable", "we");

	if (!f)
		return false;
	fputs(on, f);
	return !fclose(f);
}

TEST_F(hold, is_traced)
{
	int begins = 0, ends = 0;
	char line[512];
	FILE *f;

	ASSERT_TRUE(trace_events("1"));
	be_held(_metadata, self, 1, 60000);
	let_go(self);
	ASSERT_TRUE(eater_done(&self->eater, 60000));
	ASSERT_TRUE(trace_events("0"));
	f = fopen("/sys/kernel/tracing/trace", "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		char want[64];

		snprintf(want, sizeof(want), "cgroup=%llu ", (unsigned long long)self->call.id);
		begins += strstr(line, "hold_begin: ") && strstr(line, want);
		ends += strstr(line, "hold_end: ") && strstr(line, want) &&
			strstr(line, "end=released");
	}
	fclose(f);
	EXPECT_LE(1, begins);
	EXPECT_LE(1, ends);
}

TEST_HARNESS_MAIN
