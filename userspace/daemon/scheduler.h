/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who shares out the CPU time: our sched_ext scheduler, or the kernel's own by
 * cpu.weight, and why.  The scheduler is loaded as the policy says, watched, and
 * loaded again after it ended.
 */
#ifndef _AGENTCG_SCHEDULER_H
#define _AGENTCG_SCHEDULER_H

#include <sys/types.h>

#include "manager.h"

struct call;
struct cpu;
struct scheduler;

int agentcg_scheduler_new(struct manager *m, struct scheduler **ret);
/* Frees the memory only; the scheduler goes on. */
struct scheduler *agentcg_scheduler_free(struct scheduler *s);

/* Does what the policy says now: at start, and whenever it was read again. */
void agentcg_scheduler_apply(struct scheduler *s);

/* The scheduler at work; NULL: cpu.weight. */
struct cpu *agentcg_scheduler_cpu(const struct scheduler *s);
/* CLOCK_REALTIME usec; 0: it does not run. */
uint64_t agentcg_scheduler_since(const struct scheduler *s);
/* Why it does not run, now; "" if it does. */
const char *agentcg_scheduler_reason(const struct scheduler *s, char buf[AGENTCG_WHY_MAX]);

/* Tells the scheduler what is known of a call, or of all. */
void agentcg_scheduler_hint(struct scheduler *s, const struct call *c);
void agentcg_scheduler_hint_all(struct scheduler *s);
/* Until it ends or the scheduler does.  -EOPNOTSUPP: no scheduler; -ESRCH. */
int agentcg_scheduler_set_gpu(struct scheduler *s, pid_t tid, bool on);

#endif
