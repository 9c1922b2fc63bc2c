// SPDX-License-Identifier: GPL-2.0-only
#include "bind.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "cgroup.h"
#include "topology.h"

/* Processes come while others are being moved; after so many looks none new is expected. */
#define LOOKS		4
/* What holds a page (reclaim, compaction, I/O) lets it go soon. */
#define TRIES		5
#define TRY_USEC	(50 * USEC_PER_MSEC)

/* ---- processes ---------------------------------------------------------- */

/* The parent of a process; the name in the line may hold anything, so from its last ')' on. */
static pid_t parent_of(pid_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[512], *end;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	end = strrchr(line, ')');
	return end && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

bool agentcg_tree_is_below(pid_t pid, pid_t root)
{
	for (int depth = 0; pid > 1 && depth < 64; depth++) {
		if (pid == root)
			return true;
		pid = parent_of(pid);
	}
	return false;
}

int agentcg_tree_read(pid_t root, struct tree *ret)
{
	DIR *dir = opendir("/proc");

	if (!dir)
		return -errno;
	ret->nr = 0;
	/* Parents before children: numbers grow, but for those given again. */
	if (kill(root, 0) == 0 || errno == EPERM)
		ret->pids[ret->nr++] = root;
	for (struct dirent *d; ret->nr && ret->nr < AGENTCG_TREE_MAX && (d = readdir(dir));) {
		pid_t pid = (pid_t)strtol(d->d_name, NULL, 10);

		if (pid > 0 && pid != root && agentcg_tree_is_below(pid, root))
			ret->pids[ret->nr++] = pid;
	}
	closedir(dir);
	return ret->nr ? 0 : -ESRCH;
}

/* ---- CPUs --------------------------------------------------------------- */

static int bind_once(pid_t pid, const cpu_set_t *set, size_t size, bool *changed)
{
	char path[64];
	DIR *dir;
	int r = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	for (struct dirent *d; (d = readdir(dir));) {
		cpu_set_t *now = CPU_ALLOC(AGENTCG_CPUS_MAX);
		pid_t tid = (pid_t)strtol(d->d_name, NULL, 10);

		if (tid > 0 && now && (sched_getaffinity(tid, size, now) < 0 || !CPU_EQUAL_S(size, now, set))) {
			if (sched_setaffinity(tid, size, set) == 0)
				*changed = true;
			else if (errno != ESRCH && !r)
				r = -errno;
		}
		CPU_FREE(now);
	}
	closedir(dir);
	return r;
}

int agentcg_bind_threads(pid_t pid, const struct cpus *cpus)
{
	size_t size = CPU_ALLOC_SIZE(AGENTCG_CPUS_MAX);
	cpu_set_t *set = CPU_ALLOC(AGENTCG_CPUS_MAX);
	bool changed = true;
	int r = 0;

	if (!set)
		return -ENOMEM;
	CPU_ZERO_S(size, set);
	for (unsigned int i = 0; i < AGENTCG_CPUS_MAX; i++)
		if (cpus_has(cpus, i))
			CPU_SET_S(i, size, set);
	/* A thread that an unbound one makes meanwhile is found the next time. */
	for (int look = 0; !r && changed && look < LOOKS; look++) {
		changed = false;
		r = bind_once(pid, set, size, &changed);
	}
	CPU_FREE(set);
	return r;
}

/* ---- memory ------------------------------------------------------------- */

struct mover {
	pid_t pid;
	int fd;
	sd_event_source *source;
	agentcg_moved_t done;
	void *userdata;
};

struct mover *agentcg_mover_free(struct mover *v)
{
	if (!v)
		return NULL;
	sd_event_source_disable_unref(v->source);
	agentcg_closep(&v->fd);
	free(v);
	return NULL;
}

pid_t agentcg_mover_pid(const struct mover *v)
{
	return v->pid;
}

static void node_mask(const struct cpus *nodes, bool others, unsigned long mask[AGENTCG_NODES_MAX / 8 / sizeof(long)])
{
	const size_t bits = 8 * sizeof(long);

	memset(mask, 0, AGENTCG_NODES_MAX / 8);
	for (unsigned int i = 0; i < AGENTCG_NODES_MAX; i++)
		if (cpus_has(nodes, i) != others)
			mask[i / bits] |= 1UL << (i % bits);
}

/* Pages that are in use just then stay: they are tried again. */
static int move_pages_of(pid_t pid, const struct cpus *mems)
{
	unsigned long from[AGENTCG_NODES_MAX / 8 / sizeof(long)], to[AGENTCG_NODES_MAX / 8 / sizeof(long)];
	long left = 1;

	node_mask(mems, true, from);
	node_mask(mems, false, to);
	/* The kernel counts one bit less. */
	for (int try = 0; left > 0 && try < TRIES; try++, usleep(TRY_USEC))
		left = syscall(SYS_migrate_pages, pid, AGENTCG_NODES_MAX + 1, from, to);
	return left < 0 && errno != ESRCH ? -errno : 0;
}

static int move_group(int group, const struct cpus *mems)
{
	_cleanup_free_ char *text = malloc(64 * KIB);
	char *save = NULL;
	ssize_t n;
	int r = 0;

	n = text ? agentcg_cgroup_read(group, "cgroup.procs", text, 64 * KIB) : -ENOMEM;
	for (char *p = n > 0 ? strtok_r(text, "\n", &save) : NULL; p; p = strtok_r(NULL, "\n", &save))
		r = move_pages_of((pid_t)strtol(p, NULL, 10), mems) ?: r;
	return n < 0 ? (int)n : r;
}

/* In the child: after the write the group's processes allocate at the new place. */
static int move(int group, const pid_t *pids, size_t nr, const struct cpus *mems)
{
	char text[AGENTCG_CPUS_TEXT_MAX];
	int r = 0;

	if (group >= 0) {
		r = agentcg_cgroup_write(group, "cpuset.mems", cpus_format(mems, text));
		if (r < 0)
			return r;
		r = move_group(group, mems);
	}
	for (size_t i = 0; i < nr; i++)
		r = move_pages_of(pids[i], mems) ?: r;
	return r;
}

static int on_moved(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct mover *v = userdata;
	int error = -EIO;

	if (read(fd, &error, sizeof(error)) != sizeof(error))
		error = -EIO;	/* it was killed */
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	v->done(error, v->userdata);
	return 0;
}

int agentcg_mover_start(sd_event *event, int group, const pid_t *pids, size_t nr, const struct cpus *mems,
			agentcg_moved_t done, void *userdata, struct mover **ret)
{
	struct mover *v = calloc(1, sizeof(*v));
	int fds[2], r;
	pid_t pid;

	if (!v)
		return -ENOMEM;
	*v = (struct mover){ .fd = -1, .done = done, .userdata = userdata };
	r = pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
	if (r < 0) {
		agentcg_mover_free(v);
		return r;
	}
	v->fd = fds[0];
	pid = fork();
	if (pid == 0) {
		agentcg_close_others(fds[1], group);
		r = move(group, pids, nr, mems);
		_exit(write(fds[1], &r, sizeof(r)) != sizeof(r));
	}
	r = pid < 0 ? -errno : 0;
	v->pid = pid;
	close(fds[1]);
	if (r >= 0)
		r = sd_event_add_io(event, &v->source, v->fd, EPOLLIN, on_moved, v);
	if (r < 0)
		agentcg_mover_free(v);
	else
		*ret = v;
	return r;
}
