/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Several workers on one GPU: a control daemon of CUDA's MPS for each GPU that has workers
 * with a share, in a folder of its own, which ends with the last of them.  One that somebody else runs has other
 * folders and is left alone.  (NVIDIA, "Multi-Process Service", R580: control utility, environment variables.)
 *
 * MPS fixes a share when its client starts.  Shares of workers of normal priority or above add up to 100 % at
 * most; a worker of lower priority is best effort: it may have any share of threads, yields to the others
 * (client priority 1), and gets no more of the GPU's memory than its share.
 */
#ifndef _AGENTCG_MPS_H
#define _AGENTCG_MPS_H

#include "util.h"

#define AGENTCG_MPS_BASE	"/run/agentcg"

struct manager;

struct mps_client {
	unsigned int share;	/* percent */
	bool best_effort;
};

/* -ENOSPC with @why if @more does not fit beside @have.  Pure. */
int agentcg_mps_check(const struct mps_client *have, size_t n, const struct mps_client *more, char *why);

/* Runs one for the GPU @uuid below @base, unless it runs.  Waits for it, some 100 ms, a few seconds at most. */
int agentcg_mps_start(const char *base, const char *uuid, char *why);
/* Ends it and removes its folder; 0 also if there is none.  -EBUSY: it ends once its last client has. */
int agentcg_mps_stop(const char *base, const char *uuid);
bool agentcg_mps_runs(const char *base, const char *uuid);

/* Ends those that no worker has a share of any more, of earlier daemons too. */
void agentcg_mps_sweep(struct manager *m);

#endif
