/* SPDX-License-Identifier: GPL-2.0-only */
/* What the daemon tells the CPU scheduler: programs that it runs with the structs of the ABI. */
#ifndef _AGENTCG_HINT_BPF_H
#define _AGENTCG_HINT_BPF_H

struct reserved {
	struct bpf_cpumask __kptr *cpus;
};

/* CPUs that GPU launch threads take first; none: no preference. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reserved);
} reserved SEC(".maps");

__u32 nr_reserved;
/* AGENTCG_INJECT_*, seen at the next wake-up. */
__u32 injected;

static bool is_reserved(__u32 cpu)
{
	__u32 zero = 0;
	struct reserved *r = bpf_map_lookup_elem(&reserved, &zero);
	struct bpf_cpumask *mask;
	bool yes;

	if (!r)
		return false;
	bpf_rcu_read_lock();
	mask = r->cpus;
	yes = mask && bpf_cpumask_test_cpu(cpu, (const struct cpumask *)mask);
	bpf_rcu_read_unlock();
	return yes;
}

static __s64 hint_thread(const struct agentcg_hint *arg)
{
	struct task_struct *p;
	struct task_ctx *t;
	__s64 r = -ESRCH;

	if (arg->class != AGENTCG_CLASS_GPU && arg->class != AGENTCG_CLASS_AUTO)
		return -EINVAL;
	p = bpf_task_from_pid(arg->tid);
	if (!p)
		return r;
	t = ctx_of(p);
	if (t) {
		t->gpu = arg->class == AGENTCG_CLASS_GPU;
		r = 0;
	}
	bpf_task_release(p);
	return r;
}

static __s64 hint_group(const struct agentcg_hint *arg)
{
	__u64 id = arg->cgroup_id;
	__u32 *slot = bpf_map_lookup_elem(&node_slots, &id);
	struct agentcg_node *n;

	if (arg->class >= AGENTCG_NR_CLASSES)
		return -EINVAL;
	if (!slot)
		return -ENOENT;
	n = node_at(*slot);
	__sync_fetch_and_add(&nr_deadlines, (__s32)!!arg->deadline - (__s32)!!n->deadline);
	n->class = arg->class;
	n->hinted = bpf_ktime_get_ns();
	n->deadline = arg->deadline;
	return 0;
}

SEC("syscall")
int hint(struct agentcg_hint *arg)
{
	if (!arg->cgroup_id == !arg->tid)
		arg->result = -EINVAL;
	else
		arg->result = arg->tid ? hint_thread(arg) : hint_group(arg);
	return 0;
}

SEC("syscall")
int reserve(struct agentcg_reserve *arg)
{
	struct bpf_cpumask *mask, *old;
	__u32 zero = 0;
	struct reserved *r = bpf_map_lookup_elem(&reserved, &zero);

	arg->result = -EINVAL;
	if (!r || arg->cpu >= nr_cpus)
		return 0;
	mask = bpf_cpumask_create();
	if (!mask) {
		arg->result = -ENOMEM;
		return 0;
	}
	/* A copy with the change takes the place of the old one. */
	bpf_rcu_read_lock();
	old = r->cpus;
	if (old)
		bpf_cpumask_copy(mask, (const struct cpumask *)old);
	bpf_rcu_read_unlock();
	if (arg->on)
		bpf_cpumask_set_cpu(arg->cpu, mask);
	else
		bpf_cpumask_clear_cpu(arg->cpu, mask);
	nr_reserved = bpf_cpumask_weight((const struct cpumask *)mask);
	old = bpf_kptr_xchg(&r->cpus, mask);
	if (old)
		bpf_cpumask_release(old);
	arg->result = 0;
	return 0;
}

SEC("syscall")
int inject(struct agentcg_inject_arg *arg)
{
	arg->result = -EINVAL;
	if (arg->what == AGENTCG_INJECT_ERROR || arg->what == AGENTCG_INJECT_STALL) {
		injected = arg->what;
		arg->result = 0;
	}
	return 0;
}

#endif
