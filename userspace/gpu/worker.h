/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker: one inference engine (all its processes) in a group of its own,
 * ROOT/agentcg-gpu.slice/worker-NAME.
 *
 *	starting -> running -> gone
 *	               |  ^
 *	            hung, gpu-lost
 *
 * The slice is a cpuset partition of the cores of all workers, which the kernel
 * takes away from everybody else; a worker's own part is its group's cpuset.
 * What the daemon must remember of a worker is in an extended attribute of its group
 * (as a session's, daemon/record.c), so a restarted daemon finds all of them.  Without cgroup v2's
 * cpuset (or on a machine whose controllers are elsewhere) affinity and memory policy of the
 * processes do what they can, and `agentcg gpu status` says so.
 */
#ifndef _AGENTCG_WORKER_H
#define _AGENTCG_WORKER_H

#include <systemd/sd-event.h>
#include <systemd/sd-json.h>
#include <sys/types.h>

#include "borrow.h"
#include "engine.h"
#include "nvml.h"
#include "place.h"

#define AGENTCG_WORKER_NAME_MAX	64
#define AGENTCG_WORKERS_MAX	64
#define AGENTCG_WORKER_URL_MAX	128

struct manager;
struct mover;
struct notes;
struct tree;
struct worker_start;
struct worker_feed;		/* its threads that feed the GPU, see feed.h */
struct worker_launch;		/* launch delay, see launches.h */
struct worker_engine;		/* what its engine offers and holds, see adapter.h */
struct worker_metrics;		/* what it says of itself, see metrics.h */
struct worker_share;		/* its GPU memory while it is idle, see checkpoint.h */

enum worker_role {
	WORKER_BOTH,
	WORKER_PREFILL,
	WORKER_DECODE,
};

enum worker_state {
	WORKER_STARTING,	/* its command has not been executed yet */
	WORKER_RUNNING,
	WORKER_HUNG,		/* its engine does not answer any more */
	WORKER_GPU_LOST,
	WORKER_GONE,		/* its last process ended; soon freed */
};

struct worker {
	struct manager *m;
	char name[AGENTCG_WORKER_NAME_MAX + 1];
	uid_t uid;			/* who started it */
	enum worker_role role;
	enum worker_state state;
	char reason[AGENTCG_WHY_MAX];	/* of a state that is not RUNNING */
	uint32_t priority;
	bool adopted;			/* it ran before (attach) */

	char gpus[AGENTCG_GPUS_MAX][AGENTCG_GPU_UUID_MAX];
	unsigned int nr_gpus;
	struct place_wish wish;
	struct placement place;		/* in force */
	uint64_t memory;		/* bytes protected (memory.min); 0: what it uses */
	uint64_t pinned;		/* bytes of host memory that cannot be reclaimed (pinned.h) */
	uint64_t uncharged;		/* of those, what no cgroup is charged for */
	uint64_t pinned_due;		/* when that is counted again */
	uint64_t huge_pages;		/* bytes asked for */
	unsigned int mps_share;		/* percent; 0: no MPS */
	bool mps_lost;			/* MPS has ended under it */

	int fd;				/* its group; -1: none (degraded) */
	uint64_t id;
	char *from;			/* the group that its first process was in before */
	int pidfd;			/* of its first process */
	pid_t pid;
	uint64_t launcher;		/* what that executed when it asked to be placed (device and inode) */
	uint64_t began_usec;		/* CLOCK_MONOTONIC */
	bool told;			/* parts have begun */
	uint64_t min;			/* memory.min in force */
	struct borrowed_huge huge;
	struct borrowed_irqs irqs;
	struct mover *mover;		/* its memory is under way */
	unsigned int swept;		/* how often its node was swept for pages that came elsewhere */
	uint64_t swept_pages;		/* what its processes had mapped then */
	struct worker_feed *feed;
	sd_event_source *killed;	/* it was: how long is waited for its end */
	sd_event_source *events;	/* its group became empty; without one, its first process ended */
	enum engine_kind engine;
	bool url_said;			/* by who started it */
	char url[AGENTCG_WORKER_URL_MAX];	/* "http://127.0.0.1:8080"; "": unknown */

	struct worker_start *start;	/* who waits for its environment (method-gpu.c); NULL: nobody */

	struct worker_launch *launch;	/* each NULL: not there */
	struct worker_engine *adapter;
	struct worker_metrics *metrics;
	struct worker_share *share;
};

struct worker *agentcg_worker_find(struct manager *m, const char *name);

/* As the interface's Worker, to @uid: it is shown the caches of its own sessions, root those of all. */
int agentcg_worker_build(struct worker *w, uid_t uid, sd_json_variant **ret);

/* What is wished for a new one, or for one that runs. */
struct worker_wish {
	char name[AGENTCG_WORKER_NAME_MAX + 1];		/* "": made of @command */
	enum worker_role role;
	uint32_t priority;
	unsigned int cores;		/* 0: by its GPUs, see place.h */
	uint64_t memory, huge_pages;	/* bytes; 0: what it uses, none */
	unsigned int mps_share;
	char url[AGENTCG_WORKER_URL_MAX];
	char gpus[AGENTCG_GPUS_MAX][AGENTCG_GPU_UUID_MAX];	/* UUIDs */
	unsigned int nr_gpus;
	int node;			/* of its GPUs; AGENTCG_NODE_UNKNOWN */
	bool attach;			/* it runs already, with what is below it */
};

bool agentcg_worker_name_valid(const char *name);
/* A name for what executes @command, that no worker has. */
void agentcg_worker_name(struct manager *m, const char *command, char name[AGENTCG_WORKER_NAME_MAX + 1]);

/* Places the process of @pidfd (taken over in any case).  -ENOSPC, -EEXIST and others with @why: nothing has changed. */
int agentcg_worker_new(struct manager *m, const struct worker_wish *wish, uid_t uid, int pidfd, pid_t pid,
		       struct notes *notes, struct worker **ret, char *why);
/* Takes over the group that an earlier daemon made. */
int agentcg_worker_adopt(struct manager *m, const char *name);
/* Puts another wish in force for it, and with it perhaps other cores for others; @why if not. */
int agentcg_worker_adjust(struct worker *w, const struct place_wish *wish, uint64_t memory, char *why);
/*
 * Gives back all that it has and frees it.  Processes that it still has go back to where the
 * first came from; negative errno with @why if they cannot, and it stays.
 */
int agentcg_worker_end(struct worker *w, char *why);
/* Kills its processes; what it has is given back with the last, or soon without it: one that hangs in a driver cannot be killed. */
int agentcg_worker_kill(struct worker *w, char *why);
/* Frees the memory only: what is in force stays. */
struct worker *agentcg_worker_free(struct worker *w);
/* What wants to be looked at now and then: its engine, what it uses, whether it began. */
void agentcg_worker_look(struct worker *w);

/* Its CPUs and nodes are those of @place from now on. */
int agentcg_worker_bind(struct worker *w, const struct placement *place);
/* memory.min for what it uses now, if it was not said; pure. */
uint64_t agentcg_worker_protection(uint64_t said, uint64_t in_force, uint64_t current);
/* Bytes that agents do not get because of it. */
uint64_t agentcg_worker_taken(const struct worker *w);
/* Those that it has now. */
int agentcg_worker_processes(const struct worker *w, struct tree *ret);
/* Its state has changed; those who watch are told. */
void agentcg_worker_set_state(struct worker *w, enum worker_state state, const char *reason);

/* What its environment waited for is there (0), and it is asked for again; or cannot be, and it ends. */
void agentcg_worker_prepared(struct worker *w, int error, const char *why);
/* Whoever waits is told that it has ended. */
void agentcg_worker_start_free(struct worker_start *s);

/*
 * What others hang on a worker.  Called by worker.c once it runs (and after
 * the daemon was started anew), and before it is freed; both may be called when nothing is there.
 */
struct worker_part {
	const char *name;
	void (*begin)(struct worker *w);
	void (*end)(struct worker *w);
	/*
	 * Before it starts: variables for its environment, an array of "NAME=value"; @why if it cannot start so.
	 * -EINPROGRESS: not yet, agentcg_worker_prepared() will tell.  May be NULL.
	 */
	int (*environment)(struct worker *w, sd_json_variant **list, char *why);
	/* Its state has changed; may be NULL. */
	void (*state)(struct worker *w);
	/* adds its fields, those that @uid may see; may be NULL */
	int (*build)(struct worker *w, uid_t uid, sd_json_variant **object);
};

extern const struct worker_part agentcg_launch_part;	/* launch-part.c */
extern const struct worker_part agentcg_engine_part;	/* pause.c */
extern const struct worker_part agentcg_metrics_part;	/* metrics-poll.c */
extern const struct worker_part agentcg_share_part;	/* mps-part.c: MPS and checkpoints */

#endif
