/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process that a session is tied to, as a rule the agent framework: when it
 * ends, the session closes, however it ended and whether or not anybody says so.
 */
#ifndef _AGENTCG_ANCHOR_H
#define _AGENTCG_ANCHOR_H

#include <systemd/sd-event.h>

#include "util.h"

struct session;

struct anchor {
	uint32_t pid;		/* 0: tied to none */
	uint64_t inode;		/* of its pidfd, never given twice until the machine boots again */
	sd_event_source *ended;	/* owns the pidfd */
};

/* Ties @s to the process of @pidfd, which is dup'ed; @pid is its number. */
int agentcg_anchor_set(struct session *s, int pidfd, pid_t pid);
/* To the process that its record names; the session closes soon if that is gone. */
int agentcg_anchor_restore(struct session *s);
void agentcg_anchor_drop(struct session *s);

#endif
