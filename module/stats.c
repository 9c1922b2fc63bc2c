// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters since the module was loaded, one file each in
 * /sys/module/agentcg/stats.
 */
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sysfs.h>

#include "stats.h"
#include "uapi/agentcg.h"

static DEFINE_PER_CPU(u64, stats[AGENTCG_NR_STATS]);

void agentcg_stat_inc(enum agentcg_stat stat)
{
	this_cpu_inc(stats[stat]);
}

void agentcg_stat_hold(int end, u64 ns)
{
	this_cpu_inc(stats[AGENTCG_STAT_END_DEADLINE + end]);
	this_cpu_add(stats[AGENTCG_STAT_HELD_NS], ns);
}

struct stat_attribute {
	struct kobj_attribute attr;
	enum agentcg_stat stat;
};

static ssize_t stat_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	enum agentcg_stat stat = container_of(attr, struct stat_attribute, attr)->stat;
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(&stats[stat], cpu));
	return sysfs_emit(buf, "%llu\n", sum);
}

#define STAT(_name, _stat)						\
	static struct stat_attribute stat_##_name = {			\
		.attr = __ATTR(_name, 0444, stat_show, NULL),		\
		.stat = AGENTCG_STAT_##_stat,				\
	}

STAT(hold_deadline, END_DEADLINE);
STAT(hold_released, END_RELEASED);
STAT(hold_signal, END_SIGNAL);
STAT(hold_detached, END_DETACHED);
STAT(held_ns, HELD_NS);
STAT(charges, CHARGES);
STAT(squeezes, SQUEEZES);
STAT(protected, PROTECTED);
STAT(placed, PLACED);
STAT(unplaced, UNPLACED);

static ssize_t abi_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", AGENTCG_ABI_VERSION);
}

static struct kobj_attribute abi_attribute = __ATTR_RO(abi);

static struct attribute *stats_attrs[] = {
	&stat_hold_deadline.attr.attr,
	&stat_hold_released.attr.attr,
	&stat_hold_signal.attr.attr,
	&stat_hold_detached.attr.attr,
	&stat_held_ns.attr.attr,
	&stat_charges.attr.attr,
	&stat_squeezes.attr.attr,
	&stat_protected.attr.attr,
	&stat_placed.attr.attr,
	&stat_unplaced.attr.attr,
	&abi_attribute.attr,
	NULL
};

static const struct attribute_group stats_group = {
	.attrs = stats_attrs,
};

static struct kobject *stats_kobj;

int agentcg_stats_init(void)
{
	int ret;

	stats_kobj = kobject_create_and_add("stats", &THIS_MODULE->mkobj.kobj);
	if (!stats_kobj)
		return -ENOMEM;
	ret = sysfs_create_group(stats_kobj, &stats_group);
	if (ret)
		kobject_put(stats_kobj);
	return ret;
}

void agentcg_stats_exit(void)
{
	kobject_put(stats_kobj);
}
