/* SPDX-License-Identifier: GPL-2.0-only */
/* Those who called Watch, and what they are told. */
#ifndef _AGENTCG_WATCH_H
#define _AGENTCG_WATCH_H

#include "manager.h"

int agentcg_watch_add(struct manager *m, sd_varlink *link, uid_t uid);
void agentcg_watch_remove(struct manager *m, sd_varlink *link);

/* @event: a name of the interface's EventType.  Kills go to the log as well. */
_printf_(3, 4)
void agentcg_watch_tell(struct call *c, const char *event, const char *format, ...);

/* The same of a session, or of the pool: told to those who have a session, and to root. */
_printf_(3, 4)
void agentcg_watch_tell_session(struct session *s, const char *event, const char *format, ...);
_printf_(3, 4)
void agentcg_watch_tell_pool(struct manager *m, const char *event, const char *format, ...);
/* Of all sessions of @uid together, which use @usage. */
_printf_(5, 6)
void agentcg_watch_tell_user(struct manager *m, uid_t uid, uint64_t usage, const char *event, const char *format, ...);
/* Whether anybody is told of what belongs to @uid. */
bool agentcg_watch_wanted(const struct manager *m, uid_t uid);

#endif
