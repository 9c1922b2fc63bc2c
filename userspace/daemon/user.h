/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the sessions of a user may use together ([User] Budget).
 *
 * The kernel's policy knows budgets of sessions.  So each session of such a user is
 * given what the others leave: the budget less what they use, and less what those
 * ranked above it requested and do not use yet.  That is looked at every now and then,
 * and the session ranked highest is not held by it, so the sum is kept to within
 * what that one grows by; no session has a memory.max above its user's budget.
 */
#ifndef _AGENTCG_USER_H
#define _AGENTCG_USER_H

#include "util.h"

struct manager;
struct session;

/* The budget that is in force for the calls of @s; AGENTCG_NONE: the pool's. */
uint64_t agentcg_user_limit(const struct session *s);

/* The policy is read: looks from now on, if it has such budgets. */
void agentcg_user_start(struct manager *m);
void agentcg_user_free(struct manager *m);

#endif
