// SPDX-License-Identifier: GPL-2.0-only
#include "recent.h"

#include "util.h"

static struct recent_list *find(struct recent *r, enum recent_kind of, uid_t uid, const char *text)
{
	for (size_t i = 0; i < AGENTCG_RECENT_LISTS; i++) {
		struct recent_list *l = &r->lists[i];

		if (l->used && l->of == of && l->uid == uid && streq(l->text, text))
			return l;
	}
	return NULL;
}

const struct recent_list *agentcg_recent_find(struct recent *r, enum recent_kind of, uid_t uid, const char *text)
{
	struct recent_list *l = find(r, of, uid, text);

	if (l)
		l->asked = ++r->asked;
	return l;
}

struct recent_list *agentcg_recent_make(struct recent *r, enum recent_kind of, uid_t uid, const char *text)
{
	struct recent_list *l = &r->lists[0];

	for (size_t i = 1; i < AGENTCG_RECENT_LISTS && l->used; i++)
		if (!r->lists[i].used || r->lists[i].asked < l->asked)
			l = &r->lists[i];
	l->used = true;
	l->of = of;
	l->uid = uid;
	snprintf(l->text, sizeof(l->text), "%s", text);
	l->asked = ++r->asked;
	l->n = 0;
	return l;
}

static void push(struct recent_list *l, const struct observation *o)
{
	if (!l)
		return;
	if (l->n < AGENTCG_OBSERVATIONS_MAX)
		l->n++;
	memmove(&l->runs[1], &l->runs[0], (l->n - 1) * sizeof(l->runs[0]));
	l->runs[0] = *o;
}

void agentcg_recent_add(struct recent *r, uid_t uid, const char *kind, const struct observation *o)
{
	char family[AGENTCG_KIND_MAX];

	push(find(r, AGENTCG_RECENT_OF_KIND, uid, kind), o);
	push(find(r, AGENTCG_RECENT_OF_FAMILY, uid, agentcg_kind_family(family, kind)), o);
	push(find(r, AGENTCG_RECENT_ALL, uid, ""), o);
	if (o->declared != AGENTCG_NONE)
		push(find(r, AGENTCG_RECENT_DECLARED, uid, ""), o);
}
