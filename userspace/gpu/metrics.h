/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an engine says of itself at /metrics (the Prometheus text format), and
 * what has happened between two readings.  Pure, but for the part at the end.
 *
 * The names are those of llama-server ("llamacpp:"), vLLM ("vllm:"), SGLang ("sglang:") and
 * TensorRT-LLM ("trtllm_", "trtllm:" or no prefix, by version).  Series of several labels (engines of one server, models) are
 * added up.  A name that nobody knows is passed over; what no line told of is NAN.
 */
#ifndef _AGENTCG_METRICS_H
#define _AGENTCG_METRICS_H

#include "yield.h"

/* Sums since the engine started. */
struct metric_sum {
	double sum;		/* seconds */
	double count;
};

struct metrics {
	double running;		/* requests */
	double waiting;
	double tokens;		/* generated ever */
	struct metric_sum ttft;
	struct metric_sum token;	/* times from token to token */
};

/* @text need not end with NUL.  How many of its lines were understood; 0: it is no engine's. */
size_t agentcg_metrics_parse(const char *text, size_t size, struct metrics *ret);

/* All series of @name together, such as "vllm:num_requests_running", in text that ends with NUL; false: there is none. */
bool agentcg_metrics_sum(const char *text, const char *name, double *ret);

/*
 * From one reading to the next; means of what ended in between.  A counter that has
 * become smaller began anew (the engine was restarted).  @before NULL: only what holds now is known.
 */
void agentcg_metrics_delta(const struct metrics *before, const struct metrics *now, struct inference *ret);

#endif
