// SPDX-License-Identifier: GPL-2.0-only
/* agentcg session, agentcg release: one question to the daemon each. */
#include <inttypes.h>
#include <stdio.h>

#include "attach.h"
#include "cli.h"
#include "client.h"
#include "size.h"
#include "util.h"

static const char session_help[] =
	"Usage: agentcg session open [OPTION...] NAME\n"
	"       agentcg session close [OPTION...] NAME\n"
	"       agentcg session attach [OPTION...] PID\n"
	"\n"
	"Opens a session, or changes your own; or closes it and kills what it left running. To attach:\n"
	"see agentcg session attach --help.\n"
	"\n"
	"      --priority P     low, normal, high or 0..1000, higher is more important\n"
	"      --budget SIZE    the most that its calls may use together\n"
	"      --reserve SIZE   memory kept for it even while it is idle\n"
	"      --time-left T    what it has left for its calls from now on: 10m; none: no end\n"
	"      --calls-left N   how many calls are to come, so that each gets its share of that\n"
	"      --kill           when closing: its detached calls too\n"
	"      --group NAME     when closing: end only this group of its calls (agentcg run --group)\n"
	"      --json           print the answer as JSON\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n"
	"\n"
	"NAME is made of letters, digits, '_', '.' and '-'. Sizes: 512Mi, 2Gi.\n";

static const char release_help[] =
	"Usage: agentcg release [OPTION...] CALL\n"
	"\n"
	"Lets a held tool call go on now. agentcg status shows the calls: SESSION/tool-N.\n"
	"\n"
	"      --json           print the answer as JSON\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n";

/* Asks and hands the answer to the caller; says itself what is wrong. */
static int ask(const char *socket, sd_varlink **link, const char *method,
	       sd_json_variant *parameters, sd_json_variant **ret)
{
	char why[AGENTCG_WHY_MAX];
	int r;

	r = agentcg_open_link(socket, link);
	if (r)
		return r;
	if (agentcg_client_call(*link, method, parameters, ret, why) >= 0)
		return 0;
	agentcg_say("%s", why);
	return EXIT_FAILURE;
}

struct session_options {
	const char *socket, *name, *time_left, *group;
	bool json, open, changes, kill;
	uint32_t priority;
	uint64_t budget, reserve, calls_left;
};

#define UNSET	UINT32_MAX

static int session_open(const struct session_options *o)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *answer, *session, *notes;
	size_t i;
	int r;

	r = sd_json_buildo(&parameters,
		SD_JSON_BUILD_PAIR_STRING("name", o->name),
		SD_JSON_BUILD_PAIR_CONDITION(o->priority != UNSET, "priority",
					     SD_JSON_BUILD_UNSIGNED(o->priority)),
		SD_JSON_BUILD_PAIR_CONDITION(o->budget != UINT64_MAX, "budget",
					     SD_JSON_BUILD_UNSIGNED(o->budget)),
		SD_JSON_BUILD_PAIR_CONDITION(o->reserve != UINT64_MAX, "reserve",
					     SD_JSON_BUILD_UNSIGNED(o->reserve)),
		SD_JSON_BUILD_PAIR_CONDITION(!!o->time_left, "timeLeft", SD_JSON_BUILD_STRING(o->time_left)),
		SD_JSON_BUILD_PAIR_CONDITION(o->calls_left != UINT64_MAX, "callsLeft",
					     SD_JSON_BUILD_UNSIGNED(o->calls_left)));
	if (r < 0)
		return EXIT_FAILURE;
	r = ask(o->socket, &link, "OpenSession", parameters, &answer);
	if (r)
		return r;
	if (o->json)
		return agentcg_print_json(answer);
	session = sd_json_variant_by_key(answer, "session");
	printf("%s: priority %" PRIu64 ", cgroup %s\n", agentcg_json_string(session, "name") ?: o->name,
	       agentcg_json_u64(session, "priority"), agentcg_json_string(session, "cgroup") ?: "");
	notes = sd_json_variant_by_key(answer, "notes");
	for (i = 0; notes && i < sd_json_variant_elements(notes); i++)
		agentcg_say("%s", sd_json_variant_string(sd_json_variant_by_index(notes, i)));
	return 0;
}

static void say_killed(sd_json_variant *v)
{
	sd_json_variant *command = sd_json_variant_by_key(v, "command");

	printf("killed %s:", agentcg_json_string(v, "call") ?: "a call");
	for (size_t i = 0; command && i < sd_json_variant_elements(command); i++)
		printf(" %s", sd_json_variant_string(sd_json_variant_by_index(command, i)));
	putchar('\n');
}

static void say_all_killed(sd_json_variant *answer)
{
	sd_json_variant *killed = sd_json_variant_by_key(answer, "killed");

	for (size_t i = 0; killed && i < sd_json_variant_elements(killed); i++)
		say_killed(sd_json_variant_by_index(killed, i));
}

static int group_end(const struct session_options *o)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *answer;
	int r;

	r = sd_json_buildo(&parameters,
		SD_JSON_BUILD_PAIR_STRING("session", o->name),
		SD_JSON_BUILD_PAIR_STRING("group", o->group));
	if (r < 0)
		return EXIT_FAILURE;
	r = ask(o->socket, &link, "EndGroup", parameters, &answer);
	if (r)
		return r;
	if (o->json)
		return agentcg_print_json(answer);
	printf("%s: group %s is ended\n", o->name, o->group);
	say_all_killed(answer);
	if (agentcg_json_u64(answer, "cancelled"))
		printf("%" PRIu64 " of its calls waited and will not begin\n", agentcg_json_u64(answer, "cancelled"));
	return 0;
}

static int session_close(const struct session_options *o)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *answer;
	int r;

	r = sd_json_buildo(&parameters,
		SD_JSON_BUILD_PAIR_STRING("name", o->name),
		SD_JSON_BUILD_PAIR_CONDITION(o->kill, "kill", SD_JSON_BUILD_BOOLEAN(true)));
	if (r < 0)
		return EXIT_FAILURE;
	r = ask(o->socket, &link, "CloseSession", parameters, &answer);
	if (r)
		return r;
	if (o->json)
		return agentcg_print_json(answer);
	printf("%s: closed\n", o->name);
	say_all_killed(answer);
	if (agentcg_json_u64(answer, "detached"))
		printf("%" PRIu64 " detached calls go on; to end them too: agentcg session close --kill %s\n",
		       agentcg_json_u64(answer, "detached"), o->name);
	return 0;
}

static int session_words(int argc, char **argv, struct session_options *o)
{
	if (argc - optind < 1)
		return agentcg_usage_error("say open, close or attach");
	o->open = streq(argv[optind], "open");
	if (!o->open && !streq(argv[optind], "close"))
		return agentcg_usage_error("'%s' is neither open nor close", argv[optind]);
	if (argc - optind != 2)
		return agentcg_usage_error("say which session to %s: one NAME", argv[optind]);
	if (!o->open && o->changes)
		return agentcg_usage_error("--priority, --budget, --reserve, --time-left and --calls-left go with open");
	if (o->open && (o->kill || o->group))
		return agentcg_usage_error("--kill and --group go with close");
	if (o->kill && o->group)
		return agentcg_usage_error("--group ends its detached calls in any case: leave --kill out");
	o->name = argv[optind + 1];
	return 0;
}

static int take_count(const char *value, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(value, &end, 10);
	if (*value >= '0' && *value <= '9' && !*end && !errno && *ret < UINT32_MAX)
		return 0;
	agentcg_usage_error("--calls-left: \"%s\" is no number from 0 on", value);
	return -EINVAL;
}

int agentcg_cmd_session(int argc, char **argv)
{
	enum { PRIORITY = OPT_FIRST, BUDGET, RESERVE, TIME_LEFT, CALLS_LEFT, KILL, GROUP, JSON, SOCKET };
	static const struct option options[] = {
		{ "priority", required_argument, NULL, PRIORITY },
		{ "budget", required_argument, NULL, BUDGET },
		{ "reserve", required_argument, NULL, RESERVE },
		{ "time-left", required_argument, NULL, TIME_LEFT },
		{ "calls-left", required_argument, NULL, CALLS_LEFT },
		{ "kill", no_argument, NULL, KILL },
		{ "group", required_argument, NULL, GROUP },
		{ "json", no_argument, NULL, JSON },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	struct session_options o = {
		.socket = agentcg_client_socket(), .priority = UNSET,
		.budget = UINT64_MAX, .reserve = UINT64_MAX, .calls_left = UINT64_MAX,
	};
	int c, r = 0;

	if (argc > 1 && streq(argv[1], "attach"))
		return agentcg_session_attach(argc - 1, argv + 1);
	while ((c = agentcg_getopt(argc, argv, ":h", options, session_help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		if (c == PRIORITY)
			r = agentcg_opt_priority("--priority", optarg, &o.priority);
		else if (c == BUDGET)
			r = agentcg_opt_size("--budget", optarg, &o.budget);
		else if (c == RESERVE)
			r = agentcg_opt_size("--reserve", optarg, &o.reserve);
		else if (c == TIME_LEFT)
			o.time_left = optarg;
		else if (c == CALLS_LEFT)
			r = take_count(optarg, &o.calls_left);
		else if (c == KILL)
			o.kill = true;
		else if (c == GROUP)
			o.group = optarg;
		else if (c == JSON)
			o.json = true;
		else if (c == SOCKET)
			o.socket = optarg;
		else
			r = -EINVAL;
		if (r < 0)
			return EXIT_USAGE;
		o.changes |= c == PRIORITY || c == BUDGET || c == RESERVE || c == TIME_LEFT || c == CALLS_LEFT;
	}
	r = session_words(argc, argv, &o);
	if (r)
		return r;
	if (o.group)
		return group_end(&o);
	return o.open ? session_open(&o) : session_close(&o);
}

int agentcg_cmd_release(int argc, char **argv)
{
	enum { JSON = OPT_FIRST, SOCKET };
	static const struct option options[] = {
		{ "json", no_argument, NULL, JSON },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	const char *socket = agentcg_client_socket();
	sd_json_variant *answer;
	bool json = false;
	int c, r;

	while ((c = agentcg_getopt(argc, argv, ":h", options, release_help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		if (c == JSON)
			json = true;
		else if (c == SOCKET)
			socket = optarg;
		else
			return EXIT_USAGE;
	}
	if (argc - optind != 1)
		return agentcg_usage_error("say which call to release: one CALL, such as build/tool-3");
	r = sd_json_buildo(&parameters, SD_JSON_BUILD_PAIR_STRING("call", argv[optind]));
	if (r < 0)
		return EXIT_FAILURE;
	r = ask(socket, &link, "Release", parameters, &answer);
	if (r)
		return r;
	if (json)
		return agentcg_print_json(answer);
	printf("%s: %" PRIu64 " tasks go on\n", argv[optind], agentcg_json_u64(answer, "woken"));
	return 0;
}
