// SPDX-License-Identifier: GPL-2.0-only
#include "scope.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>

#include "cgroup.h"
#include "log.h"
#include "util.h"

#define SCOPE		"agentcg.scope"
#define SCOPE_PATH	"/system.slice/" SCOPE
#define HOLDER_LEAF	"holder"

/* systemd makes a scope in milliseconds, on a busy machine in more. */
#define WAIT_STEP_USEC	(10 * USEC_PER_MSEC)
#define WAIT_USEC	(10 * USEC_PER_SEC)

/* A process that does nothing, not even keep our files open. */
static pid_t fork_holder(void)
{
	pid_t pid = fork();
	sigset_t none;

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	setsid();
	prctl(PR_SET_NAME, "agentcg-holder");
	close_range(0, ~0U, 0);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (;;)
		pause();
}

/* systemd's own socket, as there need be no message bus yet. */
static int connect_systemd(sd_bus **ret)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	int r = sd_bus_new(&bus);

	if (r >= 0)
		r = sd_bus_set_address(bus, "unix:path=/run/systemd/private");
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return sd_bus_open_system(ret);
	*ret = TAKE_PTR(bus);
	return 0;
}

static int start_scope(pid_t holder)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = connect_systemd(&bus);

	if (r < 0)
		return r;
	r = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
			       "org.freedesktop.systemd1.Manager", "StartTransientUnit", &error, NULL,
			       "ssa(sv)a(sa(sv))", SCOPE, "fail",
			       4, "Description", "s", "Tool calls of AI agents",
			       "Delegate", "b", 1,
			       "Slice", "s", "system.slice",
			       "PIDs", "au", 1, (uint32_t)holder,
			       0);
	if (r < 0)
		agentcg_log(LOG_WARNING, "systemd does not make " SCOPE ": %s", error.message ?: strerror(-r));
	return r;
}

static bool is_in_scope(pid_t pid)
{
	_cleanup_free_ char *path = NULL;

	return agentcg_cgroup_of_pid(pid, &path) >= 0 && startswith(path, SCOPE_PATH);
}

/* Out of the way: a group with processes cannot hand controllers down. */
static int place_holder(int scope_fd, pid_t holder)
{
	_cleanup_close_ int fd = -1;

	if (mkdirat(scope_fd, HOLDER_LEAF, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = agentcg_cgroup_open(scope_fd, HOLDER_LEAF);
	return fd < 0 ? fd : agentcg_cgroup_attach(fd, holder);
}

static int make_scope(pid_t holder)
{
	int r = start_scope(holder);

	if (r < 0)
		return r;
	for (uint64_t waited = 0; !is_in_scope(holder); waited += WAIT_STEP_USEC) {
		if (waited > WAIT_USEC)
			return -ETIMEDOUT;
		usleep(WAIT_STEP_USEC);
	}
	return 0;
}

/* 1: somebody holds the scope; 0: nobody does, or there is none. */
static int is_held(int scope_fd)
{
	_cleanup_close_ int fd = -1;

	if (scope_fd < 0)
		return 0;
	fd = agentcg_cgroup_open(scope_fd, HOLDER_LEAF);
	return fd >= 0 && agentcg_cgroup_populated(fd) > 0;
}

int agentcg_scope_open(const char *mount, char **ret)
{
	char dir[256];
	_cleanup_close_ int fd = -1;
	pid_t holder;
	int r = 0;

	snprintf(dir, sizeof(dir), "%s" SCOPE_PATH, mount);
	fd = agentcg_cgroup_open(AT_FDCWD, dir);
	if (!is_held(fd)) {
		holder = fork_holder();
		if (holder < 0)
			return holder;
		/* Calls that live keep the scope, even if its holder was killed. */
		if (fd < 0 || agentcg_cgroup_populated(fd) <= 0) {
			agentcg_closep(&fd);
			r = make_scope(holder);
			if (!r)
				fd = agentcg_cgroup_open(AT_FDCWD, dir);
		}
		if (!r)
			r = fd < 0 ? fd : place_holder(fd, holder);
		if (r < 0) {
			kill(holder, SIGKILL);
			return r;
		}
	}
	*ret = strdup(SCOPE_PATH);
	return *ret ? 0 : -ENOMEM;
}
