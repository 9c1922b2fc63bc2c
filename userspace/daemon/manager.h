/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the daemon knows: the pool, its sessions and their calls.  All of it is
 * also in the cgroup tree and in the pinned maps, so that it can be killed at
 * any moment (adopt.c).
 */
#ifndef _AGENTCG_MANAGER_H
#define _AGENTCG_MANAGER_H

#include <systemd/sd-event.h>
#include <systemd/sd-varlink.h>

#include "agentcg_follow.h"
#include "alert.h"
#include "declare.h"
#include "later.h"
#include "policy.h"
#include "quota.h"
#include "think.h"
#include "util.h"

#define AGENTCG_SESSION_BUCKETS	1024	/* a few sessions in each, should there be as many as can be */

struct attachment;
struct admission;
struct call;
struct connection;
struct follow;
struct habit_store;
struct history;
struct kernel;
struct notes;
struct pauses;
struct peer;
struct scheduler;
struct session;
struct user_watch;
struct watcher;
struct workers;
struct yield_pool;

struct manager {
	sd_event *event;
	sd_varlink_server *server;
	struct connection *connections;
	struct quota quota;		/* of requests */
	struct peer *peers;		/* whose they are */
	sd_event_source *exit_source;
	sd_event_source *kernel_source;	/* events of the policy */
	sd_event_source *pins_source;	/* whether it is still pinned */
	bool stopping;			/* connections that drop mean nothing now */
	bool adopting;			/* sums are not complete: publish nothing */

	const char *policy_file;	/* NULL: the default one and drop-ins */
	struct agentcg_policy policy;
	uint64_t mem_total;

	char *root_path;		/* below the cgroup mount; "" is the mount */
	char *pool_path;
	int root_fd;
	int pool_fd;			/* also flocked: one daemon for a pool; -1: there is none */
	char pool_reason[AGENTCG_WHY_MAX];	/* why there is none; GPU workers are served all the same */
	uint64_t pool_id;
	uint64_t pool_max;		/* bytes in force */
	struct workers *workers;	/* on GPUs */
	struct yield_pool *yield;	/* what tool calls give up for those */
	struct pauses *pauses;		/* of sessions that are bound to one; NULL: none was yet */

	struct kernel *kernel;		/* NULL: degraded, for this reason */
	char reason[AGENTCG_WHY_MAX];

	struct follow *follow;		/* NULL: nobody needs it yet */
	sd_event_source *follow_source;
	struct attachment *attachments[AGENTCG_MAX_ATTACHMENTS];

	int pins_fd;			/* locked: one daemon for what is pinned */
	struct scheduler *scheduler;	/* of CPU time */
	struct habit_store *habits;	/* of sessions; NULL: none yet */
	struct history *history;	/* of calls; NULL: nothing is learned */
	const char *history_file;
	sd_event_source *fold_source;	/* rows are to go to the database */

	/* Indexed by slot, in the maps of the policy too. */
	struct session *sessions[AGENTCG_MAX_SESSIONS];
	struct call *calls[AGENTCG_MAX_CALLS];
	uint32_t nr_sessions;		/* all used slots are below */
	uint32_t nr_calls;
	uint32_t arrivals;		/* of sessions, ever */
	struct session *by_name[AGENTCG_SESSION_BUCKETS];	/* lists of those in a slot */
	uint64_t requested;		/* bytes, by all calls */
	uint64_t reserved;		/* bytes that sessions keep for themselves */
	struct admission *admission;	/* of calls that wait to begin */
	struct later later;		/* leaves to be made and removed */

	struct watcher *watchers;
	struct alerts alerts;
	struct user_watch *users;	/* budgets of users; NULL: none has one */
	struct think think;
	struct declarations declared;	/* intents for calls to come */
};

int agentcg_manager_new(struct manager **ret);
struct manager *agentcg_manager_free(struct manager *m);

static inline void agentcg_manager_freep(struct manager **m)
{
	agentcg_manager_free(*m);
}

/*
 * Finds or makes the pool below @root (NULL: as the platform wants it).  Where the
 * platform has no cgroup v2 to make one in, there is none, and ->pool_reason says why.
 */
int agentcg_manager_open_pool(struct manager *m, const char *root);
/* Puts the policy in force, or goes on degraded and says why. */
void agentcg_manager_open_kernel(struct manager *m);
/* The pool as the kernel's policy sees it. */
void agentcg_manager_pool(const struct manager *m, struct agentcg_pool *ret);
int agentcg_manager_write_pool(struct manager *m);
/* Puts the pool's limit in force: what the policy says, less what GPU workers keep. */
int agentcg_manager_limit_pool(struct manager *m);
/* Reads the policy again; what could not change is told in @notes. */
int agentcg_manager_reload(struct manager *m, struct notes *notes, char *why);

uint64_t agentcg_manager_usage(const struct manager *m);
/* Sum of what sessions but @except keep for themselves. */
uint64_t agentcg_manager_reserved(const struct manager *m, const struct session *except);
int agentcg_manager_build_pool(struct manager *m, sd_json_variant **ret);
/* What the policy allows @uid at most, as the interface's Allowed (allowed.c). */
int agentcg_allowed_build(const struct manager *m, uid_t uid, sd_json_variant **ret);

#endif
