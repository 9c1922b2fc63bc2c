/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What earlier calls needed: rows in SQLite, which survive the daemon, for
 * predict.c.  Bounded per user and kind, per user, and in all: the oldest rows go.
 *
 * The file is in WAL mode with synchronous=NORMAL: a row that was added survives
 * a kill of the daemon at any moment; a crash of the machine may take the last
 * few with it, but nothing else.  A thread copies the log to the file; adding
 * waits for the disk only when the log begins anew, once in some hundred rows.
 *
 * History is never needed: every function takes a NULL handle and does nothing.
 */
#ifndef _AGENTCG_HISTORY_H
#define _AGENTCG_HISTORY_H

#include <sys/types.h>

#include "kind.h"
#include "predict.h"

#define AGENTCG_HISTORY_DIR	"/var/lib/agentcg"
#define AGENTCG_HISTORY_FILE	AGENTCG_HISTORY_DIR "/history.db"

struct history;

struct kind_name {
	char text[AGENTCG_KIND_MAX];
};

struct history_bounds {
	unsigned int per_kind;	/* rows of a user and kind */
	unsigned int per_user;	/* so that one user cannot push others' out */
	unsigned int all;
};

/* Some 250 bytes a row with its indexes: 16 MiB. */
#define AGENTCG_HISTORY_BOUNDS	{ .per_kind = 128, .per_user = 8192, .all = 65536 }

/*
 * Opens or makes the file; @bounds may be NULL.  0, or 1 if what was there was
 * damaged: it is now FILE.damaged, the history is empty, and @why
 * (AGENTCG_WHY_MAX bytes) says so.  -ENOTSUP if a newer agentcg wrote it (it is
 * left alone), or another negative errno, with a sentence in @why.
 */
int agentcg_history_open(const char *file, const struct history_bounds *bounds,
			 struct history **ret, char *why);
struct history *agentcg_history_close(struct history *h);

static inline void agentcg_history_closep(struct history **h)
{
	agentcg_history_close(*h);
}

/* One that is there already (id and time) is not added again.  -EUCLEAN: the file has been damaged; closing and opening begins anew. */
int agentcg_history_add(struct history *h, uid_t uid, const char *kind,
			const struct observation *o);

/*
 * The same, but on disk only, to be folded into the database later, which takes
 * a tenth of the time.  1: do fold; 0: it is in the database already.
 */
int agentcg_history_note(struct history *h, uid_t uid, const char *kind,
			 const struct observation *o);
/* All rows that were noted, in one transaction. */
int agentcg_history_fold(struct history *h);

/*
 * The newest rows of a user, newest first, at most @max; returns how many.
 * Family: of all kinds whose first word is that of @kind.
 */
int agentcg_history_read_kind(struct history *h, uid_t uid, const char *kind,
			      struct observation *out, size_t max);
int agentcg_history_read_family(struct history *h, uid_t uid, const char *kind,
				struct observation *out, size_t max);
int agentcg_history_read_user(struct history *h, uid_t uid, struct observation *out, size_t max);

/* The kinds that a user ran, those of the newest runs first, at most @max; returns how many. */
int agentcg_history_read_kinds(struct history *h, uid_t uid, struct kind_name *out, size_t max);

/* agentcg_predict_trust() of the user's newest declarations; 100 if they cannot be read. */
unsigned int agentcg_history_trust(struct history *h, uid_t uid);

#endif
