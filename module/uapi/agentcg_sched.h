/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The ABI of the CPU scheduler (bpf/sched.bpf.c): what it and user space share.
 *
 * Protocol
 *
 *   The scheduler keeps one struct agentcg_node for each cgroup with the cpu
 *   controller, in the array "nodes" (user space maps it); the hash "node_slots" finds
 *   the slot of a cgroup id.  Slot 0 is the root.  Only the scheduler writes
 *   nodes and "wakeups", one struct agentcg_hist per slot.
 *
 *   Three syscall programs change state on the daemon's behalf, each with its
 *   own context: "hint" says what is known about a leaf or a thread, "reserve"
 *   names a CPU that GPU launch threads take first, "inject" raises an error
 *   (for tests and drills).
 *
 *   "sched_exit" holds why the scheduler ended; a record of the ring buffer
 *   "sched_events" wakes the daemon when it does.
 *
 * Times are nanoseconds, clocks CLOCK_MONOTONIC.
 */
#ifndef _UAPI_AGENTCG_SCHED_H
#define _UAPI_AGENTCG_SCHED_H

#include "agentcg.h"

#define AGENTCG_SCHED_ABI_VERSION	1

/* Groups that are told apart; a power of two.  The rest joins its parent. */
#define AGENTCG_MAX_NODES	8192
/* Deeper groups are charged to their ancestor at this level; the root has 0. */
#define AGENTCG_MAX_LEVEL	8
#define AGENTCG_MAX_CPUS	1024

enum agentcg_class {
	/* Latency while it is seen to be short, else none. */
	AGENTCG_CLASS_AUTO	= 0,
	/* Never before others. */
	AGENTCG_CLASS_BATCH	= 1,
	/* Declared short and interactive: first when it wakes, up to its burst. */
	AGENTCG_CLASS_INTERACTIVE = 2,
	/* Feeds a GPU: before everybody.  Only root declares it. */
	AGENTCG_CLASS_GPU	= 3,
	AGENTCG_NR_CLASSES
};

/* A bucket holds wake-ups from its lower bound on (bpf/fair.h). */
#define AGENTCG_HIST_BUCKETS	96

struct agentcg_hist {
	__u32 count[AGENTCG_HIST_BUCKETS];
};

/*
 * One cgroup.  Virtual times are ns of service divided by weight/100, on the
 * scale of the parent; they only grow.
 */
struct agentcg_node {
	__u64 cgroup_id;	/* 0: the slot is free */
	__u64 vtime;		/* its own */
	__u64 clock;		/* that of its children: the least of those waiting */
	__u64 own_vtime;	/* of tasks that sit in a group with children */
	__u64 task_clock;	/* virtual time of its tasks, among themselves */

	__u32 parent;		/* slot */
	__u32 level;
	__u32 weight;		/* cpu.weight; 1 to 10000 */
	__u32 inverse;		/* agentcg_inverse(weight) */
	__u32 class;		/* enum agentcg_class */
	__u32 seq;		/* changes with every task that is queued below */

	__s32 nr_runnable;	/* own tasks and children that are */
	__s32 nr_own;		/* own tasks that wait for their turn */
	__s32 nr_listed;	/* children on the list: in these somebody waits */
	__s32 nr_fast;		/* tasks below that are served out of turn */
	__u32 listed;		/* is on its parent's list */
	__u32 head;		/* of its list of children: slot + 1, 0 ends */
	__u32 next;
	__u32 prev;
	__u32 idle;		/* cpu.idle: counts as weight 1 */
	__u32 pad;

	__u64 deadline;		/* when it wants to be done; 0: whenever */
	__u64 hinted;		/* when the deadline was declared */

	__u64 tokens_at;	/* AGENTCG_CLASS_AUTO: the bucket */
	__s64 tokens;

	__u64 bw_period;	/* cpu.max; 0: none */
	__u64 bw_quota;
	__u64 bw_burst;
	__u64 bw_end;		/* of the period */
	__s64 bw_left;

	/* Statistics */
	__u64 usage;		/* CPU time of its subtree */
	__u64 nr_switches;	/* times that a task of its own was put on a CPU */
	__u64 nr_fast_runs;	/* of these out of turn */
	__u64 nr_throttled;	/* cpu.max */
};

/* Context of the syscall program "hint".  One of cgroup_id and tid is 0. */
struct agentcg_hint {
	__u64 cgroup_id;
	__u32 tid;		/* host's thread id: AGENTCG_CLASS_GPU or _AUTO */
	__u32 class;		/* enum agentcg_class */
	__u64 deadline;		/* 0: none */
	__s64 result;		/* 0 or a negative errno */
};

/* Context of the syscall program "reserve". */
struct agentcg_reserve {
	__u32 cpu;
	__u32 on;
	__s64 result;
};

enum agentcg_inject {
	AGENTCG_INJECT_ERROR	= 1,	/* scx_bpf_error() */
	AGENTCG_INJECT_STALL	= 2,	/* queues what wakes where nobody looks */
};

/* Context of the syscall program "inject". */
struct agentcg_inject_arg {
	__u32 what;		/* enum agentcg_inject */
	__u32 pad;
	__s64 result;
};

/* Why the scheduler ended; kind is the kernel's enum scx_exit_kind. */
struct agentcg_sched_exit {
	__u64 time;		/* CLOCK_MONOTONIC; 0: it runs */
	__s64 code;
	__u32 kind;
	__u32 pad;
	char reason[64];
	char message[168];
};

enum agentcg_sched_counter {
	AGENTCG_SCHED_DIRECT,	/* put on an idle CPU at once */
	AGENTCG_SCHED_FAST,	/* queued as latency or GPU class */
	AGENTCG_SCHED_PREEMPT,	/* somebody else was interrupted */
	AGENTCG_SCHED_HANDED,	/* given the rest of its waker's turn */
	AGENTCG_SCHED_QUEUED,	/* queued in its group */
	AGENTCG_SCHED_KEPT,	/* went on for another slice */
	AGENTCG_SCHED_EMPTY,	/* looked for work in a group and found none */
	AGENTCG_SCHED_RESCUED,	/* ran since it had waited too long */
	AGENTCG_SCHED_NO_NODE,	/* cgroups that found no slot */
	AGENTCG_NR_SCHED_COUNTERS
};

AGENTCG_ASSERT_SIZE(agentcg_hist, 384);
AGENTCG_ASSERT_SIZE(agentcg_node, 208);
AGENTCG_ASSERT_SIZE(agentcg_hint, 32);
AGENTCG_ASSERT_SIZE(agentcg_reserve, 16);
AGENTCG_ASSERT_SIZE(agentcg_inject_arg, 16);
AGENTCG_ASSERT_SIZE(agentcg_sched_exit, 256);

#endif /* _UAPI_AGENTCG_SCHED_H */
