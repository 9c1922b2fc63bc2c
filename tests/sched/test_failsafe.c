// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scheduler ends, by an error, a stall, or since it is told to: the machine
 * goes on with the kernel's own, the record says why, and it loads again.  Each
 * test has its own scheduler, and
 *
 *	agentcg-test/call	2 hogs, a task that wakes up every 5 ms, one that forks
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

/* enum scx_exit_kind */
#define EXIT_UNREG	64
#define EXIT_ERROR_BPF	1025
#define EXIT_ERROR_STALL 1026

#define PIN		"/sys/fs/bpf/agentcg-test-sched"
#define WATCHDOG_MS	3000

static const struct work sleeper = { .run_us = 500, .sleep_us = 5000 };

FIXTURE(failsafe) {
	struct group call;
	struct worker sleeper;
	pid_t forker;
	struct sched sched;
};

/* A process that does nothing but fork. */
static pid_t start_forker(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (;;) {
		pid = fork();
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

FIXTURE_SETUP(failsafe)
{
	ASSERT_TRUE(goes_first());
	ASSERT_FALSE(sched_running());
	ASSERT_EQ(0, group_make(&self->call, "call"));
	ASSERT_EQ(0, hogs_start(&self->call, 2));
	ASSERT_EQ(0, worker_start(&self->sleeper, &self->call, &sleeper));
	self->forker = start_forker();
	ASSERT_LT(0, self->forker);
}

FIXTURE_TEARDOWN(failsafe)
{
	kill(self->forker, SIGKILL);
	worker_stop(&self->sleeper);
	group_remove(&self->call);
	sched_stop(&self->sched);
	unlink(PIN);
	EXPECT_TRUE(sched_ends(5000));
}

/* Hogs and sleepers go on, whoever schedules them. */
static void all_goes_on(struct __test_metadata *_metadata, FIXTURE_DATA(failsafe) *self)
{
	long rounds = self->sleeper.log->rounds;
	double used = group_cpu_ms(&self->call), end = now_ms() + 5000;

	while (now_ms() < end &&
	       (self->sleeper.log->rounds < rounds + 10 || group_cpu_ms(&self->call) < used + 100))
		sleep_ms(20);
	EXPECT_LE(rounds + 10, self->sleeper.log->rounds);
	EXPECT_LE(used + 100, group_cpu_ms(&self->call));
}

static void it_loads_again(struct __test_metadata *_metadata, FIXTURE_DATA(failsafe) *self)
{
	sched_stop(&self->sched);
	ASSERT_EQ(0, sched_start(&self->sched, 0));
	EXPECT_TRUE(sched_running());
	all_goes_on(_metadata, self);
	EXPECT_EQ(0, sched_exit_record(&self->sched).time);
}

TEST_F(failsafe, an_error_ends_it)
{
	struct agentcg_sched_exit e;

	ASSERT_EQ(0, sched_start(&self->sched, 0));
	all_goes_on(_metadata, self);
	ASSERT_TRUE(sched_running());
	ASSERT_EQ(0, sched_inject(&self->sched, AGENTCG_INJECT_ERROR));
	ASSERT_TRUE(sched_ends(5000));
	e = sched_exit_record(&self->sched);
	EXPECT_NE(0, e.time);
	EXPECT_EQ(EXIT_ERROR_BPF, e.kind);
	EXPECT_NE(NULL, strstr(e.message, "injected"));
	EXPECT_LT(0, strlen(e.reason));
	all_goes_on(_metadata, self);
	it_loads_again(_metadata, self);
}

/* What the daemon waits for. */
static int on_event(void *ctx, void *data, size_t size)
{
	*(__u64 *)ctx = size == sizeof(__u64) ? *(__u64 *)data : 0;
	return 0;
}

TEST_F(failsafe, an_event_tells_of_its_end)
{
	struct ring_buffer *ring;
	__u64 time = 0;

	ASSERT_EQ(0, sched_start(&self->sched, 0));
	ring = ring_buffer__new(bpf_map__fd(self->sched.skel->maps.sched_events), on_event, &time, NULL);
	ASSERT_NE(NULL, ring);
	EXPECT_EQ(0, ring_buffer__poll(ring, 0));
	ASSERT_EQ(0, sched_inject(&self->sched, AGENTCG_INJECT_ERROR));
	EXPECT_EQ(1, ring_buffer__poll(ring, 5000));
	EXPECT_EQ(time, sched_exit_record(&self->sched).time);
	EXPECT_NE(0, time);
	ring_buffer__free(ring);
}

/* Tasks are queued where nobody looks; the kernel's watchdog looks twice in its time. */
TEST_F(failsafe, a_stall_ends_it)
{
	struct agentcg_sched_exit e;
	double began;

	ASSERT_EQ(0, sched_start(&self->sched, WATCHDOG_MS));
	all_goes_on(_metadata, self);
	began = now_ms();
	ASSERT_EQ(0, sched_inject(&self->sched, AGENTCG_INJECT_STALL));
	ASSERT_TRUE(sched_ends(4 * WATCHDOG_MS));
	EXPECT_LE(WATCHDOG_MS / 2, now_ms() - began);
	e = sched_exit_record(&self->sched);
	EXPECT_NE(0, e.time);
	EXPECT_EQ(EXIT_ERROR_STALL, e.kind);
	EXPECT_LT(0, strlen(e.message));
	all_goes_on(_metadata, self);
	it_loads_again(_metadata, self);
}

/* SysRq-S is the way out for whoever sits before the machine. */
TEST_F(failsafe, sysrq_ends_it)
{
	FILE *f;

	ASSERT_EQ(0, sched_start(&self->sched, 0));
	f = fopen("/proc/sysrq-trigger", "we");
	ASSERT_NE(NULL, f);
	fputs("S", f);
	ASSERT_EQ(0, fclose(f));
	ASSERT_TRUE(sched_ends(5000));
	EXPECT_LT(EXIT_UNREG, sched_exit_record(&self->sched).kind);
	EXPECT_GT(EXIT_ERROR_BPF - 1, sched_exit_record(&self->sched).kind);
	it_loads_again(_metadata, self);
}

/* A loader that is killed leaves a pinned link; the scheduler ends with the pin. */
TEST_F(failsafe, who_is_killed_leaves_it_running)
{
	struct agentcg_sched_exit e;
	__u32 id, len = sizeof(struct bpf_map_info);
	struct bpf_map_info info = {};
	pid_t loader;
	int map, status, fds[2];

	ASSERT_EQ(0, pipe(fds));
	loader = fork();
	if (!loader) {
		struct sched s;

		if (!goes_first() || sched_start(&s, 0) || bpf_link__pin(s.link, PIN))
			_exit(1);
		bpf_map_get_info_by_fd(bpf_map__fd(s.skel->maps.sched_exit), &info, &len);
		if (write(fds[1], &info.id, sizeof(info.id)) != sizeof(info.id))
			_exit(1);
		pause();
	}
	ASSERT_EQ(sizeof(id), read(fds[0], &id, sizeof(id)));
	map = bpf_map_get_fd_by_id(id);
	ASSERT_LE(0, map);
	kill(loader, SIGKILL);
	ASSERT_EQ(loader, waitpid(loader, &status, 0));
	sleep_ms(300);
	EXPECT_TRUE(sched_running());
	all_goes_on(_metadata, self);
	EXPECT_TRUE(sched_running());
	ASSERT_EQ(0, unlink(PIN));
	ASSERT_TRUE(sched_ends(5000));
	ASSERT_EQ(0, bpf_map_lookup_elem(map, &(__u32){ 0 }, &e));
	EXPECT_EQ(EXIT_UNREG, e.kind);
	close(map);
	all_goes_on(_metadata, self);
}

/* There is one scheduler for a machine: a second one is refused, and the first stays. */
TEST_F(failsafe, a_second_one_is_refused)
{
	struct sched second;

	ASSERT_EQ(0, sched_start(&self->sched, 0));
	EXPECT_GT(0, sched_start(&second, 0));
	EXPECT_TRUE(sched_running());
	EXPECT_EQ(0, sched_exit_record(&self->sched).time);
}

/* 30 times there and back with hogs, sleepers and forks; every tenth time all is loaded anew. */
TEST_F(failsafe, it_comes_and_goes)
{
	struct sched *s = &self->sched;
	int i;

	for (i = 0; i < 30; i++) {
		if (i % 10 == 0) {
			sched_stop(s);
			ASSERT_EQ(0, sched_start(s, 0));
		} else {
			s->link = bpf_map__attach_struct_ops(s->skel->maps.agentcg_sched);
			ASSERT_NE(NULL, s->link);
		}
		ASSERT_TRUE(sched_running());
		sleep_ms(50);
		bpf_link__destroy(s->link);
		s->link = NULL;
		ASSERT_FALSE(sched_running());
		EXPECT_EQ(EXIT_UNREG, sched_exit_record(s).kind);
	}
	all_goes_on(_metadata, self);
}

int main(int argc, char **argv)
{
	return sched_skips() ? KSFT_SKIP : test_harness_run(argc, argv);
}
