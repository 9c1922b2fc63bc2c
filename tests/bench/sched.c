// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs our scheduler for the CPU benchmark, until the end of its standard
 * input, and does what that says, one answer for each line:
 *
 *	interactive GROUP	declares the group (below /sys/fs/cgroup)
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "scheduler.h"

static int find_group(struct group *g, const char *name)
{
	struct stat st;

	snprintf(g->path, sizeof(g->path), "/sys/fs/cgroup/%s", name);
	if (stat(g->path, &st))
		return -errno;
	g->id = st.st_ino;
	return 0;
}

static void answer(struct sched *s, const char *what, const char *name)
{
	struct group g;
	long err = find_group(&g, name);

	if (!err && strcmp(what, "interactive"))
		err = -EINVAL;
	if (!err)
		err = sched_hint(s, g.id, 0, AGENTCG_CLASS_INTERACTIVE, 0);
	if (err)
		printf("error: %s\n", strerror(-err));
	else
		puts("done");
	fflush(stdout);
}

int main(void)
{
	char what[32], name[128];
	struct sched s;

	if (sched_start(&s, 0))
		return 1;
	while (scanf("%31s %127s", what, name) == 2)
		answer(&s, what, name);
	sched_stop(&s);
	return 0;
}
