/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that feed a GPU run before all others (the scheduler's GPU class): known
 * by their engine and name, or because the probe saw them launch.
 */
#ifndef _AGENTCG_FEED_H
#define _AGENTCG_FEED_H

#include "worker.h"

/* Finds those that came; all anew if the scheduler did. */
void agentcg_feed_look(struct worker *w);
/* One that launches work on the GPU. */
void agentcg_feed_add(struct worker *w, pid_t tid);
unsigned int agentcg_feed_count(const struct worker *w);
/* Before the worker goes: those that go on are like all others. */
void agentcg_feed_done(struct worker *w);

#endif
