// SPDX-License-Identifier: GPL-2.0-only
/* Machines that a test writes as files, in the form that the kernel gives them. */
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "tap.h"
#include "topology.h"
#include "util.h"

static char root[] = "/tmp/agentcg-topology.XXXXXX";
static char sysfs[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void clear(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	mkdir(root, 0700);
	mkdir(sysfs, 0700);
}

static void put(const char *text, const char *format, ...) _printf_(2, 3);

static void put(const char *text, const char *format, ...)
{
	char name[128], path[256];
	va_list ap;
	FILE *f;

	va_start(ap, format);
	vsnprintf(name, sizeof(name), format, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		printf("Bail out! cannot write %s\n", path);
}

static void put_node(unsigned int n, const char *cpulist, unsigned long mib, const char *distance)
{
	char text[256];

	put(cpulist, "sys/devices/system/node/node%u/cpulist", n);
	put(distance, "sys/devices/system/node/node%u/distance", n);
	snprintf(text, sizeof(text),
		 "Node %u MemTotal:       %lu kB\nNode %u MemFree:        %lu kB\nNode %u MemUsed:        %lu kB\n"
		 "Node %u FilePages:      %lu kB\n",
		 n, mib * 1024, n, mib * 512, n, mib * 512, n, mib * 256);
	put(text, "sys/devices/system/node/node%u/meminfo", n);
}

static void put_core(const char *file, const char *siblings)
{
	struct cpus s;

	cpus_parse(siblings, &s);
	CPUS_FOREACH(cpu, &s)
		put(siblings, "sys/devices/system/cpu/cpu%u/topology/%s", cpu, file);
}

static bool is(const struct cpus *s, const char *text)
{
	char buf[AGENTCG_CPUS_TEXT_MAX];

	return streq(cpus_format(s, buf), text);
}

/* Two sockets with SMT whose siblings are far apart in number, as on most x86 servers, and CXL memory behind the second. */
static void two_sockets(void)
{
	struct topology t;
	int r;

	put("0-7\n", "sys/devices/system/cpu/online");
	put("0-2\n", "sys/devices/system/node/online");
	put_node(0, "0-1,4-5\n", 1024, "10 21 31\n");
	put_node(1, "2-3,6-7\n", 2048, "21 10 14\n");
	put_node(2, "\n", 4096, "31 14 10\n");
	put_core("core_cpus_list", "0,4\n");
	put_core("core_cpus_list", "1,5\n");
	put_core("core_cpus_list", "2,6\n");
	put_core("core_cpus_list", "3,7\n");
	r = agentcg_topology_read(sysfs, &t);
	if (!tap_ok(r == 0, "two sockets and CXL are read"))
		return;
	tap_ok(t.nr_nodes == 3 && t.nodes[0].kind == NODE_NEAR && t.nodes[1].kind == NODE_NEAR && t.nodes[2].kind == NODE_FAR,
	       "a node with memory and no CPU is far");
	tap_ok(t.nr_cores == 4 && is(&t.cores[1].cpus, "1,5") && t.cores[1].node == 0 && is(&t.cores[3].cpus, "3,7") &&
	       t.cores[3].node == 1, "siblings are one core");
	tap_ok(t.nodes[1].memory == 2048 * MIB && t.nodes[1].free == 1024 * MIB && t.nodes[1].file == 512 * MIB, "memory in bytes");
	tap_ok(agentcg_topology_nearest(&t, 1, NODE_NEAR) == 1 && agentcg_topology_nearest(&t, 0, NODE_FAR) == 2 &&
	       agentcg_topology_nearest(&t, 2, NODE_NEAR) == 1 && agentcg_topology_nearest(&t, -1, NODE_NEAR) == 0 &&
	       agentcg_topology_nearest(&t, 0, NODE_EMPTY) == AGENTCG_NODE_UNKNOWN, "the nearest by distance");
	agentcg_topology_set_device(&t, 1);
	agentcg_topology_set_device(&t, 2);
	tap_ok(t.nodes[1].kind == NODE_NEAR && t.nodes[2].kind == NODE_DEVICE &&
	       agentcg_topology_nearest(&t, 0, NODE_FAR) == AGENTCG_NODE_UNKNOWN, "a GPU's memory is not a far node, and has no CPUs");
	agentcg_topology_done(&t);
}

/* CPUs 5 and 6-7 are offline: a core with one thread left, a node without one; its memory is still there. */
static void offline(void)
{
	struct topology t;

	put("0-4\n", "sys/devices/system/cpu/online");
	put("0,2,5\n", "sys/devices/system/node/online");
	put_node(0, "0-3\n", 1024, "10 21 22\n");
	put_node(2, "4-5\n", 1024, "21 10 12\n");
	put_node(5, "6-7\n", 1024, "22 12 10\n");
	put_core("thread_siblings_list", "0-1\n");
	put_core("thread_siblings_list", "2-3\n");
	put("4-5\n", "sys/devices/system/cpu/cpu4/topology/thread_siblings_list");
	if (!tap_ok(agentcg_topology_read(sysfs, &t) == 0, "offline CPUs and nodes with gaps are read"))
		return;
	tap_ok(t.nr_cores == 3 && is(&t.cores[2].cpus, "4") && t.cores[2].node == 2, "offline siblings are not of the core");
	tap_ok(t.nr_nodes == 6 && t.nodes[1].kind == NODE_ABSENT && t.nodes[5].kind == NODE_FAR, "without online CPUs a node is far");
	tap_ok(t.nodes[0].distance[2] == 21 && t.nodes[0].distance[5] == 22 && t.nodes[0].distance[1] == 0 &&
	       agentcg_topology_nearest(&t, 5, NODE_NEAR) == 2, "distances are those of the nodes that are online");
	agentcg_topology_done(&t);
}

static void without_memory(void)
{
	struct topology t;

	put("0-3\n", "sys/devices/system/cpu/online");
	put("0-2\n", "sys/devices/system/node/online");
	put_node(0, "0-1\n", 1024, "10 20 20\n");
	put_node(1, "2-3\n", 0, "20 10 20\n");
	put_node(2, "\n", 0, "20 20 10\n");
	if (!tap_ok(agentcg_topology_read(sysfs, &t) == 0, "a node without memory is read"))
		return;
	tap_ok(t.nodes[1].kind == NODE_EMPTY && t.nodes[2].kind == NODE_ABSENT && t.nr_nodes == 2, "it is empty; with neither it is absent");
	tap_ok(t.nr_cores == 4 && t.cores[2].node == 1, "without a word on siblings each CPU is a core");
	agentcg_topology_done(&t);
}

static void no_numa(void)
{
	struct topology t;

	put("0-1\n", "sys/devices/system/cpu/online");
	put("MemTotal:        2048 kB\nMemFree:         1024 kB\nCached:           512 kB\nSwapCached:        4 kB\n", "proc/meminfo");
	if (!tap_ok(agentcg_topology_read(sysfs, &t) == 0, "a machine without NUMA is read"))
		return;
	tap_ok(t.nr_nodes == 1 && t.nodes[0].kind == NODE_NEAR && t.nodes[0].memory == 2 * MIB && t.nodes[0].file == 512 * KIB &&
	       is(&t.nodes[0].cpus, "0-1") && t.cores[1].node == 0, "it is node 0");
	agentcg_topology_done(&t);
}

static void pci(void)
{
	unsigned int irqs[4];
	int n;

	put("1\n", "sys/bus/pci/devices/0000:65:00.0/numa_node");
	put("-1\n", "sys/bus/pci/devices/0000:66:00.0/numa_node");
	put("3\n", "sys/bus/pci/devices/10000:ab:1f.7/numa_node");
	put("msi\n", "sys/bus/pci/devices/0000:65:00.0/msi_irqs/120");
	put("msi\n", "sys/bus/pci/devices/0000:65:00.0/msi_irqs/121");
	put("120\n", "sys/bus/pci/devices/0000:65:00.0/irq");
	put("17\n", "sys/bus/pci/devices/0000:66:00.0/irq");
	put("0\n", "sys/bus/pci/devices/10000:ab:1f.7/irq");
	tap_ok(agentcg_topology_pci_node(sysfs, "0000:65:00.0") == 1 && agentcg_topology_pci_node(sysfs, "00000000:65:00.0") == 1 &&
	       agentcg_topology_pci_node(sysfs, "00010000:AB:1F.7") == 3, "a device's node, in sysfs's and NVML's spelling");
	tap_ok(agentcg_topology_pci_node(sysfs, "0000:66:00.0") == AGENTCG_NODE_UNKNOWN &&
	       agentcg_topology_pci_node(sysfs, "0000:67:00.0") == AGENTCG_NODE_UNKNOWN &&
	       agentcg_topology_pci_node(sysfs, "../../x") == AGENTCG_NODE_UNKNOWN &&
	       agentcg_topology_pci_node(sysfs, "0000:65:00.0/..") == AGENTCG_NODE_UNKNOWN, "unknown: -1, no such device, no address");
	n = agentcg_topology_pci_irqs(sysfs, "0000:65:00.0", irqs, ARRAY_SIZE(irqs));
	tap_ok(n == 2 && irqs[0] + irqs[1] == 241 && agentcg_topology_pci_irqs(sysfs, "0000:65:00.0", irqs, 1) == 1, "its MSI interrupts");
	n = agentcg_topology_pci_irqs(sysfs, "0000:66:00.0", irqs, ARRAY_SIZE(irqs));
	tap_ok(n == 1 && irqs[0] == 17, "without MSI its line");
	tap_ok(agentcg_topology_pci_irqs(sysfs, "10000:ab:1f.7", irqs, ARRAY_SIZE(irqs)) == 0 &&
	       agentcg_topology_pci_irqs(sysfs, "0000:67:00.0", irqs, ARRAY_SIZE(irqs)) == -ENOENT &&
	       agentcg_topology_pci_irqs(sysfs, "GPU-1", irqs, ARRAY_SIZE(irqs)) == -EINVAL, "none, no such device, no address");
}

static void faults(void)
{
	struct topology t = { .nr_cores = 7 };

	tap_ok(agentcg_topology_read(sysfs, &t) == -ENOENT && t.nr_cores == 7, "no sysfs");
	put("\n", "sys/devices/system/cpu/online");
	tap_ok(agentcg_topology_read(sysfs, &t) == -ENODATA, "no CPU");
	put("0-4000\n", "sys/devices/system/cpu/online");
	tap_ok(agentcg_topology_read(sysfs, &t) == -ERANGE, "too many CPUs");
	put("0-1\n", "sys/devices/system/cpu/online");
	put("0-64\n", "sys/devices/system/node/online");
	for (int i = 0; i < 65; i++)
		put_node(i, "\n", 1, "\n");
	tap_ok(agentcg_topology_read(sysfs, &t) == -ERANGE && t.nr_cores == 7, "too many nodes");
}

static void this_machine(void)
{
	struct topology t;
	size_t cpus = 0;

	if (!tap_ok(agentcg_topology_read("/sys", &t) == 0, "this machine is read"))
		return;
	for (size_t i = 0; i < t.nr_cores; i++)
		cpus += cpus_count(&t.cores[i].cpus);
	tap_ok(cpus == cpus_count(&t.online) && t.nr_nodes > 0, "each of its CPUs is of one core");
	agentcg_topology_done(&t);
}

int main(void)
{
	static void (*const machines[])(void) = { two_sockets, offline, without_memory, no_numa, pci, faults };

	if (!mkdtemp(root))
		return 1;
	snprintf(sysfs, sizeof(sysfs), "%s/sys", root);
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		clear();
		machines[i]();
	}
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	this_machine();
	return tap_done();
}
