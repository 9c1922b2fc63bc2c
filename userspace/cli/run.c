// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg run: a command as a tool call.  Silent unless something happened
 * that its user should know of.
 */
#include <stdio.h>

#include "class.h"
#include "cli.h"
#include "launch.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg run [OPTION...] [--] COMMAND [ARGUMENT...]\n"
	"\n"
	"Runs COMMAND in a cgroup of its own, in a session of the agentcg daemon.\n"
	"Input, output, terminal and signals are its own.  What it leaves running is killed.\n"
	"\n"
	"      --session NAME     the session it belongs to (your own default session)\n"
	"      --priority P       low, normal, high or 0..1000 (the session's)\n"
	"      --memory SIZE      what it will probably need: 512Mi, 2Gi; not a limit\n"
	"      --memory-max SIZE  the most that it may use\n"
	"      --timeout T        kill it after this time: 30s, 5m\n"
	"      --latency CLASS    interactive: first when it wakes up; batch: never before others\n"
	"                         (short commands are found out by what they use)\n"
	"      --deadline T       when it should be done: before its equals as that comes closer\n"
	"      --json             write the result as JSON to standard error\n"
	"      --result FILE      write the result as JSON to FILE\n"
	"      --socket PATH      where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help             this text\n"
	"\n"
	"The exit code is COMMAND's, 128 + n if signal n killed it (137: memory or policy),\n"
	"124 at the timeout, 125 if agentcg failed, 126 if COMMAND cannot be executed,\n"
	"127 if it was not found.\n";

struct options {
	const char *socket, *result;
	bool json;
	struct agentcg_wish wish;
};

enum { SESSION = OPT_FIRST, PRIORITY, MEMORY, MEMORY_MAX, TIMEOUT, LATENCY, DEADLINE, JSON, RESULT, SOCKET };

static int take_latency(struct options *o, const char *value)
{
	uint32_t class;

	if (agentcg_parse_latency(value, &class) < 0) {
		agentcg_usage_error("--latency: \"%s\" is no class: say interactive or batch", value);
		return -EINVAL;
	}
	o->wish.latency = value;
	return 0;
}

static int take_deadline(struct options *o, const char *value)
{
	int r = agentcg_opt_time("--deadline", value, &o->wish.deadline);

	if (r < 0 || o->wish.deadline)
		return r;
	agentcg_usage_error("--deadline: say a time above 0, such as 30s");
	return -EINVAL;
}

static int take_option(struct options *o, int c)
{
	uint32_t priority;
	int r;

	switch (c) {
	case SESSION:
		o->wish.session = optarg;
		return 0;
	case PRIORITY:
		r = agentcg_opt_priority("--priority", optarg, &priority);
		if (r >= 0)
			o->wish.priority = priority;
		return r;
	case MEMORY:
		return agentcg_opt_size("--memory", optarg, &o->wish.memory);
	case MEMORY_MAX:
		return agentcg_opt_size("--memory-max", optarg, &o->wish.memory_max);
	case TIMEOUT:
		return agentcg_opt_time("--timeout", optarg, &o->wish.timeout);
	case LATENCY:
		return take_latency(o, optarg);
	case DEADLINE:
		return take_deadline(o, optarg);
	case JSON:
		o->json = true;
		return 0;
	case RESULT:
		o->result = optarg;
		return 0;
	case SOCKET:
		o->socket = optarg;
		return 0;
	default:
		return -EINVAL;
	}
}

/* 0 to go on; otherwise *@ret_exit is the exit code. */
static int parse(int argc, char **argv, struct options *o, int *ret_exit)
{
	static const struct option options[] = {
		{ "session", required_argument, NULL, SESSION },
		{ "priority", required_argument, NULL, PRIORITY },
		{ "memory", required_argument, NULL, MEMORY },
		{ "memory-max", required_argument, NULL, MEMORY_MAX },
		{ "timeout", required_argument, NULL, TIMEOUT },
		{ "latency", required_argument, NULL, LATENCY },
		{ "deadline", required_argument, NULL, DEADLINE },
		{ "json", no_argument, NULL, JSON },
		{ "result", required_argument, NULL, RESULT },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	int c;

	*ret_exit = EXIT_LAUNCHER;
	while ((c = agentcg_getopt(argc, argv, "+:h", options, help)) >= 0) {
		if (c == OPT_HELP) {
			*ret_exit = 0;
			return -ECANCELED;
		}
		if (take_option(o, c) < 0)
			return -EINVAL;
	}
	if (optind == argc) {
		agentcg_usage_error("say which command to run, such as: agentcg run -- make");
		return -EINVAL;
	}
	o->wish.command = argv + optind;
	return 0;
}

static bool worth_telling(sd_json_variant *result)
{
	const char *outcome = agentcg_json_string(result, "outcome");

	/* Slowed by a few milliseconds is no news. */
	return outcome && !streq(outcome, "ok") && !streq(outcome, "throttled");
}

static int dump(sd_json_variant *result, FILE *f)
{
	int r = sd_json_variant_dump(result, SD_JSON_FORMAT_NEWLINE, f, NULL);

	return r < 0 ? r : fflush(f) < 0 ? -errno : 0;
}

static int write_result(sd_json_variant *result, const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "we");

	return f ? dump(result, f) : -errno;
}

static void tell(struct agentcg_launch *l, const struct options *o, int exit_code)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = sd_json_variant_ref(l->result);
	int r;

	if (!o->json && worth_telling(v))
		agentcg_say("%s", agentcg_json_string(v, "text") ?: agentcg_json_string(v, "outcome"));
	if (!o->json && !o->result)
		return;
	r = sd_json_variant_set_field_string(&v, "call", l->leaf.call);
	if (r >= 0)
		r = sd_json_variant_set_field_integer(&v, "exitCode", exit_code);
	if (r >= 0 && o->json)
		r = dump(v, stderr);
	if (r >= 0 && o->result)
		r = write_result(v, o->result);
	if (r < 0)
		agentcg_say("cannot write the result: %s", strerror(-r));
}

int agentcg_cmd_run(int argc, char **argv)
{
	_cleanup_(agentcg_launch_done) struct agentcg_launch launch = AGENTCG_LAUNCH_NONE;
	struct options o = { .socket = agentcg_client_socket(), .wish = AGENTCG_WISH_NONE };
	int r;

	if (parse(argc, argv, &o, &r) < 0)
		return r;
	r = agentcg_launch_start(&launch, o.socket, &o.wish);
	if (r)
		return r;
	r = agentcg_launch_finish(&launch, &o.wish);
	if (launch.result)
		tell(&launch, &o, r);
	agentcg_child_die_alike(&launch.child);
	return r;
}
