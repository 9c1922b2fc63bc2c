/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who of those that wait to begin goes next.  Pure: entries, a clock and a
 * function that says what an entry lacks in; an index and a verdict out.
 *
 * The order is that of the kernel's policy, the priority of the session, then
 * the call's own; among equals the least slack, then arrival.  Slack is the
 * deadline less the duration that is expected: as both run down together, the
 * time by which an entry has to begin says the same and does not change.
 *
 * One that does not fit lets others that do pass it (backfill, as batch
 * schedulers do), but only for a while: from the first that passed it on for
 * pass_usec.  Then what it waits for is kept for it, so that small ones cannot
 * starve a large one.  A session's budget and its calls are kept from that
 * session's other entries, a user's calls from that user's, the pool from all.
 *
 * Nobody waits for ever: after timeout_usec an entry that lacks memory begins
 * without (the kernel's policy orders it then), one that lacks anything else
 * is refused.  What it comes after is no part of that time.
 */
#ifndef _AGENTCG_QUEUE_H
#define _AGENTCG_QUEUE_H

#include <sys/types.h>

#include "util.h"

/* What an entry lacks; what is named first counts. */
enum agentcg_lack {
	AGENTCG_LACKS_NOTHING,
	AGENTCG_LACKS_AFTER,		/* calls that it comes after have not ended */
	AGENTCG_LACKS_SESSION_CALLS,	/* its session has as many calls as it may */
	AGENTCG_LACKS_USER_CALLS,
	AGENTCG_LACKS_SLOTS,		/* the machine has as many calls as there can be */
	AGENTCG_LACKS_BUDGET,		/* memory, of its session's budget */
	AGENTCG_LACKS_USER_BUDGET,	/* memory, of its user's budget */
	AGENTCG_LACKS_POOL,		/* memory, of the pool */
};

/* Never: no deadline, or a duration that nobody knows. */
#define AGENTCG_QUEUE_NEVER	UINT64_MAX

/* Times are usec of one clock that does not go back. */
struct queue_entry {
	uint32_t session_priority;	/* higher goes first */
	uint32_t priority;		/* likewise */
	uint64_t begin_by_usec;		/* to be done in time; or AGENTCG_QUEUE_NEVER */
	uint64_t arrival;		/* a number; each has its own */
	uint32_t session;		/* whose budget and quota it needs */
	uid_t uid;
	uint64_t since_usec;		/* when it began to wait */
	uint64_t passed_usec;		/* when the first passed it; 0: none has */
	enum agentcg_lack lack;		/* at the last look */
};

struct queue_rules {
	uint64_t timeout_usec;
	uint64_t pass_usec;
	size_t depth;	/* behind so many that lack memory nobody is looked at: looks cost */
};

/* As batch schedulers have it: long enough to fill holes, short against the timeout. */
#define AGENTCG_QUEUE_PASS_USEC		(10 * USEC_PER_SEC)
#define AGENTCG_QUEUE_DEPTH		64

enum queue_verdict {
	AGENTCG_QUEUE_WAIT,
	AGENTCG_QUEUE_BEGIN,		/* it lacks nothing */
	AGENTCG_QUEUE_BEGIN_ANYWAY,	/* it has waited long enough for memory */
	AGENTCG_QUEUE_REFUSE,		/* it has waited long enough for something else */
};

typedef enum agentcg_lack (*queue_look_t)(const struct queue_entry *e, void *userdata);

/* < 0: @a goes first. */
int agentcg_queue_compare(const struct queue_entry *a, const struct queue_entry *b);

/*
 * The one that is to go now, of @list in the order of agentcg_queue_compare();
 * @nr and AGENTCG_QUEUE_WAIT if all are to wait.  Notes in the entries what
 * they lack, and that they were passed.  Whoever calls takes the one out and
 * calls again.
 */
size_t agentcg_queue_next(struct queue_entry *const *list, size_t nr, const struct queue_rules *rules,
			  uint64_t now_usec, queue_look_t look, void *userdata, enum queue_verdict *ret);

/* The next time at which one has waited long enough; AGENTCG_QUEUE_NEVER: none will. */
uint64_t agentcg_queue_due(struct queue_entry *const *list, size_t nr, const struct queue_rules *rules);

#endif
