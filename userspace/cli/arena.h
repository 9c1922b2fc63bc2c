/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Anonymous memory of an exact size: it grows by mapping and touching every
 * page, and shrinks by unmapping what came last.
 */
#ifndef AGENTCG_ARENA_H
#define AGENTCG_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agentcg_chunk {
	char *start;
	size_t size;
};

struct agentcg_arena {
	bool huge;		/* ask for huge pages */
	uint64_t size;		/* bytes, whole pages */
	struct agentcg_chunk *chunks;
	size_t nr_chunks;
};

/*
 * Ordinary pages only, for the whole process: with huge pages what is charged
 * depends on how mappings happen to lie, and no two runs are alike.
 */
void agentcg_arena_ordinary_pages(void);

/* Makes @arena @size bytes large, rounded to pages.  Fails only when growing. */
int agentcg_arena_resize(struct agentcg_arena *arena, uint64_t size);

void agentcg_arena_done(struct agentcg_arena *arena);

#endif
