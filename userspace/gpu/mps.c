// SPDX-License-Identifier: GPL-2.0-only
#include "mps.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "log.h"
#include "nvml.h"

#define CONTROL		"nvidia-cuda-mps-control"
#define PREFIX		"mps-"
#define PID_FILE	"/pipe/" CONTROL ".pid"
#define STARTING_FILE	"/starting"	/* PID of what is to start it */
#define ENDING_FILE	"/ending"
#define PATH_SIZE	AGENTCG_MPS_PATH

/* Between the end of what was to start it and its PID file. */
#define GRACE_USEC	(1 * USEC_PER_SEC)
#define QUIT_USEC	(1 * USEC_PER_SEC)
#define LOOK_USEC	(50 * USEC_PER_MSEC)

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

struct waiter {
	struct waiter *next;
	agentcg_mps_done_t done;
	void *userdata;
};

enum step { STARTING, RUNNING, ENDING };

struct control {
	struct control *next;
	struct mps *m;
	char uuid[AGENTCG_GPU_UUID_MAX];
	enum step step;
	int tool;			/* pidfd of what starts or ends it; -1: that has ended */
	sd_event_source *end;		/* of the daemon itself; NULL: it is not there yet */
	sd_event_source *timer;		/* looks how far it is; NULL: nothing is awaited */
	uint64_t until_usec;		/* for @tool, or what it started */
	uint64_t wait_usec;		/* for whoever waits while it ends */
	struct waiter *waiters;
};

struct mps {
	sd_event *event;
	char *base;
	uint64_t start_usec;
	agentcg_mps_ended_t ended;
	void *userdata;
	struct control *list;
};

/* ---- folders ------------------------------------------------------------ */

const char *agentcg_mps_folder(char path[PATH_SIZE], const struct mps *m, const char *uuid, const char *sub)
{
	snprintf(path, PATH_SIZE, "%s/" PREFIX "%s%s", m->base, uuid, sub);
	return path;
}

static bool has(const struct mps *m, const char *uuid, const char *file)
{
	char path[PATH_SIZE];

	return access(agentcg_mps_folder(path, m, uuid, file), F_OK) == 0;
}

/* The process that a file names, as long as it is one of NVIDIA's; 0: there is none. */
static pid_t read_pid(const struct mps *m, const char *uuid, const char *file)
{
	char path[PATH_SIZE], comm[32] = "";
	_cleanup_fclose_ FILE *f = fopen(agentcg_mps_folder(path, m, uuid, file), "re"), *c = NULL;
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

bool agentcg_mps_runs(const struct mps *m, const char *uuid)
{
	return read_pid(m, uuid, PID_FILE) != 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_folder(const struct mps *m, const char *uuid)
{
	char path[PATH_SIZE];

	(void)nftw(agentcg_mps_folder(path, m, uuid, ""), remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int make_folder(const struct mps *m, const char *uuid, char *why)
{
	static const char *const subs[] = { "", "/pipe", "/log" };
	char path[PATH_SIZE];

	remove_folder(m, uuid);
	for (size_t i = 0; i < ARRAY_SIZE(subs); i++)
		if (mkdir(agentcg_mps_folder(path, m, uuid, subs[i]), 0700) < 0)
			return agentcg_why(-errno, why, "cannot make %s for MPS: %s", path, strerror(errno));
	return 0;
}

static void write_note(const struct mps *m, const char *uuid, const char *file, int number)
{
	char path[PATH_SIZE];
	_cleanup_close_ int fd = open(agentcg_mps_folder(path, m, uuid, file), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	if (fd >= 0)
		dprintf(fd, "%d\n", number);
}

/* ---- the tool ----------------------------------------------------------- */

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

/* Runs it with @argument (or reading @input).  Whether it did well is seen by what there is then; the kernel reaps it. */
static int run_tool(struct control *c, const char *argument, const char *input, pid_t *ret)
{
	char pipe_dir[PATH_SIZE + 32], log_dir[PATH_SIZE + 32], devices[96], path[PATH_SIZE], search[1024];
	char *argv[] = { (char *)CONTROL, (char *)argument, NULL }, *env[] = { pipe_dir, log_dir, devices, search, NULL };
	_cleanup_(posix_spawn_file_actions_destroy) posix_spawn_file_actions_t actions;
	_cleanup_(posix_spawnattr_destroy) posix_spawnattr_t attr;
	int fds[2], r;

	snprintf(pipe_dir, sizeof(pipe_dir), "CUDA_MPS_PIPE_DIRECTORY=%s", agentcg_mps_folder(path, c->m, c->uuid, "/pipe"));
	snprintf(log_dir, sizeof(log_dir), "CUDA_MPS_LOG_DIRECTORY=%s", agentcg_mps_folder(path, c->m, c->uuid, "/log"));
	snprintf(devices, sizeof(devices), "CUDA_VISIBLE_DEVICES=%s", c->uuid);
	snprintf(search, sizeof(search), "PATH=%s", getenv("PATH") ?: "/usr/bin:/bin");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	plain_signals(&attr);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[0], 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	r = -posix_spawnp(ret, CONTROL, &actions, &attr, argv, env);
	close(fds[0]);
	if (!r && input && write(fds[1], input, strlen(input)) < 0)
		r = -errno;
	close(fds[1]);
	if (!r)
		c->tool = pidfd_open(*ret, 0);
	return r;
}

static bool tool_ended(const struct control *c)
{
	struct pollfd p = { .fd = c->tool, .events = POLLIN };

	return c->tool < 0 || poll(&p, 1, 0) == 1;
}

static void kill_tool(struct control *c)
{
	if (c->tool >= 0 && !tool_ended(c))
		(void)pidfd_send_signal(c->tool, SIGKILL, NULL, 0);
	agentcg_closep(&c->tool);
	c->tool = -1;
}

/* ---- one ---------------------------------------------------------------- */

static int begin(struct control *c, char *why);

static struct control *find(struct mps *m, const char *uuid)
{
	struct control *c = m->list;

	while (c && !streq(c->uuid, uuid))
		c = c->next;
	return c;
}

static struct control *add(struct mps *m, const char *uuid)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct control){ .next = m->list, .m = m, .tool = -1 };
	snprintf(c->uuid, sizeof(c->uuid), "%s", uuid);
	m->list = c;
	return c;
}

static void drop(struct control *c)
{
	for (struct control **p = &c->m->list; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	sd_event_source_disable_unref(c->end);
	sd_event_source_disable_unref(c->timer);
	agentcg_closep(&c->tool);
	free(c);
}

static int add_waiter(struct control *c, agentcg_mps_done_t done, void *userdata)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	*w = (struct waiter){ .next = c->waiters, .done = done, .userdata = userdata };
	c->waiters = w;
	return 0;
}

static void tell(struct waiter *list, int error, const char *why)
{
	while (list) {
		struct waiter *w = list;

		list = w->next;
		w->done(error, why, w->userdata);
		free(w);
	}
}

/* Who has waited is told; @c is not to be used any more. */
static void failed(struct control *c, int error, const char *why)
{
	struct waiter *list = TAKE_PTR(c->waiters);

	kill_tool(c);
	remove_folder(c->m, c->uuid);
	agentcg_log(LOG_WARNING, "%s", why);
	drop(c);
	tell(list, error, why);
}

static int on_end(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct control *c = userdata;
	char why[AGENTCG_WHY_MAX], uuid[AGENTCG_GPU_UUID_MAX];
	struct mps *m = c->m;
	bool meant = c->step == ENDING;
	int r;

	c->end = sd_event_source_disable_unref(c->end);
	kill_tool(c);
	if (c->waiters) {
		r = begin(c, why);
		if (r < 0)
			failed(c, r, why);
		return 0;
	}
	remove_folder(m, c->uuid);
	strcpy(uuid, c->uuid);
	drop(c);
	if (!meant && m->ended)
		m->ended(uuid, m->userdata);
	return 0;
}

/* False: it has ended. */
static bool watch_end(struct control *c)
{
	pid_t pid = read_pid(c->m, c->uuid, PID_FILE);
	int fd = pid ? pidfd_open(pid, 0) : -1;

	if (fd < 0)
		return false;
	if (sd_event_add_io(c->m->event, &c->end, fd, EPOLLIN, on_end, c) < 0) {
		close(fd);
		return false;
	}
	(void)sd_event_source_set_io_fd_own(c->end, true);
	return true;
}

static void quit(struct control *c);

static void started(struct control *c)
{
	struct waiter *list = TAKE_PTR(c->waiters);
	char path[PATH_SIZE];

	agentcg_closep(&c->tool);
	c->tool = -1;
	unlink(agentcg_mps_folder(path, c->m, c->uuid, STARTING_FILE));
	c->step = RUNNING;
	c->timer = sd_event_source_disable_unref(c->timer);
	if (!list)
		quit(c);
	tell(list, 0, "");
}

static void look_at_start(struct control *c, uint64_t now)
{
	bool tool_done = tool_ended(c);
	char why[AGENTCG_WHY_MAX], how[40];

	if (watch_end(c)) {
		started(c);
		return;
	}
	if (tool_done && c->until_usec > now + GRACE_USEC)
		c->until_usec = now + GRACE_USEC;
	if (now < c->until_usec)
		return;
	snprintf(how, sizeof(how), "it has not for %llu s", (unsigned long long)(c->m->start_usec / USEC_PER_SEC));
	agentcg_why(0, why, CONTROL " does not start for GPU %s (%s); see its log by hand, or do without --mps-share", c->uuid,
		    tool_done ? "it ended" : how);
	failed(c, -EIO, why);
}

static void look_at_end(struct control *c, uint64_t now)
{
	char why[AGENTCG_WHY_MAX];

	if (c->until_usec && now >= c->until_usec) {
		c->until_usec = 0;
		kill_tool(c);
		agentcg_log(LOG_INFO, "MPS of GPU %s ends with its last client; it is in %s/" PREFIX "%s", c->uuid, c->m->base, c->uuid);
	}
	if (c->waiters && now >= c->wait_usec) {
		agentcg_why(0, why, "MPS of GPU %s ends, and waits for a process that was a worker: end that, or do without --mps-share",
			    c->uuid);
		tell(TAKE_PTR(c->waiters), -EBUSY, why);
	}
	if (!c->until_usec && !c->waiters)
		c->timer = sd_event_source_disable_unref(c->timer);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct control *c = userdata;
	uint64_t now = now_usec(CLOCK_MONOTONIC);

	(void)sd_event_source_set_time_relative(source, LOOK_USEC);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	/* It may be gone with what it looks at. */
	if (c->step == STARTING)
		look_at_start(c, now);
	else
		look_at_end(c, now);
	return 0;
}

static int look_soon(struct control *c)
{
	return c->timer ? 0 : sd_event_add_time_relative(c->m->event, &c->timer, CLOCK_MONOTONIC, LOOK_USEC, 0, on_look, c);
}

static int begin(struct control *c, char *why)
{
	pid_t pid;
	int r = make_folder(c->m, c->uuid, why);

	if (r < 0)
		return r;
	c->step = STARTING;
	c->until_usec = now_usec(CLOCK_MONOTONIC) + c->m->start_usec;
	r = run_tool(c, "-d", NULL, &pid);
	if (!r) {
		write_note(c->m, c->uuid, STARTING_FILE, pid);
		r = look_soon(c);
	}
	if (r == -ENOENT)
		return agentcg_why(-EOPNOTSUPP, why, CONTROL " is not installed here, so a GPU cannot be shared by MPS; "
				   "it comes with NVIDIA's driver (nvidia-cuda-mps in Debian), or do without --mps-share");
	return r < 0 ? agentcg_why(r, why, CONTROL " cannot be run: %s", strerror(-r)) : 0;
}

static void quit(struct control *c)
{
	pid_t pid;

	c->step = ENDING;
	c->until_usec = now_usec(CLOCK_MONOTONIC) + QUIT_USEC;
	write_note(c->m, c->uuid, ENDING_FILE, 1);
	if (run_tool(c, NULL, "quit\n", &pid) < 0 || look_soon(c) < 0)
		agentcg_log(LOG_WARNING, "MPS of GPU %s cannot be ended: " CONTROL " cannot be run", c->uuid);
}

/* What an earlier daemon left; NULL: nothing. */
static struct control *take_over(struct mps *m, const char *uuid)
{
	pid_t starter = read_pid(m, uuid, STARTING_FILE);
	struct control *c;

	if (!starter && !agentcg_mps_runs(m, uuid))
		return NULL;
	c = add(m, uuid);
	if (!c)
		return NULL;
	c->step = has(m, uuid, ENDING_FILE) ? ENDING : RUNNING;
	if (watch_end(c))
		return c;
	c->step = STARTING;
	c->tool = starter ? pidfd_open(starter, 0) : -1;
	c->until_usec = now_usec(CLOCK_MONOTONIC) + c->m->start_usec;
	if (look_soon(c) >= 0)
		return c;
	drop(c);
	return NULL;
}

/* ---- all ---------------------------------------------------------------- */

int agentcg_mps_start(struct mps *m, const char *uuid, agentcg_mps_done_t done, void *userdata, char *why)
{
	struct control *c = find(m, uuid) ?: take_over(m, uuid);
	int r;

	if (c && c->step == RUNNING)
		return 0;
	if (c) {
		if (!c->waiters)
			c->wait_usec = now_usec(CLOCK_MONOTONIC) + m->start_usec;
		r = look_soon(c);
		return r < 0 ? r : add_waiter(c, done, userdata) ?: -EINPROGRESS;
	}
	c = add(m, uuid);
	if (!c)
		return -ENOMEM;
	r = begin(c, why);
	if (!r)
		r = add_waiter(c, done, userdata);
	if (!r)
		return -EINPROGRESS;
	kill_tool(c);
	remove_folder(m, uuid);
	drop(c);
	return r;
}

void agentcg_mps_forget(struct mps *m, void *userdata)
{
	for (struct control *c = m->list; c; c = c->next)
		for (struct waiter **p = &c->waiters; *p;) {
			struct waiter *w = *p;

			if (w->userdata != userdata) {
				p = &w->next;
				continue;
			}
			*p = w->next;
			free(w);
		}
}

void agentcg_mps_stop(struct mps *m, const char *uuid)
{
	struct control *c = find(m, uuid) ?: take_over(m, uuid);

	if (!c)
		remove_folder(m, uuid);
	else if (c->step == RUNNING)
		quit(c);
	/* Else it ends already, or will when it has started, for nobody waits. */
}

void agentcg_mps_sweep(struct mps *m, bool (*used)(const char *uuid, void *userdata), void *userdata)
{
	DIR *dir = opendir(m->base);

	for (struct dirent *d; dir && (d = readdir(dir));) {
		const char *uuid = startswith(d->d_name, PREFIX);

		if (!uuid || strlen(uuid) >= AGENTCG_GPU_UUID_MAX)
			continue;
		if (!used(uuid, userdata))
			agentcg_mps_stop(m, uuid);
		else if (!find(m, uuid))
			(void)take_over(m, uuid);
	}
	if (dir)
		closedir(dir);
}

int agentcg_mps_new(sd_event *event, const char *base, uint64_t start_usec, agentcg_mps_ended_t ended, void *userdata, struct mps **ret)
{
	struct mps *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	*m = (struct mps){ .event = event, .base = strdup(base), .start_usec = start_usec, .ended = ended, .userdata = userdata };
	if (!m->base) {
		free(m);
		return -ENOMEM;
	}
	*ret = m;
	return 0;
}

struct mps *agentcg_mps_free(struct mps *m)
{
	while (m && m->list) {
		struct control *c = m->list;

		for (struct waiter *w; (w = c->waiters);) {
			c->waiters = w->next;
			free(w);
		}
		drop(c);
	}
	if (m)
		free(m->base);
	free(m);
	return NULL;
}
