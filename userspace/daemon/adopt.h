/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes over from the cgroup tree what an earlier daemon left. */
#ifndef _AGENTCG_ADOPT_H
#define _AGENTCG_ADOPT_H

#include "manager.h"

/* Sessions and calls; what was half-made goes, unknown slots are freed. */
int agentcg_adopt_all(struct manager *m);
/* Publishes everything again, after the policy was loaded or lost. */
void agentcg_adopt_apply(struct manager *m);

#endif
