/* SPDX-License-Identifier: GPL-2.0-only */
/* What a program is, by its arguments as in /proc/PID/cmdline, which may be cut.  Pure. */
#ifndef _AGENTCG_PROGRAM_H
#define _AGENTCG_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

bool agentcg_program_is_shell(const char *args, size_t size);
/* A shell that has no script: it will read its commands. */
bool agentcg_program_waits(const char *args, size_t size);
/* A shell that has one, or a command: sh -c COMMAND. */
bool agentcg_program_is_script(const char *args, size_t size);
/* One that starts shells for somebody who types (tmux). */
bool agentcg_program_is_terminal(const char *args, size_t size);

/*
 * The command that a tool has wrapped in a @script of its own, which is cut to that; NULL: it is none that
 * is known.  Gemini CLI: "...; _bgpids_file=...\n(\n  trap '...' EXIT\nCOMMAND\n)\n__code=$?\nexit $__code".
 */
char *agentcg_program_unwrap(char *script);
/* agentcg hook */
bool agentcg_program_is_hook(const char *args, size_t size);

#endif
