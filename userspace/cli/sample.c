// SPDX-License-Identifier: GPL-2.0-only
#include "sample.h"

#include <math.h>

#include "client.h"
#include "share.h"

/*
 * How often is asked who has something to run: as a mean of so many looks, the
 * demand of a group that runs half of the time is known to a tenth or so.
 */
#define READINGS	16
/* An answer about so many groups is long: a few looks must do. */
#define MANY_GROUPS	500
#define READINGS_MANY	4

void agentcg_sample_done(struct agentcg_sample *s)
{
	free(s->groups);
	*s = (struct agentcg_sample){};
}

/* Looks from @from on: the daemon's order hardly changes. */
static struct agentcg_sample_group *find(const struct agentcg_sample *s, uint64_t id, size_t from)
{
	for (size_t k = 0; k < s->n; k++) {
		size_t i = (from + k) % s->n;

		if (s->groups[i].id == id)
			return &s->groups[i];
	}
	return NULL;
}

static void read_histogram(sd_json_variant *group, struct agentcg_latency *ret)
{
	sd_json_variant *list = sd_json_variant_by_key(group, "histogram");

	*ret = (struct agentcg_latency){};
	for (size_t i = 0; list && i < sd_json_variant_elements(list) && i < AGENTCG_HIST_BUCKETS; i++)
		ret->count[i] = sd_json_variant_unsigned(sd_json_variant_by_index(list, i));
}

/* A group that is seen for the first time; it may have begun in the interval. */
static struct agentcg_sample_group *add(struct agentcg_sample *s, sd_json_variant *v, bool first)
{
	struct agentcg_sample_group *g = reallocarray(s->groups, s->n + 1, sizeof(*g));

	if (!g)
		return NULL;
	s->groups = g;
	g += s->n++;
	*g = (struct agentcg_sample_group){
		.id = agentcg_json_u64(v, "id"),
		.parent = agentcg_json_u64(v, "parent"),
	};
	snprintf(g->name, sizeof(g->name), "%s", agentcg_json_string(v, "name") ?: "");
	if (first) {
		g->usage = agentcg_json_u64(v, "usageNSec");
		read_histogram(v, &g->before);
	}
	return g;
}

static void read_group(struct agentcg_sample_group *g, sd_json_variant *v)
{
	uint64_t runnable = agentcg_json_u64(v, "runnable");

	snprintf(g->class, sizeof(g->class), "%s", agentcg_json_string(v, "class") ?: "");
	g->weight = (uint32_t)agentcg_json_u64(v, "weight");
	g->limit = agentcg_json_has(v, "limit") ? (double)agentcg_json_u64(v, "limit") / 1000 : INFINITY;
	g->runnable += runnable;
	g->busy += runnable > 0;
	g->seen = true;
}

static void end_group(struct agentcg_sample_group *g, sd_json_variant *v, uint64_t interval_ns)
{
	uint64_t usage = agentcg_json_u64(v, "usageNSec");
	struct agentcg_latency now;

	/* The scheduler may have been loaded again meanwhile. */
	g->got = usage > g->usage ? (double)(usage - g->usage) / (double)interval_ns : 0;
	read_histogram(v, &now);
	for (int i = 0; i < AGENTCG_HIST_BUCKETS; i++)
		g->latency.count[i] = now.count[i] > g->before.count[i] ? now.count[i] - g->before.count[i] : 0;
}

static int take_reading(struct agentcg_sample *s, sd_json_variant *answer, bool first, bool last)
{
	sd_json_variant *list = sd_json_variant_by_key(answer, "groups");
	uint64_t now = agentcg_json_u64(answer, "timeNSec");

	if (!list || !now)
		return -EPROTO;
	if (first)
		s->begin_ns = now;
	s->interval_ns = now - s->begin_ns;
	s->sched_ext = streq(agentcg_json_string(answer, "active") ?: "", "sched_ext");
	snprintf(s->reason, sizeof(s->reason), "%s", agentcg_json_string(answer, "reason") ?: "");
	s->cpus = (unsigned int)agentcg_json_u64(answer, "cpus") ?: 1;
	s->readings++;
	for (size_t i = 0; i < s->n; i++)
		s->groups[i].seen = false;
	for (size_t i = 0; i < sd_json_variant_elements(list); i++) {
		sd_json_variant *v = sd_json_variant_by_index(list, i);
		struct agentcg_sample_group *g = first ? NULL : find(s, agentcg_json_u64(v, "id"), i);

		g = g ?: add(s, v, first);
		if (!g)
			return -ENOMEM;
		read_group(g, v);
		if (last)
			end_group(g, v, s->interval_ns ?: 1);
	}
	return 0;
}

/* Those that went away in between have no end to tell. */
static void drop_gone(struct agentcg_sample *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->groups[i].seen)
			s->groups[n++] = s->groups[i];
	s->n = n;
}

static int by_name(const void *a, const void *b)
{
	const struct agentcg_sample_group *x = a, *y = b;

	/* tool-2 before tool-10, and both after their session. */
	return strverscmp(x->name, y->name);
}

static int ask(struct agentcg_sample *s)
{
	_cleanup_free_ struct agentcg_share *shares = calloc(s->n + 1, sizeof(*shares));
	int r;

	if (!shares)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++) {
		const struct agentcg_sample_group *g = &s->groups[i], *parent = NULL;

		if (g->parent)
			parent = find(s, g->parent, 0);
		shares[i] = (struct agentcg_share){
			.parent = parent ? (int)(parent - s->groups) : AGENTCG_SHARE_ROOT,
			.weight = g->weight,
			.got = g->got,
			.runnable = (double)g->runnable / s->readings,
			.busy = (double)g->busy / s->readings,
			.limit = g->limit,
		};
	}
	r = agentcg_share_ask(shares, s->n, s->cpus);
	for (size_t i = 0; !r && i < s->n; i++)
		s->groups[i].asked = shares[i].asked;
	return r;
}

int agentcg_sample_take(struct agentcg_sample *s, sd_varlink *link, uint64_t interval, char *why)
{
	uint64_t begin = now_usec(CLOCK_MONOTONIC);
	unsigned int readings = READINGS;
	sd_json_variant *answer;
	int r;

	for (unsigned int k = 0; k <= readings; k++) {
		uint64_t due = begin + k * interval / readings, now = now_usec(CLOCK_MONOTONIC);

		if (due > now)
			usleep((useconds_t)(due - now));
		r = agentcg_client_call(link, "GetScheduler", NULL, &answer, why);
		if (r >= 0)
			r = take_reading(s, answer, k == 0, k == readings);
		if (r < 0)
			return r;
		if (k == 0 && s->n > MANY_GROUPS)
			readings = READINGS_MANY;
	}
	drop_gone(s);
	qsort(s->groups, s->n, sizeof(*s->groups), by_name);
	if (s->sched_ext)
		return ask(s);
	for (size_t i = 0; i < s->n; i++)
		s->groups[i].asked = -1;
	return 0;
}
