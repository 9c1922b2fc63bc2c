// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the daemon remembers of a worker, in the xattr of its group, as of a session
 * (daemon/record.c).  Without a group nothing is remembered: what its processes are
 * bound to stays with them.
 */
#include "cgroup.h"
#include "json.h"
#include "pause.h"
#include "workers.h"

#define NUMBER(name, value)	SD_JSON_BUILD_PAIR_UNSIGNED(name, value)
#define TEXT(name, value)	SD_JSON_BUILD_PAIR_STRING(name, value)

static int save_lists(const struct worker *w, sd_json_variant **gpus, sd_json_variant **irqs)
{
	char text[AGENTCG_CPUS_TEXT_MAX];
	int r = sd_json_variant_new_array(gpus, NULL, 0);

	if (r >= 0)
		r = sd_json_variant_new_array(irqs, NULL, 0);
	for (unsigned int i = 0; r >= 0 && i < w->nr_gpus; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *one = NULL;

		r = sd_json_variant_new_string(&one, w->gpus[i]);
		if (r >= 0)
			r = sd_json_variant_append_array(gpus, one);
	}
	for (size_t i = 0; r >= 0 && i < w->irqs.nr; i++)
		r = sd_json_variant_append_arraybo(irqs,
			NUMBER("irq", w->irqs.list[i].irq),
			TEXT("before", cpus_format(&w->irqs.list[i].before, text)));
	return r;
}

int agentcg_worker_save(const struct worker *w)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL, *gpus = NULL, *irqs = NULL;
	char cpus[AGENTCG_CPUS_TEXT_MAX], mems[AGENTCG_CPUS_TEXT_MAX];
	_cleanup_free_ char *note = NULL;
	int r;

	if (w->fd < 0)
		return 0;
	r = save_lists(w, &gpus, &irqs);
	if (r >= 0)
		r = sd_json_buildo(&v,
			NUMBER("uid", w->uid), NUMBER("pid", (uint64_t)w->pid), NUMBER("role", w->role), NUMBER("priority", w->priority),
			SD_JSON_BUILD_PAIR_BOOLEAN("adopted", w->adopted),
			SD_JSON_BUILD_PAIR_BOOLEAN("starting", w->state == WORKER_STARTING),
			NUMBER("launcher", w->launcher), NUMBER("beganUSec", w->began_usec),
			TEXT("from", w->from ?: ""),
			SD_JSON_BUILD_PAIR_VARIANT("gpus", gpus),
			NUMBER("cores", w->wish.cores),
			SD_JSON_BUILD_PAIR_INTEGER("node", w->wish.node), NUMBER("gpusAtNode", w->wish.gpus_at_node),
			TEXT("cpus", cpus_format(&w->place.cpus, cpus)), TEXT("mems", cpus_format(&w->place.mems, mems)),
			NUMBER("memory", w->memory), NUMBER("hugePages", w->huge_pages), NUMBER("mpsShare", w->mps_share),
			TEXT("url", w->url_said ? w->url : ""), TEXT("offloading", agentcg_pause_broken(w)),
			SD_JSON_BUILD_PAIR_INTEGER("hugeNode", w->huge.node),
			NUMBER("hugePage", w->huge.page), NUMBER("hugeBefore", w->huge.before), NUMBER("hugeWant", w->huge.want),
			SD_JSON_BUILD_PAIR_CONDITION(w->huge.got != UINT64_MAX, "hugeGot", SD_JSON_BUILD_UNSIGNED(w->huge.got)),
			SD_JSON_BUILD_PAIR_VARIANT("irqs", irqs));
	if (r >= 0)
		r = sd_json_variant_format(v, 0, &note);
	return r < 0 ? r : agentcg_cgroup_set_note(w->fd, note);
}

static int number_at(sd_json_variant *v, const char *key, int otherwise)
{
	sd_json_variant *n = sd_json_variant_by_key(v, key);

	return n && sd_json_variant_is_integer(n) ? (int)sd_json_variant_integer(n) : otherwise;
}

static bool bool_at(sd_json_variant *v, const char *key)
{
	sd_json_variant *b = sd_json_variant_by_key(v, key);

	return b && sd_json_variant_is_boolean(b) && sd_json_variant_boolean(b);
}

static void load_lists(struct worker *w, sd_json_variant *v)
{
	sd_json_variant *gpus = sd_json_variant_by_key(v, "gpus"), *irqs = sd_json_variant_by_key(v, "irqs");
	size_t n = gpus ? sd_json_variant_elements(gpus) : 0;

	for (size_t i = 0; i < n && w->nr_gpus < AGENTCG_GPUS_MAX; i++)
		snprintf(w->gpus[w->nr_gpus++], AGENTCG_GPU_UUID_MAX, "%s",
			 sd_json_variant_string(sd_json_variant_by_index(gpus, i)) ?: "");
	n = irqs ? sd_json_variant_elements(irqs) : 0;
	for (size_t i = 0; i < n && w->irqs.nr < AGENTCG_IRQS_MAX; i++) {
		sd_json_variant *one = sd_json_variant_by_index(irqs, i);
		struct borrowed_irq *q = &w->irqs.list[w->irqs.nr];

		q->irq = (unsigned int)agentcg_json_u64(one, "irq");
		if (cpus_parse(agentcg_json_string(one, "before") ?: "", &q->before) >= 0)
			w->irqs.nr++;
	}
}

static void load_place(struct worker *w, sd_json_variant *v)
{
	w->wish = (struct place_wish){
		.cores = (unsigned int)agentcg_json_u64(v, "cores"),
		.node = number_at(v, "node", AGENTCG_NODE_UNKNOWN),
		.priority = w->priority,
		.gpus = w->nr_gpus,
		.gpus_at_node = (unsigned int)agentcg_json_u64(v, "gpusAtNode"),
	};
	(void)cpus_parse(agentcg_json_string(v, "cpus") ?: "", &w->place.cpus);
	(void)cpus_parse(agentcg_json_string(v, "mems") ?: "", &w->place.mems);
	w->wish.before = w->place.cpus;
}

int agentcg_worker_load(struct worker *w)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_free_ char *note = NULL;
	int r = agentcg_cgroup_get_note(w->fd, &note);

	if (r >= 0)
		r = sd_json_parse(note, SD_JSON_PARSE_MUST_BE_OBJECT, &v, NULL, NULL);
	if (r < 0)
		return r;
	w->uid = (uid_t)agentcg_json_u64(v, "uid");
	w->pid = (pid_t)agentcg_json_u64(v, "pid");
	w->role = (enum worker_role)min_u64(agentcg_json_u64(v, "role"), WORKER_DECODE);
	w->priority = (uint32_t)agentcg_json_u64(v, "priority");
	w->adopted = bool_at(v, "adopted");
	w->state = bool_at(v, "starting") ? WORKER_STARTING : WORKER_RUNNING;
	w->launcher = agentcg_json_u64(v, "launcher");
	w->began_usec = agentcg_json_u64(v, "beganUSec");
	w->memory = agentcg_json_u64(v, "memory");
	w->huge_pages = agentcg_json_u64(v, "hugePages");
	w->mps_share = (unsigned int)agentcg_json_u64(v, "mpsShare");
	w->huge = (struct borrowed_huge){
		.node = number_at(v, "hugeNode", -1),
		.page = agentcg_json_u64(v, "hugePage"),
		.before = agentcg_json_u64(v, "hugeBefore"),
		.want = agentcg_json_u64(v, "hugeWant"),
		.got = agentcg_json_has(v, "hugeGot") ? agentcg_json_u64(v, "hugeGot") : UINT64_MAX,
	};
	snprintf(w->url, sizeof(w->url), "%s", agentcg_json_string(v, "url") ?: "");
	w->url_said = *w->url;
	w->from = strdup(agentcg_json_string(v, "from") ?: "");
	load_lists(w, v);
	load_place(w, v);
	r = agentcg_pause_set_broken(w, agentcg_json_string(v, "offloading") ?: "");
	return w->from ? r : -ENOMEM;
}
