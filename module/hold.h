/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_HOLD_H
#define _AGENTCG_HOLD_H

#include <linux/types.h>

struct agentcg_delay;
struct mem_cgroup;

bool agentcg_hold_allowed(void);
unsigned int agentcg_hold_epoch(void);
int agentcg_hold_queue(struct mem_cgroup *memcg, const struct agentcg_delay *delay,
		       unsigned int epoch);
int agentcg_hold_release(struct mem_cgroup *memcg);
void agentcg_hold_detach(u64 policy);
int agentcg_hold_init(void);
void agentcg_hold_exit(void);

#endif
