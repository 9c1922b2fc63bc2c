// SPDX-License-Identifier: GPL-2.0-only
#include "cpus.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define WORDS	(AGENTCG_CPUS_MAX / 64)

unsigned int cpus_count(const struct cpus *s)
{
	unsigned int n = 0;

	for (int i = 0; i < WORDS; i++)
		n += __builtin_popcountll(s->bits[i]);
	return n;
}

bool cpus_empty(const struct cpus *s)
{
	return cpus_next(s, 0) == AGENTCG_CPUS_MAX;
}

bool cpus_equal(const struct cpus *a, const struct cpus *b)
{
	for (int i = 0; i < WORDS; i++)
		if (a->bits[i] != b->bits[i])
			return false;
	return true;
}

bool cpus_intersect(const struct cpus *a, const struct cpus *b)
{
	for (int i = 0; i < WORDS; i++)
		if (a->bits[i] & b->bits[i])
			return true;
	return false;
}

unsigned int cpus_next(const struct cpus *s, unsigned int from)
{
	for (unsigned int i = from / 64; i < WORDS; i++) {
		uint64_t word = s->bits[i];

		if (i == from / 64)
			word &= ~0ULL << (from % 64);
		if (word)
			return i * 64 + __builtin_ctzll(word);
	}
	return AGENTCG_CPUS_MAX;
}

void cpus_or(struct cpus *to, const struct cpus *s)
{
	for (int i = 0; i < WORDS; i++)
		to->bits[i] |= s->bits[i];
}

void cpus_and(struct cpus *to, const struct cpus *s)
{
	for (int i = 0; i < WORDS; i++)
		to->bits[i] &= s->bits[i];
}

void cpus_andnot(struct cpus *to, const struct cpus *s)
{
	for (int i = 0; i < WORDS; i++)
		to->bits[i] &= ~s->bits[i];
}

static int parse_number(const char **p, unsigned int *ret)
{
	unsigned int n = 0;
	bool too_large = false;

	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	for (; isdigit((unsigned char)**p); (*p)++) {
		n = n * 10 + (**p - '0');
		if (n >= AGENTCG_CPUS_MAX) {
			too_large = true;
			n = 0;
		}
	}
	*ret = n;
	return too_large ? -ERANGE : 0;
}

static const char *skip_space(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

int cpus_parse(const char *text, struct cpus *ret)
{
	struct cpus s = {};
	const char *p = skip_space(text);
	unsigned int first, last;
	int r;

	while (*p) {
		r = parse_number(&p, &first);
		if (r < 0)
			return r;
		last = first;
		if (*p == '-') {
			p++;
			r = parse_number(&p, &last);
			if (r < 0)
				return r;
			if (last < first)
				return -EINVAL;
		}
		for (; first <= last; first++)
			cpus_add(&s, first);
		if (*p != ',') {
			if (*skip_space(p))
				return -EINVAL;
			break;
		}
		p++;
		if (!*p)
			return -EINVAL;
	}
	*ret = s;
	return 0;
}

const char *cpus_format(const struct cpus *s, char buf[AGENTCG_CPUS_TEXT_MAX])
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned int n = cpus_next(s, 0); n < AGENTCG_CPUS_MAX; n = cpus_next(s, n)) {
		unsigned int first = n;

		while (cpus_has(s, n))
			n++;
		used += snprintf(buf + used, AGENTCG_CPUS_TEXT_MAX - used, used ? ",%u" : "%u", first);
		if (n - 1 > first)
			used += snprintf(buf + used, AGENTCG_CPUS_TEXT_MAX - used, "-%u", n - 1);
	}
	return buf;
}
