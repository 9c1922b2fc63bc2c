/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that belong together, and calls that come after others.
 *
 * A group is a name that calls of a session share.  A call may come after
 * calls and groups of its session that are there already; of a group it waits
 * for those that asked to begin before it did.  So what is waited for always
 * asked earlier, and no circle can be made.
 */
#ifndef _AGENTCG_GROUP_H
#define _AGENTCG_GROUP_H

#include <systemd/sd-json.h>

#include "notes.h"
#include "result.h"

struct call;
struct manager;
struct session;

#define AGENTCG_GROUP_MAX	33	/* bytes of a name, its end included */
#define AGENTCG_AFTER_MAX	8	/* what one call may come after */
#define AGENTCG_ENDED_MAX	32	/* calls that a session remembers */

struct after {
	size_t nr;
	struct {
		uint32_t number;	/* of the call tool-NUMBER; 0: a group */
		char group[AGENTCG_GROUP_MAX];
	} on[AGENTCG_AFTER_MAX];
};

/* The last calls that have ended, for those that come after them. */
struct ended_calls {
	size_t n;			/* ever; the newest is at (n - 1) % AGENTCG_ENDED_MAX */
	struct {
		uint32_t number;
		enum agentcg_outcome outcome;
		bool closed;		/* its client went away */
		char group[AGENTCG_GROUP_MAX];
	} calls[AGENTCG_ENDED_MAX];
};

bool agentcg_group_name_valid(const char *name);

/* -EINVAL: no array of names, or too many.  -ENOENT: *@unknown is none that @s knows. */
int agentcg_after_read(const struct session *s, sd_json_variant *names, struct after *ret, const char **unknown);

/* Whether something of it has not ended; @arrival: of the call that comes after it. */
bool agentcg_after_pending(const struct session *s, const struct after *after, uint64_t arrival);
/* Tells which of it did not end well. */
void agentcg_after_tell(const struct session *s, const struct after *after, struct notes *notes);

/*
 * Kills its calls, and answers those that wait: *@killed gets Killeds.  Calls that a connection holds
 * are left for that to end.  -ENOENT: no such group.  The session goes with its last call.
 */
int agentcg_group_end(struct session *s, const char *group, sd_json_variant **killed, uint32_t *cancelled);

/* Remembers how it ended. */
void agentcg_group_ended(const struct call *c);

#endif
