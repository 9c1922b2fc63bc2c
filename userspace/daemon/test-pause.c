// SPDX-License-Identifier: GPL-2.0-only
#include "pause.h"

#include <sys/socket.h>

#include "tap.h"

static struct pauses pauses;
static unsigned int served;

static int on_method(sd_varlink *link, sd_json_variant *parameters, sd_varlink_method_flags_t flags,
		     void *userdata)
{
	int r = sd_varlink_error(link, "io.test.No", NULL);

	served++;
	agentcg_pause(&pauses, link);
	return r;
}

static void loop(sd_event *event, uint64_t usec)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + usec, now;

	while ((now = now_usec(CLOCK_MONOTONIC)) < end)
		sd_event_run(event, end - now);
}

static int open_link(sd_varlink_server *server)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ||
	    sd_varlink_server_add_connection(server, fds[1], NULL) < 0)
		puts("# no connection");
	return fds[0];
}

static void ask(int fd, int times)
{
	static const char request[] = "{\"method\":\"io.test.Ask\",\"parameters\":{}}";

	while (times--)
		send(fd, request, sizeof(request), MSG_NOSIGNAL);
}

/* Replies that have come. */
static int replies(int fd)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	int found = 0;

	for (ssize_t i = 0; i < n; i++)
		found += !buf[i];
	return found;
}

int main(void)
{
	sd_varlink_server *server;
	sd_event *event;
	int fd, other;

	sd_event_new(&event);
	sd_varlink_server_new(&server, 0);
	sd_varlink_server_bind_method(server, "io.test.Ask", on_method);
	sd_varlink_server_attach_event(server, event, SD_EVENT_PRIORITY_NORMAL);
	fd = open_link(server);
	other = open_link(server);
	ask(fd, 5);
	loop(event, AGENTCG_PAUSE_USEC / 2);
	tap_ok(served == 1, "of five requests sent ahead one is looked at, then there is a pause");
	ask(other, 1);
	loop(event, AGENTCG_PAUSE_USEC / 4);
	tap_ok(served == 2, "another connection is served meanwhile");
	loop(event, 6 * AGENTCG_PAUSE_USEC);
	tap_ok(served == 6 && replies(fd) == 5, "in the end all are answered: %u", served - 1);
	tap_ok(!pauses.n && !pauses.source, "and nothing is left");
	ask(fd, 2);
	loop(event, AGENTCG_PAUSE_USEC / 2);
	close(fd);
	tap_ok(sd_varlink_server_current_connections(server) == 2, "one that goes away in its pause");
	loop(event, 4 * AGENTCG_PAUSE_USEC);
	tap_ok(sd_varlink_server_current_connections(server) == 1, "... is noticed after it");
	tap_ok(replies(other) == 1, "the other one has its reply");
	ask(other, 3);
	loop(event, AGENTCG_PAUSE_USEC / 2);
	tap_ok(pauses.n == 1, "the server ends in a pause");
	agentcg_pause_done(&pauses);
	sd_varlink_server_unref(server);
	sd_event_unref(event);
	close(other);
	return tap_done();
}
