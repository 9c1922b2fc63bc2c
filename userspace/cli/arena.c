// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "arena.h"

void agentcg_arena_ordinary_pages(void)
{
	/* Fails only where there are no huge pages. */
	(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

static int grow(struct agentcg_arena *arena, size_t size, size_t page)
{
	struct agentcg_chunk *chunks;
	volatile char *p;
	void *start;
	size_t i;

	chunks = reallocarray(arena->chunks, arena->nr_chunks + 1, sizeof(*chunks));
	if (!chunks)
		return -ENOMEM;
	arena->chunks = chunks;
	start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return -errno;
	(void)madvise(start, size, arena->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	/* Never zero: pages of zeroes could be merged or dropped. */
	for (i = 0, p = start; i < size; i += page)
		p[i] = 0x5a;
	chunks[arena->nr_chunks++] = (struct agentcg_chunk){ start, size };
	arena->size += size;
	return 0;
}

static void shrink(struct agentcg_arena *arena, size_t size)
{
	while (size) {
		struct agentcg_chunk *c = &arena->chunks[arena->nr_chunks - 1];
		size_t part = c->size < size ? c->size : size;

		munmap(c->start + c->size - part, part);
		c->size -= part;
		arena->size -= part;
		size -= part;
		if (!c->size)
			arena->nr_chunks--;
	}
}

int agentcg_arena_resize(struct agentcg_arena *arena, uint64_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);

	size = (size + page - 1) & ~(uint64_t)(page - 1);
	if (size > arena->size)
		return grow(arena, size - arena->size, page);
	shrink(arena, arena->size - size);
	return 0;
}

void agentcg_arena_done(struct agentcg_arena *arena)
{
	shrink(arena, arena->size);
	free(arena->chunks);
	*arena = (struct agentcg_arena){};
}
