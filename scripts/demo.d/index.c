// SPDX-License-Identifier: GPL-2.0-only
/*
 * A code search's index of a file, the program that agent "build" compiles and
 * runs: for each three characters, where in the file they occur.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef BITS
#define BITS	7	/* of a character */
#endif
#define KEYS	(1U << (3 * BITS))
#define MASK	((1U << BITS) - 1)

static unsigned int key(const unsigned char *s)
{
	return (s[0] & MASK) << (2 * BITS) | (s[1] & MASK) << BITS | (s[2] & MASK);
}

struct place {
	uint32_t offset;
	uint32_t line;
	uint32_t column;
};

int main(int argc, char **argv)
{
	uint32_t *start = calloc(KEYS + 1, sizeof(*start)), line = 0, column = 0;
	FILE *f = argc == 2 ? fopen(argv[1], "r") : NULL;
	struct place *places;
	unsigned char *text;
	size_t n, i;

	if (!f || !start || fseek(f, 0, SEEK_END))
		return 1;
	n = ftell(f);
	rewind(f);
	text = malloc(n);
	places = malloc(n * sizeof(*places));
	if (!text || !places || fread(text, 1, n, f) != n || n < 3)
		return 1;

	for (i = 0; i + 2 < n; i++)
		start[key(text + i) + 1]++;
	for (i = 0; i < KEYS; i++)
		start[i + 1] += start[i];
	for (i = 0; i + 2 < n; i++) {
		places[start[key(text + i)]++] = (struct place){ i, line, column };
		column++;
		if (text[i] == '\n') {
			line++;
			column = 0;
		}
	}
	printf("%zu places in %u lines\n", n - 2, line);
	return 0;
}
