/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine as placement sees it: nodes with their memory, cores with their
 * SMT siblings, and the node that a PCI device is at.  Read from sysfs
 * (Documentation/ABI: sysfs-devices-node, sysfs-devices-system-cpu, sysfs-bus-pci).
 */
#ifndef _AGENTCG_TOPOLOGY_H
#define _AGENTCG_TOPOLOGY_H

#include "cpus.h"

#define AGENTCG_NODES_MAX	64
#define AGENTCG_NODE_UNKNOWN	(-1)

enum node_kind {
	NODE_ABSENT,		/* also one that has neither CPUs nor memory now */
	NODE_NEAR,		/* has CPUs and memory */
	NODE_FAR,		/* memory only: CXL, HBM as memory, a socket whose CPUs are offline */
	NODE_EMPTY,		/* CPUs, no memory */
	NODE_DEVICE,		/* the memory of a GPU that is a node (Grace Hopper); nothing of the host's belongs there */
};

struct node {
	enum node_kind kind;
	struct cpus cpus;		/* online */
	uint64_t memory;		/* bytes, MemTotal */
	uint64_t free;			/* bytes, MemFree */
	uint64_t file;			/* bytes of page cache */
	uint8_t distance[AGENTCG_NODES_MAX];	/* 10: itself; 0: unknown */
};

/* A core: the CPUs that share its execution units. */
struct core {
	struct cpus cpus;		/* online */
	int node;			/* AGENTCG_NODE_UNKNOWN */
};

struct topology {
	struct node nodes[AGENTCG_NODES_MAX];
	unsigned int nr_nodes;		/* all present ones are below */
	struct core *cores;		/* in the order of their first CPU */
	size_t nr_cores;
	struct cpus online;
};

/*
 * @sysfs: "/sys", or what a test made.  A machine without NUMA has node 0, whose
 * memory is what proc/meminfo beside @sysfs says.  -ERANGE: more CPUs or nodes than there is room for.
 */
int agentcg_topology_read(const char *sysfs, struct topology *ret);
void agentcg_topology_done(struct topology *t);
/* NVML knows it of a node without CPUs that it is a GPU's (struct gpu, memory_node); sysfs does not. */
void agentcg_topology_set_device(struct topology *t, int node);

/* Of the device "0000:65:00.0" (NVML writes "00000000:65:00.0", understood too); AGENTCG_NODE_UNKNOWN. */
int agentcg_topology_pci_node(const char *sysfs, const char *pci);
/* The interrupts of that device, in no order; how many, or a negative errno. */
int agentcg_topology_pci_irqs(const char *sysfs, const char *pci, unsigned int *irqs, size_t max);
/* The nearest node of @kind to @node by distance, itself first; the lowest, where distances are equal or unknown; AGENTCG_NODE_UNKNOWN. */
int agentcg_topology_nearest(const struct topology *t, int node, enum node_kind kind);

#endif
