/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The socket: who comes in, and when.  A user who has used up what the daemon
 * has for him (peer.h) may connect, but is kept outside until he has some again:
 * to be let in costs far more than to be asked who one is.
 */
#ifndef _AGENTCG_DOOR_H
#define _AGENTCG_DOOR_H

#include "manager.h"

/* What becomes of who is let in: @fd is taken over, or closed. */
typedef void (*agentcg_door_t)(struct manager *m, int fd);

/* Listens on @socket, for everybody. */
int agentcg_door_open(struct manager *m, const char *socket, agentcg_door_t enter);
void agentcg_door_close(struct manager *m);
/* Somebody's account has been filled: those who wait outside are looked at. */
void agentcg_door_look(struct manager *m);

#endif
