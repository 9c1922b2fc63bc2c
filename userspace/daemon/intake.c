// SPDX-License-Identifier: GPL-2.0-only
#include "intake.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include "io-agentcg.h"

/* As many as there can be connections; those beyond are not watched. */
#define FDS_MAX		65536

/* One socket's; all in the thread of the event loop. */
struct intake {
	bool watched;
	uint32_t pending;	/* bytes of a message that is not complete */
	uint32_t kept;		/* the most that it had: the library does not shrink its buffer */
};

static struct intake table[FDS_MAX];
static uint64_t kept;

void agentcg_intake_forget(int fd)
{
	if (fd < 0 || fd >= FDS_MAX)
		return;
	kept -= table[fd].kept;
	table[fd] = (struct intake){};
}

void agentcg_intake_watch(int fd)
{
	agentcg_intake_forget(fd);
	if (fd >= 0 && fd < FDS_MAX)
		table[fd].watched = true;
}

uint64_t agentcg_intake_kept(void)
{
	return kept;
}

size_t agentcg_intake_count(size_t pending, const char *bytes, size_t n, size_t *longest)
{
	const char *end = bytes + n, *nul;

	*longest = pending;
	while ((nul = memchr(bytes, 0, (size_t)(end - bytes)))) {
		pending += (size_t)(nul - bytes);
		if (pending > *longest)
			*longest = pending;
		pending = 0;
		bytes = nul + 1;
	}
	pending += (size_t)(end - bytes);
	if (pending > *longest)
		*longest = pending;
	return pending;
}

static void close_fds(struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			close(fd);
		}
	}
	mh->msg_controllen = 0;
}

/* The library will hang up without a word, so the word is ours; if it does not fit, there is none. */
static ssize_t refuse(int fd, struct msghdr *mh, const char *what, uint64_t limit)
{
	char text[256];
	int n;

	close_fds(mh);
	n = snprintf(text, sizeof(text), "{\"error\":\"" AGENTCG_ERROR_LIMIT_EXCEEDED "\",\"parameters\":{\"what\":\"%s\",\"limit\":%llu}}",
		     what, (unsigned long long)limit);
	(void)send(fd, text, (size_t)n + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	errno = EMSGSIZE;
	return -1;
}

static ssize_t take(int fd, struct msghdr *mh, ssize_t n)
{
	size_t longest = 0, left = (size_t)n, pending = table[fd].pending;

	for (size_t i = 0; i < mh->msg_iovlen && left; i++) {
		size_t part = min_u64(left, mh->msg_iov[i].iov_len), most;

		pending = agentcg_intake_count(pending, mh->msg_iov[i].iov_base, part, &most);
		if (most > longest)
			longest = most;
		left -= part;
	}
	if (longest > AGENTCG_MESSAGE_MAX)
		return refuse(fd, mh, "bytes of one message", AGENTCG_MESSAGE_MAX);
	if (longest > AGENTCG_INTAKE_SHORT && longest > table[fd].kept &&
	    kept + longest - table[fd].kept > AGENTCG_INTAKE_MAX)
		return refuse(fd, mh, "bytes of all long messages", AGENTCG_INTAKE_MAX);
	if (mh->msg_flags & MSG_CTRUNC)
		return refuse(fd, mh, "descriptors of one message", AGENTCG_MESSAGE_FDS_MAX);
	table[fd].pending = (uint32_t)pending;
	if (longest > table[fd].kept) {
		kept += longest - table[fd].kept;
		table[fd].kept = (uint32_t)longest;
	}
	return n;
}

/* In place of libc's, also for libsystemd: the program's own come first. */
ssize_t recvmsg(int fd, struct msghdr *mh, int flags)
{
	const size_t control = CMSG_SPACE(AGENTCG_MESSAGE_FDS_MAX * sizeof(int));
	bool watched = fd >= 0 && fd < FDS_MAX && table[fd].watched;
	ssize_t n;

	if (watched && mh->msg_controllen > control)
		mh->msg_controllen = control;
	n = syscall(SYS_recvmsg, fd, mh, flags);
	return watched && n > 0 ? take(fd, mh, n) : n;
}
