/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Making a leaf and removing it takes the kernel longer than all else that a call
 * costs, and no client needs to wait for either: a session that begins calls has
 * the leaf of the next one made beforehand, and the leaf of a call that has ended
 * is removed when its client has the answer.  Neither has a record (record.c), so
 * whoever comes after a daemon that was killed takes it for half made, and removes it.
 */
#ifndef _AGENTCG_LATER_H
#define _AGENTCG_LATER_H

#include <systemd/sd-event.h>

#include "util.h"

struct call;
struct manager;
struct session;

#define AGENTCG_READY_MAX	128	/* leaves for calls to come; some 50 KiB of the kernel's each */
#define AGENTCG_WANTED_MAX	16

struct later {
	sd_event_source *timer;
	bool armed;
	struct call *first, *last;	/* that have ended, their leaves to be removed */
	uint32_t nr_ended;
	struct call *ready[AGENTCG_READY_MAX];	/* one of a session, which knows it, too */
	uint32_t nr_ready;
	struct session *wanted[AGENTCG_WANTED_MAX];	/* are to have one */
	uint32_t nr_wanted;
};

/* It is over, and its client told: frees its slot at once, the rest later. */
void agentcg_later_bury(struct call *c);
/* Some of the session are not removed yet; it is looked at again (agentcg_session_gc()) when they are. */
bool agentcg_later_pending(const struct session *s);
/* The policy's slots of those that have ended are needed, or what they requested. */
void agentcg_later_clear(struct manager *m);
/* All leaves of calls that ended are removed now: somebody looks. */
void agentcg_later_flush(struct manager *m);

/* Another call of the session is likely. */
void agentcg_later_want(struct session *s);
/* The leaf that was made for it, as a call that has not begun (call.c); or NULL. */
struct call *agentcg_later_take(struct session *s);

/* The session is to go: also what it has ready.  Once more when its group has. */
void agentcg_later_drop(struct session *s);
/* The daemon ends: leaves nothing behind. */
void agentcg_later_done(struct manager *m);

#endif
