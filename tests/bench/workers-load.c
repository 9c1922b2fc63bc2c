// SPDX-License-Identifier: GPL-2.0-only
/*
 * What runs beside an inference worker in the benchmark "workers".
 *
 *	spin CPU ROUNDS		a fixed amount of work on that CPU; prints the microseconds that it took
 *	keep CPU...		keeps these CPUs busy until it is killed, while nobody else wants them
 *	fill CPU		keeps that CPU busy, until its parent ends
 *	hog MIB FILE		a tool call: gets MIB of memory and computes over it, and that over and
 *				over, until FILE exists; then it ends well
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define MIB	(1024UL * 1024)
#define PAGE	4096
/* Few of them fault: where CPUs are emulated, one that waits for a lock of the kernel gives its turn away. */
#define PASSES	12

static volatile uint64_t sink;

static void bind_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0) {
		perror("workers-load: sched_setaffinity");
		exit(1);
	}
}

static void compute(unsigned long rounds)
{
	uint64_t x = 88172645463325252ULL;

	for (unsigned long i = 0; i < rounds; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	sink = x;
}

static int spin(int cpu, unsigned long rounds)
{
	struct timespec a, b;

	bind_to(cpu);
	compute(rounds / 10);
	clock_gettime(CLOCK_MONOTONIC, &a);
	compute(rounds);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%ld\n", (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
	return 0;
}

static _Noreturn void keep(int n, char **cpus)
{
	struct sched_param none = {};

	if (sched_setscheduler(0, SCHED_IDLE, &none) < 0) {
		perror("workers-load: SCHED_IDLE");
		exit(1);
	}
	for (int i = 1; i < n; i++) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			bind_to(atoi(cpus[i]));
			for (;;)
				compute(1000000);
		}
	}
	bind_to(atoi(cpus[0]));
	for (;;)
		compute(1000000);
}

static _Noreturn void fill(int cpu)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bind_to(cpu);
	for (;;)
		compute(1000000);
}

static int hog(unsigned long mib, const char *file)
{
	while (access(file, F_OK) < 0) {
		char *p = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			perror("workers-load: mmap");
			return 1;
		}
		for (int pass = 0; pass < PASSES; pass++) {
			for (unsigned long at = 0; at < mib * MIB; at += PAGE) {
				p[at]++;
				compute(pass ? 500 : 0);
			}
		}
		munmap(p, mib * MIB);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "spin"))
		return spin(atoi(argv[2]), strtoul(argv[3], NULL, 10));
	if (argc > 2 && !strcmp(argv[1], "keep"))
		keep(argc - 2, argv + 2);
	if (argc == 3 && !strcmp(argv[1], "fill"))
		fill(atoi(argv[2]));
	if (argc == 4 && !strcmp(argv[1], "hog"))
		return hog(strtoul(argv[2], NULL, 10), argv[3]);
	fprintf(stderr, "usage: workers-load spin CPU ROUNDS | keep CPU... | fill CPU | hog MIB FILE\n");
	return 2;
}
