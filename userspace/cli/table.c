// SPDX-License-Identifier: GPL-2.0-only
#include "table.h"

#include <stdarg.h>

#include "util.h"

static void make_harmless(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

int agentcg_table_add(struct agentcg_table *t, const char *fmt, ...)
{
	char **cells = reallocarray(t->cells, t->nr_cells + 1, sizeof(*cells)), *cell;
	va_list ap;
	int n;

	if (!cells)
		return -ENOMEM;
	t->cells = cells;
	va_start(ap, fmt);
	n = vasprintf(&cell, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	make_harmless(cell);
	cells[t->nr_cells++] = cell;
	return 0;
}

/* In characters, not bytes. */
static int width(const char *s)
{
	int n = 0;

	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static int column_width(const struct agentcg_table *t, size_t column)
{
	int w = 0;
	size_t i;

	for (i = column; i < t->nr_cells; i += t->columns)
		if (width(t->cells[i]) > w)
			w = width(t->cells[i]);
	return w;
}

static bool is_amount(const char *s)
{
	return *s >= '0' && *s <= '9';
}

void agentcg_table_print(const struct agentcg_table *t, FILE *f)
{
	size_t i;

	for (i = 0; i < t->nr_cells; i++) {
		const char *cell = t->cells[i];
		bool last = i % t->columns == t->columns - 1;
		int pad = last ? 0 : column_width(t, i % t->columns) - width(cell);

		if (is_amount(cell))
			fprintf(f, "%*s%s", pad, "", cell);
		else
			fprintf(f, "%s%*s", cell, pad, "");
		fputs(last ? "\n" : "  ", f);
	}
}

void agentcg_table_done(struct agentcg_table *t)
{
	size_t i;

	for (i = 0; i < t->nr_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->nr_cells = 0;
}
