// SPDX-License-Identifier: GPL-2.0-only
#include "group.h"

#include "admission.h"
#include "call.h"
#include "session.h"

bool agentcg_group_name_valid(const char *name)
{
	return strlen(name) < AGENTCG_GROUP_MAX && agentcg_session_name_valid(name);
}

static size_t nr_ended(const struct session *s)
{
	return min_u64(s->ended.n, AGENTCG_ENDED_MAX);
}

/* Whether one runs, waits or is remembered. */
static bool knows_group(const struct session *s, const char *group)
{
	for (uint32_t i = 0; i < s->m->nr_calls; i++)
		if (s->m->calls[i] && s->m->calls[i]->session == s && streq(s->m->calls[i]->group, group))
			return true;
	for (size_t i = 0; i < nr_ended(s); i++)
		if (streq(s->ended.calls[i].group, group))
			return true;
	return agentcg_admission_waits(s, group, UINT64_MAX);
}

/* The number of its call of that name; 0: there never was one. */
static uint32_t number_of(const struct session *s, const char *name)
{
	const char *leaf = startswith(name, s->name), *digits;
	unsigned long n;
	char *end;

	digits = leaf ? startswith(leaf, "/" AGENTCG_TOOL_PREFIX) : NULL;
	if (!digits || *digits < '1' || *digits > '9')
		return 0;
	n = strtoul(digits, &end, 10);
	return *end || n > s->calls_ever ? 0 : (uint32_t)n;
}

int agentcg_after_read(const struct session *s, sd_json_variant *names, struct after *ret, const char **unknown)
{
	size_t nr;

	ret->nr = 0;
	if (!names || sd_json_variant_is_null(names))
		return 0;
	nr = sd_json_variant_is_array(names) ? sd_json_variant_elements(names) : SIZE_MAX;
	if (nr > AGENTCG_AFTER_MAX)
		return -EINVAL;
	for (size_t i = 0; i < nr; i++) {
		sd_json_variant *v = sd_json_variant_by_index(names, i);
		const char *name = sd_json_variant_is_string(v) ? sd_json_variant_string(v) : NULL;

		if (!name)
			return -EINVAL;
		*unknown = name;
		ret->on[i].number = number_of(s, name);
		ret->on[i].group[0] = 0;
		if (ret->on[i].number)
			continue;
		if (!agentcg_group_name_valid(name) || !knows_group(s, name))
			return -ENOENT;
		strcpy(ret->on[i].group, name);
	}
	ret->nr = nr;
	return 0;
}

static bool comes_after(const struct after *after, const struct call *c, uint64_t arrival)
{
	for (size_t i = 0; i < after->nr; i++)
		if (after->on[i].number ? c->number == after->on[i].number :
		    c->arrival < arrival && streq(c->group, after->on[i].group))
			return true;
	return false;
}

bool agentcg_after_pending(const struct session *s, const struct after *after, uint64_t arrival)
{
	if (!after->nr)
		return false;
	for (uint32_t k = 0; k < s->m->nr_calls; k++) {
		const struct call *c = s->m->calls[k];

		if (c && c->session == s && !c->agent && comes_after(after, c, arrival))
			return true;
	}
	for (size_t i = 0; i < after->nr; i++)
		if (!after->on[i].number && agentcg_admission_waits(s, after->on[i].group, arrival))
			return true;
	return false;
}

static bool failed(enum agentcg_outcome outcome)
{
	return outcome != AGENTCG_OK && outcome != AGENTCG_WAS_HELD && outcome != AGENTCG_WAS_THROTTLED;
}

void agentcg_after_tell(const struct session *s, const struct after *after, struct notes *notes)
{
	for (size_t k = 0; k < nr_ended(s); k++) {
		const typeof(*s->ended.calls) *e = &s->ended.calls[k];
		bool meant = false;

		for (size_t i = 0; i < after->nr; i++)
			meant |= after->on[i].number ? after->on[i].number == e->number :
						       streq(after->on[i].group, e->group);
		if (!meant || !(failed(e->outcome) || e->closed))
			continue;
		agentcg_note(notes, "%s/" AGENTCG_TOOL_PREFIX "%u, which this comes after, did not end well: %s", s->name, e->number,
			     failed(e->outcome) ? agentcg_outcome_name(e->outcome) : "its client went away");
	}
}

void agentcg_group_ended(const struct call *c)
{
	struct ended_calls *ended = &c->session->ended;
	typeof(*ended->calls) *e;

	if (c->agent)
		return;
	c->session->gone++;
	e = &ended->calls[ended->n++ % AGENTCG_ENDED_MAX];
	e->number = c->number;
	e->outcome = c->result.outcome;
	e->closed = c->fate == AGENTCG_FATE_CLOSED;
	strcpy(e->group, c->group);
}

int agentcg_group_end(struct session *s, const char *group, sd_json_variant **killed, uint32_t *cancelled)
{
	struct manager *m = s->m;
	uint32_t slot = s->slot;

	if (!knows_group(s, group))
		return -ENOENT;
	/* First those that wait: a call's end lets others begin. */
	*cancelled = agentcg_admission_cancel(s, group);
	for (uint32_t i = 0; i < m->nr_calls && m->sessions[slot] == s; i++) {
		struct call *c = m->calls[i];

		if (!c || c->session != s || c->ending || !streq(c->group, group))
			continue;
		agentcg_session_note_killed(c, killed);
		agentcg_call_kill(c, AGENTCG_FATE_CLOSED);
		if (!c->link)
			agentcg_call_end(c, NULL);
	}
	if (m->sessions[slot] == s)
		agentcg_session_gc(s);
	return 0;
}
