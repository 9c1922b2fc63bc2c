/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Traces: how much memory and CPU something used over time.
 *
 *	{"version": 1, "interval_ms": 100, "task": ..., "model": ...,
 *	 "samples":    [[t_s, memory_MiB, cpu_percent], ...],
 *	 "tool_calls": [[start_s, end_s, tool, command], ...]}
 *
 * Times count from the first sample, 100 % is one core.  Everything but
 * "samples" is optional, and so is the CPU column: the traces published with
 * the AgentCgroup paper (without version and interval_ms) can be read, too.
 */
#ifndef AGENTCG_TRACE_H
#define AGENTCG_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define AGENTCG_TRACE_VERSION	1

struct agentcg_sample {
	double time;		/* seconds */
	uint64_t memory;	/* bytes */
	double cpu;		/* percent of one core */
};

struct agentcg_trace {
	char *task;
	unsigned int interval_ms;	/* 0: unknown */
	struct agentcg_sample *samples;
	size_t nr_samples;
};

/*
 * Reads a trace.  On failure *@ret_error says in words what is wrong where
 * (to be freed; NULL when there was no memory for it).
 */
int agentcg_trace_load(const char *path, struct agentcg_trace *trace, char **ret_error);

int agentcg_trace_append(struct agentcg_trace *trace, const struct agentcg_sample *sample);

/* Writes @trace with its one tool call, which took the whole trace. */
int agentcg_trace_write(const struct agentcg_trace *trace, const char *tool, const char *command,
			FILE *f);

void agentcg_trace_done(struct agentcg_trace *trace);

/* Seconds and bytes: the end of the trace and the most that it used. */
double agentcg_trace_length(const struct agentcg_trace *trace);
uint64_t agentcg_trace_peak(const struct agentcg_trace *trace);

/* The smallest of the @n sorted @values that @permille of them do not exceed; 0 if n is 0. */
uint64_t agentcg_quantile(const uint64_t *values, size_t n, unsigned int permille);

#endif
