// SPDX-License-Identifier: GPL-2.0-only
/*
 * Placing: a task moves itself into a leaf before it runs an instruction of
 * its own.
 *
 * A BPF program sees a task begin (fork, exec) where nothing can be moved:
 * moving takes cgroup_mutex.  So the task does it, as task work on its way to
 * user mode, by writing to the leaf's cgroup.procs through a file that the
 * daemon has opened: the kernel's own checks and locks, the daemon's rights,
 * and no path that a mount namespace could hide.
 *
 * Of a leaf that is not made yet only a key is known.  The task then waits for
 * the answer, killable and not long; without one it stays where it is.
 */
#include <linux/atomic.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/wait.h>

#include "group.h"
#include "place.h"
#include "stats.h"
#include "trace.h"
#include "uapi/agentcg.h"

struct placement {
	struct callback_head work;
	struct list_head node;		/* in placements, under placements_lock */
	struct file *procs;		/* of the leaf; NULL: not answered yet */
	u64 leaf;
	u64 key;
	int oom_score_adj;
	bool refused;
};

/* Nobody waits longer than this for a leaf that a daemon has to make. */
#define WAIT_MS		500

static LIST_HEAD(placements);
static DEFINE_SPINLOCK(placements_lock);	/* from any context */
static atomic_t nr_placements = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(answered);
static DECLARE_WAIT_QUEUE_HEAD(drained);

static bool placement_settled(struct placement *p)
{
	guard(spinlock_irqsave)(&placements_lock);
	return p->procs || p->refused;
}

/* "0" is the writer itself, with all its threads. */
static int placement_move(struct placement *p)
{
	const struct cred *old = override_creds(p->procs->f_cred);
	loff_t pos = 0;
	ssize_t ret;

	ret = kernel_write(p->procs, "0", 1, &pos);
	revert_creds(old);
	return ret < 0 ? ret : 0;
}

/*
 * So that the kernel's own OOM killer takes a tool call before its agent.  As if
 * the daemon wrote it to /proc: who is placed cannot take it back, nor can what
 * it starts.
 */
static void placement_raise_oom_score(int adj)
{
	struct signal_struct *signal = current->signal;

	if (signal->oom_score_adj < adj)
		WRITE_ONCE(signal->oom_score_adj, adj);
	if (signal->oom_score_adj_min < adj)
		WRITE_ONCE(signal->oom_score_adj_min, adj);
}

static void placement_free(struct placement *p)
{
	if (p->procs)
		fput(p->procs);
	kfree(p);
	if (atomic_dec_and_test(&nr_placements))
		wake_up_all(&drained);
}

static void placement_run(struct callback_head *work)
{
	struct placement *p = container_of(work, struct placement, work);
	int ret = -ETIMEDOUT;

	if (!placement_settled(p) && !(current->flags & PF_EXITING))
		wait_event_killable_timeout(answered, placement_settled(p),
					    msecs_to_jiffies(WAIT_MS));
	scoped_guard(spinlock_irqsave, &placements_lock)
		list_del(&p->node);
	if (current->flags & PF_EXITING)
		ret = -ESRCH;
	else if (p->procs)
		ret = placement_move(p);
	if (!ret)
		placement_raise_oom_score(p->oom_score_adj);
	agentcg_stat_inc(ret ? AGENTCG_STAT_UNPLACED : AGENTCG_STAT_PLACED);
	trace_place(p->leaf, ret);
	placement_free(p);
}

/*
 * agentcg_place_pid() - have a task move into a leaf on its way to user mode
 * @pid: of the first pid namespace
 * @start: its start_boottime, for a number may be another task's by now
 * @leaf: id of its cgroup, one that has its cgroup.procs (agentcg_leaf());
 *	0: not made yet, agentcg_place_wake() will say
 * @key: for agentcg_place_wake(), if @leaf is 0
 *
 * From any context.  Returns 0; -ENOENT for no such leaf; -ENOMEM; -ESRCH when
 * the task is exiting or gone.
 */
int agentcg_place_pid(u32 pid, u64 start, u64 leaf, u64 key)
{
	struct task_struct *task;
	struct placement *p;
	int ret;

	guard(rcu)();
	task = pid_task(find_pid_ns(pid, &init_pid_ns), PIDTYPE_PID);
	if (!task || task->start_boottime != start)
		return -ESRCH;
	p = kzalloc(sizeof(*p), GFP_ATOMIC | __GFP_NOWARN);
	if (!p)
		return -ENOMEM;
	p->leaf = leaf;
	p->key = key;
	if (leaf) {
		p->procs = agentcg_group_procs(leaf, &p->oom_score_adj);
		if (!p->procs) {
			kfree(p);
			return -ENOENT;
		}
	}
	atomic_inc(&nr_placements);
	init_task_work(&p->work, placement_run);
	scoped_guard(spinlock_irqsave, &placements_lock)
		list_add_tail(&p->node, &placements);
	ret = task_work_add(task, &p->work, TWA_RESUME);
	if (ret) {
		scoped_guard(spinlock_irqsave, &placements_lock)
			list_del(&p->node);
		placement_free(p);
	}
	return ret;
}

/*
 * agentcg_place_wake() - tell those who wait for @key their leaf
 * @leaf: 0 for none
 *
 * From any context.  Returns how many waited; -ENOENT for no such leaf.
 */
int agentcg_place_wake(u64 key, u64 leaf)
{
	int adj = 0, n = 0;
	struct file *procs = leaf ? agentcg_group_procs(leaf, &adj) : NULL;
	struct placement *p;

	if (leaf && !procs)
		return -ENOENT;
	scoped_guard(spinlock_irqsave, &placements_lock)
		list_for_each_entry(p, &placements, node) {
			if (p->leaf || p->key != key || p->procs)
				continue;
			p->leaf = leaf;
			p->oom_score_adj = adj;
			p->procs = procs ? get_file(procs) : NULL;
			p->refused = !procs;
			n++;
		}
	if (procs)
		fput(procs);
	if (n)
		wake_up_all(&answered);
	return n;
}

/* Call when no BPF program can place a task any more. */
void agentcg_place_exit(void)
{
	struct placement *p;

	scoped_guard(spinlock_irqsave, &placements_lock)
		list_for_each_entry(p, &placements, node)
			p->refused = true;
	wake_up_all(&answered);
	wait_event(drained, !atomic_read(&nr_placements));
	/* The last one may still be between its last line and user mode. */
	synchronize_rcu_tasks();
}
