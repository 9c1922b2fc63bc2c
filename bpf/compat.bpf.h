/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that have sched_ext; nothing else asks for a
 * version.  A kfunc that a kernel lacks is a weak symbol, and the branch that
 * calls it is not verified there.
 */
#ifndef _AGENTCG_COMPAT_BPF_H
#define _AGENTCG_COMPAT_BPF_H

/* The loader takes the last ___suffix off: these are found under the rest. */
extern bool scx_bpf_dsq_insert___v2___agentcg(struct task_struct *p, __u64 dsq, __u64 slice,
					      __u64 flags) __ksym __weak;
extern void scx_bpf_dsq_insert___v1(struct task_struct *p, __u64 dsq, __u64 slice,
				    __u64 flags) __ksym __weak;
extern bool scx_bpf_dsq_move_to_local___v2___agentcg(__u64 dsq, __u64 flags) __ksym __weak;
extern bool scx_bpf_dsq_move_to_local___v1(__u64 dsq) __ksym __weak;

/* 6.19 has the second form. */
static inline void agentcg_insert(struct task_struct *p, __u64 dsq, __u64 slice, __u64 flags)
{
	if (bpf_ksym_exists(scx_bpf_dsq_insert___v2___agentcg))
		scx_bpf_dsq_insert___v2___agentcg(p, dsq, slice, flags);
	else
		scx_bpf_dsq_insert___v1(p, dsq, slice, flags);
}

/* 6.19 wants the arguments in a struct. */
static inline void agentcg_insert_vtime(struct task_struct *p, __u64 dsq, __u64 slice, __u64 vtime,
					__u64 flags)
{
	if (bpf_ksym_exists(__scx_bpf_dsq_insert_vtime)) {
		struct scx_bpf_dsq_insert_vtime_args args = {
			.dsq_id = dsq, .slice = slice, .vtime = vtime, .enq_flags = flags,
		};

		__scx_bpf_dsq_insert_vtime(p, &args);
	} else {
		scx_bpf_dsq_insert_vtime(p, dsq, slice, vtime, flags);
	}
}

/* 7.1 has the second form. */
static inline bool agentcg_move_to_local(__u64 dsq)
{
	if (bpf_ksym_exists(scx_bpf_dsq_move_to_local___v2___agentcg))
		return scx_bpf_dsq_move_to_local___v2___agentcg(dsq, 0);
	return scx_bpf_dsq_move_to_local___v1(dsq);
}

/* Until 6.19 a scheduler wrote the fields. */
static inline void agentcg_set_slice(struct task_struct *p, __u64 slice)
{
	if (bpf_ksym_exists(scx_bpf_task_set_slice))
		scx_bpf_task_set_slice(p, slice);
	else
		p->scx.slice = slice;
}

static inline void agentcg_set_vtime(struct task_struct *p, __u64 vtime)
{
	if (bpf_ksym_exists(scx_bpf_task_set_dsq_vtime))
		scx_bpf_task_set_dsq_vtime(p, vtime);
	else
		p->scx.dsq_vtime = vtime;
}

/* The first task of a queue, under RCU; 6.19, before that the task that ran goes on. */
static inline struct task_struct *agentcg_peek(__u64 dsq)
{
	return bpf_ksym_exists(scx_bpf_dsq_peek) ? scx_bpf_dsq_peek(dsq) : NULL;
}

/* 6.14: the clock of the run queue, cheaper than reading the time. */
static inline __u64 agentcg_now(void)
{
	return bpf_ksym_exists(scx_bpf_now) ? scx_bpf_now() : bpf_ktime_get_ns();
}

/* The values of internal flags have changed over time. */
#define AGENTCG_ENQ(name)	bpf_core_enum_value(enum scx_enq_flags, SCX_ENQ_##name)
/* Ends the scheduler with a reason; without arguments, which is all that is needed. */
#define agentcg_error(text) ({						\
	static char format[] = text;					\
	unsigned long long none = 0;					\
									\
	scx_bpf_error_bstr(format, &none, 0);				\
})

#define AGENTCG_TASK_QUEUED	bpf_core_enum_value(enum scx_ent_flags, SCX_TASK_QUEUED)

#endif
