/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simple commands of a line, split as a shell would as far as that can be
 * known without running it: quotes, escapes, lists, pipelines, subshells,
 * substitutions, redirections, here documents, assignments.  What is not valid
 * is read somehow.  Pure, in linear time, without allocation; any bytes will do.
 */
#ifndef _AGENTCG_SHELL_H
#define _AGENTCG_SHELL_H

#include <stddef.h>

#include "util.h"

#define AGENTCG_WORDS_MAX	24	/* of one command; the name is among the first */

struct agentcg_words {
	const char *v[AGENTCG_WORDS_MAX];
	size_t n;
	bool fed;		/* standard input is a file or a here document */
};

/*
 * Called for each command in the order in which they end, so for those in $()
 * before the one that they are part of.  Assignments before it and redirections
 * are left out; reserved words (if, do, !) are words.
 */
typedef void agentcg_shell_fn(void *data, const struct agentcg_words *words);

void agentcg_shell_scan(const char *line, size_t len, agentcg_shell_fn *fn, void *data);

/* NAME=value, NAME+=value */
bool agentcg_shell_is_assignment(const char *word);

#endif /* _AGENTCG_SHELL_H */
