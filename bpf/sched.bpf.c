// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU scheduler that knows sessions and tool calls.
 *
 * One queue for the whole machine, arranged as the cgroup tree: at every level
 * the group with the least virtual time comes next (tree.bpf.h; the arithmetic
 * and its sources are in fair.h), in a group the task with the least.  Each
 * group is charged for every ns that it ran on any CPU, so shares are exact
 * over the machine, and not only, as with a queue for each CPU, as good as the
 * balancing between them.
 *
 * Out of turn, in this order, come
 *
 *	GPU	threads that feed a GPU, as root declared them;
 *	fast	groups that were declared interactive, or are seen to be (they
 *		use little), when they wake up, the declared ones also when they
 *		go on: each level above may be ahead of its share by the burst of
 *		the class, and no more.  They pay for it as for all else, so a
 *		hog that lies gains the burst once.
 *
 * They interrupt what runs if no CPU is idle.  Others interrupt only whose
 * group is ahead of theirs by AGENTCG_LAG_PREEMPT.
 *
 * A turn is the group's.  A task that wakes another of its group and is about
 * to sleep (a pipe, a socket) hands it what is left of the turn, and nobody is
 * asked whose turn it is.
 *
 * Kernel threads are fast, too, while all tasks of the root group together are
 * within a burst; those that are bound to a CPU run there at once, as they would
 * otherwise.  They hold locks that others wait for: khugepaged, with the least
 * share of a busy CPU, holds a worker's mmap_lock while it copies 2 MiB, and
 * that worker, on CPUs of its own, stood still for seconds.
 *
 * sched_ext ends a scheduler that lets a task wait 30 s.  A group with a small
 * share and many threads could get there, honestly or on purpose, so who has
 * waited RESCUE_SECONDS is run for a moment (rescue.bpf.h).
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "compat.bpf.h"
#include "fair.h"
#include "tree.bpf.h"
#include "task.bpf.h"
#include "rescue.bpf.h"
#include "hint.bpf.h"
#include "fast.bpf.h"
#include "groups.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define INVERSE_DEFAULT	agentcg_inverse(AGENTCG_WEIGHT_DEFAULT)

/* Tasks of a group that are looked at for one that ran here last. */
#define NEAR_TASKS	4
/* With less left of its turn nobody hands it over. */
#define HANDOVER_NS	(100 * 1000ULL)
/* Of so many wake-ups with a turn handed over one is counted. */
#define NOTED_HEIRS	8
/* Groups that a CPU looks into at most for something to run. */
#define TURNS		128

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct agentcg_sched_exit);
} sched_exit SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} sched_events SEC(".maps");

/* Waiting in the queues of the classes; a hint for who looks there. */
__s32 nr_in_fast;
__s32 nr_in_gpu;

/* What @p used since the last time is the turn's. */
static void note_use(struct task_struct *p, struct task_ctx *t, struct cpu_ctx *c)
{
	__u64 now = p->se.sum_exec_runtime, used = now - t->charged;

	if (!used)
		return;
	t->charged = now;
	c->used += used;
	agentcg_set_vtime(p, p->scx.dsq_vtime + used * 100 / (p->scx.weight ?: 1));
}

/* Charges what the turn has used; if it @ends, the advance that is left is given back. */
static void charge_turn(struct cpu_ctx *c, bool ends)
{
	__u64 used = c->used, paid = c->paid;

	if (!ends && paid > used)
		paid = used;
	if (!used && !paid)
		return;
	c->paid -= paid;
	c->used = 0;
	charge_path(c->slot, used, (__s64)used - (__s64)paid);
}

static void pay_advance(struct cpu_ctx *c)
{
	c->paid = AGENTCG_ADVANCE;
	charge_path(c->slot, 0, AGENTCG_ADVANCE);
}

/* ---- from waking up to running ------------------------------------------ */

/* An idle CPU of those that are kept for GPU threads and that @p may use; or -1. */
static s32 pick_reserved(struct task_struct *p)
{
	__u32 i;

	bpf_for(i, 0, nr_cpus)
		if (is_reserved(i) && bpf_cpumask_test_cpu(i, p->cpus_ptr) &&
		    scx_bpf_test_and_clear_cpu_idle(i))
			return i;
	return -1;
}

static bool some_cpu_idles(void)
{
	const struct cpumask *mask = scx_bpf_get_idle_cpumask();
	bool some = !bpf_cpumask_empty(mask);

	scx_bpf_put_idle_cpumask(mask);
	return some;
}

/*
 * Whoever wakes a task of its own group and is about to sleep hands it the rest
 * of its turn on this CPU.  The turn was the group's, so no other is asked.
 */
static void hand_over(struct task_struct *p, struct task_ctx *t, s32 cpu)
{
	struct cpu_ctx *c = cpu_at(cpu);
	u64 now = agentcg_now(), until;

	if (!c)
		return;
	/* Another CPU may end the turn at any moment. */
	until = *(volatile u64 *)&c->until;
	if (c->slot != t->slot || c->heir || !agentcg_before(now + HANDOVER_NS, until) ||
	    node_at(t->slot)->class == AGENTCG_CLASS_INTERACTIVE || is_gpu(t) ||
	    nr_in_gpu > 0 || nr_in_fast > 0 || nr_in_rescue > 0 ||
	    scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL) ||
	    (nr_limited && !path_has_bandwidth(t->slot, now)))
		return;
	c->heir = 1;
	c->nr_heirs++;
	t->queued = QUEUED_HEIR;
	count(AGENTCG_SCHED_HANDED);
	agentcg_insert(p, SCX_DSQ_LOCAL, until - now, 0);
}

/* This CPU has nothing to do: should somebody have gone on after all, its heir need not wait. */
static void free_heir(s32 self)
{
	struct cpu_ctx *c;
	__u32 i, cpu;

	bpf_for(i, 1, VICTIMS) {
		if (i >= nr_cpus)
			break;
		cpu = self + i;
		if (cpu >= nr_cpus)
			cpu -= nr_cpus;
		c = cpu_at(cpu);
		if (c && c->heir) {
			scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
			break;
		}
	}
}

/* Who is woken by somebody that is about to sleep best waits for that one's CPU. */
static s32 near_waker(struct task_struct *p, struct task_ctx *t, s32 prev_cpu, u64 wake_flags)
{
	s32 cpu = bpf_get_smp_processor_id();

	if (!(wake_flags & SCX_WAKE_SYNC) || !bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
		return prev_cpu;
	if (t && !injected)
		hand_over(p, t, cpu);
	return cpu;
}

SEC("struct_ops/agentcg_select_cpu")
s32 BPF_PROG(agentcg_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct task_ctx *t = ctx_of(p);
	bool idle = false;
	s32 cpu;

	if (t && nr_reserved && is_gpu(t)) {
		cpu = pick_reserved(p);
		if (cpu >= 0) {
			agentcg_insert(p, SCX_DSQ_LOCAL, AGENTCG_SLICE_FAST, 0);
			return cpu;
		}
	}
	if (!some_cpu_idles())
		return near_waker(p, t, prev_cpu, wake_flags);
	cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
	if (!idle || !t || injected)
		return idle ? cpu : near_waker(p, t, prev_cpu, wake_flags);
	if (nr_limited && !path_has_bandwidth(t->slot, agentcg_now()))
		return cpu;
	count(AGENTCG_SCHED_DIRECT);
	agentcg_insert(p, SCX_DSQ_LOCAL, AGENTCG_SLICE, 0);
	return cpu;
}

/* It left the queue it was in, whichever way. */
static void dequeued(struct task_ctx *t)
{
	u32 where = t->queued;

	t->queued = QUEUED_NOWHERE;
	if (where == QUEUED_GROUP)
		sub_waiting(t->slot);
	else if (where == QUEUED_FAST)
		__sync_fetch_and_add(&nr_in_fast, -1);
	else if (where == QUEUED_GPU)
		__sync_fetch_and_add(&nr_in_gpu, -1);
}

/* First come, first served: all have the same slice, so the same deadline. */
static void enqueue_class(struct task_struct *p, struct task_ctx *t, u64 flags, bool gpu,
			  s32 victim)
{
	__sync_fetch_and_add(gpu ? &nr_in_gpu : &nr_in_fast, 1);
	t->queued = gpu ? QUEUED_GPU : QUEUED_FAST;
	count(AGENTCG_SCHED_FAST);
	agentcg_insert_vtime(p, gpu ? DSQ_GPU : DSQ_FAST, AGENTCG_SLICE_FAST, agentcg_now(), flags);
	if (victim >= 0)
		interrupt(victim);
}

static void enqueue_fast(struct task_struct *p, struct task_ctx *t, u64 flags, s32 victim)
{
	begin_fast(t);
	enqueue_class(p, t, flags, false, victim);
}

static void enqueue_group(struct task_struct *p, struct task_ctx *t, u64 flags, u64 now)
{
	struct agentcg_node *n = node_at(t->slot);
	u64 vtime = agentcg_place(p->scx.dsq_vtime, n->task_clock, p->scx.weight);
	struct cpu_ctx *c;
	s32 cpu;

	if (!n->level)
		n->own_vtime = agentcg_join(n->own_vtime, n->clock, INVERSE_DEFAULT,
					    AGENTCG_LAG_KEEP);
	add_waiting(t->slot);
	t->queued = QUEUED_GROUP;
	t->queued_at = now;
	count(AGENTCG_SCHED_QUEUED);
	agentcg_insert_vtime(p, DSQ_GROUPS + t->slot, AGENTCG_SLICE, vtime, flags);

	/* Another CPU may be idle: a wake-up has looked, but an expired slice has not. */
	if (!(flags & AGENTCG_ENQ(CPU_SELECTED))) {
		cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
		if (cpu >= 0) {
			scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
			return;
		}
	}
	if (!(flags & AGENTCG_ENQ(WAKEUP)))
		return;
	cpu = scx_bpf_task_cpu(p);
	c = cpu_at(cpu);
	if (c && !c->fast && far_behind(t->slot, c->slot))
		interrupt(cpu);
}

/* Where kernel threads are, in the root group, all tasks together are within a burst. */
static bool kernel_may_lead(const struct agentcg_node *n)
{
	return !n->level && agentcg_may_lead(n->own_vtime, n->clock, INVERSE_DEFAULT,
					     AGENTCG_BURST_INTERACTIVE);
}

/*
 * The kernel's work for one CPU comes first, as long as it does not use that up; where
 * threads run that feed a GPU, which may spin for ever, it is the next in any case.
 */
static bool enqueue_kernel(struct task_struct *p, struct agentcg_node *n, u64 flags)
{
	struct cpu_ctx *c = cpu_at(scx_bpf_task_cpu(p));

	if (kernel_may_lead(n)) {
		if (flags & AGENTCG_ENQ(WAKEUP))
			flags |= AGENTCG_ENQ(PREEMPT);
	} else if (!c || c->fast != RANK_GPU) {
		return false;
	}
	agentcg_insert(p, SCX_DSQ_LOCAL, AGENTCG_SLICE, flags);
	return true;
}

SEC("struct_ops/agentcg_enqueue")
void BPF_PROG(agentcg_enqueue, struct task_struct *p, u64 flags)
{
	struct task_ctx *t = ctx_of(p);
	struct agentcg_node *n;
	bool declared, wakes;
	s32 victim;
	u64 now;

	if (!t) {
		agentcg_insert(p, SCX_DSQ_LOCAL, AGENTCG_SLICE, flags);
		return;
	}
	n = node_at(t->slot);
	end_fast(t);
	/* It may have been moved, or put back from a CPU that it was to run on. */
	if (t->queued)
		dequeued(t);
	if (is_of_cpu(p) && enqueue_kernel(p, n, flags))
		return;
	if (injected == AGENTCG_INJECT_ERROR)
		agentcg_error("injected");
	if (injected == AGENTCG_INJECT_STALL && !(p->flags & PF_KTHREAD)) {
		agentcg_insert_vtime(p, DSQ_LOST, AGENTCG_SLICE, 0, flags);
		return;
	}
	now = agentcg_now();
	if (is_gpu(t)) {
		enqueue_class(p, t, flags, true, find_victim(p, RANK_GPU, NO_SLOT));
		return;
	}
	if (p->flags & PF_KTHREAD && kernel_may_lead(n)) {
		enqueue_fast(p, t, flags, find_victim(p, RANK_FAST, NO_SLOT));
		return;
	}
	/* A new task is waited for, too. */
	wakes = flags & AGENTCG_ENQ(WAKEUP) || !p->se.sum_exec_runtime;
	if (!wakes || !may_be_fast(t->slot, now) || !path_has_bandwidth(t->slot, now)) {
		enqueue_group(p, t, flags, now);
		return;
	}
	declared = n->class == AGENTCG_CLASS_INTERACTIVE;
	victim = find_victim(p, RANK_FAST, declared ? NO_SLOT : t->slot);
	/* It is only a guess that it is short: no use if it helps against nobody. */
	if (!declared && victim < 0) {
		enqueue_group(p, t, flags, now);
		return;
	}
	enqueue_fast(p, t, flags, victim);
}

/* ---- what a CPU runs next ----------------------------------------------- */

/* Where the task that has just run sits, for find_turn(). */
static void set_path(struct cpu_ctx *c, __u32 slot)
{
	struct agentcg_node *n;
	int i;

	c->level = node_at(slot)->level;
	c->owed = 0;
	for (i = 0; i <= AGENTCG_MAX_LEVEL; i++) {
		n = node_at(slot);
		if (n->level <= AGENTCG_MAX_LEVEL)
			c->path[n->level] = slot;
		if (!n->level)
			break;
		slot = n->parent;
		if (!c->owed && agentcg_before(n->vtime, node_at(slot)->clock))
			c->owed = n->level;
	}
}

static void keep(struct task_struct *prev, struct task_ctx *t, struct cpu_ctx *c)
{
	__u64 slice;

	count(AGENTCG_SCHED_KEPT);
	t->yielded = 0;
	c->fast = rank_of(t);
	slice = c->fast ? AGENTCG_SLICE_FAST : AGENTCG_SLICE;
	c->until = agentcg_now() + slice;
	pay_advance(c);
	agentcg_set_slice(prev, slice);
}

/* Whether somebody in the queue of prev's own group comes before it. */
static bool someone_first(struct task_struct *prev, struct task_ctx *t, __u64 dsq)
{
	struct task_struct *head;
	bool first;

	if (t->yielded)
		return true;
	bpf_rcu_read_lock();
	head = agentcg_peek(dsq);
	first = head && agentcg_before(head->scx.dsq_vtime, prev->scx.dsq_vtime);
	bpf_rcu_read_unlock();
	return first;
}

static bool out_of_turn(void)
{
	/* Before those that feed a GPU, too: where they spin, nobody else would come. */
	if (nr_in_rescue > 0 && agentcg_move_to_local(DSQ_RESCUE)) {
		__sync_fetch_and_add(&nr_in_rescue, -1);
		count(AGENTCG_SCHED_RESCUED);
		return true;
	}
	if (nr_in_gpu > 0 && agentcg_move_to_local(DSQ_GPU))
		return true;
	return nr_in_fast > 0 && agentcg_move_to_local(DSQ_FAST);
}

/* Who comes out of turn goes on so as long as it may; for the rest it is the next turn. */
static bool goes_on(const struct task_struct *prev, struct task_ctx *t, __u64 now)
{
	struct agentcg_node *n = node_at(t->slot);

	if (t->yielded)
		return false;
	if (is_gpu(t))
		return true;
	if (!(prev->flags & PF_KTHREAD && kernel_may_lead(n)) &&
	    (n->class != AGENTCG_CLASS_INTERACTIVE || !may_be_fast(t->slot, now)))
		return false;
	begin_fast(t);
	return true;
}

/* A reader under RCU is not interrupted in the middle, but for once: see rescue.bpf.h. */
static bool ends_reading(const struct task_struct *prev, struct task_ctx *t)
{
	t->extended = !t->extended && is_reader(prev);
	return t->extended;
}

/*
 * Takes the next task of a group; one that ran on this CPU last before the
 * others if its turn is about as near, since moving a task is dear.
 */
static bool take(s32 cpu, __u64 dsq)
{
	struct bpf_iter_scx_dsq it;
	struct task_struct *p;
	__u64 latest = 0;
	bool taken = false;
	int i;

	bpf_rcu_read_lock();
	p = agentcg_peek(dsq);
	taken = p && scx_bpf_task_cpu(p) != cpu;
	bpf_rcu_read_unlock();
	if (!taken)
		return agentcg_move_to_local(dsq);

	taken = false;
	if (!bpf_iter_scx_dsq_new(&it, dsq, 0)) {
		bpf_for(i, 0, NEAR_TASKS) {
			p = bpf_iter_scx_dsq_next(&it);
			if (!p || (i && agentcg_before(latest, p->scx.dsq_vtime)))
				break;
			if (!i)
				latest = p->scx.dsq_vtime + AGENTCG_SLICE;
			if (scx_bpf_task_cpu(p) != cpu)
				continue;
			taken = scx_bpf_dsq_move(&it, p, SCX_DSQ_LOCAL, 0);
			break;
		}
	}
	bpf_iter_scx_dsq_destroy(&it);
	return taken || agentcg_move_to_local(dsq);
}

SEC("struct_ops/agentcg_dispatch")
void BPF_PROG(agentcg_dispatch, s32 cpu, struct task_struct *prev)
{
	struct cpu_ctx *c = cpu_at(cpu);
	__u64 now = agentcg_now(), dsq;
	struct task_ctx *t = NULL;
	struct skips *skip;
	struct agentcg_node *n;
	__u32 key = (__u32)cpu, seq, i;
	int r;

	skip = bpf_map_lookup_elem(&skips, &key);
	if (!c || !skip) {
		agentcg_error("a CPU that the loader did not make room for");
		return;
	}
	c->prev = 0;
	if (prev && (prev->scx.flags & AGENTCG_TASK_QUEUED)) {
		t = ctx_of(prev);
		if (t)
			note_use(prev, t, c);
	}
	/* Also that of a turn whose heir did not come. */
	charge_turn(c, true);
	if (t) {
		end_fast(t);
		set_path(c, t->slot);
		c->prev = path_has_bandwidth(t->slot, now);
	}
	if (out_of_turn())
		return;
	if (t && c->prev && (goes_on(prev, t, now) || ends_reading(prev, t))) {
		keep(prev, t, c);
		return;
	}

	bpf_for(i, 0, TURNS) {
		r = find_turn(cpu, now, nr_deadlines > 0 ? bpf_ktime_get_ns() : 0);
		if (r == 1)
			continue;
		if (r) {
			free_heir(cpu);
			break;
		}
		n = node_at(c->leaf);
		dsq = DSQ_GROUPS + c->leaf;
		if (t && c->same) {
			/* As if it had queued. */
			agentcg_set_vtime(prev, agentcg_later(prev->scx.dsq_vtime,
							      n->task_clock - AGENTCG_SLICE));
			if (n->nr_own > 0 && someone_first(prev, t, dsq) && take(cpu, dsq))
				return;
			keep(prev, t, c);
			return;
		}
		seq = n->seq;
		if (take(cpu, dsq))
			return;
		count(AGENTCG_SCHED_EMPTY);
		skip_own(skip, c->leaf, seq, now);
		if (!n->nr_listed)
			skip_group(skip, c->leaf, seq, now);
	}
}

/* ---- running ------------------------------------------------------------ */

/* Who inherits a turn hardly waits, and they may be many: every NOTED_HEIRSth stands for all. */
static bool is_noted(const struct task_ctx *t)
{
	struct cpu_ctx *c;

	if (t->queued != QUEUED_HEIR)
		return true;
	c = cpu_at(bpf_get_smp_processor_id());
	return c && c->nr_heirs % NOTED_HEIRS == 0;
}

SEC("struct_ops/agentcg_runnable")
void BPF_PROG(agentcg_runnable, struct task_struct *p, u64 flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	if (flags & AGENTCG_ENQ(WAKEUP) && is_noted(t))
		t->woken = agentcg_now();
	activate_path(t->slot);
}

SEC("struct_ops/agentcg_quiescent")
void BPF_PROG(agentcg_quiescent, struct task_struct *p, u64 flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	if (t->queued)
		dequeued(t);
	end_fast(t);
	deactivate_path(t->slot);
}

static void note_wakeup(struct task_ctx *t, __u64 times)
{
	__u64 now = agentcg_now();
	struct agentcg_hist *h;
	__u32 slot = t->slot, bucket;

	bucket = agentcg_before(now, t->woken) ? 0 : agentcg_bucket(now - t->woken);
	t->woken = 0;
	h = bpf_map_lookup_elem(&wakeups, &slot);
	if (h && bucket < AGENTCG_HIST_BUCKETS)
		__sync_fetch_and_add(&h->count[bucket], times);
}

SEC("struct_ops/agentcg_running")
void BPF_PROG(agentcg_running, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);
	s32 cpu = scx_bpf_task_cpu(p);
	struct cpu_ctx *c = cpu_at(cpu);
	struct agentcg_node *n;
	bool heir;

	if (!t || !c)
		return;
	heir = t->queued == QUEUED_HEIR;
	n = node_at(t->slot);
	if (t->queued == QUEUED_GROUP)
		n->task_clock = agentcg_later(n->task_clock, p->scx.dsq_vtime);
	if (t->queued)
		dequeued(t);
	n->nr_switches++;
	if (t->fast_in)
		n->nr_fast_runs++;
	if (t->woken)
		note_wakeup(t, heir ? NOTED_HEIRS : 1);
	c->fast = rank_of(t);
	if (heir && c->heir && c->slot == t->slot) {
		/* Somebody has asked for this CPU meanwhile. */
		if (!c->until)
			scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
		if (!c->paid)
			pay_advance(c);
	} else {
		charge_turn(c, true);
		c->slot = t->slot;
		c->until = agentcg_now() + p->scx.slice;
		pay_advance(c);
	}
	c->heir = 0;
	if (p->scx.slice <= RESCUE_SLICE)
		end_rescue(cpu);
}

SEC("struct_ops/agentcg_stopping")
void BPF_PROG(agentcg_stopping, struct task_struct *p, bool runnable)
{
	struct cpu_ctx *c = cpu_at(scx_bpf_task_cpu(p));
	struct task_ctx *t = ctx_of(p);

	if (!t || !c)
		return;
	note_use(p, t, c);
	/* The heir goes on with it. */
	if (runnable || !c->heir)
		charge_turn(c, true);
}

SEC("struct_ops/agentcg_tick")
void BPF_PROG(agentcg_tick, struct task_struct *p)
{
	struct cpu_ctx *c = cpu_at(scx_bpf_task_cpu(p));
	struct task_ctx *t = ctx_of(p);

	if (!t || !c)
		return;
	note_use(p, t, c);
	charge_turn(c, false);
	if (nr_limited && !path_has_bandwidth(t->slot, agentcg_now()))
		agentcg_set_slice(p, 0);
}

/* The ext core expects a true only if a task was named and could be served. */
SEC("struct_ops/agentcg_yield")
bool BPF_PROG(agentcg_yield, struct task_struct *from, struct task_struct *to)
{
	struct task_ctx *t;

	if (to)
		return false;
	t = ctx_of(from);
	if (t)
		t->yielded = 1;
	agentcg_set_slice(from, 0);
	return false;
}

/* ---- tasks and groups come and go --------------------------------------- */

SEC("struct_ops.s/agentcg_init_task")
s32 BPF_PROG(agentcg_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t;

	t = bpf_task_storage_get(&task_ctxs, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!t)
		return -ENOMEM;
	*t = (struct task_ctx){ .slot = slot_of(args->cgroup) };
	return 0;
}

SEC("struct_ops/agentcg_enable")
void BPF_PROG(agentcg_enable, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	t->charged = p->se.sum_exec_runtime;
	agentcg_set_vtime(p, node_at(t->slot)->task_clock);
}

/* It is not queued and not runnable meanwhile. */
SEC("struct_ops/agentcg_cgroup_move")
void BPF_PROG(agentcg_cgroup_move, struct task_struct *p, struct cgroup *from, struct cgroup *to)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	t->slot = slot_of(to);
	agentcg_set_vtime(p, node_at(t->slot)->task_clock);
}

/* Without these two a CPU that comes or goes would end the scheduler. */
SEC("struct_ops/agentcg_cpu_online")
void BPF_PROG(agentcg_cpu_online, s32 cpu)
{
}

SEC("struct_ops/agentcg_cpu_offline")
void BPF_PROG(agentcg_cpu_offline, s32 cpu)
{
}

SEC("struct_ops.s/agentcg_init")
s32 BPF_PROG(agentcg_init)
{
	s32 r;

	forget_groups();
	injected = 0;
	r = scx_bpf_create_dsq(DSQ_GPU, -1);
	if (!r)
		r = scx_bpf_create_dsq(DSQ_FAST, -1);
	if (!r)
		r = scx_bpf_create_dsq(DSQ_RESCUE, -1);
	if (!r)
		r = scx_bpf_create_dsq(DSQ_LOST, -1);
	return r ?: start_timers();
}

SEC("struct_ops/agentcg_exit")
void BPF_PROG(agentcg_exit, struct scx_exit_info *info)
{
	__u32 zero = 0;
	struct agentcg_sched_exit *e = bpf_map_lookup_elem(&sched_exit, &zero);
	__u64 now = bpf_ktime_get_ns();

	if (e) {
		e->kind = info->kind;
		e->code = info->exit_code;
		bpf_probe_read_kernel_str(e->reason, sizeof(e->reason), info->reason);
		bpf_probe_read_kernel_str(e->message, sizeof(e->message), info->msg);
		e->time = now;
	}
	bpf_ringbuf_output(&sched_events, &now, sizeof(now), 0);
}

SEC(".struct_ops.link")
struct sched_ext_ops agentcg_sched = {
	.select_cpu		= (void *)agentcg_select_cpu,
	.enqueue		= (void *)agentcg_enqueue,
	.dispatch		= (void *)agentcg_dispatch,
	.tick			= (void *)agentcg_tick,
	.runnable		= (void *)agentcg_runnable,
	.running		= (void *)agentcg_running,
	.stopping		= (void *)agentcg_stopping,
	.quiescent		= (void *)agentcg_quiescent,
	.yield			= (void *)agentcg_yield,
	.init_task		= (void *)agentcg_init_task,
	.enable			= (void *)agentcg_enable,
	.cgroup_init		= (void *)agentcg_cgroup_init,
	.cgroup_exit		= (void *)agentcg_cgroup_exit,
	.cgroup_move		= (void *)agentcg_cgroup_move,
	.cgroup_set_weight	= (void *)agentcg_cgroup_set_weight,
	.cgroup_set_bandwidth	= (void *)agentcg_cgroup_set_bandwidth,
	.cgroup_set_idle	= (void *)agentcg_cgroup_set_idle,
	.cpu_online		= (void *)agentcg_cpu_online,
	.cpu_offline		= (void *)agentcg_cpu_offline,
	.init			= (void *)agentcg_init,
	.exit			= (void *)agentcg_exit,
	.flags			= SCX_OPS_ENQ_LAST,
	.name			= "agentcg",
};
