// SPDX-License-Identifier: GPL-2.0-only
#include "scx.h"

#include "btf.h"

#define PATH_SIZE	512

/* The first line of a file of sysfs; "" if there is none. */
static void read_line(const char *root, const char *file, char *buf, size_t size)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%s/sys/kernel/sched_ext/%s", root, file);
	f = fopen(path, "re");
	if (!f || !fgets(buf, (int)size, f))
		*buf = 0;
	buf[strcspn(buf, "\n")] = 0;
}

void agentcg_scx_look(const char *root, struct agentcg_scx *ret)
{
	*ret = (struct agentcg_scx){};
	read_line(root, "state", ret->state, sizeof(ret->state));
	read_line(root, "root/ops", ret->name, sizeof(ret->name));
}

int agentcg_scx_check(const char *root, unsigned int *ret_functions, char *why)
{
	_cleanup_(agentcg_btf_done) struct agentcg_btf btf = {};
	unsigned int n, broken;
	char path[PATH_SIZE];
	int r;

	snprintf(path, sizeof(path), "%s/sys/kernel/sched_ext", root);
	if (access(path, F_OK) < 0) {
		snprintf(why, AGENTCG_WHY_MAX, "the kernel has no sched_ext");
		return -EOPNOTSUPP;
	}
	snprintf(path, sizeof(path), "%s/sys/kernel/btf/vmlinux", root);
	r = agentcg_btf_load(path, &btf);
	if (r < 0) {
		snprintf(why, AGENTCG_WHY_MAX, "the kernel's types cannot be read: %s", strerror(-r));
		return r;
	}
	n = agentcg_btf_functions(&btf, "scx_bpf_", &broken);
	if (ret_functions)
		*ret_functions = n;
	if (!broken)
		return 0;
	snprintf(why, AGENTCG_WHY_MAX,
		 "this kernel build is broken: %u of its %u sched_ext functions show a hidden argument (aux) in BTF, so no sched_ext scheduler loads; use another kernel package",
		 broken, n);
	return -ENOEXEC;
}
