// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long the launches of GPU workers take to come.
 *
 * Breakpoints (uprobes) on the functions of libcuda that launch something or
 * wait for the GPU see, of each thread that calls them,
 *
 *	runnable              enter         return
 *	   |---- delay ---------|--- call ----|--- host ---| next launch
 *
 * the delay from when it could have run (it was woken, or preempted) to its
 * launch, of those launches before which it had to wait for a CPU; the time in
 * the driver, which grows when the queue to the GPU is full; and the time that the
 * host takes between them.
 *
 * A breakpoint costs a thread a microsecond or two, whatever the program does, so
 * what costs is not to look at each launch but to stop at it, and looking at one
 * of many saves nothing.  Time is sampled instead: the daemon attaches the
 * breakpoints for a window, with a budget of calls, and lets so much time
 * pass until the next that they have cost less than a percent
 * (userspace/gpu/duty.h).  When the budget is spent the programs end the window by
 * themselves: they do nothing from then on, and the daemon takes the breakpoints away.
 *
 * A window that ends while a thread is on its way to a launch would lose long
 * delays and keep short ones.  So whoever became runnable in it is followed to its launch
 * for a while (DRAIN).
 *
 * Waking up and switching are looked at of all tasks, but only while a window is
 * open; and tasks that do not launch have no storage, which is asked first.
 *
 * Nothing is pinned: links and programs go with the daemon, and a new one attaches anew.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "../module/uapi/agentcg_gpu.h"
#include "fair.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, AGENTCG_MAX_PROBED);
	__type(key, __u32);
	__type(value, struct agentcg_window);
} windows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, AGENTCG_MAX_PROBED);
	__type(key, __u32);
	__type(value, struct agentcg_launch_counts);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct agentcg_launcher);
} launchers SEC(".maps");

/* Slots of threads that launched, by tid. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AGENTCG_MAX_LAUNCHERS);
	__type(key, __u32);
	__type(value, __u32);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 * 1024);
} ends SEC(".maps");

/* ---- the window --------------------------------------------------------- */

static void end_window(struct agentcg_window *w, __u32 slot, __u32 mode)
{
	struct agentcg_window_end *e;

	if (mode == AGENTCG_WINDOW_DRAIN)
		w->ended = bpf_ktime_get_ns();
	w->mode = mode;
	e = bpf_ringbuf_reserve(&ends, sizeof(*e), 0);
	if (!e)
		return;
	e->serial = w->serial;
	e->slot = slot;
	e->mode = mode;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

/* Each number comes once, so each end is told once. */
static void spend(struct agentcg_window *w, __u32 slot)
{
	__u64 hits = __sync_fetch_and_add(&w->hits, 1) + 1;

	if (hits == w->budget)
		end_window(w, slot, AGENTCG_WINDOW_DRAIN);
	else if (hits == w->budget + w->budget / 4)
		end_window(w, slot, AGENTCG_WINDOW_OFF);
}

/* ---- calls into the driver ---------------------------------------------- */

static void first_call(struct agentcg_launcher *t, struct agentcg_window *w, __u32 slot,
		       struct task_struct *p)
{
	__u32 tid = p->pid;

	t->serial = w->serial;
	t->slot = slot;
	t->depth = 0;
	t->left = 0;
	t->exec = p->se.sum_exec_runtime;
	bpf_map_update_elem(&threads, &tid, &slot, BPF_ANY);
}

static void sample(struct agentcg_launcher *t, struct agentcg_window *w,
		   struct agentcg_launch_counts *c, __u64 now)
{
	__u64 delay = now - t->runnable;
	__u32 bucket = agentcg_bucket(delay);

	/* It was preempted in here: that is of the next one. */
	if ((__s64)delay < 0)
		return;
	if (t->runnable && t->runnable_serial == w->serial) {
		__sync_fetch_and_add(&w->pending, -1);
		c->sampled++;
		c->delay_nsec += delay;
		if (bucket < AGENTCG_HIST_BUCKETS)
			c->delay.count[bucket]++;
	}
	t->runnable = 0;
}

SEC("uprobe.multi")
int on_call(struct pt_regs *ctx)
{
	struct task_struct *p = bpf_get_current_task_btf();
	__u64 cookie = bpf_get_attach_cookie(ctx), now, exec;
	__u32 slot = (__u32)cookie;
	struct agentcg_window *w = bpf_map_lookup_elem(&windows, &slot);
	struct agentcg_launch_counts *c;
	struct agentcg_launcher *t;

	if (!w || w->mode == AGENTCG_WINDOW_OFF)
		return 0;
	now = bpf_ktime_get_ns();
	spend(w, slot);
	c = bpf_map_lookup_elem(&counts, &slot);
	t = bpf_task_storage_get(&launchers, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!t || !c)
		return 0;
	if (t->serial != w->serial || t->slot != slot)
		first_call(t, w, slot, p);
	/* Only the outermost. */
	if (t->depth++)
		return 0;
	t->entered = now;
	if (cookie >> 32 == AGENTCG_LAUNCH_KERNEL)
		sample(t, w, c, now);
	if (w->mode != AGENTCG_WINDOW_OPEN)
		return 0;
	exec = p->se.sum_exec_runtime;
	c->exec_nsec += exec - t->exec;
	t->exec = exec;
	if (cookie >> 32 != AGENTCG_LAUNCH_KERNEL) {
		c->waits++;
		return 0;
	}
	c->launches++;
	if (t->left)
		c->host_nsec += now - (t->woken > t->left ? t->woken : t->left);
	return 0;
}

SEC("uretprobe.multi")
int on_return(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), now;
	__u32 slot = (__u32)cookie;
	struct agentcg_window *w = bpf_map_lookup_elem(&windows, &slot);
	struct agentcg_launch_counts *c;
	struct agentcg_launcher *t;

	if (!w || w->mode == AGENTCG_WINDOW_OFF)
		return 0;
	t = bpf_task_storage_get(&launchers, bpf_get_current_task_btf(), NULL, 0);
	if (!t || t->serial != w->serial || !t->depth || --t->depth)
		return 0;
	now = bpf_ktime_get_ns();
	t->left = now;
	c = bpf_map_lookup_elem(&counts, &slot);
	if (!c || w->mode != AGENTCG_WINDOW_OPEN)
		return 0;
	if (cookie >> 32 == AGENTCG_LAUNCH_KERNEL)
		c->call_nsec += now - t->entered;
	else
		c->wait_nsec += now - t->entered;
	return 0;
}

/* ---- becoming runnable -------------------------------------------------- */

static struct agentcg_window *open_window(struct agentcg_launcher *t)
{
	__u32 slot = t->slot;
	struct agentcg_window *w = bpf_map_lookup_elem(&windows, &slot);

	return w && w->mode == AGENTCG_WINDOW_OPEN ? w : NULL;
}

static void become_runnable(struct agentcg_launcher *t, struct agentcg_window *w, __u64 now)
{
	if (!t->runnable || t->runnable_serial != w->serial)
		__sync_fetch_and_add(&w->pending, 1);
	t->runnable = now;
	t->runnable_serial = w->serial;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct *p)
{
	struct agentcg_launcher *t = bpf_task_storage_get(&launchers, p, NULL, 0);
	struct agentcg_window *w = t ? open_window(t) : NULL;

	if (!w)
		return 0;
	t->woken = bpf_ktime_get_ns();
	become_runnable(t, w, t->woken);
	return 0;
}

/* Who had already waited before it ran goes on waiting since then. */
SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	struct agentcg_launcher *t;
	struct agentcg_window *w;

	if (!preempt && prev_state)
		return 0;
	t = bpf_task_storage_get(&launchers, prev, NULL, 0);
	w = t ? open_window(t) : NULL;
	if (w && (!t->runnable || t->runnable_serial != w->serial))
		become_runnable(t, w, bpf_ktime_get_ns());
	return 0;
}
