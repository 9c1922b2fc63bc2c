// SPDX-License-Identifier: GPL-2.0-only
#include "probe.h"

#include <dirent.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "agentcg.h"
#include "btf.h"
#include "scx.h"
#include "size.h"

#define PATH_SIZE	512
/* The oldest kernel that agentcg is tested on. */
#define KERNEL_MAJOR	6
#define KERNEL_MINOR	12

#define OK(f, ...)	agentcg_finding_set(f, AGENTCG_LEVEL_OK, __VA_ARGS__)
#define LIMITED(f, ...)	agentcg_finding_set(f, AGENTCG_LEVEL_LIMITED, __VA_ARGS__)
#define MISSING(f, ...)	agentcg_finding_set(f, AGENTCG_LEVEL_MISSING, __VA_ARGS__)

const char *agentcg_level_name(enum agentcg_level level)
{
	static const char *const names[] = {
		[AGENTCG_LEVEL_OK] = "ok",
		[AGENTCG_LEVEL_LIMITED] = "limited",
		[AGENTCG_LEVEL_MISSING] = "missing",
	};

	return names[level];
}

void agentcg_finding_set(struct agentcg_finding *f, enum agentcg_level level, const char *fmt, ...)
{
	va_list ap;

	f->level = level;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

struct agentcg_finding *agentcg_probe_add(struct agentcg_probe *p, const char *name)
{
	/* The last one is overwritten should there ever be too many. */
	if (p->nr_findings < ARRAY_SIZE(p->findings))
		p->nr_findings++;
	p->findings[p->nr_findings - 1] = (struct agentcg_finding){ .name = name };
	return &p->findings[p->nr_findings - 1];
}

bool agentcg_probe_enforceable(const struct agentcg_probe *p)
{
	size_t i;

	for (i = 0; i < p->nr_findings; i++)
		if (p->findings[i].required && p->findings[i].level == AGENTCG_LEVEL_MISSING)
			return false;
	return true;
}

/* ---- files below the root -------------------------------------------------- */

static const char *at(const struct agentcg_probe *p, char buf[PATH_SIZE], const char *fmt, ...)
	_printf_(3, 4);

static const char *at(const struct agentcg_probe *p, char buf[PATH_SIZE], const char *fmt, ...)
{
	int n = snprintf(buf, PATH_SIZE, "%s", p->root);
	va_list ap;

	va_start(ap, fmt);
	if (n < PATH_SIZE)
		vsnprintf(buf + n, PATH_SIZE - n, fmt, ap);
	va_end(ap);
	return buf;
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* The first line, without its newline. */
static int read_line(const char *path, char *buf, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	if (!fgets(buf, size, f))
		return -ENODATA;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

/* Whether @word is one of the words in @text. */
static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);
	const char *s = text;

	for (; (s = strstr(s, word)); s += n)
		if ((s == text || s[-1] == ' ') && (!s[n] || s[n] == ' ' || s[n] == '\n'))
			return true;
	return false;
}

static bool find_mount(const struct agentcg_probe *p, const char *type, char *buf, size_t size)
{
	char path[PATH_SIZE];
	FILE *f = setmntent(at(p, path, "/proc/self/mounts"), "re");
	struct mntent *m;
	bool found = false;

	if (!f)
		return false;
	while (!found && (m = getmntent(f))) {
		if (!streq(m->mnt_type, type))
			continue;
		snprintf(buf, size, "%s", m->mnt_dir);
		found = true;
	}
	endmntent(f);
	return found;
}

/* ---- one function for each finding ----------------------------------------- */

static bool new_enough(const struct agentcg_probe *p)
{
	int major, minor;

	if (sscanf(p->release, "%d.%d", &major, &minor) != 2)
		return false;
	return major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR);
}

static void check_kernel(struct agentcg_probe *p, struct agentcg_finding *f)
{
	if (new_enough(p))
		OK(f, "%s", p->release);
	else
		LIMITED(f, "%s: agentcg is tested on %d.%d and later", p->release, KERNEL_MAJOR, KERNEL_MINOR);
}

static void check_cgroup2(struct agentcg_probe *p, struct agentcg_finding *f)
{
	if (*p->cgroup)
		OK(f, "mounted at %s", p->cgroup);
	else
		MISSING(f, "not mounted: boot with systemd.unified_cgroup_hierarchy=1, or mount -t cgroup2 cgroup2 /sys/fs/cgroup");
}

static void check_controller(struct agentcg_probe *p, struct agentcg_finding *f)
{
	char path[PATH_SIZE], line[256] = "";
	const char *name = startswith(f->name, "controller ");

	(void)read_line(at(p, path, "%s/cgroup.controllers", p->cgroup), line, sizeof(line));
	if (*p->cgroup && has_word(line, name))
		OK(f, "available");
	else if (f->required)
		MISSING(f, "not available: not built in, switched off (cgroup_disable=%s), or in use by cgroup v1", name);
	else if (streq(name, "cpu"))
		LIMITED(f, "not available: priorities have no weight on the CPU");
	else
		LIMITED(f, "not available: a fork storm of a tool call is not bounded");
}

/* 1 or 0: any group but the root one, which lacks most files, has @file; -ENOENT: there is none. */
static int groups_have(const struct agentcg_probe *p, const char *file)
{
	char path[PATH_SIZE], name[300];
	DIR *d = opendir(at(p, path, "%s", p->cgroup));
	struct dirent *e;
	int r = -ENOENT;

	while (d && r < 0 && (e = readdir(d))) {
		snprintf(name, sizeof(name), "%s/cgroup.events", e->d_name);
		if (*e->d_name == '.' || faccessat(dirfd(d), name, F_OK, 0) < 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", e->d_name, file);
		r = faccessat(dirfd(d), name, F_OK, 0) == 0;
	}
	if (d)
		closedir(d);
	return r;
}

static void check_file(struct agentcg_probe *p, struct agentcg_finding *f)
{
	static const struct {
		const char *file, *without;
	} uses[] = {
		{ "cgroup.kill", "forks may outrun the kill of a tool call; Linux 5.14 has it" },
		{ "memory.reclaim", "frozen tool calls keep their memory; Linux 5.19 has it" },
		{ "memory.peak", "results do not tell the peak; Linux 6.12 has it for every reader" },
	};
	int r = *p->cgroup ? groups_have(p, f->name) : -ENOENT;
	size_t i;

	if (r > 0)
		OK(f, "available");
	else if (r < 0 && new_enough(p))
		OK(f, "there is no group to look at; this kernel has it");
	else if (r < 0)
		LIMITED(f, "there is no group to look at");
	if (r)
		return;
	for (i = 0; i < ARRAY_SIZE(uses); i++)
		if (streq(uses[i].file, f->name))
			LIMITED(f, "not available: %s", uses[i].without);
}

static void check_btf(struct agentcg_probe *p, struct agentcg_finding *f)
{
	char path[PATH_SIZE];

	if (exists(at(p, path, "/sys/kernel/btf/vmlinux")))
		OK(f, "the kernel describes its types");
	else
		MISSING(f, "the kernel does not describe its types: it needs CONFIG_DEBUG_INFO_BTF=y, as distributions have it");
}

static void check_bpffs(struct agentcg_probe *p, struct agentcg_finding *f)
{
	char dir[256];

	if (find_mount(p, "bpf", dir, sizeof(dir)))
		OK(f, "mounted at %s", dir);
	else
		MISSING(f, "not mounted: mount -t bpf bpf /sys/fs/bpf");
}

/* One pass over 200,000 lines for all symbols. */
static unsigned int find_symbols(const char *path, const char *const *names, size_t n)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	unsigned int found = 0;
	size_t size = 0, i;

	while (f && getline(&line, &size, f) > 0) {
		/* ADDRESS TYPE NAME [MODULE] */
		char *name = strchr(line, ' ');

		name = name ? strchr(name + 1, ' ') : NULL;
		if (!name)
			continue;
		name[1 + strcspn(name + 1, "\t\n ")] = 0;
		for (i = 0; i < n; i++)
			if (streq(name + 1, names[i]))
				found |= 1U << i;
	}
	return found;
}

static void check_hooks(struct agentcg_probe *p, struct agentcg_finding *f)
{
	/* The first one is the name since 6.16, see module/compat/compat.h. */
	static const char *const names[] = {
		"__mem_cgroup_handle_over_high", "mem_cgroup_handle_over_high",
		"mem_cgroup_calculate_protection",
	};
	char path[PATH_SIZE], line[16] = "";
	unsigned int found = find_symbols(at(p, path, "/proc/kallsyms"), names, ARRAY_SIZE(names));

	if (!read_line(at(p, path, "/proc/sys/kernel/ftrace_enabled"), line, sizeof(line)) && streq(line, "0"))
		MISSING(f, "function tracing is switched off: sysctl kernel.ftrace_enabled=1");
	else if (!(found & 3))
		MISSING(f, "the kernel has no %s to probe, so tool calls cannot be held", names[1]);
	else if (!(found & 4))
		MISSING(f, "the kernel has no %s to probe, so nothing can be protected from reclaim", names[2]);
	else
		OK(f, "%s and %s", names[found & 1 ? 0 : 1], names[2]);
}

static bool loadable(const struct agentcg_probe *p)
{
	char path[PATH_SIZE];
	_cleanup_fclose_ FILE *f = fopen(at(p, path, "/lib/modules/%s/modules.dep", p->release), "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		char *name;

		line[strcspn(line, ":\n")] = 0;
		name = strrchr(line, '/');
		/* It may be compressed: agentcg.ko.xz. */
		if (startswith(name ? name + 1 : line, "agentcg.ko"))
			return true;
	}
	return false;
}

static void check_module(struct agentcg_probe *p, struct agentcg_finding *f)
{
	char path[PATH_SIZE], line[32] = "";

	if (!exists(at(p, path, "/sys/module/agentcg"))) {
		if (loadable(p))
			LIMITED(f, "not loaded: modprobe agentcg (the daemon does that when it starts)");
		else
			MISSING(f, "not installed for this kernel: make && make install, or dkms autoinstall; to try it: insmod build/out/module/VERSION/agentcg.ko");
		return;
	}
	(void)read_line(at(p, path, "/sys/module/agentcg/stats/abi"), line, sizeof(line));
	if (atoi(line) == AGENTCG_ABI_VERSION)
		OK(f, "loaded, ABI %d", AGENTCG_ABI_VERSION);
	else
		MISSING(f, "the loaded module speaks ABI %s, this command %d: agentcg unload; rmmod agentcg; modprobe agentcg",
			*line ? line : "(unknown)", AGENTCG_ABI_VERSION);
}

static void check_struct_ops(struct agentcg_probe *p, struct agentcg_finding *f)
{
	_cleanup_(agentcg_btf_done) struct agentcg_btf btf = {};
	char path[PATH_SIZE];
	int r;

	if (!exists(at(p, path, "/sys/module/agentcg"))) {
		LIMITED(f, "to be seen once the module is loaded");
		return;
	}
	r = agentcg_btf_load(at(p, path, "/sys/kernel/btf/agentcg"), &btf);
	if (r < 0)
		MISSING(f, "the module does not describe its types (%s): build it where the kernel's vmlinux with BTF and pahole are",
			strerror(-r));
	else if (!agentcg_btf_has_name(&btf, "bpf_struct_ops_agentcg_ops"))
		MISSING(f, "the module does not offer agentcg_ops: it is another module of that name; rmmod agentcg; modprobe agentcg");
	else
		OK(f, "the module offers agentcg_ops to policies");
}

static void check_sched_ext(struct agentcg_probe *p, struct agentcg_finding *f)
{
	char why[AGENTCG_WHY_MAX];
	unsigned int n;
	int r = agentcg_scx_check(p->root, &n, why);

	if (!r)
		OK(f, "present, %u functions", n);
	else if (r == -EOPNOTSUPP)
		MISSING(f, "%s, so CPU time is shared by cpu.weight only; memory is not affected", why);
	else if (r == -ENOEXEC)
		MISSING(f, "%s; memory is not affected", why);
	else
		LIMITED(f, "present, but %s", why);
}

static void check_psi(struct agentcg_probe *p, struct agentcg_finding *f)
{
	char path[PATH_SIZE], line[128];

	/* Reading fails with EOPNOTSUPP where it is compiled in, but off. */
	if (!read_line(at(p, path, "/proc/pressure/memory"), line, sizeof(line)))
		OK(f, "pressure is measured");
	else
		LIMITED(f, "pressure is not measured: boot with psi=1; holds do not depend on it");
}

static void check_swap(struct agentcg_probe *p, struct agentcg_finding *f)
{
	char path[PATH_SIZE], line[256], text[AGENTCG_TEXT_MAX];
	_cleanup_fclose_ FILE *swaps = fopen(at(p, path, "/proc/swaps"), "re");
	uint64_t kib, sum = 0;

	/* FILENAME TYPE SIZE USED PRIORITY, below a title. */
	while (swaps && fgets(line, sizeof(line), swaps))
		if (sscanf(line, "%*s %*s %" SCNu64, &kib) == 1)
			sum += kib * KIB;
	if (sum)
		OK(f, "%s; reclaim may swap a held tool call out", agentcg_format_bytes(text, sum));
	else
		OK(f, "none; what does not fit is held, not swapped out");
}

static void check_pins(struct agentcg_probe *p, struct agentcg_finding *f)
{
	char path[PATH_SIZE];

	if (exists(at(p, path, "/sys/fs/bpf/agentcg/memory_ops")))
		OK(f, "the memory policy is attached");
	else if (errno == EACCES)
		LIMITED(f, "only root can see whether the memory policy is attached");
	else
		LIMITED(f, "the memory policy is not attached: the daemon attaches it when it starts");
}

static const struct {
	const char *name;
	bool required;
	void (*check)(struct agentcg_probe *p, struct agentcg_finding *f);
} checks[] = {
	{ "kernel",		false,	check_kernel },
	{ "cgroup v2",		true,	check_cgroup2 },
	{ "controller memory",	true,	check_controller },
	{ "controller pids",	false,	check_controller },
	{ "controller cpu",	false,	check_controller },
	{ "cgroup.kill",	false,	check_file },
	{ "memory.reclaim",	false,	check_file },
	{ "memory.peak",	false,	check_file },
	{ "BTF",		true,	check_btf },
	{ "bpffs",		true,	check_bpffs },
	{ "hooks",		true,	check_hooks },
	{ "module",		true,	check_module },
	{ "struct_ops",		true,	check_struct_ops },
	{ "policy",		false,	check_pins },
	{ "sched_ext",		false,	check_sched_ext },
	{ "PSI",		false,	check_psi },
	{ "swap",		false,	check_swap },
};

void agentcg_probe(struct agentcg_probe *p, const char *root)
{
	char path[PATH_SIZE];
	size_t i;

	*p = (struct agentcg_probe){ .root = root };
	if (read_line(at(p, path, "/proc/sys/kernel/osrelease"), p->release, sizeof(p->release)) < 0)
		strcpy(p->release, "unknown");
	if (!find_mount(p, "cgroup2", p->cgroup, sizeof(p->cgroup)))
		*p->cgroup = 0;
	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		struct agentcg_finding *f = agentcg_probe_add(p, checks[i].name);

		f->required = checks[i].required;
		checks[i].check(p, f);
	}
}
