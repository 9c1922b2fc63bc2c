/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The ABI of the launch probe (bpf/gpu.bpf.c): what it and the daemon share.
 *
 * Protocol
 *
 *   A worker has a slot, which the cookies of its links name (agentcg_launch_cookie()).
 *   The daemon clears "counts" of the slot, attaches the links while "windows" says OFF, and
 *   then opens the window with a budget of calls.  It ends it by DRAIN, in which only threads
 *   that were runnable before are looked at, and OFF; or the programs do, when the
 *   budget is spent, and tell so by a record of the ring buffer "ends".  What was counted is
 *   read after OFF.  "threads" holds who launched, until the daemon takes it out.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef _UAPI_AGENTCG_GPU_H
#define _UAPI_AGENTCG_GPU_H

#include "agentcg_sched.h"

/* Workers, and one slot by which the daemon measures what a call costs. */
#define AGENTCG_MAX_PROBED	65
#define AGENTCG_PROBED_SELF	64
#define AGENTCG_MAX_LAUNCHERS	4096

enum agentcg_launch_kind {
	AGENTCG_LAUNCH_KERNEL	= 0,	/* also a graph, which is one launch */
	AGENTCG_LAUNCH_WAIT	= 1,	/* for the GPU */
};

enum agentcg_window_mode {
	AGENTCG_WINDOW_OFF	= 0,
	AGENTCG_WINDOW_OPEN	= 1,
	AGENTCG_WINDOW_DRAIN	= 2,
};

static inline __u64 agentcg_launch_cookie(__u32 slot, __u32 kind)
{
	return (__u64)kind << 32 | slot;
}

struct agentcg_window {
	__u64 serial;		/* each has another */
	__u64 hits;		/* calls in it */
	__u64 budget;		/* so many, and then a quarter of them in DRAIN */
	__u64 ended;		/* when the budget was spent; 0: it is not */
	__s32 pending;		/* threads that are runnable and have not launched yet */
	__u32 mode;		/* enum agentcg_window_mode */
};

/* Of a slot, on one CPU. */
struct agentcg_launch_counts {
	__u64 launches;
	__u64 waits;
	__u64 sampled;		/* launches of threads that had woken or been preempted */
	__u64 delay_nsec;	/* of these: from being runnable to the launch */
	__u64 call_nsec;	/* in launches */
	__u64 wait_nsec;	/* in waits */
	__u64 host_nsec;	/* from the call before, or waking up, to the launch */
	__u64 exec_nsec;	/* CPU time of the threads */
	struct agentcg_hist delay;
};

/* Of a thread that launches, in its task storage. */
struct agentcg_launcher {
	__u64 serial;		/* window of its last call */
	__u64 runnable;		/* since then, without a launch; 0: it launched since */
	__u64 runnable_serial;	/* window of that */
	__u64 woken;
	__u64 entered;		/* the call that it is in */
	__u64 left;		/* the call before */
	__u64 exec;		/* its CPU time then */
	__u32 slot;
	__u32 depth;		/* of calls within calls */
};

/* One record of the ring buffer. */
struct agentcg_window_end {
	__u64 serial;
	__u32 slot;
	__u32 mode;		/* enum agentcg_window_mode: what it became */
};

AGENTCG_ASSERT_SIZE(agentcg_window, 40);
AGENTCG_ASSERT_SIZE(agentcg_launch_counts, 64 + 4 * AGENTCG_HIST_BUCKETS);
AGENTCG_ASSERT_SIZE(agentcg_launcher, 64);
AGENTCG_ASSERT_SIZE(agentcg_window_end, 16);

#endif /* _UAPI_AGENTCG_GPU_H */
