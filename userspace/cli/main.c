// SPDX-License-Identifier: GPL-2.0-only
/* agentcg: the command.  One function per word, one file per function. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "util.h"

static const struct {
	const char *name;
	int (*function)(int argc, char **argv);
	const char *description;
} commands[] = {
	{ "run",	agentcg_cmd_run,	"Run a command as a tool call, in a cgroup of its own" },
	{ "shell-prefix", agentcg_cmd_shell_prefix, "Run a shell script as a tool call, for tools that want a prefix" },
	{ "hook",	agentcg_cmd_hook,	"Tie agent tools to agentcg: claude, codex, gemini" },
	{ "status",	agentcg_cmd_status,	"Show the pool, the sessions and their tool calls" },
	{ "sched",	agentcg_cmd_sched,	"Show what CPU time they asked for and got, and how long they waited" },
	{ "gpu",	agentcg_cmd_gpu,	"Place GPU inference workers, and show them" },
	{ "history",	agentcg_cmd_history,	"Show what earlier tool calls needed, by kind of command" },
	{ "session",	agentcg_cmd_session,	"Open or close a session, or attach a shell or framework" },
	{ "results",	agentcg_cmd_results,	"Tell what became of a session's last tool calls" },
	{ "ticket",	agentcg_cmd_ticket,	"Begin a tool call for a command in a sandbox without sockets" },
	{ "enter",	agentcg_cmd_enter,	"Move the calling shell into the tool call of a ticket" },
	{ "release",	agentcg_cmd_release,	"Let a held tool call go on" },
	{ "mcp",	agentcg_cmd_mcp,	"Tools for the model itself, as an MCP server" },
	{ "record",	agentcg_cmd_record,	"Record how much memory and CPU a command uses" },
	{ "replay",	agentcg_cmd_replay,	"Use memory as a recorded command did" },
	{ "doctor",	agentcg_cmd_doctor,	"Tell what can be enforced here, and why not" },
	{ "unload",	agentcg_cmd_unload,	"Remove the policy and the scheduler from the kernel" },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *f)
{
	size_t i;

	fputs("Usage: agentcg COMMAND [ARGUMENT...]\n\n"
	      "Keeps the tool calls of AI agents within the memory and CPU time that there is.\n\n", f);
	for (i = 0; i < NR_COMMANDS; i++)
		fprintf(f, "  %-13s %s\n", commands[i].name, commands[i].description);
	fputs("\nagentcg COMMAND --help tells about each; agentcg --version, which version this is.\n", f);
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc && streq(basename(argv[0]), "shell-prefix"))
		return agentcg_cmd_shell_prefix(argc, argv);
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("agentcg " AGENTCG_VERSION);
		return 0;
	}
	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].function(argc - 1, argv + 1);
	fprintf(stderr, "agentcg: there is no command '%s'; agentcg --help lists them\n", argv[1]);
	return EXIT_USAGE;
}
