// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of memory that a CUDA program pins, from the source of NVIDIA's open kernel modules (kernel-open/ there);
 * none of it was measured with a GPU yet:
 *
 * cudaHostAlloc: pages that nvidia.ko allocates without __GFP_ACCOUNT (nvidia/nv-vm.c, nv_compute_gfp_mask()), so no memcg is
 *	charged; mapped through /dev/nvidiactl by vm_insert_page() (nvidia/nv-mmap.c), so smaps counts them in Rss and Pss.
 *	Mappings of /dev/nvidia0 and its like are the GPU's own memory and registers ("io pf"), not the host's; so is what
 *	"io" marks of /dev/nvidiactl (peers' registers).
 * cudaHostRegister: the process's own pages, held by get_user_pages() (nvidia/os-mlock.c).  Charged like any memory of the
 *	process and in no count, neither Locked nor VmPin: it cannot be told from memory that can be reclaimed, and is
 *	missing here.
 * cudaMallocManaged: pages of nvidia-uvm.ko, charged where the kernel exports what that takes (nvidia-uvm/uvm_linux.h,
 *	UVM_CGROUP_ACCOUNTING_SUPPORTED), mapped through /dev/nvidia-uvm.
 * What the driver allocates and does not map (page tables, channels): only in what the machine as a whole lacks.
 *
 * Of the kernel: Locked in smaps is the part of VM_LOCKED mappings that is there, by Pss; VmLck all of their size; VmPin
 * (mm->pinned_vm) is what those who pin for long count there themselves (ib_umem_get(), io_uring, VFIO).  Memory that is both
 * locked and pinned is counted twice.  Huge pages of shmem are left out, as they are swapped out like small ones.
 */
#include "pinned.h"

#include <fcntl.h>
#include <limits.h>

/* One mapping as it is read; its flags come last. */
struct mapping {
	enum {
		OTHER,
		DRIVER,
		MANAGED,
	} kind;
	uint64_t size, pss, rss, locked;
	bool details;			/* smaps; else all that is known is its size */
	bool io;
};

struct parser {
	struct mapping m;
	struct pinned *ret;
};

static void finish(struct parser *p)
{
	const struct mapping *m = &p->m;

	if (m->kind == DRIVER && !m->io)
		p->ret->driver += m->details && m->rss ? m->pss : m->size;
	else if (m->kind == MANAGED && m->details)
		p->ret->managed += m->pss;
	p->ret->locked += m->locked;
	p->m = (struct mapping){};
}

static bool has_flag(const char *flags, const char *flag)
{
	const char *p = strstr(flags, flag);

	return p && p[-1] == ' ' && (p[2] == ' ' || p[2] == '\n' || p[2] == '\0');
}

static void parse_line(struct parser *p, const char *line)
{
	static const char *const keys[] = { "Rss:", "Pss:", "Locked:" };
	uint64_t *const fields[] = { &p->m.rss, &p->m.pss, &p->m.locked };
	unsigned long long start, end;
	const char *path, *rest;

	if (sscanf(line, "%llx-%llx ", &start, &end) == 2) {
		finish(p);
		p->m.size = end - start;
		path = strchr(line, '/');
		if (path && startswith(path, "/dev/nvidiactl"))
			p->m.kind = DRIVER;
		else if (path && startswith(path, "/dev/nvidia-uvm"))
			p->m.kind = MANAGED;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		rest = startswith(line, keys[i]);
		if (rest) {
			p->m.details = true;
			*fields[i] = strtoull(rest, NULL, 10) * KIB;
		}
	}
	rest = startswith(line, "VmFlags:");
	if (rest)
		p->m.io = has_flag(rest, "io");
}

void agentcg_pinned_parse_maps(const char *text, struct pinned *ret)
{
	struct parser p = { .ret = ret };
	char line[512];

	while (*text) {
		size_t n = strcspn(text, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1), text);
		parse_line(&p, line);
		text += n + (text[n] == '\n');
	}
	finish(&p);
}

/* "VmPin:	     0 kB" at the beginning of a line. */
static uint64_t find_kib(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; (p = strstr(p, key)); p++)
		if ((p == text || p[-1] == '\n') && p[n] == ':')
			return strtoull(p + n + 1, NULL, 10) * KIB;
	return 0;
}

void agentcg_pinned_parse_status(const char *text, struct pinned *ret)
{
	ret->locked += find_kib(text, "VmLck");
	ret->longterm += find_kib(text, "VmPin");
	ret->hugetlb += find_kib(text, "HugetlbPages");
}

uint64_t agentcg_pinned_parse_meminfo(const char *text)
{
	/* Kinds that do not overlap.  The lists of reclaim have anonymous, shared and file pages. */
	static const char *const kinds[] = {
		"MemFree", "Active", "Inactive", "Unevictable", "KReclaimable", "SUnreclaim", "KernelStack", "PageTables", "SecPageTables",
		"Percpu", "VmallocUsed", "Bounce", "Hugetlb", "Zswap", "Balloon",
	};
	uint64_t left = find_kib(text, "MemTotal");

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		left -= min_u64(left, find_kib(text, kinds[i]));
	return left;
}

static int read_small(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	do {
		n = read(fd, buf + used, size - 1 - used);
		if (n < 0)
			return -errno;
		used += n;
	} while (n > 0 && used < size - 1);
	buf[used] = '\0';
	return 0;
}

static int read_maps(const char *path, struct pinned *ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	struct parser p = { .ret = ret };
	size_t room = 0;

	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (getline(&line, &room, f) > 0)
		parse_line(&p, line);
	finish(&p);
	return ferror(f) ? -ESRCH : 0;
}

int agentcg_pinned_read(const char *proc, pid_t pid, bool thorough, struct pinned *ret)
{
	struct pinned status = {}, maps = {};
	char path[PATH_MAX], text[8192];
	int r;

	snprintf(path, sizeof(path), "%s/%d/status", proc, (int)pid);
	r = read_small(path, text, sizeof(text));
	if (r < 0)
		return r;
	agentcg_pinned_parse_status(text, &status);
	snprintf(path, sizeof(path), "%s/%d/%s", proc, (int)pid, thorough ? "smaps" : "maps");
	r = read_maps(path, &maps);
	if (r < 0)
		return r;
	ret->locked += thorough ? maps.locked : status.locked;
	ret->longterm += status.longterm;
	ret->hugetlb += status.hugetlb;
	ret->driver += maps.driver;
	ret->managed += maps.managed;
	return 0;
}

int agentcg_pinned_unaccounted(const char *proc, uint64_t *ret)
{
	char path[PATH_MAX], text[8192];
	int r;

	snprintf(path, sizeof(path), "%s/meminfo", proc);
	r = read_small(path, text, sizeof(text));
	if (r < 0)
		return r;
	*ret = agentcg_pinned_parse_meminfo(text);
	return 0;
}
