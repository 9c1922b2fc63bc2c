/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel policy's view of a call (bpf/decide.h), from the cgroup files. */
#ifndef _AGENTCG_PRESSURE_H
#define _AGENTCG_PRESSURE_H

#include "util.h"

struct call;

struct pressure {
	bool room;		/* a held call may go on */
	bool short_above;	/* someone ranked above lacks memory right now */
	uint64_t headroom;	/* of the pool */
	uint64_t missing;	/* bytes to free until it may go on */
};

void agentcg_pressure_look(const struct call *c, struct pressure *ret);

#endif
