/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon remembers of a session or call in the xattr of its group,
 * as one JSON object, so that a restarted daemon needs nothing else.  A group
 * without it was half-made when a daemon was killed.
 */
#ifndef _AGENTCG_RECORD_H
#define _AGENTCG_RECORD_H

struct call;
struct session;

int agentcg_record_save_session(const struct session *s);
int agentcg_record_load_session(struct session *s);	/* needs ->fd */
int agentcg_record_save_call(const struct call *c);
/* Without it the leaf is nobody's, and to be removed. */
void agentcg_record_drop_call(const struct call *c);
int agentcg_record_load_call(struct call *c);		/* needs ->fd */

#endif
