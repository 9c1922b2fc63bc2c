/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands of agentcg share.  Only this layer prints. */
#ifndef AGENTCG_CLI_H
#define AGENTCG_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-json.h>
#include <systemd/sd-varlink.h>

#include "intent.h"

/* Exit codes, as in timeout(1) and sh(1). */
enum {
	EXIT_USAGE		= 2,
	EXIT_TIMEOUT		= 124,
	EXIT_LAUNCHER		= 125,	/* agentcg run itself failed */
	EXIT_NOT_EXECUTABLE	= 126,
	EXIT_NOT_FOUND		= 127,
	EXIT_SIGNAL		= 128,	/* plus the signal's number */
};

int agentcg_cmd_run(int argc, char **argv);
int agentcg_cmd_shell_prefix(int argc, char **argv);
int agentcg_cmd_hook(int argc, char **argv);
int agentcg_cmd_status(int argc, char **argv);
int agentcg_cmd_sched(int argc, char **argv);
int agentcg_cmd_history(int argc, char **argv);
int agentcg_cmd_doctor(int argc, char **argv);
int agentcg_cmd_record(int argc, char **argv);
int agentcg_cmd_replay(int argc, char **argv);
int agentcg_cmd_gpu(int argc, char **argv);
int agentcg_cmd_session(int argc, char **argv);
int agentcg_cmd_results(int argc, char **argv);
int agentcg_cmd_release(int argc, char **argv);
int agentcg_cmd_ticket(int argc, char **argv);
int agentcg_cmd_enter(int argc, char **argv);
int agentcg_cmd_unload(int argc, char **argv);
int agentcg_cmd_mcp(int argc, char **argv);

/* "agentcg COMMAND: ..." on stderr. */
void agentcg_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, and a hint at --help; returns EXIT_USAGE. */
int agentcg_usage_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * getopt_long() that says itself what is wrong and returns '?' for that.
 * @options ends with AGENTCG_COMMON_OPTIONS; OPT_HELP prints @help, and the
 * caller returns 0.
 */
enum { OPT_HELP = 'h', OPT_FIRST = 256 };

#define AGENTCG_COMMON_OPTIONS { "help", no_argument, NULL, OPT_HELP }, {}

int agentcg_getopt(int argc, char **argv, const char *short_options, const struct option *options,
		   const char *help);

/* Values of options; they say what is wrong and return negative errno. */
int agentcg_opt_size(const char *option, const char *value, uint64_t *ret);
int agentcg_opt_time(const char *option, const char *value, uint64_t *ret_usec);
int agentcg_opt_priority(const char *option, const char *value, uint32_t *ret);

/* $AGENT_RESOURCE_HINT, if it is set and makes sense; says if it does not. */
void agentcg_opt_hint(struct agentcg_intent *intent);

/* Connects; says itself what is wrong and returns an exit code, 0 if nothing is. */
int agentcg_open_link(const char *socket, sd_varlink **ret);

/* Prints @v, indented on a terminal; returns an exit code. */
int agentcg_print_json(sd_json_variant *v);

#endif
