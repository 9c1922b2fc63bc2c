// SPDX-License-Identifier: GPL-2.0-only
#include "rerun.h"

#include "cgroup.h"
#include "habit.h"
#include "reclaim.h"
#include "session.h"
#include "size.h"
#include "watch.h"

#define BYTES(bytes)	agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, (bytes))

/* What is left behind and less than this matters to nobody. */
#define LEFT_MIN	(8 * MIB)
/* So much of it at once, the next run may begin meanwhile. */
#define RECLAIM_MAX	(256 * MIB)

static uint64_t text_digest(sd_json_variant *command)
{
	size_t n = command ? sd_json_variant_elements(command) : 0;
	uint64_t hash = 0;

	for (size_t i = 0; i < n; i++)
		hash = agentcg_habit_digest(hash, sd_json_variant_string(sd_json_variant_by_index(command, i)) ?: "");
	return hash;
}

static uint64_t kind_digest(const struct call *c)
{
	return !*c->kind || streq(c->kind, AGENTCG_KIND_UNKNOWN) ? 0 : agentcg_habit_digest(0, c->kind);
}

static uint64_t file(int fd, const char *key)
{
	uint64_t v;

	return agentcg_cgroup_read_key(fd, "memory.stat", key, &v) < 0 ? 0 : v;
}

/*
 * What is charged to the session and to none of its leaves: memory of calls
 * that are gone.  Page cache is dropped; files in tmpfs go to swap where there
 * is some, and else only who wrote them can remove them.
 */
static void clear_leftovers(struct call *mine, struct notes *notes)
{
	struct session *s = mine->session;
	uint64_t total, in_leaves = 0, shmem = file(s->fd, "shmem"), shmem_in_leaves = 0;
	struct manager *m = s->m;
	bool others = false;

	for (uint32_t i = 0; i < m->nr_calls; i++) {
		struct call *c = m->calls[i];

		if (!c || c->session != s)
			continue;
		others |= c != mine && !c->agent;
		in_leaves += agentcg_call_usage(c);
		shmem_in_leaves += file(c->fd, "shmem");
	}
	if (agentcg_cgroup_read_u64(s->fd, "memory.current", &total) < 0 || total < in_leaves + LEFT_MIN)
		return;
	/* Reclaim takes from the whole session: what others use now is not swapped out for it. */
	agentcg_reclaim(s->fd, min_u64(total - in_leaves, RECLAIM_MAX), others);
	if (shmem > shmem_in_leaves + LEFT_MIN)
		agentcg_note(notes, "earlier calls of this session left %s in files in memory (/dev/shm, tmpfs): remove what is not needed",
			     BYTES(shmem - shmem_in_leaves));
}

/* Those that were detached on purpose are not ours to end. */
static void tell_detached(const struct call *mine, struct notes *notes)
{
	char first[AGENTCG_CALL_NAME_MAX] = "";
	const struct manager *m = mine->m;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->nr_calls; i++) {
		const struct call *c = m->calls[i];

		if (!c || c == mine || c->session != mine->session || !c->grant.detach || c->ending ||
		    c->text != mine->text)
			continue;
		if (!n++)
			agentcg_call_name(c, first);
	}
	if (n > 1)
		agentcg_note(notes, "%s and %u more detached runs of the same command go on: end them if they are not needed", first, n - 1);
	else if (n)
		agentcg_note(notes, "%s, a detached run of the same command, goes on: end it if it is not needed", first);
}

static struct habits *get_habits(const struct session *s)
{
	struct manager *m = s->m;

	if (!m->habits)
		m->habits = calloc(1, sizeof(*m->habits));
	return m->habits ? agentcg_habit_session(m->habits, now_usec(CLOCK_BOOTTIME), s->uid,
						 agentcg_habit_digest(0, s->name)) : NULL;
}

void agentcg_rerun_begin(struct call *c, sd_json_variant *command, struct notes *notes)
{
	struct session *s = c->session;
	struct habit_begin b = {
		.kind = kind_digest(c),
		.memory_max = c->grant.memory_max,
		.timeout_usec = c->grant.timeout_usec,
		.pids_max = min_u64(c->grant.pids_max, c->m->policy.pids_max),
		.request = c->grant.memory,
	};
	struct habit_loop loop;
	struct habits *h;
	char text[200];

	b.text = text_digest(command);
	c->text = b.text;
	if (c->agent || !b.text)
		return;
	h = get_habits(s);
	if (!h)
		return;		/* then nobody is told */
	agentcg_habit_begin(h, now_usec(CLOCK_BOOTTIME), &b, &loop);
	if (!loop.run)
		return;
	agentcg_habit_tell(&loop, c->kind, text, sizeof(text));
	agentcg_note(notes, "%s", text);
	agentcg_watch_tell(c, "retry", "%s", text);
	tell_detached(c, notes);
	/* After a timeout the cache is what makes the next run faster. */
	if (loop.end && (loop.end->outcome == AGENTCG_OOM_KILLED || loop.end->outcome == AGENTCG_KILLED_BY_POLICY))
		clear_leftovers(c, notes);
}

void agentcg_rerun_end(struct call *c)
{
	struct result *r = &c->result;
	const struct habit_end end = {
		.outcome = r->outcome,
		.peak = r->peak,
		.memory_max = r->memory_max,
		.timeout_usec = r->timeout_usec,
		.pids_max = r->pids_max,
		.request = r->request,
		.ceiling = min_u64(min_u64(r->session_budget, r->pool_max), r->memory_cap),
	};
	struct habits *h = c->text ? get_habits(c->session) : NULL;
	size_t n = strlen(r->text);

	/* Once, though removing the leaf may be tried again; and none whose client went away. */
	if (!c->alike && h && c->fate != AGENTCG_FATE_CLOSED)
		c->alike = agentcg_habit_ended(h, now_usec(CLOCK_BOOTTIME), c->text, kind_digest(c), &end);
	if (c->alike > AGENTCG_HABIT_BAD)
		snprintf(r->text + n, sizeof(r->text) - n,
			 " So ended the last %u runs of it: change something before the next.", c->alike);
}
