/* SPDX-License-Identifier: GPL-2.0-only */
/* Reclaim, in a thread of its own: it can take seconds, the daemon must not. */
#ifndef _AGENTCG_RECLAIM_H
#define _AGENTCG_RECLAIM_H

#include "util.h"

/*
 * Asks the kernel to free @bytes of the group @fd (which is not kept); with
 * @cache_only nothing is swapped out.  -EBUSY: enough of them run already.
 */
int agentcg_reclaim(int fd, uint64_t bytes, bool cache_only);

/* Whether any does. */
bool agentcg_reclaim_runs(void);

#endif
