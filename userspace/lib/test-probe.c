// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machines made of files: each test changes one thing and looks at the
 * finding that is about it.
 */
#include <bpf/btf.h>
#include <ftw.h>
#include <sys/stat.h>

#include "btf.h"
#include "probe.h"
#include "scx.h"
#include "tap.h"
#include "util.h"

static char root[] = "/tmp/agentcg-test-probe.XXXXXX";

static const char *at(const char *path)
{
	static char buf[512];

	snprintf(buf, sizeof(buf), "%s%s", root, path);
	return buf;
}

static void put_bytes(const char *path, const void *data, size_t size)
{
	char dir[512], *p;
	FILE *f;

	snprintf(dir, sizeof(dir), "%s", at(path));
	for (p = strchr(dir + strlen(root) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		mkdir(dir, 0755);
		*p = '/';
	}
	f = fopen(dir, "we");
	if (!f || fwrite(data, 1, size, f) != size || fclose(f))
		perror(dir);
}

static void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

static void drop(const char *path)
{
	if (remove(at(path)) < 0)
		perror(path);
}

static const struct agentcg_finding *find(const struct agentcg_probe *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->nr_findings; i++)
		if (streq(p->findings[i].name, name))
			return &p->findings[i];
	return NULL;
}

static void expect(const char *name, enum agentcg_level level, const char *text, bool enforceable)
{
	struct agentcg_probe p;
	const struct agentcg_finding *f;
	bool ok;

	agentcg_probe(&p, root);
	f = find(&p, name);
	ok = f && f->level == level && strstr(f->text, text) && agentcg_probe_enforceable(&p) == enforceable;
	if (!tap_ok(ok, "%s is %s: %s", name, agentcg_level_name(level), text))
		printf("# %s, %s: %s\n", f ? agentcg_level_name(f->level) : "-", f ? f->text : "-",
		       agentcg_probe_enforceable(&p) ? "enforceable" : "not enforceable");
}

/* One good kfunc, and a second one with or without the hidden argument. */
static void put_vmlinux_btf(bool broken)
{
	struct btf *btf = btf__new_empty();
	int u64, aux, ptr, proto, bare;
	const void *data;
	uint32_t size;

	u64 = btf__add_int(btf, "u64", 8, 0);
	aux = btf__add_struct(btf, "bpf_prog_aux", 8);
	btf__add_field(btf, "id", u64, 0, 0);
	ptr = btf__add_ptr(btf, btf__add_const(btf, aux));
	proto = btf__add_func_proto(btf, u64);
	btf__add_func_param(btf, "dsq_id", u64);
	btf__add_func_param(btf, "aux", ptr);
	bare = btf__add_func_proto(btf, u64);
	btf__add_func_param(btf, "dsq_id", u64);
	btf__add_func(btf, "scx_bpf_now", BTF_FUNC_STATIC, bare);
	btf__add_func(btf, "scx_bpf_dsq_insert_impl", BTF_FUNC_STATIC, proto);
	btf__add_func(btf, "scx_bpf_dsq_insert", BTF_FUNC_STATIC, broken ? proto : bare);
	data = btf__raw_data(btf, &size);
	put_bytes("/sys/kernel/btf/vmlinux", data, size);
	btf__free(btf);
}

static void put_module_btf(const char *name)
{
	struct btf *btf = btf__new_empty();
	const void *data;
	uint32_t size;

	btf__add_struct(btf, name, 8);
	data = btf__raw_data(btf, &size);
	put_bytes("/sys/kernel/btf/agentcg", data, size);
	btf__free(btf);
}

/* A machine where everything is in place. */
static void put_machine(void)
{
	put("/proc/sys/kernel/osrelease", "7.2.12+deb14-cloud-amd64\n");
	put("/proc/self/mounts", "cg /sys/fs/cgroup cgroup2 rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0\n");
	put("/proc/kallsyms", "0000000000000000 T __mem_cgroup_handle_over_high\n"
			      "0000000000000000 T mem_cgroup_calculate_protection\n"
			      "0000000000000000 t x\t[mod]\n");
	put("/proc/pressure/memory", "some avg10=0.00\n");
	put("/proc/swaps", "Filename Type Size Used Priority\n");
	put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
	put("/sys/fs/cgroup/a.slice/cgroup.events", "populated 0\n");
	put("/sys/fs/cgroup/a.slice/cgroup.kill", "");
	put("/sys/fs/cgroup/a.slice/memory.reclaim", "");
	put("/sys/fs/cgroup/a.slice/memory.peak", "0\n");
	put("/sys/fs/bpf/agentcg/memory_ops", "");
	put("/sys/kernel/sched_ext/state", "disabled\n");
	put("/sys/module/agentcg/stats/abi", "1\n");
	put_vmlinux_btf(false);
	put_module_btf("bpf_struct_ops_agentcg_ops");
}

static void test_good(void)
{
	struct agentcg_probe p;
	size_t i, good = 0;

	agentcg_probe(&p, root);
	for (i = 0; i < p.nr_findings; i++) {
		good += p.findings[i].level == AGENTCG_LEVEL_OK;
		printf("# %s %s: %s\n", agentcg_level_name(p.findings[i].level), p.findings[i].name,
		       p.findings[i].text);
	}
	tap_ok(good == p.nr_findings && agentcg_probe_enforceable(&p), "all is well on a good machine");
}

static void test_cgroup(void)
{
	put("/sys/fs/cgroup/cgroup.controllers", "cpuset io memory_recursiveprot pids\n");
	expect("controller memory", AGENTCG_LEVEL_MISSING, "cgroup_disable=memory", false);
	expect("controller cpu", AGENTCG_LEVEL_LIMITED, "not available", false);
	put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");

	drop("/sys/fs/cgroup/a.slice/cgroup.kill");
	expect("cgroup.kill", AGENTCG_LEVEL_LIMITED, "not available", true);
	put("/sys/fs/cgroup/a.slice/cgroup.kill", "");

	put("/proc/self/mounts", "bpf /sys/fs/bpf bpf rw 0 0\n");
	expect("cgroup v2", AGENTCG_LEVEL_MISSING, "not mounted", false);
	put("/proc/self/mounts", "cg /sys/fs/cgroup cgroup2 rw 0 0\n");
	expect("bpffs", AGENTCG_LEVEL_MISSING, "mount -t bpf", false);
	put("/proc/self/mounts", "cg /sys/fs/cgroup cgroup2 rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0\n");
}

static void test_hooks(void)
{
	put("/proc/kallsyms", "0 T mem_cgroup_handle_over_high\n0 T mem_cgroup_calculate_protection\n");
	expect("hooks", AGENTCG_LEVEL_OK, "mem_cgroup_handle_over_high", true);
	put("/proc/kallsyms", "0 T mem_cgroup_handle_over_high_not\n0 T mem_cgroup_calculate_protection\n");
	expect("hooks", AGENTCG_LEVEL_MISSING, "cannot be held", false);
	put("/proc/kallsyms", "0 T mem_cgroup_handle_over_high\n");
	expect("hooks", AGENTCG_LEVEL_MISSING, "protected", false);
	put("/proc/kallsyms", "0 T mem_cgroup_handle_over_high\n0 T mem_cgroup_calculate_protection\n");
	put("/proc/sys/kernel/ftrace_enabled", "0\n");
	expect("hooks", AGENTCG_LEVEL_MISSING, "kernel.ftrace_enabled=1", false);
	put("/proc/sys/kernel/ftrace_enabled", "1\n");
}

static void test_sched_ext(void)
{
	put_vmlinux_btf(true);
	expect("sched_ext", AGENTCG_LEVEL_MISSING, "1 of its 2 sched_ext functions", true);
	put_bytes("/sys/kernel/btf/vmlinux", "\x9f\xeb\x01", 3);
	expect("sched_ext", AGENTCG_LEVEL_LIMITED, "cannot be read", true);
	drop("/sys/kernel/sched_ext/state");
	drop("/sys/kernel/sched_ext");
	expect("sched_ext", AGENTCG_LEVEL_MISSING, "no sched_ext", true);
	drop("/sys/kernel/btf/vmlinux");
	expect("BTF", AGENTCG_LEVEL_MISSING, "CONFIG_DEBUG_INFO_BTF", false);
	put_vmlinux_btf(false);
}

static void test_scx(void)
{
	struct agentcg_scx scx;

	agentcg_scx_look(root, &scx);
	tap_ok(agentcg_scx_is(&scx, "disabled") && !*scx.name && !agentcg_scx_is_ours(&scx), "no scheduler runs");
	put("/sys/kernel/sched_ext/state", "enabled\n");
	put("/sys/kernel/sched_ext/root/ops", "flatcg\n");
	agentcg_scx_look(root, &scx);
	tap_ok(agentcg_scx_is(&scx, "enabled") && streq(scx.name, "flatcg") && !agentcg_scx_is_ours(&scx),
	       "another scheduler runs");
	put("/sys/kernel/sched_ext/root/ops", "agentcg\n");
	agentcg_scx_look(root, &scx);
	tap_ok(agentcg_scx_is_ours(&scx), "ours runs");
	put("/sys/kernel/sched_ext/state", "disabling\n");
	agentcg_scx_look(root, &scx);
	tap_ok(!agentcg_scx_is_ours(&scx), "one that ends does not run");
	drop("/sys/kernel/sched_ext/root/ops");
	drop("/sys/kernel/sched_ext/root");
}

static void test_module(void)
{
	put_module_btf("something_else");
	expect("struct_ops", AGENTCG_LEVEL_MISSING, "another module", false);
	drop("/sys/kernel/btf/agentcg");
	expect("struct_ops", AGENTCG_LEVEL_MISSING, "does not describe", false);
	put("/sys/module/agentcg/stats/abi", "0\n");
	expect("module", AGENTCG_LEVEL_MISSING, "speaks ABI 0", false);
	drop("/sys/module/agentcg/stats/abi");
	drop("/sys/module/agentcg/stats");
	drop("/sys/module/agentcg");
	expect("module", AGENTCG_LEVEL_MISSING, "not installed", false);
	put("/lib/modules/7.2.12+deb14-cloud-amd64/modules.dep",
	    "kernel/fs/x.ko: kernel/agentcg.ko\nupdates/dkms/agentcg.ko.xz:\n");
	expect("module", AGENTCG_LEVEL_LIMITED, "modprobe agentcg", true);
	expect("struct_ops", AGENTCG_LEVEL_LIMITED, "once the module is loaded", true);
}

static void test_rest(void)
{
	drop("/proc/pressure/memory");
	expect("PSI", AGENTCG_LEVEL_LIMITED, "psi=1", true);
	put("/proc/swaps", "Filename Type Size Used Priority\n/dev/sda partition 1048576 0 -2\n");
	expect("swap", AGENTCG_LEVEL_OK, "1 GiB", true);
	drop("/sys/fs/bpf/agentcg/memory_ops");
	expect("policy", AGENTCG_LEVEL_LIMITED, "not attached", true);
	put("/proc/sys/kernel/osrelease", "6.1.0-13-amd64\n");
	expect("kernel", AGENTCG_LEVEL_LIMITED, "6.12", false);
}

/* Every prefix of a good BTF is refused or read, and none is read past its end. */
static void test_btf_cut_short(void)
{
	struct agentcg_btf btf = {};
	struct stat st;
	off_t size;
	int good = 0;

	if (stat(at("/sys/kernel/btf/vmlinux"), &st) < 0)
		return;
	for (size = st.st_size - 1; size > 0; size--) {
		if (truncate(at("/sys/kernel/btf/vmlinux"), size) < 0)
			break;
		if (agentcg_btf_load(at("/sys/kernel/btf/vmlinux"), &btf) == 0) {
			good++;
			agentcg_btf_done(&btf);
		}
	}
	tap_ok(size == 0 && good == 0, "BTF that is cut short is refused");
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

int main(void)
{
	if (!mkdtemp(root)) {
		perror(root);
		return 1;
	}
	put_machine();
	test_good();
	test_cgroup();
	test_hooks();
	test_scx();
	test_sched_ext();
	test_module();
	test_rest();
	test_btf_cut_short();
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return tap_done();
}
