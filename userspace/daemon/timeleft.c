// SPDX-License-Identifier: GPL-2.0-only
#include "timeleft.h"

#include "decide.h"
#include "size.h"

uint64_t agentcg_time_left(const struct session *s)
{
	return s->time.due_usec ? agentcg_sub(s->time.due_usec, now_usec(CLOCK_BOOTTIME)) : AGENTCG_NONE;
}

void agentcg_time_set(struct session *s, uint64_t total, uint32_t calls)
{
	s->time.total_usec = total;
	s->time.due_usec = total == AGENTCG_NONE ? 0 : now_usec(CLOCK_BOOTTIME) + total;
	s->time.calls_left = calls;
}

void agentcg_time_begin(struct begin *b, struct notes *notes)
{
	const struct session_time *t = &b->session->time;
	const struct agentcg_intent *i = &b->wish.intent;
	bool asked = i->timeout_usec != AGENTCG_UNSET;
	struct time_view v = {
		.left = agentcg_time_left(b->session), .total = t->total_usec,
		.expected = b->learned.duration_usec, .kind = *b->learned.of ? b->learned.of : NULL, .runs = b->learned.runs,
		.mean = t->ended ? t->ended_usec / t->ended : AGENTCG_NONE, .calls_left = t->calls_left,
	};

	if (v.left == AGENTCG_NONE || b->wish.agent)
		return;
	if (v.expected == AGENTCG_NONE && i->duration_usec != AGENTCG_UNSET) {
		v.expected = i->duration_usec;
		v.kind = NULL;
	}
	/* The one that is to begin is among those that are to come. */
	if (v.calls_left != AGENTCG_CALLS_UNKNOWN && v.calls_left)
		v.calls_left--;
	/* The policy's own limit stays, and what is above that was told already. */
	b->granted.timeout_usec = min_u64(b->granted.timeout_usec,
					  agentcg_time_grant(&v, asked ? b->granted.timeout_usec : AGENTCG_NONE, notes));
}

void agentcg_time_adjust(const struct session *s, uint64_t age, struct call_grant *granted, struct notes *notes)
{
	uint64_t left = agentcg_time_left(s);
	char a[AGENTCG_TEXT_MAX], b[AGENTCG_TEXT_MAX];

	if (left == AGENTCG_NONE || granted->timeout_usec <= age + left)
		return;
	agentcg_note(notes, "timeout %s is more than the session has left: %s granted",
		     agentcg_format_time(a, granted->timeout_usec), agentcg_format_time(b, age + left));
	granted->timeout_usec = age + left;
}

void agentcg_time_begun(struct session *s)
{
	if (s->time.calls_left != AGENTCG_CALLS_UNKNOWN && s->time.calls_left)
		s->time.calls_left--;
}

void agentcg_time_ended(struct session *s, uint64_t usec)
{
	s->time.ended++;
	s->time.ended_usec += usec;
}
