// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands for an inference worker where only its place counts: allocates so many MiB,
 * writes to them, has threads that compute, and says "ready"; ends when its standard
 * input does.  With a file (third argument) it maps that too, as engines do with weights.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void *compute(void *unused)
{
	for (;;)
		__asm__ volatile("" ::: "memory");
	return unused;
}

static void map_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	volatile char *p;

	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(path);
		exit(2);
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	for (off_t i = 0; p != MAP_FAILED && i < st.st_size; i += 4096)
		(void)p[i];
}

int main(int argc, char **argv)
{
	size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 64) << 20;
	long threads = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), c;
	pthread_t thread;

	if (memory == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	memset(memory, 1, bytes);
	if (argc > 3)
		map_file(argv[3]);
	while (threads-- > 0)
		if (pthread_create(&thread, NULL, compute, NULL))
			return 2;
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	return 0;
}
