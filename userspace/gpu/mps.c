// SPDX-License-Identifier: GPL-2.0-only
#include "mps.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "checkpoint.h"
#include "log.h"
#include "manager.h"
#include "priority.h"
#include "workers.h"

#define CONTROL		"nvidia-cuda-mps-control"
#define PREFIX		"mps-"
#define ENDING		"/ending"
#define START_MSEC	5000
#define QUIT_MSEC	1000
#define PATH_SIZE	192

int agentcg_mps_check(const struct mps_client *have, size_t n, const struct mps_client *more, char *why)
{
	unsigned int sum = 0;

	if (more->share < 1 || more->share > 100)
		return agentcg_why(-EINVAL, why, "a share is from 1 to 100 percent, not %u", more->share);
	for (size_t i = 0; i < n; i++)
		sum += have[i].best_effort ? 0 : have[i].share;
	if (more->best_effort || sum + more->share <= 100)
		return 0;
	return agentcg_why(-ENOSPC, why, "other workers have %u %% of this GPU by MPS, so %u %% are too much: ask for %u %% at most, or for "
			   "--priority low, which takes what the others leave", sum, more->share, sum >= 100 ? 0 : 100 - sum);
}

/* ---- the control daemon ------------------------------------------------- */

static const char *folder(char path[PATH_SIZE], const char *base, const char *uuid, const char *sub)
{
	snprintf(path, PATH_SIZE, "%s/" PREFIX "%s%s", base, uuid, sub);
	return path;
}

/* 0: there is none. */
static pid_t control_pid(const char *base, const char *uuid)
{
	char path[PATH_SIZE], comm[32] = "";
	_cleanup_fclose_ FILE *f = fopen(folder(path, base, uuid, "/pipe/" CONTROL ".pid"), "re"), *c = NULL;
	int pid = 0;

	if (!f || fscanf(f, "%d", &pid) != 1 || pid <= 1)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	c = fopen(path, "re");
	/* The kernel cuts names; another process may have got the number. */
	if (!c || !fgets(comm, sizeof(comm), c) || strncmp(comm, CONTROL, 15) != 0)
		return 0;
	return pid;
}

bool agentcg_mps_runs(const char *base, const char *uuid)
{
	return control_pid(base, uuid) != 0;
}

static bool ended(pid_t pid, int msec)
{
	_cleanup_close_ int fd = pidfd_open(pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return fd < 0 || poll(&p, 1, msec) == 1;
}

/* The daemon blocks some signals and ignores others; what it starts does not. */
static void plain_signals(posix_spawnattr_t *attr)
{
	sigset_t set;

	posix_spawnattr_init(attr);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(attr, &set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGPIPE);
	posix_spawnattr_setsigdefault(attr, &set);
}

/* Runs it with @argument (or reading @input), and waits for its end, however that is: what it did is seen by what there is. */
static int control(const char *base, const char *uuid, const char *argument, const char *input)
{
	char pipe_dir[PATH_SIZE + 32], log_dir[PATH_SIZE + 32], devices[96], path[PATH_SIZE], search[1024];
	char *argv[] = { (char *)CONTROL, (char *)argument, NULL }, *env[] = { pipe_dir, log_dir, devices, search, NULL };
	_cleanup_(posix_spawn_file_actions_destroy) posix_spawn_file_actions_t actions;
	_cleanup_(posix_spawnattr_destroy) posix_spawnattr_t attr;
	int fds[2], r;
	pid_t pid;

	snprintf(pipe_dir, sizeof(pipe_dir), "CUDA_MPS_PIPE_DIRECTORY=%s", folder(path, base, uuid, "/pipe"));
	snprintf(log_dir, sizeof(log_dir), "CUDA_MPS_LOG_DIRECTORY=%s", folder(path, base, uuid, "/log"));
	snprintf(devices, sizeof(devices), "CUDA_VISIBLE_DEVICES=%s", uuid);
	snprintf(search, sizeof(search), "PATH=%s", getenv("PATH") ?: "/usr/bin:/bin");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	plain_signals(&attr);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[0], 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	r = -posix_spawnp(&pid, CONTROL, &actions, &attr, argv, env);
	close(fds[0]);
	if (!r && input && write(fds[1], input, strlen(input)) < 0)
		r = -errno;
	close(fds[1]);
	if (r < 0)
		return r;
	if (!ended(pid, input ? QUIT_MSEC : START_MSEC)) {
		kill(pid, SIGKILL);
		r = -ETIMEDOUT;
	}
	waitpid(pid, NULL, WNOHANG);
	return r;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_folder(const char *base, const char *uuid)
{
	char path[PATH_SIZE];

	(void)nftw(folder(path, base, uuid, ""), remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int agentcg_mps_start(const char *base, const char *uuid, char *why)
{
	static const char *const subs[] = { "", "/pipe", "/log" };
	char path[PATH_SIZE];
	int r;

	if (agentcg_mps_runs(base, uuid)) {
		if (access(folder(path, base, uuid, ENDING), F_OK) < 0)
			return 0;
		return agentcg_why(-EBUSY, why, "MPS of GPU %s ends, and waits for a process that was a worker: end that, or do without --mps-share",
				   uuid);
	}
	remove_folder(base, uuid);
	for (size_t i = 0; i < ARRAY_SIZE(subs); i++)
		if (mkdir(folder(path, base, uuid, subs[i]), 0700) < 0)
			return agentcg_why(-errno, why, "cannot make %s for MPS: %s", path, strerror(errno));
	r = control(base, uuid, "-d", NULL);
	if (!r && agentcg_mps_runs(base, uuid))
		return 0;
	remove_folder(base, uuid);
	if (r == -ENOENT)
		return agentcg_why(-EOPNOTSUPP, why, CONTROL " is not installed here, so a GPU cannot be shared by MPS; it comes with NVIDIA's driver "
				   "(nvidia-cuda-mps in Debian), or do without --mps-share");
	return agentcg_why(-EIO, why, CONTROL " does not start for GPU %s (%s); see its log by hand, or do without --mps-share", uuid,
			   r < 0 ? strerror(-r) : "it ended");
}

int agentcg_mps_stop(const char *base, const char *uuid)
{
	pid_t pid = control_pid(base, uuid);
	char path[PATH_SIZE];
	int r = 0;

	if (pid && access(folder(path, base, uuid, ENDING), F_OK) == 0)
		return -EBUSY;
	if (pid) {
		_cleanup_close_ int mark = open(folder(path, base, uuid, ENDING), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

		r = control(base, uuid, NULL, "quit\n");
		if (!ended(pid, QUIT_MSEC))
			r = -EBUSY;
	}
	if (r >= 0)
		remove_folder(base, uuid);
	return r < 0 ? r : 0;
}

/* ---- workers ------------------------------------------------------------ */

static bool is_best_effort(const struct worker *w)
{
	return w->priority < AGENTCG_PRIORITY_NORMAL;
}

static bool shares(const struct worker *w, const char *uuid)
{
	return w->mps_share && w->nr_gpus == 1 && w->state != WORKER_GONE && streq(w->gpus[0], uuid);
}

/* Who has a share of this GPU, but @except. */
static size_t clients(const struct manager *m, const char *uuid, const struct worker *except, struct mps_client *ret)
{
	size_t n = 0;

	for (unsigned int i = 0; i < m->workers->nr; i++) {
		const struct worker *w = m->workers->list[i];

		if (w != except && shares(w, uuid))
			ret[n++] = (struct mps_client){ w->mps_share, is_best_effort(w) };
	}
	return n;
}

static int add_variable(sd_json_variant **list, const char *name, const char *value)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_free_ char *text = NULL;
	int r = asprintf(&text, "%s=%s", name, value) < 0 ? -ENOMEM : sd_json_variant_new_string(&v, text);

	return r < 0 ? r : sd_json_variant_append_array(list, v);
}

static int add_limits(struct worker *w, sd_json_variant **list)
{
	const struct gpu *g = agentcg_gpus_find(&w->m->workers->gpus, w->gpus[0]);
	char limit[64];
	int r;

	if (!is_best_effort(w))
		return 0;
	r = add_variable(list, "CUDA_MPS_CLIENT_PRIORITY", "1");
	if (r < 0 || !g)
		return r;
	/* The only GPU that it sees is 0. */
	snprintf(limit, sizeof(limit), "0=%lluM", (unsigned long long)(g->memory_total / 100 * w->mps_share / MIB));
	return add_variable(list, "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", limit);
}

static int environment(struct worker *w, sd_json_variant **list, char *why)
{
	struct mps_client have[AGENTCG_WORKERS_MAX], more = { w->mps_share, is_best_effort(w) };
	char path[PATH_SIZE];
	int r;

	if (!w->mps_share)
		return 0;
	if (w->nr_gpus != 1)
		return agentcg_why(-EINVAL, why, "a share by MPS is of one GPU, and this worker has %u; say which: --gpu N", w->nr_gpus);
	r = agentcg_mps_check(have, clients(w->m, w->gpus[0], w, have), &more, why);
	if (!r)
		r = agentcg_mps_start(AGENTCG_MPS_BASE, w->gpus[0], why);
	if (!r)
		r = add_variable(list, "CUDA_MPS_PIPE_DIRECTORY", folder(path, AGENTCG_MPS_BASE, w->gpus[0], "/pipe"));
	if (r >= 0)
		r = add_variable(list, "CUDA_MPS_LOG_DIRECTORY", folder(path, AGENTCG_MPS_BASE, w->gpus[0], "/log"));
	return r < 0 ? r : add_limits(w, list);
}

static void stop_unused(struct manager *m, const char *uuid)
{
	struct mps_client have[AGENTCG_WORKERS_MAX];

	if (m->stopping || clients(m, uuid, NULL, have))
		return;
	if (agentcg_mps_stop(AGENTCG_MPS_BASE, uuid) < 0)
		agentcg_log(LOG_INFO, "MPS of GPU %s ends with its last client; it is in " AGENTCG_MPS_BASE "/" PREFIX "%s", uuid, uuid);
}

void agentcg_mps_sweep(struct manager *m)
{
	DIR *dir = opendir(AGENTCG_MPS_BASE);

	for (struct dirent *d; dir && (d = readdir(dir));) {
		const char *uuid = startswith(d->d_name, PREFIX);

		if (uuid && strlen(uuid) < AGENTCG_GPU_UUID_MAX)
			stop_unused(m, uuid);
	}
	if (dir)
		closedir(dir);
}

static void begin(struct worker *w)
{
	agentcg_checkpoint_begin(w);
}

static void end(struct worker *w)
{
	agentcg_checkpoint_end(w);
}

const struct worker_part agentcg_share_part = {
	.name = "share",
	.begin = begin,
	.end = end,
	.environment = environment,
};
