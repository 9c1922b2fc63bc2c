// SPDX-License-Identifier: GPL-2.0-only
#include "program.h"

#include <string.h>

#include "util.h"

#define NAME_MAX_HERE	16

/* The file name of the program; a login shell's begins with "-". */
static const char *name_of(const char *args, size_t size, char buf[NAME_MAX_HERE])
{
	size_t n = strnlen(args, size), from = n;

	while (from && args[from - 1] != '/')
		from--;
	if (from < n && args[from] == '-')
		from++;
	n = min_u64(n - from, NAME_MAX_HERE - 1);
	memcpy(buf, args + from, n);
	buf[n] = 0;
	return buf;
}

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (streq(name, *names))
			return true;
	return false;
}

bool agentcg_program_is_shell(const char *args, size_t size)
{
	static const char *const shells[] = { "bash", "sh", "dash", "zsh", "ash", "ksh", "mksh", "fish", NULL };
	char buf[NAME_MAX_HERE];

	return is_one_of(name_of(args, size, buf), shells);
}

/* The argument after the one at @i; @size: there is none. */
static size_t next_arg(const char *args, size_t size, size_t i)
{
	return min_u64(i + strnlen(args + i, size - i) + 1, size);
}

/* Options that take the next argument: -o NAME, -O NAME, --rcfile FILE. */
static bool takes_value(const char *option, size_t n)
{
	if (option[1] == '-')
		return (n == 8 && !strncmp(option, "--rcfile", n)) || (n == 11 && !strncmp(option, "--init-file", n));
	return option[n - 1] == 'o' || option[n - 1] == 'O';
}

bool agentcg_program_waits(const char *args, size_t size)
{
	bool from_stdin = false;
	size_t i;

	if (!agentcg_program_is_shell(args, size))
		return false;
	for (i = next_arg(args, size, 0); i < size; i = next_arg(args, size, i)) {
		const char *arg = args + i;
		size_t n = strnlen(arg, size - i);

		if (!n || (*arg != '-' && *arg != '+'))
			return from_stdin;	/* a script, or with -s the first of its arguments */
		if (n == 1 || arg[1] != '-') {
			if (memchr(arg, 'c', n))
				return false;
			from_stdin |= !!memchr(arg, 's', n);
		}
		if (takes_value(arg, n))
			i = next_arg(args, size, i);
	}
	return true;
}

bool agentcg_program_is_script(const char *args, size_t size)
{
	return agentcg_program_is_shell(args, size) && !agentcg_program_waits(args, size);
}

bool agentcg_program_is_terminal(const char *args, size_t size)
{
	static const char *const terminals[] = { "tmux", "screen", "zellij", "script", "dtach", "abduco", NULL };
	char buf[NAME_MAX_HERE];

	return is_one_of(name_of(args, size, buf), terminals);
}

bool agentcg_program_is_hook(const char *args, size_t size)
{
	size_t i = next_arg(args, size, 0);
	char buf[NAME_MAX_HERE];

	return streq(name_of(args, size, buf), "agentcg") && i < size && !strncmp(args + i, "hook", size - i);
}

char *agentcg_program_unwrap(char *script)
{
	char *from = strstr(script, "' EXIT\n"), *end;

	if (!from || !strstr(script, "_bgpids_file=") || !strstr(script, "trap 'jobs -p"))
		return NULL;
	from += strlen("' EXIT\n");
	/* What is longer than we get has no end. */
	for (end = strstr(from, "\n)"); end; end = strstr(end + 1, "\n)"))
		if (startswith(end, "\n)\n__code="))
			*end = 0;
	return from;
}
