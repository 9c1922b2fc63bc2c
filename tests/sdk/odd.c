// SPDX-License-Identifier: GPL-2.0-only
/* odd SOCKET: asks everything of a server there, and prints a line for each error; for odd.py. */
#include <agentcg/agentcg.h>

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct agentcg_error error = AGENTCG_ERROR_INIT;

static int ask(const char *what, int r)
{
	if (r < 0)
		printf("error %s: %d, %d, name %s, field %s, text %s\n", what, r, error.error, error.name, error.field, error.text);
	/* Every error says something. */
	if (r < 0 && (!*error.text || error.error != r))
		exit(2);
	error = (struct agentcg_error)AGENTCG_ERROR_INIT;
	return r;
}

static void on_killed(const struct agentcg_killed *killed, void *userdata)
{
	printf("killed %s", killed->call);
	for (size_t i = 0; killed->command[i]; i++)
		printf(" %s", killed->command[i]);
	printf("\n");
}

static void on_finished(const struct agentcg_finished *finished, void *userdata)
{
	printf("finished %s %s\n", finished->call, finished->result->text);
	if (!finished->result->outcome || !finished->result->text)
		exit(5);
}

static void on_granted(const struct agentcg_granted *granted, const char *notes, void *userdata)
{
	printf("granted %d %s\n", (int)granted->priority, notes ? notes : "");
}

static void on_event(const struct agentcg_event *event, void *userdata)
{
	printf("event %s %s %s\n", event->event, event->call, event->text);
}

static void use_call(struct agentcg *cg)
{
	static const char *const words[] = { "true", NULL };
	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
	struct agentcg_spawn spawn = AGENTCG_SPAWN_INIT;
	struct agentcg_begin begin = AGENTCG_BEGIN_INIT;
	const struct agentcg_result *result;
	struct agentcg_call *call;
	int pidfd;

	begin.session = "a";
	if (ask("begin", agentcg_call_begin(cg, &begin, &call, &error)) < 0)
		return;
	printf("%s %s %s %d\n", agentcg_call_name(call), agentcg_call_cgroup(call), agentcg_call_notes(call) ?: "",
	       agentcg_call_fd(call) >= 0);
	spawn.argv = words;
	pidfd = ask("spawn", agentcg_call_spawn(call, &spawn, NULL, &error));
	if (pidfd >= 0) {
		ask("wait", agentcg_call_wait(call, pidfd, AGENTCG_UNSET, NULL, &error));
		close(pidfd);
	}
	intent.pids_max = 5;
	ask("adjust", agentcg_call_adjust(call, AGENTCG_UNSET, &intent, &error));
	ask("release", agentcg_call_release(call, &error));
	ask("detach", agentcg_call_detach(call, &error));
	ask("dispatch", agentcg_call_dispatch(call, &error));
	if (ask("end", agentcg_call_end(call, 0, &result, &error)) >= 0)
		printf("%s %s\n", result->outcome, result->text);
	agentcg_call_free(call);
}

static void use_watch(struct agentcg *cg)
{
	struct agentcg_watch *watch;
	struct pollfd p = { .events = POLLIN };

	if (ask("watch", agentcg_watch_open(cg, &watch, &error)) < 0)
		return;
	p.fd = agentcg_watch_fd(watch);
	poll(&p, 1, 1000);
	ask("events", agentcg_watch_dispatch(watch, on_event, NULL, &error));
	agentcg_watch_close(watch);
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	struct agentcg_session session = AGENTCG_SESSION_INIT;
	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
	static const char *const words[] = { "a", "\xff", NULL };
	int before = count_fds();
	char *text = NULL;
	struct agentcg *cg;

	if (agentcg_connect(argv[1], &cg, &error) < 0)
		return 3;
	session.name = "a";
	ask("open", agentcg_session_open(cg, &session, &text, &error));
	free(text);
	text = NULL;
	ask("method", agentcg_call_method(cg, "GetStatus", "{\"a\": [1]}", NULL, 0, &text, &error));
	free(text);
	intent.memory = 1 << 20;
	ask("declare", agentcg_declare(cg, "a", &intent, words, on_granted, NULL, &error));
	ask("results", agentcg_results(cg, "a", 0, on_finished, NULL, &error));
	use_call(cg);
	use_watch(cg);
	ask("close", agentcg_session_close(cg, "a", 0, on_killed, NULL, &error));
	agentcg_close(cg);
	return count_fds() == before ? 0 : 4;
}
