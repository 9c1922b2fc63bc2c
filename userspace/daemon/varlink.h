/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface io.agentcg.  Who a client is comes from its socket, never from
 * what it says.  Methods check and translate; the work is in session.c, call.c.
 */
#ifndef _AGENTCG_VARLINK_H
#define _AGENTCG_VARLINK_H

#include "grant.h"
#include "manager.h"

int agentcg_varlink_listen(struct manager *m, const char *socket);

/* ---- shared by the files with the methods ------------------------------- */

#define METHOD(name)								\
	int agentcg_method_##name(sd_varlink *link, sd_json_variant *parameters,	\
				  sd_varlink_method_flags_t flags, void *userdata)

METHOD(open_session);
METHOD(close_session);
METHOD(end_group);
METHOD(get_results);
METHOD(begin_call);
METHOD(attach_process);
METHOD(adjust_call);
METHOD(end_call);
METHOD(claim_call);
METHOD(release);
METHOD(attach_session);
METHOD(create_ticket);
METHOD(declare_intent);
METHOD(get_scheduler);
METHOD(get_history);
METHOD(set_thread_class);
/* Of io.agentcg.gpu: gpu/method-gpu.c. */
METHOD(start_worker);
METHOD(attach_worker);
METHOD(adjust_worker);
METHOD(end_worker);
METHOD(get_workers);
METHOD(bind_session);
METHOD(unbind_session);
METHOD(watch_workers);

/* A number that may be absent or null: then *userdata keeps its value. */
int agentcg_dispatch_u64(const char *name, sd_json_variant *v, sd_json_dispatch_flags_t flags,
			 void *userdata);
int agentcg_dispatch_priority(const char *name, sd_json_variant *v,
			      sd_json_dispatch_flags_t flags, void *userdata);
int agentcg_dispatch_bool(const char *name, sd_json_variant *v, sd_json_dispatch_flags_t flags,
			  void *userdata);

/*
 * The session to run in, made if need be; NULL: the error is sent, *ret tells.
 * One that is made for a call ranks in the pool as the call does.
 */
struct session *agentcg_method_session(sd_varlink *link, struct manager *m, const char *name, uid_t uid,
				       uint32_t priority, struct notes *notes, int *ret);
/* Reads the intent into the wish.  false: the error is sent, *ret tells. */
bool agentcg_method_intent(sd_varlink *link, sd_json_variant *v, struct call_wish *wish, int *ret);

/* io.agentcg.InvalidIntent: @field of the intent is wrong, @why. */
int agentcg_reply_intent(sd_varlink *link, const char *field, const char *why);
int agentcg_reply_denied(sd_varlink *link, const char *reason);
int agentcg_reply_limit(sd_varlink *link, const char *what, uint64_t limit);
int agentcg_reply_no_session(sd_varlink *link, const char *name);
int agentcg_reply_no_call(sd_varlink *link, const char *call);

#endif
