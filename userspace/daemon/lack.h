/* SPDX-License-Identifier: GPL-2.0-only */
/* What a call lacks to begin: quotas, and memory as the kernel's policy would see it (admission.h). */
#ifndef _AGENTCG_LACK_H
#define _AGENTCG_LACK_H

#include "admission.h"

/* memory.current of groups, each read once until it is forgotten. */
struct usage {
	uint64_t pool;
	uint64_t sessions[AGENTCG_MAX_SESSIONS];	/* by slot, as calls */
	uint64_t calls[AGENTCG_MAX_CALLS];
	bool used;
};

void agentcg_usage_forget(struct usage *u);

/*
 * Where nothing is short the pool's usage is all that is read, and no session
 * or call is looked at but to count those of a user.
 */
void agentcg_lack_look(const struct begin *b, struct usage *u, struct shortage *ret);

/* "memory of the pool", for people; and as the interface has it. */
const char *agentcg_lack_name(enum agentcg_lack lack);
const char *agentcg_lack_id(enum agentcg_lack lack);

#endif
