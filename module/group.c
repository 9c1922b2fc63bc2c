// SPDX-License-Identifier: GPL-2.0-only
/*
 * Groups that a policy works with, by cgroup id, and their gates.
 *
 * A gate is the group's memory.high, set by the policy: "call me when the
 * group grows beyond this".  It costs nothing until then, since the charge
 * path compares with memory.high anyway.  The owner's own memory.high is
 * remembered; the lower of the two is in force, and the owner's comes back
 * when the gate opens, when the group or the policy goes, or the module.
 *
 * A group is added by the daemon and leaves when its cgroup is removed.
 * Readers are under RCU; ->lock orders those who write memory.high.
 */
#include <linux/cgroup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/page_counter.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>

#include "group.h"
#include "hold.h"
#include "ops.h"
#include "uapi/agentcg.h"

struct agentcg_group {
	struct hlist_node node;		/* in groups, under groups_lock */
	u64 id;
	struct mem_cgroup *memcg;	/* with a reference */
	struct file *procs;		/* its cgroup.procs, opened by the daemon */
	int oom_score_adj;		/* the least of who is placed in it */
	spinlock_t lock;		/* the next three; from any context */
	unsigned long owner;		/* the owner's memory.high, pages */
	unsigned long gate;		/* what we wrote there, pages */
	unsigned int squeezed;		/* tasks that rely on it being lower */
	atomic_t passes;		/* holds cut short by signals */
	struct rcu_head rcu;
};

static DEFINE_HASHTABLE(groups, 10);
static DEFINE_SPINLOCK(groups_lock);
static struct tracepoint *rmdir_tp;

static struct agentcg_group *group_find(u64 id)
{
	struct agentcg_group *group;

	hash_for_each_possible_rcu(groups, group, node, id,
				   lockdep_is_held(&groups_lock))
		if (group->id == id)
			return group;
	return NULL;
}

/* The nearest group that @memcg is in; a tool may make cgroups of its own. */
static struct agentcg_group *group_of(struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *css;
	struct agentcg_group *group;

	for (css = &memcg->css; css; css = css->parent) {
		group = group_find(cgroup_id(css->cgroup));
		if (group)
			return group;
	}
	return NULL;
}

/* @pages: PAGE_COUNTER_MAX opens; under group->lock. */
static void gate_write(struct agentcg_group *group, unsigned long pages)
{
	struct page_counter *counter = &group->memcg->memory;
	unsigned long now = READ_ONCE(counter->high);

	/* Somebody else wrote memory.high: that is the owner's wish now. */
	if (now != group->gate && !group->squeezed)
		group->owner = now;
	group->gate = min(pages, group->owner);
	page_counter_set_high(counter, group->gate);
}

static void group_free(struct rcu_head *rcu)
{
	struct agentcg_group *group = container_of(rcu, struct agentcg_group, rcu);

	if (group->procs)
		fput(group->procs);
	css_put(&group->memcg->css);
	kfree(group);
}

/* Under groups_lock. */
static void group_drop(struct agentcg_group *group)
{
	hash_del_rcu(&group->node);
	scoped_guard(spinlock, &group->lock)
		gate_write(group, PAGE_COUNTER_MAX);
	call_rcu(&group->rcu, group_free);
}

/* Tracepoint cgroup:cgroup_rmdir. */
static void on_rmdir(void *data, struct cgroup *cgrp, const char *path)
{
	struct agentcg_group *group;

	guard(spinlock_irqsave)(&groups_lock);
	group = group_find(cgroup_id(cgrp));
	if (group)
		group_drop(group);
}

static struct mem_cgroup *memcg_get(u64 id)
{
	struct cgroup_subsys_state *css;
	struct cgroup *cgrp;

	cgrp = cgroup_get_from_id(id);
	if (IS_ERR(cgrp))
		return ERR_CAST(cgrp);
	scoped_guard(rcu) {
		css = rcu_dereference(cgrp->subsys[memory_cgrp_id]);
		if (css && !css_tryget_online(css))
			css = NULL;
	}
	cgroup_put(cgrp);
	return css ? mem_cgroup_from_css(css) : ERR_PTR(-EOPNOTSUPP);
}

/*
 * agentcg_group_add() - make a cgroup known by its id
 *
 * May sleep.  Returns 0 (also when it is known already), -ENOENT for no such
 * cgroup, -EOPNOTSUPP for one without the memory controller, -ENOMEM.
 */
int agentcg_group_add(u64 id)
{
	struct agentcg_group *group, *other;
	struct mem_cgroup *memcg;

	memcg = memcg_get(id);
	if (IS_ERR(memcg))
		return PTR_ERR(memcg);
	group = kzalloc(sizeof(*group), GFP_KERNEL);
	if (!group) {
		css_put(&memcg->css);
		return -ENOMEM;
	}
	group->id = id;
	group->memcg = memcg;
	group->owner = READ_ONCE(memcg->memory.high);
	group->gate = group->owner;
	spin_lock_init(&group->lock);

	scoped_guard(spinlock_irqsave, &groups_lock) {
		other = group_find(id);
		if (!other)
			hash_add_rcu(groups, &group->node, id);
	}
	if (other) {
		css_put(&memcg->css);
		kfree(group);
		return 0;
	}
	/* Being removed, and on_rmdir() was here before it could be found? */
	if (css_is_dying(&memcg->css)) {
		on_rmdir(NULL, memcg->css.cgroup, NULL);
		return -ENOENT;
	}
	return 0;
}

/* Bytes charged to group @id, or -ENOENT; from any context. */
s64 agentcg_group_usage(u64 id)
{
	struct agentcg_group *group;

	guard(rcu)();
	group = group_find(id);
	if (!group)
		return -ENOENT;
	return (s64)page_counter_read(&group->memcg->memory) << PAGE_SHIFT;
}

/*
 * agentcg_group_gate() - ask to be called when group @id exceeds @bytes
 * @bytes: rounded down to pages; AGENTCG_GATE_OPEN for never
 *
 * From any context.  Returns 0 or -ENOENT.
 */
int agentcg_group_gate(u64 id, u64 bytes)
{
	struct agentcg_group *group;

	guard(rcu)();
	group = group_find(id);
	if (!group)
		return -ENOENT;
	guard(spinlock_irqsave)(&group->lock);
	gate_write(group, min_t(u64, bytes >> PAGE_SHIFT, PAGE_COUNTER_MAX));
	return 0;
}

/*
 * agentcg_group_release() - end the holds of group @id and those below it
 *
 * From any context.  Returns the number of tasks released, or -ENOENT.
 */
int agentcg_group_release(u64 id)
{
	struct agentcg_group *group;

	guard(rcu)();
	group = group_find(id);
	if (!group)
		return -ENOENT;
	atomic_set(&group->passes, 0);
	return agentcg_hold_release(group->memcg);
}

/* Opens the gates that no policy answers for any more. */
void agentcg_group_orphan(void)
{
	struct agentcg_group *group;
	int bucket;

	guard(rcu)();
	hash_for_each_rcu(groups, bucket, group, node) {
		if (agentcg_ops_covers(group->memcg))
			continue;
		guard(spinlock_irqsave)(&group->lock);
		gate_write(group, PAGE_COUNTER_MAX);
	}
}

/* Counts a hold of @memcg that a signal cuts short; how many since release. */
unsigned int agentcg_group_passes(struct mem_cgroup *memcg)
{
	struct agentcg_group *group;

	guard(rcu)();
	group = group_of(memcg);
	return group ? atomic_inc_return(&group->passes) : 0;
}

/*
 * agentcg_group_squeeze() - let the kernel itself throttle the group of @memcg
 *
 * For a task that keeps charging inside one system call and so never comes to
 * its hold: with memory.high at half the usage the kernel's own throttle gives
 * its longest delay, 2 s per batch.  Returns the id for agentcg_group_relax(),
 * which undoes it, or 0 for no group.
 */
u64 agentcg_group_squeeze(struct mem_cgroup *memcg)
{
	struct agentcg_group *group;
	struct page_counter *counter;

	guard(rcu)();
	group = group_of(memcg);
	if (!group)
		return 0;
	counter = &group->memcg->memory;
	guard(spinlock_irqsave)(&group->lock);
	group->squeezed++;
	page_counter_set_high(counter, min(group->gate, page_counter_read(counter) / 2));
	return group->id;
}

void agentcg_group_relax(u64 id)
{
	struct agentcg_group *group;

	guard(rcu)();
	group = group_find(id);
	if (!group)
		return;
	guard(spinlock_irqsave)(&group->lock);
	if (group->squeezed && !--group->squeezed)
		page_counter_set_high(&group->memcg->memory, group->gate);
}

/* Whether @file is the cgroup.procs of cgroup @id, open for writing. */
static bool is_procs(struct file *file, u64 id)
{
	struct dentry *dentry = file_dentry(file), *parent;
	bool is;

	if (!(file->f_mode & FMODE_WRITE) || dentry->d_sb->s_magic != CGROUP2_SUPER_MAGIC ||
	    strcmp(dentry->d_name.name, "cgroup.procs"))
		return false;
	parent = dget_parent(dentry);
	is = d_inode(parent)->i_ino == id;
	dput(parent);
	return is;
}

/*
 * agentcg_group_set_procs() - let tasks be placed in group @id
 * @fd: of current's: the group's cgroup.procs, open for writing
 * @oom_score_adj: the least that they are to have
 *
 * May sleep.  Returns 0 (also when it is known already), -EBADF, -EINVAL for a
 * file or a number that is not that, -ENOENT for a group that is not known.
 */
int agentcg_group_set_procs(u64 id, unsigned int fd, int oom_score_adj)
{
	struct agentcg_group *group;
	struct file *file = fget(fd);

	if (!file)
		return -EBADF;
	if (oom_score_adj < 0 || oom_score_adj > OOM_SCORE_ADJ_MAX || !is_procs(file, id)) {
		fput(file);
		return -EINVAL;
	}
	scoped_guard(spinlock_irqsave, &groups_lock) {
		group = group_find(id);
		if (group)
			WRITE_ONCE(group->oom_score_adj, oom_score_adj);
		if (group && !group->procs) {
			/* Pairs with agentcg_group_procs(): the file is whole. */
			smp_store_release(&group->procs, file);
			file = NULL;
		}
	}
	if (file)
		fput(file);
	return group ? 0 : -ENOENT;
}

/* The cgroup.procs of group @id with a reference, or NULL; from any context. */
struct file *agentcg_group_procs(u64 id, int *oom_score_adj)
{
	struct agentcg_group *group;
	struct file *file;

	guard(rcu)();
	group = group_find(id);
	if (!group)
		return NULL;
	/* Pairs with agentcg_group_set_procs(). */
	file = smp_load_acquire(&group->procs);
	*oom_score_adj = READ_ONCE(group->oom_score_adj);
	return file ? get_file(file) : NULL;
}

static void find_rmdir(struct tracepoint *tp, void *data)
{
	if (!strcmp(tp->name, "cgroup_rmdir"))
		rmdir_tp = tp;
}

int agentcg_group_init(void)
{
	for_each_kernel_tracepoint(find_rmdir, NULL);
	if (!rmdir_tp) {
		pr_err("agentcg: no tracepoint cgroup_rmdir: the kernel lacks CONFIG_TRACEPOINTS\n");
		return -ENOENT;
	}
	return tracepoint_probe_register(rmdir_tp, on_rmdir, NULL);
}

void agentcg_group_exit(void)
{
	struct agentcg_group *group;
	struct hlist_node *next;
	int bucket;

	tracepoint_probe_unregister(rmdir_tp, on_rmdir, NULL);
	tracepoint_synchronize_unregister();
	scoped_guard(spinlock_irqsave, &groups_lock)
		hash_for_each_safe(groups, bucket, next, group, node)
			group_drop(group);
	rcu_barrier();	/* group_free() is our code */
}
