/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Agents that try the same again and again.  Pure: a few commands of a session
 * are remembered by a digest, how often in a row they were begun, and how often
 * in a row they ended in the same bad way; more are not worth their memory, and
 * who is forgotten begins anew.
 *
 * A loop is the third run after two that ended alike within the window, of the
 * same text or of the same kind (pytest a.py, pytest b.py); or the same text
 * five times with nothing else between.  Who asks for more than what was not
 * enough has been told, and is in no loop.
 */
#ifndef _AGENTCG_HABIT_H
#define _AGENTCG_HABIT_H

#include "result.h"

#define AGENTCG_HABITS			16	/* remembered of a session */
#define AGENTCG_HABIT_WINDOW_USEC	(10 * 60 * USEC_PER_SEC)
#define AGENTCG_HABIT_BAD		2	/* ends alike before the run that is one too many */
#define AGENTCG_HABIT_ROW		5	/* begins of the same text in a row */

/* What the next run has to differ from, of one that ended badly. */
struct habit_end {
	enum agentcg_outcome outcome;
	uint64_t peak;			/* bytes */
	uint64_t memory_max;		/* UINT64_MAX: none */
	uint64_t timeout_usec;
	uint64_t pids_max;
	uint64_t request;
	uint64_t ceiling;		/* what it can get at most: policy, budget, pool */
};

struct habit {
	uint64_t digest;		/* 0: free */
	uint64_t used_usec;		/* CLOCK_BOOTTIME */
	uint64_t first_bad_usec;
	uint32_t row;			/* begins with nothing else between */
	uint32_t bad;			/* ends alike, one after the other */
	struct habit_end end;		/* the last of them */
};

struct habits {
	struct habit list[AGENTCG_HABITS];
	uint64_t last;			/* digest of the text that was begun last */
};

/*
 * The habits of sessions, which outlive them: one that is made for a call goes
 * with it, and the next call makes one of the same name.  A user who has many
 * sessions has its own oldest forgotten, not others'.
 */
#define AGENTCG_HABIT_SESSIONS		256
#define AGENTCG_HABIT_SESSIONS_PER_UID	64

struct habit_store {
	struct habit_session {
		uint64_t name;		/* digest; 0: free */
		uint64_t used_usec;
		unsigned int uid;
		struct habits habits;
	} list[AGENTCG_HABIT_SESSIONS];
};

/* Those of the session with this digest of its name; empty ones if it is new. */
struct habits *agentcg_habit_session(struct habit_store *store, uint64_t now, unsigned int uid, uint64_t name);

/* A command's texts and its kind have digests of their own; @seed 0 to begin with. */
uint64_t agentcg_habit_digest(uint64_t seed, const char *text);

/* What a run is about to get. */
struct habit_begin {
	uint64_t text;			/* digests; 0: not known */
	uint64_t kind;
	uint64_t memory_max;
	uint64_t timeout_usec;
	uint64_t pids_max;
	uint64_t request;
};

struct habit_loop {
	uint32_t run;			/* this is the so-many-th; 0: no loop */
	bool same_text;			/* else the same kind */
	uint64_t since_usec;		/* how long ago the first of them ended */
	const struct habit_end *end;	/* how they ended; NULL: they only repeat */
};

/* A run begins: says if it is one too many. */
void agentcg_habit_begin(struct habits *h, uint64_t now, const struct habit_begin *b, struct habit_loop *ret);
/* A run has ended: how many ended so in a row now, this one included; 0: it did not end badly. */
uint32_t agentcg_habit_ended(struct habits *h, uint64_t now, uint64_t text, uint64_t kind,
			     const struct habit_end *end);

/* What is told of a loop: @name is the kind. */
void agentcg_habit_tell(const struct habit_loop *loop, const char *name, char *text, size_t size);

#endif
