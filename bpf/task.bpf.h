/* SPDX-License-Identifier: GPL-2.0-only */
/* What the CPU scheduler knows about a task, the queues a task can be in, and what is counted. */
#ifndef _AGENTCG_TASK_BPF_H
#define _AGENTCG_TASK_BPF_H

/* The errors that vmlinux.h, which has no macros, lacks. */
#define ENOENT		2
#define ESRCH		3
#define ENOMEM		12
#define EINVAL		22

/* Queues: one of each group, and these. */
#define DSQ_GPU		1ULL
#define DSQ_FAST	2ULL
#define DSQ_RESCUE	3ULL
#define DSQ_LOST	4ULL	/* for AGENTCG_INJECT_STALL: nobody looks here */
#define DSQ_GROUPS	0x1000ULL

enum queued_in {
	QUEUED_NOWHERE,
	QUEUED_GROUP,
	QUEUED_FAST,
	QUEUED_GPU,
	QUEUED_HEIR,	/* for the rest of its waker's turn */
};

struct task_ctx {
	__u64 charged;		/* sum_exec_runtime so far */
	__u64 woken;		/* when it woke up; 0: it has run since */
	__u64 queued_at;
	__u32 slot;
	__u32 queued;		/* enum queued_in */
	__u32 fast_in;		/* slot + 1 of whose nr_fast it is counted in */
	__u32 gpu;
	__u32 yielded;
	__u32 extended;		/* got a slice more, to end what it read under RCU */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_ctx);
} task_ctxs SEC(".maps");

static __always_inline struct task_ctx *ctx_of(struct task_struct *p)
{
	return bpf_task_storage_get(&task_ctxs, p, NULL, 0);
}

/* In a kernel that interrupts such tasks (CONFIG_PREEMPT_RCU). */
static bool is_reader(const struct task_struct *p)
{
	return bpf_core_field_exists(p->rcu_read_lock_nesting) && p->rcu_read_lock_nesting > 0;
}

#define PF_KTHREAD	0x00200000	/* of include/linux/sched.h */

/* The kernel's own for one CPU: nobody else can do its work. */
static bool is_of_cpu(const struct task_struct *p)
{
	return (p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENTCG_MAX_NODES);
	__type(key, __u32);
	__type(value, struct agentcg_hist);
} wakeups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, AGENTCG_NR_SCHED_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} sched_counters SEC(".maps");

static void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&sched_counters, &counter);

	if (value)
		(*value)++;
}

#endif
