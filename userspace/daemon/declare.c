// SPDX-License-Identifier: GPL-2.0-only
#include "declare.h"

#include "class.h"

struct declared {
	uid_t uid;
	char session[65];		/* as AGENTCG_SESSION_NAME_MAX */
	char kind[AGENTCG_KIND_MAX];	/* "": of any */
	struct agentcg_intent intent;
	uint64_t since_usec;
};

/* In the order of their ages, the oldest first. */
static void drop(struct declarations *d, size_t i)
{
	d->nr--;
	memmove(d->list + i, d->list + i + 1, (d->nr - i) * sizeof(*d->list));
}

static void drop_old(struct declarations *d, uint64_t now_usec)
{
	size_t n = 0;

	while (n < d->nr && now_usec - d->list[n].since_usec >= AGENTCG_DECLARED_USEC)
		n++;
	if (!n)
		return;
	d->nr -= n;
	memmove(d->list, d->list + n, d->nr * sizeof(*d->list));
}

static bool is_of(const struct declared *e, uid_t uid, const char *session)
{
	return e->uid == uid && streq(e->session, session);
}

/* What frameworks say of every call by themselves does not count. */
static bool says_itself(const struct agentcg_intent *i)
{
	return i->cpu_request != AGENTCG_UNSET || i->cpu_limit != AGENTCG_UNSET ||
	       i->memory_request != AGENTCG_UNSET || i->memory_limit != AGENTCG_UNSET ||
	       i->pids_limit != AGENTCG_UNSET || i->deadline_usec != AGENTCG_UNSET ||
	       i->duration_usec != AGENTCG_UNSET || i->latency != AGENTCG_CLASS_AUTO || i->reserved;
}

static bool says_nothing(const struct agentcg_intent *i)
{
	return !says_itself(i) && i->timeout_usec == AGENTCG_UNSET && i->on_pressure == AGENTCG_PRESSURE_UNSET &&
	       !i->detach_set;
}

/* What was declared for the same before.  Whether there was something. */
static bool take_back(struct declarations *d, const struct declared *e)
{
	for (size_t i = 0; i < d->nr; i++)
		if (is_of(&d->list[i], e->uid, e->session) && streq(d->list[i].kind, e->kind)) {
			drop(d, i);
			return true;
		}
	return false;
}

/* Those that @e replaces, or for which there is no room beside it. */
static void make_room(struct declarations *d, const struct declared *e)
{
	size_t oldest_kind = SIZE_MAX, oldest = SIZE_MAX, kinds = 0, of_user = 0;

	if (take_back(d, e))
		return;
	for (size_t i = 0; i < d->nr; i++) {
		const struct declared *other = &d->list[i];

		if (other->uid != e->uid)
			continue;
		if (!of_user++)
			oldest = i;
		if (streq(other->session, e->session) && *other->kind && !kinds++)
			oldest_kind = i;
	}
	if (*e->kind && kinds >= AGENTCG_DECLARED_KINDS)
		drop(d, oldest_kind);
	else if (of_user >= AGENTCG_DECLARED_PER_UID)
		drop(d, oldest);
}

int agentcg_declare(struct declarations *d, uid_t uid, const char *session, const char *kind,
		    const struct agentcg_intent *intent, uint64_t now_usec)
{
	struct declared e = { .uid = uid, .intent = *intent, .since_usec = now_usec };
	struct declared *list;

	snprintf(e.session, sizeof(e.session), "%s", session);
	snprintf(e.kind, sizeof(e.kind), "%s", kind);
	drop_old(d, now_usec);
	if (says_nothing(intent)) {
		take_back(d, &e);
		return 0;
	}
	make_room(d, &e);
	if (d->nr >= AGENTCG_DECLARED_MAX)
		return -ENOSPC;
	list = reallocarray(d->list, d->nr + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	d->list = list;
	list[d->nr++] = e;
	return 0;
}

static void fill_in(struct agentcg_intent *intent, const struct declared *e, uint64_t now_usec)
{
	struct agentcg_intent said = *intent;

	*intent = e->intent;
	if (said.timeout_usec != AGENTCG_UNSET)
		intent->timeout_usec = said.timeout_usec;
	if (said.on_pressure != AGENTCG_PRESSURE_UNSET)
		intent->on_pressure = said.on_pressure;
	if (said.detach_set) {
		intent->detach = said.detach;
		intent->detach_set = true;
	}
	/* "From now on" was said then. */
	if (intent->deadline_usec != AGENTCG_UNSET)
		intent->deadline_usec -= min_u64(intent->deadline_usec - 1, now_usec - e->since_usec);
}

bool agentcg_declare_take(struct declarations *d, uid_t uid, const char *session, const char *kind,
			  struct agentcg_intent *intent, uint64_t now_usec)
{
	size_t found = SIZE_MAX;

	drop_old(d, now_usec);
	if (says_itself(intent))
		return false;
	for (size_t i = 0; i < d->nr; i++) {
		const struct declared *e = &d->list[i];

		if (!is_of(e, uid, session) || (*e->kind && !streq(e->kind, kind)))
			continue;
		if (*e->kind || found == SIZE_MAX)
			found = i;
		if (*e->kind)
			break;
	}
	if (found == SIZE_MAX)
		return false;
	fill_in(intent, &d->list[found], now_usec);
	drop(d, found);
	return true;
}

void agentcg_declare_forget(struct declarations *d, uid_t uid, const char *session)
{
	for (size_t i = d->nr; i-- > 0;)
		if (is_of(&d->list[i], uid, session))
			drop(d, i);
}

void agentcg_declare_done(struct declarations *d)
{
	free(d->list);
	*d = (struct declarations){};
}
