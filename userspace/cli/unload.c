// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg unload: the policy and the scheduler stay in the kernel when the
 * daemon ends; this takes them out by removing what pins them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "client.h"
#include "scx.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg unload [OPTION...]\n"
	"\n"
	"Removes the policy and the CPU scheduler that outlive the daemon, so that the module\n"
	"can be removed. Nothing is held or protected any more, and CPU time is shared by\n"
	"cpu.weight; limits stay. Stop the daemon first.\n"
	"\n"
	"      --json           print the result as JSON\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n";

#define PINS		"/sys/fs/bpf/agentcg"
#define REFCNT		"/sys/module/agentcg/refcnt"
/* A link that nobody holds any more is freed after an RCU grace period. */
#define DETACH_USEC	(2 * USEC_PER_SEC)
#define RETRY_USEC	(20 * USEC_PER_MSEC)

/* The number of pins removed. */
static int remove_pins(void)
{
	DIR *d = opendir(PINS);
	struct dirent *e;
	int n = 0, r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (r >= 0 && (e = readdir(d))) {
		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0)
			r = -errno;
		else
			n++;
	}
	closedir(d);
	if (r >= 0 && rmdir(PINS) < 0)
		r = -errno;
	return r < 0 ? r : n;
}

/* References to the module; -1 if it is not loaded. */
static int references(void)
{
	_cleanup_fclose_ FILE *f = fopen(REFCNT, "re");
	int n;

	return f && fscanf(f, "%d", &n) == 1 ? n : -1;
}

static bool scheduler_runs(void)
{
	struct agentcg_scx scx;

	agentcg_scx_look("", &scx);
	return agentcg_scx_is_ours(&scx);
}

static void wait_for_scheduler(void)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + DETACH_USEC;

	while (scheduler_runs() && now_usec(CLOCK_MONOTONIC) < end)
		usleep(RETRY_USEC);
}

static int wait_for_detach(void)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + DETACH_USEC;
	int n;

	while ((n = references()) > 0 && now_usec(CLOCK_MONOTONIC) < end)
		usleep(RETRY_USEC);
	return n;
}

static int tell(int pins, int refs, bool scheduler, bool json)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

	if (json) {
		if (sd_json_buildo(&v,
			SD_JSON_BUILD_PAIR_INTEGER("pinsRemoved", pins),
			SD_JSON_BUILD_PAIR_BOOLEAN("schedulerRemoved", scheduler),
			SD_JSON_BUILD_PAIR_BOOLEAN("moduleLoaded", refs >= 0),
			SD_JSON_BUILD_PAIR_INTEGER("moduleReferences", refs < 0 ? 0 : refs)) < 0)
			return EXIT_FAILURE;
		return agentcg_print_json(v);
	}
	if (pins)
		printf("%d pins removed: nothing is held or protected any more\n", pins);
	else
		puts("there was no policy to remove");
	if (scheduler)
		puts("the CPU scheduler has ended: CPU time is shared by cpu.weight");
	if (refs > 0)
		printf("the module is still used %d times: some program holds the policy open (bpftool link shows it)\n", refs);
	else if (!refs)
		puts("the module can be removed: rmmod agentcg");
	return 0;
}

int agentcg_cmd_unload(int argc, char **argv)
{
	enum { JSON = OPT_FIRST, SOCKET };
	static const struct option options[] = {
		{ "json", no_argument, NULL, JSON },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	const char *socket = agentcg_client_socket();
	bool json = false;
	bool scheduler;
	int c, pins;

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
	if (agentcg_client_connect(socket, &link, NULL) >= 0) {
		agentcg_say("the daemon runs and keeps the policy in use; stop it first: systemctl stop agentcgd");
		return EXIT_FAILURE;
	}
	scheduler = scheduler_runs();
	pins = remove_pins();
	if (pins < 0) {
		agentcg_say("cannot remove %s: %s%s", PINS, strerror(-pins),
			    pins == -EACCES || pins == -EPERM ? "; run it as root" : "");
		return EXIT_FAILURE;
	}
	wait_for_scheduler();
	return tell(pins, wait_for_detach(), scheduler && !scheduler_runs(), json);
}
