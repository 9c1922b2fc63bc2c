/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that cannot be granted now wait here and their BeginCall is answered
 * later; queue.h decides whose turn it is.  A waiter is gone with its
 * connection or its session; a daemon that is restarted knows nothing of those
 * before, and their clients ask again.
 *
 * What a call lacks of memory is what the kernel's policy would hold it for
 * (bpf/decide.h): a call lacks it while the headroom, less the reserve and less
 * what those ranked above have requested and do not use yet, is smaller than
 * its request.  One that nobody is ranked above is never held, and never waits.
 * The agents themselves count with what they use, and wait for nothing.
 */
#ifndef _AGENTCG_ADMISSION_H
#define _AGENTCG_ADMISSION_H

#include "begin.h"
#include "queue.h"

/* What a call lacks to begin. */
struct shortage {
	enum agentcg_lack lack;
	const char *what;	/* for LimitExceeded; NULL: memory */
	uint64_t limit;
	uint32_t before;	/* calls that run, ranked above */
	uint64_t before_bytes;	/* that they request */
};

int agentcg_admission_new(struct manager *m, struct admission **ret);
struct admission *agentcg_admission_free(struct admission *a);

/*
 * 0: @b may begin.  1: it waits, its client will hear of it; return *@ret, 0.
 * 2: it was refused by an error on @link, return *@ret.  Or negative errno.
 */
int agentcg_admission_ask(sd_varlink *link, struct begin *b, int *ret);

/* Whether a call of @group in @s waits that asked before @arrival. */
bool agentcg_admission_waits(const struct session *s, const char *group, uint64_t arrival);

/* Something may be there that was short. */
void agentcg_admission_kick(struct manager *m);
/* The policy is another, or a session's priority. */
void agentcg_admission_reload(struct manager *m);
/* The connection is gone. */
void agentcg_admission_forget(struct manager *m, sd_varlink *link);
/* The session closes: NoSuchSession for those that wait in it. */
void agentcg_admission_close(struct session *s);
/* @group of it is ended: NoSuchCall for those of it that wait.  How many; the session may be gone after the next gc. */
uint32_t agentcg_admission_cancel(struct session *s, const char *group);

/* Array of Waiting, in their order: those of @uid; 0: all. */
int agentcg_admission_build(struct manager *m, uid_t uid, sd_json_variant **ret);

#endif
