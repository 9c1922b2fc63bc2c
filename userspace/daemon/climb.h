/* SPDX-License-Identifier: GPL-2.0-only */
/* Carries out what the ladder (ladder.h) decides for a call. */
#ifndef _AGENTCG_CLIMB_H
#define _AGENTCG_CLIMB_H

#include "ladder.h"
#include "manager.h"

struct call;

/* An event of the kernel's policy. */
void agentcg_climb_on_event(const struct agentcg_event *event, void *manager);
/* Goes on where an earlier daemon was. */
void agentcg_climb_resume(struct call *c, enum agentcg_rung rung);
/* Ends holds and freezing now; tasks woken or negative errno. */
int agentcg_climb_release(struct call *c);

#endif
