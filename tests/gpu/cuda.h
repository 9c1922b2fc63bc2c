/* SPDX-License-Identifier: GPL-2.0-only */
/* What the fake libcuda.so.1 offers beside the driver's functions: its own clock. */
#ifndef _FAKE_CUDA_H
#define _FAKE_CUDA_H

#include <stdint.h>
#include <stdio.h>

/* Instructions (about) that a launch takes, and that the GPU takes for one, which waits count. */
struct fake_cuda_load {
	uint64_t call;
	uint64_t wait;
};

struct fake_cuda {
	void (*load)(const struct fake_cuda_load *load);
	/* The calling thread was woken then (CLOCK_MONOTONIC, ns), by whoever woke it. */
	void (*woken)(uint64_t when);
	/* One line of JSON: what it saw, of all and of those launches at which there was a breakpoint. */
	void (*report)(FILE *f);
	/* Launches so far at which there was a breakpoint. */
	uint64_t (*probed)(void);
};

int cuLaunchKernel(void);
int cuLaunchKernelEx(void);
int cuGraphLaunch(void);
int cuStreamSynchronize(void);

#endif
