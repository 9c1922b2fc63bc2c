/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loads the CPU scheduler in a process of its own: the kernel looks at the
 * program for a second or more, and the daemon serves meanwhile.  What is loaded
 * is pinned, so nothing but the outcome comes back.
 */
#ifndef _AGENTCG_LOADER_H
#define _AGENTCG_LOADER_H

#include <systemd/sd-event.h>

#include "util.h"

struct loader;

/* @error: 0 or as agentcg_cpu_load(), with a sentence in @why. */
typedef void (*agentcg_loader_done_t)(int error, const char *why, void *userdata);

int agentcg_loader_start(struct loader **ret, sd_event *event, agentcg_loader_done_t done, void *userdata);
/* Forgets the outcome; the process goes on, but not longer than the daemon. */
struct loader *agentcg_loader_free(struct loader *l);

#endif
