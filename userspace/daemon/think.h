/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Think time: while a model thinks, what its session does not touch is
 * reclaimed (idle.c decides how much).  Anonymous memory goes to swap, zram or
 * a slower NUMA node where there is one; else only page cache is dropped.
 */
#ifndef _AGENTCG_THINK_H
#define _AGENTCG_THINK_H

#include <stdint.h>
#include <systemd/sd-event.h>

struct manager;
struct session;

/* In the manager. */
struct think {
	sd_event_source *source;	/* NULL: there is no session */
	uint32_t next;			/* session to look at */
};

/* A tool call of @s has its slot now; or is about to lose it. */
void agentcg_think_busy(struct session *s);
void agentcg_think_free(struct session *s);

#endif
