// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tool calls come and go: cgroups that are made, loaded, killed and removed a
 * hundred times a second, thousands of them at once, and more than the scheduler
 * has nodes for.  Nothing is left of them.
 *
 *	agentcg-test/session-N/leaf-M
 *
 * SECONDS_OF_CHURN in the environment says how long the first test takes.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

#define SECONDS		20
#define LEAVES_A_SECOND	100
/* By so many processes at once: making and removing is mostly waiting. */
#define CHURNERS	8
/* So many leaves of each live at a time. */
#define ALIVE		3

FIXTURE(churn) {
	struct group session;
	struct worker sleeper;
	int nodes;
};

FIXTURE_SETUP(churn)
{
	static const struct work work = { .run_us = 500, .sleep_us = 10000 };

	/* Nobody waits for the children. */
	signal(SIGCHLD, SIG_IGN);
	ASSERT_TRUE(sched_running());
	ASSERT_EQ(0, group_make(&self->session, "session"));
	/* Groups of the test before may still be on their way out. */
	self->nodes = sched_nodes_used(&sched);
	ASSERT_EQ(0, worker_start(&self->sleeper, NULL, &work));
}

FIXTURE_TEARDOWN(churn)
{
	worker_stop(&self->sleeper);
	group_remove(&self->session);
	EXPECT_TRUE(sched_running());
	EXPECT_EQ(0, sched_exit_record(&sched).time);
}

/* A line of /proc/meminfo, KiB */
static long meminfo(const char *key)
{
	static const struct group proc = { .path = "/proc" };

	return group_read(&proc, "meminfo", key);
}

/* Removed cgroups go when the last reference does, some grace periods later. */
static int nodes_used_at_last(int want)
{
	double end = now_ms() + 20000;

	while (sched_nodes_used(&sched) > want && now_ms() < end)
		sleep_ms(50);
	return sched_nodes_used(&sched);
}

/* A leaf below the session; its parents are there. */
static int make_leaf(struct group *leaf, const struct group *session, int n)
{
	struct stat st;

	snprintf(leaf->path, sizeof(leaf->path), "%.200s/leaf-%d", session->path, n);
	if (mkdir(leaf->path, 0755) || stat(leaf->path, &st))
		return -errno;
	leaf->id = st.st_ino;
	return 0;
}

static void enable_below(const struct group *g)
{
	group_write(g, "cgroup.subtree_control", "+cpu");
}

/* A command of 5 ms, and in every fourth leaf one that has to be killed. */
static void load_leaf(const struct group *leaf, int n)
{
	struct worker w = { .pid = worker_fork(leaf) };

	if (!w.pid) {
		worker_use_cpu(5000);
		_exit(0);
	}
	if (n % 4 == 0)
		hogs_start(leaf, 1);
}

/* Makes and removes leaves number @first, @first + CHURNERS ...; returns how many. */
static int churn_some(const struct group *session, int first, long ms)
{
	struct group leaves[ALIVE] = {}, *leaf;
	double began, due;
	int i;

	if (!sched_ready())
		return -1;
	began = now_ms();
	for (i = 0; now_ms() < began + ms; i++) {
		leaf = &leaves[i % ALIVE];
		group_remove(leaf);
		if (make_leaf(leaf, session, first + i * CHURNERS))
			break;
		load_leaf(leaf, i);
		/* hints come for leaves that are about to go, too */
		sched_hint(&sched, leaf->id, 0, AGENTCG_CLASS_INTERACTIVE, 0);
		due = began + (i + 1) * 1000. * CHURNERS / LEAVES_A_SECOND;
		if (now_ms() < due)
			sleep_ms(due - now_ms());
	}
	due = now_ms();
	for (leaf = leaves; leaf < leaves + ALIVE; leaf++)
		group_remove(leaf);
	return due < began + ms ? -1 : i;
}

/* All churners; how many leaves, or -1 if one could not go on. */
static int churn(struct __test_metadata *_metadata, const struct group *session, long ms)
{
	int pipes[CHURNERS][2], i, n, sum = 0;

	for (i = 0; i < CHURNERS; i++) {
		ASSERT_EQ(0, pipe(pipes[i]));
		if (fork())
			continue;
		n = churn_some(session, i, ms);
		_exit(write(pipes[i][1], &n, sizeof(n)) != sizeof(n));
	}
	for (i = 0; i < CHURNERS; i++) {
		close(pipes[i][1]);
		ASSERT_EQ(sizeof(n), read(pipes[i][0], &n, sizeof(n)));
		close(pipes[i][0]);
		EXPECT_LT(0, n);
		sum += n;
	}
	return sum;
}

TEST_F_TIMEOUT(churn, leaves_come_and_go, 3600)
{
	const char *text = getenv("SECONDS_OF_CHURN");
	long seconds = text && atol(text) > 0 ? atol(text) : SECONDS;
	long slab, available, rounds = self->sleeper.log->rounds;
	int n;

	enable_below(&self->session);
	/* Caches fill first. */
	churn(_metadata, &self->session, 3000);
	nodes_used_at_last(self->nodes);
	slab = meminfo("SUnreclaim:");
	available = meminfo("MemAvailable:");
	n = churn(_metadata, &self->session, seconds * 1000);
	EXPECT_GE(self->nodes, nodes_used_at_last(self->nodes));
	sleep_ms(1000);
	TH_LOG("%.0f leaves a second; unreclaimable slab %+ld KiB, available %+ld KiB",
	       (double)n / seconds, meminfo("SUnreclaim:") - slab, meminfo("MemAvailable:") - available);
	/* Less is the emulated machine's, or that of what else it runs; next to none would be a stall. */
	EXPECT_LE(LEAVES_A_SECOND / 5, n / seconds);
	/* A leaf takes some 10 KiB of slab: what is allowed is a small part of what was made. */
	EXPECT_GE(8 * 1024, meminfo("SUnreclaim:") - slab);
	EXPECT_LE(-64 * 1024, meminfo("MemAvailable:") - available);
	EXPECT_LT(rounds + seconds * 10, self->sleeper.log->rounds);
}

/* Makes @n leaves, a hundred to a session, every 20th with a task of its own; returns how many failed. */
static int make_many(struct __test_metadata *_metadata, struct group *sessions, int from, int n)
{
	static const struct work work = { .run_us = 100, .sleep_us = 1000000 };
	struct group leaf;
	struct worker w;
	int i, failed = 0;
	char name[32];

	for (i = from; i < from + n; i++) {
		if (i % 100 == 0) {
			snprintf(name, sizeof(name), "many/session-%d", i / 100);
			ASSERT_EQ(0, group_make(&sessions[i / 100], name));
			enable_below(&sessions[i / 100]);
		}
		failed += !!make_leaf(&leaf, &sessions[i / 100], i);
		/* They go with their session. */
		if (i % 20 == 0 && i < 4000)
			ASSERT_EQ(0, worker_start(&w, &leaf, &work));
	}
	return failed;
}

static void remove_many(struct group *sessions, int n)
{
	struct group leaf;
	int i;

	for (i = 0; i < n; i++) {
		snprintf(leaf.path, sizeof(leaf.path), "%.200s/leaf-%d", sessions[i / 100].path, i);
		if (rmdir(leaf.path))
			group_remove(&leaf);
	}
	for (i = 0; i < (n + 99) / 100; i++)
		group_remove(&sessions[i]);
}

/*
 * 4100 live leaves have a node each; at 8400 there are no more, and mkdir works
 * all the same: whoever has none is served with its parent.
 */
TEST_F_TIMEOUT(churn, thousands_of_leaves, 600)
{
	static struct group sessions[84];
	struct group many = { .path = "/sys/fs/cgroup/agentcg-test/many" }, beyond;
	__u64 refused = sched_counter(&sched, AGENTCG_SCHED_NO_NODE);
	double used, began = now_ms();
	long rounds;

	ASSERT_EQ(0, make_many(_metadata, sessions, 0, 4100));
	EXPECT_LE(self->nodes + 4100, sched_nodes_used(&sched));
	rounds = self->sleeper.log->rounds;
	sleep_ms(1000);
	EXPECT_LT(rounds + 10, self->sleeper.log->rounds);

	EXPECT_EQ(refused, sched_counter(&sched, AGENTCG_SCHED_NO_NODE));
	ASSERT_EQ(0, make_many(_metadata, sessions, 4100, 4300));
	EXPECT_LT(refused, sched_counter(&sched, AGENTCG_SCHED_NO_NODE));
	EXPECT_EQ(AGENTCG_MAX_NODES, sched_nodes_used(&sched));

	/* The last one has no node; what is in it runs. */
	ASSERT_EQ(0, make_leaf(&beyond, &sessions[83], 9000));
	EXPECT_EQ(NULL, sched_node(&sched, &beyond));
	ASSERT_EQ(0, hogs_start(&beyond, 1));
	sleep_ms(500);
	used = group_cpu_ms(&beyond);
	sleep_ms(500);
	EXPECT_LT(used + 50, group_cpu_ms(&beyond));
	group_remove(&beyond);

	TH_LOG("8400 leaves made in %.0f ms", now_ms() - began);
	remove_many(sessions, 8400);
	group_remove(&many);
	EXPECT_GE(self->nodes, nodes_used_at_last(self->nodes));
	/* Slots are used again. */
	ASSERT_EQ(0, group_make(&many, "many"));
	EXPECT_NE(NULL, sched_node(&sched, &many));
	group_remove(&many);
}

/* Moved, killed and removed while they run. */
TEST_F(churn, tasks_move_between_groups)
{
	static const struct work work = { .run_us = 300, .sleep_us = 300 };
	struct worker workers[4] = {};
	struct group leaves[3];
	long rounds;
	char pid[16];
	int i;

	enable_below(&self->session);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, make_leaf(&leaves[i], &self->session, i));
		ASSERT_EQ(0, hogs_start(&leaves[i], 1));
	}
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, worker_start(&workers[i], &leaves[0], &work));
	for (i = 0; i < 400; i++) {
		snprintf(pid, sizeof(pid), "%d", workers[i % 4].pid);
		ASSERT_EQ(0, group_write(&leaves[i % 3], "cgroup.procs", pid));
		sleep_ms(2);
	}
	for (i = 0; i < 4; i++) {
		rounds = workers[i].log->rounds;
		sleep_ms(200);
		EXPECT_LT(rounds, workers[i].log->rounds);
		worker_stop(&workers[i]);
	}
	for (i = 0; i < 3; i++)
		group_remove(&leaves[i]);
	EXPECT_GE(self->nodes, nodes_used_at_last(self->nodes));
}

int main(int argc, char **argv)
{
	return sched_main(argc, argv);
}
