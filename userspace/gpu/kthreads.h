/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel threads that may run anywhere are kept off the workers' CPUs: since 7.0 a
 * cpuset partition leaves them alone.  6.12 moves all of them itself, and forgets where they belonged (kswapd to
 * its node), so that is noted before there is a partition.  Those that the kernel
 * has bound (PF_NO_SETAFFINITY: per CPU, kworkers) stay where they are.
 */
#ifndef _AGENTCG_KTHREADS_H
#define _AGENTCG_KTHREADS_H

#include <sys/types.h>
#include <systemd/sd-json.h>

#include "cpus.h"
#include "util.h"

#define AGENTCG_KTHREADS_MAX	256

struct kthread {
	pid_t pid;
	uint64_t start;			/* with the number, it is this one */
	struct cpus before;
};

struct kthreads {
	struct kthread list[AGENTCG_KTHREADS_MAX];
	size_t nr;
};

/* Adds those that could run on @cpus (NULL: all) and are not known yet; how many.  Nothing is changed yet: note them first. */
size_t agentcg_kthreads_find(struct kthreads *k, const struct cpus *cpus);
/* All that are known run elsewhere than on @cpus, and where they ran before; with no CPUs they are forgotten. */
void agentcg_kthreads_apply(struct kthreads *k, const struct cpus *cpus);

int agentcg_kthreads_build(const struct kthreads *k, sd_json_variant **ret);
void agentcg_kthreads_load(struct kthreads *k, sd_json_variant *v);

#endif
