/* SPDX-License-Identifier: GPL-2.0-only */
/* Asks the engine of each worker how it does, and whether it still answers. */
#ifndef _AGENTCG_METRICS_POLL_H
#define _AGENTCG_METRICS_POLL_H

struct worker;

/* What tool calls are to give up for it. */
unsigned int agentcg_metrics_yield(const struct worker *w);

#endif
