/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a call will need, from what earlier ones did.  Pure: observations in,
 * grant out, with a sentence that explains it.
 *
 * The request is a percentile of the peaks of earlier runs and a margin.  It is
 * what is kept free for the call, so it decides how many calls fit; a call that
 * needs more gets it as long as there is room.  The limit is a multiple of the
 * largest peak: it ends a call that has gone wild, and has to be hit rarely.
 *
 * - A run that was killed for memory, or filled its limit, did not show its
 *   peak, only that it is no less: such an observation is censored, and the
 *   percentile is that of the product-limit estimate (Kaplan, Meier: Nonparametric
 *   estimation from incomplete observations, 1958).  Where nothing but censored
 *   runs are left above, the largest of them is doubled, so a call that is run
 *   again and again gets enough after a few times.
 * - Runs of the same scope (a session, a project) count many times: what pytest
 *   needs differs more between projects than within one.
 * - With too few runs of its kind, a call is judged by the next wider class.
 * - What the agent declares is blended with that by credibility (Bühlmann, 1967):
 *   without history it is believed, with n runs the weight of the history grows
 *   as n / (n + 8), and only as far as the user's declarations were wrong before.
 */
#ifndef _AGENTCG_PREDICT_H
#define _AGENTCG_PREDICT_H

#include "policy.h"
#include "result.h"

/* A run as the history has it; sizes in bytes. */
struct observation {
	uint64_t id;		/* of its cgroup; with the time it names the run */
	uint64_t time_usec;	/* when it began, CLOCK_REALTIME */
	uint64_t scope;		/* of equal ones is more to be learned; 0: of none */
	uint64_t peak;
	uint64_t duration_usec;
	uint64_t declared;	/* AGENTCG_NONE: nothing */
	uint64_t granted;
	uint64_t limit;		/* AGENTCG_NONE: none */
	enum agentcg_outcome outcome;
};

/* Of one class; more are not looked at, and make no better grants. */
#define AGENTCG_OBSERVATIONS_MAX	64

/* The runs of one class of calls, in any order; @name is for the explanation. */
struct observed_class {
	const char *name;	/* "pytest", "git, any command", "any command" */
	const struct observation *runs;
	size_t nr;
};

struct predict_params {
	unsigned int percentile;	/* of peaks, 1 to 99 */
	unsigned int margin;		/* percent of it, on top */
	unsigned int min_runs;		/* of a class, for it to be believed */
	unsigned int scope_weight;	/* of a run of the same scope; of another: 1 */
	unsigned int limit_factor;	/* of the largest peak; 0: no limit is suggested */
	uint64_t request_min;		/* no request from history below this */
	uint64_t limit_min;		/* no limit below this */
	uint64_t request;		/* the policy's, where nothing is known */
};

/* Where these come from: tests/bench/intents-grants.c. */
#define AGENTCG_PREDICT_DEFAULTS {					\
	.percentile = 65, .margin = 0, .min_runs = 3, .scope_weight = 30,	\
	.request_min = 16 * MIB, .request = 128 * MIB,			\
	.limit_factor = 2, .limit_min = 512 * MIB,			\
}

enum agentcg_prediction_source {
	AGENTCG_FROM_POLICY,
	AGENTCG_FROM_HISTORY,
	AGENTCG_FROM_DECLARED,
	AGENTCG_FROM_BOTH,
};

struct prediction {
	uint64_t request;
	uint64_t limit;			/* AGENTCG_NONE: nothing is known that speaks for one */
	uint64_t duration_usec;		/* the median; AGENTCG_NONE: unknown */
	enum agentcg_prediction_source source;
	char of[64];			/* whose runs these are, the name of an observed_class; "": nobody's */
	size_t runs;
	char text[200];			/* "640Mi: 95th percentile of 41 runs of pytest" */
};

/*
 * @classes: from the narrowest to the widest.  @declared: AGENTCG_NONE if the
 * agent said nothing.  @trust: agentcg_predict_trust() of its user.
 */
void agentcg_predict(const struct predict_params *params, const struct observed_class *classes,
		     size_t nr_classes, uint64_t scope, uint64_t declared, unsigned int trust,
		     struct prediction *ret);

/*
 * In percent, how far a user's declarations are believed against the history:
 * the mean of how close each of @runs that had one came, 100 for whoever has
 * not declared anything yet.
 */
unsigned int agentcg_predict_trust(const struct observation *runs, size_t nr);

/* True if its peak is only known to be no less than what was seen. */
bool agentcg_observation_censored(const struct observation *o);

#endif
