/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Intents that were declared before their call: a model says by one tool what
 * the next one needs, and who begins the call (a hook, a shell prefix) knows
 * nothing of it.  Kept for ten minutes, in memory only, and used once.
 *
 * By owner and name of a session, and not in the session: one that is made for
 * a call is gone between two of them.  Pure: the caller has the clock.
 */
#ifndef _AGENTCG_DECLARE_H
#define _AGENTCG_DECLARE_H

#include <stddef.h>
#include <sys/types.h>

#include "intent.h"
#include "kind.h"

#define AGENTCG_DECLARED_USEC		(600 * USEC_PER_SEC)
/* Of one session: one for whatever comes next, and by command. */
#define AGENTCG_DECLARED_KINDS		4
/* Of one user, 300 bytes each; beyond it the oldest of that user is forgotten. */
#define AGENTCG_DECLARED_PER_UID	256
#define AGENTCG_DECLARED_MAX		(4 * AGENTCG_DECLARED_PER_UID)

struct declared;

struct declarations {
	struct declared *list;
	size_t nr;
};

/*
 * Remembers @intent for the next call of @kind ("": of any) in that session, in
 * place of what was declared for it before; one that says nothing takes that
 * back.  @now_usec is of CLOCK_BOOTTIME.
 * -ENOSPC: too many users have declared something; -ENOMEM.
 */
int agentcg_declare(struct declarations *d, uid_t uid, const char *session, const char *kind,
		    const struct agentcg_intent *intent, uint64_t now_usec);

/*
 * For a call that begins: puts what was declared for its kind, else for any,
 * into those fields of @intent that are not said, and forgets it.  An intent
 * that says itself what the call needs is left alone (and so is what was
 * declared): only timeout, on_pressure and detach, which frameworks say of
 * every call, are no such word.  Whether there was something.
 */
bool agentcg_declare_take(struct declarations *d, uid_t uid, const char *session, const char *kind,
			  struct agentcg_intent *intent, uint64_t now_usec);

/* The session is closed. */
void agentcg_declare_forget(struct declarations *d, uid_t uid, const char *session);

void agentcg_declare_done(struct declarations *d);

#endif
