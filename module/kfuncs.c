// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a BPF program may call.  Groups are named by cgroup id, so that a policy
 * needs no reference and the kernel's own memcg kfuncs (6.19 and later) are
 * not needed.  The contracts are with the functions in group.c.
 *
 * bpf/kfuncs.bpf.h declares these for BPF.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>

#include "compat/compat.h"
#include "group.h"
#include "kfuncs.h"
#include "place.h"

__bpf_kfunc_start_defs();

/* Make cgroup @id known; it may sleep, so only syscall programs can. */
__bpf_kfunc int agentcg_add(u64 id)
{
	return agentcg_group_add(id);
}

/* Bytes charged to @id, or -ENOENT. */
__bpf_kfunc s64 agentcg_usage(u64 id)
{
	return agentcg_group_usage(id);
}

/* Call get_high_delay_ms when @id exceeds @bytes; AGENTCG_GATE_OPEN: never. */
__bpf_kfunc int agentcg_gate(u64 id, u64 bytes)
{
	return agentcg_group_gate(id, bytes);
}

/* End the holds of @id and below it; how many, or -ENOENT. */
__bpf_kfunc int agentcg_release(u64 id)
{
	return agentcg_group_release(id);
}

/*
 * Let tasks be placed in @id, with at least @oom_score_adj; @fd is the caller's:
 * its cgroup.procs, open for writing.  It may sleep, so only syscall programs can.
 */
__bpf_kfunc int agentcg_leaf(u64 id, u32 fd, s32 oom_score_adj)
{
	return agentcg_group_set_procs(id, fd, oom_score_adj);
}

/*
 * Have the task @pid (of the first pid namespace) that began at @start
 * (start_boottime) move into @leaf before it runs; 0: wait for agentcg_wake()
 * to tell the leaf of @key.  Two numbers rather than a pointer: of a module that
 * another compiler has built than the kernel, the verifier takes task_struct for
 * another type than the kernel's.
 */
__bpf_kfunc int agentcg_place(u32 pid, u64 start, u64 leaf, u64 key)
{
	return agentcg_place_pid(pid, start, leaf, key);
}

/* Tell those who wait for @key their leaf, 0: none; how many, or -ENOENT. */
__bpf_kfunc int agentcg_wake(u64 key, u64 leaf)
{
	return agentcg_place_wake(key, leaf);
}

__bpf_kfunc_end_defs();

/* One set for all program types: a module may register no second one. */
BTF_KFUNCS_START(agentcg_kfunc_ids)
BTF_ID_FLAGS(func, agentcg_add, KF_SLEEPABLE)
BTF_ID_FLAGS(func, agentcg_usage)
BTF_ID_FLAGS(func, agentcg_gate)
BTF_ID_FLAGS(func, agentcg_release)
BTF_ID_FLAGS(func, agentcg_leaf, KF_SLEEPABLE)
BTF_ID_FLAGS(func, agentcg_place)
BTF_ID_FLAGS(func, agentcg_wake)
BTF_KFUNCS_END(agentcg_kfunc_ids)

static const struct btf_kfunc_id_set kfunc_set = {
	.owner = THIS_MODULE,
	.set = &agentcg_kfunc_ids,
};

int agentcg_kfuncs_init(void)
{
	int ret;

	ret = register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &kfunc_set);
	if (!ret)
		ret = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &kfunc_set);
	return ret ?: register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &kfunc_set);
}
