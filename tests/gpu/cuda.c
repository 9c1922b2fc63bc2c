// SPDX-License-Identifier: GPL-2.0-only
/*
 * A libcuda.so.1 without a GPU: the functions that the launch probe looks at take so many
 * instructions, and of each launch it is written down when its thread was woken (as its
 * waker says) and when it came.  A breakpoint at the function's first byte shows
 * whether the probe saw that launch.
 *
 * Of checkpoints it knows what is in the folder AGENTCG_FAKE_CUDA: a process uses CUDA if a file there has its PID as name
 * and its state as text (running, locked, checkpointed, failed). A file "fail" there has the name of a function that fails;
 * "slow": checkpoints take a second.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cuda.h"

#define API	__attribute__((visibility("default"), noinline))
#define MAX	1000000
#define INT3	0xcc

struct launch {
	uint64_t delay;
	int probed;
};

static struct launch log_of[MAX];
static atomic_ulong nr_logged, nr_launches, nr_probed;
static struct fake_cuda_load load = { .call = 750 };
static __thread uint64_t woken_at;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* Two instructions a turn. */
static int spend(uint64_t instructions)
{
	for (uint64_t n = instructions / 2; n; n--)
		__asm__ volatile("" : "+r"(n));
	return 0;
}

static int launched(const void *function)
{
	int probed = *(const volatile unsigned char *)function == INT3;
	unsigned long i;

	atomic_fetch_add_explicit(&nr_launches, 1, memory_order_relaxed);
	if (probed)
		atomic_fetch_add_explicit(&nr_probed, 1, memory_order_relaxed);
	if (woken_at) {
		i = atomic_fetch_add(&nr_logged, 1);
		if (i < MAX)
			log_of[i] = (struct launch){ .delay = now() - woken_at, .probed = probed };
		woken_at = 0;
	}
	return spend(load.call);
}

API int cuLaunchKernel(void)
{
	return launched(cuLaunchKernel);
}

API int cuLaunchKernelEx(void)
{
	return launched(cuLaunchKernelEx);
}

API int cuGraphLaunch(void)
{
	return launched(cuGraphLaunch);
}

API int cuStreamSynchronize(void)
{
	return spend(load.wait);
}

/* ---- checkpoints --------------------------------------------------------- */

#define INVALID_VALUE	1
#define NO_DEVICE	100
#define ILLEGAL_STATE	401

static const char *const states[] = { "running", "locked", "checkpointed", "failed" };

static int read_word(const char *name, char word[64])
{
	char path[256];
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "%s/%s", getenv("AGENTCG_FAKE_CUDA") ?: "", name);
	f = fopen(path, "re");
	n = f ? fscanf(f, "%63s", word) : 0;
	if (f)
		fclose(f);
	return n == 1;
}

static int state_of(int pid)
{
	char name[16], word[64];

	snprintf(name, sizeof(name), "%d", pid);
	for (int i = 0; read_word(name, word) && i < 4; i++)
		if (!strcmp(word, states[i]))
			return i;
	return -1;
}

static int step(const char *function, int pid, int from, int to)
{
	char path[256], word[64];
	FILE *f;

	if (read_word("fail", word) && !strcmp(word, function))
		return ILLEGAL_STATE;
	if (state_of(pid) != from)
		return state_of(pid) < 0 ? INVALID_VALUE : ILLEGAL_STATE;
	snprintf(path, sizeof(path), "%s/%d", getenv("AGENTCG_FAKE_CUDA"), pid);
	f = fopen(path, "we");
	if (!f)
		return INVALID_VALUE;
	fprintf(f, "%s\n", states[to]);
	return fclose(f) ? INVALID_VALUE : 0;
}

API int cuInit(unsigned int flags)
{
	return flags || !getenv("AGENTCG_FAKE_CUDA") ? NO_DEVICE : 0;
}

API int cuCheckpointProcessGetState(int pid, int *state)
{
	*state = state_of(pid);
	return *state < 0 ? INVALID_VALUE : 0;
}

API int cuCheckpointProcessLock(int pid, void *args)
{
	return step(__func__, pid, 0, 1);
}

API int cuCheckpointProcessCheckpoint(int pid, void *args)
{
	char word[64];

	if (read_word("slow", word))
		sleep(1);
	return step(__func__, pid, 1, 2);
}

API int cuCheckpointProcessRestore(int pid, void *args)
{
	return step(__func__, pid, 2, 1);
}

API int cuCheckpointProcessUnlock(int pid, void *args)
{
	return step(__func__, pid, 1, 0);
}

/* ---- its own clock ------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void report_some(FILE *f, const char *name, int only_probed)
{
	unsigned long n = 0, logged = atomic_load(&nr_logged);
	uint64_t *delays = calloc(MAX, sizeof(*delays));
	double sum = 0;

	for (unsigned long i = 0; delays && i < logged && i < MAX; i++)
		if (log_of[i].probed || !only_probed) {
			delays[n++] = log_of[i].delay;
			sum += (double)log_of[i].delay;
		}
	if (n)
		qsort(delays, n, sizeof(*delays), by_value);
	fprintf(f, "\"%s\": {\"sampled\": %lu, \"mean\": %.0f, \"p50\": %lu, \"p99\": %lu}", name, n, n ? sum / (double)n : 0.0,
		n ? delays[(n - 1) / 2] : 0, n ? delays[(n - 1) * 99 / 100] : 0);
	free(delays);
}

static void set_load(const struct fake_cuda_load *l)
{
	load = *l;
}

static void woken(uint64_t when)
{
	woken_at = when;
}

static uint64_t probed(void)
{
	return atomic_load(&nr_probed);
}

static void report(FILE *f)
{
	fprintf(f, "{\"launches\": %lu, \"probed\": %lu, ", atomic_load(&nr_launches), atomic_load(&nr_probed));
	report_some(f, "all", 0);
	fprintf(f, ", ");
	report_some(f, "seen", 1);
	fprintf(f, "}\n");
	fflush(f);
}

__attribute__((visibility("default"))) struct fake_cuda fake_cuda = {
	.load = set_load, .woken = woken, .report = report, .probed = probed
};
