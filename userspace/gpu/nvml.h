/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GPUs, and which processes use them, from NVIDIA's management library
 * (NVML API reference; libnvidia-ml.so.1 comes with the driver and is opened
 * when it is wanted: no driver is a normal state).  No other vendor yet.
 *
 * Calls into the driver can hang when a GPU is lost; all of them are made in a
 * thread, and whoever asks gets the last snapshot with its age.  A GPU that was seen
 * once stays in it; as lost, when it is not found any more.
 *
 * A GPU in MIG mode is followed, after all GPUs, by its instances, each as a GPU of its own: CUDA can use them alone.  How a
 * GPU is divided is its owner's business, and never changed.
 */
#ifndef _AGENTCG_NVML_H
#define _AGENTCG_NVML_H

#include "util.h"

/* Eight GPUs of seven instances each, and what was there before. */
#define AGENTCG_GPUS_MAX	80
#define AGENTCG_GPU_PIDS_MAX	64
#define AGENTCG_GPU_UUID_MAX	64

enum gpu_state {
	GPU_OK,
	GPU_LOST,		/* fell off the bus, or needs a reset */
};

struct gpu_process {
	pid_t pid;		/* as the host numbers it; 0: NVML does not see it from here */
	uint64_t memory;	/* bytes on the GPU; AGENTCG_NVML_UNKNOWN */
};

#define AGENTCG_NVML_UNKNOWN	UINT64_MAX

struct gpu {
	unsigned int index;
	char uuid[AGENTCG_GPU_UUID_MAX];
	char name[64];
	char pci[20];		/* "0000:65:00.0" */
	int memory_node;	/* the NUMA node that its own memory is, on machines where it is one; -1 */
	bool mig;		/* it is divided: its instances are used instead of it */
	bool is_instance;	/* of the GPU @index; @pci is that one's */
	unsigned int instance;	/* its number there */
	enum gpu_state state;
	char error[80];		/* why it is lost */
	uint64_t memory_total;	/* bytes */
	uint64_t memory_used;
	int busy;		/* percent of the last sampling period in which a kernel ran; -1: not known */
	struct gpu_process processes[AGENTCG_GPU_PIDS_MAX];	/* that compute, also by MPS, or draw */
	unsigned int nr_processes;
};

struct gpus {
	struct gpu list[AGENTCG_GPUS_MAX];
	unsigned int nr;
	uint64_t time_usec;	/* CLOCK_MONOTONIC, when it was taken; 0: never */
	char reason[AGENTCG_WHY_MAX];	/* why there are none, or why it is old; "" if all is well */
};

struct nvml;

#define AGENTCG_NVML_HUNG_USEC	(5 * USEC_PER_SEC)	/* a call that takes longer hangs */

/* @library: NULL for libnvidia-ml.so.1.  Never fails for want of a driver. */
int agentcg_nvml_open(struct nvml **ret, const char *library);
/* A call that hangs is left to itself. */
struct nvml *agentcg_nvml_close(struct nvml *n);
/* Asks for a new snapshot; returns at once.  One asked for while another is under way is that one. */
void agentcg_nvml_refresh(struct nvml *n);
/* The last snapshot. */
void agentcg_nvml_get(struct nvml *n, struct gpus *ret);
/*
 * Becomes readable when there is a new one, and when agentcg_nvml_refresh() finds that the driver hangs; read it with
 * agentcg_nvml_get().
 */
int agentcg_nvml_fd(struct nvml *n);

/* By index ("0", of an instance "0/1") or UUID ("GPU-...", "MIG-..."; a unique beginning will do); NULL. */
const struct gpu *agentcg_gpus_find(const struct gpus *g, const char *name);

#endif
