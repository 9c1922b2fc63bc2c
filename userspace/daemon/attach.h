/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving a process into a call for a client that may not do so itself. */
#ifndef _AGENTCG_ATTACH_H
#define _AGENTCG_ATTACH_H

#include "util.h"

struct call;

/* @uid: of the client.  -EPERM with the reason in @why, -ESRCH: it is gone. */
int agentcg_attach(struct call *c, int pidfd, uid_t uid, char *why);

#endif
