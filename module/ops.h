/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_OPS_H
#define _AGENTCG_OPS_H

#include <linux/types.h>

struct mem_cgroup;

/* What reclaim may take from a group; ordered. */
enum agentcg_protection {
	AGENTCG_PROTECT_NONE,
	AGENTCG_PROTECT_LOW,
	AGENTCG_PROTECT_MIN,
};

/* A policy's answer to a charge. */
struct agentcg_delay {
	u64 policy;		/* cgroup id that the policy is attached to */
	unsigned int ms;
	u32 flags;		/* enum agentcg_ops_flags */
};

bool agentcg_ops_delay(struct mem_cgroup *memcg, struct agentcg_delay *delay);
bool agentcg_ops_covers(struct mem_cgroup *memcg);
enum agentcg_protection agentcg_ops_protection(struct mem_cgroup *memcg);
int agentcg_ops_init(void);

#endif
