// SPDX-License-Identifier: GPL-2.0-only
/*
 * A task charged memory while its group was over memory.high.
 *
 * The charge path (mm/memcontrol.c, try_charge_memcg()) takes batches of
 * MEMCG_CHARGE_BATCH pages and counts those beyond memory.high in
 * current->memcg_nr_pages_over_high.  mem_cgroup_handle_over_high() deals with
 * them, and is called from two places:
 *
 *   return to user mode	with anything pending; no lock is held
 *   inside a system call	with more than a batch pending, from the charge
 *				itself; locks are held
 *
 * The probe does not learn which.  One batch or less is the first for certain:
 * the hold is queued.  More may be the second: nothing may sleep here, so a
 * page is left pending, which brings the task back here when it returns to
 * user mode.  A page left over from that makes the next count odd, and tells
 * that the task charges on inside the same system call (a large write, a
 * populate): then the kernel's own throttle is made to sleep.
 */
#include <linux/cgroup.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/resume_user_mode.h>
#include <linux/sched.h>

#include "charge.h"
#include "compat/compat.h"
#include "group.h"
#include "hold.h"
#include "ops.h"
#include "stats.h"

/* How often to ask again when releases keep coming in between. */
#define MAX_ASKS	4

/* Across the probed function, when it was called inside the kernel. */
struct over_high {
	u64 squeezed;			/* id of the group, 0 for none */
};

/* Asks the policy of @memcg; does what it says if current is leaving the kernel. */
static bool ask(struct mem_cgroup *memcg, bool leaving)
{
	struct agentcg_delay delay;
	unsigned int epoch;
	int i;

	/* Detaching waits for this section and then finds what it queued. */
	guard(rcu)();
	for (i = 0; i < MAX_ASKS; i++) {
		epoch = agentcg_hold_epoch();
		if (!agentcg_ops_delay(memcg, &delay))
			return false;
		if (!leaving)
			return true;
		if (agentcg_hold_queue(memcg, &delay, epoch) != -EAGAIN)
			break;
	}
	return true;
}

/* Returns non-zero to skip the exit handler.  Preemption is off. */
static int over_high_enter(struct fprobe *fp, unsigned long ip, unsigned long ret_ip,
			   struct agentcg_probe_regs *regs, void *data)
{
	unsigned int nr = current->memcg_nr_pages_over_high;
	bool leaving = nr <= MEMCG_CHARGE_BATCH;
	struct over_high *state = data;
	struct mem_cgroup *memcg;
	bool hold;

	if (!nr || !agentcg_hold_allowed())
		return 1;
	memcg = get_mem_cgroup_from_mm(current->mm);
	agentcg_stat_inc(AGENTCG_STAT_CHARGES);
	hold = ask(memcg, leaving);
	state->squeezed = hold && !leaving && nr & 1 ? agentcg_group_squeeze(memcg) : 0;
	css_put(&memcg->css);
	if (state->squeezed) {
		agentcg_stat_inc(AGENTCG_STAT_SQUEEZES);
		return 0;
	}
	/* Held, so the kernel shall not throttle for the same pages. */
	if (hold)
		current->memcg_nr_pages_over_high = 0;
	return !hold || leaving;
}

/*
 * Does not run when the probe is removed meanwhile: then the module goes, and
 * dropping the group puts its memory.high right.
 */
static void over_high_leave(struct fprobe *fp, unsigned long ip, unsigned long ret_ip,
			    struct agentcg_probe_regs *regs, void *data)
{
	struct over_high *state = data;

	if (state->squeezed)
		agentcg_group_relax(state->squeezed);
	current->memcg_nr_pages_over_high = 1;
	set_notify_resume(current);
}

static struct fprobe over_high_probe = {
	.entry_handler = over_high_enter,
	.exit_handler = over_high_leave,
	.entry_data_size = sizeof(struct over_high),
};

int agentcg_charge_init(void)
{
	const char *sym = AGENTCG_OVER_HIGH_NEW;
	int ret;

	ret = register_fprobe_syms(&over_high_probe, &sym, 1);
	if (ret) {
		sym = AGENTCG_OVER_HIGH_OLD;
		ret = register_fprobe_syms(&over_high_probe, &sym, 1);
	}
	if (ret)
		pr_err("agentcg: cannot probe %s (%d): is CONFIG_FPROBE on?\n", sym, ret);
	return ret;
}

void agentcg_charge_exit(void)
{
	unregister_fprobe(&over_high_probe);
}
