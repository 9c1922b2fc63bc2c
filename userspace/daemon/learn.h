/* SPDX-License-Identifier: GPL-2.0-only */
/* What a call will probably need, from what earlier ones did; and what it did need. */
#ifndef _AGENTCG_LEARN_H
#define _AGENTCG_LEARN_H

#include "call.h"
#include "predict.h"

/* Opens the history @file ("": none); without one all goes on, with the policy's requests. */
void agentcg_learn_open(struct manager *m, const char *file);

/*
 * Puts into @wish what the history knows better than who asks: what was not
 * asked for, and what was asked for by users who were often wrong.  What it
 * says is in @ret, whose text explains the request.
 */
void agentcg_learn_wish(struct session *s, const char *kind, struct call_wish *wish,
			struct prediction *ret);

/* Remembers what @c needed; once, though the daemon may be killed on the way. */
void agentcg_learn_run(struct call *c);

#endif
