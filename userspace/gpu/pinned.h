/* SPDX-License-Identifier: GPL-2.0-only */
/* Host memory of a worker that cannot be reclaimed, and that of it which no cgroup is charged for. */
#ifndef _AGENTCG_PINNED_H
#define _AGENTCG_PINNED_H

#include <sys/types.h>

#include "util.h"

struct pinned {
	uint64_t locked;	/* by mlock() */
	uint64_t longterm;	/* VmPin: by RDMA, io_uring, VFIO */
	uint64_t driver;	/* system memory that NVIDIA's driver allocated for it (cudaHostAlloc), mapped by it; not charged */
	uint64_t managed;	/* cudaMallocManaged, as far as it is in host memory; charged.  Only if thorough */
	uint64_t hugetlb;	/* huge pages that it uses; of the machine's pool, so not in the sums below */
};

static inline uint64_t agentcg_pinned_total(const struct pinned *p)
{
	return p->locked + p->longterm + p->driver + p->managed;
}

static inline uint64_t agentcg_pinned_uncharged(const struct pinned *p)
{
	return p->driver;
}

/*
 * Adds what process @pid has to @ret, so that a worker is the sum of its processes.  @proc: "/proc".
 * @thorough: by smaps, which walks the page tables of all that it has (seconds for hundreds of GiB, and page faults
 * wait meanwhile): what two processes share is then counted once, and locked is what is there. Without, by maps: as much as is
 * mapped.  -ESRCH: it is gone.
 */
int agentcg_pinned_read(const char *proc, pid_t pid, bool thorough, struct pinned *ret);

/* The same of text that has been read: maps or smaps, and status. */
void agentcg_pinned_parse_maps(const char *text, struct pinned *ret);
void agentcg_pinned_parse_status(const char *text, struct pinned *ret);

/*
 * Bytes of the machine's memory that are neither free nor of any kind that /proc/meminfo names: what drivers allocated
 * for themselves and for their users.  Some 100 MiB are always missing (free pages that CPUs keep for
 * themselves, network buffers); what counts is by how much it grows.
 */
uint64_t agentcg_pinned_parse_meminfo(const char *text);
int agentcg_pinned_unaccounted(const char *proc, uint64_t *ret);

#endif
