// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pidfd becomes readable when its process has ended.  What outlives the daemon
 * is a number and the inode of the pidfd: numbers are given again, inodes are not
 * (pidfs, kernel 6.9).
 */
#include "anchor.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "log.h"
#include "session.h"

static void close_session(struct session *s)
{
	agentcg_log(LOG_INFO, "process %u has ended: session %s closes", s->anchor.pid, s->name);
	agentcg_anchor_drop(s);
	if (!s->closing)
		agentcg_session_close(s, false);
}

static int on_end(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	close_session(userdata);
	return 0;
}

static int on_was_gone(sd_event_source *source, void *userdata)
{
	close_session(userdata);
	return 0;
}

void agentcg_anchor_drop(struct session *s)
{
	sd_event_source_disable_unref(s->anchor.ended);
	s->anchor = (struct anchor){};
}

/* Takes @pidfd over. */
static int watch(struct session *s, int pidfd, struct anchor *ret)
{
	int r = sd_event_add_io(s->m->event, &ret->ended, pidfd, EPOLLIN, on_end, s);

	if (r < 0) {
		close(pidfd);
		return r;
	}
	return sd_event_source_set_io_fd_own(ret->ended, true);
}

static int inode_of(int pidfd, uint64_t *ret)
{
	struct stat st;

	if (fstat(pidfd, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

int agentcg_anchor_set(struct session *s, int pidfd, pid_t pid)
{
	struct anchor a = { .pid = (uint32_t)pid };
	int r = inode_of(pidfd, &a.inode), fd;

	if (r < 0 || a.inode == s->anchor.inode)
		return r;
	fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	r = watch(s, fd, &a);
	if (r < 0)
		return r;
	agentcg_anchor_drop(s);
	s->anchor = a;
	return 0;
}

int agentcg_anchor_restore(struct session *s)
{
	_cleanup_close_ int fd = -1;
	uint64_t inode = 0;
	bool gone;
	int r;

	if (!s->anchor.pid)
		return 0;
	fd = pidfd_open((pid_t)s->anchor.pid, 0);
	/* The number is that of no process, or of a thread. */
	gone = fd < 0 && (errno == ESRCH || errno == EINVAL || errno == ENOENT);
	if (fd < 0 && !gone)
		return -errno;
	r = gone ? 0 : inode_of(fd, &inode);
	if (r >= 0 && !gone && inode == s->anchor.inode)
		return watch(s, TAKE_FD(fd), &s->anchor);
	/* Not now: the daemon does not know all its calls yet. */
	return r < 0 ? r : sd_event_add_defer(s->m->event, &s->anchor.ended, on_was_gone, s);
}
