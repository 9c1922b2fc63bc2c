/* SPDX-License-Identifier: GPL-2.0-only */
/* The launch probe as a part of a worker; see launches.h. */
#ifndef _AGENTCG_LAUNCH_PART_H
#define _AGENTCG_LAUNCH_PART_H

struct worker;

/* How busy the busiest of its GPUs is, in percent; -1: unknown.  Helps to tell what a worker is bound by. */
void agentcg_launch_set_busy(struct worker *w, int percent);

#endif
