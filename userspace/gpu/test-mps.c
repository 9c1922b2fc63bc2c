// SPDX-License-Identifier: GPL-2.0-only
/* With a fake nvidia-cuda-mps-control, a script that leaves a process and a PID file as NVIDIA's does. */
#include "mps.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "tap.h"

#define UUID	"GPU-11111111-2222-3333-4444-555555555555"

#define START_USEC	(2 * USEC_PER_SEC)

static sd_event *event;
static struct mps *m;
static int told, asked, outcome, nr_ended;
static char base[] = "/tmp/agentcg-mps.XXXXXX", why[AGENTCG_WHY_MAX];

static bool exists(const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/mps-" UUID "%s", base, file);
	return access(path, F_OK) == 0;
}

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	f = fopen(path, "w");
	if (!f)
		return;
	fputs(text, f);
	fclose(f);
	chmod(path, 0755);
}

static void shares(void)
{
	const struct mps_client have[] = { { 60, false }, { 30, false }, { 50, true } };
	struct mps_client more = { 10, false };

	tap_ok(!agentcg_mps_check(have, 3, &more, why), "what is left may be had");
	more.share = 11;
	tap_ok(agentcg_mps_check(have, 3, &more, why) == -ENOSPC && strstr(why, "10 % at most"), "no more: %s", why);
	more.best_effort = true;
	more.share = 100;
	tap_ok(!agentcg_mps_check(have, 3, &more, why), "best effort takes what the others leave");
	more.share = 101;
	tap_ok(agentcg_mps_check(NULL, 0, &more, why) == -EINVAL, "more than all is refused: %s", why);
}

/* Events, until @done or so many milliseconds. */
static bool wait_for(bool (*done)(void), unsigned int msec)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + msec * USEC_PER_MSEC, now;

	while (!done() && (now = now_usec(CLOCK_MONOTONIC)) < end)
		sd_event_run(event, end - now < 20000 ? end - now : 20000);
	return done();
}

static bool told_all(void)
{
	return told == asked;
}

static bool runs(void)
{
	return agentcg_mps_runs(m, UUID);
}

static bool gone(void)
{
	return !exists("");
}

static bool runs_not(void)
{
	return !runs();
}

static bool never(void)
{
	return false;
}

/* 0: none. */
static int pid_in(const char *file)
{
	char path[256];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/mps-" UUID "%s", base, file);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	return pid;
}

/* The one that starts has begun to execute what it is. */
static bool named(void)
{
	char path[64], comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid_in("/starting"));
	f = fopen(path, "r");
	if (f && !fgets(comm, sizeof(comm), f))
		*comm = 0;
	if (f)
		fclose(f);
	return startswith(comm, "nvidia-cuda-mps");
}

static void on_done(int error, const char *text, void *userdata)
{
	told++;
	outcome = error;
	snprintf(why, sizeof(why), "%s", text);
}

static void on_ended(const char *uuid, void *userdata)
{
	nr_ended += streq(uuid, UUID);
}

/* Its outcome. */
static int start(void)
{
	int r = agentcg_mps_start(m, UUID, on_done, &told, why);

	if (r != -EINPROGRESS)
		return r;
	asked++;
	return wait_for(told_all, 10000) ? outcome : -ETIMEDOUT;
}

static void again(void)
{
	m = agentcg_mps_free(m);
	agentcg_mps_new(event, base, START_USEC, on_ended, NULL, &m);
}

static bool nobody(const char *uuid, void *userdata)
{
	return false;
}

static int take_signal(const char *file, int sig)
{
	int pid = pid_in(file);

	return pid > 1 ? kill(pid, sig) : -1;
}

/* What NVIDIA's does: a process by its name, with a PID file; "quit" by standard input.  @before: that, @kind: of quitting. */
static void put_control(const char *before, const char *quit)
{
	char text[2048];

	/* The loop is exec'ed under the name that is looked for. */
	snprintf(text, sizeof(text),
		 "#!/bin/bash\n"
		 "set -e\n"
		 "pid=$CUDA_MPS_PIPE_DIRECTORY/nvidia-cuda-mps-control.pid\n"
		 "if [ \"$1\" = -d ]; then\n"
		 "	[ -d \"$CUDA_MPS_LOG_DIRECTORY\" ] && [ \"$CUDA_VISIBLE_DEVICES\" = " UUID " ]\n"
		 "	%s\n"
		 "	cp /bin/sleep \"$CUDA_MPS_LOG_DIRECTORY/nvidia-cuda-mps-control\"\n"
		 "	\"$CUDA_MPS_LOG_DIRECTORY/nvidia-cuda-mps-control\" 100 </dev/null >/dev/null 2>&1 &\n"
		 "	echo $! >\"$pid\"\n"
		 "	sleep 0.1\n"
		 "else\n"
		 "	read -r word; [ \"$word\" = quit ]; %s\n"
		 "fi\n", before, quit);
	put("nvidia-cuda-mps-control", text);
}

#define QUIT	"kill $(cat \"$pid\")"

static void control(void)
{
	put_control("", QUIT);
	tap_ok(!runs(), "none runs");
	tap_ok(!start() && runs() && told == 1, "it starts, with folders of its own");
	tap_ok(!start() && runs() && told == 1, "twice is once");
	agentcg_mps_stop(m, UUID);
	tap_ok(wait_for(gone, 5000) && !runs(), "it ends, and its folder is gone");
	agentcg_mps_stop(m, UUID);
	tap_ok(gone() && !nr_ended, "twice is once");

	tap_ok(agentcg_mps_start(m, UUID, on_done, &told, why) == -EINPROGRESS &&
	       agentcg_mps_start(m, UUID, on_done, &asked, why) == -EINPROGRESS, "two that want it wait for the same");
	asked += 2;
	tap_ok(wait_for(told_all, 5000) && !outcome, "... and both are told");
	take_signal("/pipe/nvidia-cuda-mps-control.pid", SIGKILL);
	wait_for(gone, 5000);
	tap_ok(nr_ended == 1 && gone(), "one that dies is told, and its folder is gone");
	tap_ok(!start(), "the next one starts");

	/* Its clients still run. */
	put_control("", "true");
	agentcg_mps_stop(m, UUID);
	tap_ok(start() == -EBUSY && runs(), "one that ends is not given: %s", why);
	agentcg_mps_start(m, UUID, on_done, &told, why);
	asked++;
	take_signal("/pipe/nvidia-cuda-mps-control.pid", SIGTERM);
	tap_ok(wait_for(told_all, 5000) && !outcome && runs(), "... who waits gets the next, when it has ended");
	put_control("", QUIT);
	agentcg_mps_stop(m, UUID);
	wait_for(gone, 5000);
}

static void slow(void)
{
	put_control("sleep 0.5", QUIT);
	tap_ok(!start() && runs(), "a slow one is waited for");
	agentcg_mps_stop(m, UUID);
	wait_for(gone, 5000);
	agentcg_mps_start(m, UUID, on_done, &told, why);
	agentcg_mps_forget(m, &told);
	wait_for(runs, 5000);
	tap_ok(wait_for(gone, 5000) && told == asked, "one that nobody waits for any more is ended when it has started");
	put_control("exec sleep 60", QUIT);
	tap_ok(start() == -EIO && !exists(""), "one that never does: %s", why);
	put("nvidia-cuda-mps-control", "#!/bin/sh\nexit 1\n");
	tap_ok(start() == -EIO && !exists(""), "one that fails leaves nothing: %s", why);
}

/* What a daemon that was killed has begun. */
static void next_daemon(void)
{
	put_control("", QUIT);
	start();
	again();
	tap_ok(!start() && runs(), "the next daemon finds it");
	again();
	agentcg_mps_sweep(m, nobody, NULL);
	tap_ok(wait_for(gone, 5000), "... or ends it, if nobody uses it");

	put_control("sleep 0.5", QUIT);
	agentcg_mps_start(m, UUID, on_done, &told, why);
	wait_for(named, 5000);
	again();
	agentcg_mps_sweep(m, nobody, NULL);
	tap_ok(wait_for(runs, 5000) && wait_for(gone, 5000), "... also one that was about to start");
	put_control("cp /bin/sleep $CUDA_MPS_LOG_DIRECTORY/nvidia-cuda-mps-control\n"
		    "	exec $CUDA_MPS_LOG_DIRECTORY/nvidia-cuda-mps-control 60", QUIT);
	agentcg_mps_start(m, UUID, on_done, &told, why);
	wait_for(named, 5000);
	again();
	agentcg_mps_sweep(m, nobody, NULL);
	tap_ok(take_signal("/starting", 0) == 0, "... which hangs");
	tap_ok(wait_for(gone, 8000), "... and is killed in time");

	put_control("", QUIT);
	start();
	put_control("", "true");
	agentcg_mps_stop(m, UUID);
	wait_for(never, 300);
	again();
	take_signal("/pipe/nvidia-cuda-mps-control.pid", SIGTERM);
	wait_for(runs_not, 1000);
	agentcg_mps_sweep(m, nobody, NULL);
	tap_ok(wait_for(gone, 2000), "what has ended while there was no daemon is removed");
}

/* The number of a process that is another one by now. */
static void stale(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/mps-" UUID, base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/mps-" UUID "/pipe", base);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%d\n", getpid());
	put("mps-" UUID "/pipe/nvidia-cuda-mps-control.pid", path);
	agentcg_mps_stop(m, UUID);
	tap_ok(!runs() && !exists(""), "a stale PID file names nobody");
	setenv("PATH", "/nonexistent", 1);
	tap_ok(agentcg_mps_start(m, UUID, on_done, &told, why) == -EOPNOTSUPP && !exists(""), "without MPS: %s", why);
}

int main(void)
{
	char path[512];

	if (!mkdtemp(base))
		return 1;
	snprintf(path, sizeof(path), "%s:%s", base, getenv("PATH") ?: "/usr/bin:/bin");
	setenv("PATH", path, 1);
	signal(SIGCHLD, SIG_IGN);	/* as the daemon does */
	if (sd_event_default(&event) < 0 || agentcg_mps_new(event, base, START_USEC, on_ended, NULL, &m) < 0)
		return 1;
	shares();
	control();
	slow();
	next_daemon();
	stale();
	agentcg_mps_free(m);
	sd_event_unref(event);
	snprintf(path, sizeof(path), "%s/nvidia-cuda-mps-control", base);
	unlink(path);
	rmdir(base);
	return tap_done();
}
