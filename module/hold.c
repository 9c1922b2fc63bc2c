// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holding: a task is kept from returning to user mode.
 *
 * A hold is queued from the probe in charge.c, which may not sleep, and slept
 * as task work: there the task has left the kernel's locks behind, yet it has
 * not run an instruction of its own.  Its life is
 *
 *	queue: allocated, on the list "holds", task work added
 *	run:   sleeps until released, deadline or signal; off the list, freed
 *
 * It is on the list before task work is added, so a release between decision
 * and sleep is not lost: it marks the hold, which then does not sleep.
 *
 * The task work was added on the way back to user mode and so runs at once, or
 * in exit_task_work() of a dying task: the number of holds always drains.
 */
#include <linux/cgroup.h>
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/psi.h>
#include <linux/rcupdate.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/wait.h>

#include "group.h"
#include "hold.h"
#include "ops.h"
#include "stats.h"
#include "trace.h"
#include "uapi/agentcg.h"

struct agentcg_hold {
	struct callback_head work;
	struct list_head node;		/* in holds, under holds_lock */
	struct task_struct *task;	/* current: alive as long as the hold */
	struct mem_cgroup *memcg;	/* with a reference */
	struct agentcg_delay delay;
	int end;			/* enum agentcg_hold_end, -1: go on */
};

/*
 * A signal ends a hold, so that its handler runs.  The task then gets one more
 * batch of memory, and a program could send itself signals to get many.  After
 * this many in one closing of the gate, handlers wait until the hold is over;
 * what acts in the kernel (kill, stop, freezer, ptrace) never waits.
 *
 * A signal that comes between the charge and the hold is delivered before task
 * work runs: the frame of its handler is there, and both wait for the end.
 */
#define SIGNAL_PASSES	8
/* How soon such a thing is seen while handlers wait, in jiffies. */
#define SIGNAL_POLL	(HZ / 100 ?: 1)

static LIST_HEAD(holds);
static DEFINE_SPINLOCK(holds_lock);	/* holds, ->end; from any context */
static unsigned int epoch;		/* releases so far, under holds_lock */
static atomic_t nr_holds = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(drained);
static struct kmem_cache *hold_cache;

/*
 * agentcg_hold_allowed() - may the current task be held at all?
 *
 * Never one that is on its way out (it is about to free memory), one that the
 * OOM killer waits for, or a kernel thread or io_uring worker, which does work
 * for others.
 */
bool agentcg_hold_allowed(void)
{
	if (current->flags & (PF_KTHREAD | PF_USER_WORKER | PF_IO_WORKER | PF_EXITING))
		return false;
	return !tsk_is_oom_victim(current) && !fatal_signal_pending(current);
}

/* To be read before the policy is asked, for agentcg_hold_queue(). */
unsigned int agentcg_hold_epoch(void)
{
	return READ_ONCE(epoch);
}

/*
 * Would the pending signal act inside the kernel, without a handler?  Without
 * locks: what is missed now is seen at the next poll.
 */
static bool signal_acts_now(void)
{
	if (fatal_signal_pending(current) || freezing(current) ||
	    READ_ONCE(current->jobctl) & (JOBCTL_PENDING_MASK | JOBCTL_TRAP_FREEZE))
		return true;
	return (READ_ONCE(current->pending.signal.sig[0]) |
		READ_ONCE(current->signal->shared_pending.signal.sig[0])) & SIG_KERNEL_STOP_MASK;
}

static int hold_sleep(struct agentcg_hold *hold)
{
	ktime_t deadline = ktime_add_ms(ktime_get(), hold->delay.ms);
	bool deferring = false;
	int end;

	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE | TASK_FREEZABLE);
		end = READ_ONCE(hold->end);
		if (end >= 0)
			break;
		end = AGENTCG_END_DEADLINE;
		if (ktime_after(ktime_get(), deadline))
			break;
		if (!deferring && !signal_pending(current)) {
			schedule_hrtimeout_range(&deadline, NSEC_PER_MSEC / 10,
						 HRTIMER_MODE_ABS);
			continue;
		}
		__set_current_state(TASK_RUNNING);
		end = AGENTCG_END_SIGNAL;
		if (signal_acts_now())
			break;
		if (!deferring && agentcg_group_passes(hold->memcg) <= SIGNAL_PASSES)
			break;
		deferring = true;
		schedule_timeout_killable(SIGNAL_POLL);
	}
	__set_current_state(TASK_RUNNING);
	return end;
}

static void hold_free(struct agentcg_hold *hold)
{
	css_put(&hold->memcg->css);
	kmem_cache_free(hold_cache, hold);
	if (atomic_dec_and_test(&nr_holds))
		wake_up_all(&drained);
}

static void hold_unlink(struct agentcg_hold *hold)
{
	guard(spinlock_irqsave)(&holds_lock);
	list_del(&hold->node);
}

static void hold_run(struct callback_head *work)
{
	struct agentcg_hold *hold = container_of(work, struct agentcg_hold, work);
	u64 id = cgroup_id(hold->memcg->css.cgroup);
	unsigned long pflags;
	ktime_t begin;
	int end;

	if (agentcg_hold_allowed()) {
		trace_hold_begin(id, hold->delay.ms);
		begin = ktime_get();
		if (hold->delay.flags & AGENTCG_OPS_PSI)
			psi_memstall_enter(&pflags);
		end = hold_sleep(hold);
		if (hold->delay.flags & AGENTCG_OPS_PSI)
			psi_memstall_leave(&pflags);
		agentcg_stat_hold(end, ktime_to_ns(ktime_sub(ktime_get(), begin)));
		trace_hold_end(id, ktime_to_ns(ktime_sub(ktime_get(), begin)), end);
	}
	hold_unlink(hold);
	hold_free(hold);
}

/*
 * agentcg_hold_queue() - hold current when it returns to user mode
 * @epoch: of before the policy was asked
 *
 * Only from the return path to user mode.  Does not sleep.
 * Returns 0; -EAGAIN when somebody was released since @epoch was read (ask
 * the policy again); -ENOMEM; -ESRCH when the task is exiting.
 */
int agentcg_hold_queue(struct mem_cgroup *memcg, const struct agentcg_delay *delay,
		       unsigned int epoch_asked)
{
	struct agentcg_hold *hold;
	int ret;

	hold = kmem_cache_alloc(hold_cache, GFP_ATOMIC | __GFP_NOWARN);
	if (!hold)
		return -ENOMEM;
	atomic_inc(&nr_holds);
	css_get(&memcg->css);
	hold->memcg = memcg;
	hold->task = current;
	hold->delay = *delay;
	hold->end = -1;
	init_task_work(&hold->work, hold_run);

	scoped_guard(spinlock_irqsave, &holds_lock) {
		ret = epoch == epoch_asked ? 0 : -EAGAIN;
		if (!ret)
			list_add_tail(&hold->node, &holds);
	}
	if (ret)
		goto free;
	ret = task_work_add(current, &hold->work, TWA_RESUME);
	if (ret)
		goto unlink;
	return 0;

unlink:
	hold_unlink(hold);
free:
	hold_free(hold);
	return ret;
}

/* Ends @hold; under holds_lock. */
static void hold_end(struct agentcg_hold *hold, int end)
{
	if (hold->end >= 0)
		return;
	WRITE_ONCE(hold->end, end);
	wake_up_process(hold->task);
}

/*
 * agentcg_hold_release() - end the holds of @memcg and its descendants
 *
 * From any context.  Returns the number of tasks released.
 */
int agentcg_hold_release(struct mem_cgroup *memcg)
{
	struct agentcg_hold *hold;
	int n = 0;

	guard(spinlock_irqsave)(&holds_lock);
	WRITE_ONCE(epoch, epoch + 1);
	list_for_each_entry(hold, &holds, node) {
		if (!cgroup_is_descendant(hold->memcg->css.cgroup, memcg->css.cgroup))
			continue;
		hold_end(hold, AGENTCG_END_RELEASED);
		n++;
	}
	return n;
}

/* Ends the holds that were begun on the word of the policy at cgroup @policy. */
void agentcg_hold_detach(u64 policy)
{
	struct agentcg_hold *hold;

	guard(spinlock_irqsave)(&holds_lock);
	list_for_each_entry(hold, &holds, node)
		if (hold->delay.policy == policy)
			hold_end(hold, AGENTCG_END_DETACHED);
}

int agentcg_hold_init(void)
{
	hold_cache = KMEM_CACHE(agentcg_hold, 0);
	return hold_cache ? 0 : -ENOMEM;
}

/* Call when no probe can queue a hold any more. */
void agentcg_hold_exit(void)
{
	struct agentcg_hold *hold;

	scoped_guard(spinlock_irqsave, &holds_lock)
		list_for_each_entry(hold, &holds, node)
			hold_end(hold, AGENTCG_END_DETACHED);
	wait_event(drained, !atomic_read(&nr_holds));
	/* The last one may still be between its last line and user mode. */
	synchronize_rcu_tasks();
	kmem_cache_destroy(hold_cache);
}
