// SPDX-License-Identifier: GPL-2.0-only
#include "loader.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include "cpu.h"

/* Short enough for a pipe to take it at once. */
struct outcome {
	int error;
	char why[AGENTCG_WHY_MAX];
};

struct loader {
	int fd;
	sd_event_source *source;
	agentcg_loader_done_t done;
	void *userdata;
};

struct loader *agentcg_loader_free(struct loader *l)
{
	if (!l)
		return NULL;
	sd_event_source_disable_unref(l->source);
	agentcg_closep(&l->fd);
	free(l);
	return NULL;
}

/* Connections and locks are the daemon's; a half-loaded scheduler is of no use to the next one. */
static void work(int fd, pid_t daemon)
{
	struct outcome o = {};
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "agentcg-loader");
	if (getppid() != daemon || dup2(fd, STDIN_FILENO) < 0)
		_exit(EXIT_FAILURE);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	o.error = agentcg_cpu_load(o.why);
	if (write(STDIN_FILENO, &o, sizeof(o)) != sizeof(o))
		_exit(EXIT_FAILURE);
	_exit(EXIT_SUCCESS);
}

static int on_outcome(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct outcome o = { .error = -EIO };
	struct loader *l = userdata;

	if (read(fd, &o, sizeof(o)) != sizeof(o))
		snprintf(o.why, sizeof(o.why), "the process that loads it died");
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	l->done(o.error, o.why, l->userdata);
	return 0;
}

int agentcg_loader_start(struct loader **ret, sd_event *event, agentcg_loader_done_t done, void *userdata)
{
	struct loader *l = calloc(1, sizeof(*l));
	pid_t daemon = getpid(), pid;
	int fds[2], r;

	if (!l)
		return -ENOMEM;
	*l = (struct loader){ .fd = -1, .done = done, .userdata = userdata };
	if (pipe2(fds, O_CLOEXEC) < 0) {
		r = -errno;
		goto fail;
	}
	l->fd = fds[0];
	pid = fork();
	if (pid == 0)
		work(fds[1], daemon);
	r = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (r >= 0)
		r = sd_event_add_io(event, &l->source, l->fd, EPOLLIN, on_outcome, l);
	if (r < 0)
		goto fail;
	*ret = l;
	return 0;
fail:
	agentcg_loader_free(l);
	return r;
}
