// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcgd: sessions and tool calls of AI agents, each in a cgroup of its own.
 *
 *	varlink.c, method-*.c	what clients ask for
 *	intake.c quota.c		no more of it than is good for the others (pure)
 *	grant.c			what they get of it (pure)
 *	session.c call.c	the groups, and their slots in the policy
 *	learn.c history.c	what earlier calls needed; predict.c is pure
 *	rerun.c habit.c		agents that try the same again and again (pure)
 *	end.c result.c		how a call ends, and what is said about it (pure)
 *	kernel.c		the BPF policy for memory
 *	scheduler.c cpu.c	the BPF scheduler of CPU time
 *	climb.c ladder.c	what follows a hold that lasts too long; the
 *				decision is pure
 *	think.c idle.c		reclaim while a model thinks (pure)
 *	pressure.c reclaim.c	how things stand, and freeing memory
 *	watch.c watcher.c	who is told
 *	alert.c gauge.c		... when memory runs short (pure)
 *	peer.c			who is connected, and how much of our time they have
 *	adopt.c record.c	taking over from a daemon that was killed
 *	manager.c scope.c	the pool that all of it is in
 *	../gpu/			inference workers, beside the pool
 *
 * One way through it: an event (a client, the kernel's policy, a timer, a leaf
 * that became empty) changes the state, a pure function decides, the effect is
 * carried out and recorded in the cgroup tree, and those who watch are told.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "adopt.h"
#include "history.h"
#include "intake.h"
#include "io-agentcg.h"
#include "learn.h"
#include "log.h"
#include "manager.h"
#include "notes.h"
#include "scheduler.h"
#include "user.h"
#include "varlink.h"
#include "workers.h"

/* A connection and two files for each call, a file for each session, and what messages bring (intake.h). */
#define FILES_MAX	((4 + AGENTCG_MESSAGE_FDS_MAX) * AGENTCG_MAX_CALLS + AGENTCG_MAX_SESSIONS)

struct options {
	const char *policy;
	const char *socket;
	const char *root;
	const char *history;
};

static const char help[] =
	"Usage: agentcgd [OPTION...]\n"
	"\n"
	"Keeps the tool calls of AI agents in cgroups of their own and shares memory\n"
	"and CPU time among them. It runs in the foreground until SIGTERM; what it has put\n"
	"in force stays so, and the next start takes over. SIGHUP reads the policy again.\n"
	"\n"
	"  --policy FILE   the policy, in place of " AGENTCG_POLICY_FILE "\n"
	"                  and " AGENTCG_POLICY_DIR "/*.conf\n"
	"  --socket PATH   where to listen (" AGENTCG_SOCKET ")\n"
	"  --root CGROUP   group to make the pool in, such as /test (default: the root\n"
	"                  group, or under systemd a scope)\n"
	"  --history FILE  what earlier calls needed (" AGENTCG_HISTORY_FILE "); \"\": none\n"
	"  --foreground    for terminals: messages without their <level>\n"
	"  --verbose       tell every hold and release too\n"
	"  --help          this text\n"
	"  --version       the version\n";

/* 0: go on; 1: all is done; negative: refused. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option table[] = {
		{ "policy", required_argument, NULL, 'p' },
		{ "socket", required_argument, NULL, 's' },
		{ "root", required_argument, NULL, 'r' },
		{ "history", required_argument, NULL, 'H' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "verbose", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{}
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", table, NULL)) >= 0)
		switch (c) {
		case 'p':
			o->policy = optarg;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'r':
			o->root = optarg;
			break;
		case 'H':
			o->history = optarg;
			break;
		case 'f':
			agentcg_log_plain(true);
			break;
		case 'V':
			agentcg_log_verbose(true);
			break;
		case 'h':
			fputs(help, stdout);
			return 1;
		case 'v':
			puts("agentcgd " AGENTCG_VERSION);
			return 1;
		case ':':
			fprintf(stderr, "agentcgd: %s needs a value; see agentcgd --help\n", argv[optind - 1]);
			return -EINVAL;
		default:
			fprintf(stderr, "agentcgd: unknown option \"%s\"; see agentcgd --help\n", argv[optind - 1]);
			return -EINVAL;
		}
	if (optind < argc) {
		fprintf(stderr, "agentcgd: \"%s\" is too much; options begin with --, see agentcgd --help\n",
			argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct notes notes = {};
	int r;

	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		   (unsigned long long)now_usec(CLOCK_MONOTONIC));
	r = agentcg_manager_reload(userdata, &notes, why);
	if (r < 0)
		agentcg_log(LOG_ERR, "%s; the policy stays as it was", why);
	else
		agentcg_log(LOG_INFO, "the policy was read again");
	for (size_t i = 0; i < notes.n; i++)
		agentcg_log(LOG_NOTICE, "%s", notes.list[i]);
	sd_notify(0, "READY=1");
	return 0;
}

static int add_signals(struct manager *m)
{
	int r;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);	/* the scope's holder, should it be killed */
	r = sd_event_add_signal(m->event, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(m->event, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(m->event, NULL, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_reload, m);
	return r;
}

/* It must run when memory is short; each of these is worth having alone. */
static void protect_self(void)
{
	struct rlimit files;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "-900", 4) < 0)
		agentcg_log(LOG_WARNING, "cannot lower the own oom_score_adj: %m");
	agentcg_closep(&fd);
	/* What was touched stays; some MiB, so it harms nobody. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		agentcg_log(LOG_DEBUG, "cannot lock the own memory: %m");
	files.rlim_cur = FILES_MAX;
	files.rlim_max = FILES_MAX;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		agentcg_log(LOG_WARNING, "cannot raise the limit of open files to %d: %m", FILES_MAX);
}

static int load_policy(struct manager *m, const char *file)
{
	char why[AGENTCG_WHY_MAX] = "";
	int r;

	m->policy_file = file;
	r = agentcg_policy_load(&m->policy, file, why);
	if (r >= 0)
		r = agentcg_policy_check(&m->policy, m->mem_total, why);
	if (r < 0)
		agentcg_log(LOG_ERR, "%s%s", why,
			    r == -ENOENT ? "; without --policy the defaults hold" : "");
	return r;
}

static int run(const struct options *o)
{
	_cleanup_(agentcg_manager_freep) struct manager *m = NULL;
	int r;

	if (geteuid() != 0) {
		agentcg_log(LOG_ERR, "agentcgd manages cgroups: run it as root");
		return -EPERM;
	}
	r = agentcg_manager_new(&m);
	if (r >= 0)
		r = load_policy(m, o->policy);
	if (r >= 0)
		r = agentcg_manager_open_pool(m, o->root);
	if (r < 0)
		return r;
	protect_self();
	agentcg_learn_open(m, o->history);
	agentcg_manager_open_kernel(m);
	r = agentcg_workers_open(m);
	if (r >= 0 && m->pool_fd >= 0)
		r = agentcg_adopt_all(m);
	if (r >= 0 && m->pool_fd >= 0)
		agentcg_scheduler_apply(m->scheduler);
	if (r >= 0)
		r = add_signals(m);
	if (r >= 0)
		r = agentcg_varlink_listen(m, o->socket);
	if (r < 0) {
		agentcg_log(LOG_ERR, "cannot listen on %s: %s", o->socket, strerror(-r));
		return r;
	}
	agentcg_user_start(m);
	sd_notifyf(0, "READY=1\nSTATUS=%s", m->kernel ? "enforcing in the kernel" : m->reason);
	r = sd_event_loop(m->event);
	sd_notify(0, "STOPPING=1");
	return r;
}

int main(int argc, char **argv)
{
	struct options o = { .socket = AGENTCG_SOCKET, .history = AGENTCG_HISTORY_FILE };
	int r = parse_options(argc, argv, &o);

	if (r > 0)
		return EXIT_SUCCESS;
	if (r < 0)
		return 2;
	r = run(&o);
	if (r < 0)
		agentcg_log(LOG_ERR, "giving up: %s", strerror(-r));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
