// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg shell-prefix: one shell script, given as one argument, as a tool call.
 *
 * Agent tools that can put a program before each command (Claude Code:
 * CLAUDE_CODE_SHELL_PREFIX) want one path without arguments, so it is also what
 * agentcg does when it is called by the name shell-prefix.  It comes after the
 * tool's own permissions, which see the command as it is.  Without a daemon the
 * script just runs: a daemon that is away must not stop the tool altogether.
 */
#include "cli.h"
#include "launch.h"
#include "prefix.h"
#include "tool.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg shell-prefix SCRIPT\n"
	"\n"
	"Runs SCRIPT with $SHELL -c in a cgroup of its own, for tools that put a program before\n"
	"each command, such as Claude Code with CLAUDE_CODE_SHELL_PREFIX; they want the path\n"
	"of the link that make install makes for this. Without a daemon it just runs it.\n"
	"\n"
	"The session is $AGENTCG_SESSION, or else that of the tool.\n"
	"What is needed may be said by $AGENT_RESOURCE_HINT, such as memory:2g,timeout:5m.\n";

/* Of those that tools write their scripts for. */
static const char *find_shell(void)
{
	const char *shell = getenv("SHELL");
	const char *name = shell ? strrchr(shell, '/') : NULL;

	if (name && (streq(name, "/bash") || streq(name, "/zsh")) && access(shell, X_OK) == 0)
		return shell;
	return access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh";
}

char *agentcg_prefix_command(const char *script)
{
	const char *p = strstr(script, "eval '");
	char *command, *to;

	if (!p)
		return NULL;
	p += strlen("eval '");
	command = malloc(strlen(p) + 1);
	if (!command)
		return NULL;
	to = command;
	for (; *p; p++) {
		if (*p != '\'') {
			*to++ = *p;
		} else if (startswith(p, "'\\''")) {
			*to++ = '\'';	/* how a quote is written between quotes */
			p += 3;
		} else if (startswith(p, "'\"'\"'")) {
			*to++ = '\'';
			p += 4;
		} else {
			*to = 0;
			return command;
		}
	}
	free(command);
	return NULL;
}

static int run(const char *shell, const char *script)
{
	_cleanup_(agentcg_launch_done) struct agentcg_launch launch = AGENTCG_LAUNCH_NONE;
	_cleanup_free_ char *command = agentcg_prefix_command(script);
	char *argv[] = { (char *)shell, "-c", (char *)script, NULL };
	char *shown[] = { "sh", "-c", command, NULL };
	struct agentcg_wish wish = AGENTCG_WISH_NONE;
	const char *socket = agentcg_client_socket();
	char session[AGENTCG_TOOL_SESSION_MAX], why[AGENTCG_WHY_MAX];
	int r;

	wish.session = agentcg_tool_session("claude", getenv("CLAUDE_CODE_SESSION_ID"), session);
	wish.command = argv;
	wish.shown = command ? shown : NULL;
	wish.in_place = true;
	wish.quiet = true;
	agentcg_opt_hint(&wish.intent);
	/* Not a word where there is no daemon: that is for whoever installed this. */
	if (agentcg_client_connect(socket, &launch.leaf.link, why) < 0) {
		execv(shell, argv);
		agentcg_say("%s: %m", shell);
		return EXIT_NOT_EXECUTABLE;
	}
	/* But what the daemon refuses does not run: a quota would be a way out of all control. */
	r = agentcg_launch_start(&launch, socket, &wish);
	if (r)
		return r;
	r = agentcg_launch_finish(&launch, &wish);
	agentcg_launch_tell(&launch);
	/* Not the death that its command died: tools tell nothing of a shell that was killed. */
	return r;
}

int agentcg_cmd_shell_prefix(int argc, char **argv)
{
	if (argc == 2 && (streq(argv[1], "--help") || streq(argv[1], "-h"))) {
		fputs(help, stdout);
		return 0;
	}
	if (argc != 2)
		return agentcg_usage_error("say one script, as one argument");
	return run(find_shell(), argv[1]);
}
