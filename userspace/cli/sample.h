/* SPDX-License-Identifier: GPL-2.0-only */
/* What GetScheduler told over an interval, put together. */
#ifndef _AGENTCG_SAMPLE_H
#define _AGENTCG_SAMPLE_H

#include <systemd/sd-varlink.h>

#include "latency.h"

struct agentcg_sample_group {
	uint64_t id, parent;		/* 0: none that is listed */
	char name[96];			/* "": not the caller's */
	char class[16];			/* "" without sched_ext */
	uint32_t weight;
	double limit;			/* CPUs; INFINITY: none */
	uint64_t usage;			/* ns, at the begin */
	uint64_t runnable, busy;	/* sums over the readings */
	struct agentcg_latency before;
	/* of the interval */
	double got;			/* CPUs */
	double asked;			/* CPUs; -1: not known */
	struct agentcg_latency latency;
	bool seen;			/* in the last reading */
};

struct agentcg_sample {
	bool sched_ext;
	char reason[AGENTCG_WHY_MAX];
	unsigned int cpus;
	uint64_t interval_ns;
	struct agentcg_sample_group *groups;
	size_t n;
	uint64_t begin_ns;
	unsigned int readings;
};

/* Takes @interval usec.  Negative errno, perhaps with a sentence in @why. */
int agentcg_sample_take(struct agentcg_sample *s, sd_varlink *link, uint64_t interval, char *why);
void agentcg_sample_done(struct agentcg_sample *s);

#endif /* _AGENTCG_SAMPLE_H */
