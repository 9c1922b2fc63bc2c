// SPDX-License-Identifier: GPL-2.0-only
/* agentcg session attach, agentcg ticket, agentcg enter: calls that nobody launches. */
#include "attach.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/pidfd.h>

#include "cli.h"
#include "client.h"
#include "util.h"
#include "words.h"

static const char attach_help[] =
	"Usage: agentcg session attach [OPTION...] PID\n"
	"\n"
	"Gives each tool call that a shell or agent framework starts a leaf of its own, without its\n"
	"doing. PID is a process of yours; it moves to the session's leaf 'agent'. Of a shell, what it\n"
	"starts between two reads of its input is one call; of anything else, each program. Ends\n"
	"with the process or its session.\n"
	"\n"
	"      --session NAME   default: attach-PID\n"
	"      --as KIND        shell or framework, whatever it looks like\n"
	"      --tell           stay in the background and write to PID's terminal why a call was killed\n"
	"      --json           print the answer as JSON\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n";

static const char ticket_help[] =
	"Usage: agentcg ticket [OPTION...] [COMMAND...]\n"
	"\n"
	"Begins a tool call for a command that cannot ask for itself, as in a sandbox without sockets,\n"
	"and prints a ticket. 'agentcg enter TICKET' moves the process that starts it there, as in\n"
	"\n"
	"    sandbox sh -c \"agentcg enter $ticket; make\"\n"
	"\n"
	"A ticket is good once, for a minute, for processes of yours.\n"
	"\n"
	"      --session NAME   default: $AGENTCG_SESSION, or your own default session\n"
	"      --memory SIZE    what it will probably need (also $AGENT_RESOURCE_HINT)\n"
	"      --json           print the answer as JSON\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n";

static const char enter_help[] =
	"Usage: agentcg enter TICKET\n"
	"\n"
	"Moves the process that starts this into the tool call of the ticket (agentcg ticket). The\n"
	"kernel does it when it sees the ticket; a ticket that is not good changes nothing.\n";

struct options {
	const char *socket, *session, *kind;
	bool tell, json;
	pid_t pid;
	struct agentcg_intent intent;
};

/* ---- telling ------------------------------------------------------------ */

/* The process's own terminal, with the rights of who asks for it. */
static int open_terminal(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fd/2", pid);
	fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!isatty(fd)) {
		close(fd);
		return -ENOTTY;
	}
	return fd;
}

static bool is_news(const char *event)
{
	return event && (streq(event, "oom") || streq(event, "killed") || streq(event, "timeout"));
}

struct teller {
	const char *session;
	int tty;
};

static int on_event(sd_varlink *link, sd_json_variant *parameters, const char *error,
		    sd_varlink_reply_flags_t flags, void *userdata)
{
	const char *call = agentcg_json_string(parameters, "call"), *rest;
	struct teller *t = userdata;

	rest = call ? startswith(call, t->session) : NULL;
	if (!error && rest && *rest == '/' && is_news(agentcg_json_string(parameters, "event")))
		dprintf(t->tty, "\r\nagentcg: %s: %s\r\n", call, agentcg_json_string(parameters, "text") ?: "");
	return 0;
}

/* In the background, until the process or the daemon is gone. */
static void tell(sd_varlink *link, int pidfd, struct teller *t)
{
	struct pollfd fds[] = {
		{ .fd = pidfd, .events = POLLIN },
		{ .fd = sd_varlink_get_fd(link), .events = POLLIN },
	};
	int r;

	sd_varlink_set_userdata(link, t);
	if (sd_varlink_bind_reply(link, on_event) < 0 || sd_varlink_observe(link, "io.agentcg.Watch", NULL) < 0)
		return;
	do {
		while ((r = sd_varlink_process(link)) > 0)
			;
		if (r >= 0)
			r = sd_varlink_flush(link);
		if (r >= 0)
			r = poll(fds, ARRAY_SIZE(fds), -1);
	} while (r > 0 && !fds[0].revents);
}

static int tell_from_now_on(const struct options *o, int pidfd)
{
	struct teller t = { .session = o->session, .tty = open_terminal(o->pid) };
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	int r;

	if (t.tty < 0) {
		agentcg_say("process %d has no terminal that you may write to: %s", o->pid, strerror(-t.tty));
		return EXIT_FAILURE;
	}
	if (daemon(0, 0) < 0)
		return EXIT_FAILURE;
	r = agentcg_open_link(o->socket, &link);
	if (!r)
		tell(link, pidfd, &t);
	close(t.tty);
	return r;
}

/* ---- attach ------------------------------------------------------------- */

static int attach(const struct options *o)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	_cleanup_close_ int pidfd = pidfd_open(o->pid, 0);
	sd_json_variant *answer;
	char why[AGENTCG_WHY_MAX];
	int index, r;

	if (pidfd < 0) {
		agentcg_say("there is no process %d: %m", o->pid);
		return EXIT_FAILURE;
	}
	r = agentcg_open_link(o->socket, &link);
	if (r)
		return r;
	index = sd_varlink_push_dup_fd(link, pidfd);
	r = index < 0 ? index : sd_json_buildo(&parameters,
		SD_JSON_BUILD_PAIR_STRING("name", o->session),
		SD_JSON_BUILD_PAIR_INTEGER("pidFd", index),
		SD_JSON_BUILD_PAIR_CONDITION(!!o->kind, "kind", SD_JSON_BUILD_STRING(o->kind)));
	if (r < 0)
		return EXIT_FAILURE;
	if (agentcg_client_call(link, "AttachSession", parameters, &answer, why) < 0) {
		agentcg_say("%s", why);
		return EXIT_FAILURE;
	}
	if (o->json)
		r = agentcg_print_json(answer);
	else
		printf("process %d is attached as a %s, in %s\n", o->pid, agentcg_json_string(answer, "kind") ?: "process",
		       agentcg_json_string(answer, "call") ?: o->session);
	fflush(stdout);
	return r || !o->tell ? r : tell_from_now_on(o, pidfd);
}

static int opt_pid(const char *text, pid_t *ret)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (!*text || *end || pid <= 0 || pid > INT32_MAX)
		return agentcg_usage_error("'%s' is no process number", text);
	*ret = (pid_t)pid;
	return 0;
}

int agentcg_session_attach(int argc, char **argv)
{
	enum { SESSION = OPT_FIRST, AS, TELL, JSON, SOCKET };
	static const struct option options[] = {
		{ "session", required_argument, NULL, SESSION },
		{ "as", required_argument, NULL, AS },
		{ "tell", no_argument, NULL, TELL },
		{ "json", no_argument, NULL, JSON },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	struct options o = { .socket = agentcg_client_socket() };
	char own[32];
	int c, r;

	while ((c = agentcg_getopt(argc, argv, ":h", options, attach_help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		if (c == SESSION)
			o.session = optarg;
		else if (c == AS)
			o.kind = optarg;
		else if (c == TELL)
			o.tell = true;
		else if (c == JSON)
			o.json = true;
		else if (c == SOCKET)
			o.socket = optarg;
		else
			return EXIT_USAGE;
	}
	if (argc - optind != 1)
		return agentcg_usage_error("say which process to attach: one PID, such as $$");
	if (o.kind && !streq(o.kind, "shell") && !streq(o.kind, "framework"))
		return agentcg_usage_error("--as is shell or framework, not '%s'", o.kind);
	r = opt_pid(argv[optind], &o.pid);
	if (r)
		return r;
	snprintf(own, sizeof(own), "attach-%d", o.pid);
	if (!o.session)
		o.session = own;
	return attach(&o);
}

/* ---- tickets ------------------------------------------------------------ */

static int buy(const struct options *o, char **command)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL, *intent = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *answer, *notes;
	char why[AGENTCG_WHY_MAX];
	int r;

	r = agentcg_intent_build(&o->intent, &intent);
	if (r >= 0)
		r = sd_json_buildo(&parameters,
			SD_JSON_BUILD_PAIR_CONDITION(!!o->session, "session", SD_JSON_BUILD_STRING(o->session)),
			SD_JSON_BUILD_PAIR_CONDITION(!!*command, "command", SD_JSON_BUILD_STRV(command)),
			SD_JSON_BUILD_PAIR_VARIANT("intent", intent));
	if (r < 0)
		return agentcg_usage_error("the command or the session's name is not UTF-8");
	r = agentcg_open_link(o->socket, &link);
	if (r)
		return r;
	if (agentcg_client_call(link, "CreateTicket", parameters, &answer, why) < 0) {
		agentcg_say("%s", why);
		return EXIT_FAILURE;
	}
	if (o->json)
		return agentcg_print_json(answer);
	puts(agentcg_json_string(answer, "ticket") ?: "");
	notes = sd_json_variant_by_key(answer, "notes");
	for (size_t i = 0; notes && i < sd_json_variant_elements(notes); i++)
		agentcg_say("%s", sd_json_variant_string(sd_json_variant_by_index(notes, i)));
	return 0;
}

int agentcg_cmd_ticket(int argc, char **argv)
{
	enum { SESSION = OPT_FIRST, MEMORY, JSON, SOCKET };
	static const struct option options[] = {
		{ "session", required_argument, NULL, SESSION },
		{ "memory", required_argument, NULL, MEMORY },
		{ "json", no_argument, NULL, JSON },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	const char *session = getenv("AGENTCG_SESSION");
	struct options o = {
		.socket = agentcg_client_socket(), .intent = AGENTCG_INTENT_NONE,
		.session = session && *session ? session : NULL,
	};
	int c, r = 0;

	agentcg_opt_hint(&o.intent);
	while ((c = agentcg_getopt(argc, argv, "+:h", options, ticket_help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		if (c == SESSION)
			o.session = optarg;
		else if (c == MEMORY)
			r = agentcg_opt_size("--memory", optarg, &o.intent.memory_request);
		else if (c == JSON)
			o.json = true;
		else if (c == SOCKET)
			o.socket = optarg;
		else
			r = -EINVAL;
		if (r < 0)
			return EXIT_USAGE;
	}
	return buy(&o, argv + optind);
}

/* The kernel has seen it by now (bpf/follow.bpf.c). */
int agentcg_cmd_enter(int argc, char **argv)
{
	if (argc == 2 && (streq(argv[1], "--help") || streq(argv[1], "-h")))
		fputs(enter_help, stdout);
	else if (argc != 2)
		return agentcg_usage_error("say one TICKET, as the last argument");
	return 0;
}
