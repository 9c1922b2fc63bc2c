// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory policy of one pool.
 *
 * Every call has a gate a little above its usage (module/group.c).  When it
 * grows through the gate the kernel asks charge_event(), which looks at the
 * pool and the session, decides (decide.h), and either moves the gate on by a
 * step, or leaves it shut and holds the task.  So the cost is one decision per
 * step of growth and nothing otherwise, and no matter what user space does a
 * call overshoots by at most a step and a batch per thread.
 *
 * Nothing tells when memory is freed.  While a call is held a timer looks
 * every few ms, and releases those that may go on; it stops with the last one.
 *
 * A hold of a call is unbroken until it is released.  After pool->hold_ms it
 * expires: the daemon is told, and should it be dead the call goes on at one
 * batch per pool->expired_ms, so nobody waits for ever.
 *
 * Who writes what: module/uapi/agentcg.h.
 */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "decide.h"
#include "kfuncs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * How soon the timer looks again: after an eighth of the youngest hold, so that
 * short holds end soon and long ones cost next to nothing, within these bounds.
 */
#define TICK_MIN_NS	(2 * 1000 * 1000ULL)
#define TICK_MAX_NS	(20 * 1000 * 1000ULL)
#define TICK_PART	8
/* Decisions of one tick: bounds the time in softirq.  The next goes on there. */
#define TICK_DECISIONS	32
/* A tool may make cgroups of its own below its leaf; containers do, two deep. */
#define MAX_DEPTH	8

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct agentcg_pool);
} pool SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENTCG_MAX_SESSIONS);
	__type(key, __u32);
	__type(value, struct agentcg_session);
} sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENTCG_MAX_CALLS);
	__type(key, __u32);
	__type(value, struct agentcg_call);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AGENTCG_MAX_CALLS);
	__type(key, __u32);
	__type(value, struct agentcg_state);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AGENTCG_MAX_CALLS);
	__type(key, __u64);
	__type(value, __u32);
} call_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, AGENTCG_NR_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

struct tick {
	struct bpf_timer timer;
	__u32 armed;
	__u32 cursor;		/* slot to go on with */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tick);
} ticks SEC(".maps");

static void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		(*value)++;
}

static struct agentcg_pool *the_pool(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pool, &zero);
}

static __u64 usage_of(__u64 cgroup_id)
{
	__s64 usage = agentcg_usage(cgroup_id);

	return usage < 0 ? 0 : usage;
}

/*
 * ---- what a call sees ----
 *
 * Functions that are not static are verified once, by themselves, and not again
 * for every path that leads to them; without that the loops here would not load.
 * They take slots, since the verifier would know nothing of a pointer.
 */

struct above {
	__u64 wanted;
	__u32 any;
};

/* Adds the sessions ranked above that of slot @mine. */
__weak int sessions_above(__u32 mine, struct above *above __arg_nonnull)
{
	struct agentcg_pool *p = the_pool();
	struct agentcg_session *me, *s;
	__u32 i;

	me = bpf_map_lookup_elem(&sessions, &mine);
	if (!me || !p)
		return 0;
	bpf_for(i, 0, p->nr_sessions) {
		__u32 slot = i;

		s = bpf_map_lookup_elem(&sessions, &slot);
		if (!s)
			break;
		if (!s->cgroup_id || s->rank >= me->rank)
			continue;
		above->wanted += agentcg_wanted(s, usage_of(s->cgroup_id));
		above->any |= !!s->nr_calls;
	}
	return 0;
}

/* Adds the calls of the same session ranked above that of slot @mine. */
__weak int calls_above(__u32 mine, struct above *above __arg_nonnull)
{
	struct agentcg_pool *p = the_pool();
	struct agentcg_call *me, *c;
	__u32 i;

	me = bpf_map_lookup_elem(&calls, &mine);
	if (!me || !p)
		return 0;
	bpf_for(i, 0, p->nr_calls) {
		__u32 slot = i;

		c = bpf_map_lookup_elem(&calls, &slot);
		if (!c)
			break;
		if (!c->cgroup_id || c->session != me->session || c->rank >= me->rank)
			continue;
		above->wanted += agentcg_sub(c->request, usage_of(c->cgroup_id));
		above->any |= !(c->flags & AGENTCG_CALL_AGENT);
	}
	return 0;
}

/* Decides for the call of slot @mine in its session's budget and in the pool. */
__weak int decide(__u32 mine, bool held, struct agentcg_answer *answer __arg_nonnull)
{
	struct agentcg_view view = { .limit = ~0ULL };
	struct agentcg_pool *p = the_pool();
	struct agentcg_answer in_pool = {};
	struct above above = {};
	struct agentcg_session *s;
	struct agentcg_call *call;
	__u32 session;

	call = bpf_map_lookup_elem(&calls, &mine);
	if (!call || !p)
		return 0;
	session = call->session;
	s = bpf_map_lookup_elem(&sessions, &session);
	if (s) {
		if (s->nr_calls > 1)
			calls_above(mine, &above);
		view.limit = s->budget;
		view.usage = usage_of(s->cgroup_id);
		view.wanted_above = above.wanted;
		view.nr_active = s->nr_calls;
		view.top = !above.any;
		if (s->flags & AGENTCG_SESSION_YIELDS) {
			/* What others use is not wanted any more: a step is kept instead. */
			view.top = false;
			view.reserve = p->step_max;
		}
		sessions_above(session, &above);
	}
	agentcg_decide(p, &view, held, answer);

	view.limit = p->limit;
	view.usage = usage_of(p->cgroup_id);
	view.reserve = p->reserve;
	view.wanted_above = above.wanted;
	view.nr_active = p->nr_calls;
	view.top = !above.any;
	agentcg_decide(p, &view, held, &in_pool);
	agentcg_stricter(answer, &in_pool);
	answer->headroom = in_pool.headroom;
	return 0;
}

/* ---- holds of a call ---------------------------------------------------- */

static void tell(__u32 type, __u32 slot, const struct agentcg_call *call,
		 const struct agentcg_state *state, __u64 headroom, __u64 held_ns)
{
	struct agentcg_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		count(AGENTCG_CNT_EVENTS_LOST);
		return;
	}
	e->time = bpf_ktime_get_ns();
	e->cgroup_id = call->cgroup_id;
	e->usage = state->usage;
	e->headroom = headroom;
	e->held_ns = held_ns;
	e->type = type;
	e->slot = slot;
	bpf_ringbuf_submit(e, 0);
}

/*
 * Phases change by compare-and-swap: threads of a call and the timer may be
 * here at once, and each change is told and counted once.
 */
static bool turn(struct agentcg_state *state, __u32 from, __u32 to)
{
	return __sync_val_compare_and_swap(&state->phase, from, to) == from;
}

static void go_on(__u32 slot, const struct agentcg_call *call, struct agentcg_state *state,
		  __u64 headroom)
{
	__u64 held;

	if (!turn(state, AGENTCG_HELD, AGENTCG_RUNNING) &&
	    !turn(state, AGENTCG_EXPIRED, AGENTCG_RUNNING))
		return;
	held = bpf_ktime_get_ns() - state->held_since;
	state->held_ns += held;
	state->held_since = 0;
	count(AGENTCG_CNT_RELEASES);
	tell(AGENTCG_EV_RELEASE, slot, call, state, headroom, held);
}

/* Whether the hold has lasted as long as it may; tells once. */
static bool expire(const struct agentcg_pool *p, __u32 slot, const struct agentcg_call *call,
		   struct agentcg_state *state, __u64 held, __u64 headroom)
{
	if (held < p->hold_ms * 1000000ULL)
		return false;
	if (turn(state, AGENTCG_HELD, AGENTCG_EXPIRED)) {
		count(AGENTCG_CNT_EXPIRED);
		tell(AGENTCG_EV_EXPIRED, slot, call, state, headroom, held);
	}
	return true;
}

static void set_gate(const struct agentcg_call *call, struct agentcg_state *state, __u64 gate)
{
	state->gate = gate;
	agentcg_gate(call->cgroup_id, gate);
}

/* ---- the timer ---------------------------------------------------------- */

/* Looks at the held call of @slot; returns whether it still is. */
__weak int look(__u32 slot)
{
	struct agentcg_answer answer = {};
	struct agentcg_pool *p = the_pool();
	struct agentcg_state *state;
	struct agentcg_call *call;

	call = bpf_map_lookup_elem(&calls, &slot);
	state = bpf_map_lookup_elem(&states, &slot);
	if (!p || !call || !state || !call->cgroup_id || state->phase == AGENTCG_RUNNING)
		return 0;
	decide(slot, true, &answer);
	if (answer.verdict == AGENTCG_HOLD) {
		expire(p, slot, call, state,
		       agentcg_sub(bpf_ktime_get_ns(), state->held_since), answer.headroom);
		return 1;
	}
	state->usage = usage_of(call->cgroup_id);
	set_gate(call, state, state->usage + answer.step);
	go_on(slot, call, state, answer.headroom);
	agentcg_release(call->cgroup_id);
	return 0;
}

static int on_tick(void *map, __u32 *key, struct tick *tick)
{
	struct agentcg_pool *p = the_pool();
	__u64 now = bpf_ktime_get_ns(), youngest = ~0ULL;
	__u32 i, n, start, looked = 0;
	struct agentcg_state *state;

	if (!p)
		return 0;
	/* Cleared first: a hold that begins from here on arms the timer anew. */
	__sync_lock_test_and_set(&tick->armed, 0);
	n = p->nr_calls;
	start = tick->cursor < n ? tick->cursor : 0;
	bpf_for(i, 0, n) {
		__u32 slot = start + i < n ? start + i : start + i - n;

		state = bpf_map_lookup_elem(&states, &slot);
		if (!state)
			break;
		if (state->phase == AGENTCG_RUNNING)
			continue;
		if (looked++ == TICK_DECISIONS) {
			tick->cursor = slot;
			youngest = 0;
			break;
		}
		if (look(slot) && agentcg_sub(now, state->held_since) < youngest)
			youngest = agentcg_sub(now, state->held_since);
	}
	if (youngest != ~0ULL && !__sync_lock_test_and_set(&tick->armed, 1))
		bpf_timer_start(&tick->timer,
				agentcg_clamp(youngest / TICK_PART, TICK_MIN_NS, TICK_MAX_NS), 0);
	return 0;
}

static void start_timer(void)
{
	__u32 zero = 0;
	struct tick *tick = bpf_map_lookup_elem(&ticks, &zero);

	if (!tick || __sync_lock_test_and_set(&tick->armed, 1))
		return;
	bpf_timer_set_callback(&tick->timer, on_tick);
	bpf_timer_start(&tick->timer, TICK_MIN_NS, 0);
}

/* ---- the hooks ---------------------------------------------------------- */

/* The slot of the call that @memcg belongs to. */
static __u32 *slot_of(struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *css = &memcg->css;
	__u32 *slot;
	__u64 id;
	int i;

	bpf_for(i, 0, MAX_DEPTH) {
		if (!css)
			break;
		id = BPF_CORE_READ(css, cgroup, kn, id);
		slot = bpf_map_lookup_elem(&call_slots, &id);
		if (slot)
			return slot;
		css = BPF_CORE_READ(css, parent);
	}
	return NULL;
}

static unsigned int hold(const struct agentcg_pool *p, __u32 slot, const struct agentcg_call *call,
			 struct agentcg_state *state, __u64 headroom)
{
	__u64 now = bpf_ktime_get_ns(), held;

	set_gate(call, state, state->usage);
	if (state->phase == AGENTCG_RUNNING) {
		state->held_since = now;
		if (turn(state, AGENTCG_RUNNING, AGENTCG_HELD)) {
			state->holds++;
			count(AGENTCG_CNT_HOLDS);
			tell(AGENTCG_EV_HOLD, slot, call, state, headroom, 0);
		}
	}
	start_timer();
	held = agentcg_sub(now, state->held_since);
	if (expire(p, slot, call, state, held, headroom))
		return p->expired_ms;
	return p->hold_ms - held / 1000000ULL;
}

static unsigned int charge_event(const struct agentcg_pool *p, __u32 slot,
				 const struct agentcg_call *call, struct agentcg_state *state)
{
	struct agentcg_answer answer = {};

	count(AGENTCG_CNT_DECISIONS);
	state->decisions++;
	state->usage = usage_of(call->cgroup_id);
	if (call->flags & AGENTCG_CALL_AGENT) {
		set_gate(call, state, state->usage + p->step_max);
		return 0;
	}
	decide(slot, state->phase != AGENTCG_RUNNING, &answer);
	if (answer.verdict == AGENTCG_HOLD)
		return hold(p, slot, call, state, answer.headroom);
	set_gate(call, state, state->usage + answer.step);
	go_on(slot, call, state, answer.headroom);
	if (answer.verdict == AGENTCG_PASS)
		return 0;
	state->throttles++;
	count(AGENTCG_CNT_THROTTLES);
	return answer.delay_ms;
}

SEC("struct_ops/get_high_delay_ms")
unsigned int BPF_PROG(get_high_delay_ms, struct mem_cgroup *memcg)
{
	struct agentcg_pool *p = the_pool();
	struct agentcg_state *state;
	struct agentcg_call *call;
	__u32 *slot;

	slot = slot_of(memcg);
	if (!p || !slot)
		return 0;
	call = bpf_map_lookup_elem(&calls, slot);
	state = bpf_map_lookup_elem(&states, slot);
	if (!call || !state || !call->cgroup_id)
		return 0;
	return charge_event(p, *slot, call, state);
}

/* A call is entitled to what it has requested. */
SEC("struct_ops/below_low")
bool BPF_PROG(below_low, struct mem_cgroup *memcg)
{
	struct agentcg_call *call;
	__u32 *slot = slot_of(memcg);

	if (!slot)
		return false;
	call = bpf_map_lookup_elem(&calls, slot);
	if (!call || !call->request || usage_of(call->cgroup_id) > call->request)
		return false;
	count(AGENTCG_CNT_PROTECTED);
	return true;
}

/* The framework itself is not reclaimed as long as anything else is left. */
SEC("struct_ops/below_min")
bool BPF_PROG(below_min, struct mem_cgroup *memcg)
{
	struct agentcg_call *call;
	__u32 *slot = slot_of(memcg);

	if (!slot)
		return false;
	call = bpf_map_lookup_elem(&calls, slot);
	if (!call || !(call->flags & AGENTCG_CALL_AGENT))
		return false;
	count(AGENTCG_CNT_PROTECTED);
	return true;
}

SEC(".struct_ops.link")
struct agentcg_ops memory_ops = {
	.get_high_delay_ms = (void *)get_high_delay_ms,
	.below_low = (void *)below_low,
	.below_min = (void *)below_min,
	.name = "memory",
};

/* ---- on the daemon's behalf --------------------------------------------- */

SEC("syscall")
int adopt(struct agentcg_arg *arg)
{
	__u32 zero = 0;
	struct tick *tick = bpf_map_lookup_elem(&ticks, &zero);
	int ret;

	if (!tick)
		return 1;
	bpf_timer_init(&tick->timer, &ticks, 1 /* CLOCK_MONOTONIC */);
	ret = agentcg_add(arg->cgroup_id);
	if (!ret)
		ret = agentcg_gate(arg->cgroup_id, arg->gate);
	arg->result = ret;
	return 0;
}

SEC("syscall")
int release(struct agentcg_arg *arg)
{
	__u64 id = arg->cgroup_id;
	struct agentcg_state *state;
	struct agentcg_call *call;
	__u32 *slot;

	slot = bpf_map_lookup_elem(&call_slots, &id);
	call = slot ? bpf_map_lookup_elem(&calls, slot) : NULL;
	state = slot ? bpf_map_lookup_elem(&states, slot) : NULL;
	if (call && state)
		go_on(*slot, call, state, 0);
	arg->result = agentcg_release(id);
	return 0;
}
