// SPDX-License-Identifier: GPL-2.0-only
/* agentcg doctor: what can be enforced here, one line for each condition. */
#include <stdio.h>
#include <time.h>

#include "cli.h"
#include "client.h"
#include "probe.h"
#include "scx.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg doctor [OPTION...]\n"
	"\n"
	"Tells what this machine can enforce, and what to do about what it cannot.\n"
	"\n"
	"      --json           print JSON\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n"
	"\n"
	"The exit code is 0 if memory can be enforced in the kernel, 1 if not.\n";

/* As the daemon knows it, or without one as the kernel's files tell. */
static void check_scheduler(struct agentcg_probe *probe, sd_json_variant *pool)
{
	struct agentcg_finding *f = agentcg_probe_add(probe, "scheduler");
	time_t since = (time_t)(agentcg_json_u64(pool, "schedulerSinceUSec") / USEC_PER_SEC);
	const char *reason = agentcg_json_string(pool, "schedulerReason");
	struct agentcg_scx scx;
	char text[32] = "?";
	struct tm tm;

	agentcg_scx_look("", &scx);
	if (since) {
		if (localtime_r(&since, &tm))
			strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
		agentcg_finding_set(f, AGENTCG_LEVEL_OK, "sched_ext scheduler %s is running since %s",
				    AGENTCG_SCX_NAME, text);
	} else if (pool) {
		agentcg_finding_set(f, AGENTCG_LEVEL_LIMITED, "the kernel shares CPU time by cpu.weight: %s",
				    reason ?: "the daemon is older than this command");
	} else if (agentcg_scx_is_ours(&scx)) {
		agentcg_finding_set(f, AGENTCG_LEVEL_OK, "sched_ext scheduler %s is running, without the daemon",
				    scx.name);
	} else {
		agentcg_finding_set(f, AGENTCG_LEVEL_LIMITED, "the kernel shares CPU time by cpu.weight: the daemon loads the scheduler, and does not run");
	}
}

/* No GPU is a normal state. */
static void check_gpu_workers(struct agentcg_probe *probe, sd_varlink *link)
{
	struct agentcg_finding *f = agentcg_probe_add(probe, "GPU workers");
	sd_json_variant *answer, *gpus, *workers, *notes;
	char why[AGENTCG_WHY_MAX];

	if (agentcg_client_call(link, "io.agentcg.gpu.GetWorkers", NULL, &answer, why) < 0) {
		agentcg_finding_set(f, AGENTCG_LEVEL_LIMITED, "%s", why);
		return;
	}
	gpus = sd_json_variant_by_key(answer, "gpus");
	workers = sd_json_variant_by_key(answer, "workers");
	notes = sd_json_variant_by_key(answer, "notes");
	if (notes && sd_json_variant_elements(notes))
		agentcg_finding_set(f, AGENTCG_LEVEL_LIMITED, "%s", sd_json_variant_string(sd_json_variant_by_index(notes, 0)));
	else if (!gpus || !sd_json_variant_elements(gpus))
		agentcg_finding_set(f, AGENTCG_LEVEL_OK, "can be placed, on cores and memory of their own; no GPU: %s",
				    agentcg_json_string(answer, "reason") ?: "none is there");
	else
		agentcg_finding_set(f, AGENTCG_LEVEL_OK, "can be placed, on cores and memory of their own; %zu GPUs, %zu workers",
				    sd_json_variant_elements(gpus), workers ? sd_json_variant_elements(workers) : 0);
}

static void check_daemon(struct agentcg_probe *probe, const char *socket)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	struct agentcg_finding *f = agentcg_probe_add(probe, "daemon");
	sd_json_variant *status, *pool;
	char why[AGENTCG_WHY_MAX];
	const char *enforcement, *reason;

	if (agentcg_client_connect(socket, &link, why) < 0 ||
	    agentcg_client_call(link, "GetStatus", NULL, &status, why) < 0) {
		agentcg_finding_set(f, AGENTCG_LEVEL_MISSING, "%s", why);
		check_scheduler(probe, NULL);
		return;
	}
	pool = sd_json_variant_by_key(status, "pool");
	enforcement = agentcg_json_string(pool, "enforcement") ?: "unknown";
	reason = agentcg_json_string(pool, "reason");
	if (streq(enforcement, "kernel"))
		agentcg_finding_set(f, AGENTCG_LEVEL_OK, "running, enforces in the kernel");
	else
		agentcg_finding_set(f, AGENTCG_LEVEL_LIMITED, "running, enforcement is %s: %s", enforcement,
				    reason ?: "it gave no reason");
	check_scheduler(probe, pool);
	check_gpu_workers(probe, link);
}

static int print_json(const struct agentcg_probe *probe)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL, *list = NULL;
	size_t i;
	int r = 0;

	for (i = 0; r >= 0 && i < probe->nr_findings; i++) {
		const struct agentcg_finding *f = &probe->findings[i];

		r = sd_json_variant_append_arraybo(&list,
			SD_JSON_BUILD_PAIR_STRING("name", f->name),
			SD_JSON_BUILD_PAIR_STRING("level", agentcg_level_name(f->level)),
			SD_JSON_BUILD_PAIR_BOOLEAN("required", f->required),
			SD_JSON_BUILD_PAIR_STRING("text", f->text));
	}
	if (r >= 0)
		r = sd_json_buildo(&v,
			SD_JSON_BUILD_PAIR_STRING("kernel", probe->release),
			SD_JSON_BUILD_PAIR_BOOLEAN("enforceable", agentcg_probe_enforceable(probe)),
			SD_JSON_BUILD_PAIR_VARIANT("findings", list));
	return r < 0 ? EXIT_FAILURE : agentcg_print_json(v);
}

static void print_text(const struct agentcg_probe *probe)
{
	size_t i;

	for (i = 0; i < probe->nr_findings; i++) {
		const struct agentcg_finding *f = &probe->findings[i];

		printf("%-7s %s: %s\n", agentcg_level_name(f->level), f->name, f->text);
	}
	if (agentcg_probe_enforceable(probe))
		puts("Memory can be enforced in the kernel here.");
	else
		puts("Memory cannot be enforced in the kernel here: see what is missing above. Limits and weights work where cgroup v2 does.");
}

int agentcg_cmd_doctor(int argc, char **argv)
{
	enum { JSON = OPT_FIRST, SOCKET };
	static const struct option options[] = {
		{ "json", no_argument, NULL, JSON },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	const char *socket = agentcg_client_socket();
	struct agentcg_probe probe;
	bool json = false;
	int c;

	while ((c = agentcg_getopt(argc, argv, ":h", options, help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		if (c == JSON)
			json = true;
		else if (c == SOCKET)
			socket = optarg;
		else
			return EXIT_USAGE;
	}
	if (optind != argc)
		return agentcg_usage_error("'%s' is too much", argv[optind]);
	agentcg_probe(&probe, "");
	check_daemon(&probe, socket);
	if (!json)
		print_text(&probe);
	else if (print_json(&probe))
		return EXIT_FAILURE;
	return agentcg_probe_enforceable(&probe) ? 0 : 1;
}
