// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "group.h"

#define BASE "/sys/fs/cgroup/agentcg-test"

const char *group_controllers = "+memory +pids";

double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static int write_file(const char *dir, const char *file, const char *text)
{
	char path[512];
	int fd, ret = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int group_make(struct group *g, const char *name)
{
	struct stat st;
	char *p;

	snprintf(g->path, sizeof(g->path), BASE "/%s", name);
	write_file("/sys/fs/cgroup", "cgroup.subtree_control", group_controllers);
	for (p = g->path + strlen("/sys/fs/cgroup/"); p; p = strchr(p + 1, '/')) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(g->path, 0755) && errno != EEXIST)
			return -errno;
		write_file(g->path, "cgroup.subtree_control", group_controllers);
		*p = '/';
	}
	if (mkdir(g->path, 0755) && errno != EEXIST)
		return -errno;
	if (stat(g->path, &st))
		return -errno;
	g->id = st.st_ino;
	return 0;
}

void group_remove(struct group *g)
{
	int i;

	if (!g->path[0])
		return;
	write_file(g->path, "cgroup.kill", "1");
	write_file(g->path, "cgroup.freeze", "0");
	for (i = 0; i < 500 && rmdir(g->path) && errno == EBUSY; i++)
		sleep_ms(10);
	g->path[0] = 0;
}

int group_write(const struct group *g, const char *file, const char *text)
{
	return write_file(g->path, file, text);
}

long group_read(const struct group *g, const char *file, const char *key)
{
	char path[512], line[256];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", g->path, file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!key && !strncmp(line, "max", 3))
			value = INT64_MAX;
		else if (!key)
			sscanf(line, "%ld", &value);
		else if (!strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), "%*[ =]%ld", &value);
		if (value >= 0)
			break;
	}
	fclose(f);
	return value;
}

long group_usage(const struct group *g)
{
	return group_read(g, "memory.current", NULL);
}
