// SPDX-License-Identifier: GPL-2.0-only
/* Against a server that is a child of the test, and answers as the path says. */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "http.h"
#include "tap.h"

static unsigned int port;

/* ---- the server ---------------------------------------------------------------- */

static void say(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) < 0)
		_exit(0);
}

static void flood(int fd)
{
	char block[65536];

	memset(block, 'x', sizeof(block));
	say(fd, "HTTP/1.1 200 OK\r\n\r\n");
	while (write(fd, block, sizeof(block)) > 0)
		;
}

static void answer(int fd, const char *request)
{
	const char *body = strstr(request, "\r\n\r\n"), *path = strchr(request, ' ');
	char head[256];

	path = path ? path + 1 : "";
	if (startswith(path, "/ok")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	} else if (startswith(path, "/echo")) {
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(body + 4));
		say(fd, head);
		say(fd, body + 4);
	} else if (startswith(path, "/refuse")) {
		say(fd, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
	} else if (startswith(path, "/redirect")) {
		say(fd, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n");
	} else if (startswith(path, "/slow")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
		pause();
	} else if (startswith(path, "/dead")) {
		pause();
	} else if (startswith(path, "/garbage")) {
		say(fd, "\x01\x02 this is no HTTP\n\n");
	} else if (startswith(path, "/short")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
	} else if (startswith(path, "/status")) {
		say(fd, "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n");
	} else if (startswith(path, "/huge")) {
		flood(fd);
	}
}

/* A request of these tests comes in one piece or two: head, body. */
static void serve(int fd)
{
	char request[65536];
	size_t n = 0;
	ssize_t r;

	while ((r = read(fd, request + n, sizeof(request) - 1 - n)) > 0) {
		const char *length, *body;

		n += (size_t)r;
		request[n] = 0;
		body = strstr(request, "\r\n\r\n");
		length = strstr(request, "Content-Length: ");
		if (body && (!length || strlen(body + 4) >= strtoul(length + 16, NULL, 10)))
			break;
	}
	answer(fd, request);
	_exit(0);
}

static pid_t start_server(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(a);
	pid_t pid;

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, 128) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		return -1;
	port = ntohs(a.sin_port);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c >= 0 && !fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(c);
		}
		close(c);
	}
}

/* ---- the tests ------------------------------------------------------------------- */

struct seen {
	int calls, status;
	char body[4096];
	size_t size;
};

static sd_event *event;
static struct http *http;

static void on_done(int status, const char *body, size_t size, void *userdata)
{
	struct seen *s = userdata;

	s->calls++;
	s->status = status;
	s->size = size;
	snprintf(s->body, sizeof(s->body), "%s", body);
}

static const char *url_of(const char *path)
{
	static char url[256];

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, path);
	return url;
}

static void run_until(const struct seen *s, uint64_t usec)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + usec;

	while (!s->calls && now_usec(CLOCK_MONOTONIC) < end)
		sd_event_run(event, 100 * USEC_PER_MSEC);
}

static struct seen ask(const char *path, const char *json, uint64_t timeout)
{
	struct seen s = {};
	int r = agentcg_http_send(http, url_of(path), json, timeout, on_done, &s, NULL);

	if (r < 0)
		s.status = r;
	else
		run_until(&s, 20 * USEC_PER_SEC);
	return s;
}

static void test_answers(void)
{
	struct seen s = ask("/ok", NULL, USEC_PER_SEC * 10);

	tap_ok(s.status == 200 && streq(s.body, "hello") && s.size == 5, "an answer: %d %s", s.status, s.body);
	s = ask("/echo", "{\"a\":1}", USEC_PER_SEC * 10);
	tap_ok(s.status == 200 && streq(s.body, "{\"a\":1}"), "what is sent arrives: %s", s.body);
	s = ask("/refuse", NULL, USEC_PER_SEC * 10);
	tap_ok(s.status == 503 && streq(s.body, "busy"), "a refusal has its text");
	s = ask("/redirect", NULL, USEC_PER_SEC * 10);
	tap_ok(s.status == 302, "a redirect is not followed");
	s = ask("/garbage", NULL, USEC_PER_SEC * 10);
	tap_ok(s.calls == 1 && s.status < 0, "garbage is an error: %s", s.body);
	s = ask("/close", NULL, USEC_PER_SEC * 10);
	tap_ok(s.status == -ECONNRESET, "no answer at all: %s", s.body);
	s = ask("/short", NULL, USEC_PER_SEC * 10);
	tap_ok(s.status == -ECONNRESET, "half an answer: %s", s.body);
	s = ask("/status", NULL, USEC_PER_SEC * 10);
	tap_ok(s.status == -EPROTO, "a status that there is not: %d %s", s.status, s.body);
	s = ask("/huge", NULL, USEC_PER_SEC * 20);
	tap_ok(s.status == -EMSGSIZE, "an answer without end: %s", s.body);
	s = ask("/dead", NULL, USEC_PER_SEC / 4);
	tap_ok(s.status == -ETIMEDOUT, "one that says nothing: %s", s.body);
	s = ask("/slow", NULL, USEC_PER_SEC / 4);
	tap_ok(s.status == -ETIMEDOUT, "one that stops in the middle: %s", s.body);
}

static void test_refused(void)
{
	struct seen s = {};

	tap_ok(agentcg_http_send(http, "file:///etc/passwd", NULL, 1, on_done, &s, NULL) == -EPROTONOSUPPORT &&
	       agentcg_http_send(http, "ftp://localhost/", NULL, 1, on_done, &s, NULL) == -EPROTONOSUPPORT && !s.calls,
	       "nothing but http and https");
	agentcg_http_send(http, "http://127.0.0.1:1/", NULL, USEC_PER_SEC * 5, on_done, &s, NULL);
	run_until(&s, 10 * USEC_PER_SEC);
	tap_ok(s.status == -ECONNREFUSED, "nobody listens: %s", s.body);
}

static void test_limits(void)
{
	static struct seen many[AGENTCG_HTTP_AT_ONCE];
	struct http_request *q = NULL;
	struct seen s = {};
	int ended = 0;

	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		agentcg_http_send(http, url_of("/dead"), NULL, USEC_PER_SEC / 2, on_done, &many[i], NULL);
	tap_ok(agentcg_http_send(http, url_of("/ok"), NULL, USEC_PER_SEC, on_done, &s, NULL) == -EBUSY, "one too many is refused");
	run_until(&many[0], 5 * USEC_PER_SEC);
	for (uint64_t end = now_usec(CLOCK_MONOTONIC) + 10 * USEC_PER_SEC; ended < AGENTCG_HTTP_AT_ONCE && now_usec(CLOCK_MONOTONIC) < end;) {
		sd_event_run(event, 50 * USEC_PER_MSEC);
		ended = 0;
		for (size_t i = 0; i < ARRAY_SIZE(many); i++)
			ended += many[i].calls == 1 && many[i].status == -ETIMEDOUT;
	}
	tap_ok(ended == AGENTCG_HTTP_AT_ONCE, "all of them end in their time");
	s = ask("/ok", NULL, USEC_PER_SEC * 10);
	tap_ok(s.status == 200, "then there is room again");

	s = (struct seen){};
	agentcg_http_send(http, url_of("/dead"), NULL, USEC_PER_SEC / 4, on_done, &s, &q);
	agentcg_http_cancel(q);
	run_until(&s, USEC_PER_SEC / 2);
	tap_ok(!s.calls, "one that is canceled is not told of");
}

/* Sends another one, and frees all, from where it is told. */
static void on_done_free(int status, const char *body, size_t size, void *userdata)
{
	on_done(status, body, size, userdata);
	http = agentcg_http_free(http);
}

static void test_free(void)
{
	struct seen waits = {}, s = {};

	agentcg_http_send(http, url_of("/dead"), NULL, USEC_PER_SEC * 60, on_done, &waits, NULL);
	agentcg_http_send(http, url_of("/ok"), NULL, USEC_PER_SEC * 10, on_done_free, &s, NULL);
	run_until(&s, 10 * USEC_PER_SEC);
	sd_event_run(event, 0);
	tap_ok(s.status == 200 && waits.calls == 1 && waits.status == -ECANCELED, "it may be freed from within; what is under way is told");
}

int main(void)
{
	pid_t server;

	signal(SIGPIPE, SIG_IGN);
	/* None of it may matter. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	server = start_server();
	if (server < 0 || sd_event_default(&event) < 0 || agentcg_http_new(event, &http) < 0) {
		tap_ok(false, "a server, an event loop");
		return tap_done();
	}
	test_answers();
	test_refused();
	test_limits();
	test_free();
	sd_event_unref(event);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return tap_done();
}
