/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The ABI of the programs that follow what an attached process starts
 * (bpf/follow.bpf.c): what they and the daemon share.
 *
 * Protocol
 *
 *   The daemon fills a slot of "attachments" by the syscall program "attach",
 *   names the slot in the task storage "attached" of the process (by pidfd), and
 *   keeps spare leaves there by "give".  Each leaf is known to the module with
 *   its cgroup.procs first ("leaf").  The programs take a spare for each
 *   command and tell by a record of the ring buffer "starts".  Where there is no
 *   spare they ask for a leaf with a key; "give" with that key is the answer.
 *
 *   A ticket is 32 characters that the daemon puts into "tickets" with the
 *   leaf that they stand for; who execs agentcg with it as last argument has its
 *   parent moved there.  It is good once.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef _UAPI_AGENTCG_FOLLOW_H
#define _UAPI_AGENTCG_FOLLOW_H

#include "agentcg.h"

#define AGENTCG_MAX_ATTACHMENTS	256
#define AGENTCG_SPARES		4
#define AGENTCG_MAX_TICKETS	1024
#define AGENTCG_TICKET_LEN	32	/* of [0-9a-f] */
#define AGENTCG_ARGS_MAX	512

/* In place of a leaf: it is asked for. */
#define AGENTCG_LEAF_WANTED	(~0ULL)

enum agentcg_follow_kind {
	/* What it forks between two reads of its input is one command. */
	AGENTCG_FOLLOW_SHELL		= 1,
	/* Every program that is started in its group is a command. */
	AGENTCG_FOLLOW_FRAMEWORK	= 2,
};

/* Written by the programs, those that the daemon runs among them. */
struct agentcg_attachment {
	__u64 home;		/* cgroup that the process lives in; 0: free */
	__u64 open;		/* leaf of the shell's command; 0: none runs; home: it got none */
	__u64 serial;		/* commands so far */
	__u64 spares[AGENTCG_SPARES];
	__u32 kind;		/* enum agentcg_follow_kind */
	__u32 unplaced;		/* tasks that should have been placed and were not */
};

/* Names a command for good: its slot and its number there. */
static inline __u64 agentcg_follow_key(__u32 slot, __u64 serial)
{
	return (__u64)slot << 48 | (serial & ((1ULL << 48) - 1));
}

/* Of the process, in its task storage. */
struct agentcg_attached {
	__u32 slot;
	__u32 pad;
};

/* Written by the daemon before it loads the programs. */
struct agentcg_follow_config {
	__u64 exe_ino;		/* of agentcg itself, which is never a command */
	__u64 exe_dev;		/* as the kernel numbers it: major << 20 | minor */
};

struct agentcg_ticket_name {
	char text[AGENTCG_TICKET_LEN];
};

struct agentcg_ticket {
	__u64 leaf;
	__u64 expires;
	__u32 uid;		/* who may use it */
	__u32 pad;
};

enum agentcg_start_type {
	AGENTCG_START_TAKEN	= 1,	/* a command began in a spare leaf */
	AGENTCG_START_WANTED	= 2,	/* a command waits for a leaf with its key */
	AGENTCG_START_EXEC	= 3,	/* the first process of a leaf has a program */
	AGENTCG_START_DONE	= 4,	/* the shell reads its input again */
	AGENTCG_START_SHELL	= 5,	/* a shell without a script began in a leaf */
	AGENTCG_START_REDEEMED	= 6,	/* a ticket's leaf is in use */
	AGENTCG_START_OWN	= 7,	/* agentcg itself began in a leaf */
};

/* One record of the ring buffer. */
struct agentcg_start {
	__u64 time;
	__u64 leaf;
	__u64 key;
	__u32 type;		/* enum agentcg_start_type */
	__u32 slot;
	__u32 pid;		/* of the process, as the host numbers it */
	__u32 args_size;	/* of args: as in /proc/PID/cmdline, cut */
	char args[AGENTCG_ARGS_MAX];
};

/* Context of the syscall programs; result: negative errno. */
struct agentcg_follow_arg {
	__u64 leaf;		/* attach: the home; 0: the slot is freed */
	__u64 key;		/* give: the answer to this; 0: as a spare */
	__u32 slot;
	__u32 kind;		/* attach */
	__u32 fd;		/* leaf: its cgroup.procs, open for writing */
	__s32 oom_score_adj;	/* leaf: the least of who is placed in it */
	__s64 result;
};

AGENTCG_ASSERT_SIZE(agentcg_attachment, 64);
AGENTCG_ASSERT_SIZE(agentcg_attached, 8);
AGENTCG_ASSERT_SIZE(agentcg_follow_config, 16);
AGENTCG_ASSERT_SIZE(agentcg_ticket_name, AGENTCG_TICKET_LEN);
AGENTCG_ASSERT_SIZE(agentcg_ticket, 24);
AGENTCG_ASSERT_SIZE(agentcg_start, 40 + AGENTCG_ARGS_MAX);
AGENTCG_ASSERT_SIZE(agentcg_follow_arg, 40);

#endif /* _UAPI_AGENTCG_FOLLOW_H */
