// SPDX-License-Identifier: GPL-2.0-only
/*
 * Times calls of the daemon as a client of its own library sees them (figures 3.3 and 3.6).
 *
 *	intents-calls latency ROUNDS [UID [PAUSE_MS]]
 *		From one connection that is warm, in turn: a call that does nothing (org.varlink.service.GetInfo), BeginCall, a
 *		process in the leaf that exits at once, EndCall.  Before each of the three PAUSE_MS pass, as an agent thinks
 *		and its command runs; 0: back to back.  Prints the times in ns, in the order of the rounds.
 *	intents-calls open SESSIONS
 *		Opens so many, named s0, s1, ...; UIDS users have them in equal parts.
 *	intents-calls load SESSIONS CALLS RATE
 *		CALLS calls, RATE a second, call i in the session i modulo SESSIONS, by CLIENTS threads with a connection each.
 *		Every call is due at a time of its own, and what it takes from then on counts: a daemon that lags behind is
 *		not let off by clients that wait for it.
 *
 * Prints one JSON object.  A call that is refused, or whose leaf is another's, is counted in "lost".
 */
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-varlink.h>
#include <time.h>
#include <unistd.h>

#define SOCKET		"/run/agentcg/io.agentcg"
#define CLIENTS		16	/* more than are ever at work at once */
#define UIDS		CLIENTS
#define FIRST_UID	2000
#define WARM		20	/* rounds that are not counted */
#define NS		1000000000ULL

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t when)
{
	struct timespec t = { .tv_sec = (time_t)(when / NS), .tv_nsec = (long)(when % NS) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void rest(unsigned int ms)
{
	if (ms)
		sleep_until(now() + ms * (NS / 1000));
}

static void die(const char *what, int error)
{
	fprintf(stderr, "intents-calls: %s: %s\n", what, strerror(error));
	exit(1);
}

/* The peer is who connects; only this thread changes. */
static sd_varlink *connect_as(uid_t uid)
{
	sd_varlink *link;
	int r;

	if (syscall(SYS_setresuid, -1, uid, -1) < 0)
		die("setresuid", errno);
	r = sd_varlink_connect_address(&link, SOCKET);
	if (r < 0)
		die(SOCKET, -r);
	if (syscall(SYS_setresuid, -1, 0, -1) < 0)
		die("setresuid", errno);
	sd_varlink_set_allow_fd_passing_input(link, true);
	return link;
}

/* The reply, which is the link's; NULL: an error. */
static sd_json_variant *ask(sd_varlink *link, const char *method, sd_json_variant *parameters)
{
	sd_json_variant *reply = NULL;
	const char *error = NULL;
	int r = sd_varlink_call(link, method, parameters, &reply, &error);

	if (r < 0)
		die(method, -r);
	if (!error)
		return reply;
	fprintf(stderr, "intents-calls: %s: %s\n", method, error);
	return NULL;
}

/* A process in the group that exits at once. */
static void run_in(int fd)
{
	struct clone_args args = { .flags = CLONE_INTO_CGROUP, .cgroup = (uint64_t)fd, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		die("clone3", errno);
	waitpid((pid_t)pid, NULL, 0);
}

struct times {
	uint64_t null, begin, end;
};

/* One call in @session, counted from @due on (0: from now), @rest_ms long.  The inode of its leaf; 0: refused. */
static ino_t one_call(sd_varlink *link, const char *session, uint64_t due, unsigned int rest_ms, struct times *t)
{
	sd_json_variant *p = NULL, *reply;
	char *call = NULL;
	struct stat st;
	int fd, r;

	r = sd_json_buildo(&p,
		SD_JSON_BUILD_PAIR_STRING("session", session),
		SD_JSON_BUILD_PAIR("command", SD_JSON_BUILD_ARRAY(SD_JSON_BUILD_STRING("true"))));
	if (r < 0)
		die("json", -r);
	t->begin = due ?: now();
	reply = ask(link, "io.agentcg.BeginCall", p);
	t->begin = now() - t->begin;
	p = sd_json_variant_unref(p);
	if (!reply)
		return 0;
	call = strdup(sd_json_variant_string(sd_json_variant_by_key(reply, "call")));
	fd = sd_varlink_take_fd(link, sd_json_variant_unsigned(sd_json_variant_by_key(reply, "cgroupFd")));
	if (fd < 0 || fstat(fd, &st) < 0)
		die("the leaf", errno);
	run_in(fd);
	close(fd);
	rest(rest_ms);
	r = sd_json_buildo(&p, SD_JSON_BUILD_PAIR_STRING("call", call));
	if (r < 0)
		die("json", -r);
	t->end = now();
	reply = ask(link, "io.agentcg.EndCall", p);
	t->end = now() - t->end;
	sd_json_variant_unref(p);
	free(call);
	return reply && sd_json_variant_by_key(reply, "result") ? st.st_ino : 0;
}

static void print_list(const char *name, const uint64_t *values, size_t n)
{
	printf("\"%s\": [", name);
	for (size_t i = 0; i < n; i++)
		printf("%s%llu", i ? ", " : "", (unsigned long long)values[i]);
	printf("]");
}

static void open_session(sd_varlink *link, const char *name)
{
	sd_json_variant *p = NULL;

	if (sd_json_buildo(&p, SD_JSON_BUILD_PAIR_STRING("name", name)) < 0 || !ask(link, "io.agentcg.OpenSession", p))
		exit(1);
	sd_json_variant_unref(p);
}

static int latency(size_t rounds, uid_t uid, unsigned int pause_ms)
{
	uint64_t *null = calloc(3 * rounds, sizeof(*null)), *begin = null + rounds, *end = begin + rounds;
	sd_varlink *link = connect_as(uid);
	size_t lost = 0;

	open_session(link, "latency");
	for (size_t i = 0; i < rounds + WARM; i++) {
		struct times t;

		rest(pause_ms);
		t.null = now();
		ask(link, "org.varlink.service.GetInfo", NULL);
		t.null = now() - t.null;
		rest(pause_ms);
		if (!one_call(link, "latency", 0, pause_ms, &t))
			lost++;
		if (i < WARM)
			continue;
		null[i - WARM] = t.null;
		begin[i - WARM] = t.begin;
		end[i - WARM] = t.end;
	}
	printf("{\"lost\": %zu, ", lost);
	print_list("null", null, rounds);
	printf(", ");
	print_list("begin", begin, rounds);
	printf(", ");
	print_list("end", end, rounds);
	printf("}\n");
	return 0;
}

static int open_sessions(size_t sessions)
{
	sd_varlink *links[UIDS];
	char name[32];

	for (uid_t i = 0; i < UIDS; i++)
		links[i] = connect_as(FIRST_UID + i);
	for (size_t i = 0; i < sessions; i++) {
		snprintf(name, sizeof(name), "s%zu", i);
		open_session(links[i % UIDS], name);
	}
	printf("{\"opened\": %zu}\n", sessions);
	return 0;
}

static struct {
	size_t sessions, calls, rate;
	uint64_t start;
	struct times *times;
	ino_t *leaves;
} load;

static void *client(void *data)
{
	size_t first = (size_t)data;
	sd_varlink *link = connect_as(FIRST_UID + (uid_t)first);
	char session[32];

	for (size_t i = first; i < load.calls; i += CLIENTS) {
		uint64_t due = load.start + i * NS / load.rate;

		snprintf(session, sizeof(session), "s%zu", i % load.sessions);
		sleep_until(due);
		load.leaves[i] = one_call(link, session, due, 0, &load.times[i]);
	}
	sd_varlink_close_unref(link);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int run_load(size_t sessions, size_t calls, size_t rate)
{
	uint64_t *both = calloc(calls, sizeof(*both));
	pthread_t threads[CLIENTS];
	size_t lost = 0, same = 0;
	uint64_t took;

	load.sessions = sessions;
	load.calls = calls;
	load.rate = rate;
	load.times = calloc(calls, sizeof(*load.times));
	load.leaves = calloc(calls, sizeof(*load.leaves));
	load.start = now() + NS / 10;
	for (size_t i = 0; i < CLIENTS; i++)
		if (pthread_create(&threads[i], NULL, client, (void *)i))
			die("pthread_create", EAGAIN);
	for (size_t i = 0; i < CLIENTS; i++)
		pthread_join(threads[i], NULL);
	took = now() - load.start;
	for (size_t i = 0; i < calls; i++) {
		both[i] = load.times[i].begin + load.times[i].end;
		lost += !load.leaves[i];
	}
	qsort(both, calls, sizeof(*both), compare);
	qsort(load.leaves, calls, sizeof(*load.leaves), compare);
	for (size_t i = 1; i < calls; i++)
		same += load.leaves[i] && load.leaves[i] == load.leaves[i - 1];
	printf("{\"lost\": %zu, \"shared\": %zu, \"seconds\": %.3f, \"p50\": %llu, \"p99\": %llu, \"max\": %llu}\n", lost, same,
	       (double)took / NS, (unsigned long long)both[calls / 2], (unsigned long long)both[calls * 99 / 100],
	       (unsigned long long)both[calls - 1]);
	return 0;
}

int main(int argc, char **argv)
{
	size_t n[3] = {};

	for (int i = 2; i < argc && i < 5; i++)
		n[i - 2] = strtoul(argv[i], NULL, 10);
	if (argc >= 3 && !strcmp(argv[1], "latency"))
		return latency(n[0], (uid_t)n[1], (unsigned int)n[2]);
	if (argc == 3 && !strcmp(argv[1], "open"))
		return open_sessions(n[0]);
	if (argc == 5 && !strcmp(argv[1], "load"))
		return run_load(n[0], n[1], n[2]);
	fprintf(stderr, "Usage: intents-calls latency ROUNDS [UID [PAUSE_MS]] | open SESSIONS | load SESSIONS CALLS RATE\n");
	return 2;
}
