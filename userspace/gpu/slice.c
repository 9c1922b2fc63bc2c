// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel facts this rests on (kernel/cgroup/cpuset.c, 6.12 to 7.3): a group becomes a
 * partition root if its exclusive CPUs are free of those of its siblings and leave some to
 * the rest; what is wrong otherwise is read back from cpuset.cpus.partition; what has
 * grown above must have grown there first.
 */
#include "slice.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <systemd/sd-json.h>

#include "cgroup.h"
#include "json.h"
#include "log.h"

#define PARTITION	"cpuset.cpus.partition"
#define EXCLUSIVE	"cpuset.cpus.exclusive"

/* ---- what is above ------------------------------------------------------ */

static int add_above(struct slice *s, int fd)
{
	if (fd < 0)
		return fd;
	if (s->nr_above == AGENTCG_SLICE_DEPTH) {
		close(fd);
		return -ENAMETOOLONG;
	}
	s->above[s->nr_above++] = (struct slice_above){ .fd = fd };
	return 0;
}

static void close_above(struct slice *s)
{
	while (s->nr_above)
		close(s->above[--s->nr_above].fd);
}

int agentcg_slice_init(struct slice *s, const char *mount, const char *root, const char *why)
{
	_cleanup_free_ char *copy = root ? strdup(root) : NULL;
	char *save = NULL;
	int r;

	*s = (struct slice){ .fd = -1 };
	if (!root) {
		agentcg_why(0, s->reason, "%s", why);
		return 0;
	}
	if (!copy || asprintf(&s->path, "%s/" AGENTCG_GPU_SLICE, root) < 0)
		return -ENOMEM;
	r = add_above(s, agentcg_cgroup_open(AT_FDCWD, mount));
	for (char *name = strtok_r(copy, "/", &save); name && !r; name = strtok_r(NULL, "/", &save))
		r = add_above(s, agentcg_cgroup_open(s->above[s->nr_above - 1].fd, name));
	if (r < 0) {
		close_above(s);
		return r;
	}
	s->can_cpuset = agentcg_cgroup_has(s->above[0].fd, "cpuset");
	if (!s->can_cpuset)
		agentcg_why(0, s->reason, "cgroup v2 has no cpuset controller here: workers are bound to their CPUs, but others may run there too");
	return 0;
}

void agentcg_slice_done(struct slice *s)
{
	close_above(s);
	agentcg_closep(&s->fd);
	s->fd = -1;
	free(s->path);
	s->path = NULL;
}

static int read_cpus(int fd, const char *file, struct cpus *ret)
{
	char text[AGENTCG_CPUS_TEXT_MAX];
	ssize_t n = agentcg_cgroup_read(fd, file, text, sizeof(text));

	*ret = (struct cpus){};
	return n < 0 ? (int)n : cpus_parse(text, ret);
}

static int write_cpus(int fd, const char *file, const struct cpus *cpus)
{
	char text[AGENTCG_CPUS_TEXT_MAX];

	/* A write of nothing is none: the set is emptied by a line. */
	return agentcg_cgroup_write(fd, file, cpus_empty(cpus) ? "\n" : cpus_format(cpus, text));
}

static bool hands_down(int fd, const char *controller)
{
	char text[256], *save = NULL;

	if (agentcg_cgroup_read(fd, "cgroup.subtree_control", text, sizeof(text)) < 0)
		return false;
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		if (streq(word, controller))
			return true;
	return false;
}

/* ---- its memory --------------------------------------------------------- */

static int save(struct slice *s)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL, *kthreads = NULL, *v = NULL;
	char text[AGENTCG_CPUS_TEXT_MAX];
	_cleanup_free_ char *note = NULL;
	int r = agentcg_kthreads_build(&s->kthreads, &kthreads);

	for (unsigned int i = 0; r >= 0 && i < s->nr_above; i++)
		r = sd_json_variant_append_arraybo(&list,
			SD_JSON_BUILD_PAIR_BOOLEAN("cpuset", s->above[i].had_cpuset),
			SD_JSON_BUILD_PAIR_UNSIGNED("min", s->above[i].min),
			SD_JSON_BUILD_PAIR_STRING("exclusive", cpus_format(&s->above[i].exclusive, text)));
	if (r >= 0)
		r = sd_json_buildo(&v, SD_JSON_BUILD_PAIR_VARIANT("above", list), SD_JSON_BUILD_PAIR_VARIANT("kthreads", kthreads));
	if (r >= 0)
		r = sd_json_variant_format(v, 0, &note);
	return r < 0 ? r : agentcg_cgroup_set_note(s->fd, note);
}

static int load(struct slice *s)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_free_ char *note = NULL;
	sd_json_variant *list;
	int r = agentcg_cgroup_get_note(s->fd, &note);

	if (r >= 0)
		r = sd_json_parse(note, SD_JSON_PARSE_MUST_BE_OBJECT, &v, NULL, NULL);
	if (r < 0)
		return r;
	list = sd_json_variant_by_key(v, "above");
	if (!list || sd_json_variant_elements(list) != s->nr_above)
		return -EBADMSG;
	for (unsigned int i = 0; i < s->nr_above; i++) {
		sd_json_variant *one = sd_json_variant_by_index(list, i), *had = sd_json_variant_by_key(one, "cpuset");

		s->above[i].had_cpuset = had && sd_json_variant_is_boolean(had) && sd_json_variant_boolean(had);
		s->above[i].min = agentcg_json_u64(one, "min");
		(void)cpus_parse(agentcg_json_string(one, "exclusive") ?: "", &s->above[i].exclusive);
	}
	agentcg_kthreads_load(&s->kthreads, sd_json_variant_by_key(v, "kthreads"));
	return 0;
}

/* The files of the mount's root are for what is below alone. */
static void look_above(struct slice *s)
{
	for (unsigned int i = 0; i < s->nr_above; i++) {
		struct slice_above *a = &s->above[i];

		a->had_cpuset = hands_down(a->fd, "cpuset");
		if (i && agentcg_cgroup_read_u64(a->fd, "memory.min", &a->min) < 0)
			a->min = 0;
		if (i)
			(void)read_cpus(a->fd, EXCLUSIVE, &a->exclusive);
	}
}

/* ---- making and removing ------------------------------------------------ */

static int open_slice(struct slice *s)
{
	s->fd = agentcg_cgroup_open(s->above[s->nr_above - 1].fd, AGENTCG_GPU_SLICE);
	return s->fd < 0 ? s->fd : 0;
}

static int enable(struct slice *s, char *why)
{
	int r = 0;

	for (unsigned int i = 0; !r && s->can_cpuset && i < s->nr_above; i++)
		r = agentcg_cgroup_enable(s->above[i].fd, "cpuset");
	if (!r && s->can_cpuset)
		r = agentcg_cgroup_enable(s->fd, "cpuset");
	if (r < 0) {
		s->can_cpuset = false;
		agentcg_why(0, s->reason, "the cpuset controller cannot be handed down to %s (%s): workers are bound to their CPUs, but others may run there too",
			    s->path, strerror(-r));
	}
	r = agentcg_cgroup_enable(s->fd, "memory");
	if (r < 0)
		return agentcg_why(r, why, "the memory controller cannot be handed down to %s: %s", s->path, strerror(-r));
	return 0;
}

int agentcg_slice_make(struct slice *s, char *why)
{
	int root, r;

	if (s->fd >= 0)
		return 0;
	root = s->above[s->nr_above - 1].fd;
	if (mkdirat(root, AGENTCG_GPU_SLICE, 0755) < 0 && errno != EEXIST)
		return agentcg_why(-errno, why, "cannot make the group %s: %s", s->path, strerror(errno));
	r = open_slice(s);
	if (!r) {
		look_above(s);
		r = save(s);
	}
	if (!r)
		return enable(s, why);
	agentcg_closep(&s->fd);
	s->fd = -1;
	unlinkat(root, AGENTCG_GPU_SLICE, AT_REMOVEDIR);
	return agentcg_why(r, why, "cannot make the group %s: %s", s->path, strerror(-r));
}

int agentcg_slice_adopt(struct slice *s)
{
	int r;

	if (!s->nr_above)
		return -ENOENT;
	r = open_slice(s);
	if (r < 0)
		return r;
	r = load(s);
	if (r < 0) {
		/* It is written before anything is changed. */
		agentcg_closep(&s->fd);
		s->fd = -1;
		r = agentcg_cgroup_remove(s->above[s->nr_above - 1].fd, AGENTCG_GPU_SLICE);
		return r < 0 ? r : -ENOENT;
	}
	(void)enable(s, NULL);
	(void)read_cpus(s->fd, EXCLUSIVE, &s->cpus);
	if (agentcg_cgroup_read_u64(s->fd, "memory.min", &s->min) < 0)
		s->min = 0;
	(void)agentcg_slice_check(s);
	return 0;
}

/* Somebody else has come to use it meanwhile. */
static bool is_used(int fd)
{
	int copy = agentcg_cgroup_open(fd, ".");
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	bool used = !dir;

	if (!dir) {
		agentcg_closep(&copy);
		return used;
	}
	for (struct dirent *d; !used && (d = readdir(dir));) {
		static const char *const files[] = { "cpuset.cpus", "cpuset.mems", EXCLUSIVE };
		char path[sizeof(d->d_name) + 32];
		struct cpus cpus;

		if (d->d_type != DT_DIR || *d->d_name == '.')
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
			snprintf(path, sizeof(path), "%s/%s", d->d_name, files[i]);
			used |= read_cpus(fd, path, &cpus) >= 0 && !cpus_empty(&cpus);
		}
	}
	closedir(dir);
	return used;
}

void agentcg_slice_remove(struct slice *s)
{
	static const struct cpus none;
	int r;

	if (s->fd < 0)
		return;
	(void)agentcg_slice_set_min(s, 0);
	if (s->can_cpuset && agentcg_slice_set_cpus(s, &none, NULL) < 0)
		agentcg_log(LOG_WARNING, "cannot give back the CPUs of %s", s->path);
	agentcg_slice_clear(s);
	r = agentcg_cgroup_remove(s->above[s->nr_above - 1].fd, AGENTCG_GPU_SLICE);
	if (r < 0) {
		agentcg_log(LOG_WARNING, "cannot remove %s: %s", s->path, strerror(-r));
		return;
	}
	agentcg_closep(&s->fd);
	s->fd = -1;
	for (unsigned int i = s->nr_above; s->can_cpuset && i-- > 0;)
		if (!s->above[i].had_cpuset && !is_used(s->above[i].fd))
			(void)agentcg_cgroup_write(s->above[i].fd, "cgroup.subtree_control", "-cpuset");
}

/* ---- CPUs --------------------------------------------------------------- */

static int write_above(struct slice *s, unsigned int i, const struct cpus *cpus)
{
	struct cpus all = s->above[i].exclusive;

	cpus_or(&all, cpus);
	return i ? write_cpus(s->above[i].fd, EXCLUSIVE, &all) : 0;
}

bool agentcg_slice_check(struct slice *s)
{
	char state[128];

	if (s->fd < 0 || !s->can_cpuset)
		return false;
	if (agentcg_cgroup_read(s->fd, PARTITION, state, sizeof(state)) < 0)
		snprintf(state, sizeof(state), "unknown");
	s->exclusive = streq(state, "root");
	if (s->exclusive)
		s->reason[0] = 0;
	else if (!cpus_empty(&s->cpus))
		agentcg_why(0, s->reason, "the kernel does not take the CPUs of workers away from others: cpuset.cpus.partition is %s", state);
	return s->exclusive;
}

static void become_partition(struct slice *s)
{
	int r;

	if (agentcg_slice_check(s))
		return;
	/* One that was refused is tried anew only from here. */
	(void)agentcg_cgroup_write(s->fd, PARTITION, "member");
	r = agentcg_cgroup_write(s->fd, PARTITION, "root");
	if (!agentcg_slice_check(s) && r < 0)
		agentcg_why(0, s->reason, "the kernel does not take the CPUs of workers away from others: %s", strerror(-r));
}

void agentcg_slice_clear(struct slice *s)
{
	static const struct cpus none;
	const struct cpus *off = s->exclusive ? &s->cpus : &none;

	if (s->fd < 0 || (cpus_empty(off) && !s->kthreads.nr))
		return;
	/* First noted, then moved. */
	if (!cpus_empty(off) && agentcg_kthreads_find(&s->kthreads, off) && save(s) < 0)
		return;
	agentcg_kthreads_apply(&s->kthreads, off);
	(void)save(s);
}

static int explain(struct slice *s, const struct cpus *cpus, int error, char *why)
{
	char text[AGENTCG_CPUS_TEXT_MAX];

	return agentcg_why(error, why, "the kernel refuses CPUs %s for %s: %s%s", cpus_format(cpus, text), s->path, strerror(-error),
			   error == -EINVAL ? "; another group has them as its own (see cpuset.cpus and cpuset.cpus.exclusive beside it)" : "");
}

int agentcg_slice_set_cpus(struct slice *s, const struct cpus *cpus, char *why)
{
	struct cpus both = s->cpus;
	int r = 0;

	if (s->fd < 0 || !s->can_cpuset)
		return 0;
	if (cpus_empty(&s->cpus) && !cpus_empty(cpus) && agentcg_kthreads_find(&s->kthreads, NULL))
		r = save(s);
	cpus_or(&both, cpus);
	for (unsigned int i = 0; !r && i < s->nr_above; i++)
		r = write_above(s, i, &both);
	if (!r && cpus_empty(cpus))
		(void)agentcg_cgroup_write(s->fd, PARTITION, "member");
	if (!r)
		r = write_cpus(s->fd, EXCLUSIVE, cpus);
	if (!r) {
		s->cpus = *cpus;
		if (!cpus_empty(cpus))
			become_partition(s);
		else
			s->exclusive = false;
	}
	/* Those above give back what is not wanted, or was not to be had. */
	for (unsigned int i = s->nr_above; i-- > 0;)
		(void)write_above(s, i, &s->cpus);
	return r < 0 ? explain(s, cpus, r, why) : 0;
}

/* ---- memory ------------------------------------------------------------- */

int agentcg_slice_set_min(struct slice *s, uint64_t bytes)
{
	int r = 0;

	if (s->fd < 0 || s->min == bytes)
		return 0;
	for (unsigned int i = 1; !r && i < s->nr_above; i++)
		r = agentcg_cgroup_write_u64(s->above[i].fd, "memory.min", s->above[i].min + bytes);
	if (!r)
		r = agentcg_cgroup_write_u64(s->fd, "memory.min", bytes);
	if (!r)
		s->min = bytes;
	return r;
}

/* ---- a worker's group --------------------------------------------------- */

static void dir_name(const char *worker, char buf[128])
{
	snprintf(buf, 128, AGENTCG_WORKER_PREFIX "%s", worker);
}

int agentcg_slice_add(struct slice *s, const char *worker, int *ret_fd)
{
	char dir[128];

	dir_name(worker, dir);
	if (mkdirat(s->fd, dir, 0755) < 0)
		return -errno;
	return agentcg_slice_open(s, worker, ret_fd);
}

int agentcg_slice_open(struct slice *s, const char *worker, int *ret_fd)
{
	char dir[128];

	dir_name(worker, dir);
	*ret_fd = agentcg_cgroup_open(s->fd, dir);
	return *ret_fd < 0 ? *ret_fd : 0;
}

int agentcg_slice_bind(struct slice *s, int fd, const struct cpus *cpus, const struct cpus *mems)
{
	int r = 0;

	if (fd < 0 || !s->can_cpuset)
		return 0;
	if (cpus)
		r = write_cpus(fd, "cpuset.cpus", cpus);
	if (!r && mems)
		r = write_cpus(fd, "cpuset.mems", mems);
	return r;
}

int agentcg_slice_drop(struct slice *s, const char *worker)
{
	char dir[128];

	dir_name(worker, dir);
	return s->fd < 0 ? 0 : agentcg_cgroup_remove(s->fd, dir);
}
