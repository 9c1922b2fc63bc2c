// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reclaim asks how far a group is protected.
 *
 * mem_cgroup_calculate_protection() computes the effective memory.low and
 * memory.min of a group, top down, just before reclaim looks at it.  The probe
 * runs when it returns and raises them to the group's usage where the policy
 * says so.
 */
#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/page_counter.h>

#include "compat/compat.h"
#include "ops.h"
#include "protect.h"
#include "stats.h"
#include "trace.h"

/* Pages that a group may gain while reclaim looks at it: one huge page. */
#define SLACK	512

static int protection_enter(struct fprobe *fp, unsigned long ip, unsigned long ret_ip,
			    struct agentcg_probe_regs *regs, void *data)
{
	struct mem_cgroup **memcg = data;

	*memcg = (struct mem_cgroup *)agentcg_probe_arg(regs, 1);
	return !*memcg;
}

static void protection_leave(struct fprobe *fp, unsigned long ip, unsigned long ret_ip,
			     struct agentcg_probe_regs *regs, void *data)
{
	struct mem_cgroup *memcg = *(struct mem_cgroup **)data;
	struct page_counter *counter = &memcg->memory;
	enum agentcg_protection level;
	unsigned long pages;

	level = agentcg_ops_protection(memcg);
	if (level == AGENTCG_PROTECT_NONE)
		return;
	pages = page_counter_read(counter) + SLACK;
	WRITE_ONCE(counter->elow, max(READ_ONCE(counter->elow), pages));
	if (level == AGENTCG_PROTECT_MIN)
		WRITE_ONCE(counter->emin, max(READ_ONCE(counter->emin), pages));
	agentcg_stat_inc(AGENTCG_STAT_PROTECTED);
	trace_protect(cgroup_id(memcg->css.cgroup), level, pages);
}

static struct fprobe protection_probe = {
	.entry_handler = protection_enter,
	.exit_handler = protection_leave,
	.entry_data_size = sizeof(struct mem_cgroup *),
};

int agentcg_protect_init(void)
{
	const char *sym = "mem_cgroup_calculate_protection";
	int ret;

	ret = register_fprobe_syms(&protection_probe, &sym, 1);
	if (ret)
		pr_err("agentcg: cannot probe %s (%d): is CONFIG_FPROBE on?\n", sym, ret);
	return ret;
}

void agentcg_protect_exit(void)
{
	unregister_fprobe(&protection_probe);
}
