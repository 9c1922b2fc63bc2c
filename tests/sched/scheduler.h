/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the CPU scheduler share: the scheduler itself, loaded by the
 * test, and workers, which use CPU time in test cgroups.
 */
#ifndef _TEST_SCHEDULER_H
#define _TEST_SCHEDULER_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <sys/types.h>

#include "fair.h"
#include "group.h"
#include "sched.skel.h"

#define NS_PER_MS	1000000ULL

/* ---- the scheduler ------------------------------------------------------- */

struct sched {
	struct sched_bpf *skel;
	struct bpf_link *link;
};

/* Of a program that has one for all its tests */
extern struct sched sched;

/* NULL, or why this kernel cannot run it (for a skip). */
const char *sched_unsupported(void);
/*
 * Loads and starts it; @timeout_ms is the kernel's watchdog, 0: as usual.
 * 0 or a negative errno; says why on stderr.
 */
int sched_start(struct sched *s, __u32 timeout_ms);
void sched_stop(struct sched *s);
/* It is the machine's scheduler at this moment. */
bool sched_running(void);
bool sched_ends(long ms);
/* 0 or a negative errno, the program's own */
long sched_hint(struct sched *s, __u64 cgroup_id, pid_t tid, enum agentcg_class class,
		__u64 deadline);
long sched_reserve(struct sched *s, __u32 cpu, bool on);
long sched_inject(struct sched *s, enum agentcg_inject what);
/* The group's; NULL if it has none. */
const struct agentcg_node *sched_node(struct sched *s, const struct group *g);
int sched_nodes_used(struct sched *s);
__u64 sched_counter(struct sched *s, enum agentcg_sched_counter counter);
struct agentcg_sched_exit sched_exit_record(struct sched *s);
struct agentcg_hist sched_wakeups(struct sched *s, const struct group *g);
/* The bucket's upper bound below which @percent of what came after @before lie, us. */
double wakeup_percentile(const struct agentcg_hist *before, const struct agentcg_hist *after,
			 double percent);

/* ---- workers ------------------------------------------------------------- */

/* What a worker does, over and over: uses CPU time, then sleeps. */
struct work {
	long run_us;		/* 0: for ever */
	long sleep_us;
	unsigned long cpus;	/* where it may run, a bit for each; 0: anywhere */
	int nice;
	int fifo;		/* real-time priority; 0: SCHED_OTHER */
};

#define MAX_ROUNDS	8192

struct worker {
	pid_t pid;
	struct worker_log {
		volatile bool ready;	/* bound, niced, ... */
		volatile long rounds;	/* spun, or slept */
		struct {
			int wait_us;	/* from waking up until it ran */
			int cpu;
		} round[MAX_ROUNDS];
	} *log;
};

/* @g NULL: where the caller is.  Waits until it is set up.  0 or a negative errno. */
int worker_start(struct worker *w, const struct group *g, const struct work *work);
void worker_stop(struct worker *w);
/* CPU time of it so far, ms */
double worker_cpu_ms(const struct worker *w);
/* Of the rounds from @from on, us; -1 when there are none. */
double worker_wait_us(const struct worker *w, long from, double percent);
/* As fork(), into @g; a negative errno when it fails. */
pid_t worker_fork(const struct group *g);
/* So much CPU time of the caller */
void worker_use_cpu(long us);
/* @n workers that spin, known only by their group. */
int hogs_start(const struct group *g, int n);

/* ---- shares -------------------------------------------------------------- */

/* CPU time of a group so far, ms */
double group_cpu_ms(const struct group *g);
/* CPUs that all test groups together used, and CPUs that were idle. */
struct usage {
	double used;
	double idle;
};

/* CPUs that each of @n groups uses in the next @ms. */
struct usage measure(const struct group *groups, double *cpus, int n, long ms);
/*
 * The same where nobody idles, in parts of @all CPUs: an emulated CPU that its
 * host lets wait is not busy for anybody.
 */
struct usage measure_parts(const struct group *groups, double *parts, int n, long ms, double all);
/* cpu.weight and the like, as a number */
int group_set(const struct group *g, const char *file, long value);

#endif
