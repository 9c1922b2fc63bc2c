// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg: hook points on the memory controller for BPF policies, on stock
 * kernels.  There is no policy in here.
 *
 *   ops.c	the struct_ops type and who decides for which cgroup
 *   charge.c	a group over memory.high charged: ask the policy
 *   hold.c	keep a task from returning to user mode for a while
 *   group.c	gates: memory.high of a group, set by the policy
 *   protect.c	reclaim asks how far a group is protected: ask the policy
 *   place.c	a new task moves itself into a leaf
 *   kfuncs.c	what a BPF program may call
 *   stats.c	counters in /sys/module/agentcg/stats
 *
 * One way through the module: a task charges a batch, its group is over
 * memory.high, so the kernel calls mem_cgroup_handle_over_high() on the way
 * back to user mode; charge.c has a probe there, finds the policy of the
 * nearest ancestor (ops.c) and asks it for a delay; hold.c sleeps that delay
 * as task work, when no lock is held; agentcg_release() ends it early.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "charge.h"
#include "group.h"
#include "hold.h"
#include "kfuncs.h"
#include "ops.h"
#include "place.h"
#include "protect.h"
#include "stats.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static int __init agentcg_init(void)
{
	int ret;

	ret = agentcg_hold_init();
	if (ret)
		return ret;
	ret = agentcg_group_init();
	if (ret)
		goto exit_hold;
	ret = agentcg_charge_init();
	if (ret)
		goto exit_group;
	ret = agentcg_protect_init();
	if (ret)
		goto exit_charge;
	ret = agentcg_stats_init();
	if (ret)
		goto exit_protect;
	/* Last: from here on policies can attach.  The core undoes both. */
	ret = agentcg_kfuncs_init();
	if (ret)
		goto exit_stats;
	ret = agentcg_ops_init();
	if (ret)
		goto exit_stats;
	return 0;

exit_stats:
	agentcg_stats_exit();
exit_protect:
	agentcg_protect_exit();
exit_charge:
	agentcg_charge_exit();
exit_group:
	agentcg_group_exit();
exit_hold:
	agentcg_hold_exit();
	return ret;
}

/*
 * BPF holds a reference to the module for every policy and for every program
 * that calls a kfunc, so no policy is attached here.  Tasks may still be held
 * or on their way into a leaf.
 */
static void __exit agentcg_exit(void)
{
	agentcg_stats_exit();
	agentcg_protect_exit();
	agentcg_charge_exit();	/* nobody begins to be held any more */
	agentcg_hold_exit();	/* and those who are go on */
	agentcg_place_exit();
	agentcg_group_exit();	/* every memory.high is its owner's again */
}

module_init(agentcg_init);
module_exit(agentcg_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Memory controller hooks for BPF policies on AI agents' tool calls");
MODULE_VERSION("0.1.0");
