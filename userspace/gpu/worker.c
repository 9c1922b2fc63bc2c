// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a worker comes to be, and how it goes.  Each step can be given back by what is
 * noted in its record before the step is made; worker.h tells what there is.
 */
#include "worker.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "bind.h"
#include "cgroup.h"
#include "feed.h"
#include "log.h"
#include "manager.h"
#include "notes.h"
#include "pinned.h"
#include "scheduler.h"
#include "session.h"
#include "size.h"
#include "workers.h"

/* Memory that is not protected by the byte: what a worker uses changes all the time. */
#define PROTECT_STEP	(2 * MIB)

/* By such a part more must be mapped for a sweep to be worth while. */
#define SWEEP_PART	64

/* From the answer to exec. */
#define BEGIN_USEC	(5 * USEC_PER_SEC)

/* Of a process, that is looked at. */
#define ENVIRONMENT_MAX	(256 * 1024)

/* How often pinned memory is counted: some ms for each process. */
#define PINNED_USEC	(10 * USEC_PER_SEC)

/* For the kernel to end what was killed: it frees gigabytes. */
#define KILL_USEC	(10 * USEC_PER_SEC)

#define SIZE(bytes)	agentcg_format_size((char[AGENTCG_TEXT_MAX]){}, (bytes))

/* ---- names -------------------------------------------------------------- */

bool agentcg_worker_name_valid(const char *name)
{
	return agentcg_session_name_valid(name);
}

struct worker *agentcg_worker_find(struct manager *m, const char *name)
{
	struct workers *ws = m->workers;

	for (unsigned int i = 0; i < ws->nr; i++)
		if (streq(ws->list[i]->name, name))
			return ws->list[i];
	return NULL;
}

void agentcg_worker_name(struct manager *m, const char *command, char name[AGENTCG_WORKER_NAME_MAX + 1])
{
	const char *base = strrchr(command, '/');
	char stem[AGENTCG_WORKER_NAME_MAX - 3];

	snprintf(stem, sizeof(stem), "%s", base ? base + 1 : command);
	for (char *c = stem; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", *c))
			*c = '-';
	if (!agentcg_worker_name_valid(stem))
		snprintf(stem, sizeof(stem), "worker");
	strcpy(name, stem);
	for (unsigned int i = 2; agentcg_worker_find(m, name) && i < 100; i++)
		snprintf(name, AGENTCG_WORKER_NAME_MAX + 1, "%s-%u", stem, i);
}

/* ---- its processes ------------------------------------------------------ */

int agentcg_worker_processes(const struct worker *w, struct tree *ret)
{
	_cleanup_free_ char *text = NULL;
	char *save = NULL;
	ssize_t n;

	if (w->fd < 0)
		return agentcg_tree_read(w->pid, ret);
	text = malloc(64 * KIB);
	n = text ? agentcg_cgroup_read(w->fd, "cgroup.procs", text, 64 * KIB) : -ENOMEM;
	ret->nr = 0;
	for (char *p = n > 0 ? strtok_r(text, "\n", &save) : NULL; p && ret->nr < AGENTCG_TREE_MAX; p = strtok_r(NULL, "\n", &save))
		ret->pids[ret->nr++] = (pid_t)strtol(p, NULL, 10);
	return n < 0 ? (int)n : 0;
}

/* What a process executes, as a number. */
static uint64_t program_of(pid_t pid)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_ino ^ (uint64_t)st.st_dev << 32;
}

/* Parents first, for children are born where their parent is; and again for those that came meanwhile. */
static int move_in(struct worker *w, const char **step)
{
	struct tree *t = malloc(sizeof(*t));
	int r = t ? agentcg_cgroup_attach(w->fd, w->pid) : -ENOMEM;

	*step = "move it into its group";
	for (int look = 0; !r && w->adopted && look < 4; look++) {
		if (agentcg_tree_read(w->pid, t) < 0)
			break;
		for (size_t i = 0; i < t->nr; i++)
			(void)agentcg_cgroup_attach(w->fd, t->pids[i]);
	}
	free(t);
	return r;
}

static int move_all(struct worker *w, int to)
{
	struct tree *t = malloc(sizeof(*t));
	int r = t ? 0 : -ENOMEM;

	for (int look = 0; !r && look < 4; look++) {
		r = agentcg_worker_processes(w, t);
		if (r < 0 || !t->nr)
			break;
		for (size_t i = 0; !r && i < t->nr; i++) {
			r = agentcg_cgroup_attach(to, t->pids[i]);
			if (r == -ESRCH)
				r = 0;
		}
	}
	free(t);
	return r;
}

/* Back to where the first came from, or to the root of all groups, where processes always may be. */
static int move_home(struct worker *w, char *why)
{
	struct slice *s = &w->m->workers->slice;
	_cleanup_close_ int home = -1;
	int r;

	if (agentcg_cgroup_populated(w->fd) <= 0)
		return 0;
	if (w->from && w->from[0] == '/' && w->from[1] && !startswith(w->from, s->path))
		home = agentcg_cgroup_open(s->above[0].fd, w->from + 1);
	r = home >= 0 ? move_all(w, home) : -ENOENT;
	if (r < 0)
		r = move_all(w, s->above[0].fd);
	if (!r && agentcg_cgroup_populated(w->fd) > 0)
		return agentcg_why(-EBUSY, why, "some of its processes are in groups of their own below %s/" AGENTCG_WORKER_PREFIX "%s; end them",
				   s->path, w->name);
	return r < 0 ? agentcg_why(r, why, "its processes cannot leave its group: %s; end it with --kill", strerror(-r)) : 0;
}

/* ---- CPUs and memory ---------------------------------------------------- */

static void on_moved(int error, void *userdata)
{
	struct worker *w = userdata;
	char text[AGENTCG_CPUS_TEXT_MAX];

	w->mover = agentcg_mover_free(w->mover);
	if (error < 0)
		agentcg_log(LOG_WARNING, "GPU worker %s: not all of its memory could be moved to node %s: %s", w->name,
			    cpus_format(&w->place.mems, text), strerror(-error));
	else
		agentcg_log(LOG_DEBUG, "GPU worker %s: its memory is at node %s", w->name, cpus_format(&w->place.mems, text));
}

/*
 * By its group where that binds it.  Who moves its pages holds its mmap_lock, as its own threads do: with a tool
 * call's share of a CPU, it would hold them up for as long.
 */
static int move_memory(struct worker *w, const struct cpus *mems)
{
	bool group = w->fd >= 0 && w->m->workers->slice.can_cpuset;
	struct tree *t = calloc(1, sizeof(*t));
	int r = t ? 0 : -ENOMEM;

	w->mover = agentcg_mover_free(w->mover);
	if (!r && !group)
		r = agentcg_worker_processes(w, t);
	if (!r)
		r = agentcg_mover_start(w->m->event, group ? w->fd : -1, t->pids, t->nr, mems, on_moved, w, &w->mover);
	if (!r)
		(void)agentcg_scheduler_set_gpu(w->m->scheduler, agentcg_mover_pid(w->mover), true);
	free(t);
	return r;
}

/* Where no group binds them. */
static int bind_processes(struct worker *w, const struct cpus *cpus)
{
	struct tree *t = malloc(sizeof(*t));
	int r = t ? agentcg_worker_processes(w, t) : -ENOMEM;

	for (size_t i = 0; !r && i < t->nr; i++) {
		r = agentcg_bind_threads(t->pids[i], cpus);
		if (r == -ESRCH)
			r = 0;
	}
	free(t);
	return r;
}

int agentcg_worker_bind(struct worker *w, const struct placement *place)
{
	struct slice *s = &w->m->workers->slice;
	/* It has nothing yet: one that starts allocates there from the first page on, one that runs is moved afterwards. */
	bool fresh = cpus_empty(&w->place.cpus), move = !cpus_equal(&w->place.mems, &place->mems);
	int r = 0;

	if (!cpus_equal(&w->place.cpus, &place->cpus)) {
		if (w->fd >= 0 && s->can_cpuset)
			r = agentcg_slice_bind(s, w->fd, &place->cpus, fresh && !w->adopted ? &place->mems : NULL);
		else if (!fresh)
			r = bind_processes(w, &place->cpus);
	}
	if (!r && move && !fresh)
		r = move_memory(w, &place->mems);
	if (r < 0)
		return r;
	w->place = *place;
	w->wish.before = place->cpus;
	return fresh ? 0 : agentcg_worker_save(w);
}

uint64_t agentcg_worker_protection(uint64_t said, uint64_t in_force, uint64_t current)
{
	if (said)
		return said;
	/* Up at once, down when it is worth while. */
	if (current <= in_force && current >= in_force - in_force / 4)
		return in_force;
	return (current + PROTECT_STEP - 1) / PROTECT_STEP * PROTECT_STEP;
}

uint64_t agentcg_worker_taken(const struct worker *w)
{
	return w->min + w->uncharged + (w->huge.got == UINT64_MAX ? 0 : w->huge.got * w->huge.page);
}

/* ---- state -------------------------------------------------------------- */

static void begin_parts(struct worker *w)
{
	const struct worker_part *part;

	for (size_t i = 0; (part = agentcg_worker_part(i)); i++)
		if (part->begin)
			part->begin(w);
	w->told = true;
}

static void end_parts(struct worker *w)
{
	const struct worker_part *part;

	for (size_t i = 0; w->told && (part = agentcg_worker_part(i)); i++)
		if (part->end)
			part->end(w);
	w->told = false;
}

void agentcg_worker_set_state(struct worker *w, enum worker_state state, const char *reason)
{
	static const char *const names[] = { "starting", "running", "hung", "without its GPU", "gone" };
	const struct worker_part *part;
	bool changed = w->state != state;

	w->state = state;
	agentcg_why(0, w->reason, "%s", reason ?: "");
	if (!changed)
		return;
	agentcg_log(state == WORKER_HUNG || state == WORKER_GPU_LOST ? LOG_WARNING : LOG_INFO, "GPU worker %s is %s%s%s", w->name,
		    names[state], *w->reason ? ": " : "", w->reason);
	if (state != WORKER_GONE)
		(void)agentcg_worker_save(w);
	for (size_t i = 0; (part = agentcg_worker_part(i)); i++)
		if (part->state)
			part->state(w);
}

/* ---- engine ------------------------------------------------------------- */

/* As it was executed with; the kernel gives a page at a time. */
static ssize_t read_environment(pid_t pid, char text[ENVIRONMENT_MAX])
{
	_cleanup_close_ int fd = -1;
	ssize_t n, size = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && size < ENVIRONMENT_MAX && (n = read(fd, text + size, (size_t)(ENVIRONMENT_MAX - size))) > 0)
		size += n;
	return size;
}

static bool guess_engine(struct worker *w, pid_t pid)
{
	struct engine_guess guess = {};
	_cleanup_free_ char *environment = malloc(ENVIRONMENT_MAX);
	char args[4096], title[32] = "", path[64];
	_cleanup_close_ int fd = -1, comm = -1;
	ssize_t n, size;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, args, sizeof(args) - 1);
	if (n <= 0)
		return false;
	args[n] = 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	comm = open(path, O_RDONLY | O_CLOEXEC);
	if (comm >= 0 && read(comm, title, sizeof(title) - 1) > 0)
		title[strcspn(title, "\n")] = 0;
	size = environment ? read_environment(pid, environment) : 0;
	agentcg_engine_guess_all(args, (size_t)n, title, environment ?: "", (size_t)size, &guess);
	if (guess.kind == ENGINE_UNKNOWN || guess.helper)
		return false;
	w->engine = guess.kind;
	if (!w->url_said && guess.port)
		snprintf(w->url, sizeof(w->url), "http%s://%s:%u", guess.tls ? "s" : "", guess.host, guess.port);
	return true;
}

/* The first process may be a shell. */
static bool find_engine(struct worker *w)
{
	struct tree *t = malloc(sizeof(*t));
	bool found = false;

	if (t && agentcg_worker_processes(w, t) >= 0)
		for (size_t i = 0; !found && i < t->nr; i++)
			found = guess_engine(w, t->pids[i]);
	free(t);
	return found;
}

/* It executes something else than when it asked; or has had time to, should that be the same program. */
static bool has_begun(const struct worker *w)
{
	uint64_t program = w->start ? 0 : program_of(w->pid);

	return program && (program != w->launcher || now_usec(CLOCK_MONOTONIC) - w->began_usec > BEGIN_USEC);
}

/* Pages that its processes have mapped. */
static uint64_t mapped(const struct worker *w)
{
	struct tree *t = malloc(sizeof(*t));
	uint64_t sum = 0;

	for (size_t i = 0; t && (i || agentcg_worker_processes(w, t) >= 0) && i < t->nr; i++) {
		_cleanup_fclose_ FILE *f = NULL;
		unsigned long pages;
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/statm", t->pids[i]);
		f = fopen(path, "re");
		if (f && fscanf(f, "%*u %lu", &pages) == 1)
			sum += pages;
	}
	free(t);
	return sum;
}

/*
 * Files that it maps may have been read before, to another node.  `agentcg gpu run` has fetched those that its command names
 * (cli/near.h); those that it loads later are fetched at once and some times more, while it loads: as long as it has more mapped than
 * the last time, for a sweep is not free.
 */
static void sweep(struct worker *w)
{
	static const uint64_t after[] = { 0, 1, 3, 8, 15, 30, 60, 120, 300 };	/* seconds */
	uint64_t age = now_usec(CLOCK_MONOTONIC) - w->began_usec, pages;

	if (w->mover || w->swept == ARRAY_SIZE(after) || age < after[w->swept] * USEC_PER_SEC)
		return;
	w->swept++;
	pages = mapped(w);
	if (w->swept > 1 && pages <= w->swept_pages + w->swept_pages / SWEEP_PART)
		return;
	w->swept_pages = pages;
	(void)move_memory(w, &w->place.mems);
}

/* By maps, for smaps would hold up the worker's own page faults; an engine pins early and for long. */
static void measure_pinned(struct worker *w)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	struct tree *t = malloc(sizeof(*t));
	struct pinned sum = {};

	if (t && now >= w->pinned_due && agentcg_worker_processes(w, t) >= 0) {
		for (size_t i = 0; i < t->nr; i++)
			(void)agentcg_pinned_read("/proc", t->pids[i], false, &sum);
		w->pinned = agentcg_pinned_total(&sum);
		w->uncharged = agentcg_pinned_uncharged(&sum);
		w->pinned_due = now + PINNED_USEC;
	}
	free(t);
}

void agentcg_worker_look(struct worker *w)
{
	if (w->state == WORKER_STARTING && has_begun(w))
		agentcg_worker_set_state(w, WORKER_RUNNING, NULL);
	if (w->state == WORKER_STARTING || w->state == WORKER_GONE)
		return;
	if (w->engine == ENGINE_UNKNOWN && find_engine(w))
		end_parts(w);	/* they are to know of it */
	if (!w->told)
		begin_parts(w);
	agentcg_feed_look(w);
	measure_pinned(w);
	sweep(w);
}

/* ---- its end ------------------------------------------------------------ */

static void give_back(struct worker *w)
{
	struct workers *ws = w->m->workers;
	char why[AGENTCG_WHY_MAX];
	int r;

	end_parts(w);
	agentcg_feed_done(w);
	w->events = sd_event_source_disable_unref(w->events);
	w->mover = agentcg_mover_free(w->mover);
	agentcg_irqs_give(&w->irqs);
	r = agentcg_huge_give(AGENTCG_SYSFS, &w->huge);
	if (r < 0)
		agentcg_log(LOG_WARNING, "GPU worker %s: cannot give back its huge pages: %s", w->name, strerror(-r));
	agentcg_workers_remove(ws, w);
	if (w->fd >= 0) {
		(void)agentcg_cgroup_write_u64(w->fd, "memory.min", 0);
		r = agentcg_slice_drop(&ws->slice, w->name);
		if (r < 0)
			agentcg_log(LOG_WARNING, "cannot remove the group of GPU worker %s: %s", w->name, strerror(-r));
	}
	if (agentcg_workers_place(ws, why) < 0)
		agentcg_log(LOG_WARNING, "GPU workers keep the cores that they have: %s", why);
	agentcg_workers_protect(ws);
}

/* All its processes have ended. */
static void gone(struct worker *w)
{
	agentcg_worker_set_state(w, WORKER_GONE, NULL);
	give_back(w);
	agentcg_worker_free(w);
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct worker *w = userdata;
	char text[128];
	uint64_t populated;

	if (pread(fd, text, sizeof(text), 0) < 0 || agentcg_cgroup_read_key(w->fd, "cgroup.events", "populated", &populated) < 0)
		return 0;
	if (!populated)
		gone(w);
	return 0;
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	gone(userdata);
	return 0;
}

/* The group's last process, or without a group its first. */
static int watch(struct worker *w)
{
	char text[128];
	int fd, r;

	if (w->fd < 0)
		return sd_event_add_io(w->m->event, &w->events, w->pidfd, EPOLLIN, on_pidfd, w);
	fd = openat(w->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* What it says now is no event. */
	if (pread(fd, text, sizeof(text), 0) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	r = sd_event_add_io(w->m->event, &w->events, fd, EPOLLPRI, on_events, w);
	if (r < 0) {
		close(fd);
		return r;
	}
	return sd_event_source_set_io_fd_own(w->events, true);
}

int agentcg_worker_end(struct worker *w, char *why)
{
	struct workers *ws = w->m->workers;
	int r = 0;

	if (w->fd >= 0)
		r = move_home(w, why);
	if (r < 0)
		return r;
	if (w->fd < 0 || !ws->slice.can_cpuset)
		(void)bind_processes(w, &ws->topology.online);
	agentcg_worker_set_state(w, WORKER_GONE, "it was ended, its processes go on");
	give_back(w);
	agentcg_worker_free(w);
	return 0;
}

static int on_not_ended(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct worker *w = userdata;

	agentcg_log(LOG_WARNING, "GPU worker %s was killed and has not ended: it keeps nothing but its group", w->name);
	gone(w);
	return 0;
}

int agentcg_worker_kill(struct worker *w, char *why)
{
	struct tree *t = malloc(sizeof(*t));
	int r = t ? 0 : -ENOMEM;

	if (!r && w->fd >= 0)
		r = agentcg_cgroup_kill(w->fd);
	else if (!r)
		r = agentcg_worker_processes(w, t);
	for (size_t i = 0; !r && w->fd < 0 && i < t->nr; i++)
		(void)kill(t->pids[i], SIGKILL);
	free(t);
	if (!r && !w->killed)
		r = sd_event_add_time_relative(w->m->event, &w->killed, CLOCK_MONOTONIC, KILL_USEC, 0, on_not_ended, w);
	return r < 0 ? agentcg_why(r, why, "cannot kill it: %s", strerror(-r)) : 0;
}

struct worker *agentcg_worker_free(struct worker *w)
{
	if (!w)
		return NULL;
	end_parts(w);
	agentcg_worker_start_free(w->start);
	sd_event_source_disable_unref(w->killed);
	sd_event_source_disable_unref(w->events);
	agentcg_mover_free(w->mover);
	free(w->feed);
	free(w->adapter);
	agentcg_closep(&w->fd);
	agentcg_closep(&w->pidfd);
	free(w->from);
	free(w);
	return NULL;
}

/* ---- its beginning ------------------------------------------------------ */

static struct worker *alloc_worker(struct manager *m, const char *name)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->m = m;
	w->fd = -1;
	w->pidfd = -1;
	w->wish.node = AGENTCG_NODE_UNKNOWN;
	w->began_usec = now_usec(CLOCK_MONOTONIC);
	snprintf(w->name, sizeof(w->name), "%s", name);
	return w;
}

/* Those that share a node's cores. */
static unsigned int gpus_at(const struct gpus *g, int node)
{
	unsigned int n = 0;

	for (unsigned int i = 0; node >= 0 && i < g->nr; i++)
		n += !g->list[i].mig && agentcg_topology_pci_node(AGENTCG_SYSFS, g->list[i].pci) == node;
	return n;
}

static void take_wish(struct worker *w, const struct worker_wish *wish)
{
	w->role = wish->role;
	w->priority = wish->priority;
	w->memory = wish->memory;
	w->huge_pages = wish->huge_pages;
	w->mps_share = wish->mps_share;
	w->adopted = wish->attach;
	w->state = wish->attach ? WORKER_RUNNING : WORKER_STARTING;
	w->url_said = *wish->url;
	strcpy(w->url, wish->url);
	memcpy(w->gpus, wish->gpus, sizeof(w->gpus));
	w->nr_gpus = wish->nr_gpus;
	w->wish = (struct place_wish){
		.cores = wish->cores, .node = wish->node, .priority = wish->priority,
		.gpus = wish->nr_gpus, .gpus_at_node = gpus_at(&w->m->workers->gpus, wish->node),
	};
}

/* The group, with its record: from here on another daemon can give back what this one did. */
static int make_group(struct worker *w, char *why)
{
	struct slice *s = &w->m->workers->slice;
	int r;

	if (!s->nr_above)
		return 0;
	r = agentcg_slice_make(s, why);
	if (r < 0)
		return r;
	r = agentcg_cgroup_of_pid(w->pid, &w->from);
	if (!r)
		r = agentcg_slice_add(s, w->name, &w->fd);
	if (!r)
		r = agentcg_cgroup_id(w->fd, &w->id);
	if (!r)
		r = agentcg_worker_save(w);
	return r < 0 ? agentcg_why(r, why, "cannot make its group: %s", strerror(-r)) : 0;
}

static void take_huge_pages(struct worker *w, struct notes *notes)
{
	int r;

	if (!w->huge_pages)
		return;
	r = agentcg_huge_plan(AGENTCG_SYSFS, &w->huge, w->place.node, w->huge_pages);
	if (!r)
		r = agentcg_worker_save(w);
	if (!r)
		r = agentcg_huge_take(AGENTCG_SYSFS, &w->huge);
	if (r < 0)
		agentcg_note(notes, "no huge pages: %s", strerror(-r));
	else if (w->huge.got < w->huge.want)
		agentcg_note(notes, "%s of huge pages, not %s: that is what the node has in one piece", SIZE(w->huge.got * w->huge.page),
			     SIZE(w->huge.want * w->huge.page));
}

static void move_interrupts(struct worker *w, struct notes *notes)
{
	const struct gpus *g = &w->m->workers->gpus;
	unsigned int moved;

	if (!w->m->policy.gpu.move_interrupts)
		return;
	for (unsigned int i = 0; i < w->nr_gpus; i++) {
		const struct gpu *gpu = agentcg_gpus_find(g, w->gpus[i]);

		if (gpu)
			(void)agentcg_irqs_plan(AGENTCG_SYSFS, &w->irqs, gpu->pci);
	}
	if (!w->irqs.nr || agentcg_worker_save(w) < 0)
		return;
	moved = agentcg_irqs_move(&w->irqs, &w->place.cpus);
	if (moved < w->irqs.nr)
		agentcg_note(notes, "%u of %zu interrupts moved; the kernel places the others itself", moved, w->irqs.nr);
}

/* What is left when it has its place. */
static int settle(struct worker *w, struct notes *notes, char *why)
{
	const char *step = "protect its memory";
	int r = 0;

	agentcg_workers_protect(w->m->workers);
	take_huge_pages(w, notes);
	if (w->fd >= 0)
		r = move_in(w, &step);
	if (!r && w->adopted && (w->fd < 0 || !w->m->workers->slice.can_cpuset)) {
		step = "bind it to its CPUs";
		r = bind_processes(w, &w->place.cpus);
	}
	if (!r && w->adopted) {
		step = "move its memory";
		r = move_memory(w, &w->place.mems);
	}
	if (!r) {
		step = "watch it";
		r = watch(w);
	}
	if (r < 0)
		return agentcg_why(r, why, "cannot %s: %s", step, strerror(-r));
	move_interrupts(w, notes);
	return agentcg_worker_save(w);
}

int agentcg_worker_new(struct manager *m, const struct worker_wish *wish, uid_t uid, int pidfd, pid_t pid,
		       struct notes *notes, struct worker **ret, char *why)
{
	struct worker *w = alloc_worker(m, wish->name);
	int r = w ? 0 : -ENOMEM;

	if (r < 0 || agentcg_worker_find(m, wish->name)) {
		close(pidfd);
		free(w);
		return r ?: agentcg_why(-EEXIST, why, "there is a worker '%s' already; give another name", wish->name);
	}
	take_wish(w, wish);
	w->uid = uid;
	w->pidfd = pidfd;
	w->pid = pid;
	w->launcher = wish->attach ? 0 : program_of(pid);
	r = make_group(w, why);
	if (!r)
		r = agentcg_workers_add(m->workers, w);
	if (r == -ENOSPC)
		(void)agentcg_why(r, why, "there are %d workers already", AGENTCG_WORKERS_MAX);
	if (!r)
		r = agentcg_workers_place(m->workers, why);
	if (!r)
		r = settle(w, notes, why);
	if (r < 0) {
		if (w->fd >= 0)
			(void)move_home(w, NULL);
		give_back(w);
		agentcg_worker_free(w);
		return r;
	}
	agentcg_log(LOG_INFO, "GPU worker %s: %s", w->name, w->place.why);
	if (w->adopted)
		agentcg_worker_look(w);
	*ret = w;
	return 0;
}

int agentcg_worker_adopt(struct manager *m, const char *name)
{
	struct worker *w = alloc_worker(m, name);
	int r = w ? agentcg_slice_open(&m->workers->slice, name, &w->fd) : -ENOMEM;

	if (!r)
		r = agentcg_cgroup_id(w->fd, &w->id);
	if (!r)
		r = agentcg_worker_load(w);
	if (!r)
		r = agentcg_workers_add(m->workers, w);
	if (r < 0) {
		agentcg_worker_free(w);
		return r;
	}
	agentcg_why(0, w->place.why, "as an earlier daemon has placed it");
	if (agentcg_cgroup_read_u64(w->fd, "memory.min", &w->min) < 0)
		w->min = 0;
	w->pidfd = pidfd_open(w->pid, 0);
	/* It may have ended, or never have come in. */
	if (agentcg_cgroup_populated(w->fd) <= 0)
		gone(w);
	else
		r = watch(w);
	return r;
}

int agentcg_worker_adjust(struct worker *w, const struct place_wish *wish, uint64_t memory, char *why)
{
	struct place_wish before = w->wish;
	int r;

	w->wish = *wish;
	w->wish.before = before.before;
	r = agentcg_workers_place(w->m->workers, why);
	if (r < 0) {
		w->wish = before;
		return r;
	}
	w->priority = wish->priority;
	w->memory = memory;
	agentcg_workers_protect(w->m->workers);
	if (w->irqs.nr)
		(void)agentcg_irqs_move(&w->irqs, &w->place.cpus);
	return agentcg_worker_save(w);
}
