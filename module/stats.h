/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_STATS_H
#define _AGENTCG_STATS_H

#include <linux/types.h>

/* The first four are enum agentcg_hold_end. */
enum agentcg_stat {
	AGENTCG_STAT_END_DEADLINE,
	AGENTCG_STAT_END_RELEASED,
	AGENTCG_STAT_END_SIGNAL,
	AGENTCG_STAT_END_DETACHED,
	AGENTCG_STAT_HELD_NS,
	AGENTCG_STAT_CHARGES,	/* over memory.high, policy asked */
	AGENTCG_STAT_SQUEEZES,	/* held back inside a system call */
	AGENTCG_STAT_PROTECTED,	/* protection raised */
	AGENTCG_STAT_PLACED,	/* moved into their leaves */
	AGENTCG_STAT_UNPLACED,	/* should have, and could not */
	AGENTCG_NR_STATS
};

void agentcg_stat_inc(enum agentcg_stat stat);
void agentcg_stat_hold(int end, u64 ns);
int agentcg_stats_init(void);
void agentcg_stats_exit(void);

#endif
