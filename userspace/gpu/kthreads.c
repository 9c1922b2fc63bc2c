// SPDX-License-Identifier: GPL-2.0-only
#include "kthreads.h"

#include <dirent.h>
#include <inttypes.h>

#include "bind.h"
#include "json.h"

/* Of the kernel's include/linux/sched.h. */
#define PF_KTHREAD		0x00200000
#define PF_NO_SETAFFINITY	0x04000000

/* Whether it is a kernel thread that may be moved, and when it began. */
static bool is_movable(pid_t pid, uint64_t *start)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[512], *end;
	unsigned int flags;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	end = f && fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	/* Fields 9 and 22 of proc_pid_stat(5). */
	if (!end || sscanf(end, ") %*c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64, &flags, start) != 2)
		return false;
	return (flags & PF_KTHREAD) && !(flags & PF_NO_SETAFFINITY);
}

static int read_allowed(pid_t pid, struct cpus *ret)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[AGENTCG_CPUS_TEXT_MAX];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		const char *list = startswith(line, "Cpus_allowed_list:");

		if (list)
			return cpus_parse(list, ret);
	}
	return -ESRCH;
}

static bool knows(const struct kthreads *k, pid_t pid, uint64_t start)
{
	for (size_t i = 0; i < k->nr; i++)
		if (k->list[i].pid == pid && k->list[i].start == start)
			return true;
	return false;
}

size_t agentcg_kthreads_find(struct kthreads *k, const struct cpus *cpus)
{
	DIR *dir = opendir("/proc");
	size_t found = 0;

	for (struct dirent *d; dir && (d = readdir(dir));) {
		struct kthread t = { .pid = (pid_t)strtol(d->d_name, NULL, 10) };

		if (k->nr == AGENTCG_KTHREADS_MAX)
			break;
		if (t.pid <= 0 || !is_movable(t.pid, &t.start) || knows(k, t.pid, t.start) || read_allowed(t.pid, &t.before) < 0 ||
		    (cpus && !cpus_intersect(&t.before, cpus)))
			continue;
		k->list[k->nr++] = t;
		found++;
	}
	if (dir)
		closedir(dir);
	return found;
}

void agentcg_kthreads_apply(struct kthreads *k, const struct cpus *cpus)
{
	size_t n = 0;

	for (size_t i = 0; i < k->nr; i++) {
		struct kthread *t = &k->list[i];
		struct cpus to = t->before;
		uint64_t start;

		if (!is_movable(t->pid, &start) || start != t->start)
			continue;	/* it has ended */
		cpus_andnot(&to, cpus);
		/* One that belongs to a node of which all is taken: anywhere else. */
		for (unsigned int c = 0; cpus_empty(&to) && c < (unsigned int)sysconf(_SC_NPROCESSORS_CONF); c++)
			if (!cpus_has(cpus, c))
				cpus_add(&to, c);
		(void)agentcg_bind_threads(t->pid, &to);
		k->list[n++] = *t;
	}
	k->nr = cpus_empty(cpus) ? 0 : n;
}

int agentcg_kthreads_build(const struct kthreads *k, sd_json_variant **ret)
{
	char text[AGENTCG_CPUS_TEXT_MAX];
	int r = sd_json_variant_new_array(ret, NULL, 0);

	for (size_t i = 0; r >= 0 && i < k->nr; i++)
		r = sd_json_variant_append_arraybo(ret,
			SD_JSON_BUILD_PAIR_UNSIGNED("pid", (uint64_t)k->list[i].pid),
			SD_JSON_BUILD_PAIR_UNSIGNED("start", k->list[i].start),
			SD_JSON_BUILD_PAIR_STRING("cpus", cpus_format(&k->list[i].before, text)));
	return r;
}

void agentcg_kthreads_load(struct kthreads *k, sd_json_variant *v)
{
	size_t n = v ? sd_json_variant_elements(v) : 0;

	for (k->nr = 0; k->nr < n && k->nr < AGENTCG_KTHREADS_MAX; k->nr++) {
		sd_json_variant *one = sd_json_variant_by_index(v, k->nr);
		struct kthread *t = &k->list[k->nr];

		t->pid = (pid_t)agentcg_json_u64(one, "pid");
		t->start = agentcg_json_u64(one, "start");
		(void)cpus_parse(agentcg_json_string(one, "cpus") ?: "", &t->before);
	}
}
