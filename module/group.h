/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_GROUP_H
#define _AGENTCG_GROUP_H

#include <linux/types.h>

struct file;
struct mem_cgroup;

int agentcg_group_add(u64 id);
s64 agentcg_group_usage(u64 id);
int agentcg_group_gate(u64 id, u64 bytes);
int agentcg_group_release(u64 id);
void agentcg_group_orphan(void);
unsigned int agentcg_group_passes(struct mem_cgroup *memcg);
u64 agentcg_group_squeeze(struct mem_cgroup *memcg);
void agentcg_group_relax(u64 id);
int agentcg_group_set_procs(u64 id, unsigned int fd, int oom_score_adj);
struct file *agentcg_group_procs(u64 id, int *oom_score_adj);
int agentcg_group_init(void);
void agentcg_group_exit(void);

#endif
