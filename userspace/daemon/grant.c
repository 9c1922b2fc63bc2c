// SPDX-License-Identifier: GPL-2.0-only
#include "grant.h"

#include "priority.h"
#include "size.h"

#define SIZE(bytes)	agentcg_format_size((char[AGENTCG_TEXT_MAX]){}, (bytes))
#define CPUS(thousandths)	agentcg_format_cpus((char[32]){}, (thousandths))
#define TIME(usec)	agentcg_format_time((char[AGENTCG_TEXT_MAX]){}, (usec))

/* Thousandths of a CPU: what a call gets that does not say, and as much as makes a difference. */
#define CPU_NORMAL		1000
#define CPU_REQUEST_MAX		1000000
/* The kernel's least quota is 1 ms, of a period of 100 ms. */
#define CPU_MAX_MIN		10

void agentcg_grant_session(const struct agentcg_session_policy *policy, bool root,
			   uint64_t pool_max, uint64_t free, const struct session_wish *wish,
			   struct session_grant *ret, struct notes *notes)
{
	*ret = (struct session_grant){
		.priority = policy->priority,
		.budget = policy->budget,
		.reserve = policy->reserve,
	};
	if (wish->priority != AGENTCG_UNSET_PRIORITY) {
		ret->priority = wish->priority;
		if (!root && wish->priority > policy->priority) {
			agentcg_note(notes, "priority %u is above the policy's: %u granted; only root goes higher",
				     wish->priority, policy->priority);
			ret->priority = policy->priority;
		}
	}
	if (wish->budget != AGENTCG_UNSET) {
		ret->budget = wish->budget;
		if (!root && wish->budget > policy->budget) {
			agentcg_note(notes, "budget %s is above %s: %s granted; only root goes higher", SIZE(wish->budget),
				     policy->of_user ? "what its user may have in all" : "the policy's", SIZE(policy->budget));
			ret->budget = policy->budget;
		}
	}
	if (ret->budget != AGENTCG_NONE && ret->budget > pool_max) {
		if (wish->budget != AGENTCG_UNSET)
			agentcg_note(notes, "budget %s is more than the pool has: %s granted",
				     SIZE(ret->budget), SIZE(pool_max));
		ret->budget = pool_max;
	}
	if (wish->reserve != AGENTCG_UNSET) {
		ret->reserve = wish->reserve;
		if (!root && wish->reserve > policy->reserve) {
			agentcg_note(notes, "reserve %s is above the policy's: %s granted; only root goes higher",
				     SIZE(wish->reserve), SIZE(policy->reserve));
			ret->reserve = policy->reserve;
		}
	}
	if (ret->reserve > ret->budget) {
		agentcg_note(notes, "reserve %s is more than the budget: %s granted",
			     SIZE(ret->reserve), SIZE(ret->budget));
		ret->reserve = ret->budget;
	}
	if (ret->reserve > free) {
		agentcg_note(notes, "reserve %s is more than others left unreserved: %s granted",
			     SIZE(ret->reserve), SIZE(free));
		ret->reserve = free;
	}
}

/* Starts from what the call has, or what the policy gives to one that says nothing. */
static struct call_grant start_grant(const struct grant_view *view, const struct call_grant *before,
				     bool agent)
{
	const struct agentcg_policy *policy = view->policy;

	if (before) {
		struct call_grant g = *before;

		/* A deadline counts from when it is said; the old one is remembered as a point in time. */
		g.deadline_usec = AGENTCG_NONE;
		return g;
	}
	/* The policy's limits are for tool calls; the framework has none of its own. */
	return (struct call_grant){
		.priority = agent ? AGENTCG_PRIORITY_MAX : view->session->priority,
		.cpu = CPU_NORMAL,
		.cpu_max = agent ? AGENTCG_NONE : policy->cpu_max,
		.memory = policy->request,
		.memory_max = agent ? AGENTCG_NONE : policy->call_max,
		.pids_max = agent ? AGENTCG_NONE : policy->pids_max,
		.timeout_usec = agent ? AGENTCG_NONE : policy->timeout_max_usec,
		.deadline_usec = AGENTCG_NONE,
		.on_pressure = AGENTCG_PRESSURE_FREEZE,
	};
}

static void grant_priority(const struct grant_view *view, const struct call_wish *wish,
			   struct call_grant *ret, struct notes *notes)
{
	/* The framework is above all calls of its session. */
	if (wish->agent || wish->priority == AGENTCG_UNSET_PRIORITY)
		return;
	ret->priority = wish->priority;
	if (!view->root && wish->priority > view->session->priority) {
		agentcg_note(notes, "priority %u is above the session's: %u granted",
			     wish->priority, view->session->priority);
		ret->priority = view->session->priority;
	}
}

static void grant_memory(const struct grant_view *view, const struct call_wish *wish,
			 struct call_grant *ret, struct notes *notes)
{
	uint64_t room = min_u64(view->session->budget, view->pool_max - view->policy->reserve);
	uint64_t cap = wish->agent ? AGENTCG_NONE : view->policy->call_max;
	const struct agentcg_intent *i = &wish->intent;
	bool asked = i->memory_request != AGENTCG_UNSET;

	if (i->memory_limit != AGENTCG_UNSET) {
		ret->memory_max = min_u64(i->memory_limit, cap);
		if (i->memory_limit > cap)
			agentcg_note(notes, "limits.memory %s is above the policy's limit for one call: %s granted",
				     SIZE(i->memory_limit), SIZE(cap));
	}
	if (asked)
		ret->memory = i->memory_request;
	if (ret->memory > room) {
		if (asked)
			agentcg_note(notes, "requests.memory %s is more than its session can ever have: %s granted",
				     SIZE(ret->memory), SIZE(room));
		ret->memory = room;
	}
	if (ret->memory > ret->memory_max) {
		if (asked)
			agentcg_note(notes, "requests.memory %s is above the call's limits.memory: %s granted",
				     SIZE(ret->memory), SIZE(ret->memory_max));
		ret->memory = ret->memory_max;
	}
}

static void grant_limits(const struct grant_view *view, const struct call_wish *wish,
			 struct call_grant *ret, struct notes *notes)
{
	const struct agentcg_policy *policy = view->policy;
	const struct agentcg_intent *i = &wish->intent;
	uint64_t cap;

	cap = wish->agent ? AGENTCG_NONE : policy->pids_max;
	if (i->pids_limit != AGENTCG_UNSET) {
		ret->pids_max = min_u64(i->pids_limit, cap);
		if (i->pids_limit > cap)
			agentcg_note(notes, "limits.pids %llu is above the policy's: %llu granted",
				     (unsigned long long)i->pids_limit, (unsigned long long)cap);
	}
	cap = wish->agent ? AGENTCG_NONE : policy->timeout_max_usec;
	if (i->timeout_usec != AGENTCG_UNSET) {
		ret->timeout_usec = min_u64(i->timeout_usec, cap);
		if (i->timeout_usec > cap)
			agentcg_note(notes, "timeout %s is above the policy's: %s granted",
				     TIME(i->timeout_usec), TIME(cap));
		if (ret->timeout_usec <= view->age_usec)
			agentcg_note(notes, "timeout %s has passed: the call began %s ago and is killed now",
				     TIME(ret->timeout_usec), TIME(view->age_usec));
	}
}

/*
 * Anybody may declare anything: a class or a deadline changes who comes first,
 * not how much one gets.
 */
static void grant_cpu(const struct grant_view *view, const struct call_wish *wish,
		      struct call_grant *ret, struct notes *notes)
{
	uint64_t cap = wish->agent ? AGENTCG_NONE : view->policy->cpu_max;
	const struct agentcg_intent *i = &wish->intent;
	bool asked = i->latency != AGENTCG_CLASS_AUTO || i->deadline_usec != AGENTCG_UNSET;

	if (i->cpu_limit != AGENTCG_UNSET) {
		ret->cpu_max = max_u64(min_u64(i->cpu_limit, cap), CPU_MAX_MIN);
		if (i->cpu_limit > cap)
			agentcg_note(notes, "limits.cpu %s is above the policy's limit for one call: %s granted",
				     CPUS(i->cpu_limit), CPUS(cap));
		else if (i->cpu_limit < CPU_MAX_MIN)
			agentcg_note(notes, "limits.cpu %s is less than the kernel can keep to: %s granted",
				     CPUS(i->cpu_limit), CPUS(ret->cpu_max));
	}
	if (i->cpu_request != AGENTCG_UNSET)
		ret->cpu = i->cpu_request;
	if (i->latency != AGENTCG_CLASS_AUTO)
		ret->latency = i->latency;
	if (i->deadline_usec != AGENTCG_UNSET)
		ret->deadline_usec = i->deadline_usec;
	if (asked && view->weights_only)
		agentcg_note(notes, "latency and deadline have no effect now: %s", view->weights_only);
	if (i->deadline_usec != AGENTCG_UNSET && i->deadline_usec + view->age_usec > ret->timeout_usec)
		agentcg_note(notes, "deadline %s is after the timeout: the call is killed at %s",
			     TIME(i->deadline_usec), TIME(ret->timeout_usec));
}

static void grant_detach(const struct grant_view *view, const struct call_wish *wish,
			 struct call_grant *ret, struct notes *notes)
{
	if (!wish->intent.detach_set || wish->intent.detach == ret->detach)
		return;
	ret->detach = wish->intent.detach && !wish->agent && view->detached_left;
	if (wish->intent.detach && !ret->detach)
		agentcg_note(notes, "detach is not granted: %s; the call ends with its client",
			     wish->agent ? "an agent is no tool call" :
			     "its session has as many detached calls as the policy allows");
}

void agentcg_grant_call(const struct grant_view *view, const struct call_grant *before,
			const struct call_wish *wish, struct call_grant *ret, struct notes *notes)
{
	*ret = start_grant(view, before, wish->agent);
	grant_priority(view, wish, ret, notes);
	grant_memory(view, wish, ret, notes);
	grant_limits(view, wish, ret, notes);
	grant_cpu(view, wish, ret, notes);
	grant_detach(view, wish, ret, notes);
	if (wish->intent.on_pressure != AGENTCG_PRESSURE_UNSET)
		ret->on_pressure = wish->intent.on_pressure;
	if (wish->intent.reserved)
		agentcg_note(notes, "gpu_memory and io have no effect yet");
}

uint32_t agentcg_grant_cpu_weight(const struct call_grant *g)
{
	uint64_t weight = (uint64_t)agentcg_priority_cpu_weight(g->priority) * min_u64(g->cpu, CPU_REQUEST_MAX);

	return (uint32_t)min_u64(max_u64(weight / CPU_NORMAL, 1), 10000);
}
