// SPDX-License-Identifier: GPL-2.0-only
/* A server with methods of its own, and clients in processes of their own, as users that are not root. */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-varlink.h>

#include "door.h"
#include "peer.h"
#include "tap.h"

#define BURN_USEC	(10 * USEC_PER_MSEC)
#define SECONDS		3

static struct manager m;
static char address[64];
static unsigned int disconnects;
static uint64_t burnt;		/* usec */
static unsigned int asked;	/* Quick, how often */
static uint64_t entry_usec;	/* what letting somebody in takes */
static unsigned int entered;

static void spin(uint64_t usec)
{
	uint64_t until = now_usec(CLOCK_THREAD_CPUTIME_ID) + usec;

	while (now_usec(CLOCK_THREAD_CPUTIME_ID) < until)
		;
}

static int burn(sd_varlink *link, sd_json_variant *parameters, sd_varlink_method_flags_t flags, void *userdata)
{
	spin(BURN_USEC);
	burnt += BURN_USEC;
	return sd_varlink_reply(link, NULL);
}

static int quick(sd_varlink *link, sd_json_variant *parameters, sd_varlink_method_flags_t flags, void *userdata)
{
	asked++;
	return sd_varlink_reply(link, NULL);
}

static int on_later(sd_event_source *source, uint64_t usec, void *userdata)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = userdata;

	sd_event_source_unref(source);
	(void)sd_varlink_reply(link, NULL);
	return 0;
}

static int later(sd_varlink *link, sd_json_variant *parameters, sd_varlink_method_flags_t flags, void *userdata)
{
	sd_event_source *source;

	return sd_event_add_time_relative(m.event, &source, CLOCK_MONOTONIC, 50 * USEC_PER_MSEC, 1, on_later,
					  sd_varlink_ref(link));
}

static int never(sd_varlink *link, sd_json_variant *parameters, sd_varlink_method_flags_t flags, void *userdata)
{
	return 0;
}

static void on_enter(struct manager *manager, int fd)
{
	sd_varlink *link;

	if (sd_varlink_server_add_connection(manager->server, fd, &link) < 0 || agentcg_peer_connect(manager, link) < 0)
		_exit(8);
	spin(entry_usec);
	entered++;
}

static void on_disconnect(sd_varlink_server *server, sd_varlink *link, void *userdata)
{
	disconnects++;
	agentcg_peer_disconnect(&m, link);
}

static sd_varlink *client(uid_t uid)
{
	sd_varlink *link = NULL;

	if (seteuid(uid) < 0 || sd_varlink_connect_address(&link, address) < 0 || seteuid(0) < 0)
		_exit(9);
	return link;
}

static bool call(sd_varlink *link, const char *method)
{
	const char *error = NULL;

	return sd_varlink_call(link, method, NULL, NULL, &error) >= 0 && !error;
}

/* @function in a process of its own; its exit status. */
static pid_t start(int (*function)(void))
{
	pid_t pid = fork();

	if (!pid)
		_exit(function());
	return pid;
}

static int user_burns(void)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + SECONDS * USEC_PER_SEC;
	sd_varlink *link = client(1000);

	while (now_usec(CLOCK_MONOTONIC) < end)
		if (!call(link, "io.test.Burn"))
			return 1;
	return 0;
}

/* Hanging up does not pay what is owed. */
static int user_burns_anew(void)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + SECONDS * USEC_PER_SEC;

	while (now_usec(CLOCK_MONOTONIC) < end) {
		sd_varlink *link = client(1000);

		if (!call(link, "io.test.Burn"))
			return 1;
		sd_varlink_close_unref(link);
	}
	return 0;
}

static const char request[] = "{\"method\":\"io.test.Quick\"}";
static char all[300 * sizeof(request)];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = request[i % sizeof(request)];
}

/* 300 requests in one piece: each is answered, though there is no further event. */
static int pipelines(void)
{
	sd_varlink *link = client(1000);
	char buf[4096];
	int replies = 0;
	ssize_t n;

	fill();
	alarm(20);
	if (write(sd_varlink_get_fd(link), all, sizeof(all)) != (ssize_t)sizeof(all))
		return 1;
	while (replies < 300) {
		n = read(sd_varlink_get_fd(link), buf, sizeof(buf));
		if (n < 0 && errno == EAGAIN) {
			usleep(1000);
			continue;
		}
		if (n <= 0)
			return 2;
		for (ssize_t i = 0; i < n; i++)
			replies += !buf[i];
	}
	return 0;
}

/* Asks on a hundred connections as fast as it can. */
static int floods(void)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + SECONDS * USEC_PER_SEC;
	static char buf[65536];
	int fds[100];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = sd_varlink_get_fd(client(1002));
	fill();
	while (now_usec(CLOCK_MONOTONIC) < end) {
		for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
			if (send(fds[i], all, sizeof(all), MSG_DONTWAIT) < 0 && errno != EAGAIN)
				return 1;
		for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
			while (recv(fds[i], buf, sizeof(buf), MSG_DONTWAIT) > 0)
				;
		usleep(1000);
	}
	return 0;
}

/* Asks as long as anybody listens, and reads nothing for a while; then all is answered. */
static int never_listens(void)
{
	sd_varlink *link = client(0);
	int fd = sd_varlink_get_fd(link);
	size_t sent = 0, at = 0, replies = 0;
	char buf[4096];
	ssize_t n;

	fill();
	alarm(60);
	for (int idle = 0; idle < 200;) {
		n = send(fd, all + at, sizeof(all) - at, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			return 1;
		idle = n < 0 ? idle + 1 : 0;
		sent += n < 0 ? 0 : (size_t)n;
		at = n < 0 ? at : (at + (size_t)n) % sizeof(all);
		usleep(1000);
	}
	while (replies < sent / sizeof(request)) {
		n = read(fd, buf, sizeof(buf));
		for (ssize_t i = 0; i < n; i++)
			replies += !buf[i];
		if (n < 0 && errno != EAGAIN)
			return 2;
		if (n < 0)
			usleep(1000);
		if (n == 0)
			return 3;
	}
	/* Each is 30 bytes, its answer as many; both ways together hold 10,000 of them at most, and 2,000 more wait here. */
	return sent > 20000 * sizeof(request) ? 4 : 0;
}

/* Knocks as often as it can; those whose door stays shut are gone when it opens. */
static int knocks(void)
{
	uint64_t end = now_usec(CLOCK_MONOTONIC) + SECONDS * USEC_PER_SEC;

	while (now_usec(CLOCK_MONOTONIC) < end) {
		sd_varlink_close_unref(client(1000));
		usleep(1000);
	}
	return 0;
}

/* Others come in at once while a user stands before a shut door, and so do those who waited, later. */
static int comes_in_between(void)
{
	sd_varlink *links[16], *other;
	uint64_t start;

	alarm(60);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		links[i] = client(1000);
	other = client(1001);
	start = now_usec(CLOCK_MONOTONIC);
	if (!call(other, "io.test.Quick") || now_usec(CLOCK_MONOTONIC) - start > 4 * USEC_PER_SEC)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (!call(links[i], "io.test.Quick"))
			return 2;
	return 0;
}

static int waits(void)
{
	sd_varlink *link = client(1000);

	alarm(20);
	return !call(link, "io.test.Later") || !call(link, "io.test.Quick");
}

static int hangs_up(void)
{
	sd_varlink *link = client(1000);

	return sd_varlink_send(link, "io.test.Never", NULL) < 0 || sd_varlink_flush(link) < 0;
}

/* 300 requests, and nobody is there to be answered. */
static int says_much_and_goes(void)
{
	fill();
	return write(sd_varlink_get_fd(client(0)), all, sizeof(all)) != (ssize_t)sizeof(all);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	*(int *)userdata = info->si_code == CLD_EXITED ? info->si_status : 99;
	return 0;
}

/* Runs the loop until @function's process has ended; its exit status. */
static int serve(int (*function)(void))
{
	sd_event_source *source;
	int status = -1;

	if (sd_event_add_child(m.event, &source, start(function), WEXITED, on_child, &status) < 0)
		return 98;
	while (status < 0)
		if (sd_event_run(m.event, UINT64_MAX) < 0)
			return 97;
	sd_event_source_unref(source);
	/* That it has hung up. */
	while (sd_event_run(m.event, 20 * USEC_PER_MSEC) > 0)
		;
	return status;
}

static bool listens(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	snprintf(address, sizeof(address), "/tmp/agentcg-peer-%d", getpid());
	return sd_event_default(&m.event) >= 0 &&
	       sd_varlink_server_new(&m.server, SD_VARLINK_SERVER_ACCOUNT_UID) >= 0 &&
	       sd_varlink_server_bind_method_many(m.server, "io.test.Burn", burn, "io.test.Quick", quick,
						  "io.test.Later", later, "io.test.Never", never) >= 0 &&
	       sd_varlink_server_bind_disconnect(m.server, on_disconnect) >= 0 &&
	       sd_varlink_server_attach_event(m.server, m.event, SD_EVENT_PRIORITY_NORMAL) >= 0 &&
	       agentcg_door_open(&m, address, on_enter) >= 0;
}

int main(void)
{
	/* What a user has at once, a part of the time, and what it was in the middle of. */
	const uint64_t most = 500 * USEC_PER_MSEC + SECONDS * USEC_PER_SEC / 4 + BURN_USEC;
	uint64_t before, since;
	int status;

	if (!listens())
		return 1;
	tap_ok(serve(waits) == 0, "a reply that comes later is sent");
	tap_ok(serve(pipelines) == 0, "300 requests in one piece are all answered");
	status = serve(hangs_up);
	tap_ok(status == 0 && disconnects == 3, "one that hangs up while it waits is gone: %u", disconnects);
	asked = 0;
	status = serve(says_much_and_goes);
	tap_ok(status == 0 && disconnects == 4 && asked && asked < 300, "... and is not done all that it asked for: %u of 300", asked);
	burnt = 0;
	status = serve(user_burns);
	tap_ok(status == 0 && burnt <= most, "a user that asks as fast as it can gets %llu ms of %llu",
	       (unsigned long long)burnt / 1000, SECONDS * 1000ULL);
	burnt = 0;
	status = serve(user_burns_anew);
	tap_ok(status == 0 && burnt <= most - 400 * USEC_PER_MSEC, "... with a connection for each no more, and what it had at once is gone: %llu ms",
	       (unsigned long long)burnt / 1000);
	since = now_usec(CLOCK_MONOTONIC);
	before = now_usec(CLOCK_PROCESS_CPUTIME_ID);
	status = serve(floods);
	before = now_usec(CLOCK_PROCESS_CPUTIME_ID) - before;
	since = now_usec(CLOCK_MONOTONIC) - since;
	tap_ok(status == 0 && before <= 500 * USEC_PER_MSEC + since / 2,
	       "a hundred connections cost %llu ms of %llu, what looks after them included",
	       (unsigned long long)before / 1000, (unsigned long long)since / 1000);
	status = serve(never_listens);
	tap_ok(status == 0, "who does not read is not read from, until he does: %d", status);
	entered = 0;
	entry_usec = 20 * USEC_PER_MSEC;
	status = serve(knocks);
	tap_ok(status == 0 && entered && entered * entry_usec <= most, "a user that knocks all the time is let in %u times in %d s",
	       entered, SECONDS);
	status = serve(comes_in_between);
	tap_ok(status == 0, "others come in meanwhile, and those who waited later: %d", status);
	entry_usec = 0;
	while (m.peers && sd_event_run(m.event, 5 * USEC_PER_SEC) > 0)
		;
	tap_ok(!m.peers, "who is gone and owes nothing is forgotten");
	agentcg_door_close(&m);
	sd_varlink_server_unref(m.server);
	sd_event_unref(m.event);
	unlink(address);
	return tap_done();
}
