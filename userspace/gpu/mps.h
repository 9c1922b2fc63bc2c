/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Several workers on one GPU: a control daemon of CUDA's MPS for each GPU that has workers
 * with a share, in a folder of its own, which ends with the last of them.  One that somebody else runs has other
 * folders and is left alone.  (NVIDIA, "Multi-Process Service", R580: control utility, environment variables.)
 *
 *	(nothing) -> starting -> running -> ending -> (nothing)
 *
 * Starting takes some 100 ms, ending until the last client has ended; neither is waited for but by events.  All that must be known is in the
 * folder: the next daemon goes on with what a killed one began.
 *
 * MPS fixes a share when its client starts.  Shares of workers of normal priority or above add up to 100 % at
 * most; a worker of lower priority is best effort: it may have any share of threads, yields to the others
 * (client priority 1), and gets no more of the GPU's memory than its share.
 */
#ifndef _AGENTCG_MPS_H
#define _AGENTCG_MPS_H

#include <systemd/sd-event.h>

#include "util.h"

#define AGENTCG_MPS_BASE	"/run/agentcg"

struct mps;

struct mps_client {
	unsigned int share;	/* percent */
	bool best_effort;
};

/* -ENOSPC with @why if @more does not fit beside @have.  Pure. */
int agentcg_mps_check(const struct mps_client *have, size_t n, const struct mps_client *more, char *why);

/* How starting ended: 0, or a negative errno with @why. */
typedef void (*agentcg_mps_done_t)(int error, const char *why, void *userdata);
/* One that ran has ended, and was not to. */
typedef void (*agentcg_mps_ended_t)(const char *uuid, void *userdata);

/* Folders are made below @base.  Starting may take @start_usec, and whoever finds one that ends waits for its end as long. */
int agentcg_mps_new(sd_event *event, const char *base, uint64_t start_usec, agentcg_mps_ended_t ended, void *userdata, struct mps **ret);
/* What runs goes on, and nobody is told anything. */
struct mps *agentcg_mps_free(struct mps *m);

/*
 * Runs one for the GPU @uuid.  0: it runs; -EINPROGRESS: @done will be told, a few seconds from now at most;
 * other negative errno, with @why: it cannot.
 */
int agentcg_mps_start(struct mps *m, const char *uuid, agentcg_mps_done_t done, void *userdata, char *why);
/* Nobody is to be told any more.  What starts for nobody is ended again. */
void agentcg_mps_forget(struct mps *m, void *userdata);
/* Ends it, if there is one, and removes its folder when it has. */
void agentcg_mps_stop(struct mps *m, const char *uuid);
/* What it has of its own: "", "/pipe" or "/log". */
#define AGENTCG_MPS_PATH	192
const char *agentcg_mps_folder(char path[AGENTCG_MPS_PATH], const struct mps *m, const char *uuid, const char *sub);
bool agentcg_mps_runs(const struct mps *m, const char *uuid);

/* Ends those that @used says nobody has a share of, of earlier daemons too. */
void agentcg_mps_sweep(struct mps *m, bool (*used)(const char *uuid, void *userdata), void *userdata);

#endif
