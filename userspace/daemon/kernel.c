// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything is pinned below AGENTCG_PINS, the link last: if that is there, all
 * is.  So a daemon that is killed anywhere in here leaves either a policy in
 * force that the next one takes over, or rubbish that the next one removes.
 */
#include "kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "memory.skel.h"
#include "pins.h"

/* Events taken from the ring at once; then others have their turn. */
#define EVENTS_AT_ONCE	256

enum pinned_map {
	MAP_POOL,
	MAP_SESSIONS,
	MAP_CALLS,
	MAP_STATES,
	MAP_CALL_SLOTS,
	MAP_COUNTERS,
	MAP_EVENTS,
	MAP_TICKS,
	NR_MAPS
};

/* Sizes that must match for pins to be usable; 0: any. */
static const struct {
	const char *name;
	uint32_t value_size;
	uint32_t max_entries;
} maps[NR_MAPS] = {
	[MAP_POOL] = { "pool", sizeof(struct agentcg_pool), 1 },
	[MAP_SESSIONS] = { "sessions", sizeof(struct agentcg_session), AGENTCG_MAX_SESSIONS },
	[MAP_CALLS] = { "calls", sizeof(struct agentcg_call), AGENTCG_MAX_CALLS },
	[MAP_STATES] = { "states", sizeof(struct agentcg_state), AGENTCG_MAX_CALLS },
	[MAP_CALL_SLOTS] = { "call_slots", sizeof(uint32_t), AGENTCG_MAX_CALLS },
	[MAP_COUNTERS] = { "counters", sizeof(uint64_t), AGENTCG_NR_COUNTERS },
	[MAP_EVENTS] = { "events", 0, 0 },
	[MAP_TICKS] = { "ticks", 0, 1 },
};

enum pinned_prog {
	PROG_ADOPT,
	PROG_RELEASE,
	NR_PROGS
};

static const char *const progs[NR_PROGS] = {
	[PROG_ADOPT] = "adopt",
	[PROG_RELEASE] = "release",
};

#define LINK_NAME	"memory_ops"

struct kernel {
	int map_fd[NR_MAPS];
	int prog_fd[NR_PROGS];
	struct ring_buffer *ring;
	agentcg_kernel_event_t on_event;
	void *userdata;
	int nr_cpus;
	/* What is in the maps that nobody else writes: the cgroup_id of each slot, and the pool. */
	uint64_t sessions[AGENTCG_MAX_SESSIONS];
	uint64_t calls[AGENTCG_MAX_CALLS];
	struct agentcg_pool pool;
};

/* ---- the pins ----------------------------------------------------------- */

static int open_pins(struct kernel *k)
{
	int fd = agentcg_pins_get(LINK_NAME);

	if (fd < 0)
		return fd;
	close(fd);	/* its pin keeps it */

	for (int i = 0; i < NR_MAPS; i++) {
		struct bpf_map_info info = {};
		uint32_t len = sizeof(info);

		k->map_fd[i] = agentcg_pins_get(maps[i].name);
		if (k->map_fd[i] < 0)
			return k->map_fd[i];
		if (bpf_map_get_info_by_fd(k->map_fd[i], &info, &len) < 0)
			return -errno;
		if ((maps[i].value_size && info.value_size != maps[i].value_size) ||
		    (maps[i].max_entries && info.max_entries != maps[i].max_entries))
			return -ESTALE;
	}
	for (int i = 0; i < NR_PROGS; i++) {
		k->prog_fd[i] = agentcg_pins_get(progs[i]);
		if (k->prog_fd[i] < 0)
			return k->prog_fd[i];
	}
	return 0;
}

static void close_fds(struct kernel *k)
{
	for (int i = 0; i < NR_MAPS; i++)
		agentcg_closep(&k->map_fd[i]);
	for (int i = 0; i < NR_PROGS; i++)
		agentcg_closep(&k->prog_fd[i]);
	memset(k->map_fd, -1, sizeof(k->map_fd));
	memset(k->prog_fd, -1, sizeof(k->prog_fd));
}

/* Takes over a complete set of pins for this very pool. */
static int take_over(struct kernel *k, const struct agentcg_pool *pool)
{
	struct agentcg_pool now;
	uint32_t zero = 0;
	int r = open_pins(k);

	if (!r)
		r = bpf_map_lookup_elem(k->map_fd[MAP_POOL], &zero, &now);
	if (!r && now.cgroup_id != pool->cgroup_id)
		r = -ESTALE;
	if (r)
		close_fds(k);
	return r;
}

/* The link first: what is left is then not complete any more. */
static void remove_pins(void)
{
	agentcg_pins_remove(false, LINK_NAME);
}

static int pin_all(struct memory_bpf *skel)
{
	int r;

	for (int i = 0; i < NR_MAPS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(skel->obj, maps[i].name);

		r = map ? agentcg_pins_put(bpf_map__fd(map), maps[i].name) : -ENOENT;
		if (r)
			return r;
	}
	for (int i = 0; i < NR_PROGS; i++) {
		struct bpf_program *prog = bpf_object__find_program_by_name(skel->obj, progs[i]);

		r = prog ? agentcg_pins_put(bpf_program__fd(prog), progs[i]) : -ENOENT;
		if (r)
			return r;
	}
	return 0;
}

/* ---- loading ------------------------------------------------------------ */

static int run(int fd, struct agentcg_arg *arg)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = arg, .ctx_size_in = sizeof(*arg));
	int r;

	r = bpf_prog_test_run_opts(fd, &opts);
	if (r)
		return r;
	return opts.retval ? -EIO : 0;
}

/* The pool is filled in and known to the module before the policy decides. */
static int attach(struct memory_bpf *skel, const struct agentcg_pool *pool)
{
	struct agentcg_arg arg = { .cgroup_id = pool->cgroup_id, .gate = AGENTCG_GATE_OPEN };
	struct bpf_link *link;
	uint32_t zero = 0;
	char path[AGENTCG_PIN_PATH_MAX];
	int r;

	r = bpf_map_update_elem(bpf_map__fd(skel->maps.pool), &zero, pool, BPF_ANY);
	if (!r)
		r = run(bpf_program__fd(skel->progs.adopt), &arg);
	if (!r)
		r = (int)arg.result;
	if (!r)
		r = pin_all(skel);
	if (r)
		return r;
	link = bpf_map__attach_struct_ops(skel->maps.memory_ops);
	if (!link)
		return -errno;
	r = bpf_link__pin(link, agentcg_pins_path(path, LINK_NAME));
	bpf_link__destroy(link);	/* if pinned, the pin holds it */
	return r;
}

static int load(const struct agentcg_pool *pool, bool psi)
{
	struct memory_bpf *skel = memory_bpf__open();
	int r;

	if (!skel)
		return -errno;
	skel->struct_ops.memory_ops->cgroup_id = pool->cgroup_id;
	skel->struct_ops.memory_ops->flags = psi ? AGENTCG_OPS_PSI : 0;
	r = memory_bpf__load(skel);
	if (!r)
		r = attach(skel, pool);
	memory_bpf__destroy(skel);
	if (r)
		remove_pins();
	return r;
}

/* The first field of all values, which is the cgroup_id; one system call for them all. */
static int read_ids(struct kernel *k, enum pinned_map which, uint64_t *ids)
{
	uint32_t n = maps[which].max_entries, size = maps[which].value_size, next;
	_cleanup_free_ uint32_t *keys = calloc(n, sizeof(*keys));
	_cleanup_free_ char *values = calloc(n, size);
	int r;

	_Static_assert(!offsetof(struct agentcg_session, cgroup_id) && !offsetof(struct agentcg_call, cgroup_id), "the first");
	if (!values || !keys)
		return -ENOMEM;
	r = bpf_map_lookup_batch(k->map_fd[which], NULL, &next, keys, values, &n, NULL);
	if (r && r != -ENOENT)		/* that is: these were the last */
		return r;
	for (uint32_t i = 0; i < n; i++)
		memcpy(&ids[keys[i]], values + (size_t)i * size, sizeof(*ids));
	return 0;
}

static int on_record(void *userdata, void *data, size_t size)
{
	struct kernel *k = userdata;

	if (size >= sizeof(struct agentcg_event))
		k->on_event(data, k->userdata);
	return 0;
}

static void explain(char *why, int error)
{
	const char *complaint = agentcg_pins_complaint();

	if (access("/sys/module/agentcg", F_OK) < 0)
		snprintf(why, AGENTCG_WHY_MAX,
			 "the kernel module agentcg is not loaded; load it (modprobe agentcg) and reload agentcgd");
	else
		snprintf(why, AGENTCG_WHY_MAX, "the kernel refuses the BPF policy: %s%s%s; see agentcg doctor",
			 strerror(-error), *complaint ? ": " : "", complaint);
}

int agentcg_kernel_open(struct kernel **ret, const struct agentcg_pool *pool, bool psi,
			agentcg_kernel_event_t on_event, void *userdata, char *why)
{
	struct kernel *k = calloc(1, sizeof(*k));
	bool adopted;
	int r = 0;

	if (!k)
		return -ENOMEM;
	*k = (struct kernel){ .on_event = on_event, .userdata = userdata };
	memset(k->map_fd, -1, sizeof(k->map_fd));
	memset(k->prog_fd, -1, sizeof(k->prog_fd));
	agentcg_pins_listen();
	k->nr_cpus = libbpf_num_possible_cpus();

	adopted = take_over(k, pool) == 0;
	if (!adopted) {
		remove_pins();
		r = load(pool, psi);
		if (!r)
			r = open_pins(k);
	}
	if (!r && k->nr_cpus < 0)
		r = k->nr_cpus;
	if (!r)
		r = read_ids(k, MAP_SESSIONS, k->sessions);
	if (!r)
		r = read_ids(k, MAP_CALLS, k->calls);
	if (!r) {
		k->ring = ring_buffer__new(k->map_fd[MAP_EVENTS], on_record, k, NULL);
		r = k->ring ? 0 : -errno;
	}
	if (r) {
		explain(why, r);
		goto fail;
	}
	*ret = k;
	return adopted;
fail:
	agentcg_kernel_close(k);
	return r;
}

void agentcg_kernel_close(struct kernel *k)
{
	if (!k)
		return;
	ring_buffer__free(k->ring);
	close_fds(k);
	free(k);
}

/* ---- events ------------------------------------------------------------- */

int agentcg_kernel_event_fd(struct kernel *k)
{
	return ring_buffer__epoll_fd(k->ring);
}

int agentcg_kernel_events(struct kernel *k)
{
	return ring_buffer__consume_n(k->ring, EVENTS_AT_ONCE);
}

bool agentcg_kernel_attached(void)
{
	return access(AGENTCG_PINS "/" LINK_NAME, F_OK) == 0;
}

/* ---- slots -------------------------------------------------------------- */

int agentcg_kernel_set_pool(struct kernel *k, const struct agentcg_pool *pool)
{
	uint32_t zero = 0;
	int r;

	if (!memcmp(&k->pool, pool, sizeof(*pool)))
		return 0;
	r = bpf_map_update_elem(k->map_fd[MAP_POOL], &zero, pool, BPF_ANY);
	if (!r)
		k->pool = *pool;
	return r;
}

uint64_t agentcg_kernel_session_at(const struct kernel *k, uint32_t slot)
{
	return k->sessions[slot];
}

uint64_t agentcg_kernel_call_at(const struct kernel *k, uint32_t slot)
{
	return k->calls[slot];
}

int agentcg_kernel_find_session(struct kernel *k, uint64_t cgroup_id)
{
	for (uint32_t slot = 0; slot < AGENTCG_MAX_SESSIONS; slot++)
		if (k->sessions[slot] == cgroup_id)
			return (int)slot;
	return -ENOENT;
}

/* An update copies a whole value in no order, so cgroup_id takes a second one. */
int agentcg_kernel_set_session(struct kernel *k, uint32_t slot, const struct agentcg_session *session)
{
	int r;

	if (k->sessions[slot] != session->cgroup_id) {
		struct agentcg_session v = *session;

		v.cgroup_id = 0;
		r = bpf_map_update_elem(k->map_fd[MAP_SESSIONS], &slot, &v, BPF_ANY);
		if (r)
			return r;
	}
	r = bpf_map_update_elem(k->map_fd[MAP_SESSIONS], &slot, session, BPF_ANY);
	if (!r)
		k->sessions[slot] = session->cgroup_id;
	return r;
}

int agentcg_kernel_clear_session(struct kernel *k, uint32_t slot)
{
	struct agentcg_session v = {};

	k->sessions[slot] = 0;
	return bpf_map_update_elem(k->map_fd[MAP_SESSIONS], &slot, &v, BPF_ANY);
}

int agentcg_kernel_find_call(struct kernel *k, uint64_t cgroup_id)
{
	uint32_t slot;
	int r = bpf_map_lookup_elem(k->map_fd[MAP_CALL_SLOTS], &cgroup_id, &slot);

	if (r)
		return r;
	return slot < AGENTCG_MAX_CALLS && k->calls[slot] == cgroup_id ? (int)slot : -ENOENT;
}

int agentcg_kernel_set_call(struct kernel *k, uint32_t slot, const struct agentcg_call *call)
{
	struct agentcg_state zero = {};
	struct agentcg_call v;
	int r;

	if (k->calls[slot] != call->cgroup_id) {
		if (k->calls[slot])	/* left by a daemon that was killed */
			agentcg_kernel_clear_call(k, slot, k->calls[slot]);
		v = *call;
		v.cgroup_id = 0;
		r = bpf_map_update_elem(k->map_fd[MAP_CALLS], &slot, &v, BPF_ANY);
		if (!r)
			r = bpf_map_update_elem(k->map_fd[MAP_STATES], &slot, &zero, BPF_ANY);
		if (r)
			return r;
	}
	r = bpf_map_update_elem(k->map_fd[MAP_CALLS], &slot, call, BPF_ANY);
	if (r)
		return r;
	k->calls[slot] = call->cgroup_id;
	return bpf_map_update_elem(k->map_fd[MAP_CALL_SLOTS], &call->cgroup_id, &slot, BPF_ANY);
}

int agentcg_kernel_clear_call(struct kernel *k, uint32_t slot, uint64_t cgroup_id)
{
	struct agentcg_call v = {};
	uint32_t now;

	/* The id may meanwhile stand for another slot: leave that one. */
	if (!bpf_map_lookup_elem(k->map_fd[MAP_CALL_SLOTS], &cgroup_id, &now) && now == slot)
		bpf_map_delete_elem(k->map_fd[MAP_CALL_SLOTS], &cgroup_id);
	k->calls[slot] = 0;
	return bpf_map_update_elem(k->map_fd[MAP_CALLS], &slot, &v, BPF_ANY);
}

int agentcg_kernel_state(struct kernel *k, uint32_t slot, struct agentcg_state *ret)
{
	return bpf_map_lookup_elem(k->map_fd[MAP_STATES], &slot, ret);
}

int agentcg_kernel_adopt(struct kernel *k, uint64_t cgroup_id, uint64_t gate)
{
	struct agentcg_arg arg = { .cgroup_id = cgroup_id, .gate = gate };
	int r = run(k->prog_fd[PROG_ADOPT], &arg);

	return r ?: (int)arg.result;
}

int agentcg_kernel_release(struct kernel *k, uint64_t cgroup_id)
{
	struct agentcg_arg arg = { .cgroup_id = cgroup_id };
	int r = run(k->prog_fd[PROG_RELEASE], &arg);

	return r ?: (int)arg.result;
}

int agentcg_kernel_counters(struct kernel *k, uint64_t ret[AGENTCG_NR_COUNTERS])
{
	_cleanup_free_ uint64_t *cpus = calloc((size_t)k->nr_cpus, sizeof(*cpus));

	if (!cpus)
		return -ENOMEM;
	for (uint32_t i = 0; i < AGENTCG_NR_COUNTERS; i++) {
		int r = bpf_map_lookup_elem(k->map_fd[MAP_COUNTERS], &i, cpus);

		if (r)
			return r;
		ret[i] = 0;
		for (int c = 0; c < k->nr_cpus; c++)
			ret[i] += cpus[c];
	}
	return 0;
}
