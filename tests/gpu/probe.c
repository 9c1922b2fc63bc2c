// SPDX-License-Identifier: GPL-2.0-only
/*
 * The daemon's launch probe by itself, on the group whose directory is the argument.  For each line of standard input it
 * answers with one line of JSON: the figures; "threads" has it name the threads.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "launches.h"

static void figures(struct launches *l, uint64_t id)
{
	struct launch_figures f = {};

	agentcg_launches_read(l, id, &f);
	printf("{\"cost\": %lu, \"launches\": %lu, \"seen\": %lu, \"sampled\": %lu, \"mean\": %lu, \"p50\": %lu, \"p99\": %lu, "
	       "\"tklqt\": %lu, \"rate\": %.1f, \"queueing\": %.4f, \"bound\": \"%s\", \"windows\": %u, \"detached\": %s, \"reason\": \"%s\"}\n",
	       agentcg_launches_cost(l), f.launches, f.seen, f.sampled, f.delay_nsec, f.p50_nsec, f.p99_nsec, f.tklqt_nsec, f.rate,
	       agentcg_bound_queueing(&f.bound), agentcg_bound_name(agentcg_bound_by(&f.bound)), f.windows,
	       f.detached ? "true" : "false", f.reason);
}

static void threads(struct launches *l, uint64_t id)
{
	pid_t tids[AGENTCG_LAUNCH_THREADS];
	int n = agentcg_launches_threads(l, id, tids, ARRAY_SIZE(tids));

	printf("[");
	for (int i = 0; i < n; i++)
		printf("%s%d", i ? ", " : "", tids[i]);
	printf("]\n");
}

int main(int argc, char **argv)
{
	char line[64], why[AGENTCG_WHY_MAX] = "";
	struct launches *l = NULL;
	struct stat st;
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "Usage: probe CGROUP-DIRECTORY\n");
		return 2;
	}
	if (agentcg_launches_open(&l) < 0 || agentcg_launches_add(l, st.st_ino, fd, 0, why) < 0) {
		fprintf(stderr, "probe: %s\n", why);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (streq(line, "threads\n"))
			threads(l, st.st_ino);
		else
			figures(l, st.st_ino);
		fflush(stdout);
	}
	agentcg_launches_remove(l, st.st_ino);
	agentcg_launches_close(l);
	return 0;
}
