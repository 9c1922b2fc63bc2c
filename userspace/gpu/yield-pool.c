// SPDX-License-Identifier: GPL-2.0-only
#include "yield-pool.h"

#include "cgroup.h"
#include "json.h"
#include "log.h"
#include "manager.h"
#include "metrics-poll.h"
#include "workers.h"
#include "yield.h"

#define PERIOD_USEC	100000ULL	/* the kernel's default */
/* The kernel refuses less. */
#define QUOTA_MIN_USEC	1000ULL
/* After a restart: for workers to be found again and asked. */
#define ADOPT_USEC	(20 * USEC_PER_SEC)

struct yield_pool {
	struct manager *m;
	unsigned int level;		/* in force */
	uint64_t weight;		/* before */
	char cpu_max[64];
	sd_event_source *adopted;	/* until then, what an earlier daemon set holds */
};

int agentcg_yield_cpu_max_text(const char *before, unsigned int cpus, unsigned int level, char ret[64])
{
	unsigned long long period = PERIOD_USEC, quota;
	char first[32];

	if (!level) {
		snprintf(ret, 64, "%s", before);
		return 0;
	}
	if (sscanf(before, "%31s %llu", first, &period) < 1 || !period || !cpus)
		return -EINVAL;
	quota = period * cpus;
	if (!streq(first, "max")) {
		char *end;
		unsigned long long limit = strtoull(first, &end, 10);

		if (end == first || *end)
			return -EINVAL;
		quota = min_u64(quota, limit);
	}
	snprintf(ret, 64, "%llu %llu", (unsigned long long)max_u64(quota * agentcg_yield_cpu_max(level) / 100, QUOTA_MIN_USEC), period);
	return 0;
}

/* ---- the record --------------------------------------------------------- */

static int save(const struct yield_pool *p, unsigned int level)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_free_ char *text = NULL;
	int r = sd_json_buildo(&v,
		SD_JSON_BUILD_PAIR_UNSIGNED("yield", level),
		SD_JSON_BUILD_PAIR_UNSIGNED("weight", p->weight),
		SD_JSON_BUILD_PAIR_STRING("cpuMax", p->cpu_max));

	if (r >= 0)
		r = sd_json_variant_format(v, 0, &text);
	return r < 0 ? r : agentcg_cgroup_set_note(p->m->pool_fd, text);
}

static int load(struct yield_pool *p)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_free_ char *text = NULL;
	int r = agentcg_cgroup_get_note(p->m->pool_fd, &text);

	if (r >= 0)
		r = sd_json_parse(text, SD_JSON_PARSE_MUST_BE_OBJECT, &v, NULL, NULL);
	if (r < 0)
		return r;
	p->weight = agentcg_json_u64(v, "weight");
	snprintf(p->cpu_max, sizeof(p->cpu_max), "%s", agentcg_json_string(v, "cpuMax") ?: "");
	p->level = (unsigned int)min_u64(agentcg_json_u64(v, "yield"), AGENTCG_YIELD_MAX);
	return p->weight && *p->cpu_max ? 0 : -EINVAL;
}

/* ---- in force ----------------------------------------------------------- */

static unsigned int usable_cpus(const struct manager *m)
{
	struct cpus calls;

	agentcg_workers_call_cpus(m->workers, &calls);
	return cpus_count(&calls);
}

static int look_before(struct yield_pool *p)
{
	ssize_t n = agentcg_cgroup_read(p->m->pool_fd, "cpu.max", p->cpu_max, sizeof(p->cpu_max));
	int r = n < 0 ? (int)n : agentcg_cgroup_read_u64(p->m->pool_fd, "cpu.weight", &p->weight);

	return r;
}

/* The record first: whoever is killed in between gives back what was not taken. */
static int put(struct yield_pool *p, unsigned int level)
{
	int fd = p->m->pool_fd, r = 0;
	char max[64];

	if (!p->level)
		r = look_before(p);
	if (!r)
		r = agentcg_yield_cpu_max_text(p->cpu_max, usable_cpus(p->m), level, max);
	if (!r && level)
		r = save(p, level);
	if (!r)
		r = agentcg_cgroup_write_u64(fd, "cpu.weight", max_u64(p->weight * agentcg_yield_weight(level) / 100, 1));
	if (!r)
		r = agentcg_cgroup_write(fd, "cpu.max", max);
	if (!r && !level)
		r = agentcg_cgroup_set_note(fd, "{}");
	if (!r)
		p->level = level;
	return r;
}

static unsigned int wanted(const struct manager *m)
{
	unsigned int level = 0;

	for (unsigned int i = 0; m->workers && i < m->workers->nr; i++) {
		unsigned int one = agentcg_metrics_yield(m->workers->list[i]);

		level = one > level ? one : level;
	}
	return level;
}

void agentcg_yield_pool_apply(struct manager *m, const char *why)
{
	struct yield_pool *p = m->yield;
	unsigned int level = wanted(m), before;
	int r;

	if (!p || m->stopping || m->pool_fd < 0 || level == p->level || (p->adopted && level < p->level))
		return;
	before = p->level;
	r = put(p, level);
	if (r < 0)
		agentcg_log(LOG_WARNING, "tool calls cannot yield to inference: %s", strerror(-r));
	else
		agentcg_log(LOG_INFO, "tool calls %s: %u of %u, %u %% of their CPU time (%s)",
			    level > before ? "yield to inference" : "get back what they gave up", level, AGENTCG_YIELD_MAX,
			    agentcg_yield_cpu_max(level), why);
}

unsigned int agentcg_yield_pool_level(const struct manager *m)
{
	return m->yield && m->yield->adopted ? m->yield->level : 0;
}

/* ---- beginning and end -------------------------------------------------- */

static int on_adopted(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct yield_pool *p = userdata;

	p->adopted = sd_event_source_disable_unref(p->adopted);
	agentcg_yield_pool_apply(p->m, "as the workers of now want it");
	return 0;
}

int agentcg_yield_pool_open(struct manager *m)
{
	struct yield_pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->m = m;
	m->yield = p;
	if (m->pool_fd < 0)
		return 0;
	if (load(p) < 0)
		p->level = 0;
	if (!p->level)
		return 0;
	return sd_event_add_time_relative(m->event, &p->adopted, CLOCK_MONOTONIC, ADOPT_USEC, 0, on_adopted, p);
}

struct yield_pool *agentcg_yield_pool_free(struct yield_pool *p)
{
	if (!p)
		return NULL;
	sd_event_source_disable_unref(p->adopted);
	free(p);
	return NULL;
}
