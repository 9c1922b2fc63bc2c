// SPDX-License-Identifier: GPL-2.0-only
#include "program.h"

#include <string.h>

#include "tap.h"

#define ARGS(text)	text, sizeof(text)	/* words end with \0, as in /proc/PID/cmdline */

static bool unwraps_to(const char *script, const char *wanted)
{
	char buf[512], *got;

	strcpy(buf, script);
	got = agentcg_program_unwrap(buf);
	return wanted ? got && !strcmp(got, wanted) : !got;
}

int main(void)
{
	tap_ok(agentcg_program_is_shell(ARGS("/bin/bash")), "bash is a shell");
	tap_ok(agentcg_program_is_shell(ARGS("-zsh")), "a login shell is one");
	tap_ok(!agentcg_program_is_shell(ARGS("/usr/bin/python3")), "python is none");
	tap_ok(!agentcg_program_is_shell(ARGS("basher")), "what begins like one is none");
	tap_ok(!agentcg_program_is_shell("", 0), "no arguments: none");

	tap_ok(agentcg_program_waits(ARGS("bash")), "a shell without a script waits for commands");
	tap_ok(agentcg_program_waits(ARGS("-bash")), "a login shell does");
	tap_ok(agentcg_program_waits(ARGS("/bin/bash\0--norc\0-i")), "with options that take no value, too");
	tap_ok(agentcg_program_waits(ARGS("bash\0--rcfile\0/tmp/rc\0-i")), "... and with some that do");
	tap_ok(agentcg_program_waits(ARGS("bash\0-o\0vi")), "... such as -o");
	tap_ok(agentcg_program_waits(ARGS("sh\0-s\0one")), "-s reads them in spite of arguments");
	tap_ok(!agentcg_program_waits(ARGS("bash\0-c\0make")), "with a command it does not");
	tap_ok(!agentcg_program_waits(ARGS("bash\0-lc\0make")), "... nor in one word with others");
	tap_ok(!agentcg_program_waits(ARGS("bash\0script.sh")), "... nor with a script");
	tap_ok(!agentcg_program_waits(ARGS("bash\0-x\0script.sh")), "... after options");
	tap_ok(agentcg_program_is_script(ARGS("bash\0-c\0make")), "... it is a script");
	tap_ok(!agentcg_program_is_script(ARGS("bash\0-i")), "a shell that waits is none");
	tap_ok(!agentcg_program_is_script(ARGS("make\0-c")), "nor is another program");
	tap_ok(!agentcg_program_waits(ARGS("python3\0-i")), "what is no shell is not told commands");

	tap_ok(agentcg_program_is_terminal(ARGS("tmux\0new-session\0-d")), "tmux starts shells for others");
	tap_ok(!agentcg_program_is_terminal(ARGS("bash\0-c\0tmux")), "a command that starts tmux is none");

	tap_ok(agentcg_program_is_hook(ARGS("/usr/bin/agentcg\0hook\0codex")), "our hook is ours");
	tap_ok(!agentcg_program_is_hook(ARGS("agentcg\0run\0--\0make")), "agentcg run is a command like others");
	tap_ok(!agentcg_program_is_hook(ARGS("agentcg")), "agentcg alone is no hook");
	tap_ok(unwraps_to("shopt -u x; _bgpids_file=/t\n(\n  trap 'jobs -p > \"$_bgpids_file\"' EXIT\n"
			  "make -j4\n)\n__code=$?\nexit $__code", "make -j4"),
	       "a tool's script: the command in it");
	tap_ok(unwraps_to("_bgpids_file=/t\n(\n  trap 'jobs -p > x' EXIT\necho \"\n)\" | cut", "echo \"\n)\" | cut"), "... also one that was cut");
	tap_ok(unwraps_to("make; trap 'rm x' EXIT\ntrue", NULL), "a script of the user's own stays what it is");
	return tap_done();
}
