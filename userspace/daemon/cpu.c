// SPDX-License-Identifier: GPL-2.0-only
/*
 * As in kernel.c everything is pinned, the link last.  A link that is there
 * says less here: the kernel ends a scheduler that fails, and its link stays.
 */
#include "cpu.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "pins.h"
#include "sched.skel.h"
#include "scx.h"

#define LINK_NAME	"sched_ops"
#define NODES_SIZE	(AGENTCG_MAX_NODES * sizeof(struct agentcg_node))

enum pinned_map {
	MAP_NODES,
	MAP_SLOTS,
	MAP_WAKEUPS,
	MAP_COUNTERS,
	MAP_EXIT,
	MAP_EVENTS,
	NR_MAPS
};

/* Sizes that must match for pins to be usable; 0: any. */
static const struct {
	const char *pin;
	const char *name;
	uint32_t value_size;
} maps[NR_MAPS] = {
	[MAP_NODES] = { "sched-nodes", ".bss.nodes", NODES_SIZE },
	[MAP_SLOTS] = { "sched-node_slots", "node_slots", sizeof(uint32_t) },
	[MAP_WAKEUPS] = { "sched-wakeups", "wakeups", sizeof(struct agentcg_hist) },
	[MAP_COUNTERS] = { "sched-counters", "sched_counters", sizeof(uint64_t) },
	[MAP_EXIT] = { "sched-exit", "sched_exit", sizeof(struct agentcg_sched_exit) },
	[MAP_EVENTS] = { "sched-events", "sched_events", 0 },
};

enum pinned_prog {
	PROG_HINT,
	PROG_RESERVE,
	PROG_INJECT,
	NR_PROGS
};

static const struct {
	const char *pin;
	const char *name;
} progs[NR_PROGS] = {
	[PROG_HINT] = { "sched-hint", "hint" },
	[PROG_RESERVE] = { "sched-reserve", "reserve" },
	[PROG_INJECT] = { "sched-inject", "inject" },
};

struct cpu {
	int map_fd[NR_MAPS];
	int prog_fd[NR_PROGS];
	const struct agentcg_node *nodes;
	struct ring_buffer *ring;
	int nr_cpus;
};

/* ---- the pins ----------------------------------------------------------- */

static int open_map(struct cpu *c, int i)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	c->map_fd[i] = agentcg_pins_get(maps[i].pin);
	if (c->map_fd[i] < 0)
		return c->map_fd[i];
	if (bpf_map_get_info_by_fd(c->map_fd[i], &info, &len) < 0)
		return -errno;
	return maps[i].value_size && info.value_size != maps[i].value_size ? -ESTALE : 0;
}

static int on_record(void *userdata, void *data, size_t size)
{
	return 0;	/* that there is one is all that it says */
}

static int open_pins(struct cpu *c)
{
	int fd = agentcg_pins_get(LINK_NAME), r = 0;
	void *nodes;

	if (fd < 0)
		return fd;
	close(fd);	/* its pin keeps it */
	for (int i = 0; !r && i < NR_MAPS; i++)
		r = open_map(c, i);
	for (int i = 0; !r && i < NR_PROGS; i++) {
		c->prog_fd[i] = agentcg_pins_get(progs[i].pin);
		r = c->prog_fd[i] < 0 ? c->prog_fd[i] : 0;
	}
	if (r)
		return r;
	nodes = mmap(NULL, NODES_SIZE, PROT_READ, MAP_SHARED, c->map_fd[MAP_NODES], 0);
	if (nodes == MAP_FAILED)
		return -errno;
	c->nodes = nodes;
	c->ring = ring_buffer__new(c->map_fd[MAP_EVENTS], on_record, NULL, NULL);
	return c->ring ? 0 : -errno;
}

static struct cpu *new_cpu(void)
{
	struct cpu *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	memset(c->map_fd, -1, sizeof(c->map_fd));
	memset(c->prog_fd, -1, sizeof(c->prog_fd));
	c->nr_cpus = libbpf_num_possible_cpus();
	return c;
}

void agentcg_cpu_close(struct cpu *c)
{
	if (!c)
		return;
	ring_buffer__free(c->ring);
	if (c->nodes)
		munmap((void *)c->nodes, NODES_SIZE);
	for (int i = 0; i < NR_MAPS; i++)
		agentcg_closep(&c->map_fd[i]);
	for (int i = 0; i < NR_PROGS; i++)
		agentcg_closep(&c->prog_fd[i]);
	free(c);
}

static void closep(struct cpu **c)
{
	agentcg_cpu_close(*c);
}

/* ---- the end ------------------------------------------------------------ */

/*
 * A link that is only unpinned goes away some time later; detached it is over
 * when this returns, and another one can be loaded.
 */
void agentcg_cpu_unload(void)
{
	int fd = agentcg_pins_get(LINK_NAME);

	if (fd >= 0) {
		bpf_link_detach(fd);
		close(fd);
	}
	agentcg_pins_remove(true, LINK_NAME);
}

uint64_t agentcg_cpu_since(void)
{
	char path[AGENTCG_PIN_PATH_MAX];
	struct stat st;

	if (stat(agentcg_pins_path(path, LINK_NAME), &st) < 0)
		return 0;
	return (uint64_t)st.st_mtim.tv_sec * USEC_PER_SEC + (uint64_t)st.st_mtim.tv_nsec / NSEC_PER_USEC;
}

int agentcg_cpu_ended(struct agentcg_sched_exit *ret)
{
	_cleanup_close_ int fd = agentcg_pins_get(maps[MAP_EXIT].pin);
	uint32_t zero = 0;

	if (fd < 0 || bpf_map_lookup_elem(fd, &zero, ret))
		return -ENOENT;
	/* It is the kernel's text. */
	ret->reason[sizeof(ret->reason) - 1] = 0;
	ret->message[sizeof(ret->message) - 1] = 0;
	return ret->time ? 0 : -ENODATA;
}

/* ---- loading ------------------------------------------------------------ */

static bool has_member(const struct btf *btf, const struct btf_type *t, const char *name)
{
	const struct btf_member *m = btf_members(t);

	for (int i = 0; i < btf_vlen(t); i++)
		if (streq(btf__name_by_offset(btf, m[i].name_off), name))
			return true;
	return false;
}

/*
 * Callbacks that kernels got after 6.12: cgroup_set_bandwidth came in 6.17 and
 * cgroup_set_idle in 6.19.  Without them cpu.max and cpu.idle are not followed.
 */
static int fit_to_kernel(struct sched_bpf *skel)
{
	struct btf *btf = btf__load_vmlinux_btf();
	const struct btf_type *t;
	int id;

	if (!btf)
		return -errno;
	id = btf__find_by_name_kind(btf, "sched_ext_ops", BTF_KIND_STRUCT);
	if (id < 0) {
		btf__free(btf);
		return id;
	}
	t = btf__type_by_id(btf, (uint32_t)id);
	if (!has_member(btf, t, "cgroup_set_bandwidth"))
		skel->struct_ops.agentcg_sched->cgroup_set_bandwidth = NULL;
	if (!has_member(btf, t, "cgroup_set_idle"))
		skel->struct_ops.agentcg_sched->cgroup_set_idle = NULL;
	btf__free(btf);
	return 0;
}

static int pin_all(struct sched_bpf *skel)
{
	int r = 0;

	for (int i = 0; !r && i < NR_MAPS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, maps[i].name);

		r = map ? agentcg_pins_put(bpf_map__fd(map), maps[i].pin) : -ENOENT;
	}
	for (int i = 0; !r && i < NR_PROGS; i++) {
		struct bpf_program *prog = bpf_object__find_program_by_name(skel->obj, progs[i].name);

		r = prog ? agentcg_pins_put(bpf_program__fd(prog), progs[i].pin) : -ENOENT;
	}
	return r;
}

/* It runs from here on, before its link is pinned: who is killed in between ends it. */
static int attach(struct sched_bpf *skel)
{
	char path[AGENTCG_PIN_PATH_MAX];
	struct bpf_link *link;
	int r = pin_all(skel);

	if (r)
		return r;
	link = bpf_map__attach_struct_ops(skel->maps.agentcg_sched);
	if (!link)
		return -errno;
	r = bpf_link__pin(link, agentcg_pins_path(path, LINK_NAME));
	bpf_link__destroy(link);	/* if pinned, the pin holds it */
	return r;
}

static int load(void)
{
	int nr_cpus = libbpf_num_possible_cpus(), r;
	struct sched_bpf *skel;

	if (nr_cpus < 0)
		return nr_cpus;
	skel = sched_bpf__open();
	if (!skel)
		return -errno;
	skel->rodata->nr_cpus = (uint32_t)nr_cpus;
	r = bpf_map__set_max_entries(skel->maps.cpu_ctxs, (uint32_t)nr_cpus);
	if (!r)
		r = bpf_map__set_max_entries(skel->maps.skips, (uint32_t)nr_cpus);
	if (!r)
		r = fit_to_kernel(skel);
	if (!r)
		r = sched_bpf__load(skel);
	if (!r)
		r = attach(skel);
	sched_bpf__destroy(skel);
	return r;
}

static void explain(char *why, int error)
{
	const char *complaint = agentcg_pins_complaint();

	if (error == -EBUSY)
		snprintf(why, AGENTCG_WHY_MAX, "another sched_ext scheduler runs");
	else
		snprintf(why, AGENTCG_WHY_MAX, "the kernel refuses it: %s%s%s", strerror(-error),
			 *complaint ? ": " : "", complaint);
}

/* Ours and at work: not only pinned, nor some other scheduler at work. */
static bool is_running(void)
{
	struct agentcg_sched_exit end;
	struct agentcg_scx scx;

	agentcg_scx_look("", &scx);
	return agentcg_scx_is_ours(&scx) && agentcg_cpu_ended(&end) == -ENODATA;
}

int agentcg_cpu_load(char *why)
{
	int r;

	agentcg_pins_listen();
	agentcg_cpu_unload();
	r = load();
	if (!r)
		return 0;
	agentcg_cpu_unload();
	explain(why, r);
	return r;
}

int agentcg_cpu_open(struct cpu **ret)
{
	_cleanup_(closep) struct cpu *c = new_cpu();
	int r;

	if (!c)
		return -ENOMEM;
	if (!is_running())
		return -ENOENT;
	r = c->nr_cpus < 0 ? c->nr_cpus : open_pins(c);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

/* ---- at work ------------------------------------------------------------ */

int agentcg_cpu_event_fd(struct cpu *c)
{
	return ring_buffer__epoll_fd(c->ring);
}

void agentcg_cpu_drain(struct cpu *c)
{
	ring_buffer__consume(c->ring);
}

int agentcg_cpu_hint(struct cpu *c, const struct agentcg_hint *hint)
{
	struct agentcg_hint arg = *hint;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &arg, .ctx_size_in = sizeof(arg));
	int r = bpf_prog_test_run_opts(c->prog_fd[PROG_HINT], &opts);

	if (r)
		return r;
	return opts.retval ? -EIO : (int)arg.result;
}

const struct agentcg_node *agentcg_cpu_nodes(struct cpu *c)
{
	return c->nodes;
}

int agentcg_cpu_slot(struct cpu *c, uint64_t cgroup_id)
{
	uint32_t slot;

	if (bpf_map_lookup_elem(c->map_fd[MAP_SLOTS], &cgroup_id, &slot) || slot >= AGENTCG_MAX_NODES)
		return -ENOENT;
	return (int)slot;
}

int agentcg_cpu_wakeups(struct cpu *c, uint32_t slot, struct agentcg_hist *ret)
{
	return bpf_map_lookup_elem(c->map_fd[MAP_WAKEUPS], &slot, ret);
}

int agentcg_cpu_counters(struct cpu *c, uint64_t ret[AGENTCG_NR_SCHED_COUNTERS])
{
	_cleanup_free_ uint64_t *cpus = calloc((size_t)c->nr_cpus, sizeof(*cpus));

	if (!cpus)
		return -ENOMEM;
	for (uint32_t i = 0; i < AGENTCG_NR_SCHED_COUNTERS; i++) {
		int r = bpf_map_lookup_elem(c->map_fd[MAP_COUNTERS], &i, cpus);

		if (r)
			return r;
		ret[i] = 0;
		for (int n = 0; n < c->nr_cpus; n++)
			ret[i] += cpus[n];
	}
	return 0;
}
