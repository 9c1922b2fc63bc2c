/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tool calls give up when inference misses its target, and when they get it
 * back.  Pure: a series of measurements in, a level out; hysteresis in both directions.
 */
#ifndef _AGENTCG_YIELD_H
#define _AGENTCG_YIELD_H

#include "util.h"

struct inference {
	uint64_t time_usec;		/* CLOCK_MONOTONIC */
	double ttft_sec;		/* mean of those since the last; NAN: none */
	double token_sec;		/* time per token */
	double tokens;			/* generated since the last; NAN: unknown */
	double queue;			/* requests that wait; NAN: unknown */
	double running;			/* requests under way */
};

struct yield_target {
	double ttft_sec;		/* NAN: no target */
	double token_sec;
};

struct yield {
	unsigned int level;		/* 0: nothing .. AGENTCG_YIELD_MAX */
	uint64_t since_usec;
	unsigned int good, bad;		/* measurements in a row */
};

#define AGENTCG_YIELD_MAX	5

/* @ret: why it is so, in a sentence.  True: the level has changed. */
bool agentcg_yield_step(struct yield *y, const struct yield_target *target, const struct inference *now, char *why);
/* At a level: tool calls' cpu.weight and cpu.max in percent of what they would have. */
unsigned int agentcg_yield_weight(unsigned int level);
unsigned int agentcg_yield_cpu_max(unsigned int level);

#endif
