/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GPU memory of a worker that has nothing to do, moved to the host until it has: CUDA's process
 * checkpoints (cuCheckpointProcess*, driver 570 and later; CUDA Driver API, "Process checkpointing"), or the tool cuda-checkpoint where
 * the library has none.  Only if the owner asks for it ([GPU] CheckpointAfter=), and undone at the first sign of work.
 *
 * These calls take seconds and may hang: a process of its own makes them.
 */
#ifndef _AGENTCG_CHECKPOINT_H
#define _AGENTCG_CHECKPOINT_H

#include <systemd/sd-json.h>
#include <sys/types.h>

#include "util.h"

struct worker;

enum checkpoint_state {
	CHECKPOINT_NONE,
	CHECKPOINT_SAVING,
	CHECKPOINT_SAVED,
	CHECKPOINT_RESTORING,
	CHECKPOINT_FAILED,	/* is not tried again on this worker */
};

enum checkpoint_step {
	CHECKPOINT_WAIT,
	CHECKPOINT_SAVE,
	CHECKPOINT_RESTORE,
};

/* @after: idle time, AGENTCG_NONE: never.  @work: it has requests, or does not answer.  Pure. */
enum checkpoint_step agentcg_checkpoint_decide(enum checkpoint_state state, uint64_t after, uint64_t idle_usec, bool work);

/* All of @pids or none, in this process; @library NULL: libcuda.so.1.  Restoring one that was not saved does nothing. */
int agentcg_checkpoint_save(const char *library, const pid_t *pids, size_t n, char *why);
int agentcg_checkpoint_restore(const char *library, const pid_t *pids, size_t n, char *why);

void agentcg_checkpoint_begin(struct worker *w);
void agentcg_checkpoint_end(struct worker *w);
/* Adds how far it is to the interface's Worker. */
int agentcg_checkpoint_build(struct worker *w, sd_json_variant **object);
/* What its engine has just told (metrics-poll.c).  True: its memory is away, look again soon. */
bool agentcg_checkpoint_look(struct worker *w, uint64_t idle_usec, bool work);

#endif
