// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "scheduler.h"

#define SCX "/sys/kernel/sched_ext/"

struct sched sched;

/* ---- the scheduler ------------------------------------------------------- */

static bool file_begins_with(const char *path, const char *text)
{
	char line[64] = "";
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	return !strncmp(line, text, strlen(text));
}

const char *sched_unsupported(void)
{
	return access(SCX "state", F_OK) ? "no sched_ext in this kernel" : NULL;
}

bool sched_running(void)
{
	return file_begins_with(SCX "state", "enabled") &&
		file_begins_with(SCX "root/ops", "agentcg");
}

bool sched_ends(long ms)
{
	double end = now_ms() + ms;

	while (!file_begins_with(SCX "state", "disabled")) {
		if (now_ms() > end)
			return false;
		sleep_ms(20);
	}
	return true;
}

static int print_warnings(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN || getenv("BPF_DEBUG") ? vfprintf(stderr, format, args) : 0;
}

int sched_start(struct sched *s, __u32 timeout_ms)
{
	__u32 cpus = libbpf_num_possible_cpus();
	int err;

	libbpf_set_print(print_warnings);
	memset(s, 0, sizeof(*s));
	s->skel = sched_bpf__open();
	if (!s->skel)
		return -errno;
	s->skel->rodata->nr_cpus = cpus;
	s->skel->struct_ops.agentcg_sched->timeout_ms = timeout_ms;
	err = bpf_map__set_max_entries(s->skel->maps.cpu_ctxs, cpus) ?:
		bpf_map__set_max_entries(s->skel->maps.skips, cpus) ?:
		sched_bpf__load(s->skel);
	if (!err) {
		s->link = bpf_map__attach_struct_ops(s->skel->maps.agentcg_sched);
		if (!s->link)
			err = -errno;
	}
	if (err) {
		fprintf(stderr, "# the scheduler does not start: %s\n", strerror(-err));
		sched_stop(s);
	}
	return err;
}

void sched_stop(struct sched *s)
{
	bpf_link__destroy(s->link);
	sched_bpf__destroy(s->skel);
	memset(s, 0, sizeof(*s));
}

static long run_program(struct bpf_program *prog, void *arg, size_t size, const __s64 *result)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = arg, .ctx_size_in = size);
	int err = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);

	return err ?: *result;
}

long sched_hint(struct sched *s, __u64 cgroup_id, pid_t tid, enum agentcg_class class,
		__u64 deadline)
{
	struct agentcg_hint arg = {
		.cgroup_id = cgroup_id, .tid = tid, .class = class, .deadline = deadline,
	};

	return run_program(s->skel->progs.hint, &arg, sizeof(arg), &arg.result);
}

long sched_reserve(struct sched *s, __u32 cpu, bool on)
{
	struct agentcg_reserve arg = { .cpu = cpu, .on = on };

	return run_program(s->skel->progs.reserve, &arg, sizeof(arg), &arg.result);
}

long sched_inject(struct sched *s, enum agentcg_inject what)
{
	struct agentcg_inject_arg arg = { .what = what };

	return run_program(s->skel->progs.inject, &arg, sizeof(arg), &arg.result);
}

static long slot_of(struct sched *s, __u64 id)
{
	__u32 slot;

	if (bpf_map__lookup_elem(s->skel->maps.node_slots, &id, sizeof(id), &slot, sizeof(slot), 0))
		return -ENOENT;
	return slot;
}

const struct agentcg_node *sched_node(struct sched *s, const struct group *g)
{
	long slot = slot_of(s, g->id);

	return slot < 0 ? NULL : &s->skel->bss_nodes->nodes[slot];
}

int sched_nodes_used(struct sched *s)
{
	int i, n = 0;

	for (i = 0; i < AGENTCG_MAX_NODES; i++)
		n += !!s->skel->bss_nodes->nodes[i].cgroup_id;
	return n;
}

__u64 sched_counter(struct sched *s, enum agentcg_sched_counter counter)
{
	int i, cpus = libbpf_num_possible_cpus();
	__u64 values[AGENTCG_MAX_CPUS], sum = 0;
	__u32 key = counter;

	if (bpf_map__lookup_elem(s->skel->maps.sched_counters, &key, sizeof(key), values,
				 cpus * sizeof(*values), 0))
		return 0;
	for (i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

struct agentcg_sched_exit sched_exit_record(struct sched *s)
{
	struct agentcg_sched_exit e = {};
	__u32 zero = 0;

	bpf_map__lookup_elem(s->skel->maps.sched_exit, &zero, sizeof(zero), &e, sizeof(e), 0);
	return e;
}

struct agentcg_hist sched_wakeups(struct sched *s, const struct group *g)
{
	struct agentcg_hist h = {};
	__u32 slot = slot_of(s, g->id);

	bpf_map__lookup_elem(s->skel->maps.wakeups, &slot, sizeof(slot), &h, sizeof(h), 0);
	return h;
}

double wakeup_percentile(const struct agentcg_hist *before, const struct agentcg_hist *after,
			 double percent)
{
	__u64 all = 0, sum = 0;
	int i;

	for (i = 0; i < AGENTCG_HIST_BUCKETS; i++)
		all += after->count[i] - before->count[i];
	for (i = 0; i < AGENTCG_HIST_BUCKETS; i++) {
		sum += after->count[i] - before->count[i];
		if (all && sum >= all * percent / 100)
			return agentcg_bucket_floor(i + 1) / 1e3;
	}
	return -1;
}

/* ---- workers ------------------------------------------------------------- */

static double clock_us(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return -1;
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

void worker_use_cpu(long us)
{
	double end = clock_us(CLOCK_THREAD_CPUTIME_ID) + us;

	while (clock_us(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

static void set_up_worker(const struct work *work)
{
	struct sched_param param = { .sched_priority = work->fifo };
	cpu_set_t cpus;
	int i;

	prctl(PR_SET_TIMERSLACK, 1);
	CPU_ZERO(&cpus);
	for (i = 0; i < 64; i++)
		if (work->cpus & 1UL << i)
			CPU_SET(i, &cpus);
	if (work->cpus && sched_setaffinity(0, sizeof(cpus), &cpus))
		_exit(1);
	if (work->nice && setpriority(PRIO_PROCESS, 0, work->nice))
		_exit(1);
	if (work->fifo && sched_setscheduler(0, SCHED_FIFO, &param))
		_exit(1);
}

/* How long the caller has waited for a CPU so far, as the kernel counts it: timers and what is before them left out. */
static double waited_us(int fd)
{
	char text[128] = "";
	unsigned long long ran, waited;

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0 || sscanf(text, "%llu %llu", &ran, &waited) != 2)
		_exit(1);
	return waited / 1e3;
}

static void sleep_and_note(struct worker_log *log, int schedstat, long us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };
	long n = log->rounds % MAX_ROUNDS;
	double before = waited_us(schedstat);

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	log->round[n].wait_us = waited_us(schedstat) - before;
	log->round[n].cpu = sched_getcpu();
}

static void worker_main(const struct work *work, struct worker_log *log)
{
	int schedstat = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	set_up_worker(work);
	log->ready = true;
	for (;;) {
		if (work->run_us)
			worker_use_cpu(work->run_us);
		if (work->sleep_us)
			sleep_and_note(log, schedstat, work->sleep_us);
		log->rounds++;
	}
}

pid_t worker_fork(const struct group *g)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	int fd = -1, err;
	pid_t pid;

	if (g) {
		fd = open(g->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = fd;
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	err = -errno;
	if (fd >= 0)
		close(fd);
	return pid < 0 ? err : pid;
}

int worker_start(struct worker *w, const struct group *g, const struct work *work)
{
	double end;

	memset(w, 0, sizeof(*w));
	w->log = mmap(NULL, sizeof(*w->log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (w->log == MAP_FAILED)
		return -errno;
	w->pid = worker_fork(g);
	if (!w->pid) {
		worker_main(work, w->log);
		_exit(0);
	}
	for (end = now_ms() + 20000; w->pid > 0 && !w->log->ready; sleep_ms(1))
		if (now_ms() > end)
			return -ETIMEDOUT;
	return w->pid < 0 ? w->pid : 0;
}

void worker_stop(struct worker *w)
{
	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	if (w->log)
		munmap(w->log, sizeof(*w->log));
	memset(w, 0, sizeof(*w));
}

double worker_cpu_ms(const struct worker *w)
{
	clockid_t clock;

	if (clock_getcpuclockid(w->pid, &clock))
		return -1;
	return clock_us(clock) / 1e3;
}

static int by_size(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

double worker_wait_us(const struct worker *w, long from, double percent)
{
	long i, n = w->log->rounds - from, at;
	int *wait;
	double r;

	if (n <= 0 || n > MAX_ROUNDS)
		return -1;
	wait = malloc(n * sizeof(*wait));
	for (i = 0; i < n; i++)
		wait[i] = w->log->round[(from + i) % MAX_ROUNDS].wait_us;
	qsort(wait, n, sizeof(*wait), by_size);
	at = n * percent / 100;
	r = wait[at < n ? at : n - 1];
	free(wait);
	return r;
}

int hogs_start(const struct group *g, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		pid_t pid = worker_fork(g);

		if (pid < 0)
			return pid;
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				;
		}
	}
	return 0;
}

/* ---- shares -------------------------------------------------------------- */

double group_cpu_ms(const struct group *g)
{
	return group_read(g, "cpu.stat", "usage_usec") / 1e3;
}

/* Of all CPUs together so far, ms */
static double idle_ms(void)
{
	long user, nice, system, idle = 0;
	FILE *f = fopen("/proc/stat", "re");

	if (!f)
		return 0;
	if (fscanf(f, "cpu %ld %ld %ld %ld", &user, &nice, &system, &idle) != 4)
		idle = 0;
	fclose(f);
	return idle * 1e3 / sysconf(_SC_CLK_TCK);
}

struct usage measure(const struct group *groups, double *cpus, int n, long ms)
{
	static const struct group all = { .path = "/sys/fs/cgroup/agentcg-test" };
	double start = now_ms(), passed, before[64];
	struct usage u = { -group_cpu_ms(&all), -idle_ms() };
	int i;

	for (i = 0; i < n; i++)
		before[i] = group_cpu_ms(&groups[i]);
	sleep_ms(ms);
	u.used += group_cpu_ms(&all);
	u.idle += idle_ms();
	for (i = 0; i < n; i++)
		cpus[i] = group_cpu_ms(&groups[i]) - before[i];
	passed = now_ms() - start;
	for (i = 0; i < n; i++)
		cpus[i] /= passed;
	u.used /= passed;
	u.idle /= passed;
	return u;
}

struct usage measure_parts(const struct group *groups, double *parts, int n, long ms, double all)
{
	struct usage u = measure(groups, parts, n, ms);
	int i;

	for (i = 0; i < n && u.used > 0; i++)
		parts[i] *= all / u.used;
	return u;
}

int group_set(const struct group *g, const char *file, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return group_write(g, file, text);
}
