/* SPDX-License-Identifier: GPL-2.0-only */
/* Out of turn: who may come first, for how long, and whom it interrupts. */
#ifndef _AGENTCG_FAST_BPF_H
#define _AGENTCG_FAST_BPF_H

/* What runs out of turn is interrupted only by a higher rank. */
#define RANK_FAST	1
#define RANK_GPU	2

/* CPUs that a task that comes out of turn looks at for one to interrupt. */
#define VICTIMS		8

static bool is_gpu(const struct task_ctx *t)
{
	return t->gpu || node_at(t->slot)->class == AGENTCG_CLASS_GPU;
}

static __u32 rank_of(const struct task_ctx *t)
{
	return is_gpu(t) ? RANK_GPU : t->fast_in ? RANK_FAST : 0;
}

/*
 * Whether a task that wakes up in @slot may come out of turn: no level is
 * ahead of its share by more than the burst, and not all of a crowd do so at
 * once, since what they will run is not charged yet.
 */
static bool may_be_fast(__u32 slot, __u64 now)
{
	struct agentcg_node *n = node_at(slot);
	__u64 burst = agentcg_burst(n->class);
	int i;

	if (!burst)
		return false;
	if (n->class == AGENTCG_CLASS_AUTO) {
		n->tokens = agentcg_tokens(n->tokens, now - n->tokens_at);
		n->tokens_at = now;
		if (n->tokens <= 0)
			return false;
	}
	for (i = 0; i <= AGENTCG_MAX_LEVEL; i++) {
		n = node_at(slot);
		if (!n->level)
			break;
		slot = n->parent;
		if (n->nr_fast >= 2 * (__s32)nr_cpus ||
		    !agentcg_may_lead(n->vtime, node_at(slot)->clock, n->inverse, burst))
			return false;
	}
	return true;
}

static void add_fast(__u32 slot, __s32 add)
{
	struct agentcg_node *n;
	int i;

	for (i = 0; i <= AGENTCG_MAX_LEVEL; i++) {
		n = node_at(slot);
		__sync_fetch_and_add(&n->nr_fast, add);
		if (!n->level)
			break;
		slot = n->parent;
	}
}

/* What it runs from now on is out of turn. */
static void begin_fast(struct task_ctx *t)
{
	add_fast(t->slot, 1);
	t->fast_in = t->slot + 1;
}

/* ... in its turn. */
static void end_fast(struct task_ctx *t)
{
	if (!t->fast_in)
		return;
	add_fast(t->fast_in - 1, -1);
	t->fast_in = 0;
}

/* Whether the branch of @slot is so far behind that of @other that it may interrupt it. */
static bool far_behind(__u32 slot, __u32 other)
{
	struct agentcg_node *a = node_at(slot), *b = node_at(other);
	int i;

	for (i = 0; i <= 2 * AGENTCG_MAX_LEVEL; i++) {
		if (a == b)
			return false;
		if (a->level == b->level && a->parent == b->parent)
			break;
		if (a->level > b->level) {
			a = node_at(a->parent);
		} else if (b->level > a->level) {
			b = node_at(b->parent);
		} else {
			a = node_at(a->parent);
			b = node_at(b->parent);
		}
	}
	/* One is above the other: its own tasks are not interrupted for its children. */
	if (!a->level || !b->level)
		return false;
	/* What runs has paid in advance. */
	return agentcg_before(a->vtime + agentcg_vtime(AGENTCG_LAG_PREEMPT, a->inverse) +
			      agentcg_vtime(AGENTCG_ADVANCE, b->inverse), b->vtime);
}

/* Whether what @cpu runs may be interrupted by class @rank; not if it is of group @own. */
static __always_inline bool yields_to(__s32 cpu, __u32 rank, __u32 own)
{
	struct cpu_ctx *c = cpu_at(cpu);

	return c && c->fast < rank && c->slot != own;
}

/* A CPU whose task gives way to @p: a reserved one for GPU threads, the one it ran on; or -1. */
static __s32 find_victim(const struct task_struct *p, __u32 rank, __u32 own)
{
	__s32 last = scx_bpf_task_cpu(p);
	__u32 i, cpu;

	if (rank == RANK_GPU && nr_reserved) {
		bpf_for(i, 0, nr_cpus)
			if (is_reserved(i) && bpf_cpumask_test_cpu(i, p->cpus_ptr) &&
			    yields_to(i, rank, own))
				return i;
	}
	if (yields_to(last, rank, own))
		return last;
	bpf_for(i, 1, VICTIMS) {
		cpu = (__u32)last + i;
		if (i >= nr_cpus)
			break;
		if (cpu >= nr_cpus)
			cpu -= nr_cpus;
		if (bpf_cpumask_test_cpu(cpu, p->cpus_ptr) && yields_to(cpu, rank, own))
			return cpu;
	}
	return -1;
}

static void interrupt(__s32 cpu)
{
	struct cpu_ctx *c = cpu_at(cpu);

	/* The rest of the turn is not for an heir. */
	if (c)
		c->until = 0;
	count(AGENTCG_SCHED_PREEMPT);
	scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
}

#endif
