/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Groups come, change and go: the cgroup operations of the CPU scheduler.
 *
 * The kernel calls them with the cgroup mutex held, so none runs twice at once;
 * scheduling goes on meanwhile.  A slot keeps its queue when its group goes:
 * destroying one that is not empty is an error that ends the scheduler.
 */
#ifndef _AGENTCG_GROUPS_BPF_H
#define _AGENTCG_GROUPS_BPF_H

/* Deeper ones are charged to the root. */
#define MAX_CGROUP_DEPTH 64

/*
 * The slots below nr_slots have been used; those of them that are free are
 * linked by "next" from first_free.
 */
__u32 nr_slots;
__u32 first_free;	/* slot + 1 */

static struct agentcg_node *node_of(struct cgroup *cgrp)
{
	__u64 id = cgrp->kn->id;
	__u32 *slot = bpf_map_lookup_elem(&node_slots, &id);

	return slot ? node_at(*slot) : NULL;
}

/* The slot of the nearest group above and including @cgrp that has one. */
static __u32 slot_of(struct cgroup *cgrp)
{
	struct cgroup_subsys_state *above;
	__u32 *slot;
	__u64 id;
	int i;

	bpf_for(i, 0, MAX_CGROUP_DEPTH) {
		id = cgrp->kn->id;
		slot = bpf_map_lookup_elem(&node_slots, &id);
		if (slot)
			return *slot;
		above = cgrp->self.parent;
		if (!above)
			break;
		cgrp = above->cgroup;
	}
	return 0;
}

static void set_limit(struct agentcg_node *n, u64 period_us, u64 quota_us, u64 burst_us)
{
	bool limited = period_us && quota_us != ~0ULL && quota_us < (1ULL << 43);

	__sync_fetch_and_add(&nr_limited, (s32)limited - (s32)!!n->bw_period);
	n->bw_period = 0;
	n->bw_quota = quota_us * 1000;
	n->bw_burst = burst_us * 1000;
	n->bw_left = n->bw_quota;
	n->bw_end = agentcg_now() + period_us * 1000;
	if (limited)
		n->bw_period = period_us * 1000;
}

/* Keeps what it is owed or owes as CPU time: it must not wait for a clock of other units. */
static void set_weight(struct agentcg_node *n, u32 weight, bool idle)
{
	u32 old = n->idle ? 1 : n->weight;

	n->weight = weight;
	n->idle = idle;
	n->inverse = agentcg_inverse(idle ? 1 : weight);
	if (n->level)
		n->vtime = agentcg_reweigh(n->vtime, node_at(n->parent)->clock, old, n->inverse);
}

static void init_node(struct agentcg_node *n, struct cgroup *cgrp, __u32 parent,
		      const struct scx_cgroup_init_args *args)
{
	struct agentcg_node *above = node_at(parent);

	n->parent = parent;
	n->level = cgrp->level ? above->level + 1 : 0;
	n->class = AGENTCG_CLASS_AUTO;
	n->vtime = above->clock;
	set_weight(n, args->weight, bpf_core_field_exists(args->sched_idle) && args->sched_idle);
	n->clock = 0;
	n->own_vtime = 0;
	n->task_clock = 0;
	n->nr_runnable = 0;
	n->nr_own = 0;
	n->nr_listed = 0;
	n->nr_fast = 0;
	n->listed = 0;
	n->head = 0;
	n->deadline = 0;
	n->tokens = AGENTCG_BURST_AUTO;
	n->tokens_at = agentcg_now();
	n->usage = 0;
	n->nr_switches = 0;
	n->nr_fast_runs = 0;
	n->nr_throttled = 0;
	if (bpf_core_field_exists(args->bw_quota_us))	/* 6.17 */
		set_limit(n, args->bw_period_us, args->bw_quota_us, args->bw_burst_us);
	n->cgroup_id = cgrp->kn->id;
}

/* All groups are told again when the scheduler is attached again. */
static void forget_groups(void)
{
	nr_slots = 0;
	first_free = 0;
}

static __u32 take_slot(void)
{
	__u32 slot = first_free - 1;

	if (first_free) {
		first_free = node_at(slot)->next;
		return slot;
	}
	slot = nr_slots;
	if (slot >= AGENTCG_MAX_NODES || scx_bpf_create_dsq(DSQ_GROUPS + slot, -1))
		return NO_SLOT;
	nr_slots++;
	return slot;
}

static void give_slot(__u32 slot)
{
	struct agentcg_node *n = node_at(slot);

	n->next = first_free;
	first_free = slot + 1;
}

SEC("struct_ops.s/agentcg_cgroup_init")
s32 BPF_PROG(agentcg_cgroup_init, struct cgroup *cgrp, struct scx_cgroup_init_args *args)
{
	__u64 id = cgrp->kn->id;
	__u32 parent, slot;

	parent = slot_of(cgrp);
	if (cgrp->level && node_at(parent)->level >= AGENTCG_MAX_LEVEL)
		return 0;
	slot = take_slot();
	if (slot == NO_SLOT) {
		count(AGENTCG_SCHED_NO_NODE);
		return 0;
	}
	init_node(node_at(slot), cgrp, parent, args);
	if (bpf_map_update_elem(&node_slots, &id, &slot, BPF_ANY)) {
		node_at(slot)->cgroup_id = 0;
		give_slot(slot);
		count(AGENTCG_SCHED_NO_NODE);
	} else {
		struct agentcg_hist *h = bpf_map_lookup_elem(&wakeups, &slot);

		if (h)
			__builtin_memset(h, 0, sizeof(*h));
	}
	return 0;
}

SEC("struct_ops/agentcg_cgroup_exit")
void BPF_PROG(agentcg_cgroup_exit, struct cgroup *cgrp)
{
	__u64 id = cgrp->kn->id;
	__u32 *found = bpf_map_lookup_elem(&node_slots, &id), slot;
	struct agentcg_node *n;

	if (!found)
		return;
	slot = *found;
	n = node_at(slot);
	bpf_map_delete_elem(&node_slots, &id);
	set_limit(n, 0, 0, 0);
	if (n->deadline)
		__sync_fetch_and_add(&nr_deadlines, -1);
	n->deadline = 0;
	if (n->level)
		delist(n);
	n->cgroup_id = 0;
	give_slot(slot);
}

SEC("struct_ops/agentcg_cgroup_set_weight")
void BPF_PROG(agentcg_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	struct agentcg_node *n = node_of(cgrp);

	if (n)
		set_weight(n, weight, n->idle);
}

SEC("struct_ops/agentcg_cgroup_set_idle")
void BPF_PROG(agentcg_cgroup_set_idle, struct cgroup *cgrp, bool idle)
{
	struct agentcg_node *n = node_of(cgrp);

	if (n)
		set_weight(n, n->weight, idle);
}

SEC("struct_ops/agentcg_cgroup_set_bandwidth")
void BPF_PROG(agentcg_cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
	      u64 burst_us)
{
	struct agentcg_node *n = node_of(cgrp);

	if (!n)
		return;
	set_limit(n, period_us, quota_us, burst_us);
	/* Who was stopped may go on. */
	wake_idle();
}

#endif
