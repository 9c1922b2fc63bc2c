/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving a process into a call for a client that may not do so itself. */
#ifndef _AGENTCG_ATTACH_H
#define _AGENTCG_ATTACH_H

#include <sys/types.h>

#include "call.h"
#include "util.h"

/*
 * The number of the process of @pidfd, which must be @uid's own (0: anybody's).
 * -EPERM with the reason in @why, -ESRCH: it is gone.
 */
int agentcg_attach_check(int pidfd, uid_t uid, pid_t *ret, char *why);

/* @uid: of the client.  -EPERM with the reason in @why, -ESRCH: it is gone. */
int agentcg_attach(struct call *c, int pidfd, uid_t uid, char *why);

/*
 * The tool call whose leaf the process of @pidfd is in, however deep: "SESSION/tool-N" as its group is named, whether
 * the daemon has such a call or not.  "": in none; the agent's leaf is none.  -ESRCH: the process is gone.
 */
int agentcg_attach_whence(const struct manager *m, int pidfd, char name[AGENTCG_CALL_NAME_MAX]);

#endif
