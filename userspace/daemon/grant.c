// SPDX-License-Identifier: GPL-2.0-only
#include "grant.h"

#include "priority.h"
#include "size.h"

#define SIZE(bytes)	agentcg_format_size((char[AGENTCG_TEXT_MAX]){}, (bytes))
#define TIME(usec)	agentcg_format_time((char[AGENTCG_TEXT_MAX]){}, (usec))

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
			agentcg_note(notes, "budget %s is above the policy's: %s granted; only root goes higher",
				     SIZE(wish->budget), SIZE(policy->budget));
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

static void grant_memory(const struct agentcg_policy *policy, uint64_t room,
			 const struct call_wish *wish, struct call_grant *ret,
			 struct notes *notes)
{
	bool asked = wish->memory != AGENTCG_UNSET;

	/* The policy's limit is for tool calls; the framework has none of its own. */
	ret->memory_max = wish->agent ? AGENTCG_NONE : policy->call_max;
	if (wish->memory_max != AGENTCG_UNSET) {
		if (wish->memory_max > ret->memory_max)
			agentcg_note(notes, "memoryMax %s is above the policy's limit for one call: %s granted",
				     SIZE(wish->memory_max), SIZE(ret->memory_max));
		else
			ret->memory_max = wish->memory_max;
	}

	ret->memory = asked ? wish->memory : policy->request;
	if (ret->memory > room) {
		if (asked)
			agentcg_note(notes, "memory %s is more than its session can ever have: %s granted",
				     SIZE(ret->memory), SIZE(room));
		ret->memory = room;
	}
	if (ret->memory > ret->memory_max) {
		if (asked)
			agentcg_note(notes, "memory %s is above the call's memoryMax: %s granted",
				     SIZE(ret->memory), SIZE(ret->memory_max));
		ret->memory = ret->memory_max;
	}
}

/*
 * Anybody may declare anything: a class or a deadline changes who comes first,
 * not how much one gets.
 */
static void grant_cpu(const char *weights_only, const struct call_wish *wish, struct call_grant *ret,
		      struct notes *notes)
{
	bool asked = wish->latency != AGENTCG_CLASS_AUTO || wish->deadline_usec != AGENTCG_UNSET;

	ret->latency = wish->latency;
	ret->deadline_usec = AGENTCG_NONE;
	if (wish->deadline_usec != AGENTCG_UNSET)
		ret->deadline_usec = wish->deadline_usec;
	if (asked && weights_only)
		agentcg_note(notes, "latency and deadline have no effect now: %s", weights_only);
	if (ret->deadline_usec != AGENTCG_NONE && ret->deadline_usec > ret->timeout_usec)
		agentcg_note(notes, "deadline %s is after the timeout: the call is killed at %s",
			     TIME(ret->deadline_usec), TIME(ret->timeout_usec));
}

void agentcg_grant_call(const struct agentcg_policy *policy, bool root,
			const struct session_grant *session, uint64_t pool_max,
			const char *weights_only, const struct call_wish *wish,
			struct call_grant *ret, struct notes *notes)
{
	uint64_t room = min_u64(session->budget, pool_max - policy->reserve);

	*ret = (struct call_grant){
		.priority = session->priority,
		.timeout_usec = wish->agent ? AGENTCG_NONE : policy->timeout_max_usec,
	};
	if (wish->agent)
		ret->priority = AGENTCG_PRIORITY_MAX;	/* above all calls of its session */
	else if (wish->priority != AGENTCG_UNSET_PRIORITY) {
		ret->priority = wish->priority;
		if (!root && wish->priority > session->priority) {
			agentcg_note(notes, "priority %u is above the session's: %u granted",
				     wish->priority, session->priority);
			ret->priority = session->priority;
		}
	}
	grant_memory(policy, room, wish, ret, notes);

	if (wish->timeout_usec != AGENTCG_UNSET) {
		if (wish->timeout_usec > ret->timeout_usec)
			agentcg_note(notes, "timeout %s is above the policy's: %s granted",
				     TIME(wish->timeout_usec), TIME(ret->timeout_usec));
		else
			ret->timeout_usec = wish->timeout_usec;
	}
	grant_cpu(weights_only, wish, ret, notes);
}
