// SPDX-License-Identifier: GPL-2.0-only
/*
 * libagentcg with the real daemon, for the user that this runs as; see test-c.sh.  Prints "ok - TEXT" or "not ok - TEXT"
 * for each result.  Built against what is installed.
 */
#include "c.h"

/* ---- tests -------------------------------------------------------------- */

static void say_time(const char *what)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	printf("%s at %lld s\n", what, (long long)ts.tv_sec);
	fflush(stdout);
}

static void test_without(void)
{
	struct agentcg *nowhere = NULL;
	int r;

	same_text("the library's version is that of the header", agentcg_version(), LIBAGENTCG_VERSION);
	r = agentcg_connect("/run/agentcg/nowhere", &nowhere, &error);
	refused("without a daemon: told what to do", r, -ENOTCONN, "", "start it: systemctl start agentcgd");
	same_number("... also to those who do not listen", agentcg_connect("/run/agentcg/nowhere", &nowhere, NULL), -ENOTCONN);
	check(!nowhere, "... and nothing is returned");
	agentcg_close(NULL);
	agentcg_call_free(NULL);
	agentcg_watch_close(NULL);
}

/* Says one field of an intent wrong. */
#define BAD(FIELD, member, value, WORDS)						\
	do {										\
		intent = (struct agentcg_intent)AGENTCG_INTENT_INIT;			\
		intent.member = (value);						\
		b = (struct agentcg_begin)AGENTCG_BEGIN_INIT;				\
		b.session = name;							\
		b.intent = &intent;							\
		refused("an intent's " #member " that is wrong", agentcg_call_begin(cg, &b, &call, &error), \
			-EINVAL, FIELD, WORDS);						\
	} while (0)

#define BAD_BEGIN(FIELD, member, value, WORDS)						\
	do {										\
		b = (struct agentcg_begin)AGENTCG_BEGIN_INIT;				\
		b.member = (value);							\
		refused("a call's " #member " that is wrong", agentcg_call_begin(cg, &b, &call, &error), \
			-EINVAL, FIELD, WORDS);						\
	} while (0)

static void test_refused_begin(void)
{
	struct agentcg_intent intent;
	struct agentcg_call *call = NULL;
	struct agentcg_begin b;
	int before = count_fds();

	BAD("requests.cpu", cpu, 0, "");
	BAD("limits.cpu", cpu_max, 0, "");
	BAD("memory", memory, (uint64_t)INT64_MAX + 1, "too large");
	BAD("limits.memory", memory_max, 1, "");
	BAD("limits.pids", pids_max, 0, "");
	BAD("timeout", timeout_usec, 0, "");
	BAD("timeout", timeout_usec, (uint64_t)INT64_MAX, "");
	BAD("deadline", deadline_usec, 0, "");
	BAD("duration", duration_usec, 0, "");
	BAD("latency", latency, "fast", "interactive");
	BAD("latency", latency, "\xff", "UTF-8");
	BAD("on_pressure", on_pressure, "explode", "freeze");
	BAD("detach", detach, 2, "say 1, 0 or -1");
	BAD("intent", json, "{", "JSON");
	BAD("intent", json, "[]", "object");
	BAD("limits.memory", json, "{\"limits\": {\"memory\": \"2G\"}}", "say 2Gi");
	BAD("intent", size, 0, "_INIT");
	BAD_BEGIN("session", session, "a b", "letter or digit");
	BAD_BEGIN("session", session, "\xc3", "UTF-8");
	BAD_BEGIN("priority", priority, 1001, "0 to 1000");
	BAD_BEGIN("agent", agent, -1, "1 or 0");
	BAD_BEGIN("parameters", parameters, "nothing", "JSON");
	BAD_BEGIN("nothing", parameters, "{\"nothing\": 1}", "the daemon refuses");
	b = (struct agentcg_begin)AGENTCG_BEGIN_INIT;
	b.size++;
	refused("a program of the future", agentcg_call_begin(cg, &b, &call, &error), -E2BIG, "", "newer libagentcg");
	check(!call, "nothing was begun");
	same_number("... nor is left open", count_fds(), before);
}

static void test_refused_session(void)
{
	struct agentcg_session s = AGENTCG_SESSION_INIT;

	refused("a session without a name", agentcg_session_open(cg, &s, NULL, &error), -EINVAL, "name", "say the session's name");
	s.name = "no/slash";
	refused("a session's name that is wrong", agentcg_session_open(cg, &s, NULL, &error), -EINVAL, "name", "letter or digit");
	s.name = "x";
	s.priority = 1001;
	refused("its priority", agentcg_session_open(cg, &s, NULL, &error), -EINVAL, "priority", "0 to 1000");
	s = (struct agentcg_session)AGENTCG_SESSION_INIT;
	s.name = "x";
	s.budget = 1;
	refused("its budget", agentcg_session_open(cg, &s, NULL, &error), -EINVAL, "budget", "1048576");
	s = (struct agentcg_session)AGENTCG_SESSION_INIT;
	s.name = "x";
	s.reserve = UINT64_MAX - 1;
	refused("its reserve", agentcg_session_open(cg, &s, NULL, &error), -EINVAL, "reserve", "too large");
	s = (struct agentcg_session)AGENTCG_SESSION_INIT;
	s.name = "x";
	s.pidfd = 999;
	refused("its pidfd", agentcg_session_open(cg, &s, NULL, &error), -EINVAL, "fds", "999 is not open");
	refused("a session that is not there", agentcg_session_close(cg, "nothing", 0, NULL, NULL, &error), -ENXIO, "name",
		"no session 'nothing'");
	refused("unknown flags", agentcg_session_close(cg, "nothing", 2, NULL, NULL, &error), -EINVAL, "flags", "0x2");
	refused("no method", agentcg_call_method(cg, "", NULL, NULL, 0, NULL, &error), -EINVAL, "method", "GetStatus");
	refused("a method that is not there", agentcg_call_method(cg, "Nothing", NULL, NULL, 0, NULL, &error), -EOPNOTSUPP, "",
		"older than this library");
	refused("a method's parameters", agentcg_call_method(cg, "GetStatus", "{\"a\"}", NULL, 0, NULL, &error), -EINVAL,
		"parameters", "line 1");
	if (getuid())
		refused("what only root may", agentcg_call_method(cg, "Reload", NULL, NULL, 0, NULL, &error), -EPERM, "",
			"only root");
	if (getuid())
		refused("another user's session", agentcg_session_close(cg, "rooted", 0, NULL, NULL, &error), -EPERM, "",
			"another user");
	same_text("... with the daemon's own words", error.name, "");
}

static void test_refused_spawn(void)
{
	struct agentcg_spawn s = AGENTCG_SPAWN_INIT;
	static const char *const words[] = { "true", NULL }, *const nothing[] = { NULL };
	struct agentcg_call *call = begin(NULL);
	int fd, before = count_fds();

	refused("no command", agentcg_call_spawn(call, &s, NULL, &error), -EINVAL, "argv", "not empty");
	s.argv = nothing;
	refused("an empty command", agentcg_call_spawn(call, &s, NULL, &error), -EINVAL, "argv", "not empty");
	s.argv = words;
	s.flags = 64;
	refused("unknown flags", agentcg_call_spawn(call, &s, NULL, &error), -EINVAL, "flags", "0x40");
	s.flags = 0;
	s.in = 999;
	refused("an input that is not open", agentcg_call_spawn(call, &s, NULL, &error), -EINVAL, "in", "999");
	s.in = -1;
	s.err = -7;
	refused("no descriptor", agentcg_call_spawn(call, &s, NULL, &error), -EINVAL, "err", "-7");
	s.err = -1;
	s.cwd = "/nowhere";
	refused("a folder that is not there", agentcg_call_spawn(call, &s, NULL, &error), -ENOENT, "", "No such file");
	refused("a command that is not there", SPAWN(call, -1, "no-such-program"), -ENOENT, "", "execute no-such-program");
	refused("one that may not be executed", SPAWN(call, -1, "/etc/passwd"), -EACCES, "", "Permission denied");
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	refused("what is no pidfd", agentcg_call_attach(call, fd, &error), -EPERM, "", "no pidfd");
	refused("what is not open", agentcg_call_attach(call, 999, &error), -EINVAL, "fds", "999");
	refused("waiting for what is not open", agentcg_call_wait(call, 999, 0, NULL, &error), -EINVAL, "pidfd", "999");
	close(fd);
	fd = pidfd_open(1, 0);
	if (getuid())
		refused("another user's process", agentcg_call_attach(call, fd, &error), -EPERM, "", "another user");
	same_number("waiting for what is not ours takes no longer than said", agentcg_call_wait(call, fd, SECOND / 10, NULL, &error), 0);
	close(fd);
	same_number("nothing is left open", count_fds(), before);
	refused("unknown flags of an end", agentcg_call_end(call, 4, NULL, &error), -EINVAL, "flags", "0x4");
	same_text("nothing ran", end(call)->outcome, "ok");
	refused("a call that has ended", agentcg_call_release(call, &error), -ENXIO, "", "has ended");
	refused("... starts nothing", SPAWN(call, -1, "true"), -ENXIO, "", "has ended");
	same_number("its end is told again", agentcg_call_end(call, 0, NULL, &error), 0);
	agentcg_call_free(call);
}

static void test_streams(struct agentcg_call *call)
{
	static const char *const argv[] = { "sh", "-c", "cat; pwd; echo $A; echo err >&2", NULL }, *const envp[] = { "A=b c", NULL };
	struct agentcg_spawn s = AGENTCG_SPAWN_INIT;
	int out[2], err[2], in[2], pidfd;
	pid_t pid = 0;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(in, O_CLOEXEC) < 0)
		return;
	/* As a framework may have it: the one's number is the other's place. */
	fflush(stdout);
	int kept1 = dup(1), kept2 = dup(2);

	dup2(err[1], 1);
	dup2(out[1], 2);
	s.argv = argv;
	s.envp = envp;
	s.cwd = "/usr";
	s.in = in[0];
	s.out = 2;
	s.err = 1;
	s.flags = AGENTCG_SPAWN_SETSID;
	pidfd = agentcg_call_spawn(call, &s, &pid, &error);
	dup2(kept1, 1);
	dup2(kept2, 2);
	close(kept1);
	close(kept2);
	close(out[1]);
	close(err[1]);
	close(in[0]);
	check(pidfd >= 0 && fcntl(pidfd, F_GETFD) == FD_CLOEXEC, "a command starts, and its pidfd goes to no child");
	same_number("... in a session of its own", getsid(pid), pid);
	if (write(in[1], "input\n", 6) != 6)
		check(false, "input");
	close(in[1]);
	same_text("its input, output, folder and environment", rest_of(out[0]), "input\n/usr\nb c\n");
	same_text("... what it says apart", rest_of(err[0]), "err\n");
	same_number("... and its end", wait_and_close(call, pidfd), 0);
}

static void test_commands(void)
{
	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
	struct agentcg_call *call;
	int out[2], status, pidfd;
	char wanted[256];
	sigset_t set;

	call = begin(NULL);
	/* What a framework does to its signals is not the command's business. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pipe2(out, O_CLOEXEC))
		return;
	pidfd = SPAWN(call, out[1], "sh", "-c", "cat /proc/self/cgroup; grep -E 'SigBlk|SigIgn' /proc/self/status; cat /proc/self/oom_score_adj");
	close(out[1]);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	signal(SIGPIPE, SIG_DFL);
	snprintf(wanted, sizeof(wanted), "0::%s\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n950\n", agentcg_call_cgroup(call));
	same_text("a command is in its call, signals open, first to go where the kernel must kill", rest_of(out[0]), wanted);
	same_number("... its end", wait_and_close(call, pidfd), 0);
	same_number("an exit code", wait_and_close(call, SPAWN(call, -1, "sh", "-c", "exit 3")), 3);
	same_number("a signal", wait_and_close(call, SPAWN(call, -1, "sh", "-c", "kill -HUP $$")), 1000 + SIGHUP);
	test_streams(call);
	pidfd = SPAWN(call, -1, "sleep", "630");
	same_number("one that goes on is waited for as long as said", agentcg_call_wait(call, pidfd, SECOND / 5, &status, &error), 0);
	same_text("ok it is", end(call)->outcome, "ok");
	same_number("... and its end takes all with it", wait_and_close(call, pidfd), 1000 + SIGKILL);
	agentcg_call_free(call);

	intent.memory_max = 64 * MIB;
	call = begin(&intent);
	same_number("over its limit it is killed", wait_and_close(call, SPAWN(call, -1, HOG)), 1000 + SIGKILL);
	const struct agentcg_result *result = end(call);

	same_text("... and told so", result->outcome, "oom_killed");
	same_text("... what may help", result->retry, "larger");
	check(result->suggested_request != AGENTCG_UNSET && result->memory_max == 64 * MIB && result->oom_kills, "... and in figures");
	has("... and in words", result->text, "64 MiB");
	check(agentcg_call_result(call) == result, "it is kept");
	agentcg_call_free(call);

	intent = (struct agentcg_intent)AGENTCG_INTENT_INIT;
	intent.timeout_usec = SECOND / 2;
	call = begin(&intent);
	same_number("a timeout", wait_and_close(call, SPAWN(call, -1, "sleep", "631")), 1000 + SIGKILL);
	same_text("... told so", end(call)->outcome, "timeout");
	agentcg_call_free(call);
	call = begin(NULL);
	pidfd = SPAWN(call, -1, "sleep", "632");
	agentcg_call_free(call);
	same_number("a call that is freed is killed", poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, 10000), 1);
	waitid(P_PIDFD, pidfd, &(siginfo_t){}, WEXITED);
	close(pidfd);
}

static void test_by_hand(void)
{
	struct agentcg_intent intent = AGENTCG_INTENT_INIT, more = AGENTCG_INTENT_INIT;
	const struct agentcg_granted *granted;
	struct agentcg_call *call;
	char group[256] = "";
	int pidfd, status;
	pid_t pid;

	intent.json = "{\"requests\": {\"memory\": \"1Gi\", \"cpu\": 1}, \"limits\": {\"pids\": 60}}";
	intent.memory = 20 * MIB;
	intent.memory_max = 100 * MIB;
	call = begin(&intent);
	granted = agentcg_call_granted(call);
	check(granted->memory == 20 * MIB && granted->memory_max == 100 * MIB && granted->cpu == 1000 && granted->pids_max == 60,
	      "an intent of fields and JSON");
	same_text("its group is there", file_of(call, "memory.max"), "104857600");
	check(fcntl(agentcg_call_cgroup_fd(call), F_GETFD) == FD_CLOEXEC, "... and its descriptor goes to no child");
	snprintf(group, sizeof(group), "%s/tool-", name);
	has("its name", agentcg_call_name(call), group);
	more.memory_max = 120 * MIB;
	more.pids_max = 50;
	same_number("adjusted", agentcg_call_adjust(call, AGENTCG_PRIORITY_LOW, &more, &error), 0);
	check(granted->memory == 20 * MIB && granted->memory_max == 120 * MIB && granted->pids_max == 50 && granted->priority == 250,
	      "... what was said, no more");
	same_text("... in its group, too", file_of(call, "memory.max"), "125829120");
	more.latency = "never";
	refused("adjusted wrongly", agentcg_call_adjust(call, AGENTCG_UNSET, &more, &error), -EINVAL, "latency", "interactive");
	same_number("... changes nothing", granted->pids_max, 50);

	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	pidfd = pidfd_open(pid, 0);
	same_number("a child of ours is moved there", agentcg_call_attach(call, pidfd, &error), 0);
	check(atoi(file_of(call, "cgroup.procs")) == pid, "... and is there");
	same_number("nothing waits that could be let go", agentcg_call_release(call, &error), 0);
	same_number("detached", agentcg_call_detach(call, &error), 0);
	check(granted->detach, "... as the policy allows");
	check(agentcg_call_end(call, 0, NULL, &error) == 0 && agentcg_call_result(call)->running, "it goes on");
	same_number("... it does", pidfd_send_signal(pidfd, 0, NULL, 0), 0);
	same_number("which is seen", count_calls(), 1);
	agentcg_call_free(call);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(pidfd);

	call = begin(NULL);
	agentcg_call_detach(call, &error);
	pidfd = SPAWN(call, -1, "sleep", "633");
	check(agentcg_call_end(call, AGENTCG_END_KILL, NULL, &error) == 0 && !agentcg_call_result(call)->running,
	      "detached but killed on purpose");
	same_number("... it is", wait_and_close(call, pidfd), 1000 + SIGKILL);
	agentcg_call_free(call);
}

static void on_killed(const struct agentcg_killed *killed, void *userdata)
{
	int *n = userdata;

	if (!strncmp(killed->call, name, strlen(name)) && !strcmp(killed->command[0], "a") && !strcmp(killed->command[1], "b?") &&
	    !killed->command[2])
		++*n;
}

static void on_finished(const struct agentcg_finished *finished, void *userdata)
{
	++*(int *)userdata;
	if (!finished->result->outcome || !finished->result->text || !finished->command)
		*(int *)userdata = -1000;
}

static void on_granted(const struct agentcg_granted *granted, const char *notes, void *userdata)
{
	*(uint64_t *)userdata = granted->memory;
}

/* These come with newer daemons. */
static void test_newer(void)
{
	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
	struct agentcg_session s = AGENTCG_SESSION_INIT;
	struct agentcg_call *call;
	uint64_t memory = 0;
	int r, n = 0;

	/* What is declared and remembered goes with the session. */
	s.name = name;
	agentcg_session_open(cg, &s, NULL, &error);
	refused("an intent that says nothing", agentcg_declare(cg, name, NULL, NULL, NULL, NULL, &error), -EINVAL, "intent", "declared");
	intent.memory = 30 * MIB;
	r = agentcg_declare(cg, name, &intent, NULL, on_granted, &memory, &error);
	if (r == -EOPNOTSUPP) {
		check(true, "an intent for the next call # SKIP the daemon has no DeclareIntent");
	} else {
		same_number("an intent for the next call", r, 0);
		same_number("... is granted", memory, 30 * MIB);
		call = begin(NULL);
		same_number("... to it", agentcg_call_granted(call)->memory, 30 * MIB);
		agentcg_call_free(call);
	}
	intent = (struct agentcg_intent)AGENTCG_INTENT_INIT;
	intent.timeout_usec = SECOND / 10;
	call = begin(&intent);
	wait_and_close(call, SPAWN(call, -1, "sleep", "638"));
	end(call);
	agentcg_call_free(call);
	r = agentcg_results(cg, name, AGENTCG_RESULTS_FAILED, on_finished, &n, &error);
	if (r == -EOPNOTSUPP)
		check(true, "results of earlier calls # SKIP the daemon has no GetResults");
	else
		check(r > 0 && r == n, "results of earlier calls, %d", r);
	refused("results, unknown flags", agentcg_results(cg, name, 4, NULL, NULL, &error), -EINVAL, "flags", "0x4");
}

static void test_sessions(void)
{
	struct agentcg_session s = AGENTCG_SESSION_INIT;
	struct agentcg_call *call;
	char *notes = NULL, *json, group[200];
	int n = 0, pidfd;

	s.name = name;
	s.priority = AGENTCG_PRIORITY_NORMAL;
	s.budget = 500 * MIB;
	same_number("a session", agentcg_session_open(cg, &s, &notes, &error), 0);
	check(!notes, "... all granted");
	s.budget = 5000 * MIB;
	same_number("changed", agentcg_session_open(cg, &s, &notes, &error), 0);
	has("... and told what was not granted", notes, "budget");
	free(notes);
	same_number("any method", agentcg_call_method(cg, "io.agentcg.GetStatus", "{}", NULL, 0, &json, &error), 0);
	has("... its reply", json, name);
	free(json);
	snprintf(group, sizeof(group), "{\"session\":\"%s\",\"group\":\"par\"}", name);
	same_number("a call of a group", agentcg_call_method(cg, "io.agentcg.BeginCall", group, NULL, 0, NULL, &error), 0);
	same_number("is ended with it", agentcg_group_end(cg, name, "par", on_killed, &n, &error), 0);
	same_number("... nothing ran in it", n, 0);
	refused("a group that is not there", agentcg_group_end(cg, name, "nope", NULL, NULL, &error), -ENXIO, "call", "nope");
	refused("no name", agentcg_group_end(cg, name, NULL, NULL, NULL, &error), -EINVAL, "group", "say the group's name");
	call = begin(NULL);
	pidfd = SPAWN(call, -1, "sleep", "634");
	same_number("closing it leaves nothing detached", agentcg_session_close(cg, name, AGENTCG_SESSION_KILL, on_killed, &n, &error), 0);
	same_number("... tells whom it killed", n, 1);
	same_number("... it did", wait_and_close(call, pidfd), 1000 + SIGKILL);
	same_number("a call that went with its session", agentcg_call_end(call, 0, NULL, &error), -ENXIO);
	has("... and told so", error.text, "does not know the call any more");
	agentcg_call_free(call);
}

struct seen {
	int n;
	char event[32], call[128];
};

static void on_event(const struct agentcg_event *event, void *userdata)
{
	struct seen *seen = userdata;

	if (seen->n++)
		return;
	snprintf(seen->event, sizeof(seen->event), "%s", event->event);
	snprintf(seen->call, sizeof(seen->call), "%s", event->call);
}

static void test_watch(void)
{
	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
	struct agentcg_watch *watch;
	struct agentcg_call *call;
	struct seen seen = {};
	struct pollfd p = { .events = POLLIN };

	same_number("a watch", agentcg_watch_open(cg, &watch, &error), 0);
	p.fd = agentcg_watch_fd(watch);
	same_number("nothing has happened", agentcg_watch_dispatch(watch, on_event, &seen, &error), 0);
	intent.memory_max = 64 * MIB;
	call = begin(&intent);
	wait_and_close(call, SPAWN(call, -1, HOG));
	poll(&p, 1, 10000);
	check(agentcg_watch_dispatch(watch, on_event, &seen, &error) > 0 && seen.n > 0, "something has");
	same_text("... to this call", seen.call, agentcg_call_name(call));
	same_text("... what", seen.event, "oom");
	agentcg_call_free(call);
	ask("restart");
	poll(&p, 1, 10000);
	while (agentcg_watch_dispatch(watch, NULL, NULL, &error) > 0)
		;
	refused("a watch ends with the daemon", agentcg_watch_dispatch(watch, NULL, NULL, &error), -ENOTCONN, "", "hung up");
	agentcg_watch_close(watch);
	check(count_calls() >= 0, "... the connection is made again");
}

/* ---- threads ------------------------------------------------------------ */

#define TURNS	25

static void *own_connection(void *shared)
{
	struct agentcg *mine = shared;
	intptr_t good = 0;

	if (!mine && agentcg_connect(NULL, &mine, NULL) < 0)
		return NULL;
	for (int i = 0; i < TURNS; i++) {
		struct agentcg_begin b = AGENTCG_BEGIN_INIT;
		const struct agentcg_result *result;
		struct agentcg_call *call;
		int pidfd, status;
		char *json;

		b.session = name;
		if (agentcg_call_begin(mine, &b, &call, NULL) < 0)
			break;
		pidfd = SPAWN(call, -1, "true");
		if (pidfd >= 0 && agentcg_call_wait(call, pidfd, AGENTCG_UNSET, &status, NULL) == 1 && status == 0 &&
		    agentcg_call_method(mine, "GetStatus", NULL, NULL, 0, &json, NULL) >= 0) {
			free(json);
			good += agentcg_call_end(call, 0, &result, NULL) == 0 && !strcmp(result->outcome, "ok");
		}
		close(pidfd);
		agentcg_call_free(call);
	}
	if (!shared)
		agentcg_close(mine);
	return (void *)good;
}

static void test_threads(void)
{
	pthread_t threads[4];
	void *good;
	int all = 0;

	/* Two with connections of their own, two that share one. */
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, own_connection, i < 2 ? NULL : cg);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &good);
		all += (int)(intptr_t)good;
	}
	same_number("calls of four threads", all, 4 * TURNS);
}

static struct agentcg_call *shared_call;

static void *waiter(void *pidfd)
{
	return (void *)(intptr_t)wait_and_close(shared_call, (int)(intptr_t)pidfd);
}

static void test_one_call(void)
{
	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
	pthread_t thread;
	void *status;
	int r = 0;

	shared_call = begin(NULL);
	pthread_create(&thread, NULL, waiter, (void *)(intptr_t)SPAWN(shared_call, -1, "sleep", "635"));
	for (int i = 0; i < 20 && r >= 0; i++) {
		intent.pids_max = 50 + i;
		r = agentcg_call_adjust(shared_call, AGENTCG_UNSET, &intent, &error);
	}
	same_number("a call that another thread waits for is adjusted", r, 0);
	same_text("... and ended", end(shared_call)->outcome, "ok");
	pthread_join(thread, &status);
	same_number("... which the waiter sees", (intptr_t)status, 1000 + SIGKILL);
	agentcg_call_free(shared_call);
}

static void test_leaks(int many)
{
	int before = count_fds(), good = 0;

	for (int i = 0; i < many; i++) {
		struct agentcg_call *call = begin(NULL);

		if (i % 2)
			agentcg_call_fd(call);
		good += agentcg_call_end(call, 0, NULL, &error) == 0;
		agentcg_call_free(call);
	}
	check(good == many, "%d calls begin and end", many);
	same_number("... and no descriptor is left", count_fds(), before);
}

/* ---- restarts ----------------------------------------------------------- */

/* As a framework with an event loop has it. */
static void *poller(void *result)
{
	struct pollfd p = { .fd = agentcg_call_fd(shared_call), .events = POLLIN };
	int r = 1, *lowest = result;

	while (r >= 0 && poll(&p, 1, 60000) == 1) {
		r = agentcg_call_dispatch(shared_call, NULL);
		if (r >= 0 && r < *lowest)
			*lowest = r;
	}
	return NULL;
}

static void test_restart(void)
{
	struct agentcg_call *kept, *waited, *idle;
	int kept_fd, waited_fd, lowest = 1;
	pthread_t thread;

	kept = begin(NULL);
	shared_call = kept;
	waited = begin(NULL);
	idle = begin(NULL);
	kept_fd = SPAWN(kept, -1, "sleep", "636");
	/* Longer than the daemon waits for its clients. */
	waited_fd = SPAWN(waited, -1, "sleep", "13");
	pthread_create(&thread, NULL, poller, &lowest);
	ask("restart");
	same_number("a restart goes unnoticed by who waits", wait_and_close(waited, waited_fd), 0);
	same_text("... and the result is complete", end(waited)->outcome, "ok");
	same_number("... by who polls", pidfd_send_signal(kept_fd, 0, NULL, 0), 0);
	same_text("... whose call ends as ever", end(kept)->outcome, "ok");
	same_number("... its command, too", wait_and_close(kept, kept_fd), 1000 + SIGKILL);
	same_number("a call that nobody looked after is lost", agentcg_call_end(idle, 0, NULL, &error), -ENXIO);
	has("... and told so", error.text, "does not know the call any more");
	/* It is told nothing any more, so it waits in vain. */
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	agentcg_call_free(kept);
	agentcg_call_free(waited);
	agentcg_call_free(idle);

	kept = begin(NULL);
	ask("restart");
	same_number("who asks for something claims it, too", agentcg_call_release(kept, &error), 0);
	same_text("... and ends it", end(kept)->outcome, "ok");
	agentcg_call_free(kept);
}

static void test_stop(void)
{
	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
	struct agentcg_call *call;
	int pidfd;

	intent.timeout_usec = 3 * SECOND;
	call = begin(&intent);
	pidfd = SPAWN(call, -1, "sleep", "637");
	ask("stop");
	same_number("without the daemon a timeout is kept all the same", wait_and_close(call, pidfd), 1000 + SIGKILL);
	refused("... and the end says that there is no result", agentcg_call_end(call, 0, NULL, &error), -ENOTCONN, "",
		"the daemon is gone, so there is no result");
	agentcg_call_free(call);
	ask("start");
}

int main(int argc, char **argv)
{
	bool all = argc > 2 && !strcmp(argv[2], "all"), spawns = argc > 2 && !strcmp(argv[2], "spawns");
	int before;

	name = argv[1];
	/* Which a shell makes those that it starts in the background ignore. */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	/* libsystemd may open something once for all. */
	test_without();
	before = count_fds();
	if (agentcg_connect(NULL, &cg, &error) < 0) {
		check(false, "it connects");
		return 1;
	}
	test_sessions();
	say_time("sessions");
	if (all) {
		test_refused_begin();
		test_refused_session();
	}
	test_refused_spawn();
	say_time("refused_spawn");
	same_number("no call is left", count_calls(), 0);
	test_commands();
	say_time("commands");
	if (!spawns) {
		test_by_hand();
		test_newer();
		test_one_call();
		test_threads();
		say_time("threads");
		test_leaks(all ? 1000 : 50);
	}
	if (all) {
		test_watch();
		say_time("watch");
		test_restart();
		say_time("restart");
		test_stop();
		say_time("stop");
	}
	check(agentcg_session_close(cg, name, AGENTCG_SESSION_KILL, NULL, NULL, &error) == 0 || error.error == -ENXIO, "its session closes");
	agentcg_close(cg);
	same_number("no descriptor is left", count_fds(), before);
	return 0;
}
