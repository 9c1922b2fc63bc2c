/* SPDX-License-Identifier: GPL-2.0-only */
/* A call that is to begin: what its client asked for, and what it would get now. */
#ifndef _AGENTCG_BEGIN_H
#define _AGENTCG_BEGIN_H

#include "call.h"
#include "predict.h"

struct begin {
	struct session *session;
	uid_t uid;			/* who asks; 0 has no quota of its own */
	bool wait;			/* rather than fail, or begin what can only be held */
	struct call_wish wish;
	sd_json_variant *command;	/* trimmed */
	sd_json_variant *sent;		/* as it came; NULL for one that has waited */
	char kind[AGENTCG_KIND_MAX];
	char group[AGENTCG_GROUP_MAX];	/* "": none */
	struct after after;
	uint64_t arrival;		/* by agentcg_admission_ask() */

	/* By agentcg_begin_decide(). */
	struct call_grant granted;
	struct prediction learned;
};

/* What it is granted as things are now, @waited_usec after it was asked for. */
void agentcg_begin_decide(struct begin *b, uint64_t waited_usec, struct notes *notes);

/* Makes the call and replies to @link.  Negative errno: that is to be the reply. */
int agentcg_begin_start(sd_varlink *link, const struct begin *b, uint64_t waited_usec, struct notes *notes);

#endif
