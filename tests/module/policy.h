/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module's tests and benchmarks share: the test policy and a child
 * process ("eater") that allocates when it is told.
 */
#ifndef _TEST_POLICY_H
#define _TEST_POLICY_H

#include <stdbool.h>
#include <sys/types.h>

#include "agentcg.h"
#include "fixed.h"
#include "fixed.skel.h"
#include "group.h"

#define MIB		(1024 * 1024L)
#define BATCH_PAGES	64	/* MEMCG_CHARGE_BATCH, include/linux/memcontrol.h */
#define HUGE_PAGES	512
#define PAGE		4096L

/* The test policy, loaded and attached to @g; NULL and errno on failure. */
struct policy {
	struct fixed_bpf *skel;
	struct bpf_link *link;
	struct fixed *knobs;
};

int policy_attach(struct policy *p, const struct group *g, __u32 flags);
void policy_detach(struct policy *p);
long policy_call(struct policy *p, struct bpf_program *prog, __u64 id, __u64 gate);
#define policy_add(p, g)	policy_call(p, (p)->skel->progs.add, (g)->id, 0)
#define policy_usage(p, g)	policy_call(p, (p)->skel->progs.usage, (g)->id, 0)
#define policy_release(p, g)	policy_call(p, (p)->skel->progs.release, (g)->id, 0)
/* bytes 0: shut at the usage of now */
#define policy_gate(p, g, b)	policy_call(p, (p)->skel->progs.gate, (g)->id, b)

/* A process in a group whose threads touch memory on command. */
struct eater {
	pid_t pid;
	struct eater_shared *shared;
};

struct eater_shared {
	volatile int threads;
	volatile int huge;
	volatile int loop_write;	/* bytes come from one write() to tmpfs */
	volatile long want;		/* pages each thread shall have touched */
	volatile long touched[64];	/* pages touched, by thread */
	volatile double stalled_at[64];	/* now_ms() before the touch under way */
	volatile double done_at[64];	/* when the last touch was done */
	volatile double worst_ms[64];	/* the longest touch since want was set */
	volatile long handled;		/* SIGUSR1s */
};

int eater_start(struct eater *e, const struct group *g, int threads, bool huge);
void eater_want(struct eater *e, long pages);
/* Waits until all threads have what they want; false after @ms. */
bool eater_done(struct eater *e, long ms);
long eater_touched(struct eater *e);
void eater_stop(struct eater *e);

#endif
