/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rows on their way into the history: a file that one write appends to, since a
 * transaction of the database takes ten times as long, and one for many rows
 * hardly longer.  What is written survives the daemon; the next one finds it.
 */
#ifndef _AGENTCG_JOURNAL_H
#define _AGENTCG_JOURNAL_H

#include "kind.h"
#include "predict.h"

/* So many rows it takes; then they must go on. */
#define AGENTCG_JOURNAL_ROWS	256

struct journal_row {
	uint32_t check;			/* of what follows: half a row is none */
	uint32_t uid;
	char kind[AGENTCG_KIND_MAX];
	struct observation o;
};

struct journal;

/* Opens or makes the file, readable by root alone; what is in it is pending.  Negative errno. */
int agentcg_journal_open(const char *file, struct journal **ret);
struct journal *agentcg_journal_close(struct journal *j);
/* -ENOBUFS: it is full; another negative errno: it could not be written, and is as before. */
int agentcg_journal_add(struct journal *j, uid_t uid, const char *kind, const struct observation *o);
/* What is pending, oldest first; how many. */
size_t agentcg_journal_rows(const struct journal *j, const struct journal_row **ret);
/* They are elsewhere now. */
int agentcg_journal_empty(struct journal *j);

#endif
