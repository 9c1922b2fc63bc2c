/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving a process into a call for a client that may not do so itself. */
#ifndef _AGENTCG_ATTACH_H
#define _AGENTCG_ATTACH_H

#include <sys/types.h>

#include "util.h"

struct call;

/*
 * The number of the process of @pidfd, which must be @uid's own (0: anybody's).
 * -EPERM with the reason in @why, -ESRCH: it is gone.
 */
int agentcg_attach_check(int pidfd, uid_t uid, pid_t *ret, char *why);

/* @uid: of the client.  -EPERM with the reason in @why, -ESRCH: it is gone. */
int agentcg_attach(struct call *c, int pidfd, uid_t uid, char *why);

#endif
