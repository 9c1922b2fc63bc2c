// SPDX-License-Identifier: GPL-2.0-only
#include "borrow.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>

#include "topology.h"

static int read_text(const char *path, char *buf, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	if (!fgets(buf, (int)size, f))
		return -EIO;
	buf[strcspn(buf, "\n")] = 0;
	return 0;
}

static int write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* ---- huge pages --------------------------------------------------------- */

static uint64_t huge_page_size(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/meminfo", "re");
	uint64_t kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %" SCNu64 " kB", &kib) == 1)
			break;
	return kib * KIB;
}

static void huge_path(const char *sysfs, const struct borrowed_huge *b, char path[PATH_MAX])
{
	if (b->node >= 0)
		snprintf(path, PATH_MAX, "%s/devices/system/node/node%d/hugepages/hugepages-%llukB/nr_hugepages",
			 sysfs, b->node, b->page / KIB);
	else
		snprintf(path, PATH_MAX, "%s/kernel/mm/hugepages/hugepages-%llukB/nr_hugepages", sysfs, b->page / KIB);
}

static int read_huge(const char *sysfs, const struct borrowed_huge *b, uint64_t *ret)
{
	char path[PATH_MAX], text[32];
	int r;

	huge_path(sysfs, b, path);
	r = read_text(path, text, sizeof(text));
	if (!r)
		*ret = strtoull(text, NULL, 10);
	return r;
}

static int write_huge(const char *sysfs, const struct borrowed_huge *b, uint64_t pages)
{
	char path[PATH_MAX], text[32];

	huge_path(sysfs, b, path);
	snprintf(text, sizeof(text), "%" PRIu64, pages);
	return write_text(path, text);
}

int agentcg_huge_plan(const char *sysfs, struct borrowed_huge *b, int node, uint64_t bytes)
{
	int r;

	*b = (struct borrowed_huge){ .node = node, .page = huge_page_size(), .got = UINT64_MAX };
	if (!b->page)
		return -EOPNOTSUPP;
	b->want = (bytes + b->page - 1) / b->page;
	r = read_huge(sysfs, b, &b->before);
	if (r < 0)
		b->page = 0;
	return r;
}

int agentcg_huge_take(const char *sysfs, struct borrowed_huge *b)
{
	uint64_t now = 0;
	int r = write_huge(sysfs, b, b->before + b->want);

	if (!r)
		r = read_huge(sysfs, b, &now);
	b->got = now > b->before ? min_u64(now - b->before, b->want) : 0;
	return r;
}

int agentcg_huge_give(const char *sysfs, struct borrowed_huge *b)
{
	uint64_t now;
	int r;

	if (!b->page)
		return 0;
	r = read_huge(sysfs, b, &now);
	if (r < 0)
		return r;
	if (b->got == UINT64_MAX)
		b->got = now > b->before ? min_u64(now - b->before, b->want) : 0;
	r = b->got ? write_huge(sysfs, b, now > b->got ? now - b->got : 0) : 0;
	*b = (struct borrowed_huge){};
	return r;
}

/* ---- interrupts --------------------------------------------------------- */

static void irq_path(unsigned int irq, char path[64])
{
	snprintf(path, 64, "/proc/irq/%u/smp_affinity_list", irq);
}

int agentcg_irqs_plan(const char *sysfs, struct borrowed_irqs *b, const char *pci)
{
	unsigned int irqs[AGENTCG_IRQS_MAX];
	int n = agentcg_topology_pci_irqs(sysfs, pci, irqs, ARRAY_SIZE(irqs));

	for (int i = 0; i < n && b->nr < AGENTCG_IRQS_MAX; i++) {
		struct borrowed_irq *q = &b->list[b->nr];
		char path[64], text[AGENTCG_CPUS_TEXT_MAX];

		q->irq = irqs[i];
		irq_path(q->irq, path);
		if (read_text(path, text, sizeof(text)) >= 0 && cpus_parse(text, &q->before) >= 0)
			b->nr++;
	}
	return n < 0 ? n : 0;
}

static bool set_irq(unsigned int irq, const struct cpus *cpus)
{
	char path[64], text[AGENTCG_CPUS_TEXT_MAX];

	irq_path(irq, path);
	return write_text(path, cpus_format(cpus, text)) >= 0;
}

unsigned int agentcg_irqs_move(const struct borrowed_irqs *b, const struct cpus *cpus)
{
	unsigned int moved = 0;

	for (size_t i = 0; i < b->nr; i++)
		moved += set_irq(b->list[i].irq, cpus);
	return moved;
}

void agentcg_irqs_give(struct borrowed_irqs *b)
{
	for (size_t i = 0; i < b->nr; i++)
		(void)set_irq(b->list[i].irq, &b->list[i].before);
	b->nr = 0;
}
