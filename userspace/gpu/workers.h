/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All workers together: their cores are shared out at once, whenever one comes,
 * goes or changes, and when CPUs do.  What the rest of the daemon knows of them.
 */
#ifndef _AGENTCG_WORKERS_H
#define _AGENTCG_WORKERS_H

#include <systemd/sd-varlink.h>

#include "slice.h"
#include "worker.h"

#define AGENTCG_SYSFS	"/sys"

struct worker_asker;
struct mps;

struct workers {
	struct manager *m;
	struct slice slice;
	struct topology topology;
	struct nvml *nvml;
	struct gpus gpus;		/* the last snapshot */
	sd_event_source *nvml_source;
	sd_event_source *tick;
	uint64_t looked_usec;		/* CLOCK_MONOTONIC */
	unsigned int ticks;
	struct mps *mps;		/* control daemons */
	struct worker_asker *askers;	/* of GetWorkers, who wait for a snapshot */
	struct worker *list[AGENTCG_WORKERS_MAX];
	unsigned int nr;
};

/* Looks for GPUs, and takes over what an earlier daemon has placed. */
int agentcg_workers_open(struct manager *m);
struct workers *agentcg_workers_free(struct workers *ws);
/* The policy was read again. */
void agentcg_workers_apply(struct manager *m);
/* Bytes that agents do not get: protected, pinned and not accounted for, huge pages. */
uint64_t agentcg_workers_taken(const struct manager *m);

/* Cores for all; @why if not, and then nothing has changed. */
int agentcg_workers_place(struct workers *ws, char *why);
/* What they protect has changed. */
void agentcg_workers_protect(struct workers *ws);
/* One has come or gone. */
int agentcg_workers_add(struct workers *ws, struct worker *w);
void agentcg_workers_remove(struct workers *ws, struct worker *w);
/* The worker that a process is of; NULL. */
struct worker *agentcg_workers_of(struct workers *ws, pid_t pid);
/* CPUs that are no worker's. */
void agentcg_workers_call_cpus(const struct workers *ws, struct cpus *ret);

/* @done is called when there is a snapshot of the GPUs that is new enough, or none is to be had. */
typedef int (*worker_answer_t)(struct workers *ws, sd_varlink *link);
int agentcg_workers_ask(struct workers *ws, sd_varlink *link, worker_answer_t answer);

/* What others hang on workers, in order; NULL after the last. */
const struct worker_part *agentcg_worker_part(size_t i);

int agentcg_worker_save(const struct worker *w);
int agentcg_worker_load(struct worker *w);

#endif
