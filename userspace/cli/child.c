// SPDX-License-Identifier: GPL-2.0-only
/*
 * The child is cloned, not spawned as by vfork: it may be held before it comes
 * to exec, and a parent that waits for exec could then not be interrupted.
 * For the same reason the child is born with signals open and at their
 * defaults (CLONE_CLEAR_SIGHAND).
 *
 * The child stays in our process group: what the terminal sends reaches it
 * directly, so only what somebody sent to us alone is passed on.
 */
#include "child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cli.h"
#include "util.h"

static const int forwarded[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT, SIGTSTP,
};

static volatile sig_atomic_t pending[NSIG];
static volatile sig_atomic_t interrupted;	/* Ctrl-C */
static sigset_t unblocked;	/* the mask before ours */

static void on_signal(int sig, siginfo_t *info, void *context)
{
	/* Sent by a process, not by the terminal, which reaches the child, too. */
	if (info->si_code <= 0)
		pending[sig] = 1;
	else if (sig == SIGINT)
		interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, old;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(forwarded); i++) {
		/* What is ignored (nohup) the child ignores, too. */
		if (sigaction(forwarded[i], NULL, &old) < 0 || old.sa_handler == SIG_IGN)
			continue;
		(void)sigaction(forwarded[i], &sa, NULL);
	}
	/* The end is seen on the pidfd; this is for stops. */
	(void)sigaction(SIGCHLD, &sa, NULL);
}

/* From now on signals come in agentcg_child_wait() only. */
static void block_signals(void)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, &unblocked);
	/* A reader of our messages that went away is no reason to die early. */
	(void)signal(SIGPIPE, SIG_IGN);
}

static void raise_oom_score(int adj)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16] = "";
	int n;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || atoi(text) >= adj)
		return;
	n = snprintf(text, sizeof(text), "%d", adj);
	if (pwrite(fd, text, n, 0) < 0)
		return;	/* it runs without */
}

static void __attribute__((noreturn)) run_child(char **argv, int exec_fd, int go_fd, int adj)
{
	char byte;
	int error;

	if (go_fd >= 0 && read(go_fd, &byte, 1) != 1)
		_exit(EXIT_LAUNCHER);
	raise_oom_score(adj);
	execvp(argv[0], argv);
	error = errno;
	if (write(exec_fd, &error, sizeof(error)) < 0)
		_exit(EXIT_LAUNCHER);
	_exit(EXIT_NOT_FOUND);
}

int agentcg_child_start(struct agentcg_child *c, char **argv, int cgroup_fd, int oom_score_adj)
{
	int exec_pipe[2], go_pipe[2] = { -1, -1 }, error;
	struct clone_args args = {
		.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
		.pidfd = (uintptr_t)&c->pidfd,
		.exit_signal = SIGCHLD,
	};
	long pid;

	if (pipe2(exec_pipe, O_CLOEXEC) < 0)
		return -errno;
	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = cgroup_fd;
	} else if (pipe2(go_pipe, O_CLOEXEC) < 0) {
		error = errno;
		close(exec_pipe[0]);
		close(exec_pipe[1]);
		return -error;
	}

	catch_signals();
	pid = syscall(SYS_clone3, &args, sizeof(args));
	error = errno;
	if (pid == 0) {
		if (go_pipe[1] >= 0)
			close(go_pipe[1]);
		run_child(argv, exec_pipe[1], go_pipe[0], oom_score_adj);
	}
	close(exec_pipe[1]);
	if (go_pipe[0] >= 0)
		close(go_pipe[0]);
	if (pid < 0) {
		close(exec_pipe[0]);
		if (go_pipe[1] >= 0)
			close(go_pipe[1]);
		c->pidfd = -1;
		return -error;
	}
	block_signals();
	c->pid = pid;
	c->exec_fd = exec_pipe[0];
	c->go_fd = go_pipe[1];
	return 0;
}

int agentcg_child_go(struct agentcg_child *c)
{
	_cleanup_close_ int fd = TAKE_FD(c->go_fd);

	return fd >= 0 && write(fd, "", 1) < 0 ? -errno : 0;
}

static void forward_signals(struct agentcg_child *c)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(forwarded); i++) {
		int sig = forwarded[i];

		if (!pending[sig])
			continue;
		pending[sig] = 0;
		(void)pidfd_send_signal(c->pidfd, sig, NULL, 0);
	}
}

static bool stopped_by_terminal(struct agentcg_child *c)
{
	siginfo_t info = {};

	if (waitid(P_PIDFD, c->pidfd, &info, WSTOPPED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
		return false;
	return info.si_status == SIGTSTP || info.si_status == SIGTTIN || info.si_status == SIGTTOU;
}

/*
 * Ctrl-Z stops the child; the shell that waits for us wants to see us stopped.
 * A child that somebody stopped by SIGSTOP is their business: they wake it only.
 */
static void stop_with_child(struct agentcg_child *c)
{
	siginfo_t info;

	if (!stopped_by_terminal(c) || getpgid(c->pid) != getpgrp())
		return;
	/* SIGCONT goes to us and the child one after the other: let it arrive. */
	usleep(10 * USEC_PER_MSEC);
	if (!stopped_by_terminal(c))
		return;
	(void)waitid(P_PIDFD, c->pidfd, &info, WSTOPPED | WNOHANG);
	(void)kill(getpid(), SIGSTOP);
}

static void reap(struct agentcg_child *c)
{
	siginfo_t info = {};

	if (waitid(P_PIDFD, c->pidfd, &info, WEXITED | WNOHANG) < 0 || !info.si_pid) {
		stop_with_child(c);
		return;
	}
	c->exited = true;
	if (info.si_code == CLD_EXITED)
		c->status = info.si_status;
	else
		c->signal = info.si_status;
}

static void read_exec_result(struct agentcg_child *c)
{
	int error;

	if (read(c->exec_fd, &error, sizeof(error)) == sizeof(error))
		c->exec_errno = error;
	close(c->exec_fd);
	c->exec_fd = -1;
}

int agentcg_child_wait(struct agentcg_child *c, int fd, uint64_t until)
{
	struct pollfd fds[] = {
		{ .fd = c->pidfd, .events = POLLIN },
		{ .fd = c->exec_fd, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	struct timespec ts;
	int n;

	do {
		uint64_t now = now_usec(CLOCK_MONOTONIC), left = until > now ? until - now : 0;

		forward_signals(c);
		fds[1].fd = c->exec_fd;
		ts = (struct timespec){
			.tv_sec = left / USEC_PER_SEC,
			.tv_nsec = left % USEC_PER_SEC * NSEC_PER_USEC,
		};
		n = ppoll(fds, ARRAY_SIZE(fds), until == UINT64_MAX ? NULL : &ts, &unblocked);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0 || fds[0].revents)
			reap(c);
		if (n > 0 && fds[1].revents)
			read_exec_result(c);
	} while (!c->exited && n && (n < 0 || !fds[2].revents));
	/* Never blocks: the other end was the child's. */
	if (c->exited && c->exec_fd >= 0)
		read_exec_result(c);
	return n > 0 && fds[2].revents ? 1 : 0;
}

int agentcg_child_exit_code(const struct agentcg_child *c)
{
	if (c->exec_errno)
		return c->exec_errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	return c->signal ? EXIT_SIGNAL + c->signal : c->status;
}

/* It may be pending still: where the child is seen to have ended in the same moment, ppoll() takes no signal. */
static bool was_interrupted(const sigset_t *set)
{
	const struct timespec none = {};
	siginfo_t info;

	return interrupted || (sigtimedwait(set, &info, &none) == SIGINT && info.si_code > 0);
}

void agentcg_child_die_alike(const struct agentcg_child *c)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	if (c->signal != SIGINT || !was_interrupted(&set))
		return;
	(void)signal(SIGINT, SIG_DFL);
	(void)kill(getpid(), SIGINT);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void agentcg_child_done(struct agentcg_child *c)
{
	siginfo_t info;

	if (c->pid && !c->exited) {
		(void)pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
		(void)waitid(P_PIDFD, c->pidfd, &info, WEXITED);
	}
	agentcg_closep(&c->pidfd);
	agentcg_closep(&c->exec_fd);
	agentcg_closep(&c->go_fd);
	*c = AGENTCG_CHILD_NONE;
}
