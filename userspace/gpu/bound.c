// SPDX-License-Identifier: GPL-2.0-only
#include "bound.h"

#include "fair.h"

/*
 * A host that always is ahead of the GPU waits for what it has queued; one that
 * is behind waits for the last kernel of a step at most.  Between these it is the GPU's busy figure that says, which
 * alone says little: it counts the time in which any kernel runs, be it on one of a hundred processors.
 */
#define QUEUES		0.30
#define DOES_NOT	0.10
#define BUSY		90
#define IDLE		50

double agentcg_bound_queueing(const struct bound_in *in)
{
	double floor = (double)in->launches * (double)in->floor_nsec;
	double call = (double)in->call_nsec, queue;

	if (floor > call)
		floor = call;
	queue = call - floor + (double)in->wait_nsec;
	return queue > 0 ? queue / (queue + floor + (double)in->host_nsec) : 0;
}

enum bound agentcg_bound_by(const struct bound_in *in)
{
	double queueing = agentcg_bound_queueing(in);

	if (in->launches < AGENTCG_BOUND_LAUNCHES)
		return BOUND_UNKNOWN;
	if (queueing >= QUEUES)
		/* It waits, but not for this GPU: for a copy, or a peer. */
		return in->gpu_busy >= 0 && in->gpu_busy < IDLE ? BOUND_UNKNOWN : BOUND_GPU;
	if (queueing <= DOES_NOT)
		return BOUND_CPU;
	if (in->gpu_busy < 0)
		return BOUND_UNKNOWN;
	return in->gpu_busy >= BUSY ? BOUND_GPU : BOUND_CPU;
}

const char *agentcg_bound_name(enum bound b)
{
	return b == BOUND_CPU ? "cpu" : b == BOUND_GPU ? "gpu" : "unknown";
}

uint64_t agentcg_launch_quantile(const uint64_t *counts, size_t n, unsigned int permille)
{
	double rank, within;
	uint64_t all = 0, seen = 0, from, to;

	for (size_t i = 0; i < n; i++)
		all += counts[i];
	rank = (double)all * permille / 1000;
	for (size_t i = 0; i < n; i++) {
		if (!counts[i] || (double)(seen + counts[i]) < rank) {
			seen += counts[i];
			continue;
		}
		from = agentcg_bucket_floor(i);
		to = agentcg_bucket_floor(i + 1);
		within = (rank - (double)seen) / (double)counts[i];
		return from + (uint64_t)(within * (double)(to - from));
	}
	return 0;
}
