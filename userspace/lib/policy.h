/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The owner's policy: INI files in the style of systemd, a main one and
 * drop-ins (cgroup-policies/policy.conf explains every key).
 *
 * Reading is strict: what is not understood is refused with FILE:LINE and what
 * to write instead, since a policy that is half in force is worse than none.
 */
#ifndef _AGENTCG_POLICY_H
#define _AGENTCG_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util.h"

#define AGENTCG_POLICY_FILE	"/etc/agentcg/policy.conf"
#define AGENTCG_POLICY_DIR	"/etc/agentcg/policy.conf.d"

#define AGENTCG_NONE		UINT64_MAX	/* "none": no limit */
#define AGENTCG_MATCH_MAX	40		/* inih cuts longer section names */

enum agentcg_scheduler_choice {
	AGENTCG_SCHEDULER_AUTO,		/* ours if the kernel can, and no other one runs */
	AGENTCG_SCHEDULER_NONE,		/* the kernel's own, with cpu.weight */
};

enum agentcg_learn_choice {
	AGENTCG_LEARN_REQUEST,		/* what calls request, from what earlier ones needed */
	AGENTCG_LEARN_LIMIT,		/* also their limits */
	AGENTCG_LEARN_NONE,
};

enum agentcg_admission_choice {
	AGENTCG_ADMISSION_MEMORY,	/* calls may wait for memory and for quotas */
	AGENTCG_ADMISSION_QUOTA,	/* for quotas alone */
	AGENTCG_ADMISSION_NONE,
};

enum agentcg_idle_choice {
	AGENTCG_IDLE_AUTO,		/* cold memory of idle sessions is reclaimed when the pool runs short */
	AGENTCG_IDLE_NONE,
};

struct agentcg_session_policy {
	char match[AGENTCG_MATCH_MAX];	/* glob on the name; "": the default */
	char owner[33];			/* user name or uid; "": anybody */
	uid_t owner_uid;
	uint64_t set;			/* keys that this section sets */
	uint32_t priority;
	uint32_t calls_per_session;
	uint32_t detached_calls;	/* of a session, that outlive their clients */
	uint64_t reserve;
	uint64_t budget;		/* AGENTCG_NONE: the pool's */
	bool of_user;			/* the budget is its user's, which is less */
};

/* [User "name"] */
struct agentcg_user_policy {
	char name[33];
	uid_t uid;
	uint64_t budget;		/* of all its sessions; AGENTCG_NONE: the pool's */
};

enum agentcg_gpu_cache_choice {
	AGENTCG_CACHE_AUTO,		/* keep, offload or drop, by cost */
	AGENTCG_CACHE_KEEP,
	AGENTCG_CACHE_DROP,
};

/* [GPU]: inference workers (userspace/gpu/). */
struct agentcg_gpu_policy {
	uint32_t call_cores;		/* that tool calls keep in any case */
	unsigned int when_short;	/* enum place_short */
	char far_nodes[64];		/* "auto", "none", or a list of nodes */
	bool move_interrupts;
	enum agentcg_scheduler_choice probe;	/* of launch delay */
	enum agentcg_gpu_cache_choice cache;
	bool empty_engines;		/* of all who use them, for AGENTCG_CACHE_DROP */
	char webhook[256];		/* "": none */
	char lmcache[256];		/* its controller; "": none */
	uint64_t ttft_usec;		/* targets; AGENTCG_NONE: none */
	uint64_t token_usec;
	uint64_t checkpoint_usec;	/* idle so long, a worker's GPU memory is moved away; AGENTCG_NONE: never */
};

struct agentcg_policy {
	char slice[64];
	uint64_t memory_max;		/* bytes, after agentcg_policy_check() */
	uint32_t memory_max_percent;	/* of MemTotal; 0: bytes were given */
	uint64_t reserve;
	uint64_t throttle_band;
	uint64_t throttle_max_usec;
	uint64_t step_min;
	uint64_t step_max;

	uint64_t hold_deadline_usec;
	uint64_t freeze_usec;
	uint64_t expired_delay_usec;
	bool psi;

	uint32_t sessions_per_user;
	enum agentcg_idle_choice idle;
	uint64_t idle_after_usec;	/* without a tool call for so long a session is idle */
	uint32_t requests_per_second;	/* of a user; 0: any number */
	uint64_t user_budget;		/* of a user's sessions together, but root's; AGENTCG_NONE: the pool's */
	struct agentcg_user_policy *users;	/* those that have another one */
	size_t nr_users;
	struct agentcg_session_policy session;	/* the default */
	struct agentcg_session_policy *matches;	/* in order; later ones win */
	size_t nr_matches;

	uint64_t request;
	uint64_t call_max;		/* AGENTCG_NONE: no limit of its own */
	uint64_t timeout_max_usec;	/* AGENTCG_NONE: no limit */
	uint64_t pids_max;
	uint64_t cpu_max;		/* thousandths of a CPU; AGENTCG_NONE: no limit of its own */

	enum agentcg_learn_choice learn;
	enum agentcg_admission_choice admission;
	uint64_t queue_timeout_usec;

	enum agentcg_scheduler_choice scheduler;

	struct agentcg_gpu_policy gpu;
};

void agentcg_policy_init(struct agentcg_policy *p);
void agentcg_policy_done(struct agentcg_policy *p);

/* One file on top of what @p has; negative errno with a sentence in @why. */
int agentcg_policy_read(struct agentcg_policy *p, const char *file, char *why);

/*
 * Everything: @file, or with NULL the default one (which may be missing) and
 * its drop-ins in the order of their names.
 */
int agentcg_policy_load(struct agentcg_policy *p, const char *file, char *why);

/* Resolves percentages and refuses what cannot work. */
int agentcg_policy_check(struct agentcg_policy *p, uint64_t mem_total, char *why);

/* What the sessions of @uid may use together; AGENTCG_NONE: the pool's. */
uint64_t agentcg_policy_user_budget(const struct agentcg_policy *p, uid_t uid);
/* Whether anybody has such a budget. */
bool agentcg_policy_user_budgets(const struct agentcg_policy *p);

/* What holds for the session @name of @uid. */
void agentcg_policy_session(const struct agentcg_policy *p, const char *name, uid_t uid,
			    struct agentcg_session_policy *ret);

#endif /* _AGENTCG_POLICY_H */
