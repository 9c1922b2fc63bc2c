/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a worker is bound by its CPU or its GPU.  Pure.
 *
 * "Characterizing and Optimizing LLM Inference Workloads on CPU-GPU Coupled Architectures"
 * (arXiv 2504.11750) sums, over the kernels, the time from the call that launches one to its
 * start on the GPU (TKLQT).  While that is flat as the load grows, the GPU starts
 * each kernel at once and what limits is how fast the CPU launches; where it grows,
 * kernels queue and the GPU limits.
 *
 * From the host's side a kernel's start is not seen.  What is seen is where the host meets the queue:
 * launches that take longer than the shortest of their kind, since the queue is full, and waits for
 * the GPU.  Queueing, as a part of all the time that the launching threads spend on the launches or wait, stands
 * for the growth of TKLQT.
 */
#ifndef _AGENTCG_BOUND_H
#define _AGENTCG_BOUND_H

#include "util.h"

enum bound {
	BOUND_UNKNOWN,
	BOUND_CPU,
	BOUND_GPU,
};

struct bound_in {
	uint64_t launches;
	uint64_t call_nsec;	/* in launches, all together */
	uint64_t floor_nsec;	/* the least mean of a launch that was seen; 0: unknown */
	uint64_t wait_nsec;	/* for the GPU */
	uint64_t host_nsec;	/* between launches, runnable */
	int gpu_busy;		/* percent, of the busiest of its GPUs; -1: unknown */
};

/* Fewer say nothing. */
#define AGENTCG_BOUND_LAUNCHES	50

enum bound agentcg_bound_by(const struct bound_in *in);
const char *agentcg_bound_name(enum bound b);

/* Part of the time that the threads stand in the queue to the GPU, 0 to 1. */
double agentcg_bound_queueing(const struct bound_in *in);

/* The delay that @permille of 1000 do not exceed, interpolated in its bucket (bpf/fair.h); 0: there are none. */
uint64_t agentcg_launch_quantile(const uint64_t *counts, size_t n, unsigned int permille);

#endif
