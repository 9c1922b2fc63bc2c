// SPDX-License-Identifier: GPL-2.0-only
/*
 * cgroup.procs takes a number, a client shows a pidfd.  What is read from
 * /proc for the number belongs to the pidfd's process if that is still there
 * afterwards, as its number cannot be given to another one meanwhile.
 */
#include "attach.h"

#include <fcntl.h>
#include <sys/pidfd.h>

#include "call.h"
#include "cgroup.h"
#include "priority.h"
#include "session.h"

static bool alive(int pidfd)
{
	return pidfd_send_signal(pidfd, 0, NULL, 0) == 0 || errno == EPERM;
}

/* Only a pidfd has this line; -1 in it: dead, 0: of another pid namespace. */
static int number_of(int pidfd, pid_t *ret)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[128];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		const char *number = startswith(line, "Pid:");

		if (!number)
			continue;
		*ret = (pid_t)strtol(number, NULL, 10);
		return *ret > 0 ? 0 : -ESRCH;
	}
	return -EBADF;
}

/* Whether all four uids of the process are @uid: no setuid program half-way. */
static int belongs_to(pid_t pid, uid_t uid)
{
	unsigned int real, effective, saved, fs;
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Uid: %u %u %u %u", &real, &effective, &saved, &fs) == 4)
			return real == uid && effective == uid && saved == uid && fs == uid;
	return -ESRCH;
}

/* It may come from outside the pool, or from its own session. */
static int comes_from_elsewhere(const struct call *c, pid_t pid)
{
	_cleanup_free_ char *group = NULL, *session = agentcg_session_path(c->session);
	const char *rest;
	int r = agentcg_cgroup_of_pid(pid, &group);

	if (r < 0)
		return r;
	if (!session)
		return -ENOMEM;
	rest = startswith(group, c->m->pool_path);
	if (!rest || *rest != '/')
		return 0;
	rest = startswith(group, session);
	return !rest || *rest != '/';
}

int agentcg_attach_check(int pidfd, uid_t uid, pid_t *ret, char *why)
{
	int r;

	r = number_of(pidfd, ret);
	if (r < 0) {
		snprintf(why, AGENTCG_WHY_MAX, "pidFd is no pidfd");
		return r == -ESRCH ? r : -EPERM;
	}
	r = uid == 0 ? 1 : belongs_to(*ret, uid);
	if (r == 0) {
		snprintf(why, AGENTCG_WHY_MAX, "the process belongs to another user");
		return -EPERM;
	}
	return r < 0 || !alive(pidfd) ? -ESRCH : 0;
}

/* Of ".../session-NAME/tool-N" and what is below it, "NAME/tool-N"; "": it is no tool call's. */
static void name_of_leaf(const struct manager *m, const char *group, char name[AGENTCG_CALL_NAME_MAX])
{
	const char *rest = startswith(group, m->pool_path), *leaf;

	*name = 0;
	rest = rest ? startswith(rest, "/" AGENTCG_SESSION_PREFIX) : NULL;
	leaf = rest ? strchr(rest, '/') : NULL;
	if (!leaf)
		return;
	leaf++;
	snprintf(name, AGENTCG_CALL_NAME_MAX, "%.*s", (int)(leaf - rest) + (int)strcspn(leaf, "/"), rest);
	if (streq(name + (leaf - rest), AGENTCG_AGENT_LEAF))
		*name = 0;
}

int agentcg_attach_whence(const struct manager *m, int pidfd, char name[AGENTCG_CALL_NAME_MAX])
{
	_cleanup_free_ char *group = NULL;
	pid_t pid;
	int r = number_of(pidfd, &pid);

	if (r >= 0)
		r = agentcg_cgroup_of_pid(pid, &group);
	if (r < 0)
		return r;
	name_of_leaf(m, group, name);
	return alive(pidfd) ? 0 : -ESRCH;
}

/*
 * So that the kernel's own OOM killer takes a tool call before its agent.  Written by us it is
 * also the least that the process, and what it starts, can choose without CAP_SYS_RESOURCE.
 */
static void raise_oom_score(pid_t pid, int adj)
{
	char path[64], text[16] = "";
	_cleanup_close_ int fd = -1;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return;
	n = snprintf(text, sizeof(text), "%d", atoi(text) > adj ? atoi(text) : adj);
	if (pwrite(fd, text, (size_t)n, 0) < 0)
		return;	/* it is gone, or we are not root's equal: it goes on without */
}

int agentcg_attach(struct call *c, int pidfd, uid_t uid, char *why)
{
	pid_t pid = 0;
	int r;

	r = agentcg_attach_check(pidfd, uid, &pid, why);
	if (r < 0)
		return r;
	r = comes_from_elsewhere(c, pid);
	if (r > 0) {
		snprintf(why, AGENTCG_WHY_MAX, "the process belongs to another session");
		return -EPERM;
	}
	if (r < 0 || !alive(pidfd))
		return -ESRCH;
	r = agentcg_cgroup_attach(c->fd, pid);
	if (!r && !c->agent && alive(pidfd))
		raise_oom_score(pid, agentcg_priority_oom_score_adj(c->grant.priority));
	return r;
}
