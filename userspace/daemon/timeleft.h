/* SPDX-License-Identifier: GPL-2.0-only */
/* The time that a session has left, and what of it a call gets (timebudget.h). */
#ifndef _AGENTCG_TIMELEFT_H
#define _AGENTCG_TIMELEFT_H

#include "begin.h"
#include "session.h"
#include "timebudget.h"

/* usec from now on; AGENTCG_NONE: it has no end. */
uint64_t agentcg_time_left(const struct session *s);

/* From now on it has @total usec (AGENTCG_NONE: no end) for @calls calls. */
void agentcg_time_set(struct session *s, uint64_t total, uint32_t calls);

/* Cuts the timeout of a call that is to begin to what it gets. */
void agentcg_time_begin(struct begin *b, struct notes *notes);
/* The same of one that has run for @age usec and wishes something else. */
void agentcg_time_adjust(const struct session *s, uint64_t age, struct call_grant *granted, struct notes *notes);

/* One less is to come; it took @usec. */
void agentcg_time_begun(struct session *s);
void agentcg_time_ended(struct session *s, uint64_t usec);

#endif
