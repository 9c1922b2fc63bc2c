// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg hook: what agent tools call before and after each command.
 *
 * Before it makes sure that the tool's session is there, and ends with the tool;
 * after it tells the model what became of its calls.  It never keeps the tool
 * from working: whatever goes wrong, the answer is "{}", with status 0, soon.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/time.h>

#include "cli.h"
#include "client.h"
#include "hook-install.h"
#include "tool.h"

static const char help[] =
	"Usage: agentcg hook install [--system] TOOL...\n"
	"       agentcg hook uninstall [--system] TOOL...\n"
	"       agentcg hook status [TOOL...]\n"
	"\n"
	"Ties the agent tools claude, codex and gemini to agentcg: each of their sessions is one of\n"
	"the daemon's, and their model is told in its own context what became of its commands. For\n"
	"claude each command runs in a cgroup of its own. Everything else in a tool's settings stays.\n"
	"\n"
	"      --system   in the settings of all users, below /etc\n"
	"  -h, --help     this text\n"
	"\n"
	"The settings are found as by the tools: CLAUDE_CONFIG_DIR, CODEX_HOME, GEMINI_CLI_HOME.\n"
	"The tools call agentcg hook TOOL, with JSON on standard input and output.\n";

/* ---- the handler ------------------------------------------------------------ */

/* A tool waits for it before and after each command. */
#define PATIENCE_SECONDS	2

/* What tools pass along of a command's output is far less. */
#define INPUT_MAX		(64 * MIB)

static void give_up(int signal)
{
	ssize_t n = write(STDOUT_FILENO, "{}\n", 3);

	(void)n;
	_exit(0);
}

static void limit_time(void)
{
	const struct itimerval time = { .it_value = { .tv_sec = PATIENCE_SECONDS } };
	struct sigaction action = { .sa_handler = give_up };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &time, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static sd_json_variant *read_input(void)
{
	sd_json_variant *v = NULL;
	_cleanup_free_ char *text = NULL;
	size_t size = 0, n = 0;

	for (;;) {
		ssize_t got;

		if (n + 1 >= size) {
			char *more = size < INPUT_MAX ? realloc(text, size = size ? 2 * size : 64 * KIB) : NULL;

			if (!more)
				return NULL;
			text = more;
		}
		got = read(STDIN_FILENO, text + n, size - n - 1);
		if (got < 0)
			return NULL;
		if (!got)
			break;
		n += (size_t)got;
	}
	text[n] = 0;
	return sd_json_parse(text, SD_JSON_PARSE_MUST_BE_OBJECT, &v, NULL, NULL) < 0 ? NULL : v;
}

static bool is_shell(const char *name)
{
	static const char *const shells[] = { "sh", "bash", "dash", "zsh", "ksh", "fish", "ash", "tcsh", "busybox" };

	for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
		if (streq(shells[i], name))
			return true;
	return false;
}

/* "PID (NAME) S PARENT ..."; a name may hold anything. */
static int read_stat(pid_t pid, char name[32], pid_t *ret_parent)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[512], *end, *start;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return -ESRCH;
	start = strchr(line, '(');
	end = strrchr(line, ')');
	if (!start || !end || sscanf(end + 1, " %*c %d", ret_parent) != 1)
		return -ESRCH;
	snprintf(name, 32, "%.*s", (int)(end - start - 1), start + 1);
	return 0;
}

/* The framework: the next process above that is no shell.  A pidfd. */
static int find_framework(void)
{
	pid_t child = getpid(), pid = getppid();

	while (pid > 1) {
		_cleanup_close_ int fd = pidfd_open(pid, 0);
		pid_t parent, still;
		char name[32];

		/* Is it still the parent, now that its number cannot be given to another one? */
		if (fd < 0 || read_stat(child, name, &still) < 0 || still != pid || read_stat(pid, name, &parent) < 0)
			return -ESRCH;
		if (!is_shell(name))
			return TAKE_FD(fd);
		child = pid;
		pid = parent;
	}
	return -ESRCH;
}

static bool session_exists(sd_varlink *link, const char *session)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;

	return sd_json_buildo(&parameters, SD_JSON_BUILD_PAIR_STRING("session", session)) >= 0 &&
	       agentcg_client_call(link, "GetResults", parameters, NULL, NULL) >= 0;
}

/* Tied to the framework: tools do not always tell of their end. */
static void open_session(sd_varlink *link, const char *session, int framework)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	int index = sd_varlink_push_dup_fd(link, framework);

	if (index >= 0 && sd_json_buildo(&parameters,
					 SD_JSON_BUILD_PAIR_STRING("name", session),
					 SD_JSON_BUILD_PAIR_INTEGER("pidFd", index)) >= 0)
		agentcg_client_call(link, "OpenSession", parameters, NULL, NULL);
}

/* What it starts gets leaves by the kernel's help; it may be attached already, and where the kernel cannot, it runs as ever. */
static void attach(sd_varlink *link, const char *session, int framework)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	int index = sd_varlink_push_dup_fd(link, framework);

	if (index >= 0 && sd_json_buildo(&parameters,
					 SD_JSON_BUILD_PAIR_STRING("name", session),
					 SD_JSON_BUILD_PAIR_INTEGER("pidFd", index),
					 SD_JSON_BUILD_PAIR_STRING("kind", "framework")) >= 0)
		agentcg_client_call(link, "AttachSession", parameters, NULL, NULL);
}

/* Before a call: whatever comes of it, the call goes on. */
static void begin(enum agentcg_tool tool, sd_varlink *link, const char *session)
{
	_cleanup_close_ int framework = find_framework();

	if (framework < 0)
		return;
	/* A session that the user has opened ends when the user wants it to. */
	if (!agentcg_tool_session_is_own() || !session_exists(link, session))
		open_session(link, session, framework);
	/* claude has its prefix, which needs nothing of the kernel. */
	if (tool != AGENTCG_CLAUDE)
		attach(link, session, framework);
}

/* Borrowed from @link; NULL: there are none. */
static sd_json_variant *get_results(sd_varlink *link, const char *session)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	sd_json_variant *answer = NULL;

	if (sd_json_buildo(&parameters,
			   SD_JSON_BUILD_PAIR_STRING("session", session),
			   SD_JSON_BUILD_PAIR_BOOLEAN("untold", true)) < 0 ||
	    agentcg_client_call(link, "GetResults", parameters, &answer, NULL) < 0)
		return NULL;
	return sd_json_variant_by_key(answer, "results");
}

static int handle(enum agentcg_tool tool)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *input = NULL, *answer = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	_cleanup_free_ char *text = NULL;
	char buf[AGENTCG_TOOL_SESSION_MAX];
	struct agentcg_hook_event event;
	sd_json_variant *results = NULL;
	const char *session;

	limit_time();
	input = read_input();
	if (input && agentcg_hook_read(tool, input, &event) >= 0) {
		session = agentcg_tool_session(agentcg_tool_name(tool), event.session, buf);
		if (session && agentcg_client_connect(agentcg_client_socket(), &link, NULL) >= 0) {
			if (event.begins)
				begin(tool, link, session);
			if (event.ends)
				results = get_results(link, session);
		}
		if (agentcg_hook_answer(&event, results, &answer) >= 0)
			sd_json_variant_format(answer, 0, &text);
	}
	/* From here on there is one answer. */
	signal(SIGALRM, SIG_IGN);
	puts(text ?: "{}");
	fflush(stdout);
	return 0;
}

/* ---- the command ------------------------------------------------------------ */

static int status(int n, char **names)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	enum agentcg_tool tool;
	char why[AGENTCG_WHY_MAX];
	bool healthy = true;

	for (int i = 0; i < n; i++)
		if (agentcg_tool_parse(names[i], &tool) < 0)
			return agentcg_usage_error("there is no tool '%s': say claude, codex or gemini", names[i]);
	for (int i = 0; i < n; i++) {
		agentcg_tool_parse(names[i], &tool);
		healthy &= agentcg_hook_tell(tool);
	}
	for (tool = 0; !n && tool < AGENTCG_TOOLS; tool++)
		agentcg_hook_tell(tool);
	if (agentcg_client_connect(agentcg_client_socket(), &link, why) < 0) {
		printf("daemon: %s\n", why);
		return EXIT_FAILURE;
	}
	printf("daemon: listens at %s\n", agentcg_client_socket());
	return healthy ? 0 : EXIT_FAILURE;
}

int agentcg_cmd_hook(int argc, char **argv)
{
	enum { SYSTEM = OPT_FIRST, USER };
	static const struct option options[] = {
		{ "system", no_argument, NULL, SYSTEM },
		{ "user", no_argument, NULL, USER },
		AGENTCG_COMMON_OPTIONS
	};
	bool system = false, install;
	enum agentcg_tool tool;
	int c, r = 0;

	/* Before all else, and whatever comes after it: a tool must not be kept from working. */
	if (argc >= 2 && agentcg_tool_parse(argv[1], &tool) == 0)
		return handle(tool);
	while ((c = agentcg_getopt(argc, argv, ":h", options, help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		if (c != SYSTEM && c != USER)
			return EXIT_USAGE;
		system = c == SYSTEM;
	}
	if (optind == argc)
		return agentcg_usage_error("say install, uninstall or status");
	install = streq(argv[optind], "install");
	if (streq(argv[optind], "status"))
		return status(argc - optind - 1, argv + optind + 1);
	if (!install && !streq(argv[optind], "uninstall"))
		return agentcg_usage_error("'%s' is neither install, uninstall nor status", argv[optind]);
	if (optind + 1 == argc)
		return agentcg_usage_error("say which tools: claude, codex, gemini");
	for (int i = optind + 1; i < argc; i++)
		if (agentcg_tool_parse(argv[i], &tool) < 0)
			return agentcg_usage_error("there is no tool '%s': say claude, codex or gemini", argv[i]);
	for (int i = optind + 1; i < argc; i++) {
		agentcg_tool_parse(argv[i], &tool);
		r |= install ? agentcg_hook_install(tool, system) : agentcg_hook_uninstall(tool, system);
	}
	return r;
}
