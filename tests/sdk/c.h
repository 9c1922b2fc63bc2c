/* SPDX-License-Identifier: GPL-2.0-only */
/* What c.c is written with: results, and the shortest way to a call and a command in it. */
#ifndef TESTS_SDK_C_H
#define TESTS_SDK_C_H

#include <agentcg/agentcg.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB		(UINT64_C(1) << 20)
#define SECOND		UINT64_C(1000000)
#define HOG		"python3", "-c", "x = bytearray(200 << 20)"

static struct agentcg *cg;
static struct agentcg_error error = AGENTCG_ERROR_INIT;
static const char *name;		/* of our session */

/* ---- reporting ---------------------------------------------------------- */

__attribute__((format(printf, 2, 3)))
static bool check(bool passed, const char *text, ...)
{
	va_list ap;

	printf("%sok - ", passed ? "" : "not ");
	va_start(ap, text);
	vprintf(text, ap);
	va_end(ap);
	printf("\n");
	if (!passed)
		printf("errno %d, text: %s; name %s, field %s, reason %s\n", error.error, error.text, error.name,
		       error.field, error.reason);
	fflush(stdout);
	return passed;
}

static void same_number(const char *text, long long got, long long wanted)
{
	if (!check(got == wanted, "%s", text))
		printf("got %lld, wanted %lld\n", got, wanted);
}

static void same_text(const char *text, const char *got, const char *wanted)
{
	if (!check(got && !strcmp(got, wanted), "%s", text))
		printf("got %s, wanted %s\n", got ? got : "nothing", wanted);
}

static void has(const char *text, const char *got, const char *wanted)
{
	if (!check(got && strstr(got, wanted), "%s", text))
		printf("got %s, wanted ...%s...\n", got ? got : "nothing", wanted);
}

/* @r is what was returned; the error must name @field and say @words. */
static void refused(const char *text, int r, int wanted, const char *field, const char *words)
{
	if (!check(r == wanted && error.error == wanted && !strcmp(error.field, field) && strstr(error.text, words), "%s", text))
		printf("returned %d, wanted %d, field %s, ...%s...\n", r, wanted, field, words);
	error = (struct agentcg_error)AGENTCG_ERROR_INIT;
}

/* Of test-c.sh: restart, stop or start the daemon.  Comes back when it is done. */
static void ask(const char *what)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", getenv("ASK"), what);
	close(open(path, O_CREAT | O_WRONLY, 0666));
	while (access(path, F_OK) == 0)
		usleep(50000);
}

/* ---- helpers ------------------------------------------------------------ */

static struct agentcg_call *begin(const struct agentcg_intent *intent)
{
	struct agentcg_begin b = AGENTCG_BEGIN_INIT;
	static const char *const command[] = { "a", "b\xff", NULL };
	struct agentcg_call *call = NULL;

	b.session = name;
	b.command = command;
	b.intent = intent;
	if (agentcg_call_begin(cg, &b, &call, &error) < 0)
		check(false, "a call begins");
	return call;
}

static int spawn_words(struct agentcg_call *call, int out, const char *const *argv)
{
	struct agentcg_spawn s = AGENTCG_SPAWN_INIT;

	s.argv = argv;
	s.out = out;
	return agentcg_call_spawn(call, &s, NULL, &error);
}

#define SPAWN(call, out, ...) spawn_words(call, out, (const char *const []){ __VA_ARGS__, NULL })

/* The exit status, or 1000 plus the signal. */
static int wait_and_close(struct agentcg_call *call, int pidfd)
{
	int status = -1, r = agentcg_call_wait(call, pidfd, AGENTCG_UNSET, &status, &error);

	close(pidfd);
	if (r != 1)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static const struct agentcg_result *end(struct agentcg_call *call)
{
	static const struct agentcg_result nothing = { .outcome = "none", .text = "none" };
	const struct agentcg_result *result = &nothing;

	if (agentcg_call_end(call, 0, &result, &error) < 0)
		check(false, "the call ends");
	return result;
}

/* What a pipe has to its end. */
static const char *rest_of(int fd)
{
	static char text[8192];
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	text[n] = '\0';
	close(fd);
	return text;
}

static const char *file_of(struct agentcg_call *call, const char *file)
{
	const char *text = rest_of(openat(agentcg_call_cgroup_fd(call), file, O_RDONLY));

	*strchrnul(text, '\n') = '\0';
	return text;
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

static int count_calls(void)
{
	char *json = NULL;
	int n = 0;

	if (agentcg_call_method(cg, "GetStatus", NULL, NULL, 0, &json, &error) < 0)
		return -1;
	for (char *p = json; (p = strstr(p, "\"call\":")); p++)
		n++;
	free(json);
	return n;
}

#endif
