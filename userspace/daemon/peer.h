/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is connected, and what they cost: all connections of a user together have
 * a part of the daemon's time.  Who has used it up is not read from for a while,
 * so that a flood waits where it came from and the others do not.
 */
#ifndef _AGENTCG_PEER_H
#define _AGENTCG_PEER_H

#include "manager.h"

/* Of events: who has used much comes after the door, and that after who has not. */
#define AGENTCG_PRIORITY_DOOR	(SD_EVENT_PRIORITY_NORMAL + 5)
#define AGENTCG_PRIORITY_LATE	(SD_EVENT_PRIORITY_NORMAL + 10)

/* False: it has used up what it has; agentcg_door_look() will be called. */
bool agentcg_peer_may_enter(struct manager *m, uid_t uid);
/* What else the daemon did for it: usec of CPU time. */
void agentcg_peer_spend(struct manager *m, uid_t uid, uint64_t usec);

/* The connection is served by us from now on, not by the library.  Negative errno: it is as it was. */
int agentcg_peer_connect(struct manager *m, sd_varlink *link);
/* Before the link is freed. */
void agentcg_peer_disconnect(struct manager *m, sd_varlink *link);
/* All of them. */
void agentcg_peer_free_all(struct manager *m);

#endif
