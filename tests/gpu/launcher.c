// SPDX-License-Identifier: GPL-2.0-only
/*
 * Launches as an inference worker does, with the fake libcuda.so.1 beside it.
 *
 *	launcher woken THREADS RATE SECONDS WORK	each thread is woken by a peer RATE times a second, does WORK instructions
 *							and launches; ends with the library's report
 *	launcher steady SECONDS WORK CALL		launches, with WORK instructions between, CALL in each; for each half second a line:
 *							when, how many launches a second, how many so far met a breakpoint
 *	launcher waits SECONDS WORK CALL WAIT		as steady, in steps of 20 launches, at the end of which it waits for the GPU
 *
 * With LATE=SECONDS in the environment it loads the library that much later.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cuda.h"

#define SEC	1000000000ULL
#define MOST	64

static struct fake_cuda *cuda;
static int (*launch)(void), (*synchronize)(void);
static atomic_int done;

struct pair {
	pthread_t thread, waker;
	_Alignas(64) atomic_uint turn;
	atomic_int sleeps;
	atomic_ulong when;
	uint64_t period, work;
	unsigned int seed;
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec;
}

static void until(uint64_t when)
{
	struct timespec ts = { .tv_sec = (time_t)(when / SEC), .tv_nsec = (long)(when % SEC) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void work(uint64_t instructions)
{
	for (uint64_t n = instructions / 2; n; n--)
		__asm__ volatile("" : "+r"(n));
}

static long futex(atomic_uint *word, int op, unsigned int value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static void *worker(void *userdata)
{
	struct pair *p = userdata;
	unsigned int seen = 0;

	while (!atomic_load(&done)) {
		atomic_store(&p->sleeps, 1);
		while (atomic_load(&p->turn) == seen)
			futex(&p->turn, FUTEX_WAIT_PRIVATE, seen);
		seen = atomic_load(&p->turn);
		work(p->work);
		cuda->woken(atomic_load(&p->when));
		launch();
	}
	return NULL;
}

/* Only a thread that sleeps is woken: one that is late is left alone for that turn. */
static void *waker(void *userdata)
{
	struct pair *p = userdata;
	uint64_t next = now();

	while (!atomic_load(&done)) {
		next += p->period / 2 + (uint64_t)rand_r(&p->seed) % p->period;
		until(next);
		if (!atomic_exchange(&p->sleeps, 0))
			continue;
		atomic_store(&p->when, now());
		atomic_fetch_add(&p->turn, 1);
		futex(&p->turn, FUTEX_WAKE_PRIVATE, 1);
	}
	return NULL;
}

static int woken(int threads, uint64_t rate, uint64_t seconds, uint64_t instructions)
{
	static struct pair pairs[MOST];

	for (int i = 0; i < threads && i < MOST; i++) {
		pairs[i].period = SEC / rate;
		pairs[i].work = instructions;
		pairs[i].seed = (unsigned int)i + 1;
		pthread_create(&pairs[i].thread, NULL, worker, &pairs[i]);
		pthread_create(&pairs[i].waker, NULL, waker, &pairs[i]);
	}
	until(now() + seconds * SEC);
	atomic_store(&done, 1);
	cuda->report(stdout);
	_exit(0);
}

static int steady(uint64_t seconds, uint64_t instructions, uint64_t wait)
{
	uint64_t start = now(), end = start + seconds * SEC, next = start + SEC / 2, before = 0, n = 0, t = start;

	while (t < end) {
		for (int i = 0; i < 20; i++) {
			work(instructions);
			launch();
		}
		if (wait)
			synchronize();
		n += 20;
		t = now();
		if (t < next)
			continue;
		printf("%.6f %.3f %lu\n", (double)t / SEC, (double)(n - before) * SEC / (double)(t - next + SEC / 2), cuda->probed());
		fflush(stdout);
		before = n;
		next = t + SEC / 2;
	}
	cuda->report(stdout);
	return 0;
}

static int load(const char *program)
{
	char path[4096];
	void *library;

	if (getenv("LATE"))
		sleep((unsigned int)atoi(getenv("LATE")));
	snprintf(path, sizeof(path), "%s", program);
	*(strrchr(path, '/') ? strrchr(path, '/') : path) = 0;
	strncat(path, "/libcuda.so.1", sizeof(path) - strlen(path) - 1);
	library = dlopen(path, RTLD_NOW);
	if (!library) {
		fprintf(stderr, "launcher: %s\n", dlerror());
		return -1;
	}
	cuda = dlsym(library, "fake_cuda");
	*(void **)&launch = dlsym(library, "cuLaunchKernel");
	*(void **)&synchronize = dlsym(library, "cuStreamSynchronize");
	return cuda && launch && synchronize ? 0 : -1;
}

int main(int argc, char **argv)
{
	uint64_t n[5] = {};

	for (int i = 2; i < argc && i < 7; i++)
		n[i - 2] = strtoull(argv[i], NULL, 10);
	if (argc < 5 || load(argv[0])) {
		fprintf(stderr, "Usage: launcher woken|steady|waits NUMBER...; see tests/gpu/launcher.c\n");
		return 2;
	}
	if (!strcmp(argv[1], "woken"))
		return woken((int)n[0], n[1], n[2], n[3]);
	cuda->load(&(struct fake_cuda_load){ .call = n[2], .wait = n[3] });
	return steady(n[0], n[1], n[3]);
}
