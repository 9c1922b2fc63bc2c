// SPDX-License-Identifier: GPL-2.0-only
/* agentcg results: what became of a session's last calls. */
#include <stdio.h>

#include "cli.h"
#include "client.h"
#include "table.h"
#include "util.h"
#include "words.h"

static const char help[] =
	"Usage: agentcg results [OPTION...] [SESSION]\n"
	"\n"
	"Tells what became of the last 16 tool calls of a session that ended, since the daemon was\n"
	"started. The session is $AGENTCG_SESSION if that is set, or else your own default session.\n"
	"\n"
	"      --untold         only those with something to tell, and each only once\n"
	"      --failed         only those for which something may be tried\n"
	"      --json           print the answer as JSON\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n";

struct options {
	const char *socket, *session;
	bool untold, failed, json;
};

static int print(sd_json_variant *results)
{
	_cleanup_(agentcg_table_done) struct agentcg_table t = { .columns = 3 };
	size_t n = results ? sd_json_variant_elements(results) : 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++) {
		sd_json_variant *f = sd_json_variant_by_index(results, i);
		char command[AGENTCG_WORDS_TEXT];

		agentcg_words_show(sd_json_variant_by_key(f, "command"), command);
		r = agentcg_table_add(&t, "%s", agentcg_json_string(f, "call") ?: "");
		if (r >= 0)
			r = agentcg_table_add(&t, "%s", command);
		if (r >= 0)
			r = agentcg_table_add(&t, "%s", agentcg_json_string(sd_json_variant_by_key(f, "result"), "text") ?: "");
	}
	if (r < 0) {
		agentcg_say("%s", strerror(-r));
		return EXIT_FAILURE;
	}
	agentcg_table_print(&t, stdout);
	return 0;
}

static int ask(const struct options *o)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *answer;
	char why[AGENTCG_WHY_MAX];
	int r;

	r = sd_json_buildo(&parameters,
		SD_JSON_BUILD_PAIR_STRING("session", o->session),
		SD_JSON_BUILD_PAIR_CONDITION(o->untold, "untold", SD_JSON_BUILD_BOOLEAN(true)),
		SD_JSON_BUILD_PAIR_CONDITION(o->failed, "failed", SD_JSON_BUILD_BOOLEAN(true)));
	if (r < 0)
		return agentcg_usage_error("the session's name is not UTF-8");
	r = agentcg_open_link(o->socket, &link);
	if (r)
		return r;
	if (agentcg_client_call(link, "GetResults", parameters, &answer, why) < 0) {
		agentcg_say("%s", why);
		return EXIT_FAILURE;
	}
	return o->json ? agentcg_print_json(answer) : print(sd_json_variant_by_key(answer, "results"));
}

int agentcg_cmd_results(int argc, char **argv)
{
	enum { UNTOLD = OPT_FIRST, FAILED, JSON, SOCKET };
	static const struct option options[] = {
		{ "untold", no_argument, NULL, UNTOLD },
		{ "failed", no_argument, NULL, FAILED },
		{ "json", no_argument, NULL, JSON },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	struct options o = { .socket = agentcg_client_socket(), .session = getenv("AGENTCG_SESSION") };
	char own[32];
	int c;

	while ((c = agentcg_getopt(argc, argv, ":h", options, help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		if (c == UNTOLD)
			o.untold = true;
		else if (c == FAILED)
			o.failed = true;
		else if (c == JSON)
			o.json = true;
		else if (c == SOCKET)
			o.socket = optarg;
		else
			return EXIT_USAGE;
	}
	if (argc - optind > 1)
		return agentcg_usage_error("say one session at most");
	snprintf(own, sizeof(own), "uid-%u", geteuid());
	if (optind < argc)
		o.session = argv[optind];
	else if (!o.session || !*o.session)
		o.session = own;
	return ask(&o);
}
