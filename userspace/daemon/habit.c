// SPDX-License-Identifier: GPL-2.0-only
#include "habit.h"

#include "size.h"
#include "summary.h"

#define SIZE(bytes)	agentcg_format_size((char[AGENTCG_TEXT_MAX]){}, (bytes))
#define BYTES(bytes)	agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, (bytes))
#define TIME(usec)	agentcg_format_time((char[AGENTCG_TEXT_MAX]){}, (usec))

uint64_t agentcg_habit_digest(uint64_t seed, const char *text)
{
	uint64_t hash = seed ?: 0xcbf29ce484222325;	/* FNV-1a */

	/* With the NUL, so that "a b" is not "a", "b". */
	do
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3;
	while (*text++);
	return hash ?: 1;
}

static struct habit *find(struct habits *h, uint64_t digest)
{
	for (size_t i = 0; digest && i < AGENTCG_HABITS; i++)
		if (h->list[i].digest == digest)
			return &h->list[i];
	return NULL;
}

/* The one of @digest, in place of the one that was used longest ago if need be. */
static struct habit *get(struct habits *h, uint64_t digest, uint64_t now)
{
	struct habit *known = find(h, digest), *oldest = &h->list[0];

	if (!digest)
		return NULL;
	for (size_t i = 1; !known && i < AGENTCG_HABITS; i++)
		if (h->list[i].used_usec < oldest->used_usec)
			oldest = &h->list[i];
	if (!known)
		*oldest = (struct habit){ .digest = digest };
	known = known ?: oldest;
	known->used_usec = now;
	return known;
}

struct habits *agentcg_habit_session(struct habit_store *store, uint64_t now, unsigned int uid, uint64_t name)
{
	struct habit_session *oldest = &store->list[0], *own = NULL;
	unsigned int n = 0;

	for (size_t i = 0; i < AGENTCG_HABIT_SESSIONS; i++) {
		struct habit_session *s = &store->list[i];

		if (s->name == name && s->uid == uid) {
			s->used_usec = now;
			return &s->habits;
		}
		if (s->used_usec < oldest->used_usec)
			oldest = s;	/* a free one is the oldest of all */
		if (!s->name || s->uid != uid)
			continue;
		n++;
		if (!own || s->used_usec < own->used_usec)
			own = s;
	}
	if (n >= AGENTCG_HABIT_SESSIONS_PER_UID)
		oldest = own;
	*oldest = (struct habit_session){ .name = name, .used_usec = now, .uid = uid };
	return &oldest->habits;
}

/* Whether it asks for more of what there was too little of. */
static bool asks_for_more(const struct habit_begin *b, const struct habit_end *e)
{
	switch (e->outcome) {
	case AGENTCG_TIMEOUT:
		return b->timeout_usec > e->timeout_usec;
	case AGENTCG_PIDS_EXCEEDED:
		return b->pids_max > e->pids_max;
	default:
		return b->memory_max > e->memory_max ||
		       (e->memory_max == UINT64_MAX && b->request > e->request);
	}
}

static bool is_loop(const struct habit *k, uint64_t now, const struct habit_begin *b)
{
	return k && k->bad >= AGENTCG_HABIT_BAD && now - k->first_bad_usec <= AGENTCG_HABIT_WINDOW_USEC &&
	       !asks_for_more(b, &k->end);
}

void agentcg_habit_begin(struct habits *h, uint64_t now, const struct habit_begin *b,
			 struct habit_loop *ret)
{
	struct habit *text = get(h, b->text, now), *kind = find(h, b->kind), *bad = NULL;

	*ret = (struct habit_loop){};
	if (!text)
		return;
	text->row = h->last == b->text ? text->row + 1 : 1;
	h->last = b->text;
	if (is_loop(text, now, b))
		bad = text;
	else if (is_loop(kind, now, b))
		bad = kind;
	if (bad)
		*ret = (struct habit_loop){ bad->bad + 1, bad == text, now - bad->first_bad_usec, &bad->end };
	else if (text->row >= AGENTCG_HABIT_ROW && text->row % AGENTCG_HABIT_ROW == 0)
		/* Polling is no fault: a word now and then will do. */
		*ret = (struct habit_loop){ .run = text->row, .same_text = true };
}

static uint32_t ended(struct habit *k, uint64_t now, const struct habit_end *end)
{
	if (!k)
		return 0;
	if (!agentcg_outcome_is_bad(end->outcome)) {
		k->bad = 0;
		return 0;
	}
	if (!k->bad || k->end.outcome != end->outcome || now - k->first_bad_usec > AGENTCG_HABIT_WINDOW_USEC) {
		k->bad = 0;
		k->first_bad_usec = now;
	}
	k->end = *end;
	return ++k->bad;
}

uint32_t agentcg_habit_ended(struct habits *h, uint64_t now, uint64_t text, uint64_t kind,
			     const struct habit_end *end)
{
	bool bad = agentcg_outcome_is_bad(end->outcome);
	uint32_t n, m;

	/* What never failed needs no place. */
	n = ended(bad ? get(h, text, now) : find(h, text), now, end);
	m = ended(bad ? get(h, kind, now) : find(h, kind), now, end);
	return n > m ? n : m;
}

/* ---- words -------------------------------------------------------------- */

static const char *ordinal(uint32_t n)
{
	uint32_t tens = n / 10 % 10;

	if (tens == 1 || n % 10 == 0 || n % 10 > 3)
		return "th";
	return n % 10 == 1 ? "st" : n % 10 == 2 ? "nd" : "rd";
}

/* So many times as much as was not enough; more each time, for small steps make many runs. */
static uint64_t more(uint64_t had, uint32_t run, uint64_t ceiling)
{
	uint64_t want;

	if (__builtin_mul_overflow(had, (uint64_t)run, &want))
		return ceiling;
	return min_u64((want + MIB - 1) & ~(MIB - 1), ceiling);
}

static void tell_memory(const struct habit_loop *loop, char *text, size_t size)
{
	const struct habit_end *e = loop->end;
	bool limited = e->memory_max != UINT64_MAX;
	uint64_t want = more(limited ? e->memory_max : e->peak, loop->run, e->ceiling);

	if (limited && want > e->memory_max)
		snprintf(text, size, "killed at %s; ask for %s (limits.memory) or do less at once",
			 SIZE(e->memory_max), SIZE(want));
	else if (!limited && want > e->request)
		snprintf(text, size, "killed at %s; request %s (requests.memory) or do less at once",
			 BYTES(e->peak), SIZE(want));
	else
		snprintf(text, size, "killed at %s, and no more is to be had: do less at once", BYTES(e->peak));
}

static void tell_end(const struct habit_loop *loop, char *text, size_t size)
{
	const struct habit_end *e = loop->end;

	switch (e->outcome) {
	case AGENTCG_TIMEOUT:
		snprintf(text, size, "killed after %s; allow more (timeout), do less in one call, or detach it",
			 TIME(e->timeout_usec));
		return;
	case AGENTCG_PIDS_EXCEEDED:
		snprintf(text, size, "short of processes with %llu; ask for more (limits.pids) or start fewer",
			 (unsigned long long)e->pids_max);
		return;
	case AGENTCG_KILLED_BY_POLICY:
		snprintf(text, size, "killed for others' sake at %s; try later, or do less at once", BYTES(e->peak));
		return;
	default:
		tell_memory(loop, text, size);
	}
}

void agentcg_habit_tell(const struct habit_loop *loop, const char *name, char *text, size_t size)
{
	const char *what = loop->same_text ? "the same " : "";
	char end[160];

	if (!loop->end) {
		snprintf(text, size, "%u%s run of the same command in a row: it will probably do the same again",
			 loop->run, ordinal(loop->run));
		return;
	}
	tell_end(loop, end, sizeof(end));
	snprintf(text, size, "%u%s run of %s%s in %s; those before were %s", loop->run, ordinal(loop->run), what,
		 name, TIME(loop->since_usec - loop->since_usec % USEC_PER_SEC), end);
}
