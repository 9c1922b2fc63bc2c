/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Launch delay of GPU workers, measured in the kernel by bpf/gpu.bpf.c.
 *
 * The uprobes are on cuLaunchKernel, cuLaunchKernelEx and cuGraphLaunch of the
 * libcuda.so.1 that the worker has mapped.  What is measured is from the moment a thread
 * became runnable to its launch, and the time launches took together (launch and queueing
 * time of a worker: the TKLQT of "Characterizing and optimizing LLM inference workloads on
 * CPU-GPU coupled architectures", arXiv 2504.11750), in histograms, sampled.
 */
#ifndef _AGENTCG_PROBE_H
#define _AGENTCG_PROBE_H

#include "util.h"

struct probe;

#define AGENTCG_LAUNCH_BUCKETS	64	/* four to an octave, from 1 us on */

struct launch_figures {
	uint64_t launches;	/* all, sampled or not */
	uint64_t sampled;
	uint64_t delay_nsec;	/* sum over the sampled, runnable to launch */
	uint64_t call_nsec;	/* ..., in the driver's function */
	uint64_t p50_nsec, p99_nsec;	/* of the delay */
	uint64_t threads;	/* that launch */
	bool detached;		/* it was too dear; @reason tells */
	char reason[AGENTCG_WHY_MAX];
};

/* One for all workers.  -EOPNOTSUPP with @why where the kernel has no uprobes or BPF refuses. */
int agentcg_probe_open(struct probe **ret, char *why);
struct probe *agentcg_probe_close(struct probe *p);

/* Follows the launches of what runs in the group @cgroup_id, whose libcuda is that of the process @pid. */
int agentcg_probe_add(struct probe *p, uint64_t cgroup_id, pid_t pid, char *why);
void agentcg_probe_remove(struct probe *p, uint64_t cgroup_id);
int agentcg_probe_read(struct probe *p, uint64_t cgroup_id, struct launch_figures *ret);
/* Threads of the group that launched since the last call: host tids; how many. */
int agentcg_probe_threads(struct probe *p, uint64_t cgroup_id, pid_t *tids, size_t max);

#endif
