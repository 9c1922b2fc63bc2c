// SPDX-License-Identifier: GPL-2.0-only
#include "journal.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "util.h"

struct journal {
	int fd;
	size_t n;
	struct journal_row rows[AGENTCG_JOURNAL_ROWS];
};

static uint32_t check(const struct journal_row *row)
{
	const unsigned char *p = (const unsigned char *)row;
	uint32_t hash = 0x811c9dc5;	/* FNV-1a */

	for (size_t i = sizeof(row->check); i < sizeof(*row); i++)
		hash = (hash ^ p[i]) * 0x01000193;
	return hash;
}

/* Up to the first that is not whole: one write made each, so it is the last. */
static void load(struct journal *j)
{
	ssize_t n = pread(j->fd, j->rows, sizeof(j->rows), 0);
	size_t rows = n < 0 ? 0 : (size_t)n / sizeof(j->rows[0]);

	while (j->n < rows && j->rows[j->n].check == check(&j->rows[j->n]) &&
	       memchr(j->rows[j->n].kind, 0, AGENTCG_KIND_MAX))
		j->n++;
}

int agentcg_journal_open(const char *file, struct journal **ret)
{
	struct journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	j->fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->fd < 0) {
		r = -errno;
		free(j);
		return r;
	}
	load(j);
	*ret = j;
	return 0;
}

struct journal *agentcg_journal_close(struct journal *j)
{
	if (!j)
		return NULL;
	close(j->fd);
	free(j);
	return NULL;
}

int agentcg_journal_add(struct journal *j, uid_t uid, const char *kind, const struct observation *o)
{
	struct journal_row *row = &j->rows[j->n];
	ssize_t n;

	if (j->n == AGENTCG_JOURNAL_ROWS)
		return -ENOBUFS;
	memset(row, 0, sizeof(*row));
	row->uid = uid;
	snprintf(row->kind, sizeof(row->kind), "%s", kind);
	row->o = *o;
	row->check = check(row);
	n = pwrite(j->fd, row, sizeof(*row), (off_t)(j->n * sizeof(*row)));
	if (n != (ssize_t)sizeof(*row))	/* the next one writes over what is there of it */
		return n < 0 ? -errno : -ENOSPC;
	j->n++;
	return 0;
}

size_t agentcg_journal_rows(const struct journal *j, const struct journal_row **ret)
{
	*ret = j->rows;
	return j->n;
}

int agentcg_journal_empty(struct journal *j)
{
	if (ftruncate(j->fd, 0) < 0)
		return -errno;
	j->n = 0;
	return 0;
}
