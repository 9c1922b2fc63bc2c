// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loads of the CPU benchmark.
 *
 *	bench-cpu load GROUP:KIND:N...
 *		N processes in each GROUP (below /sys/fs/cgroup), all let go at
 *		once, until this one is killed; prints "ready" then.  KIND:
 *		hog		computes
 *		pin		computes on CPU 0
 *		RUN/SLEEP	computes so many us, sleeps so many us
 *
 *	bench-cpu wake GROUP RUN SLEEP MS
 *		a process in GROUP that computes RUN us and sleeps SLEEP us, for
 *		MS ms; prints its wake-up latencies, us, as JSON
 *
 *	bench-cpu time GROUP N PAUSE COMMAND [ARG...]
 *		runs COMMAND in GROUP N times, PAUSE ms apart; prints how long
 *		it took, ms, one line each
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CGROUP		"/sys/fs/cgroup/"
#define MAX_SAMPLES	100000

static void fail(const char *what)
{
	fprintf(stderr, "bench-cpu: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static double now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static void sleep_until(double us)
{
	struct timespec ts = { .tv_sec = us / 1e6 };

	ts.tv_nsec = (us - ts.tv_sec * 1e6) * 1e3;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void compute(double us)
{
	double end = now_us(CLOCK_THREAD_CPUTIME_ID) + us;

	while (now_us(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static void join(const char *group)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), CGROUP "%s/cgroup.procs", group);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(path);
	close(fd);
	/* Else a sleep may end 50 us late for all schedulers. */
	prctl(PR_SET_TIMERSLACK, 1UL);
}

/* ---- load ---------------------------------------------------------------- */

struct start {
	int joined;	/* children that are in their group */
	int go;		/* now they may begin */
};

static void be(const char *kind)
{
	double run, rest;
	cpu_set_t cpus;

	if (!strcmp(kind, "pin")) {
		CPU_ZERO(&cpus);
		CPU_SET(0, &cpus);
		if (sched_setaffinity(0, sizeof(cpus), &cpus))
			fail("sched_setaffinity");
	} else if (sscanf(kind, "%lf/%lf", &run, &rest) == 2) {
		for (;;) {
			compute(run);
			sleep_until(now_us(CLOCK_MONOTONIC) + rest);
		}
	} else if (strcmp(kind, "hog")) {
		errno = EINVAL;
		fail(kind);
	}
	for (;;)
		__asm__ volatile("" ::: "memory");
}

static void spawn(struct start *start, const char *group, const char *kind)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	join(group);
	__atomic_add_fetch(&start->joined, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&start->go, __ATOMIC_SEQ_CST))
		usleep(1000);
	be(kind);
}

static int load(int argc, char **argv)
{
	struct start *start = mmap(NULL, sizeof(*start), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int i, n, all = 0;
	char *group, *kind, *count;

	if (start == MAP_FAILED)
		fail("mmap");
	for (i = 0; i < argc; i++) {
		group = strtok(argv[i], ":");
		kind = strtok(NULL, ":");
		count = strtok(NULL, ":");
		n = count ? atoi(count) : 0;
		all += n;
		while (n--)
			spawn(start, group, kind);
	}
	while (__atomic_load_n(&start->joined, __ATOMIC_SEQ_CST) < all) {
		usleep(1000);
		if (waitpid(-1, NULL, WNOHANG) > 0)
			return 1;	/* it has said why */
	}
	__atomic_store_n(&start->go, 1, __ATOMIC_SEQ_CST);
	puts("ready");
	fflush(stdout);
	wait(NULL);
	return 1;
}

/* ---- wake ---------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* us that this thread was runnable and waited for a CPU so far, as the kernel counts for every scheduler. */
static double waited_us(int fd)
{
	unsigned long long ran, waited;
	char text[128] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 || sscanf(text, "%llu %llu", &ran, &waited) != 2)
		fail("/proc/self/schedstat");
	return waited / 1e3;
}

static void print_quantiles(const char *what, double *samples, int n)
{
	qsort(samples, n, sizeof(*samples), ascending);
	printf("\"%s\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f}", what,
	       samples[n / 2], samples[n * 9 / 10], samples[n * 99 / 100], samples[n - 1]);
}

/*
 * From waking up to running: as the kernel counts it, and how late the sleeper is, which on an emulated machine
 * is mostly how late its timer is.
 */
static int wake(const char *group, double run, double rest, double ms)
{
	static double wait[MAX_SAMPLES], late[MAX_SAMPLES];
	int n = 0, fd = open("/proc/self/schedstat", O_RDONLY);
	double end, target, before;

	join(group);
	end = now_us(CLOCK_MONOTONIC) + ms * 1e3;
	do {
		compute(run);
		before = waited_us(fd);
		target = now_us(CLOCK_MONOTONIC) + rest;
		sleep_until(target);
		late[n] = now_us(CLOCK_MONOTONIC) - target;
		wait[n++] = waited_us(fd) - before;
	} while (n < MAX_SAMPLES && now_us(CLOCK_MONOTONIC) < end);
	printf("{\"n\": %d, ", n);
	print_quantiles("wait", wait, n);
	fputs(", ", stdout);
	print_quantiles("late", late, n);
	puts("}");
	return 0;
}

/* ---- time ---------------------------------------------------------------- */

static void run_quietly(char **argv)
{
	int status, null;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (!pid) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		execvp(argv[0], argv);
		fail(argv[0]);
	}
	waitpid(pid, &status, 0);
	if (status) {
		errno = EIO;
		fail(argv[0]);
	}
}

static int time_it(const char *group, int n, double pause, char **argv)
{
	double begin;

	join(group);
	while (n--) {
		sleep_until(now_us(CLOCK_MONOTONIC) + pause * 1e3);
		begin = now_us(CLOCK_MONOTONIC);
		run_quietly(argv);
		printf("%.3f\n", (now_us(CLOCK_MONOTONIC) - begin) / 1e3);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "load"))
		return load(argc - 2, argv + 2);
	if (argc == 6 && !strcmp(argv[1], "wake"))
		return wake(argv[2], atof(argv[3]), atof(argv[4]), atof(argv[5]));
	if (argc >= 6 && !strcmp(argv[1], "time"))
		return time_it(argv[2], atoi(argv[3]), atof(argv[4]), argv + 5);
	fprintf(stderr, "Usage: see the top of tests/bench/cpu.c\n");
	return 2;
}
