/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kind of a command: what it does, not how it is spelt.  "python3 -m
 * pytest a.py", "/x/venv/bin/pytest" and ". venv/bin/activate && pytest -q"
 * are all "pytest", since what one of them needed says most about what the
 * next will need.  Pure, in linear time, without allocation; any bytes will do.
 *
 * A kind is one to three printable words: the program, for tools with
 * subcommands also that ("git status", "npm test"), for interpreters what they
 * run ("python -c", "python setup.py build").
 */
#ifndef _AGENTCG_KIND_H
#define _AGENTCG_KIND_H

#include <stddef.h>

#include "util.h"

#define AGENTCG_KIND_MAX	65	/* bytes, with the NUL */

/* Of a command that says nothing, such as an empty one. */
#define AGENTCG_KIND_UNKNOWN	"unknown"

/* Of an argv; a shell with -c is looked into. */
const char *agentcg_kind_of_words(char buf[AGENTCG_KIND_MAX], const char *const *words, size_t n);

/* Of @len bytes for a shell: the command in it that costs most, by a small table. */
const char *agentcg_kind_of_line(char buf[AGENTCG_KIND_MAX], const char *line, size_t len);

/* Its first word, the wider class: "git" of "git status". */
const char *agentcg_kind_family(char buf[AGENTCG_KIND_MAX], const char *kind);

#endif /* _AGENTCG_KIND_H */
