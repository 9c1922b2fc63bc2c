/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's end of bpf/gpu.bpf.c: loads it, puts its breakpoints into processes and takes
 * them away, opens and closes windows, reads what was counted.  To be used by one thread.
 * Nobody else includes its skeleton.
 */
#ifndef _AGENTCG_BREAKPOINTS_H
#define _AGENTCG_BREAKPOINTS_H

#include <sys/types.h>

#include "agentcg_gpu.h"
#include "util.h"

struct bpf_link;
struct breakpoints;

#define AGENTCG_PROBED_PIDS	32	/* of a worker */

/* Those of one worker. */
struct breakpoint_links {
	struct bpf_link *links[2 * AGENTCG_PROBED_PIDS];
	unsigned int nr;
};

int agentcg_breakpoints_open(struct breakpoints **ret, char *why);
struct breakpoints *agentcg_breakpoints_close(struct breakpoints *b);
/* What a call that is looked at costs its thread, ns; of that, what seems to be time in the call. */
struct breakpoint_cost {
	uint64_t nsec, within;
};

void agentcg_breakpoints_cost(const struct breakpoints *b, struct breakpoint_cost *ret);
/* Becomes readable when a window ended by itself. */
int agentcg_breakpoints_fd(struct breakpoints *b);
void agentcg_breakpoints_consume(struct breakpoints *b);

/* Into libcuda of @pids; of how many.  0 with @why: none of them has it, or the kernel refused. */
unsigned int agentcg_breakpoints_attach(struct breakpoints *b, uint32_t slot, const pid_t *pids, size_t n, struct breakpoint_links *ret,
					char *why);
void agentcg_breakpoints_detach(struct breakpoints *b, struct breakpoint_links *l);

void agentcg_window_open(struct breakpoints *b, uint32_t slot, uint64_t budget);
void agentcg_window_drain(struct breakpoints *b, uint32_t slot);
void agentcg_window_close(struct breakpoints *b, uint32_t slot);
void agentcg_window_get(struct breakpoints *b, uint32_t slot, struct agentcg_window *ret);

/* What was counted in the last window: @ret, whose histogram is 64 bits wide. */
struct launch_counts {
	struct agentcg_launch_counts sum;
	uint64_t delay[AGENTCG_HIST_BUCKETS];
};
int agentcg_window_counts(struct breakpoints *b, uint32_t slot, struct launch_counts *ret);
/* Threads of @slot that called since the last time. */
size_t agentcg_window_threads(struct breakpoints *b, uint32_t slot, pid_t *tids, size_t max);

#endif
