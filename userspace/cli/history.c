// SPDX-License-Identifier: GPL-2.0-only
/* agentcg history: what earlier calls needed, by kind of command. */
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "client.h"
#include "json.h"
#include "size.h"
#include "table.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg history [OPTION...] [COMMAND...]\n"
	"\n"
	"Shows what earlier tool calls needed, by kind of command, the newest first; with a COMMAND\n"
	"only what such a one needed.\n"
	"\n"
	"      --limit N        so many kinds at most\n"
	"      --uid UID        of this user (root only)\n"
	"      --json           print JSON\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n"
	"\n"
	"FAILED are those that were killed (out of memory, timeout, by policy) or could not start all\n"
	"of their processes. P50, P95: so many percent of the runs needed no more.\n";

struct ask {
	char **command;
	size_t words;
	uint64_t limit;		/* 0: none */
	uint64_t uid;		/* UINT64_MAX: one's own */
};

static int build(const struct ask *a, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *command = NULL;
	int r = sd_json_variant_new_array(&command, NULL, 0);

	for (size_t i = 0; r >= 0 && i < a->words; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		r = agentcg_json_text(&v, a->command[i], strlen(a->command[i]));
		if (r >= 0)
			r = sd_json_variant_append_array(&command, v);
	}
	if (r < 0)
		return r;
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_CONDITION(a->words > 0, "command", SD_JSON_BUILD_VARIANT(command)),
		SD_JSON_BUILD_PAIR_CONDITION(a->limit > 0, "limit", SD_JSON_BUILD_UNSIGNED(a->limit)),
		SD_JSON_BUILD_PAIR_CONDITION(a->uid != UINT64_MAX, "uid", SD_JSON_BUILD_UNSIGNED(a->uid)));
}

static void add_size(struct agentcg_table *t, sd_json_variant *v, const char *key)
{
	char text[AGENTCG_TEXT_MAX];

	(void)agentcg_table_add(t, "%s", agentcg_format_bytes(text, agentcg_json_u64(v, key)));
}

static void add_time(struct agentcg_table *t, uint64_t usec)
{
	char text[AGENTCG_TEXT_MAX];

	usec -= usec % (usec >= USEC_PER_SEC ? USEC_PER_SEC / 10 : USEC_PER_MSEC);
	(void)agentcg_table_add(t, "%s", agentcg_format_time(text, usec));
}

static void print(sd_json_variant *kinds)
{
	static const char *const titles[] = {
		"KIND", "RUNS", "FAILED", "PEAK P50", "P95", "MAX", "TIME P50", "P95", "AGO",
	};
	_cleanup_(agentcg_table_done) struct agentcg_table t = { .columns = ARRAY_SIZE(titles) };
	uint64_t now = now_usec(CLOCK_REALTIME), last;

	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		(void)agentcg_table_add(&t, "%s", titles[i]);
	for (size_t i = 0; i < sd_json_variant_elements(kinds); i++) {
		sd_json_variant *v = sd_json_variant_by_index(kinds, i);

		(void)agentcg_table_add(&t, "%s", agentcg_json_string(v, "kind") ?: "");
		(void)agentcg_table_add(&t, "%" PRIu64, agentcg_json_u64(v, "runs"));
		(void)agentcg_table_add(&t, "%" PRIu64, agentcg_json_u64(v, "failures"));
		add_size(&t, v, "peakP50");
		add_size(&t, v, "peakP95");
		add_size(&t, v, "peakMax");
		add_time(&t, agentcg_json_u64(v, "durationP50USec"));
		add_time(&t, agentcg_json_u64(v, "durationP95USec"));
		last = agentcg_json_u64(v, "lastUSec");
		add_time(&t, now > last ? now - last : 0);
	}
	agentcg_table_print(&t, stdout);
}

static int show(const char *socket, const struct ask *a, bool json)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *reply, *kinds;
	char why[AGENTCG_WHY_MAX] = "";
	int r;

	r = agentcg_open_link(socket, &link);
	if (r)
		return r;
	r = build(a, &parameters);
	if (r >= 0)
		r = agentcg_client_call(link, "GetHistory", parameters, &reply, why);
	if (r < 0) {
		agentcg_say("%s", *why ? why : strerror(-r));
		return EXIT_FAILURE;
	}
	if (json)
		return agentcg_print_json(reply);
	kinds = sd_json_variant_by_key(reply, "kinds");
	if (kinds && sd_json_variant_elements(kinds))
		print(kinds);
	else
		puts(a->words ? "nothing of the kind ran yet" : "nothing ran yet");
	fflush(stdout);
	return 0;
}

static int take_number(const char *option, const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || *ret > UINT32_MAX)
		return agentcg_usage_error("%s: \"%s\" is no number", option, text);
	return 0;
}

int agentcg_cmd_history(int argc, char **argv)
{
	enum { LIMIT = OPT_FIRST, UID, JSON, SOCKET };
	static const struct option options[] = {
		{ "limit", required_argument, NULL, LIMIT },
		{ "uid", required_argument, NULL, UID },
		{ "json", no_argument, NULL, JSON },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	const char *socket = agentcg_client_socket();
	struct ask a = { .uid = UINT64_MAX };
	bool json = false;
	int c, r = 0;

	/* "+": options of the COMMAND are its own. */
	while ((c = agentcg_getopt(argc, argv, "+:h", options, help)) >= 0) {
		switch (c) {
		case LIMIT:
			r = take_number("--limit", optarg, &a.limit);
			if (!r && !a.limit)
				r = agentcg_usage_error("--limit: say a number from 1 on");
			break;
		case UID:
			r = take_number("--uid", optarg, &a.uid);
			break;
		case JSON:
			json = true;
			break;
		case SOCKET:
			socket = optarg;
			break;
		case OPT_HELP:
			return 0;
		default:
			return EXIT_USAGE;
		}
		if (r)
			return r;
	}
	a.command = argv + optind;
	a.words = (size_t)(argc - optind);
	return show(socket, &a, json);
}
