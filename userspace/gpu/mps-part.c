// SPDX-License-Identifier: GPL-2.0-only
/* A share of a GPU, hung on a worker: its environment, and MPS as long as there are such workers.  Checkpoints, too. */
#include "mps-part.h"

#include "checkpoint.h"
#include "log.h"
#include "manager.h"
#include "mps.h"
#include "priority.h"
#include "workers.h"

/* Some 100 ms, where all is well. */
#define START_USEC	(5 * USEC_PER_SEC)
#define MPS_LOST	"MPS of its GPU has ended, though nobody here ended it; start this worker anew"

static bool is_best_effort(const struct worker *w)
{
	return w->priority < AGENTCG_PRIORITY_NORMAL;
}

static bool shares(const struct worker *w, const char *uuid)
{
	return w->mps_share && w->nr_gpus == 1 && w->state != WORKER_GONE && streq(w->gpus[0], uuid);
}

/* Who has a share of this GPU, but @except. */
static size_t clients(const struct workers *ws, const char *uuid, const struct worker *except, struct mps_client *ret)
{
	size_t n = 0;

	for (unsigned int i = 0; i < ws->nr; i++) {
		const struct worker *w = ws->list[i];

		if (w != except && shares(w, uuid))
			ret[n++] = (struct mps_client){ w->mps_share, is_best_effort(w) };
	}
	return n;
}

/* ---- its environment ---------------------------------------------------- */

static int add_variable(sd_json_variant **list, const char *name, const char *value)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	char text[256];
	int r;

	snprintf(text, sizeof(text), "%s=%s", name, value);
	r = sd_json_variant_new_string(&v, text);
	return r < 0 ? r : sd_json_variant_append_array(list, v);
}

static int add_limits(struct worker *w, sd_json_variant **list)
{
	const struct gpu *g = agentcg_gpus_find(&w->m->workers->gpus, w->gpus[0]);
	char limit[64];
	int r;

	if (!is_best_effort(w))
		return 0;
	r = add_variable(list, "CUDA_MPS_CLIENT_PRIORITY", "1");
	if (r < 0 || !g)
		return r;
	/* The only GPU that it sees is 0. */
	snprintf(limit, sizeof(limit), "0=%lluM", (unsigned long long)(g->memory_total / 100 * w->mps_share / MIB));
	return add_variable(list, "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", limit);
}

static void on_started(int error, const char *why, void *userdata)
{
	agentcg_worker_prepared(userdata, error, why);
}

static int environment(struct worker *w, sd_json_variant **list, char *why)
{
	struct mps_client have[AGENTCG_WORKERS_MAX], more = { w->mps_share, is_best_effort(w) };
	struct workers *ws = w->m->workers;
	char path[AGENTCG_MPS_PATH];
	int r;

	if (!w->mps_share)
		return 0;
	if (w->nr_gpus != 1)
		return agentcg_why(-EINVAL, why, "a share by MPS is of one GPU, and this worker has %u; say which: --gpu N", w->nr_gpus);
	r = agentcg_mps_check(have, clients(ws, w->gpus[0], w, have), &more, why);
	if (!r)
		r = agentcg_mps_start(ws->mps, w->gpus[0], on_started, w, why);
	if (!r)
		r = add_variable(list, "CUDA_MPS_PIPE_DIRECTORY", agentcg_mps_folder(path, ws->mps, w->gpus[0], "/pipe"));
	if (r >= 0)
		r = add_variable(list, "CUDA_MPS_LOG_DIRECTORY", agentcg_mps_folder(path, ws->mps, w->gpus[0], "/log"));
	return r < 0 ? r : add_limits(w, list);
}

/* ---- as long as there are some ------------------------------------------ */

/* Its clients are lost with it; who starts next gets another one. */
static void mark_lost(struct worker *w)
{
	w->mps_lost = true;
	agentcg_log(LOG_WARNING, "GPU worker %s: " MPS_LOST, w->name);
}

static void on_ended(const char *uuid, void *userdata)
{
	struct workers *ws = userdata;

	for (unsigned int i = 0; i < ws->nr; i++)
		if (shares(ws->list[i], uuid))
			mark_lost(ws->list[i]);
}

static bool is_used(const char *uuid, void *userdata)
{
	struct mps_client have[AGENTCG_WORKERS_MAX];

	return clients(userdata, uuid, NULL, have);
}

int agentcg_mps_part_open(struct workers *ws)
{
	return agentcg_mps_new(ws->m->event, AGENTCG_MPS_BASE, START_USEC, on_ended, ws, &ws->mps);
}

void agentcg_mps_part_removed(struct workers *ws, struct worker *w)
{
	if (!w->mps_share || ws->m->stopping)
		return;
	agentcg_mps_forget(ws->mps, w);
	agentcg_mps_sweep(ws->mps, is_used, ws);
}

void agentcg_mps_part_adopted(struct workers *ws)
{
	for (unsigned int i = 0; i < ws->nr; i++)
		if (shares(ws->list[i], ws->list[i]->gpus[0]) && !agentcg_mps_runs(ws->mps, ws->list[i]->gpus[0]))
			mark_lost(ws->list[i]);
	agentcg_mps_sweep(ws->mps, is_used, ws);
}

static void begin(struct worker *w)
{
	agentcg_checkpoint_begin(w);
}

static void end(struct worker *w)
{
	agentcg_checkpoint_end(w);
}

static int build(struct worker *w, uid_t uid, sd_json_variant **object)
{
	int r = w->mps_lost && !*w->reason ? sd_json_variant_set_field_string(object, "reason", MPS_LOST) : 0;

	return r < 0 ? r : agentcg_checkpoint_build(w, object);
}

const struct worker_part agentcg_share_part = {
	.name = "share",
	.begin = begin,
	.end = end,
	.environment = environment,
	.build = build,
};
