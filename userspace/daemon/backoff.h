/* SPDX-License-Identifier: GPL-2.0-only */
/* How long to wait before the scheduler is loaded again.  Pure. */
#ifndef _AGENTCG_BACKOFF_H
#define _AGENTCG_BACKOFF_H

#include "util.h"

#define AGENTCG_BACKOFF_MIN_USEC	(1 * USEC_PER_SEC)
#define AGENTCG_BACKOFF_MAX_USEC	(300 * USEC_PER_SEC)
/* One that ran for so long ended by something else than what ended those before. */
#define AGENTCG_BACKOFF_RESET_USEC	(600 * USEC_PER_SEC)

/* @last: the wait before the scheduler that has now ended after @ran; 0: none. */
static inline uint64_t agentcg_backoff(uint64_t last, uint64_t ran)
{
	if (!last || ran >= AGENTCG_BACKOFF_RESET_USEC)
		return AGENTCG_BACKOFF_MIN_USEC;
	return min_u64(2 * last, AGENTCG_BACKOFF_MAX_USEC);
}

#endif
