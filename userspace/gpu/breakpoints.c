// SPDX-License-Identifier: GPL-2.0-only
#include "breakpoints.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stddef.h>
#include <sys/mman.h>

#include "gpu.skel.h"
#include "library.h"

/* Calls by which the cost is measured, so often; the least is taken, for others run as well. */
#define CALLS		20
#define ROUNDS		30

/*
 * What launches, and what waits for the GPU until it is done.  libcudart, and so PyTorch and the engines, come here
 * as well.  _ptsz are the same for programs compiled with a stream of each thread's own.
 */
static const char *const functions[] = {
	"cuLaunchKernel", "cuLaunchKernel_ptsz", "cuLaunchKernelEx", "cuLaunchKernelEx_ptsz",
	"cuLaunchCooperativeKernel", "cuLaunchCooperativeKernel_ptsz", "cuGraphLaunch", "cuGraphLaunch_ptsz",
	"cuStreamSynchronize", "cuStreamSynchronize_ptsz", "cuEventSynchronize", "cuCtxSynchronize", NULL
};
#define FIRST_WAIT	8

struct breakpoints {
	struct gpu_bpf *skel;
	struct ring_buffer *ring;
	struct agentcg_window *windows;
	struct bpf_link *wakes[2];
	unsigned int nr_attached;	/* processes */
	struct breakpoint_cost cost;
	int nr_cpus;
};

static size_t windows_size(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (AGENTCG_MAX_PROBED * sizeof(struct agentcg_window) + page - 1) / page * page;
}

static int on_end(void *userdata, void *data, size_t size)
{
	return 0;
}

static uint64_t now_nsec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* ---- breakpoints -------------------------------------------------------- */

static int put(struct breakpoints *b, pid_t pid, const char *path, const unsigned long *offsets, const __u64 *cookies, size_t n,
	       struct breakpoint_links *l)
{
	struct bpf_program *programs[] = { b->skel->progs.on_call, b->skel->progs.on_return };
	unsigned int before = l->nr;

	for (unsigned int i = 0; i < 2; i++) {
		LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = offsets, .cookies = cookies, .cnt = n, .retprobe = i);

		l->links[l->nr] = bpf_program__attach_uprobe_multi(programs[i], pid, path, NULL, &opts);
		if (!l->links[l->nr]) {
			int r = -errno;

			while (l->nr > before)
				bpf_link__destroy(l->links[--l->nr]);
			return r;
		}
		l->nr++;
	}
	return 0;
}

static int watch_wakeups(struct breakpoints *b, bool on)
{
	struct bpf_program *programs[] = { b->skel->progs.on_waking, b->skel->progs.on_switch };

	for (unsigned int i = 0; i < ARRAY_SIZE(programs); i++) {
		bpf_link__destroy(b->wakes[i]);
		b->wakes[i] = on ? bpf_program__attach(programs[i]) : NULL;
		if (on && !b->wakes[i])
			return -errno;
	}
	return 0;
}

unsigned int agentcg_breakpoints_attach(struct breakpoints *b, uint32_t slot, const pid_t *pids, size_t n, struct breakpoint_links *ret,
					char *why)
{
	unsigned long offsets[ARRAY_SIZE(functions)];
	unsigned int which[ARRAY_SIZE(functions)], done = 0;
	__u64 cookies[ARRAY_SIZE(functions)];
	char path[PATH_MAX];
	int found, r = -ENOENT;

	*ret = (struct breakpoint_links){};
	agentcg_why(0, why, "no process has the driver's library (libcuda.so) yet");
	for (size_t i = 0; i < n && done < AGENTCG_PROBED_PIDS; i++) {
		if (agentcg_library_find(pids[i], "libcuda.so", path) < 0)
			continue;
		found = agentcg_library_symbols(path, functions, offsets, which, ARRAY_SIZE(offsets));
		for (int s = 0; s < found; s++)
			cookies[s] = agentcg_launch_cookie(slot, which[s] < FIRST_WAIT ? AGENTCG_LAUNCH_KERNEL : AGENTCG_LAUNCH_WAIT);
		r = found > 0 ? put(b, pids[i], path, offsets, cookies, (size_t)found, ret) : found ?: -ENOEXEC;
		/* It may have ended meanwhile. */
		if (r < 0 && r != -ESRCH && r != -ENOENT)
			agentcg_why(0, why, "cannot probe libcuda.so of process %d: %s", pids[i],
				    r == -ENOEXEC ? "it has no functions that launch" : strerror(-r));
		done += !r;
	}
	if (done && !b->nr_attached) {
		r = watch_wakeups(b, true);
		if (r < 0) {
			agentcg_why(0, why, "cannot see when threads wake up: %s", strerror(-r));
			agentcg_breakpoints_detach(b, ret);
			return 0;
		}
	}
	b->nr_attached += done;
	return done;
}

void agentcg_breakpoints_detach(struct breakpoints *b, struct breakpoint_links *l)
{
	b->nr_attached -= b->nr_attached < l->nr / 2 ? b->nr_attached : l->nr / 2;
	for (unsigned int i = 0; i < l->nr; i++)
		bpf_link__destroy(l->links[i]);
	l->nr = 0;
	if (!b->nr_attached)
		watch_wakeups(b, false);
}

/* ---- windows ------------------------------------------------------------ */

void agentcg_window_open(struct breakpoints *b, uint32_t slot, uint64_t budget)
{
	_cleanup_free_ struct agentcg_launch_counts *zero = calloc((size_t)b->nr_cpus, (sizeof(*zero) + 7) / 8 * 8);
	struct agentcg_window *w = &b->windows[slot];

	if (zero)
		bpf_map_update_elem(bpf_map__fd(b->skel->maps.counts), &slot, zero, BPF_ANY);
	w->serial++;
	w->hits = 0;
	w->budget = budget;
	w->ended = 0;
	w->pending = 0;
	__atomic_store_n(&w->mode, AGENTCG_WINDOW_OPEN, __ATOMIC_RELEASE);
}

void agentcg_window_drain(struct breakpoints *b, uint32_t slot)
{
	uint32_t open = AGENTCG_WINDOW_OPEN;

	/* The programs may have done so, and more. */
	__atomic_compare_exchange_n(&b->windows[slot].mode, &open, AGENTCG_WINDOW_DRAIN, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void agentcg_window_close(struct breakpoints *b, uint32_t slot)
{
	__atomic_store_n(&b->windows[slot].mode, AGENTCG_WINDOW_OFF, __ATOMIC_RELEASE);
}

void agentcg_window_get(struct breakpoints *b, uint32_t slot, struct agentcg_window *ret)
{
	*ret = *(volatile struct agentcg_window *)&b->windows[slot];
}

int agentcg_window_counts(struct breakpoints *b, uint32_t slot, struct launch_counts *ret)
{
	_cleanup_free_ struct agentcg_launch_counts *cpus = calloc((size_t)b->nr_cpus, sizeof(*cpus));
	uint64_t *sum = (uint64_t *)&ret->sum, *one;

	*ret = (struct launch_counts){};
	if (!cpus)
		return -ENOMEM;
	if (bpf_map_lookup_elem(bpf_map__fd(b->skel->maps.counts), &slot, cpus) < 0)
		return -errno;
	for (int c = 0; c < b->nr_cpus; c++) {
		one = (uint64_t *)&cpus[c];
		for (size_t i = 0; i < offsetof(struct agentcg_launch_counts, delay) / sizeof(*one); i++)
			sum[i] += one[i];
		for (size_t i = 0; i < AGENTCG_HIST_BUCKETS; i++)
			ret->delay[i] += cpus[c].delay.count[i];
	}
	return 0;
}

size_t agentcg_window_threads(struct breakpoints *b, uint32_t slot, pid_t *tids, size_t max)
{
	int fd = bpf_map__fd(b->skel->maps.threads);
	uint32_t key, next, of;
	size_t n = 0;
	int r = bpf_map_get_next_key(fd, NULL, &next);

	while (r == 0) {
		key = next;
		r = bpf_map_get_next_key(fd, &key, &next);
		if (bpf_map_lookup_elem(fd, &key, &of) < 0 || of != slot)
			continue;
		bpf_map_delete_elem(fd, &key);
		if (n < max)
			tids[n++] = (pid_t)key;
	}
	return n;
}

/* ---- cost --------------------------------------------------------------- */

/* Stands for a function of libcuda. */
__attribute__((noinline)) void agentcg_breakpoints_self(void);
void agentcg_breakpoints_self(void)
{
	__asm__ volatile("");
}

/* The file and offset that an address of this process is mapped from. */
static int find_self(char path[PATH_MAX], unsigned long *offset)
{
	unsigned long address = (unsigned long)agentcg_breakpoints_self, from, to, at;
	_cleanup_fclose_ FILE *f = fopen("/proc/self/maps", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0)
		if (sscanf(line, "%lx-%lx %*4s %lx", &from, &to, &at) == 3 && address >= from && address < to) {
			snprintf(path, PATH_MAX, "/proc/self/map_files/%lx-%lx", from, to);
			*offset = address - from + at;
			return 0;
		}
	return -ENOENT;
}

static uint64_t time_calls(void)
{
	uint64_t best = UINT64_MAX, start;

	for (int round = 0; round < ROUNDS; round++) {
		start = now_nsec();
		for (int i = 0; i < CALLS; i++)
			agentcg_breakpoints_self();
		best = min_u64(best, now_nsec() - start);
	}
	return best / CALLS;
}

static int measure_cost(struct breakpoints *b)
{
	__u64 cookie = agentcg_launch_cookie(AGENTCG_PROBED_SELF, AGENTCG_LAUNCH_KERNEL);
	struct breakpoint_links links = {};
	struct launch_counts c;
	unsigned long offset;
	char path[PATH_MAX];
	pid_t self;
	int r = find_self(path, &offset);

	if (!r)
		r = put(b, getpid(), path, &offset, &cookie, 1, &links);
	if (r < 0)
		return r;
	agentcg_window_open(b, AGENTCG_PROBED_SELF, UINT64_MAX);
	b->cost.nsec = time_calls();
	agentcg_window_close(b, AGENTCG_PROBED_SELF);
	for (unsigned int i = 0; i < links.nr; i++)
		bpf_link__destroy(links.links[i]);
	agentcg_window_threads(b, AGENTCG_PROBED_SELF, &self, 1);
	r = agentcg_window_counts(b, AGENTCG_PROBED_SELF, &c);
	/* The function itself takes nothing. */
	if (!r)
		b->cost.within = min_u64(c.sum.call_nsec / (CALLS * ROUNDS), b->cost.nsec);
	return r < 0 || c.sum.launches == CALLS * ROUNDS ? r : -EIO;
}

void agentcg_breakpoints_cost(const struct breakpoints *b, struct breakpoint_cost *ret)
{
	*ret = b->cost;
}

/* ---- coming and going --------------------------------------------------- */

static int load(struct breakpoints *b)
{
	void *windows;
	int r;

	b->nr_cpus = libbpf_num_possible_cpus();
	b->skel = gpu_bpf__open();
	if (!b->skel || b->nr_cpus < 1)
		return -errno;
	r = gpu_bpf__load(b->skel);
	if (r)
		return r;
	windows = mmap(NULL, windows_size(), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(b->skel->maps.windows), 0);
	if (windows == MAP_FAILED)
		return -errno;
	b->windows = windows;
	b->ring = ring_buffer__new(bpf_map__fd(b->skel->maps.ends), on_end, NULL, NULL);
	return b->ring ? measure_cost(b) : -errno;
}

int agentcg_breakpoints_open(struct breakpoints **ret, char *why)
{
	struct breakpoints *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	r = load(b);
	if (r < 0) {
		agentcg_breakpoints_close(b);
		return agentcg_why(-EOPNOTSUPP, why, "the kernel refuses to probe launches (it takes uprobe_multi, 6.6): %s", strerror(-r));
	}
	*ret = b;
	return 0;
}

struct breakpoints *agentcg_breakpoints_close(struct breakpoints *b)
{
	if (!b)
		return NULL;
	for (unsigned int i = 0; i < ARRAY_SIZE(b->wakes); i++)
		bpf_link__destroy(b->wakes[i]);
	ring_buffer__free(b->ring);
	if (b->windows)
		munmap(b->windows, windows_size());
	gpu_bpf__destroy(b->skel);
	free(b);
	return NULL;
}

int agentcg_breakpoints_fd(struct breakpoints *b)
{
	return ring_buffer__epoll_fd(b->ring);
}

void agentcg_breakpoints_consume(struct breakpoints *b)
{
	ring_buffer__consume(b->ring);
}
