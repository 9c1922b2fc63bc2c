/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The newest rows of the history, in memory: what a call is granted is asked for
 * before each, and is mostly what was asked for just before.  Lists of a user's
 * rows, newest first, of as many queries as were asked last.
 */
#ifndef _AGENTCG_RECENT_H
#define _AGENTCG_RECENT_H

#include "kind.h"
#include "predict.h"

/* Lists that are kept, of some 5 KiB each. */
#define AGENTCG_RECENT_LISTS	64

/* What a list holds of a user's rows. */
enum recent_kind {
	AGENTCG_RECENT_OF_KIND,
	AGENTCG_RECENT_OF_FAMILY,
	AGENTCG_RECENT_ALL,
	AGENTCG_RECENT_DECLARED,
};

struct recent_list {
	bool used;
	enum recent_kind of;
	uid_t uid;
	char text[AGENTCG_KIND_MAX];	/* of kind, family; else "" */
	uint64_t asked;
	size_t n;
	struct observation runs[AGENTCG_OBSERVATIONS_MAX];
};

struct recent {
	uint64_t asked;
	struct recent_list lists[AGENTCG_RECENT_LISTS];
};

/* NULL: it is not kept. */
const struct recent_list *agentcg_recent_find(struct recent *r, enum recent_kind of, uid_t uid, const char *text);
/* A list to be filled in, in place of that which was asked for longest ago. */
struct recent_list *agentcg_recent_make(struct recent *r, enum recent_kind of, uid_t uid, const char *text);
/* A new row, into all lists that it belongs to. */
void agentcg_recent_add(struct recent *r, uid_t uid, const char *kind, const struct observation *o);

#endif
