/* SPDX-License-Identifier: GPL-2.0-only */
/* How a call ends: waits for its last process, takes stock, removes the leaf. */
#ifndef _AGENTCG_END_H
#define _AGENTCG_END_H

#include "call.h"

/* cgroup.events of the leaf has changed. */
int agentcg_end_on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata);
/* Time held, the current hold included. */
uint64_t agentcg_end_held_usec(const struct agentcg_state *state);

#endif
