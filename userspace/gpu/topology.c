// SPDX-License-Identifier: GPL-2.0-only
#include "topology.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>

#include "util.h"

/* All of a small file, with NUL; its length. */
static ssize_t read_text(char *buf, size_t size, const char *format, ...) _printf_(3, 4);

static ssize_t read_text(char *buf, size_t size, const char *format, ...)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	size_t used = 0;
	ssize_t n;
	va_list ap;

	va_start(ap, format);
	n = vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	if (n >= (ssize_t)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used < size - 1) {
		n = read(fd, buf + used, size - 1 - used);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += n;
	}
	buf[used] = '\0';
	return (ssize_t)used;
}

static int read_set(struct cpus *ret, const char *sysfs, const char *file)
{
	char text[8192];
	ssize_t n = read_text(text, sizeof(text), "%s/%s", sysfs, file);

	return n < 0 ? (int)n : cpus_parse(text, ret);
}

/* "Node 0 MemTotal:  1024 kB", or /proc/meminfo's "MemTotal: 1024 kB". */
static uint64_t find_kib(const char *text, const char *key)
{
	const char *p = text;

	while ((p = strstr(p, key))) {
		if (p == text || p[-1] == '\n' || p[-1] == ' ')
			return strtoull(p + strlen(key), NULL, 10) * KIB;
		p++;
	}
	return 0;
}

static void read_memory(struct node *node, const char *text, const char *file_key)
{
	node->memory = find_kib(text, "MemTotal:");
	node->free = find_kib(text, "MemFree:");
	node->file = find_kib(text, file_key);
}

/* The file has one number for each node that is online. */
static void read_distances(struct node *node, const char *text, const struct cpus *nodes)
{
	const char *p = text;
	char *end;

	CPUS_FOREACH(n, nodes) {
		unsigned long d = strtoul(p, &end, 10);

		if (end == p)
			return;
		if (n < AGENTCG_NODES_MAX && d <= UINT8_MAX)
			node->distance[n] = (uint8_t)d;
		p = end;
	}
}

static enum node_kind kind_of(const struct node *node)
{
	if (cpus_empty(&node->cpus))
		return node->memory ? NODE_FAR : NODE_ABSENT;
	return node->memory ? NODE_NEAR : NODE_EMPTY;
}

static int read_node(const char *sysfs, unsigned int n, const struct cpus *nodes, struct topology *t)
{
	struct node *node = &t->nodes[n];
	char text[8192];
	int r;

	snprintf(text, sizeof(text), "devices/system/node/node%u/cpulist", n);
	r = read_set(&node->cpus, sysfs, text);
	if (r < 0)
		return r;
	cpus_and(&node->cpus, &t->online);
	if (read_text(text, sizeof(text), "%s/devices/system/node/node%u/meminfo", sysfs, n) > 0)
		read_memory(node, text, "FilePages:");
	if (read_text(text, sizeof(text), "%s/devices/system/node/node%u/distance", sysfs, n) > 0)
		read_distances(node, text, nodes);
	node->kind = kind_of(node);
	if (node->kind != NODE_ABSENT)
		t->nr_nodes = n + 1;
	return 0;
}

static int read_nodes(const char *sysfs, struct topology *t)
{
	struct cpus nodes = {};
	char text[8192];
	int r;

	r = read_set(&nodes, sysfs, "devices/system/node/online");
	if (r == -ENOENT) {		/* a kernel without NUMA */
		t->nodes[0].cpus = t->online;
		t->nodes[0].distance[0] = 10;
		if (read_text(text, sizeof(text), "%s/../proc/meminfo", sysfs) > 0)
			read_memory(&t->nodes[0], text, "Cached:");
		t->nodes[0].kind = kind_of(&t->nodes[0]);
		t->nr_nodes = 1;
		return 0;
	}
	if (r < 0)
		return r;
	CPUS_FOREACH(n, &nodes) {
		if (n >= AGENTCG_NODES_MAX)
			return -ERANGE;
		r = read_node(sysfs, n, &nodes, t);
		if (r < 0)
			return r;
	}
	return 0;
}

static int node_of_cpu(const struct topology *t, unsigned int cpu)
{
	for (unsigned int n = 0; n < t->nr_nodes; n++)
		if (cpus_has(&t->nodes[n].cpus, cpu))
			return (int)n;
	return AGENTCG_NODE_UNKNOWN;
}

/* "core_cpus_list" since 5.3, "thread_siblings_list" before; a guest may have neither. */
static void read_siblings(const char *sysfs, unsigned int cpu, struct cpus *ret)
{
	char file[96];

	*ret = (struct cpus){};
	snprintf(file, sizeof(file), "devices/system/cpu/cpu%u/topology/core_cpus_list", cpu);
	if (read_set(ret, sysfs, file) < 0) {
		snprintf(file, sizeof(file), "devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
		(void)read_set(ret, sysfs, file);
	}
	cpus_add(ret, cpu);
}

static int read_cores(const char *sysfs, struct topology *t)
{
	struct cpus left = t->online;

	t->cores = calloc(cpus_count(&t->online), sizeof(*t->cores));
	if (!t->cores)
		return -ENOMEM;
	for (unsigned int cpu = cpus_next(&left, 0); cpu < AGENTCG_CPUS_MAX; cpu = cpus_next(&left, cpu)) {
		struct core *core = &t->cores[t->nr_cores++];

		read_siblings(sysfs, cpu, &core->cpus);
		cpus_and(&core->cpus, &left);
		cpus_andnot(&left, &core->cpus);
		core->node = node_of_cpu(t, cpu);
	}
	return 0;
}

int agentcg_topology_read(const char *sysfs, struct topology *ret)
{
	struct topology t = {};
	int r;

	r = read_set(&t.online, sysfs, "devices/system/cpu/online");
	if (r < 0)
		return r;
	if (cpus_empty(&t.online))
		return -ENODATA;
	r = read_nodes(sysfs, &t);
	if (r == 0)
		r = read_cores(sysfs, &t);
	if (r < 0) {
		agentcg_topology_done(&t);
		return r;
	}
	*ret = t;
	return 0;
}

void agentcg_topology_done(struct topology *t)
{
	free(t->cores);
	*t = (struct topology){};
}

void agentcg_topology_set_device(struct topology *t, int node)
{
	if (node >= 0 && node < (int)t->nr_nodes && cpus_empty(&t->nodes[node].cpus))
		t->nodes[node].kind = NODE_DEVICE;
}

/* As sysfs names it: four digits of domain (more only if it takes more), in small letters. */
static int pci_path(const char *sysfs, const char *pci, const char *file, char path[PATH_MAX])
{
	unsigned int domain, bus, device, function;
	int end = 0, n;

	if (sscanf(pci, "%8x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) != 4 || pci[end])
		return -EINVAL;
	n = snprintf(path, PATH_MAX, "%s/bus/pci/devices/%04x:%02x:%02x.%x/%s", sysfs, domain, bus, device, function, file);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int agentcg_topology_pci_node(const char *sysfs, const char *pci)
{
	char path[PATH_MAX], text[32], *end;
	long node;

	if (pci_path(sysfs, pci, "numa_node", path) < 0 || read_text(text, sizeof(text), "%s", path) < 0)
		return AGENTCG_NODE_UNKNOWN;
	node = strtol(text, &end, 10);
	return end == text || node < 0 || node >= AGENTCG_NODES_MAX ? AGENTCG_NODE_UNKNOWN : (int)node;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* With MSI each interrupt is a file in msi_irqs; else the file irq has the only one. */
int agentcg_topology_pci_irqs(const char *sysfs, const char *pci, unsigned int *irqs, size_t max)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[PATH_MAX], text[32], *end;
	struct dirent *e;
	size_t nr = 0;
	ssize_t n;
	int r;

	r = pci_path(sysfs, pci, "msi_irqs", path);
	if (r < 0)
		return r;
	dir = opendir(path);
	if (!dir && errno != ENOENT)
		return -errno;
	while (dir && nr < max && (e = readdir(dir))) {
		unsigned long irq = strtoul(e->d_name, &end, 10);

		if (end != e->d_name && !*end)
			irqs[nr++] = (unsigned int)irq;
	}
	if (nr > 0)
		return (int)nr;
	(void)pci_path(sysfs, pci, "irq", path);
	n = read_text(text, sizeof(text), "%s", path);
	if (n < 0)
		return (int)n;
	if (max > 0)
		irqs[nr] = (unsigned int)strtoul(text, NULL, 10);
	return max > 0 && irqs[0] > 0;
}

int agentcg_topology_nearest(const struct topology *t, int node, enum node_kind kind)
{
	unsigned int best = UINT_MAX;
	int found = AGENTCG_NODE_UNKNOWN;

	for (unsigned int n = 0; n < t->nr_nodes; n++) {
		unsigned int d = node >= 0 && node < AGENTCG_NODES_MAX ? t->nodes[node].distance[n] : 0;

		if (t->nodes[n].kind != kind)
			continue;
		if (d == 0)
			d = UINT8_MAX + 1;
		if ((int)n == node)
			d = 0;
		if (d < best) {
			best = d;
			found = (int)n;
		}
	}
	return found;
}
