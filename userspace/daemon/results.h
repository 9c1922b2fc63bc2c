/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What became of the last calls of a session, for who was not there when they
 * ended (hooks of agent tools, an MCP server).  In memory only.
 */
#ifndef _AGENTCG_RESULTS_H
#define _AGENTCG_RESULTS_H

#include <systemd/sd-json.h>

#include "result.h"

#define AGENTCG_RESULTS_MAX	16

struct call;

struct finished;

struct results {
	struct finished *last[AGENTCG_RESULTS_MAX];	/* oldest first */
	uint32_t n;
	uint64_t ever;
};

/* A call has ended; c->result is what became of it. */
void agentcg_results_add(struct results *r, const struct call *c);
void agentcg_results_clear(struct results *r);

/* Which of them GetResults is about. */
struct results_choice {
	bool untold;	/* only those with something to tell that were not told yet */
	bool failed;	/* only those for which something may be tried */
};

/* An array of Finished; with ->untold they are told herewith. */
int agentcg_results_build(struct results *r, const struct results_choice *choice, sd_json_variant **ret);

/* A Result of the interface. */
int agentcg_result_build(const struct result *r, sd_json_variant **ret);

#endif
