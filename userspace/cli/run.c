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
	"      --cpu N            its share beside others of its priority: 2, 1.5, 500m (1)\n"
	"      --cpu-max N        the most CPU time that it may use, in CPUs\n"
	"      --pids-max N       how many processes and threads it may have at once\n"
	"      --timeout T        kill it after this time: 30s, 5m\n"
	"      --duration T       how long it will probably take\n"
	"      --latency CLASS    interactive: first when it wakes up; batch: never before others\n"
	"                         (short commands are found out by what they use)\n"
	"      --deadline T       when it should be done: before its equals as that comes closer\n"
	"      --on-pressure W    when memory stays short for long: throttle, freeze or kill it\n"
	"      --detach           what it leaves running goes on, as a call of its session\n"
	"      --group NAME       it belongs to these calls of its session\n"
	"      --after NAME       begin when this call (SESSION/tool-N) or group has ended; may be repeated\n"
	"      --no-wait          begin at once, or fail, where it would wait for room to begin\n"
	"      --may-control      what runs in it may use agentcg for its session, too\n"
	"      --json             write the result as JSON to standard error\n"
	"      --result FILE      write the result as JSON to FILE\n"
	"      --socket PATH      where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help             this text\n"
	"\n"
	"In a tool call already the command just runs there, within its limits; with --json or\n"
	"--result, which then have nothing to tell, that is an error.\n"
	"\n"
	"What no option says is taken from $AGENT_RESOURCE_HINT, such as memory:2g,timeout:5m.\n"
	"\n"
	"The exit code is COMMAND's, 128 + n if signal n killed it (137: memory or policy),\n"
	"124 at the timeout, 125 if agentcg failed, 126 if COMMAND cannot be executed,\n"
	"127 if it was not found.\n";

struct options {
	const char *socket, *result;
	bool json;
	struct agentcg_wish wish;
};

enum {
	SESSION = OPT_FIRST, PRIORITY, MEMORY, MEMORY_MAX, CPU, CPU_MAX, PIDS_MAX, TIMEOUT, DURATION,
	LATENCY, DEADLINE, ON_PRESSURE, DETACH, GROUP, AFTER, NO_WAIT, MAY_CONTROL, JSON, RESULT,
	SOCKET,
};

static int take_time(const char *option, const char *value, uint64_t *ret)
{
	int r = agentcg_opt_time(option, value, ret);

	if (r < 0 || *ret)
		return r;
	agentcg_usage_error("%s: say a time above 0, such as 30s", option);
	return -EINVAL;
}

static int take_cpus(const char *option, const char *value, uint64_t *ret)
{
	char why[AGENTCG_WHY_MAX];

	if (agentcg_parse_cpus(value, ret, why) >= 0)
		return 0;
	agentcg_usage_error("%s: %s", option, why);
	return -EINVAL;
}

static int take_pids(const char *value, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(value, &end, 10);
	if (*value >= '1' && *value <= '9' && !*end && !errno)
		return 0;
	agentcg_usage_error("--pids-max: \"%s\" is no number from 1 on", value);
	return -EINVAL;
}

static int take_word(const char *option, const char *value, int r, const char *words)
{
	if (r < 0)
		agentcg_usage_error("%s: \"%s\" is not known: say %s", option, value, words);
	return r;
}

static int take_after(const char *value, sd_json_variant **after)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *name = NULL;
	int r = agentcg_json_text(&name, value, 256);

	if (r >= 0)
		r = sd_json_variant_append_array(after, name);
	if (r < 0)
		agentcg_usage_error("--after: %s", strerror(-r));
	return r;
}

static int take_intent(struct agentcg_intent *i, int c)
{
	switch (c) {
	case MEMORY:
		return agentcg_opt_size("--memory", optarg, &i->memory_request);
	case MEMORY_MAX:
		return agentcg_opt_size("--memory-max", optarg, &i->memory_limit);
	case CPU:
		return take_cpus("--cpu", optarg, &i->cpu_request);
	case CPU_MAX:
		return take_cpus("--cpu-max", optarg, &i->cpu_limit);
	case PIDS_MAX:
		return take_pids(optarg, &i->pids_limit);
	case TIMEOUT:
		return take_time("--timeout", optarg, &i->timeout_usec);
	case DURATION:
		return take_time("--duration", optarg, &i->duration_usec);
	case DEADLINE:
		return take_time("--deadline", optarg, &i->deadline_usec);
	case LATENCY:
		return take_word("--latency", optarg, agentcg_parse_latency(optarg, &i->latency),
				 "interactive or batch");
	case ON_PRESSURE:
		return take_word("--on-pressure", optarg, agentcg_parse_on_pressure(optarg, &i->on_pressure),
				 "throttle, freeze or kill");
	case DETACH:
		i->detach = true;
		i->detach_set = true;
		return 0;
	default:
		return -EINVAL;
	}
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
	case GROUP:
		o->wish.group = optarg;
		return 0;
	case AFTER:
		return take_after(optarg, &o->wish.after);
	case NO_WAIT:
		o->wish.wait = false;
		return 0;
	case MAY_CONTROL:
		o->wish.may_control = true;
		return 0;
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
		return take_intent(&o->wish.intent, c);
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
		{ "cpu", required_argument, NULL, CPU },
		{ "cpu-max", required_argument, NULL, CPU_MAX },
		{ "pids-max", required_argument, NULL, PIDS_MAX },
		{ "timeout", required_argument, NULL, TIMEOUT },
		{ "duration", required_argument, NULL, DURATION },
		{ "latency", required_argument, NULL, LATENCY },
		{ "deadline", required_argument, NULL, DEADLINE },
		{ "on-pressure", required_argument, NULL, ON_PRESSURE },
		{ "detach", no_argument, NULL, DETACH },
		{ "group", required_argument, NULL, GROUP },
		{ "after", required_argument, NULL, AFTER },
		{ "no-wait", no_argument, NULL, NO_WAIT },
		{ "may-control", no_argument, NULL, MAY_CONTROL },
		{ "json", no_argument, NULL, JSON },
		{ "result", required_argument, NULL, RESULT },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	int c;

	*ret_exit = EXIT_LAUNCHER;
	agentcg_opt_hint(&o->wish.intent);
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
	o->wish.in_place = !o->json && !o->result;
	return 0;
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

	if (!o->json)
		agentcg_launch_tell(l);
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

	if (parse(argc, argv, &o, &r) < 0) {
		sd_json_variant_unref(o.wish.after);
		return r;
	}
	r = agentcg_launch_start(&launch, o.socket, &o.wish);
	sd_json_variant_unref(o.wish.after);
	if (r)
		return r;
	r = agentcg_launch_finish(&launch, &o.wish);
	if (launch.result)
		tell(&launch, &o, r);
	agentcg_child_die_alike(&launch.child);
	return r;
}
