/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Priorities: an ordered scale, 0..1000, higher is more important.  The names
 * low (250), normal (500) and high (750) are points on it.
 */
#ifndef _AGENTCG_PRIORITY_H
#define _AGENTCG_PRIORITY_H

#include <stdint.h>

#include "util.h"

#define AGENTCG_PRIORITY_LOW		250U
#define AGENTCG_PRIORITY_NORMAL		500U
#define AGENTCG_PRIORITY_HIGH		750U
#define AGENTCG_PRIORITY_MAX		1000U

/* 0, or -EINVAL with a sentence in @why (AGENTCG_WHY_MAX, or NULL). */
int agentcg_parse_priority(const char *text, uint32_t *ret, char *why);

/* cpu.weight, doubles every 62.5: low 6, normal 100, high 1600. */
uint32_t agentcg_priority_cpu_weight(uint32_t priority);

/*
 * oom_score_adj for a tool call's processes, 900 to 1000 thousandths of all memory: they
 * are taken before an agent, however large that is.  Never lowered.
 */
int agentcg_priority_oom_score_adj(uint32_t priority);

#endif /* _AGENTCG_PRIORITY_H */
