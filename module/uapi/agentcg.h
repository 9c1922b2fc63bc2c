/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The one ABI of agentcg: what the module, the BPF policy and user space share.
 *
 *   module  <-> policy   struct agentcg_ops (a struct_ops type) and the kfuncs
 *                        declared in bpf/kfuncs.bpf.h
 *   policy  <-> daemon   the maps below, pinned in bpffs
 *
 * Protocol between daemon and policy
 *
 *   The daemon writes "pool" (one), "sessions" and "calls" (arrays indexed by
 *   slot; "call_slots" finds the slot of a cgroup id).  The policy writes
 *   "states" (one per call slot), "counters" and the ring buffer "events".
 *   Nobody writes what the other owns.  A slot is free when its cgroup_id is 0;
 *   the daemon writes cgroup_id last when it fills a slot and first when it
 *   frees one, so that the policy never acts on a half-written slot.
 *
 *   Two syscall programs change state on the daemon's behalf: "adopt" makes
 *   the module know a cgroup and arms its first gate, "release" ends its holds.
 *   Both take struct agentcg_arg as context.
 *
 * All sizes are bytes, all times nanoseconds unless the name says otherwise.
 * Ids of cgroups are those of the kernel (kernfs ids, st_ino of the directory).
 */
#ifndef _UAPI_AGENTCG_H
#define _UAPI_AGENTCG_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#ifndef __KERNEL__
#include <stdbool.h>
#endif
#endif

#define AGENTCG_ABI_VERSION	1

#define AGENTCG_NAME_LEN	16
#define AGENTCG_MAX_SESSIONS	4096
#define AGENTCG_MAX_CALLS	4096

/* An open gate: the group's own memory.high is back in force. */
#define AGENTCG_GATE_OPEN	(~0ULL)

/* The longest that one task is held by one decision; the policy asks again. */
#define AGENTCG_MAX_HOLD_MS	60000U

/* ---- module <-> policy -------------------------------------------------- */

enum agentcg_ops_flags {
	/* Held time counts as a memory stall in PSI (systemd-oomd acts on it). */
	AGENTCG_OPS_PSI		= 1U << 0,
};

struct mem_cgroup;

/*
 * A policy for the subtree below the cgroup @cgroup_id (itself included).  Of
 * several attached policies that of the nearest ancestor decides.  The
 * callbacks have the shape of the memcg hooks that have been proposed for the
 * kernel itself, so that a policy can move there.  None may sleep.
 *
 * @get_high_delay_ms: a task of @memcg charged memory while @memcg or an
 *	ancestor was over memory.high; how long it is held on its way back to
 *	user mode, in ms, 0 for not at all.
 * @below_low, @below_min: whether @memcg is protected from reclaim as if its
 *	usage were below memory.low or memory.min.
 */
struct agentcg_ops {
	__u64 cgroup_id;
	__u32 flags;
	__u32 pad;
	unsigned int (*get_high_delay_ms)(struct mem_cgroup *memcg);
	bool (*below_low)(struct mem_cgroup *memcg);
	bool (*below_min)(struct mem_cgroup *memcg);
	char name[AGENTCG_NAME_LEN];
};

/* Why a hold ended (tracepoint agentcg:hold_end). */
enum agentcg_hold_end {
	AGENTCG_END_DEADLINE	= 0,	/* the whole delay has been slept */
	AGENTCG_END_RELEASED	= 1,	/* kfunc agentcg_release() */
	AGENTCG_END_SIGNAL	= 2,	/* signal, freezer, ptrace or kill */
	AGENTCG_END_DETACHED	= 3,	/* the policy or the module went away */
};

/* ---- policy <-> daemon -------------------------------------------------- */

/* Written by the daemon. */
struct agentcg_pool {
	__u64 cgroup_id;
	__u64 limit;		/* bytes that all sessions may use together */
	__u64 reserve;		/* headroom that is always kept */
	__u64 throttle;		/* width of the band above the hold threshold
				 * in which charges are slowed, bytes
				 */
	__u64 step_min;		/* a call asks again after growing by a step; */
	__u64 step_max;		/* these bound it, bytes */
	__u32 hold_ms;		/* deadline of an unbroken hold of a call */
	__u32 throttle_ms;	/* longest delay of one batch when slowed */
	__u32 expired_ms;	/* delay of one batch once the deadline passed */
	__u32 nr_sessions;	/* slots in use: all used ones are below this */
	__u32 nr_calls;
	__u32 pad;
};

/*
 * Ranks order sessions in the pool, and calls in a session; the lower rank
 * is the more important one and is served first.  Two ranks are never equal:
 * priority in the upper half, order of arrival in the lower.
 */
static inline __u64 agentcg_rank(__u32 priority, __u32 arrival)
{
	return ((__u64)(~priority) << 32) | arrival;
}

/* Written by the daemon. */
struct agentcg_session {
	__u64 cgroup_id;
	__u64 rank;
	__u64 budget;		/* bytes the session may use, ~0 for the pool's */
	__u64 reserve;		/* bytes kept for it even while it is idle */
	__u64 requested;	/* sum of the requests of its live calls */
	__u32 nr_calls;		/* live calls, the agent's own leaf among them */
	__u32 flags;		/* enum agentcg_session_flags */
};

enum agentcg_session_flags {
	/*
	 * Its budget is what its user's other sessions leave of the user's, and some of
	 * those are ranked above: its most important call is held, too, when that is used.
	 */
	AGENTCG_SESSION_YIELDS	= 1U << 0,
};

enum agentcg_call_flags {
	/* The agent framework itself: never held, always protected. */
	AGENTCG_CALL_AGENT	= 1U << 0,
};

/* Written by the daemon. */
struct agentcg_call {
	__u64 cgroup_id;
	__u64 rank;		/* in its session */
	__u64 request;		/* bytes it is expected to need */
	__u32 session;		/* slot */
	__u32 flags;		/* enum agentcg_call_flags */
};

enum agentcg_phase {
	AGENTCG_RUNNING		= 0,
	AGENTCG_HELD		= 1,
	AGENTCG_EXPIRED		= 2,	/* hold deadline passed; next rung's turn */
};

/* Written by the policy; zeroed by the daemon before it fills a call slot. */
struct agentcg_state {
	__u64 usage;		/* at the last decision */
	__u64 gate;		/* where the next decision is due */
	__u64 held_since;	/* CLOCK_MONOTONIC, 0 when not held */
	__u64 held_ns;		/* sum of the holds that ended */
	__u32 phase;		/* enum agentcg_phase */
	__u32 holds;		/* hold episodes */
	__u32 throttles;	/* delayed batches */
	__u32 decisions;
};

enum agentcg_counter {
	AGENTCG_CNT_DECISIONS,	/* charge events decided on */
	AGENTCG_CNT_HOLDS,
	AGENTCG_CNT_RELEASES,
	AGENTCG_CNT_EXPIRED,
	AGENTCG_CNT_THROTTLES,
	AGENTCG_CNT_PROTECTED,
	AGENTCG_CNT_EVENTS_LOST,
	AGENTCG_NR_COUNTERS
};

enum agentcg_event_type {
	AGENTCG_EV_HOLD		= 1,
	AGENTCG_EV_RELEASE	= 2,
	AGENTCG_EV_EXPIRED	= 3,
};

/* One record of the ring buffer. */
struct agentcg_event {
	__u64 time;		/* CLOCK_MONOTONIC */
	__u64 cgroup_id;	/* of the call */
	__u64 usage;		/* of the call */
	__u64 headroom;		/* of the pool */
	__u64 held_ns;		/* of this episode; 0 for AGENTCG_EV_HOLD */
	__u32 type;		/* enum agentcg_event_type */
	__u32 slot;
};

/* Context of the syscall programs "adopt" and "release". */
struct agentcg_arg {
	__u64 cgroup_id;
	__u64 gate;		/* adopt: bytes, AGENTCG_GATE_OPEN for none */
	__s64 result;		/* release: tasks woken; negative errno */
};

#define AGENTCG_ASSERT_SIZE(type, size) \
	_Static_assert(sizeof(struct type) == (size), "ABI: struct " #type)

AGENTCG_ASSERT_SIZE(agentcg_ops, 56);
AGENTCG_ASSERT_SIZE(agentcg_pool, 72);
AGENTCG_ASSERT_SIZE(agentcg_session, 48);
AGENTCG_ASSERT_SIZE(agentcg_call, 32);
AGENTCG_ASSERT_SIZE(agentcg_state, 48);
AGENTCG_ASSERT_SIZE(agentcg_event, 48);
AGENTCG_ASSERT_SIZE(agentcg_arg, 24);

#endif /* _UAPI_AGENTCG_H */
