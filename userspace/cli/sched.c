// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg sched: what the sessions and calls asked for and got of the CPUs in
 * an interval, and how long their threads waited.  The daemon is asked at its
 * begin and end for what was used, and in between for who has something to run.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "client.h"
#include "latency.h"
#include "sample.h"
#include "table.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg sched [OPTION...]\n"
	"       agentcg sched --gpu-thread TID on|off\n"
	"\n"
	"Shows who shares out the CPU time, and what the sessions and tool calls had of it.\n"
	"\n"
	"      --interval T        measure for this time (1s)\n"
	"      --json              print JSON\n"
	"      --gpu-thread TID    as root: this thread feeds a GPU and runs before all others,\n"
	"                          until it or the scheduler ends\n"
	"      --socket PATH       where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help              this text\n"
	"\n"
	"ASKED is the part of the machine's CPUs that is due to a group by its weight and\n"
	"the weights of those that had something to run, GOT what it used. P50, P95 and P99\n"
	"are microseconds from a wake-up until the thread ran. All are those of the interval.\n";

#define INTERVAL_MIN_USEC	(100 * USEC_PER_MSEC)
#define INTERVAL_MAX_USEC	(3600 * USEC_PER_SEC)

/* ---- the table ---------------------------------------------------------- */

static void add_percent(struct agentcg_table *t, double cpus, const struct agentcg_sample *s)
{
	if (cpus < 0)
		(void)agentcg_table_add(t, "-");
	else
		(void)agentcg_table_add(t, "%.1f%%", 100 * cpus / s->cpus);
}

static void add_latency(struct agentcg_table *t, const struct agentcg_sample_group *g, unsigned int permille)
{
	if (!agentcg_latency_wakeups(&g->latency))
		(void)agentcg_table_add(t, "-");
	else
		(void)agentcg_table_add(t, "%llu", agentcg_latency_at(&g->latency, permille) / NSEC_PER_USEC);
}

static void add_row(struct agentcg_table *t, const struct agentcg_sample *s, const struct agentcg_sample_group *g)
{
	(void)agentcg_table_add(t, "%s", g->name);
	(void)agentcg_table_add(t, "%s", *g->class ? g->class : "-");
	(void)agentcg_table_add(t, "%" PRIu32, g->weight);
	add_percent(t, g->asked, s);
	add_percent(t, g->got, s);
	add_latency(t, g, 500);
	add_latency(t, g, 950);
	add_latency(t, g, 990);
	if (s->sched_ext)
		(void)agentcg_table_add(t, "%" PRIu64, agentcg_latency_wakeups(&g->latency));
	else
		(void)agentcg_table_add(t, "-");
}

static void print_text(const struct agentcg_sample *s)
{
	static const char *const titles[] = {
		"NAME", "CLASS", "WEIGHT", "ASKED", "GOT", "P50", "P95", "P99", "WAKEUPS",
	};
	_cleanup_(agentcg_table_done) struct agentcg_table t = { .columns = ARRAY_SIZE(titles) };

	if (s->sched_ext)
		printf("scheduler: sched_ext, agentcg's own; %u CPUs\n", s->cpus);
	else
		printf("scheduler: the kernel's, by cpu.weight: %s; %u CPUs\n", s->reason, s->cpus);
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		(void)agentcg_table_add(&t, "%s", titles[i]);
	for (size_t i = 0; i < s->n; i++)
		if (*s->groups[i].name)
			add_row(&t, s, &s->groups[i]);
	if (t.nr_cells == t.columns)
		puts("no sessions");
	else
		agentcg_table_print(&t, stdout);
	fflush(stdout);
}

static int print_json(const struct agentcg_sample *s)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL, *list = NULL;
	int r = sd_json_variant_new_array(&list, NULL, 0);

	for (size_t i = 0; r >= 0 && i < s->n; i++) {
		const struct agentcg_sample_group *g = &s->groups[i];
		const struct agentcg_latency *l = &g->latency;

		if (!*g->name)
			continue;
		r = sd_json_variant_append_arraybo(&list,
			SD_JSON_BUILD_PAIR_STRING("name", g->name),
			SD_JSON_BUILD_PAIR_CONDITION(*g->class, "class", SD_JSON_BUILD_STRING(g->class)),
			SD_JSON_BUILD_PAIR_UNSIGNED("weight", g->weight),
			SD_JSON_BUILD_PAIR_CONDITION(g->asked >= 0, "askedPercent",
						     SD_JSON_BUILD_REAL(100 * g->asked / s->cpus)),
			SD_JSON_BUILD_PAIR_REAL("gotPercent", 100 * g->got / s->cpus),
			SD_JSON_BUILD_PAIR_CONDITION(s->sched_ext, "wakeups",
						     SD_JSON_BUILD_UNSIGNED(agentcg_latency_wakeups(l))),
			SD_JSON_BUILD_PAIR_CONDITION(s->sched_ext, "p50USec",
						     SD_JSON_BUILD_UNSIGNED(agentcg_latency_at(l, 500) / NSEC_PER_USEC)),
			SD_JSON_BUILD_PAIR_CONDITION(s->sched_ext, "p95USec",
						     SD_JSON_BUILD_UNSIGNED(agentcg_latency_at(l, 950) / NSEC_PER_USEC)),
			SD_JSON_BUILD_PAIR_CONDITION(s->sched_ext, "p99USec",
						     SD_JSON_BUILD_UNSIGNED(agentcg_latency_at(l, 990) / NSEC_PER_USEC)),
			SD_JSON_BUILD_PAIR_CONDITION(s->sched_ext, "maxUSec",
						     SD_JSON_BUILD_UNSIGNED(agentcg_latency_at(l, 1000) / NSEC_PER_USEC)));
	}
	if (r >= 0)
		r = sd_json_buildo(&v,
			SD_JSON_BUILD_PAIR_STRING("active", s->sched_ext ? "sched_ext" : "weights"),
			SD_JSON_BUILD_PAIR_CONDITION(!s->sched_ext, "reason", SD_JSON_BUILD_STRING(s->reason)),
			SD_JSON_BUILD_PAIR_UNSIGNED("cpus", s->cpus),
			SD_JSON_BUILD_PAIR_UNSIGNED("intervalNSec", s->interval_ns),
			SD_JSON_BUILD_PAIR_VARIANT("groups", list));
	return r < 0 ? EXIT_FAILURE : agentcg_print_json(v);
}

static int show(const char *socket, uint64_t interval, bool json)
{
	_cleanup_(agentcg_sample_done) struct agentcg_sample sample = {};
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	char why[AGENTCG_WHY_MAX] = "";
	int r = agentcg_open_link(socket, &link);

	if (r)
		return r;
	r = agentcg_sample_take(&sample, link, interval, why);
	if (r < 0) {
		agentcg_say("%s", *why ? why : strerror(-r));
		return EXIT_FAILURE;
	}
	if (json)
		return print_json(&sample);
	print_text(&sample);
	return 0;
}

/* ---- --gpu-thread ------------------------------------------------------- */

static int set_gpu_thread(const char *socket, const char *thread, const char *what)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	char why[AGENTCG_WHY_MAX] = "", *end;
	unsigned long tid;
	int r;

	errno = 0;
	tid = strtoul(thread, &end, 10);
	if (*thread < '1' || *thread > '9' || *end || errno || tid > INT32_MAX)
		return agentcg_usage_error("--gpu-thread: \"%s\" is no thread: say its id, as ps -L shows it", thread);
	if (!what || (!streq(what, "on") && !streq(what, "off")))
		return agentcg_usage_error("--gpu-thread %s: say on or off", thread);
	r = agentcg_open_link(socket, &link);
	if (r)
		return r;
	r = sd_json_buildo(&parameters,
		SD_JSON_BUILD_PAIR_UNSIGNED("tid", tid),
		SD_JSON_BUILD_PAIR_STRING("class", streq(what, "on") ? "gpu" : "auto"));
	if (r >= 0)
		r = agentcg_client_call(link, "SetThreadClass", parameters, NULL, why);
	if (r >= 0)
		return 0;
	agentcg_say("%s", *why ? why : strerror(-r));
	return EXIT_FAILURE;
}

static int check_interval(uint64_t interval)
{
	if (interval >= INTERVAL_MIN_USEC && interval <= INTERVAL_MAX_USEC)
		return 0;
	return agentcg_usage_error("--interval: say a time from 100ms to 1h");
}

int agentcg_cmd_sched(int argc, char **argv)
{
	enum { INTERVAL = OPT_FIRST, JSON, GPU_THREAD, SOCKET };
	static const struct option options[] = {
		{ "interval", required_argument, NULL, INTERVAL },
		{ "json", no_argument, NULL, JSON },
		{ "gpu-thread", required_argument, NULL, GPU_THREAD },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	const char *socket = agentcg_client_socket(), *thread = NULL, *what = NULL;
	uint64_t interval = USEC_PER_SEC;
	bool json = false;
	int c, r;

	while ((c = agentcg_getopt(argc, argv, ":h", options, help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		if (c == JSON)
			json = true;
		else if (c == GPU_THREAD)
			thread = optarg;
		else if (c == SOCKET)
			socket = optarg;
		else if (c != INTERVAL || agentcg_opt_time("--interval", optarg, &interval) < 0)
			return EXIT_USAGE;
	}
	if (thread && optind < argc)
		what = argv[optind++];
	if (optind != argc)
		return agentcg_usage_error("'%s' is too much", argv[optind]);
	if (thread)
		return set_gpu_thread(socket, thread, what);
	r = check_interval(interval);
	return r ?: show(socket, interval, json);
}
