/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of CPUs, or of NUMA nodes, in the kernel's notation: "0-3,8". */
#ifndef _AGENTCG_CPUS_H
#define _AGENTCG_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENTCG_CPUS_MAX	1024
/* The longest: pairs with one missing between them take 2673 characters. */
#define AGENTCG_CPUS_TEXT_MAX	2688

struct cpus {
	uint64_t bits[AGENTCG_CPUS_MAX / 64];
};

static inline bool cpus_has(const struct cpus *s, unsigned int n)
{
	return n < AGENTCG_CPUS_MAX && s->bits[n / 64] >> (n % 64) & 1;
}

static inline void cpus_add(struct cpus *s, unsigned int n)
{
	if (n < AGENTCG_CPUS_MAX)
		s->bits[n / 64] |= 1ULL << (n % 64);
}

static inline void cpus_remove(struct cpus *s, unsigned int n)
{
	if (n < AGENTCG_CPUS_MAX)
		s->bits[n / 64] &= ~(1ULL << (n % 64));
}

unsigned int cpus_count(const struct cpus *s);
bool cpus_empty(const struct cpus *s);
bool cpus_equal(const struct cpus *a, const struct cpus *b);
bool cpus_intersect(const struct cpus *a, const struct cpus *b);
/* The first one that is not below @from, or AGENTCG_CPUS_MAX. */
unsigned int cpus_next(const struct cpus *s, unsigned int from);
void cpus_or(struct cpus *to, const struct cpus *s);
void cpus_and(struct cpus *to, const struct cpus *s);
void cpus_andnot(struct cpus *to, const struct cpus *s);

#define CPUS_FOREACH(n, s) \
	for (unsigned int n = cpus_next(s, 0); n < AGENTCG_CPUS_MAX; n = cpus_next(s, n + 1))

/* Surrounding white space is allowed, "" is the empty set.  -EINVAL, -ERANGE; then @ret is as it was. */
int cpus_parse(const char *text, struct cpus *ret);
/* Returns @buf; every set fits. */
const char *cpus_format(const struct cpus *s, char buf[AGENTCG_CPUS_TEXT_MAX]);

#endif
