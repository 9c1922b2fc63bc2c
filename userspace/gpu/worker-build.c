// SPDX-License-Identifier: GPL-2.0-only
/* A worker as the interface's Worker. */
#include "cgroup.h"
#include "feed.h"
#include "manager.h"
#include "workers.h"

static int build_gpus(const struct worker *w, sd_json_variant **ret)
{
	int r = sd_json_variant_new_array(ret, NULL, 0);

	for (unsigned int i = 0; r >= 0 && i < w->nr_gpus; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		r = sd_json_variant_new_string(&v, w->gpus[i]);
		if (r >= 0)
			r = sd_json_variant_append_array(ret, v);
	}
	return r;
}

static uint64_t current_memory(const struct worker *w)
{
	uint64_t v;

	return w->fd >= 0 && agentcg_cgroup_read_u64(w->fd, "memory.current", &v) >= 0 ? v : 0;
}

int agentcg_worker_build(struct worker *w, uid_t uid, sd_json_variant **ret)
{
	static const char *const roles[] = { "both", "prefill", "decode" };
	static const char *const states[] = { "starting", "running", "hung", "gpu_lost", "gone" };
	char cpus[AGENTCG_CPUS_TEXT_MAX], mems[AGENTCG_CPUS_TEXT_MAX], far[AGENTCG_CPUS_TEXT_MAX];
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *gpus = NULL;
	struct slice *s = &w->m->workers->slice;
	const struct worker_part *part;
	_cleanup_free_ char *path = NULL;
	int r = build_gpus(w, &gpus);

	if (r >= 0 && w->fd >= 0 && asprintf(&path, "%s/" AGENTCG_WORKER_PREFIX "%s", s->path, w->name) < 0)
		return -ENOMEM;
	if (r >= 0)
		r = sd_json_buildo(ret,
			SD_JSON_BUILD_PAIR_STRING("name", w->name),
			SD_JSON_BUILD_PAIR_UNSIGNED("uid", w->uid),
			SD_JSON_BUILD_PAIR_UNSIGNED("pid", (uint64_t)w->pid),
			SD_JSON_BUILD_PAIR_STRING("state", states[w->state]),
			SD_JSON_BUILD_PAIR_CONDITION(*w->reason != 0, "reason", SD_JSON_BUILD_STRING(w->reason)),
			SD_JSON_BUILD_PAIR_STRING("engine", agentcg_engine_names[w->engine]),
			SD_JSON_BUILD_PAIR_STRING("role", roles[w->role]),
			SD_JSON_BUILD_PAIR_UNSIGNED("priority", w->priority),
			SD_JSON_BUILD_PAIR_VARIANT("gpus", gpus),
			SD_JSON_BUILD_PAIR_CONDITION(*w->url != 0, "url", SD_JSON_BUILD_STRING(w->url)),
			SD_JSON_BUILD_PAIR_CONDITION(!!path, "cgroup", SD_JSON_BUILD_STRING(path)),
			SD_JSON_BUILD_PAIR_STRING("cpus", cpus_format(&w->place.cpus, cpus)),
			SD_JSON_BUILD_PAIR_BOOLEAN("exclusive", w->fd >= 0 && s->exclusive),
			SD_JSON_BUILD_PAIR_UNSIGNED("cores", w->place.cores),
			SD_JSON_BUILD_PAIR_STRING("placement", w->place.why),
			SD_JSON_BUILD_PAIR_STRING("mems", cpus_format(&w->place.mems, mems)),
			SD_JSON_BUILD_PAIR_STRING("farMems", cpus_format(&w->place.far, far)),
			SD_JSON_BUILD_PAIR_CONDITION(w->place.node >= 0, "node", SD_JSON_BUILD_INTEGER(w->place.node)),
			SD_JSON_BUILD_PAIR_BOOLEAN("moving", !!w->mover),
			SD_JSON_BUILD_PAIR_UNSIGNED("feeders", agentcg_feed_count(w)),
			SD_JSON_BUILD_PAIR_UNSIGNED("memoryCurrent", current_memory(w)),
			SD_JSON_BUILD_PAIR_UNSIGNED("memoryProtected", w->min),
			SD_JSON_BUILD_PAIR_UNSIGNED("memoryPinned", w->pinned),
			SD_JSON_BUILD_PAIR_UNSIGNED("memoryUncharged", w->uncharged),
			SD_JSON_BUILD_PAIR_UNSIGNED("hugePages", w->huge.got == UINT64_MAX ? 0 : w->huge.got * w->huge.page),
			SD_JSON_BUILD_PAIR_CONDITION(w->mps_share != 0, "mpsShare", SD_JSON_BUILD_UNSIGNED(w->mps_share)));
	for (size_t i = 0; r >= 0 && (part = agentcg_worker_part(i)); i++)
		if (part->build)
			r = part->build(w, uid, ret);
	return r;
}
