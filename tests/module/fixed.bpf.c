// SPDX-License-Identifier: GPL-2.0-only
/* A policy that answers what the test says: module and kfuncs without agentcg's own policy. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "../../module/uapi/agentcg.h"
#include "../../bpf/kfuncs.bpf.h"
#include "fixed.h"

char LICENSE[] SEC("license") = "GPL";

struct fixed fixed;

SEC("struct_ops/delay")
unsigned int BPF_PROG(delay, struct mem_cgroup *memcg)
{
	__u64 id = memcg->css.cgroup->kn->id;

	__sync_fetch_and_add(&fixed.asked, 1);
	fixed.last = id;
	if (fixed.step_pages)
		agentcg_gate(id, agentcg_usage(id) + fixed.step_pages * 4096ULL);
	return fixed.delay_ms;
}

SEC("struct_ops/low")
bool BPF_PROG(low, struct mem_cgroup *memcg)
{
	return fixed.low && memcg->css.cgroup->kn->id == fixed.protected_id;
}

SEC("struct_ops/min")
bool BPF_PROG(min, struct mem_cgroup *memcg)
{
	return fixed.min && memcg->css.cgroup->kn->id == fixed.protected_id;
}

SEC(".struct_ops.link")
struct agentcg_ops fixed_ops = {
	.get_high_delay_ms = (void *)delay,
	.below_low = (void *)low,
	.below_min = (void *)min,
	.name = "fixed",
};

SEC("syscall")
int add(struct agentcg_arg *arg)
{
	arg->result = agentcg_add(arg->cgroup_id);
	return 0;
}

SEC("syscall")
int usage(struct agentcg_arg *arg)
{
	arg->result = agentcg_usage(arg->cgroup_id);
	return 0;
}

SEC("syscall")
int gate(struct agentcg_arg *arg)
{
	/* On the usage of now, as a policy would close it. */
	if (!arg->gate)
		arg->gate = agentcg_usage(arg->cgroup_id);
	arg->result = agentcg_gate(arg->cgroup_id, arg->gate);
	return 0;
}

SEC("syscall")
int release(struct agentcg_arg *arg)
{
	arg->result = agentcg_release(arg->cgroup_id);
	return 0;
}
