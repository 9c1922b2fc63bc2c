// SPDX-License-Identifier: GPL-2.0-only
#include "reclaim.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "cgroup.h"

/* Reclaim is bound by the lru locks: more at once gain nothing. */
#define MAX_THREADS	2

/* All that a thread does is two system calls. */
#define STACK_SIZE	(64 * KIB)

struct job {
	int fd;
	uint64_t bytes;
	bool cache_only;
};

static atomic_int running;

static void *work(void *userdata)
{
	struct job *job = userdata;
	char text[64];
	int r = -EINVAL;

	/* 6.12 and later know swappiness; without it is better than not at all. */
	if (job->cache_only) {
		snprintf(text, sizeof(text), "%" PRIu64 " swappiness=0", job->bytes);
		r = agentcg_cgroup_write(job->fd, "memory.reclaim", text);
	}
	if (r == -EINVAL)
		agentcg_cgroup_write_u64(job->fd, "memory.reclaim", job->bytes);
	close(job->fd);
	free(job);
	running--;
	return NULL;
}

bool agentcg_reclaim_runs(void)
{
	return running > 0;
}

int agentcg_reclaim(int fd, uint64_t bytes, bool cache_only)
{
	_cleanup_free_ struct job *job = malloc(sizeof(*job));
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (!job)
		return -ENOMEM;
	if (running >= MAX_THREADS)
		return -EBUSY;
	*job = (struct job){ fcntl(fd, F_DUPFD_CLOEXEC, 3), bytes, cache_only };
	if (job->fd < 0)
		return -errno;
	/* Signals are for the event loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	running++;
	r = pthread_create(&thread, &attr, work, job);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		running--;
		close(job->fd);
		return -r;
	}
	TAKE_PTR(job);
	return 0;
}
