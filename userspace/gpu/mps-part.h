/* SPDX-License-Identifier: GPL-2.0-only */
/* What workers.c tells of workers, for control daemons of MPS go with the last that has a share. */
#ifndef _AGENTCG_MPS_PART_H
#define _AGENTCG_MPS_PART_H

struct worker;
struct workers;

int agentcg_mps_part_open(struct workers *ws);
/* One is in the list no more. */
void agentcg_mps_part_removed(struct workers *ws, struct worker *w);
/* Those of an earlier daemon are in the list. */
void agentcg_mps_part_adopted(struct workers *ws);

#endif
