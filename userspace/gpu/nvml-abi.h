/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is used of NVML's C interface, which is stable: a function whose types
 * change gets a new name (_v2, _v3).  Declared here, for its header is seldom installed where
 * agentcg is built; test-nvml.c compares the two where it is.
 */
#ifndef _AGENTCG_NVML_ABI_H
#define _AGENTCG_NVML_ABI_H

enum {
	NVML_OK			= 0,
	NVML_NOT_SUPPORTED	= 3,
	NVML_NOT_FOUND		= 6,
	NVML_INSUFFICIENT_SIZE	= 7,
	NVML_DRIVER_NOT_LOADED	= 9,
	NVML_IS_LOST		= 15,
	NVML_NEEDS_RESET	= 16,
	NVML_VERSION_MISMATCH	= 18,
	NVML_UNKNOWN_ERROR	= 999,
};

#define NVML_UUID_MAX		96	/* NVML_DEVICE_UUID_V2_BUFFER_SIZE */
#define NVML_NAME_MAX		96	/* NVML_DEVICE_NAME_V2_BUFFER_SIZE */

struct nvml_device;

/* Of nvmlDeviceGetPciInfo, _v2 and _v3; only the first has less after device_id. */
struct nvml_pci {
	char bus_id_legacy[16];
	unsigned int domain;
	unsigned int bus;
	unsigned int device;
	unsigned int device_id;
	unsigned int subsystem_id;
	char bus_id[32];
};

struct nvml_memory {
	unsigned long long total;
	unsigned long long free;
	unsigned long long used;
};

struct nvml_utilization {
	unsigned int gpu;
	unsigned int memory;
};

/* Of nvmlDeviceGetComputeRunningProcesses and its like. */
struct nvml_process_v1 {
	unsigned int pid;
	unsigned long long memory;	/* all ones: not known */
};

/* Of their _v2 and _v3. */
struct nvml_process {
	unsigned int pid;
	unsigned long long memory;
	unsigned int gpu_instance;
	unsigned int compute_instance;
};

#endif
