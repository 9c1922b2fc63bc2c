// SPDX-License-Identifier: GPL-2.0-only
/*
 * attach CGROUP: attaches the memory policy to a cgroup, until a signal comes.
 *
 * The kernel's selftests make their groups at the root of the hierarchy.  Only
 * a policy that is attached there, above them, is asked about them; the daemon
 * would attach it to its own slice.  The pool is one of 1 TiB, so nobody is
 * held; what a test sees is that the policy is asked at all.
 *
 * Says "attached" once it is, and at the end how often each callback ran.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agentcg.h"
#include "memory.skel.h"

static int set_up(struct memory_bpf *skel, __u64 cgroup_id)
{
	struct agentcg_pool pool = {
		.cgroup_id = cgroup_id,
		.limit = 1ULL << 40,
		.step_min = 256 << 10,
		.step_max = 4 << 20,
		.hold_ms = 30000,
	};
	__u32 zero = 0;

	return bpf_map__update_elem(skel->maps.pool, &zero, sizeof(zero), &pool, sizeof(pool), 0);
}

static void print_runs(const char *name, const struct bpf_program *prog)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	if (!bpf_prog_get_info_by_fd(bpf_program__fd(prog), &info, &len))
		printf("%s %llu\n", name, info.run_cnt);
}

int main(int argc, char **argv)
{
	struct memory_bpf *skel;
	struct bpf_link *link;
	struct stat st;
	sigset_t set;
	int sig;

	if (argc != 2 || stat(argv[1], &st)) {
		fprintf(stderr, "usage: attach CGROUP-DIRECTORY\n");
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);

	skel = memory_bpf__open();
	if (!skel)
		goto fail;
	skel->struct_ops.memory_ops->cgroup_id = st.st_ino;
	if (memory_bpf__load(skel) || set_up(skel, st.st_ino))
		goto fail;
	/* Has the kernel count; as long as this process lives. */
	if (bpf_enable_stats(BPF_STATS_RUN_TIME) < 0)
		goto fail;
	link = bpf_map__attach_struct_ops(skel->maps.memory_ops);
	if (!link)
		goto fail;
	printf("attached\n");
	fflush(stdout);
	sigwait(&set, &sig);
	print_runs("get_high_delay_ms", skel->progs.get_high_delay_ms);
	print_runs("below_low", skel->progs.below_low);
	print_runs("below_min", skel->progs.below_min);
	bpf_link__destroy(link);
	memory_bpf__destroy(skel);
	return 0;
fail:
	fprintf(stderr, "attach: cannot attach the policy to %s: %s\n", argv[1], strerror(errno));
	return 1;
}
