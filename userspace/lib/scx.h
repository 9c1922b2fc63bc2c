/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel tells about sched_ext: whether it can, and what runs.  Files only. */
#ifndef _AGENTCG_SCX_H
#define _AGENTCG_SCX_H

#include "util.h"

/* The schedulers that are ours begin with this. */
#define AGENTCG_SCX_NAME	"agentcg"

struct agentcg_scx {
	char state[16];		/* enabled, disabled, enabling, disabling; "": no sched_ext */
	char name[64];		/* of the scheduler that runs; "" if none does */
};

/* @root: "" or where a test made its own /sys. */
void agentcg_scx_look(const char *root, struct agentcg_scx *ret);

static inline bool agentcg_scx_is(const struct agentcg_scx *s, const char *state)
{
	return streq(s->state, state);
}

/* Whether a scheduler of ours runs. */
static inline bool agentcg_scx_is_ours(const struct agentcg_scx *s)
{
	return agentcg_scx_is(s, "enabled") && startswith(s->name, AGENTCG_SCX_NAME);
}

/*
 * Whether this kernel can load a scheduler, with the number of functions that
 * it has for them (@ret_functions may be NULL).  Else, with a sentence in @why:
 *	-EOPNOTSUPP	it has no sched_ext
 *	-ENOEXEC	it was built in a way that no scheduler loads
 *	-errno		its types cannot be read
 */
int agentcg_scx_check(const char *root, unsigned int *ret_functions, char *why);

#endif /* _AGENTCG_SCX_H */
