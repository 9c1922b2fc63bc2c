// SPDX-License-Identifier: MIT
/*
 * A command is cloned into the call's group, which takes the right to write
 * there (root has it); or it is cloned, waits, is moved by the daemon, and then
 * told to go on.  Either way one socket pair: we say "go", it says the errno of
 * a failed exec, and a successful one closes it.
 *
 * The child is a copy of a process that may have threads, so between clone and
 * exec only what is safe in a signal handler may be called, and no vfork():
 * the child may be held before its exec, and we with it.
 */
#include "internal.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* As a shell has it. */
#define EXIT_NOT_EXECUTABLE	126
#define EXIT_NOT_FOUND		127
/* We went away before it was moved. */
#define EXIT_ALONE		125

/* ---- what the child needs, made before there is one -------------------- */

struct plan {
	const struct agentcg_spawn *spawn;
	char **files;			/* what to execute, in this order; ends with NULL */
	char adj[16];			/* its oom_score_adj */
	int adj_number;
};

static void free_files(char ***files)
{
	for (char **f = *files; f && *f; f++)
		free(*f);
	free(*files);
}

/* The file in each folder of $PATH. */
static int find_files(const char *file, char ***ret)
{
	const char *path = getenv("PATH") ?: "/usr/bin:/bin";
	size_t n = 1, i = 0;
	char **files;

	for (const char *p = path; *p; p++)
		n += *p == ':';
	files = calloc(n + 1, sizeof(*files));
	if (!files)
		return -ENOMEM;
	if (strchr(file, '/')) {
		files[i] = strdup(file);
		*ret = files;
		return files[i] ? 0 : -ENOMEM;
	}
	*ret = files;
	for (; i < n; i++) {
		size_t length = strcspn(path, ":");

		/* An empty one is the current folder. */
		if (asprintf(&files[i], "%.*s%s%s", (int)length, path, length ? "/" : "", file) < 0) {
			files[i] = NULL;
			return -ENOMEM;
		}
		path += length + 1;
	}
	return 0;
}

/* As agentcg run does it: where the kernel itself must kill, the least important goes first. */
static void plan_adj(struct plan *plan, uint64_t priority)
{
	plan->adj_number = 1000 - (int)(priority > 1000 ? 1000 : priority) / 10;
	snprintf(plan->adj, sizeof(plan->adj), "%d", plan->adj_number);
}

/* ---- the child ---------------------------------------------------------- */

static void __attribute__((noreturn)) child_fails(int fd, int error)
{
	/* Nobody may be there to read it. */
	(void)!send(fd, &error, sizeof(error), MSG_NOSIGNAL);
	_exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static void reset_signals(void)
{
	struct sigaction sa = { .sa_handler = SIG_DFL };
	sigset_t none;

	/* The others: CLONE_CLEAR_SIGHAND; what is ignored (nohup) stays so. */
	sigaction(SIGPIPE, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Never lowers it, which would take rights. */
static void raise_oom_score(const struct plan *plan)
{
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC), now = 0;
	char text[16], *p = text;
	ssize_t n;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	for (p = text; *p >= '0' && *p <= '9'; p++)
		now = now * 10 + *p - '0';
	if (now < plan->adj_number)
		(void)!pwrite(fd, plan->adj, strlen(plan->adj), 0);
	close(fd);
}

/* Out of the way first: one may be where another is to go. */
static int take_streams(const struct agentcg_spawn *spawn)
{
	int fds[3] = { spawn->in, spawn->out, spawn->err };

	for (int i = 0; i < 3; i++) {
		if (fds[i] < 0)
			continue;
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			return -1;
	}
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0 && dup2(fds[i], i) < 0)
			return -1;
	return 0;
}

static void __attribute__((noreturn)) run_child(const struct plan *plan, int fd, bool wait)
{
	const struct agentcg_spawn *spawn = plan->spawn;
	char *const *envp = (char *const *)spawn->envp ?: environ;
	int error = ENOENT;
	char byte;

	if (wait && recv(fd, &byte, 1, 0) != 1)
		_exit(EXIT_ALONE);
	raise_oom_score(plan);
	if (((spawn->flags & AGENTCG_SPAWN_SETSID) && setsid() < 0) ||
	    ((spawn->flags & AGENTCG_SPAWN_SETPGRP) && setpgid(0, 0) < 0) ||
	    take_streams(spawn) < 0 ||
	    (spawn->cwd && chdir(spawn->cwd) < 0))
		child_fails(fd, errno);
	reset_signals();
	for (char **file = plan->files; *file; file++) {
		execve(*file, (char *const *)spawn->argv, envp);
		/* Of those that are not there the others tell more. */
		if (errno != ENOENT && errno != ENOTDIR)
			error = errno;
		if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
			break;
	}
	child_fails(fd, error);
}

/* ---- the parent --------------------------------------------------------- */

static void drop_handlers(void)
{
	struct sigaction sa;

	for (int sig = 1; sig < NSIG; sig++)
		if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler != SIG_IGN && sa.sa_handler != SIG_DFL) {
			sa = (struct sigaction){ .sa_handler = SIG_DFL };
			sigaction(sig, &sa, NULL);
		}
}

static int start_by_fork(const struct plan *plan, int fd, pid_t *ret_pid)
{
	sigset_t all, before;
	int pidfd = -1, r;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = _Fork();
	r = -errno;
	if (pid == 0) {
		drop_handlers();
		run_child(plan, fd, true);
	}
	if (pid > 0) {
		pidfd = pidfd_open(pid, 0);
		r = -errno;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	/* A child that we cannot name sees the end of the socket, and ends. */
	*ret_pid = pid;
	return pidfd < 0 ? r : pidfd;
}

/*
 * Filters of containers, which cannot look into its arguments, may forbid
 * clone3() with any error.  These come from the group or the kernel itself.
 */
static bool is_final(int error, bool in_group)
{
	return error == EAGAIN || error == ENOMEM || (in_group && (error == EACCES || error == EPERM || error == EBUSY));
}

/*
 * The child waits to be told, unless it is cloned into the group @cgroup_fd
 * (*@in_group).  The pidfd.
 */
static int start(const struct plan *plan, int cgroup_fd, int fd, pid_t *ret_pid, bool *in_group)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup_fd >= 0 ? cgroup_fd : 0,
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0 && !is_final(errno, cgroup_fd >= 0))
		return start_by_fork(plan, fd, ret_pid);
	if (pid < 0)
		return -errno;
	if (pid == 0)
		run_child(plan, fd, cgroup_fd < 0);
	*ret_pid = pid;
	*in_group = cgroup_fd >= 0;
	return pidfd;
}

/* A child that did not become the command. */
static void reap(int pidfd)
{
	siginfo_t info;

	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	while (waitid(P_PIDFD, pidfd, &info, WEXITED) < 0 && errno == EINTR)
		;
}

/* Both ends above the streams, which the child may replace. */
static int make_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		int fd = fds[i];

		if (fd > 2)
			continue;
		fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		close(fd);
		if (fds[i] < 0) {
			int r = -errno;

			close_fd(&fds[!i]);
			return r;
		}
	}
	return 0;
}

/*
 * Until @fd is ready (1) or it is @until (0), and looks after the call.  What
 * the daemon does not know any more is waited for all the same.
 */
static int wait_for(struct agentcg_call *c, int fd, int pidfd, uint64_t until)
{
	int tended = 1;

	for (;;) {
		uint64_t now = now_monotonic(), left = until > now ? until - now : 0;
		uint64_t slice = tended ? SLICE_USEC : RETRY_USEC;
		struct pollfd fds[] = {
			{ .fd = fd, .events = POLLIN },
			{ .fd = call_socket(c), .events = POLLRDHUP },
		};
		int n;

		n = poll(fds, COUNT(fds), (int)((left < slice ? left : slice) + 999) / 1000);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fds[0].revents)
			return 1;
		tended = call_tend(c, NULL);
		if (call_is_overdue(c))
			pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
		if (now_monotonic() >= until)
			return 0;
	}
}

/* 0, or why it could not be executed. */
static int exec_result(struct agentcg_call *c, int fd, int pidfd)
{
	int error = 0, r;
	ssize_t n;

	/* If the call is held, this takes as long as that. */
	r = wait_for(c, fd, pidfd, UINT64_MAX);
	if (r < 0)
		return r;
	n = recv(fd, &error, sizeof(error), MSG_WAITALL);
	return n == sizeof(error) ? -error : 0;
}

static int check_spawn(const struct agentcg_spawn *spawn, struct agentcg_error *error)
{
	const int fds[] = { spawn->in, spawn->out, spawn->err };
	static const char *const names[] = { "in", "out", "err" };

	if (!spawn->argv || !spawn->argv[0] || !*spawn->argv[0])
		return fail_field(error, "argv", "say a command that is not empty");
	if (spawn->flags & ~(AGENTCG_SPAWN_SETSID | AGENTCG_SPAWN_SETPGRP | AGENTCG_SPAWN_NOWAIT))
		return fail_field(error, "flags", "0x%x are unknown", spawn->flags);
	for (size_t i = 0; i < COUNT(fds); i++)
		if (fds[i] < -1 || (fds[i] >= 0 && fcntl(fds[i], F_GETFD) < 0))
			return fail_field(error, names[i], "descriptor %d is not open", fds[i]);
	return 0;
}

/* The child's socket is closed here, so that its end is seen.  The pidfd. */
static int start_in_call(struct agentcg_call *c, const struct plan *plan, int fd, int *theirs, pid_t *pid,
			 struct agentcg_error *error)
{
	bool in_group = false;
	int pidfd, r;

	pidfd = start(plan, c->cgroup_fd, *theirs, pid, &in_group);
	if (pidfd == -EACCES || pidfd == -EPERM)
		pidfd = start(plan, -1, *theirs, pid, &in_group);
	close_fd(theirs);
	if (pidfd < 0)
		return fail(error, pidfd, "cannot start a process: %s", strerrordesc_np(-pidfd));
	if (in_group)
		return pidfd;
	r = agentcg_call_attach(c, pidfd, error);
	if (r < 0) {
		reap(pidfd);
		close(pidfd);
		return r;
	}
	/* If it was killed meanwhile, its end tells. */
	(void)!send(fd, "", 1, MSG_NOSIGNAL);
	return pidfd;
}

EXPORT int agentcg_call_spawn(struct agentcg_call *c, const struct agentcg_spawn *spawn, pid_t *ret_pid,
			      struct agentcg_error *error)
{
	struct plan plan = { .spawn = spawn };
	CLEANUP(free_files) char **files = NULL;
	CLEANUP(close_fd) int ours = -1, theirs = -1;
	int fds[2], pidfd, r;
	pid_t pid = 0;

	r = check_size("spawn", spawn->size, sizeof(*spawn), error);
	if (r >= 0)
		r = check_spawn(spawn, error);
	if (r < 0)
		return r;
	r = call_tend(c, error);
	if (r < 0)
		return r;
	r = find_files(spawn->argv[0], &files);
	if (r >= 0)
		r = make_pair(fds);
	if (r < 0)
		return fail(error, r, "cannot start a process: %s", strerrordesc_np(-r));
	ours = fds[0];
	theirs = fds[1];
	plan.files = files;
	plan_adj(&plan, c->granted.priority);

	pidfd = start_in_call(c, &plan, ours, &theirs, &pid, error);
	if (pidfd < 0)
		return pidfd;
	r = spawn->flags & AGENTCG_SPAWN_NOWAIT ? 0 : exec_result(c, ours, pidfd);
	if (r < 0) {
		reap(pidfd);
		close(pidfd);
		return fail(error, r, "cannot execute %s: %s", spawn->argv[0], strerrordesc_np(-r));
	}
	if (ret_pid)
		*ret_pid = pid;
	return pidfd;
}

/* ---- waiting ------------------------------------------------------------ */

static int status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return W_EXITCODE(info->si_status, 0);
	return W_EXITCODE(0, info->si_status) | (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

EXPORT int agentcg_call_wait(struct agentcg_call *c, int pidfd, uint64_t timeout_usec, int *status,
			     struct agentcg_error *error)
{
	siginfo_t info = {};
	int r;

	if (fcntl(pidfd, F_GETFD) < 0)
		return fail_field(error, "pidfd", "descriptor %d is not open", pidfd);
	r = wait_for(c, pidfd, pidfd, later(now_monotonic(), timeout_usec));
	if (r <= 0)
		return r < 0 ? fail(error, r, "cannot wait: %s", strerrordesc_np(-r)) : 0;
	if (waitid(P_PIDFD, pidfd, &info, WEXITED | WNOHANG) < 0)
		return fail(error, -errno, "cannot wait for it: %m");
	if (!info.si_pid)
		return fail(error, -ECHILD, "it is no process, or goes on");
	if (status)
		*status = status_of(&info);
	return 1;
}
