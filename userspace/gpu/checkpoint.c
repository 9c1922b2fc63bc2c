// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "bind.h"
#include "json.h"
#include "log.h"
#include "manager.h"
#include "workers.h"

#define LIBRARY		"libcuda.so.1"
#define TOOL		"cuda-checkpoint"
/* A worker that is not to be had for so long is not idle. */
#define LOCK_MSEC	1000
#define PIDS_MAX	AGENTCG_TREE_MAX

enum checkpoint_step agentcg_checkpoint_decide(enum checkpoint_state state, uint64_t after, uint64_t idle_usec, bool work)
{
	if (state == CHECKPOINT_SAVED && (work || after == AGENTCG_NONE))
		return CHECKPOINT_RESTORE;
	if (state == CHECKPOINT_NONE && !work && after != AGENTCG_NONE && idle_usec >= after)
		return CHECKPOINT_SAVE;
	return CHECKPOINT_WAIT;
}

/* ---- the driver --------------------------------------------------------- */

/* As in the driver's ABI: cuda.h is not wanted for building this. */
struct lock_args {
	unsigned int timeout_msec, reserved0;
	uint64_t reserved1[7];
};

enum process_state { PROCESS_RUNNING, PROCESS_LOCKED, PROCESS_CHECKPOINTED, PROCESS_FAILED };

struct driver {
	void *handle;			/* NULL: by the tool */
	int (*init)(unsigned int flags);
	int (*state)(int pid, int *state);
	int (*lock)(int pid, struct lock_args *args);
	int (*checkpoint)(int pid, void *args);
	int (*restore)(int pid, void *args);
	int (*unlock)(int pid, void *args);
};

static bool load(struct driver *d, const char *library)
{
	*d = (struct driver){ .handle = dlopen(library ?: LIBRARY, RTLD_NOW | RTLD_LOCAL) };
	if (!d->handle)
		return false;
	d->init = dlsym(d->handle, "cuInit");
	d->state = dlsym(d->handle, "cuCheckpointProcessGetState");
	d->lock = dlsym(d->handle, "cuCheckpointProcessLock");
	d->checkpoint = dlsym(d->handle, "cuCheckpointProcessCheckpoint");
	d->restore = dlsym(d->handle, "cuCheckpointProcessRestore");
	d->unlock = dlsym(d->handle, "cuCheckpointProcessUnlock");
	if (d->init && d->state && d->lock && d->checkpoint && d->restore && d->unlock && !d->init(0))
		return true;
	dlclose(d->handle);
	d->handle = NULL;
	return false;
}

/* @arguments but "--pid N" and the program's name; its first line to @ret, if that is not NULL. */
static int tool(const char *const arguments[], pid_t pid, char ret[32])
{
	const char *argv[12] = { TOOL };
	size_t n = 1;
	char number[16];
	int fds[2], status;
	ssize_t got;
	pid_t child;

	snprintf(number, sizeof(number), "%d", pid);
	for (; arguments[n - 1] && n < 8; n++)
		argv[n] = arguments[n - 1];
	argv[n++] = "--pid";
	argv[n] = number;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0) {
		dup2(fds[1], 1);
		dup2(open("/dev/null", O_WRONLY), 2);
		execvp(TOOL, (char *const *)argv);
		_exit(127);
	}
	close(fds[1]);
	got = ret ? read(fds[0], ret, 31) : 0;
	close(fds[0]);
	if (ret) {
		ret[got > 0 ? got : 0] = 0;
		ret[strcspn(ret, "\n")] = 0;
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -EIO;
	return WEXITSTATUS(status) == 127 ? -ENOENT : WEXITSTATUS(status) ? -EIO : 0;
}

static int act(const char *action, pid_t pid)
{
	/* The time, in ms, is for locking alone. */
	const char *arguments[] = { "--action", action, streq(action, "lock") ? "--timeout" : NULL, "1000", NULL };

	return tool(arguments, pid, NULL);
}

static int lock(struct driver *d, pid_t pid)
{
	struct lock_args args = { .timeout_msec = LOCK_MSEC };

	if (!d->handle)
		return act("lock", pid);
	return d->lock(pid, &args) ? -EBUSY : 0;
}

static int save_one(struct driver *d, pid_t pid)
{
	uint64_t args[8] = {};

	if (d->handle)
		return d->checkpoint(pid, args) ? -EIO : 0;
	return act("checkpoint", pid);
}

static int get_state(struct driver *d, pid_t pid, int *ret)
{
	static const char *const states[] = { "running", "locked", "checkpointed", "failed" };
	char text[32];
	int r;

	if (d->handle)
		return d->state(pid, ret) ? -ESRCH : 0;
	r = tool((const char *const []){ "--get-state", NULL }, pid, text);
	for (int i = 0; !r && i < (int)ARRAY_SIZE(states); i++)
		if (streq(text, states[i])) {
			*ret = i;
			return 0;
		}
	return r == -ENOENT ? r : -ESRCH;
}

static int restore_one(struct driver *d, pid_t pid)
{
	uint64_t restore[8] = {}, unlock[8] = {};
	int state, r = get_state(d, pid, &state);

	if (!r && state == PROCESS_FAILED)
		r = -EIO;
	if (!r && state == PROCESS_CHECKPOINTED)
		r = d->handle ? (d->restore(pid, restore) ? -EIO : 0) : act("restore", pid);
	if (!r && state != PROCESS_RUNNING)
		r = d->handle ? (d->unlock(pid, unlock) ? -EIO : 0) : act("unlock", pid);
	return r;
}

static int no_way(char *why)
{
	return agentcg_why(-EOPNOTSUPP, why, "neither " LIBRARY " (driver 570 or later) nor " TOOL " can checkpoint GPU memory here");
}

int agentcg_checkpoint_restore(const char *library, const pid_t *pids, size_t n, char *why)
{
	struct driver d;
	int r = 0;

	load(&d, library);
	for (size_t i = 0; i < n; i++) {
		int one = restore_one(&d, pids[i]);

		if (one < 0 && one != -ESRCH)
			r = one;
	}
	if (d.handle)
		dlclose(d.handle);
	if (r == -ENOENT)
		return no_way(why);
	return r < 0 ? agentcg_why(r, why, "its GPU memory cannot be restored: %s", strerror(-r)) : 0;
}

int agentcg_checkpoint_save(const char *library, const pid_t *pids, size_t n, char *why)
{
	struct driver d;
	size_t i;
	int r = 0;

	load(&d, library);
	/* All are locked before the first is saved: they may wait for each other. */
	for (i = 0; !r && i < n; i++)
		r = lock(&d, pids[i]);
	for (i = 0; !r && i < n; i++)
		r = save_one(&d, pids[i]);
	if (d.handle)
		dlclose(d.handle);
	if (r == -ENOENT)
		return no_way(why);
	if (r < 0) {
		(void)agentcg_checkpoint_restore(library, pids, n, NULL);
		return agentcg_why(r, why, "its GPU memory cannot be saved: %s", r == -EBUSY ? "it is busy" : strerror(-r));
	}
	return 0;
}

/* ---- workers ------------------------------------------------------------ */

struct worker_share {
	struct worker *w;
	enum checkpoint_state state;
	int fd;				/* of the process that does it; -1: none */
	sd_event_source *source;
	uint64_t since_usec;		/* 0: perhaps there is nothing to do */
	char why[AGENTCG_WHY_MAX];	/* of FAILED */
};

struct outcome {
	int error;
	char why[AGENTCG_WHY_MAX];
};

/* Who uses the worker's GPUs, as NVML sees it: only as long as they have memory there. */
static size_t processes(struct worker *w, pid_t pids[PIDS_MAX])
{
	const struct gpus *gpus = &w->m->workers->gpus;
	size_t n = 0;

	for (unsigned int g = 0; g < gpus->nr; g++)
		for (unsigned int i = 0; i < gpus->list[g].nr_processes; i++) {
			pid_t pid = gpus->list[g].processes[i].pid;
			bool known = pid <= 0 || agentcg_workers_of(w->m->workers, pid) != w;

			for (size_t k = 0; !known && k < n; k++)
				known = pids[k] == pid;
			if (!known && n < PIDS_MAX)
				pids[n++] = pid;
		}
	return n;
}

/* What was saved uses no GPU any more; who never did says so when it is asked. */
static size_t all_processes(struct worker *w, pid_t pids[PIDS_MAX])
{
	struct tree *t = malloc(sizeof(*t));
	size_t n = t && agentcg_worker_processes(w, t) >= 0 ? min_u64(t->nr, PIDS_MAX) : 0;

	for (size_t i = 0; i < n; i++)
		pids[i] = t->pids[i];
	free(t);
	return n;
}

static void forget(struct worker_share *s)
{
	s->source = sd_event_source_disable_unref(s->source);
	agentcg_closep(&s->fd);
	s->fd = -1;
}

static int on_outcome(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct worker_share *s = userdata;
	struct outcome o = { .error = -EIO };

	if (read(fd, &o, sizeof(o)) != sizeof(o))
		agentcg_why(0, o.why, "the process that asked the driver died");
	forget(s);
	if (o.error < 0) {
		agentcg_log(LOG_WARNING, "GPU worker %s: %s; it is left alone from now on", s->w->name, o.why);
		s->state = CHECKPOINT_FAILED;
		agentcg_why(0, s->why, "%s", o.why);
	} else {
		s->state = s->state == CHECKPOINT_SAVING ? CHECKPOINT_SAVED : CHECKPOINT_NONE;
		if (s->since_usec)
			agentcg_log(LOG_INFO, "GPU worker %s: its GPU memory is %s, in %.1f s", s->w->name,
				    s->state == CHECKPOINT_SAVED ? "on the host, until it has work" : "back",
				    (double)(now_usec(CLOCK_MONOTONIC) - s->since_usec) / USEC_PER_SEC);
	}
	return 0;
}

/* Goes on when the daemon ends: a worker is not left half-way. */
static int start(struct worker_share *s, bool save)
{
	pid_t pids[PIDS_MAX], pid;
	size_t n = save ? processes(s->w, pids) : all_processes(s->w, pids);
	int fds[2], r;

	forget(s);
	if (!n || pipe2(fds, O_CLOEXEC) < 0)
		return n ? -errno : -ESRCH;
	pid = fork();
	if (pid == 0) {
		struct outcome o = {};

		agentcg_close_others(fds[1], -1);
		signal(SIGCHLD, SIG_DFL);
		o.error = save ? agentcg_checkpoint_save(NULL, pids, n, o.why) : agentcg_checkpoint_restore(NULL, pids, n, o.why);
		_exit(write(fds[1], &o, sizeof(o)) != sizeof(o));
	}
	r = pid < 0 ? -errno : 0;
	close(fds[1]);
	s->fd = fds[0];
	if (r >= 0)
		r = sd_event_add_io(s->w->m->event, &s->source, s->fd, EPOLLIN, on_outcome, s);
	if (r < 0) {
		forget(s);
		return r;
	}
	s->state = save ? CHECKPOINT_SAVING : CHECKPOINT_RESTORING;
	s->since_usec = now_usec(CLOCK_MONOTONIC);
	return 0;
}

bool agentcg_checkpoint_look(struct worker *w, uint64_t idle_usec, bool work)
{
	struct worker_share *s = w->share;

	if (!s)
		return false;
	switch (agentcg_checkpoint_decide(s->state, w->m->policy.gpu.checkpoint_usec, idle_usec, work)) {
	case CHECKPOINT_SAVE:
		(void)start(s, true);
		break;
	case CHECKPOINT_RESTORE:
		(void)start(s, false);
		break;
	case CHECKPOINT_WAIT:
		break;
	}
	return s->state == CHECKPOINT_SAVING || s->state == CHECKPOINT_SAVED || s->state == CHECKPOINT_RESTORING;
}

int agentcg_checkpoint_build(struct worker *w, sd_json_variant **object)
{
	static const char *const states[] = { "none", "saving", "saved", "restoring", "failed" };
	int r;

	if (!w->share)
		return 0;
	r = sd_json_variant_set_field_string(object, "checkpoint", states[w->share->state]);
	return r < 0 || w->share->state != CHECKPOINT_FAILED ? r : sd_json_variant_set_field_string(object, "checkpointReason", w->share->why);
}

void agentcg_checkpoint_begin(struct worker *w)
{
	if (w->share || w->m->policy.gpu.checkpoint_usec == AGENTCG_NONE)
		return;
	w->share = calloc(1, sizeof(*w->share));
	if (!w->share)
		return;
	*w->share = (struct worker_share){ .w = w, .fd = -1 };
	/* An earlier daemon may have saved it; one that was not is not touched. */
	(void)start(w->share, false);
	w->share->since_usec = 0;
}

void agentcg_checkpoint_end(struct worker *w)
{
	struct worker_share *s = w->share;

	if (!s)
		return;
	if (s->state == CHECKPOINT_SAVING || s->state == CHECKPOINT_SAVED)
		(void)start(s, false);
	forget(s);
	free(s);
	w->share = NULL;
}
