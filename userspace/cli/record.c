// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg record: samples memory.current and the CPU time of a command's
 * leaf, or of any group, into a trace.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "cgroup.h"
#include "cli.h"
#include "launch.h"
#include "trace.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg record [OPTION...] [--] COMMAND [ARGUMENT...]\n"
	"       agentcg record [OPTION...] --cgroup PATH\n"
	"\n"
	"Runs COMMAND as agentcg run does and records how much memory and CPU it uses; or\n"
	"watches the group PATH until it has no process any more, or Ctrl-C. agentcg replay\n"
	"reads the trace.\n"
	"\n"
	"  -o, --output FILE    where to write the trace; - for standard output\n"
	"                       (agentcg-trace.json)\n"
	"      --interval T     time between samples (100ms)\n"
	"      --cgroup PATH    directory of a group, such as /sys/fs/cgroup/user.slice\n"
	"      --session NAME   the session the command belongs to\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n"
	"\n"
	"The exit code is COMMAND's, as with agentcg run.\n";

#define DEFAULT_OUTPUT		"agentcg-trace.json"
#define DEFAULT_INTERVAL	(100 * USEC_PER_MSEC)
/* Below, sampling itself would be what is measured. */
#define MIN_INTERVAL		USEC_PER_MSEC

struct recorder {
	struct agentcg_trace trace;
	uint64_t begin, last;		/* CLOCK_MONOTONIC usec */
	uint64_t cpu;			/* usec at the last sample */
	int error;
};

struct options {
	const char *output, *cgroup, *socket;
	uint64_t interval;
	struct agentcg_wish wish;
};

static void sample(struct recorder *rec, int cgroup_fd)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC), memory, cpu;
	struct agentcg_sample s;
	int r;

	r = agentcg_cgroup_read_u64(cgroup_fd, "memory.current", &memory);
	if (r >= 0)
		r = agentcg_cgroup_read_key(cgroup_fd, "cpu.stat", "usage_usec", &cpu);
	if (r < 0) {
		rec->error = r;
		return;
	}
	if (!rec->trace.nr_samples) {
		rec->begin = now;
		rec->cpu = cpu;
	}
	s = (struct agentcg_sample){
		.time = (now - rec->begin) / (double)USEC_PER_SEC,
		.memory = memory,
		.cpu = now > rec->last ? 100.0 * (cpu - rec->cpu) / (now - rec->last) : 0,
	};
	rec->last = now;
	rec->cpu = cpu;
	r = agentcg_trace_append(&rec->trace, &s);
	if (r < 0)
		rec->error = r;
}

static void on_tick(struct agentcg_launch *launch, void *userdata)
{
	sample(userdata, launch->leaf.cgroup_fd);
}

static char *join(char **words)
{
	size_t size = 1;
	char **w, *text;

	for (w = words; *w; w++)
		size += strlen(*w) + 1;
	text = calloc(1, size);
	for (w = words; text && *w; w++) {
		if (w != words)
			strcat(text, " ");
		strcat(text, *w);
	}
	return text;
}

static int write_trace(struct recorder *rec, const struct options *o, const char *tool,
		       const char *command)
{
	_cleanup_fclose_ FILE *f = streq(o->output, "-") ? fdopen(dup(STDOUT_FILENO), "w") :
							    fopen(o->output, "we");
	int r;

	if (!rec->trace.nr_samples) {
		agentcg_say("no trace: cannot read the group: %s", strerror(-rec->error));
		return -ENODATA;
	}
	rec->trace.interval_ms = o->interval / USEC_PER_MSEC;
	rec->trace.task = strdup(command);
	r = f ? agentcg_trace_write(&rec->trace, tool, command, f) : -errno;
	if (r < 0)
		agentcg_say("cannot write %s: %s", o->output, strerror(-r));
	else if (!streq(o->output, "-"))
		agentcg_say("%zu samples written to %s", rec->trace.nr_samples, o->output);
	return r;
}

static int record_command(struct recorder *rec, struct options *o)
{
	_cleanup_(agentcg_launch_done) struct agentcg_launch launch = AGENTCG_LAUNCH_NONE;
	_cleanup_free_ char *command = join(o->wish.command);
	int code;

	if (!command)
		return EXIT_LAUNCHER;
	launch.tick = on_tick;
	launch.interval = o->interval;
	launch.userdata = rec;
	code = agentcg_launch_start(&launch, o->socket, &o->wish);
	if (code)
		return code;
	code = agentcg_launch_finish(&launch, &o->wish);
	return write_trace(rec, o, "run", command) < 0 ? EXIT_LAUNCHER : code;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	interrupted = 1;
}

static int record_cgroup(struct recorder *rec, struct options *o)
{
	struct sigaction sa = { .sa_handler = on_interrupt };
	_cleanup_close_ int fd = agentcg_cgroup_open(AT_FDCWD, o->cgroup);
	uint64_t next = now_usec(CLOCK_MONOTONIC);

	if (fd < 0) {
		agentcg_say("%s: %s; say a directory of cgroup v2, such as /sys/fs/cgroup/user.slice",
			    o->cgroup, strerror(-fd));
		return EXIT_LAUNCHER;
	}
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	do {
		struct timespec ts;

		sample(rec, fd);
		next += o->interval;
		ts = (struct timespec){
			.tv_sec = next / USEC_PER_SEC,
			.tv_nsec = next % USEC_PER_SEC * NSEC_PER_USEC,
		};
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	} while (!interrupted && !rec->error && agentcg_cgroup_populated(fd) > 0);
	return write_trace(rec, o, "cgroup", o->cgroup) < 0 ? EXIT_LAUNCHER : 0;
}

static int take_interval(const char *value, uint64_t *ret)
{
	int r = agentcg_opt_time("--interval", value, ret);

	if (r < 0 || *ret >= MIN_INTERVAL)
		return r;
	agentcg_usage_error("--interval: the shortest is 1ms");
	return -EINVAL;
}

/* 0 to go on; otherwise *@ret_exit is the exit code. */
static int parse(int argc, char **argv, struct options *o, int *ret_exit)
{
	enum { INTERVAL = OPT_FIRST, CGROUP, SESSION, SOCKET };
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "interval", required_argument, NULL, INTERVAL },
		{ "cgroup", required_argument, NULL, CGROUP },
		{ "session", required_argument, NULL, SESSION },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	bool has_command;
	int c;

	*ret_exit = EXIT_LAUNCHER;
	while ((c = agentcg_getopt(argc, argv, "+:ho:", options, help)) >= 0) {
		if (c == OPT_HELP)
			*ret_exit = 0;
		if (c == OPT_HELP || c == '?')
			return -ECANCELED;
		if (c == INTERVAL && take_interval(optarg, &o->interval) < 0)
			return -EINVAL;
		if (c == 'o')
			o->output = optarg;
		else if (c == CGROUP)
			o->cgroup = optarg;
		else if (c == SESSION)
			o->wish.session = optarg;
		else if (c == SOCKET)
			o->socket = optarg;
	}
	o->wish.command = argv + optind;
	has_command = optind < argc;
	if (has_command == !!o->cgroup) {
		agentcg_usage_error("say which command to record, or which group with --cgroup");
		return -EINVAL;
	}
	return 0;
}

int agentcg_cmd_record(int argc, char **argv)
{
	struct options o = {
		.output = DEFAULT_OUTPUT, .interval = DEFAULT_INTERVAL,
		.socket = agentcg_client_socket(), .wish = AGENTCG_WISH_NONE,
	};
	struct recorder rec = {};
	int r;

	if (parse(argc, argv, &o, &r) < 0)
		return r;
	r = o.cgroup ? record_cgroup(&rec, &o) : record_command(&rec, &o);
	agentcg_trace_done(&rec.trace);
	return r;
}
