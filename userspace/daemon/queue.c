// SPDX-License-Identifier: GPL-2.0-only
#include "queue.h"

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

int agentcg_queue_compare(const struct queue_entry *a, const struct queue_entry *b)
{
	return compare(b->session_priority, a->session_priority) ?:
	       compare(b->priority, a->priority) ?:
	       compare(a->begin_by_usec, b->begin_by_usec) ?:
	       compare(a->arrival, b->arrival);
}

static bool lacks_memory(enum agentcg_lack lack)
{
	return lack == AGENTCG_LACKS_BUDGET || lack == AGENTCG_LACKS_USER_BUDGET || lack == AGENTCG_LACKS_POOL;
}

/* Whether @e uses some of what @w waits for. */
static bool competes(const struct queue_entry *w, const struct queue_entry *e)
{
	switch (w->lack) {
	case AGENTCG_LACKS_NOTHING:
	case AGENTCG_LACKS_AFTER:
		return false;
	case AGENTCG_LACKS_SESSION_CALLS:
	case AGENTCG_LACKS_BUDGET:
		return w->session == e->session;
	case AGENTCG_LACKS_USER_CALLS:
	case AGENTCG_LACKS_USER_BUDGET:
		return w->uid == e->uid;
	case AGENTCG_LACKS_SLOTS:
	case AGENTCG_LACKS_POOL:
		return true;
	}
	return true;
}

static bool passed_long_enough(const struct queue_entry *w, const struct queue_rules *rules, uint64_t now)
{
	return w->passed_usec && now >= w->passed_usec && now - w->passed_usec >= rules->pass_usec;
}

/* Whether one of those before list[@i] keeps what that needs for itself. */
static bool is_kept(struct queue_entry *const *list, size_t i, const struct queue_rules *rules, uint64_t now)
{
	for (size_t j = 0; j < i; j++)
		if (passed_long_enough(list[j], rules, now) && competes(list[j], list[i]))
			return true;
	return false;
}

static void note_passed(struct queue_entry *const *list, size_t i, uint64_t now)
{
	for (size_t j = 0; j < i; j++)
		if (!list[j]->passed_usec && competes(list[j], list[i]))
			list[j]->passed_usec = now ?: 1;
}

static bool waited_enough(const struct queue_entry *e, const struct queue_rules *rules, uint64_t now)
{
	return now >= e->since_usec && now - e->since_usec >= rules->timeout_usec;
}

static enum queue_verdict judge(struct queue_entry *const *list, size_t i, const struct queue_rules *rules,
				uint64_t now)
{
	struct queue_entry *e = list[i];

	if (e->lack == AGENTCG_LACKS_AFTER) {
		e->since_usec = now;
		return AGENTCG_QUEUE_WAIT;
	}
	if (e->lack == AGENTCG_LACKS_NOTHING && !is_kept(list, i, rules, now))
		return AGENTCG_QUEUE_BEGIN;
	if (!waited_enough(e, rules, now))
		return AGENTCG_QUEUE_WAIT;
	return e->lack == AGENTCG_LACKS_NOTHING || lacks_memory(e->lack) ?
	       AGENTCG_QUEUE_BEGIN_ANYWAY : AGENTCG_QUEUE_REFUSE;
}

size_t agentcg_queue_next(struct queue_entry *const *list, size_t nr, const struct queue_rules *rules,
			  uint64_t now_usec, queue_look_t look, void *userdata, enum queue_verdict *ret)
{
	size_t short_of_memory = 0;

	for (size_t i = 0; i < nr; i++) {
		/* Too deep: only to see whom its time has come for. */
		if (short_of_memory >= rules->depth && !waited_enough(list[i], rules, now_usec))
			continue;
		list[i]->lack = look(list[i], userdata);
		short_of_memory += lacks_memory(list[i]->lack);
		*ret = judge(list, i, rules, now_usec);
		if (*ret == AGENTCG_QUEUE_WAIT)
			continue;
		if (*ret != AGENTCG_QUEUE_REFUSE)
			note_passed(list, i, now_usec);
		return i;
	}
	*ret = AGENTCG_QUEUE_WAIT;
	return nr;
}

uint64_t agentcg_queue_due(struct queue_entry *const *list, size_t nr, const struct queue_rules *rules)
{
	uint64_t due = AGENTCG_QUEUE_NEVER;

	for (size_t i = 0; i < nr; i++)
		if (list[i]->lack != AGENTCG_LACKS_AFTER)
			due = min_u64(due, list[i]->since_usec + rules->timeout_usec);
	return due;
}
