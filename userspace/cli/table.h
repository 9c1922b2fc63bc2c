/* SPDX-License-Identifier: GPL-2.0-only */
/* Text in columns. */
#ifndef _AGENTCG_TABLE_H
#define _AGENTCG_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct agentcg_table {
	size_t columns;
	char **cells;		/* row by row */
	size_t nr_cells;
};

/*
 * Adds a cell; the rows fill from left to right.  Control characters become
 * '?': commands are other people's.
 */
int agentcg_table_add(struct agentcg_table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Cells that hold a size or a number stand at the right of their column. */
void agentcg_table_print(const struct agentcg_table *t, FILE *f);
void agentcg_table_done(struct agentcg_table *t);

#endif /* _AGENTCG_TABLE_H */
