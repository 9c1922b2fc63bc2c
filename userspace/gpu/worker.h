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

#include "engine.h"
#include "nvml.h"
#include "place.h"

#define AGENTCG_WORKER_NAME_MAX	64
#define AGENTCG_WORKERS_MAX	64
#define AGENTCG_WORKER_URL_MAX	128

struct manager;
struct worker_launch;		/* launch delay, see launches.h */
struct worker_engine;		/* what its engine offers and holds, see adapter.h */
struct worker_metrics;		/* what it says of itself, see metrics.h */

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
	uint64_t huge_pages;		/* bytes asked for */
	unsigned int mps_share;		/* percent; 0: no MPS */

	int fd;				/* its group; -1: none (degraded) */
	uint64_t id;
	int pidfd;			/* of its first process */
	pid_t pid;
	enum engine_kind engine;
	char url[AGENTCG_WORKER_URL_MAX];	/* "http://127.0.0.1:8080"; "": unknown */

	struct worker_launch *launch;	/* each NULL: not there */
	struct worker_engine *adapter;
	struct worker_metrics *metrics;
};

struct worker *agentcg_worker_find(struct manager *m, const char *name);
/* The one that uses @url, or that a session is bound to: see pause.h. */

/* As the interface's Worker. */
int agentcg_worker_build(struct worker *w, sd_json_variant **ret);

/* Puts another wish in force for it, and with it perhaps other cores for others; @why if not. */
int agentcg_worker_adjust(struct worker *w, const struct place_wish *wish, uint64_t memory, char *why);
/* Its state has changed; those who watch are told. */
void agentcg_worker_set_state(struct worker *w, enum worker_state state, const char *reason);

/*
 * What others hang on a worker.  Called by worker.c once it runs (and after
 * the daemon was started anew), and before it is freed; both may be called when nothing is there.
 */
struct worker_part {
	const char *name;
	void (*begin)(struct worker *w);
	void (*end)(struct worker *w);
	int (*build)(struct worker *w, sd_json_variant **object);	/* adds its fields; may be NULL */
};

extern const struct worker_part agentcg_launch_part;	/* launch-part.c */
extern const struct worker_part agentcg_engine_part;	/* pause.c */
extern const struct worker_part agentcg_metrics_part;	/* metrics-poll.c */
extern const struct worker_part agentcg_share_part;	/* mps.c: MPS and checkpoints */

#endif
