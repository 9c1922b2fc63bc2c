// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults a second: maps, touches and unmaps 64 MiB for MS milliseconds of
 * its own CPU time, so that what else runs does not count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "policy.h"

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	double begin, limit = argc > 1 ? atof(argv[1]) : 1000;
	long i, size = 64 * MIB, faults = 0;
	char *p;

	begin = cpu_ms();
	while (cpu_ms() - begin < limit) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return 1;
		madvise(p, size, MADV_NOHUGEPAGE);
		for (i = 0; i < size; i += PAGE)
			p[i] = 1;
		faults += size / PAGE;
		munmap(p, size);
	}
	printf("%.1f\n", faults / (cpu_ms() - begin) * 1e3);
	return 0;
}
