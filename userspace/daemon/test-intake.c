// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <sys/socket.h>
#include <systemd/sd-varlink.h>

#include "intake.h"
#include "tap.h"

static void test_count(void)
{
	size_t longest;

	tap_ok(agentcg_intake_count(0, "abc", 3, &longest) == 3 && longest == 3, "a beginning");
	tap_ok(agentcg_intake_count(3, "de\0f", 4, &longest) == 1 && longest == 5, "an end and a beginning");
	tap_ok(agentcg_intake_count(1, "\0ab\0abcd\0", 9, &longest) == 0 && longest == 4, "several at once: the longest counts");
	tap_ok(agentcg_intake_count(9, "", 0, &longest) == 9 && longest == 9, "nothing new");
}

struct pair {
	sd_varlink_server *server;
	sd_varlink *link;
	int fd;			/* the client's end */
	int theirs;
};

/* A connection as the daemon has it. */
static struct pair open_pair(void)
{
	struct pair p = {};
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		perror("socketpair");
	sd_varlink_server_new(&p.server, SD_VARLINK_SERVER_ALLOW_FD_PASSING_INPUT);
	p.fd = fds[0];
	p.theirs = fds[1];
	agentcg_intake_watch(fds[1]);
	if (sd_varlink_server_add_connection(p.server, fds[1], &p.link) < 0)
		puts("# no connection");
	sd_varlink_ref(p.link);
	return p;
}

static void close_pair(struct pair *p)
{
	agentcg_intake_forget(p->theirs);
	close(p->fd);
	sd_varlink_unref(p->link);
	sd_varlink_server_unref(p->server);
}

/* Sends @n bytes of one message; how many were taken before it was hung up on. */
static size_t pour(struct pair *p, size_t n)
{
	static char junk[32768];
	size_t sent = 0;

	memset(junk, 'x', sizeof(junk));
	while (sent < n && sd_varlink_is_connected(p->link) > 0) {
		ssize_t r = send(p->fd, junk, min_u64(sizeof(junk), n - sent), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (r > 0)
			sent += (size_t)r;
		else if (errno != EAGAIN)
			break;
		for (int i = 0; i < 8 && sd_varlink_process(p->link) > 0; i++)
			;
	}
	return sent;
}

static void reads(struct pair *p, const char *wanted)
{
	char text[512] = "";
	ssize_t n = recv(p->fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	tap_ok(n > 0 && !text[n - 1] && strstr(text, wanted), "and is told: %s", text);
}

static void test_long(void)
{
	struct pair p = open_pair();
	size_t sent = pour(&p, AGENTCG_MESSAGE_MAX);

	tap_ok(sent == AGENTCG_MESSAGE_MAX && sd_varlink_is_connected(p.link) > 0, "a message of %zu bytes is taken", sent);
	tap_ok(agentcg_intake_kept() > 0, "... and known to be kept");
	sent = pour(&p, 16 * MIB);
	tap_ok(sent < 8 * MIB && sd_varlink_is_connected(p.link) <= 0, "who goes on is hung up on");
	reads(&p, "{\"error\":\"io.agentcg.LimitExceeded\",\"parameters\":{\"what\":\"bytes of one message\",\"limit\":1048576}}");
	close_pair(&p);
	tap_ok(agentcg_intake_kept() == 0, "and then nothing is kept");
}

static void test_sum(void)
{
	enum { N = 200 };
	struct pair p[N];
	size_t refused = 0;
	bool small;

	for (int i = 0; i < N; i++) {
		p[i] = open_pair();
		pour(&p[i], AGENTCG_MESSAGE_MAX - 1);
		refused += sd_varlink_is_connected(p[i].link) <= 0;
	}
	tap_ok(refused > 0 && refused < N && agentcg_intake_kept() <= AGENTCG_INTAKE_MAX + N * AGENTCG_INTAKE_SHORT, "all together keep %llu MiB, %zu of 200 are refused",
	       (unsigned long long)(agentcg_intake_kept() / MIB), refused);
	close_pair(&p[N - 1]);
	p[N - 1] = open_pair();
	pour(&p[N - 1], 60000);
	small = sd_varlink_is_connected(p[N - 1].link) > 0;
	tap_ok(small, "others are heard all the same, if they are short");
	for (int i = 0; i < N; i++)
		close_pair(&p[i]);
	tap_ok(agentcg_intake_kept() == 0, "and then nothing is kept");
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* @n descriptors with the first byte of a message. */
static void send_fds(struct pair *p, size_t n)
{
	char control[CMSG_SPACE(253 * sizeof(int))] = {};
	struct iovec iov = { .iov_base = "{", .iov_len = 1 };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	int fd = 0;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	for (size_t i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(fd), &fd, sizeof(fd));
	if (sendmsg(p->fd, &mh, MSG_NOSIGNAL) < 0)
		perror("sendmsg");
	for (int i = 0; i < 8; i++)
		sd_varlink_process(p->link);
}

static void test_fds(void)
{
	struct pair p = open_pair();
	int before = count_fds();

	send_fds(&p, 4);
	tap_ok(sd_varlink_is_connected(p.link) > 0 && count_fds() == before + 4, "some descriptors are taken");
	close_pair(&p);
	p = open_pair();
	before = count_fds();
	send_fds(&p, 253);
	tap_ok(sd_varlink_is_connected(p.link) <= 0 && count_fds() < before + 1, "with many it is hung up on, and they are closed");
	reads(&p, "\"what\":\"descriptors of one message\",\"limit\":8");
	close_pair(&p);
}

int main(void)
{
	test_count();
	test_long();
	test_sum();
	test_fds();
	return tap_done();
}
