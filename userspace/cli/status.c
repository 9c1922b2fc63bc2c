// SPDX-License-Identifier: GPL-2.0-only
/* agentcg status: the pool, the sessions, their calls; and events as they come. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli.h"
#include "client.h"
#include "io-agentcg.h"
#include "size.h"
#include "table.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg status [OPTION...]\n"
	"\n"
	"Shows the memory that the sessions share, the sessions, and their tool calls.\n"
	"\n"
	"      --watch          then show what happens, until Ctrl-C\n"
	"      --json           print JSON; with --watch one object a line\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n"
	"\n"
	"PHASE is running, held (waits until memory is free), expired (held for too long) or\n"
	"frozen. HELD is how long the call has waited in all. WAITING are calls that are to begin,\n"
	"in their order: for memory, for their session's budget, for calls to be fewer, for their turn.\n";

/* Long commands are cut: a table wants lines that fit. */
#define COMMAND_MAX	40

static void print_pool(sd_json_variant *pool)
{
	char max[AGENTCG_TEXT_MAX], current[AGENTCG_TEXT_MAX], headroom[AGENTCG_TEXT_MAX],
	     reserve[AGENTCG_TEXT_MAX];
	const char *enforcement = agentcg_json_string(pool, "enforcement") ?: "unknown";
	const char *reason = agentcg_json_string(pool, "reason");

	printf("pool %s: %s of %s used, headroom %s, reserve %s\n",
	       agentcg_json_string(pool, "cgroup") ?: "",
	       agentcg_format_bytes(current, agentcg_json_u64(pool, "memoryCurrent")),
	       agentcg_format_bytes(max, agentcg_json_u64(pool, "memoryMax")),
	       agentcg_format_bytes(headroom, agentcg_json_u64(pool, "headroom")),
	       agentcg_format_bytes(reserve, agentcg_json_u64(pool, "reserve")));
	if (streq(enforcement, "kernel"))
		printf("enforcement: in the kernel\n");
	else
		printf("enforcement: %s%s%s; agentcg doctor tells more\n", enforcement,
		       reason ? ": " : "", reason ?: "");
}

static void add_size(struct agentcg_table *t, sd_json_variant *object, const char *key)
{
	char text[AGENTCG_TEXT_MAX];

	if (agentcg_json_has(object, key))
		(void)agentcg_table_add(t, "%s", agentcg_format_bytes(text, agentcg_json_u64(object, key)));
	else
		(void)agentcg_table_add(t, "-");
}

static void add_time(struct agentcg_table *t, uint64_t usec)
{
	char text[AGENTCG_TEXT_MAX];

	/* To tenths of a second: more is noise here. */
	if (usec >= USEC_PER_SEC)
		usec -= usec % (USEC_PER_SEC / 10);
	else
		usec -= usec % USEC_PER_MSEC;
	(void)agentcg_table_add(t, "%s", agentcg_format_time(text, usec));
}

static void add_command(struct agentcg_table *t, sd_json_variant *command)
{
	char text[4 * COMMAND_MAX + 1] = "";
	size_t i, len = 0;

	for (i = 0; command && i < sd_json_variant_elements(command) && len < COMMAND_MAX; i++) {
		sd_json_variant *v = sd_json_variant_by_index(command, i);

		snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
			 sd_json_variant_is_string(v) ? sd_json_variant_string(v) : "");
		len = strlen(text);
	}
	if (len > COMMAND_MAX) {
		for (len = COMMAND_MAX; len && (text[len] & 0xc0) == 0x80; len--)
			;	/* not in the middle of a character */
		strcpy(text + len, "...");
	}
	(void)agentcg_table_add(t, "%s", text);
}

static void print_sessions(sd_json_variant *sessions)
{
	static const char *const titles[] = {
		"SESSION", "PRIORITY", "UID", "CALLS", "memory.current", "BUDGET", "RESERVE",
	};
	_cleanup_(agentcg_table_done) struct agentcg_table t = { .columns = ARRAY_SIZE(titles) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(titles); i++)
		(void)agentcg_table_add(&t, "%s", titles[i]);
	for (i = 0; i < sd_json_variant_elements(sessions); i++) {
		sd_json_variant *s = sd_json_variant_by_index(sessions, i);
		sd_json_variant *calls = sd_json_variant_by_key(s, "calls");

		(void)agentcg_table_add(&t, "%s", agentcg_json_string(s, "name") ?: "");
		(void)agentcg_table_add(&t, "%" PRIu64, agentcg_json_u64(s, "priority"));
		(void)agentcg_table_add(&t, "%" PRIu64, agentcg_json_u64(s, "uid"));
		(void)agentcg_table_add(&t, "%zu", calls ? sd_json_variant_elements(calls) : 0);
		add_size(&t, s, "memoryCurrent");
		add_size(&t, s, "budget");
		add_size(&t, s, "reserve");
	}
	putchar('\n');
	agentcg_table_print(&t, stdout);
}

static void add_calls(struct agentcg_table *t, sd_json_variant *calls)
{
	size_t i;

	for (i = 0; calls && i < sd_json_variant_elements(calls); i++) {
		sd_json_variant *c = sd_json_variant_by_index(calls, i);

		(void)agentcg_table_add(t, "%s", agentcg_json_string(c, "call") ?: "");
		(void)agentcg_table_add(t, "%s", agentcg_json_string(c, "phase") ?: "");
		add_time(t, agentcg_json_u64(c, "heldUSec"));
		(void)agentcg_table_add(t, "%" PRIu64, agentcg_json_u64(c, "priority"));
		add_size(t, c, "memoryCurrent");
		add_size(t, c, "memoryPeak");
		add_size(t, c, "memoryMax");
		add_size(t, c, "request");
		add_time(t, agentcg_json_u64(c, "ageUSec"));
		add_command(t, sd_json_variant_by_key(c, "command"));
	}
}

static void print_calls(sd_json_variant *sessions)
{
	static const char *const titles[] = {
		"CALL", "PHASE", "HELD", "PRIORITY", "memory.current", "memory.peak", "memory.max",
		"REQUEST", "AGE", "COMMAND",
	};
	_cleanup_(agentcg_table_done) struct agentcg_table t = { .columns = ARRAY_SIZE(titles) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(titles); i++)
		(void)agentcg_table_add(&t, "%s", titles[i]);
	for (i = 0; i < sd_json_variant_elements(sessions); i++)
		add_calls(&t, sd_json_variant_by_key(sd_json_variant_by_index(sessions, i), "calls"));
	if (t.nr_cells == t.columns)
		return;
	putchar('\n');
	agentcg_table_print(&t, stdout);
}

static void print_waiting(sd_json_variant *waiting)
{
	static const char *const titles[] = { "WAITING", "FOR", "SINCE", "PRIORITY", "REQUEST", "COMMAND" };
	_cleanup_(agentcg_table_done) struct agentcg_table t = { .columns = ARRAY_SIZE(titles) };
	size_t i, n = waiting ? sd_json_variant_elements(waiting) : 0;

	if (!n)
		return;
	for (i = 0; i < ARRAY_SIZE(titles); i++)
		(void)agentcg_table_add(&t, "%s", titles[i]);
	for (i = 0; i < n; i++) {
		sd_json_variant *w = sd_json_variant_by_index(waiting, i);

		(void)agentcg_table_add(&t, "%s", agentcg_json_string(w, "session") ?: "");
		(void)agentcg_table_add(&t, "%s", agentcg_json_string(w, "lacks") ?: "");
		add_time(&t, agentcg_json_u64(w, "waitingUSec"));
		(void)agentcg_table_add(&t, "%" PRIu64, agentcg_json_u64(w, "priority"));
		add_size(&t, w, "request");
		add_command(&t, sd_json_variant_by_key(w, "command"));
	}
	putchar('\n');
	agentcg_table_print(&t, stdout);
}

static int show(const char *socket, bool json)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *status, *sessions;
	char why[AGENTCG_WHY_MAX];
	int r;

	r = agentcg_open_link(socket, &link);
	if (r)
		return r;
	if (agentcg_client_call(link, "GetStatus", NULL, &status, why) < 0) {
		agentcg_say("%s", why);
		return EXIT_FAILURE;
	}
	if (json)
		return agentcg_print_json(status);
	print_pool(sd_json_variant_by_key(status, "pool"));
	sessions = sd_json_variant_by_key(status, "sessions");
	if (sessions && sd_json_variant_elements(sessions)) {
		print_sessions(sessions);
		print_calls(sessions);
	} else {
		puts("no sessions");
	}
	print_waiting(sd_json_variant_by_key(status, "waiting"));
	fflush(stdout);
	return 0;
}

struct watch {
	bool json;
	int result;
};

static void print_event(sd_json_variant *event)
{
	const char *call = agentcg_json_string(event, "call") ?: "";
	char clock[16] = "";
	time_t t = agentcg_json_u64(event, "timeUSec") / USEC_PER_SEC;
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	printf("%s %-7s %s: %s\n", clock, agentcg_json_string(event, "event") ?: "event",
	       *call ? call : "pool", agentcg_json_string(event, "text") ?: "");
	if (agentcg_json_u64(event, "lost"))
		printf("(%" PRIu64 " events before this one were lost: this reader is too slow)\n",
		       agentcg_json_u64(event, "lost"));
	fflush(stdout);
}

static int on_event(sd_varlink *link, sd_json_variant *parameters, const char *error,
		    sd_varlink_reply_flags_t flags, void *userdata)
{
	struct watch *w = userdata;
	char why[AGENTCG_WHY_MAX];

	if (error) {
		agentcg_client_error(error, parameters, why);
		agentcg_say("%s", why);
		w->result = EXIT_FAILURE;
		return 0;
	}
	if (!w->json)
		print_event(parameters);
	else
		(void)sd_json_variant_dump(parameters, SD_JSON_FORMAT_NEWLINE | SD_JSON_FORMAT_FLUSH,
					   stdout, NULL);
	return 0;
}

/* On a link of its own: one that has carried a call does not do. */
static int watch(const char *socket, bool json)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	struct watch w = { .json = json };
	int r;

	r = agentcg_open_link(socket, &link);
	if (r)
		return r;
	sd_varlink_set_userdata(link, &w);
	r = sd_varlink_bind_reply(link, on_event);
	if (r >= 0)	/* an event may be long in coming */
		r = sd_varlink_set_relative_timeout(link, UINT64_MAX);
	if (r >= 0)
		r = sd_varlink_observe(link, AGENTCG_METHOD("Watch"), NULL);
	while (r >= 0 && !w.result && sd_varlink_is_connected(link) > 0) {
		r = sd_varlink_process(link);
		if (r == 0)
			r = sd_varlink_wait(link, UINT64_MAX);
	}
	if (!w.result)
		agentcg_say("the daemon went away");
	return EXIT_FAILURE;
}

int agentcg_cmd_status(int argc, char **argv)
{
	enum { WATCH = OPT_FIRST, JSON, SOCKET };
	static const struct option options[] = {
		{ "watch", no_argument, NULL, WATCH },
		{ "json", no_argument, NULL, JSON },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	const char *socket = agentcg_client_socket();
	bool json = false, follow = false;
	int c, r;

	while ((c = agentcg_getopt(argc, argv, ":h", options, help)) >= 0) {
		switch (c) {
		case WATCH:
			follow = true;
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
	}
	if (optind != argc)
		return agentcg_usage_error("'%s' is too much", argv[optind]);
	if (follow && json)
		return watch(socket, true);
	r = show(socket, json);
	if (r || !follow)
		return r;
	putchar('\n');
	fflush(stdout);
	return watch(socket, false);
}
