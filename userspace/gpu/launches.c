// SPDX-License-Identifier: GPL-2.0-only
#include "launches.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>

#include "breakpoints.h"
#include "duty.h"

#define NSEC_PER_SEC	1000000000ULL
#define NSEC_PER_MSEC	1000000ULL

/* After a window, whoever became runnable in it is waited for so long. */
#define DRAIN		(25 * NSEC_PER_MSEC)
#define DRAIN_LOOK	(2 * NSEC_PER_MSEC)
/* What is shown is halved so often, and so is of the last minute or two. */
#define HALVE		(60 * NSEC_PER_SEC)

enum target_state {
	TARGET_IDLE,
	TARGET_OPEN,
	TARGET_DRAINS,
};

/* A worker. */
struct target {
	uint64_t cgroup_id;
	int dirfd;
	pid_t pid;

	/* The thread's own. */
	enum target_state state;
	struct duty duty;
	struct duty_window window;
	struct breakpoint_links links;
	uint64_t due;			/* what comes next */
	uint64_t last;			/* end of the last window */
	uint64_t halved;
	uint64_t elapsed;		/* in windows, as the sums below */
	struct launch_counts recent;
	uint64_t floor;

	/* Under the lock. */
	bool used, begun, dying;
	struct launch_figures figures;
	pid_t tids[AGENTCG_LAUNCH_THREADS];
	size_t nr_tids;
};

struct launches {
	struct breakpoints *b;
	pthread_t thread;
	pthread_mutex_t lock;
	int wake;			/* eventfd */
	bool stop;
	struct breakpoint_cost cost;	/* 0: not measured yet */
	char why[AGENTCG_WHY_MAX];	/* under the lock: why there is no probe, "" if there is */
	struct target targets[AGENTCG_MAX_PROBED - 1];
};

static uint64_t now_nsec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* ---- what is shown ------------------------------------------------------ */

/* The members before the histogram are all sums. */
static void add_counts(struct launch_counts *to, const struct launch_counts *c)
{
	const uint64_t *from = (const uint64_t *)&c->sum;
	uint64_t *sum = (uint64_t *)&to->sum;

	for (size_t i = 0; i < offsetof(struct agentcg_launch_counts, delay) / sizeof(*sum); i++)
		sum[i] += from[i];
	for (size_t i = 0; i < AGENTCG_HIST_BUCKETS; i++)
		to->delay[i] += c->delay[i];
}

static void halve(struct target *t, uint64_t now)
{
	uint64_t *sum = (uint64_t *)&t->recent.sum;

	if (now - t->halved < HALVE)
		return;
	t->halved = now;
	t->elapsed /= 2;
	for (size_t i = 0; i < offsetof(struct agentcg_launch_counts, delay) / sizeof(*sum); i++)
		sum[i] /= 2;
	for (size_t i = 0; i < AGENTCG_HIST_BUCKETS; i++)
		t->recent.delay[i] /= 2;
}

static void show(struct target *t, const struct launch_counts *c, uint64_t launches)
{
	const struct agentcg_launch_counts *r = &t->recent.sum;
	struct launch_figures *f = &t->figures;

	f->launches += launches;
	f->seen += c->sum.launches;
	f->sampled += c->sum.sampled;
	f->windows++;
	f->delay_nsec = r->sampled ? r->delay_nsec / r->sampled : 0;
	f->p50_nsec = agentcg_launch_quantile(t->recent.delay, AGENTCG_HIST_BUCKETS, 500);
	f->p99_nsec = agentcg_launch_quantile(t->recent.delay, AGENTCG_HIST_BUCKETS, 990);
	f->rate = t->elapsed ? (double)r->launches * NSEC_PER_SEC / (double)t->elapsed : 0;
	f->tklqt_nsec = t->elapsed ? (uint64_t)((double)(r->call_nsec + r->wait_nsec) * NSEC_PER_SEC / (double)t->elapsed) : 0;
	f->bound = (struct bound_in){ .launches = r->launches, .call_nsec = r->call_nsec, .floor_nsec = t->floor,
				      .wait_nsec = r->wait_nsec, .host_nsec = r->host_nsec, .gpu_busy = -1 };
}

static void say(struct launches *l, struct target *t, bool detached, const char *reason)
{
	pthread_mutex_lock(&l->lock);
	t->figures.detached = detached;
	snprintf(t->figures.reason, sizeof(t->figures.reason), "%s", reason);
	pthread_mutex_unlock(&l->lock);
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* What the breakpoints themselves took is no time of the worker's. */
static void correct(struct launch_counts *c, const struct breakpoint_cost *cost)
{
	c->sum.call_nsec = less(c->sum.call_nsec, c->sum.launches * cost->within);
	c->sum.wait_nsec = less(c->sum.wait_nsec, c->sum.waits * cost->within);
	c->sum.host_nsec = less(c->sum.host_nsec, c->sum.launches * (cost->nsec - cost->within));
}

/* How long the threads would have taken without: those that never sleep were held up by all of it, others by as much less. */
static uint64_t without(const struct launch_counts *c, const struct breakpoint_cost *cost, uint64_t length, size_t threads)
{
	double n = threads ? (double)threads : 1, busy = (double)c->sum.exec_nsec / (double)length / n;
	double held_up = (double)(c->sum.launches + c->sum.waits) * (double)cost->nsec / n;

	return max_u64(less(length, (uint64_t)(held_up * (busy > 1 ? 1 : busy))), length / 16);
}

static void take_counts(struct launches *l, struct target *t, uint64_t now)
{
	uint32_t slot = (uint32_t)(t - l->targets);
	pid_t tids[AGENTCG_LAUNCH_THREADS];
	size_t n = agentcg_window_threads(l->b, slot, tids, ARRAY_SIZE(tids));
	uint64_t length = max_u64(t->window.ended - t->window.began, 1), mean;
	struct launch_counts c;

	agentcg_window_counts(l->b, slot, &c);
	t->window.exec_nsec = c.sum.exec_nsec;
	correct(&c, &l->cost);
	length = max_u64(without(&c, &l->cost, length, n), 1);
	halve(t, now);
	add_counts(&t->recent, &c);
	t->elapsed += length;
	if (c.sum.launches >= AGENTCG_BOUND_LAUNCHES) {
		mean = c.sum.call_nsec / c.sum.launches;
		t->floor = t->floor ? min_u64(t->floor, mean) : mean;
	}
	pthread_mutex_lock(&l->lock);
	show(t, &c, (uint64_t)((double)c.sum.launches * (double)(t->window.ended - t->last) / (double)length));
	if (n) {
		memcpy(t->tids, tids, n * sizeof(*tids));
		t->nr_tids = n;
	}
	pthread_mutex_unlock(&l->lock);
	t->last = t->window.ended;
}

/* ---- windows ------------------------------------------------------------ */

static size_t read_pids(const struct target *t, pid_t *pids, size_t max)
{
	_cleanup_fclose_ FILE *f = NULL;
	size_t n = 0;
	int fd = t->dirfd < 0 ? -1 : openat(t->dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		f = fdopen(fd, "r");
	if (!f) {
		agentcg_closep(&fd);
		pids[0] = t->pid;
		return t->pid > 0;
	}
	while (n < max && fscanf(f, "%d", &pids[n]) == 1)
		n++;
	return n;
}

static void open_window(struct launches *l, struct target *t)
{
	uint32_t slot = (uint32_t)(t - l->targets);
	char why[AGENTCG_WHY_MAX];
	pid_t pids[256];
	size_t n = read_pids(t, pids, ARRAY_SIZE(pids));

	if (!agentcg_breakpoints_attach(l->b, slot, pids, n, &t->links, why)) {
		say(l, t, false, why);
		t->due = now_nsec() + AGENTCG_DUTY_PAUSE;
		return;
	}
	t->window = (struct duty_window){ .began = now_nsec() };
	t->due = t->window.began + AGENTCG_DUTY_WINDOW;
	t->state = TARGET_OPEN;
	agentcg_window_open(l->b, slot, agentcg_duty_budget(&t->duty));
}

static void close_window(struct launches *l, struct target *t)
{
	uint32_t slot = (uint32_t)(t - l->targets);
	char why[AGENTCG_WHY_MAX] = "";
	struct agentcg_window w;
	bool storm;

	agentcg_window_close(l->b, slot);
	agentcg_window_get(l->b, slot, &w);
	agentcg_breakpoints_detach(l->b, &t->links);
	t->window.detached = now_nsec();
	t->window.hits = w.hits;
	take_counts(l, t, t->window.detached);
	storm = agentcg_duty_end(&t->duty, &t->window);
	if (storm)
		snprintf(why, sizeof(why), "too dear: launches came at %.0f a second, and to look at them took more than half "
			 "of the threads' time; tried again in %.0f s",
			 (double)w.hits * NSEC_PER_SEC / (double)max_u64(t->window.ended - t->window.began, 1),
			 (double)(t->duty.next - t->window.detached) / NSEC_PER_SEC);
	say(l, t, storm, why);
	/* A worker whose steps come as regularly as the windows would always be seen in the same one. */
	t->due = t->duty.next + (uint64_t)rand() % (AGENTCG_DUTY_PAUSE / 4);
	t->state = TARGET_IDLE;
}

static void step(struct launches *l, struct target *t)
{
	uint32_t slot = (uint32_t)(t - l->targets);
	uint64_t now = now_nsec();
	struct agentcg_window w;

	agentcg_window_get(l->b, slot, &w);
	switch (t->state) {
	case TARGET_IDLE:
		if (now >= t->due)
			open_window(l, t);
		return;
	case TARGET_OPEN:
		if (w.mode == AGENTCG_WINDOW_OPEN && now < t->due)
			return;
		agentcg_window_drain(l->b, slot);
		t->window.spent = w.mode != AGENTCG_WINDOW_OPEN;
		t->window.ended = t->window.spent && w.ended ? w.ended : now;
		t->window.ended = max_u64(t->window.ended, t->window.began);
		t->due = t->window.ended + DRAIN;
		t->state = TARGET_DRAINS;
		return step(l, t);
	case TARGET_DRAINS:
		if (w.mode != AGENTCG_WINDOW_DRAIN || w.pending <= 0 || now >= t->due)
			close_window(l, t);
		return;
	}
}

/* ---- the thread --------------------------------------------------------- */

static void free_target(struct launches *l, struct target *t)
{
	agentcg_window_close(l->b, (uint32_t)(t - l->targets));
	agentcg_breakpoints_detach(l->b, &t->links);
	pthread_mutex_lock(&l->lock);
	agentcg_closep(&t->dirfd);
	*t = (struct target){ .dirfd = -1 };
	pthread_mutex_unlock(&l->lock);
}

/* When to look again, ns from now. */
static uint64_t step_all(struct launches *l)
{
	uint64_t next = NSEC_PER_SEC, due, now;
	bool used, dying;

	for (size_t i = 0; i < ARRAY_SIZE(l->targets); i++) {
		struct target *t = &l->targets[i];

		pthread_mutex_lock(&l->lock);
		used = t->used;
		dying = t->dying;
		if (used && !t->begun) {
			t->begun = true;
			agentcg_duty_begin(&t->duty, l->cost.nsec, now_nsec());
		}
		pthread_mutex_unlock(&l->lock);
		if (!used)
			continue;
		if (dying) {
			free_target(l, t);
			continue;
		}
		step(l, t);
		now = now_nsec();
		due = t->due > now ? t->due - now : 0;
		next = min_u64(next, t->state == TARGET_DRAINS ? min_u64(due, DRAIN_LOOK) : due);
	}
	return next;
}

/* It takes the kernel, and libbpf, some tenths of a second. */
static int open_breakpoints(struct launches *l)
{
	char why[AGENTCG_WHY_MAX] = "";
	int r = agentcg_breakpoints_open(&l->b, why);

	pthread_mutex_lock(&l->lock);
	snprintf(l->why, sizeof(l->why), "%s", why);
	if (!r)
		agentcg_breakpoints_cost(l->b, &l->cost);
	pthread_mutex_unlock(&l->lock);
	return r;
}

static void *run(void *userdata)
{
	struct launches *l = userdata;
	struct sched_param first = { .sched_priority = 1 };
	struct pollfd fds[2];
	struct timespec ts;
	uint64_t next, n;

	pthread_setname_np(pthread_self(), "agentcg-probe");
	if (open_breakpoints(l) < 0)
		return NULL;
	fds[0] = (struct pollfd){ .fd = l->wake, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = agentcg_breakpoints_fd(l->b), .events = POLLIN };
	/* Breakpoints that are to go do not wait for those whom they slow. */
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
	while (!__atomic_load_n(&l->stop, __ATOMIC_ACQUIRE)) {
		next = step_all(l);
		ts = (struct timespec){ .tv_sec = (time_t)(next / NSEC_PER_SEC), .tv_nsec = (long)(next % NSEC_PER_SEC) };
		if (ppoll(fds, ARRAY_SIZE(fds), &ts, NULL) <= 0)
			continue;
		if (fds[0].revents && read(l->wake, &n, sizeof(n)) < 0)
			break;
		if (fds[1].revents)
			agentcg_breakpoints_consume(l->b);
	}
	for (size_t i = 0; i < ARRAY_SIZE(l->targets); i++)
		if (l->targets[i].used)
			free_target(l, &l->targets[i]);
	l->b = agentcg_breakpoints_close(l->b);
	return NULL;
}

static void wake(struct launches *l)
{
	uint64_t one = 1;

	while (write(l->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Signals are the daemon's. */
static int start_thread(struct launches *l)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int agentcg_launches_open(struct launches **ret)
{
	struct launches *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(l->targets); i++)
		l->targets[i].dirfd = -1;
	l->wake = eventfd(0, EFD_CLOEXEC);
	r = l->wake < 0 ? -errno : start_thread(l);
	if (r < 0) {
		agentcg_closep(&l->wake);
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct launches *agentcg_launches_close(struct launches *l)
{
	if (!l)
		return NULL;
	__atomic_store_n(&l->stop, true, __ATOMIC_RELEASE);
	wake(l);
	pthread_join(l->thread, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(l->targets); i++)
		agentcg_closep(&l->targets[i].dirfd);
	agentcg_closep(&l->wake);
	free(l);
	return NULL;
}

uint64_t agentcg_launches_cost(struct launches *l)
{
	uint64_t cost;

	pthread_mutex_lock(&l->lock);
	cost = l->cost.nsec;
	pthread_mutex_unlock(&l->lock);
	return cost;
}

/* ---- for the daemon ----------------------------------------------------- */

static struct target *find(struct launches *l, uint64_t cgroup_id)
{
	for (size_t i = 0; i < ARRAY_SIZE(l->targets); i++)
		if (l->targets[i].used && !l->targets[i].dying && l->targets[i].cgroup_id == cgroup_id)
			return &l->targets[i];
	return NULL;
}

static int add(struct launches *l, uint64_t cgroup_id, int dirfd, pid_t pid)
{
	uint64_t now = now_nsec();
	struct target *t = NULL;

	if (find(l, cgroup_id))
		return -EEXIST;
	for (size_t i = 0; i < ARRAY_SIZE(l->targets) && !t; i++)
		if (!l->targets[i].used)
			t = &l->targets[i];
	if (!t)
		return -ENOSPC;
	*t = (struct target){ .used = true, .cgroup_id = cgroup_id, .dirfd = -1, .pid = pid, .due = now, .last = now, .halved = now };
	if (dirfd >= 0)
		t->dirfd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	return 0;
}

int agentcg_launches_add(struct launches *l, uint64_t cgroup_id, int dirfd, pid_t pid, char *why)
{
	int r;

	pthread_mutex_lock(&l->lock);
	r = add(l, cgroup_id, dirfd, pid);
	pthread_mutex_unlock(&l->lock);
	if (r == -ENOSPC)
		agentcg_why(0, why, "launches of at most %zu workers are measured", ARRAY_SIZE(l->targets));
	else if (r == -EEXIST)
		agentcg_why(0, why, "its launches are measured already");
	else
		wake(l);
	return r;
}

void agentcg_launches_remove(struct launches *l, uint64_t cgroup_id)
{
	struct target *t;

	pthread_mutex_lock(&l->lock);
	t = find(l, cgroup_id);
	/* What the thread has not seen yet, or never will, is not its to free. */
	if (t && !t->begun) {
		agentcg_closep(&t->dirfd);
		*t = (struct target){ .dirfd = -1 };
	} else if (t) {
		t->dying = true;
	}
	pthread_mutex_unlock(&l->lock);
	wake(l);
}

int agentcg_launches_read(struct launches *l, uint64_t cgroup_id, struct launch_figures *ret)
{
	struct target *t;

	pthread_mutex_lock(&l->lock);
	t = find(l, cgroup_id);
	if (t)
		*ret = t->figures;
	if (t && l->why[0])
		snprintf(ret->reason, sizeof(ret->reason), "%s", l->why);
	pthread_mutex_unlock(&l->lock);
	return t ? 0 : -ESRCH;
}

int agentcg_launches_threads(struct launches *l, uint64_t cgroup_id, pid_t *tids, size_t max)
{
	struct target *t;
	size_t n = 0;

	pthread_mutex_lock(&l->lock);
	t = find(l, cgroup_id);
	if (t) {
		n = min_u64(t->nr_tids, max);
		memcpy(tids, t->tids, n * sizeof(*tids));
		t->nr_tids = 0;
	}
	pthread_mutex_unlock(&l->lock);
	return t ? (int)n : -ESRCH;
}
