// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whom the scheduler leaves alone: real-time tasks, and the kernel's own
 * threads, which share the machine with
 *
 *	agentcg-test/hogs	weight 10000, 4 hogs for each CPU
 */
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "harness.h"

#define WINDOW_MS	2000

FIXTURE(realtime) {
	struct group hogs, other;
	struct worker worker;
};

FIXTURE_SETUP(realtime)
{
	ASSERT_TRUE(sched_ready());
	ASSERT_EQ(0, group_make(&self->hogs, "hogs"));
	ASSERT_EQ(0, group_make(&self->other, "other"));
	ASSERT_EQ(0, group_set(&self->hogs, "cpu.weight", 10000));
}

FIXTURE_TEARDOWN(realtime)
{
	worker_stop(&self->worker);
	group_remove(&self->hogs);
	group_remove(&self->other);
	EXPECT_TRUE(sched_running());
}

/* Its latency beside the hogs is that of an idle machine. */
TEST_F(realtime, a_fifo_task_waits_for_nobody)
{
	static const struct work fifo = { .run_us = 1000, .sleep_us = 10000, .fifo = 10 };
	double idle, busy;
	long from;

	ASSERT_EQ(0, worker_start(&self->worker, &self->other, &fifo));
	sleep_ms(WINDOW_MS);
	idle = worker_wait_us(&self->worker, 0, 50);
	ASSERT_EQ(0, hogs_start(&self->hogs, 4 * get_nprocs()));
	from = self->worker.log->rounds;
	sleep_ms(WINDOW_MS);
	busy = worker_wait_us(&self->worker, from, 50);
	TH_LOG("median: idle machine %.0f us, hogs %.0f us", idle, busy);
	EXPECT_LT(100, self->worker.log->rounds - from);
	EXPECT_GE(idle + 500, busy);
}

/* A real-time task that never sleeps has all of its CPU but what the kernel keeps for others. */
TEST_F(realtime, a_fifo_hog_is_not_counted_against_its_group)
{
	static const struct work fifo = { .cpus = 1, .fifo = 10 };
	struct group groups[2] = { self->hogs, self->other };
	double cpus[2], used;

	ASSERT_EQ(0, group_set(&self->hogs, "cpu.weight", 100));
	ASSERT_EQ(0, hogs_start(&self->hogs, 2));
	ASSERT_EQ(0, hogs_start(&self->other, 2));
	ASSERT_EQ(0, worker_start(&self->worker, &self->other, &fifo));
	sleep_ms(500);
	used = worker_cpu_ms(&self->worker);
	measure(groups, cpus, 2, WINDOW_MS);
	used = (worker_cpu_ms(&self->worker) - used) / WINDOW_MS;
	EXPECT_LE(0.85, used);
	/* What is left is shared equally. */
	EXPECT_NEAR(cpus[0], cpus[1] - used, 20, "the others of the group");
}

static double write_and_sync(struct __test_metadata *_metadata)
{
	static char block[1 << 16];
	double began = now_ms();
	int i, fd;

	fd = open("/scratch/sched-test", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	for (i = 0; i < 64; i++)
		ASSERT_EQ(sizeof(block), write(fd, block, sizeof(block)));
	ASSERT_EQ(0, fsync(fd));
	close(fd);
	unlink("/scratch/sched-test");
	return now_ms() - began;
}

/* 4 MiB take the flusher, the journal and the disk's threads. */
TEST_F(realtime, a_file_reaches_the_disk)
{
	double idle, busy;

	if (access("/scratch", W_OK))
		SKIP(return, "no /scratch to write to");
	write_and_sync(_metadata);
	idle = write_and_sync(_metadata);
	ASSERT_EQ(0, hogs_start(&self->hogs, 4 * get_nprocs()));
	sleep_ms(500);
	busy = write_and_sync(_metadata);
	TH_LOG("4 MiB: idle machine %.0f ms, hogs %.0f ms", idle, busy);
	EXPECT_GE(20 * idle + 1000, busy);
}

/* The RCU threads end a grace period, and cgroups that were removed are gone. */
TEST_F(realtime, grace_periods_end)
{
	double began, worst = 0;
	struct group g;
	int i;

	ASSERT_EQ(0, hogs_start(&self->hogs, 4 * get_nprocs()));
	sleep_ms(500);
	for (i = 0; i < 10; i++) {
		began = now_ms();
		ASSERT_EQ(0, syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
		ASSERT_EQ(0, group_make(&g, "gone"));
		group_remove(&g);
		if (now_ms() - began > worst)
			worst = now_ms() - began;
	}
	TH_LOG("the longest of 10: %.0f ms", worst);
	EXPECT_GE(1000, worst);
}

#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

static long swap_number(const char *path, long value)
{
	FILE *f = fopen(path, "r+e");
	long before = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &before) != 1)
		before = -1;
	rewind(f);
	fprintf(f, "%ld\n", value);
	fclose(f);
	return before;
}

static pid_t kernel_thread(const char *name)
{
	char path[64], comm[32];
	FILE *f;
	pid_t pid;

	for (pid = 3; pid < 1000; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (!fgets(comm, sizeof(comm), f))
			*comm = 0;
		fclose(f);
		comm[strcspn(comm, "\n")] = 0;
		if (!strcmp(comm, name))
			return pid;
	}
	return 0;
}

/* ms that it ran, and waited for a CPU */
static void times_of(pid_t pid, double *ran, double *waited)
{
	unsigned long long run = 0, wait = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%llu %llu", &run, &wait) != 2)
		run = 0;
	if (f)
		fclose(f);
	*ran = run / 1e6;
	*waited = wait / 1e6;
}

/*
 * khugepaged copies pages, with the lock that all page faults of that process wait for. It has the greatest nice value,
 * and the root group, where it is, has hogs of its own: it goes on all the same.
 */
TEST_F(realtime, a_kernel_thread_does_not_wait_for_its_share)
{
	const size_t size = 64 << 20;
	double ran[2], waited[2];
	pid_t own[4], pid = kernel_thread("khugepaged");
	long sleep, alloc;
	char *p;
	int i;

	if (!pid)
		SKIP(return, "this kernel has no khugepaged");
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, madvise(p, size, MADV_NOHUGEPAGE));
	memset(p, 1, size);
	ASSERT_EQ(0, hogs_start(&self->hogs, 4 * get_nprocs()));
	for (i = 0; i < 4; i++) {
		own[i] = fork();
		ASSERT_LE(0, own[i]);
		for (; !own[i];)
			worker_use_cpu(1000000);
	}
	sleep_ms(500);
	sleep = swap_number(KHUGEPAGED "scan_sleep_millisecs", 100);
	alloc = swap_number(KHUGEPAGED "alloc_sleep_millisecs", 100);
	times_of(pid, &ran[0], &waited[0]);
	ASSERT_EQ(0, madvise(p, size, MADV_HUGEPAGE));
	sleep_ms(4000);
	times_of(pid, &ran[1], &waited[1]);
	swap_number(KHUGEPAGED "scan_sleep_millisecs", sleep);
	swap_number(KHUGEPAGED "alloc_sleep_millisecs", alloc);
	for (i = 0; i < 4; i++)
		kill(own[i], SIGKILL);
	munmap(p, size);
	TH_LOG("khugepaged ran %.0f ms, and waited %.0f ms", ran[1] - ran[0], waited[1] - waited[0]);
	EXPECT_LT(10, ran[1] - ran[0]);
	EXPECT_GT(ran[1] - ran[0] + 100, waited[1] - waited[0]);
}

/*
 * Threads that feed a GPU spin while they wait for it. What the kernel has to do on their CPU, and
 * others wait for, goes on: here its counters are collected, by a thread of each CPU.
 */
TEST_F(realtime, gpu_threads_that_spin_leave_the_kernel_its_cpu)
{
	const struct work spin = { .cpus = 1UL << (get_nprocs() - 1) };
	const struct group all = { .path = "/sys/fs/cgroup/agentcg-test" };
	const cpu_set_t first = { { 1 } };
	struct worker second = {};
	double began, used, worst = 0;
	pid_t own;
	int i, fd;

	/* What the kernel may use ahead of its share is used up: its group, the root, has a CPU, and is due a hundredth of that. */
	own = fork();
	ASSERT_LE(0, own);
	if (!own) {
		sched_setaffinity(0, sizeof(first), &first);
		for (;;)
			worker_use_cpu(1000000);
	}
	ASSERT_EQ(0, group_set(&all, "cpu.weight", 10000));
	ASSERT_EQ(0, worker_start(&self->worker, &self->other, &spin));
	ASSERT_EQ(0, worker_start(&second, &self->other, &spin));
	ASSERT_EQ(0, sched_hint(&sched, 0, self->worker.pid, AGENTCG_CLASS_GPU, 0));
	ASSERT_EQ(0, sched_hint(&sched, 0, second.pid, AGENTCG_CLASS_GPU, 0));
	sleep_ms(WINDOW_MS);
	began = now_ms();
	used = worker_cpu_ms(&self->worker) + worker_cpu_ms(&second);
	for (i = 0; i < 10; i++) {
		double from = now_ms();

		fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
		EXPECT_EQ(1, write(fd, "1", 1));
		close(fd);
		if (now_ms() - from > worst)
			worst = now_ms() - from;
	}
	sleep_ms(500);
	used = (worker_cpu_ms(&self->worker) + worker_cpu_ms(&second) - used) / (now_ms() - began);
	TH_LOG("the longest of 10: %.0f ms; both threads: %.2f CPUs", worst, used);
	EXPECT_GE(500, worst);
	EXPECT_LE(0.85, used);
	kill(own, SIGKILL);
	worker_stop(&second);
	group_set(&all, "cpu.weight", 100);
}

int main(int argc, char **argv)
{
	return sched_main(argc, argv);
}
