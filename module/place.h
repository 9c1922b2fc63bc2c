/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_PLACE_H
#define _AGENTCG_PLACE_H

#include <linux/types.h>

int agentcg_place_pid(u32 pid, u64 start, u64 leaf, u64 key);
int agentcg_place_wake(u64 key, u64 leaf);
void agentcg_place_exit(void);

#endif
