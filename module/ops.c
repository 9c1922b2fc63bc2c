// SPDX-License-Identifier: GPL-2.0-only
/*
 * The struct_ops type "agentcg_ops" and the table of attached policies.
 *
 * A policy is found by the id of the cgroup it is attached to; lookups walk
 * from a group to the root and take the first hit.  Readers are under RCU;
 * BPF frees a policy's trampolines only after unreg has returned, and unreg
 * waits for the readers.
 */
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/cgroup.h>
#include <linux/hashtable.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "group.h"
#include "hold.h"
#include "ops.h"
#include "uapi/agentcg.h"

struct agentcg_policy {
	struct hlist_node node;
	struct agentcg_ops *ops;
	u64 cgroup_id;
	struct rcu_head rcu;
};

static DEFINE_HASHTABLE(policies, 6);
static DEFINE_MUTEX(policies_lock);	/* writers of policies */
static atomic_t nr_policies;

static struct agentcg_policy *policy_at(u64 cgroup_id)
{
	struct agentcg_policy *policy;

	hash_for_each_possible_rcu(policies, policy, node, cgroup_id,
				   lockdep_is_held(&policies_lock))
		if (policy->cgroup_id == cgroup_id)
			return policy;
	return NULL;
}

/* The policy of the nearest ancestor; caller holds rcu_read_lock(). */
static struct agentcg_policy *policy_of(struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *css;
	struct agentcg_policy *policy;

	if (!atomic_read(&nr_policies))
		return NULL;
	for (css = &memcg->css; css; css = css->parent) {
		policy = policy_at(cgroup_id(css->cgroup));
		if (policy)
			return policy;
	}
	return NULL;
}

/*
 * agentcg_ops_delay() - how long to hold a task that charged to @memcg
 *
 * Returns false when nobody decides for @memcg or the answer is 0.
 */
bool agentcg_ops_delay(struct mem_cgroup *memcg, struct agentcg_delay *delay)
{
	struct agentcg_policy *policy;

	guard(rcu)();
	policy = policy_of(memcg);
	if (!policy || !policy->ops->get_high_delay_ms)
		return false;
	delay->policy = policy->cgroup_id;
	delay->flags = policy->ops->flags;
	delay->ms = min(policy->ops->get_high_delay_ms(memcg), AGENTCG_MAX_HOLD_MS);
	return delay->ms;
}

/* Whether anybody decides for @memcg. */
bool agentcg_ops_covers(struct mem_cgroup *memcg)
{
	guard(rcu)();
	return policy_of(memcg);
}

enum agentcg_protection agentcg_ops_protection(struct mem_cgroup *memcg)
{
	struct agentcg_policy *policy;

	guard(rcu)();
	policy = policy_of(memcg);
	if (!policy)
		return AGENTCG_PROTECT_NONE;
	if (policy->ops->below_min && policy->ops->below_min(memcg))
		return AGENTCG_PROTECT_MIN;
	if (policy->ops->below_low && policy->ops->below_low(memcg))
		return AGENTCG_PROTECT_LOW;
	return AGENTCG_PROTECT_NONE;
}

static int ops_reg(void *kdata, struct bpf_link *link)
{
	struct agentcg_ops *ops = kdata;
	struct agentcg_policy *policy;
	struct cgroup *cgrp;

	/* Only to know that it exists; ids are never used twice. */
	cgrp = cgroup_get_from_id(ops->cgroup_id);
	if (IS_ERR(cgrp))
		return PTR_ERR(cgrp);
	cgroup_put(cgrp);

	guard(mutex)(&policies_lock);
	if (policy_at(ops->cgroup_id))
		return -EEXIST;
	policy = kzalloc(sizeof(*policy), GFP_KERNEL);
	if (!policy)
		return -ENOMEM;
	policy->ops = ops;
	policy->cgroup_id = ops->cgroup_id;
	hash_add_rcu(policies, &policy->node, policy->cgroup_id);
	atomic_inc(&nr_policies);
	return 0;
}

static void ops_unreg(void *kdata, struct bpf_link *link)
{
	struct agentcg_ops *ops = kdata;
	struct agentcg_policy *policy;

	guard(mutex)(&policies_lock);
	policy = policy_at(ops->cgroup_id);
	if (WARN_ON_ONCE(!policy))
		return;
	hash_del_rcu(&policy->node);
	atomic_dec(&nr_policies);
	/* No callback runs and no hold begins on its word after this ... */
	synchronize_rcu();
	/* ... and those that did end here, with nothing in their way. */
	agentcg_group_orphan();
	agentcg_hold_detach(policy->cgroup_id);
	kfree(policy);
}

static int ops_validate(void *kdata)
{
	struct agentcg_ops *ops = kdata;

	if (!ops->cgroup_id || ops->flags & ~AGENTCG_OPS_PSI || ops->pad)
		return -EINVAL;
	if (!ops->get_high_delay_ms && !ops->below_low && !ops->below_min)
		return -EINVAL;
	return 0;
}

/* BPF copies callbacks by itself; the data members are copied here. */
static int ops_init_member(const struct btf_type *t,
			   const struct btf_member *member,
			   void *kdata, const void *udata)
{
	const struct agentcg_ops *uops = udata;
	struct agentcg_ops *ops = kdata;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct agentcg_ops, cgroup_id):
		ops->cgroup_id = uops->cgroup_id;
		return 1;
	case offsetof(struct agentcg_ops, flags):
		ops->flags = uops->flags;
		return 1;
	case offsetof(struct agentcg_ops, pad):
		ops->pad = uops->pad;
		return 1;
	case offsetof(struct agentcg_ops, name):
		strscpy_pad(ops->name, uops->name);
		return 1;
	}
	return 0;
}

static int ops_check_member(const struct btf_type *t,
			    const struct btf_member *member,
			    const struct bpf_prog *prog)
{
	/* Called from reclaim and with preemption off. */
	return prog->sleepable ? -EINVAL : 0;
}

static int ops_init(struct btf *btf)
{
	return 0;
}

static bool ops_is_valid_access(int off, int size, enum bpf_access_type type,
				const struct bpf_prog *prog,
				struct bpf_insn_access_aux *info)
{
	return bpf_tracing_btf_ctx_access(off, size, type, prog, info);
}

static const struct bpf_verifier_ops ops_verifier_ops = {
	.get_func_proto = bpf_base_func_proto,
	.is_valid_access = ops_is_valid_access,
};

/* Never called: they give kCFI the types of the callbacks. */
static unsigned int agentcg_ops__get_high_delay_ms(struct mem_cgroup *memcg)
{
	return 0;
}

static bool agentcg_ops__below_low(struct mem_cgroup *memcg)
{
	return false;
}

static bool agentcg_ops__below_min(struct mem_cgroup *memcg)
{
	return false;
}

static struct agentcg_ops ops_cfi_stubs = {
	.get_high_delay_ms = agentcg_ops__get_high_delay_ms,
	.below_low = agentcg_ops__below_low,
	.below_min = agentcg_ops__below_min,
};

static struct bpf_struct_ops bpf_agentcg_ops = {
	.verifier_ops = &ops_verifier_ops,
	.init = ops_init,
	.check_member = ops_check_member,
	.init_member = ops_init_member,
	.validate = ops_validate,
	.reg = ops_reg,
	.unreg = ops_unreg,
	.cfi_stubs = &ops_cfi_stubs,
	.owner = THIS_MODULE,
	.name = "agentcg_ops",
};

int agentcg_ops_init(void)
{
	return register_bpf_struct_ops(&bpf_agentcg_ops, agentcg_ops);
}
