/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Cgroups for tests, below /sys/fs/cgroup/agentcg-test, and time.
 */
#ifndef _TEST_GROUP_H
#define _TEST_GROUP_H

#include <linux/types.h>

struct group {
	char path[256];
	__u64 id;
};

/* What the parents get; "+memory +pids" unless a program says otherwise. */
extern const char *group_controllers;

/* @name may have slashes; makes parents too.  0 or a negative errno. */
int group_make(struct group *g, const char *name);
/* Kills what is in it. */
void group_remove(struct group *g);
int group_write(const struct group *g, const char *file, const char *text);
/* A number in a file, after @key if not NULL; -1 when it is not there. */
long group_read(const struct group *g, const char *file, const char *key);
/* Memory, bytes */
long group_usage(const struct group *g);

double now_ms(void);
void sleep_ms(long ms);

#endif
