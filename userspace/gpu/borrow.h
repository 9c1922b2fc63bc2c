/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a worker borrows from the machine beside CPUs and memory: huge pages of its
 * node, and the interrupts of its GPUs.  Each is first noted as it was (_plan), then
 * changed (_take), so that whoever finds the note can give it back, even of a
 * daemon that was killed in between.
 */
#ifndef _AGENTCG_BORROW_H
#define _AGENTCG_BORROW_H

#include "cpus.h"
#include "util.h"

#define AGENTCG_IRQS_MAX	64

struct borrowed_huge {
	int node;
	uint64_t page;		/* bytes of one; 0: nothing was borrowed */
	uint64_t before, want;	/* pages */
	uint64_t got;		/* UINT64_MAX: not known, it was being taken */
};

struct borrowed_irq {
	unsigned int irq;
	struct cpus before;
};

struct borrowed_irqs {
	struct borrowed_irq list[AGENTCG_IRQS_MAX];
	size_t nr;
};

/* @sysfs: "/sys"; @node -1: the machine's. */
int agentcg_huge_plan(const char *sysfs, struct borrowed_huge *b, int node, uint64_t bytes);
/* How many it got is in ->got; the kernel gives what it finds in one piece. */
int agentcg_huge_take(const char *sysfs, struct borrowed_huge *b);
int agentcg_huge_give(const char *sysfs, struct borrowed_huge *b);

/* Adds the interrupts of a PCI device. */
int agentcg_irqs_plan(const char *sysfs, struct borrowed_irqs *b, const char *pci);
/* How many went; some are the kernel's own to place. */
unsigned int agentcg_irqs_move(const struct borrowed_irqs *b, const struct cpus *cpus);
void agentcg_irqs_give(struct borrowed_irqs *b);

#endif
