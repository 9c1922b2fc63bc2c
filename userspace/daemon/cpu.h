/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's end of the CPU scheduler: loads it or takes over the pinned one,
 * sends hints, reads what it counts.  Nobody else includes its skeleton.
 */
#ifndef _AGENTCG_CPU_H
#define _AGENTCG_CPU_H

#include "agentcg_sched.h"
#include "util.h"

struct cpu;

/*
 * Puts the scheduler in force, in place of what is pinned.  That takes the
 * kernel a while, see loader.h.  -EBUSY: another scheduler runs; other negative
 * errno: it cannot be, with the reason in @why.
 */
int agentcg_cpu_load(char *why);
/* Takes over the pinned scheduler if it runs and is what this daemon knows. */
int agentcg_cpu_open(struct cpu **ret);
/* Lets go of the descriptors; what is pinned stays in force. */
void agentcg_cpu_close(struct cpu *c);

/* Ends a scheduler that is pinned, if there is one, and removes its pins. */
void agentcg_cpu_unload(void);
/* CLOCK_REALTIME usec when the pinned scheduler was loaded; 0: there is none. */
uint64_t agentcg_cpu_since(void);
/* How a pinned scheduler ended: 0; -ENODATA: it has not; -ENOENT: there is none. */
int agentcg_cpu_ended(struct agentcg_sched_exit *ret);

/* Becomes readable when the scheduler ends. */
int agentcg_cpu_event_fd(struct cpu *c);
void agentcg_cpu_drain(struct cpu *c);

/* -ENOENT: it does not know the group; -ESRCH: there is no such thread. */
int agentcg_cpu_hint(struct cpu *c, const struct agentcg_hint *hint);

/* AGENTCG_MAX_NODES of them, changing as one looks. */
const struct agentcg_node *agentcg_cpu_nodes(struct cpu *c);
/* The slot of a group, or -ENOENT. */
int agentcg_cpu_slot(struct cpu *c, uint64_t cgroup_id);
int agentcg_cpu_wakeups(struct cpu *c, uint32_t slot, struct agentcg_hist *ret);
int agentcg_cpu_counters(struct cpu *c, uint64_t ret[AGENTCG_NR_SCHED_COUNTERS]);

#endif
