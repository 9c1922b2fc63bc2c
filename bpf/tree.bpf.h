/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tree of groups that the CPU scheduler serves: who waits, who has had how
 * much, and whose turn it is.
 *
 * A group that has something to run is on the list of its parent, in no order:
 * the turn is found by looking at all of them.  That is exact, needs no key to
 * be kept in order while groups are charged, and takes a few ns for each group
 * with work; thousands of busy siblings cost some 10 us per turn.
 *
 * Locks: locks[parent] protects the links of its children.  Counters, virtual
 * times and bandwidth change by atomic operations without it.  A group is put
 * on the list by whoever adds the first task, and taken off by whoever looks
 * at the list and finds it empty:
 *
 *	adds:	nr_own++			looks:	listed = 0
 *		barrier					barrier
 *		listed? done : take the lock, list it	nr_own? listed = 1 : unlink
 *
 * so one of them always sees the other.
 *
 * A CPU that finds nothing in a group that it may run (its tasks are bound to
 * other CPUs) does not look again until a task is added (seq), or a while has
 * passed: a task counts as waiting a little before it is in the queue.
 */
#ifndef _AGENTCG_TREE_BPF_H
#define _AGENTCG_TREE_BPF_H

#define NO_SLOT		(~0U)
#define SKIP_NS		(4 * 1000 * 1000ULL)

/* The loader makes room for all CPUs of the machine. */
#define CPUS_DEFAULT	8

SEC(".bss.nodes") struct agentcg_node nodes[AGENTCG_MAX_NODES];

struct list_lock {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENTCG_MAX_NODES);
	__type(key, __u32);
	__type(value, struct list_lock);
} locks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AGENTCG_MAX_NODES);
	__type(key, __u64);
	__type(value, __u32);
} node_slots SEC(".maps");

struct skip {
	__u32 seq;
	__u32 until;		/* in units of 2^20 ns */
	__u32 own_seq;		/* the same for the group's own tasks only */
	__u32 own_until;
};

struct skips {
	struct skip of[AGENTCG_MAX_NODES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CPUS_DEFAULT);
	__type(key, __u32);
	__type(value, struct skips);
} skips SEC(".maps");

struct cpu_ctx {
	__u32 path[AGENTCG_MAX_LEVEL + 1];	/* of the task that has just run */
	__u32 level;		/* of its group; only valid if prev */
	__u32 prev;		/* it could go on: its path is a candidate */
	__u32 owed;		/* level of the lowest group there that is behind; 0: none */
	__u32 leaf;		/* the answer: this group's turn */
	__u32 same;		/* ... and that is where prev sits */

	/* The turn: of the running task, and those that it is handed on to. */
	__u32 slot;		/* its group */
	__u32 fast;		/* the task runs out of turn */
	__u32 heir;		/* somebody waits to whom the rest is handed */
	__u32 nr_heirs;
	__u64 until;		/* its end */
	__u64 used;		/* and not charged yet */
	__u64 paid;		/* in advance, and not used yet */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CPUS_DEFAULT);
	__type(key, __u32);
	__type(value, struct cpu_ctx);
} cpu_ctxs SEC(".maps");

const volatile __u32 nr_cpus = CPUS_DEFAULT;

/* Groups with a cpu.max, and with a deadline. */
__s32 nr_limited;
__s32 nr_deadlines;

/* The compiler must not move the mask to where the verifier does not see it. */
static __always_inline __u32 valid(__u32 slot)
{
	slot &= AGENTCG_MAX_NODES - 1;
	barrier_var(slot);
	return slot & (AGENTCG_MAX_NODES - 1);
}

static __always_inline struct agentcg_node *node_at(__u32 slot)
{
	return &nodes[valid(slot)];
}

static __always_inline bool waiting(const struct agentcg_node *n)
{
	return n->nr_own > 0 || n->nr_listed > 0;
}

static __always_inline struct cpu_ctx *cpu_at(__s32 cpu)
{
	__u32 key = (__u32)cpu;

	return bpf_map_lookup_elem(&cpu_ctxs, &key);
}

/* ---- cpu.max ------------------------------------------------------------ */

/* Whether the group may run; starts a new period if the old one has ended. */
static bool has_bandwidth(struct agentcg_node *n, __u64 now)
{
	__u64 end = n->bw_end, next;
	__s64 before, left;

	if (!n->bw_period)
		return true;
	if (now >= end) {
		before = n->bw_left;
		left = before;
		next = agentcg_refill(now, end, n->bw_period, n->bw_quota, n->bw_burst, &left);
		/* Of those who see the end one refills; charges go on meanwhile. */
		if (__sync_val_compare_and_swap(&n->bw_end, end, next) == end)
			__sync_fetch_and_add(&n->bw_left, left - before);
	}
	return n->bw_left > 0;
}

/* The same for a group and all above it. */
static bool path_has_bandwidth(__u32 slot, __u64 now)
{
	struct agentcg_node *n;
	int i;

	if (!nr_limited)
		return true;
	for (i = 0; i <= AGENTCG_MAX_LEVEL; i++) {
		n = node_at(slot);
		if (!has_bandwidth(n, now)) {
			n->nr_throttled++;
			return false;
		}
		if (!n->level)
			break;
		slot = n->parent;
	}
	return true;
}

/* ---- charging ----------------------------------------------------------- */

static __always_inline __u64 signed_vtime(__s64 service, __u32 inverse)
{
	return service < 0 ? -agentcg_vtime(-service, inverse) : agentcg_vtime(service, inverse);
}

/*
 * A child of @parent at @vtime stops and nobody waits: all get what they want,
 * nothing is owed.  Whoever joins must not find a clock that stood still.
 */
static __always_inline void advance_clock(struct agentcg_node *parent, __u64 vtime)
{
	if (!waiting(parent))
		parent->clock = agentcg_later(parent->clock, vtime);
}

/*
 * A group and all above it used @used ns, and their virtual times move by
 * @service: more when it is paid in advance, less when some is given back.
 */
static void charge_path(__u32 slot, __u64 used, __s64 service)
{
	struct agentcg_node *n = node_at(slot), *parent;
	__u64 floor;
	int i;

	if (n->level == 0 || n->head)
		__sync_fetch_and_add(&n->own_vtime, service);
	if (used) {
		n->tokens = agentcg_spend(n->tokens, used);
		if (!n->level)
			advance_clock(n, n->own_vtime);
	}
	for (i = 0; i <= AGENTCG_MAX_LEVEL; i++) {
		n = node_at(slot);
		if (used) {
			__sync_fetch_and_add(&n->usage, used);
			if (n->bw_period)
				__sync_fetch_and_add(&n->bw_left, -(__s64)used);
		}
		if (!n->level)
			break;
		__sync_fetch_and_add(&n->vtime, signed_vtime(service, n->inverse));
		slot = n->parent;
		parent = node_at(slot);
		if (used)
			advance_clock(parent, n->vtime);
		/*
		 * Nothing waits: it has all that it can use, and is not owed
		 * more.  A charge that is lost here was part of what is forgiven.
		 */
		if (!waiting(n)) {
			floor = parent->clock - agentcg_vtime(AGENTCG_LAG_MAX, n->inverse);
			if (agentcg_before(n->vtime, floor))
				n->vtime = floor;
		}
	}
}

/* ---- runnable or not ---------------------------------------------------- */

/* A task became runnable: groups that were idle go on where the others are. */
static void activate_path(__u32 slot)
{
	struct agentcg_node *n;
	int i;

	for (i = 0; i <= AGENTCG_MAX_LEVEL; i++) {
		n = node_at(slot);
		if (__sync_fetch_and_add(&n->nr_runnable, 1) || !n->level)
			break;
		slot = n->parent;
		n->vtime = agentcg_join(n->vtime, node_at(slot)->clock, n->inverse,
					AGENTCG_LAG_KEEP);
	}
}

static void deactivate_path(__u32 slot)
{
	struct agentcg_node *n;
	int i;

	for (i = 0; i <= AGENTCG_MAX_LEVEL; i++) {
		n = node_at(slot);
		if (__sync_fetch_and_add(&n->nr_runnable, -1) != 1 || !n->level)
			break;
		slot = n->parent;
	}
}

/* ---- the lists ---------------------------------------------------------- */

static void link_child(struct agentcg_node *parent, struct agentcg_node *n, __u32 slot)
{
	n->next = parent->head;
	n->prev = 0;
	if (parent->head)
		node_at(parent->head - 1)->prev = slot + 1;
	parent->head = slot + 1;
}

static void unlink_child(struct agentcg_node *parent, struct agentcg_node *n)
{
	if (n->next)
		node_at(n->next - 1)->prev = n->prev;
	if (n->prev)
		node_at(n->prev - 1)->next = n->next;
	else
		parent->head = n->next;
}

/* Puts a group on its parent's list; returns whether it was not there. */
static bool enlist(struct agentcg_node *n, __u32 slot)
{
	struct agentcg_node *parent = node_at(n->parent);
	__u32 key = n->parent;
	struct list_lock *l = bpf_map_lookup_elem(&locks, &key);
	bool added = false;

	if (!l)
		return false;
	bpf_spin_lock(&l->lock);
	if (!n->listed) {
		link_child(parent, n, slot);
		n->listed = 1;
		added = true;
	}
	bpf_spin_unlock(&l->lock);
	return added;
}

/* Takes a group that goes away off the list, whatever it says. */
static void delist(struct agentcg_node *n)
{
	struct agentcg_node *parent = node_at(n->parent);
	__u32 key = n->parent;
	struct list_lock *l = bpf_map_lookup_elem(&locks, &key);
	bool removed = false;

	if (!l)
		return;
	bpf_spin_lock(&l->lock);
	if (n->listed) {
		unlink_child(parent, n);
		n->listed = 0;
		removed = true;
	}
	bpf_spin_unlock(&l->lock);
	if (removed)
		__sync_fetch_and_add(&parent->nr_listed, -1);
}

/* A task of group @slot waits: those who look must find it. */
static void add_waiting(__u32 slot)
{
	struct agentcg_node *n = node_at(slot);
	int i;

	__sync_fetch_and_add(&n->nr_own, 1);
	for (i = 0; i <= AGENTCG_MAX_LEVEL; i++) {
		n = node_at(slot);
		__sync_fetch_and_add(&n->seq, 1);
		if (!n->level)
			break;
		if (!n->listed && enlist(n, slot))
			__sync_fetch_and_add(&node_at(n->parent)->nr_listed, 1);
		slot = n->parent;
	}
}

static void sub_waiting(__u32 slot)
{
	__sync_fetch_and_add(&node_at(slot)->nr_own, -1);
}

/* ---- what a CPU need not look at ---------------------------------------- */

static __always_inline bool later_than(__u32 until, __u64 now)
{
	return (__s32)(until - (__u32)(now >> 20)) > 0;
}

static __always_inline void skip_group(struct skips *skip, __u32 slot, __u32 seq, __u64 now)
{
	struct skip *s = &skip->of[valid(slot)];

	s->seq = seq;
	s->until = (__u32)((now + SKIP_NS) >> 20) + 1;
}

static __always_inline void skip_own(struct skips *skip, __u32 slot, __u32 seq, __u64 now)
{
	struct skip *s = &skip->of[valid(slot)];

	s->own_seq = seq;
	s->own_until = (__u32)((now + SKIP_NS) >> 20) + 1;
}

static __always_inline bool has_own(const struct agentcg_node *n, const struct skips *skip,
				    __u32 slot, __u64 now)
{
	const struct skip *s = &skip->of[valid(slot)];

	return n->nr_own > 0 &&
		(s->own_seq != n->seq || !later_than(s->own_until, now));
}

/* ---- whose turn is it? -------------------------------------------------- */

struct turn {
	__u64 now;		/* in */
	__u64 wall;		/* CLOCK_MONOTONIC, if there are deadlines */
	__u32 cpu;
	__u32 except;		/* a child that is not looked at, or NO_SLOT */

	__u32 child;		/* out: NO_SLOT: nobody's */
	__u32 any;
	__u64 key;		/* the least of the children that may come next */
	__u64 least;		/* their least virtual time */
};

static __always_inline void consider(struct turn *t, __u32 slot, __u64 vtime, __u64 key)
{
	if (!t->any || agentcg_before(vtime, t->least))
		t->least = vtime;
	if (!t->any || agentcg_before(key, t->key)) {
		t->key = key;
		t->child = slot;
	}
	t->any = 1;
}

static __always_inline __u64 key_of(const struct agentcg_node *n, __u64 wall)
{
	__u64 start;

	if (!n->deadline)
		return n->vtime;
	start = agentcg_head_start(wall, n->hinted, n->deadline, AGENTCG_BURST_AUTO);
	return n->vtime - agentcg_vtime(start, n->inverse);
}

/* One child on the list of @parent, whose lock is held. */
static __always_inline void look_at(struct agentcg_node *parent, __u32 slot, struct skips *skip,
				    struct turn *t)
{
	struct agentcg_node *n = node_at(slot);
	struct skip *s = &skip->of[valid(slot)];
	__u64 floor;

	if (!waiting(n)) {
		__sync_lock_test_and_set(&n->listed, 0);
		if (!waiting(n)) {
			unlink_child(parent, n);
			__sync_fetch_and_add(&parent->nr_listed, -1);
			return;
		}
		n->listed = 1;
	}
	if (slot == t->except || (s->seq == n->seq && later_than(s->until, t->now)))
		return;
	if (!has_bandwidth(n, t->now)) {
		n->nr_throttled++;
		return;
	}
	/* It could not use what it was owed, for its tasks may not run everywhere. */
	floor = parent->clock - agentcg_vtime(AGENTCG_LAG_MAX, n->inverse);
	if (agentcg_before(n->vtime, floor))
		n->vtime = floor;
	consider(t, slot, n->vtime, key_of(n, t->wall));
}

/* All children of @slot that have something waiting. */
__weak int look_at_children(__u32 slot, struct turn *t __arg_nonnull)
{
	struct agentcg_node *parent = node_at(slot);
	struct list_lock *l;
	struct skips *skip;
	__u32 at, child, cpu = t->cpu;
	int i;

	l = bpf_map_lookup_elem(&locks, &slot);
	skip = bpf_map_lookup_elem(&skips, &cpu);
	if (!l || !skip)
		return 0;
	bpf_spin_lock(&l->lock);
	at = parent->head;
	bpf_for(i, 0, AGENTCG_MAX_NODES) {
		if (!at)
			break;
		child = at - 1;
		at = node_at(child)->next;
		look_at(parent, child, skip, t);
	}
	bpf_spin_unlock(&l->lock);
	return 0;
}

/*
 * Most levels have one child with work: it needs no lock to find it.  What it
 * finds may be old, but is a group on which a task may wait.
 */
static __always_inline bool only_child(struct agentcg_node *parent, __u32 slot, struct skips *skip,
				       struct turn *t)
{
	struct skip *s = &skip->of[valid(slot)];
	struct agentcg_node *n = node_at(slot);

	if (node_at(n->parent) != parent || !n->listed || !waiting(n) ||
	    (s->seq == n->seq && later_than(s->until, t->now)) || !has_bandwidth(n, t->now))
		return false;
	t->child = slot;
	t->least = n->vtime;
	t->any = 1;
	return true;
}

/*
 * Goes down from the root to the group whose turn it is on @cpu, by least
 * virtual time at every level, with the running task's branch among the
 * candidates.  0: it is in cpu_ctx.leaf; 1: look again; 2: there is nobody.
 */
__weak int find_turn(__u32 cpu, __u64 now, __u64 wall)
{
	struct cpu_ctx *c = bpf_map_lookup_elem(&cpu_ctxs, &cpu);
	struct skips *skip = bpf_map_lookup_elem(&skips, &cpu);
	struct agentcg_node *parent, *child;
	__u32 at = 0, mine, seq, first;
	bool on_path, here;
	__u64 bonus;
	int i;

	if (!c || !skip)
		return 2;
	on_path = c->prev;
	for (i = 0; i <= AGENTCG_MAX_LEVEL; i++) {
		struct turn t = { .now = now, .wall = wall, .cpu = cpu, .child = NO_SLOT };

		parent = node_at(at);
		seq = parent->seq;
		mine = NO_SLOT;
		if (on_path && parent->level < c->level && parent->level < AGENTCG_MAX_LEVEL)
			mine = c->path[parent->level + 1];
		here = on_path && mine == NO_SLOT;
		t.except = mine;
		if (mine != NO_SLOT) {
			child = node_at(mine);
			bonus = 0;
			if (c->owed > child->level)
				bonus = agentcg_vtime(AGENTCG_OWED, child->inverse);
			if (has_bandwidth(child, now))
				consider(&t, mine, child->vtime, key_of(child, wall) - bonus);
		}
		first = parent->head - 1;
		if (parent->nr_listed == 1 && first != NO_SLOT &&
		    (first == mine || (mine == NO_SLOT && only_child(parent, first, skip, &t))))
			;
		else if (parent->nr_listed > 0)
			look_at_children(at, &t);
		/*
		 * Tasks that sit here beside child groups are one of them; alone,
		 * time goes on with them.
		 */
		if (here || has_own(parent, skip, at, now)) {
			child = parent;
			if (!t.any) {
				if (!at || child->head)
					child->clock = agentcg_later(child->clock,
								     child->own_vtime);
				goto found;
			}
			if (agentcg_before(child->own_vtime, child->clock - AGENTCG_LAG_MAX))
				child->own_vtime = child->clock - AGENTCG_LAG_MAX;
			consider(&t, at, child->own_vtime, child->own_vtime);
		}
		if (!t.any) {
			if (!at)
				return 2;
			skip_group(skip, at, seq, now);
			return 1;
		}
		parent->clock = agentcg_later(parent->clock, t.least);
		if (t.child == at)
			goto found;
		if (t.child != mine)
			on_path = false;
		at = t.child;
	}
	return 2;
found:
	c->leaf = at;
	c->same = here;
	return 0;
}

#endif
