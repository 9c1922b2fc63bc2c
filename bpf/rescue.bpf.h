/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The timer of the CPU scheduler.
 *
 * It wakes idle CPUs while somebody may be stopped by cpu.max, whose period
 * ends without an event, and now and then while somebody waits, should a
 * wake-up ever have gone to a CPU that could not use it.
 *
 * And it rescues: sched_ext ends a scheduler that lets one task wait for 30 s.
 * A small share divided among many threads may come to that, in no fault of
 * the scheduler, and an agent could bring it about.  Who has waited RESCUE_NS
 * is therefore run for a moment, out of turn: that resets the kernel's watch,
 * costs two context switches, and is charged.
 *
 * Who was interrupted while it read under RCU keeps the whole machine from
 * freeing memory: it gets a slice after RESCUE_SOON_NS already.  (At the end
 * of a slice a reader is given one more; this is for those who were not done.)
 * The same for the kernel's work for one CPU, which others wait for.
 */
#ifndef _AGENTCG_RESCUE_BPF_H
#define _AGENTCG_RESCUE_BPF_H

#define CLOCK_MONOTONIC	1

#define RESCUE_NS	(10 * 1000 * 1000 * 1000ULL)
#define RESCUE_SLICE	1000ULL
#define RESCUE_SOON_NS (1000 * 1000 * 1000ULL)
/* Tasks looked at in one go; the next goes on there. */
#define RESCUE_TASKS	4096
#define RESCUE_EVERY_NS	(1000 * 1000 * 1000ULL)

#define TIMER_IDLE_NS	(500 * 1000 * 1000ULL)
#define TIMER_LIMITED_NS (20 * 1000 * 1000ULL)
#define TIMER_BUSY_NS	(4 * 1000 * 1000ULL)

struct sched_timer {
	struct bpf_timer timer;
	__u64 rescued;		/* when it last looked */
	__u32 cursor;		/* slot to go on with */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sched_timer);
} sched_timers SEC(".maps");

__s32 nr_in_rescue;

/* Moves who has waited for long in one group's queue; returns whom it looked at. */
static __u32 rescue_queue(__u32 slot, __u64 now)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	struct task_ctx *t;
	bool soon;
	__u32 i;

	if (bpf_iter_scx_dsq_new(&it, DSQ_GROUPS + slot, 0)) {
		bpf_iter_scx_dsq_destroy(&it);
		return 0;
	}
	bpf_for(i, 0, RESCUE_TASKS) {
		p = bpf_iter_scx_dsq_next(&it);
		if (!p)
			break;
		t = ctx_of(p);
		soon = is_reader(p) || is_of_cpu(p);
		if (!t || now - t->queued_at < (soon ? RESCUE_SOON_NS : RESCUE_NS))
			continue;
		scx_bpf_dsq_move_set_slice(&it, soon ? AGENTCG_SLICE_FAST : RESCUE_SLICE);
		if (scx_bpf_dsq_move(&it, p, DSQ_RESCUE, 0)) {
			t->queued_at = now;
			__sync_fetch_and_add(&nr_in_rescue, 1);
		}
	}
	bpf_iter_scx_dsq_destroy(&it);
	return i;
}

static void rescue(struct sched_timer *timer, __u64 now)
{
	__u32 i, slot, looked = 0;

	bpf_for(i, 0, AGENTCG_MAX_NODES) {
		slot = (timer->cursor + i) & (AGENTCG_MAX_NODES - 1);
		if (node_at(slot)->nr_own > 0)
			looked += rescue_queue(slot, now);
		if (looked >= RESCUE_TASKS) {
			timer->cursor = slot + 1;
			break;
		}
	}
}

static void wake_idle(void)
{
	__u32 cpu;

	bpf_for(cpu, 0, nr_cpus)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

static int on_timer(void *map, __u32 *key, struct sched_timer *timer)
{
	__u64 now = bpf_ktime_get_ns(), next = TIMER_IDLE_NS;

	if (now - timer->rescued >= RESCUE_EVERY_NS) {
		timer->rescued = now;
		rescue(timer, agentcg_now());
	}
	if (nr_limited > 0)
		next = node_at(0)->nr_runnable > 0 ? TIMER_BUSY_NS : TIMER_LIMITED_NS;
	if (waiting(node_at(0)))
		wake_idle();
	bpf_timer_start(&timer->timer, next, 0);
	return 0;
}

static int start_timers(void)
{
	__u32 zero = 0;
	struct sched_timer *timer = bpf_map_lookup_elem(&sched_timers, &zero);

	if (!timer)
		return -ENOENT;
	bpf_timer_init(&timer->timer, &sched_timers, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&timer->timer, on_timer);
	return bpf_timer_start(&timer->timer, TIMER_IDLE_NS, 0);
}

/* It runs: that was all it got. */
static void end_rescue(__s32 cpu)
{
	scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
}

#endif
