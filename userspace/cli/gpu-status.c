// SPDX-License-Identifier: GPL-2.0-only
/* agentcg gpu status: GPUs, the workers on them, and what is not placed. */
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"
#include "client.h"
#include "gpu.h"
#include "size.h"
#include "table.h"
#include "util.h"

#define SIZE(bytes)	agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, (bytes))

static bool is_true(sd_json_variant *v, const char *key)
{
	sd_json_variant *b = sd_json_variant_by_key(v, key);

	return b && sd_json_variant_is_boolean(b) && sd_json_variant_boolean(b);
}

static size_t elements(sd_json_variant *v, const char *key)
{
	sd_json_variant *list = sd_json_variant_by_key(v, key);

	return list && sd_json_variant_is_array(list) ? sd_json_variant_elements(list) : 0;
}

static sd_json_variant *element(sd_json_variant *v, const char *key, size_t i)
{
	return sd_json_variant_by_index(sd_json_variant_by_key(v, key), i);
}

/* As --gpu takes it. */
static const char *name_of(sd_json_variant *gpu, char buf[48])
{
	if (agentcg_json_has(gpu, "instance"))
		snprintf(buf, 48, "%" PRIu64 "/%" PRIu64, agentcg_json_u64(gpu, "index"), agentcg_json_u64(gpu, "instance"));
	else
		snprintf(buf, 48, "%" PRIu64, agentcg_json_u64(gpu, "index"));
	return buf;
}

static void print_gpus(sd_json_variant *answer)
{
	struct agentcg_table t = { .columns = 6 };
	size_t n = elements(answer, "gpus");
	char name[48];

	if (!n) {
		printf("no GPU: %s\n", agentcg_json_string(answer, "reason") ?: "none is there");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(((const char *[]){ "GPU", "NAME", "NODE", "MEMORY", "BUSY", "STATE" })); i++)
		agentcg_table_add(&t, "%s", ((const char *[]){ "GPU", "NAME", "NODE", "MEMORY", "BUSY", "STATE" })[i]);
	for (size_t i = 0; i < n; i++) {
		sd_json_variant *g = element(answer, "gpus", i);

		agentcg_table_add(&t, "%s", name_of(g, name));
		agentcg_table_add(&t, "%s", agentcg_json_string(g, "name") ?: "");
		if (agentcg_json_has(g, "node"))
			agentcg_table_add(&t, "%" PRIu64, agentcg_json_u64(g, "node"));
		else
			agentcg_table_add(&t, "-");
		agentcg_table_add(&t, "%s of %s", SIZE(agentcg_json_u64(g, "memoryUsed")), SIZE(agentcg_json_u64(g, "memoryTotal")));
		if (agentcg_json_has(g, "busy"))
			agentcg_table_add(&t, "%" PRIu64 "%%", agentcg_json_u64(g, "busy"));
		else
			agentcg_table_add(&t, "-");
		agentcg_table_add(&t, "%s", is_true(g, "lost") ? "lost" : is_true(g, "mig") ? "divided (MIG)" : "ok");
	}
	agentcg_table_print(&t, stdout);
	agentcg_table_done(&t);
}

/* The numbers of its GPUs, as in the first table. */
static void gpus_of(sd_json_variant *answer, sd_json_variant *worker, char *buf, size_t size)
{
	char name[48];
	size_t n = 0;

	*buf = 0;
	for (size_t i = 0; i < elements(worker, "gpus"); i++) {
		const char *uuid = sd_json_variant_string(element(worker, "gpus", i));

		for (size_t k = 0; k < elements(answer, "gpus") && n < size; k++) {
			sd_json_variant *g = element(answer, "gpus", k);

			if (streq(agentcg_json_string(g, "uuid") ?: "", uuid))
				n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "," : "", name_of(g, name));
		}
	}
	if (!*buf)
		snprintf(buf, size, "-");
}

static void add_launches(struct agentcg_table *t, sd_json_variant *worker)
{
	sd_json_variant *launches = sd_json_variant_by_key(worker, "launches");
	const char *bound = agentcg_json_string(launches, "boundBy");

	if (!agentcg_json_has(launches, "p99NSec")) {
		agentcg_table_add(t, "-");
		return;
	}
	agentcg_table_add(t, "%.1f/%.1f us%s%s", (double)agentcg_json_u64(launches, "p50NSec") / 1000,
			  (double)agentcg_json_u64(launches, "p99NSec") / 1000, bound && !streq(bound, "unknown") ? ", bound by " : "",
			  bound && !streq(bound, "unknown") ? bound : "");
}

static void add_worker(struct agentcg_table *t, sd_json_variant *answer, sd_json_variant *w)
{
	char gpus[64];

	gpus_of(answer, w, gpus, sizeof(gpus));
	agentcg_table_add(t, "%s", gpus);
	agentcg_table_add(t, "%s", agentcg_json_string(w, "name") ?: "");
	agentcg_table_add(t, "%s", agentcg_json_string(w, "engine") ?: "");
	agentcg_table_add(t, "%s", agentcg_json_string(w, "role") ?: "");
	agentcg_table_add(t, "%s%s", agentcg_json_string(w, "cpus") ?: "", is_true(w, "exclusive") ? "" : " (shared)");
	agentcg_table_add(t, "%s%s", agentcg_json_string(w, "mems") ?: "", is_true(w, "moving") ? " (moving)" : "");
	agentcg_table_add(t, "%s", SIZE(agentcg_json_u64(w, "memoryProtected")));
	agentcg_table_add(t, "%s", SIZE(agentcg_json_u64(w, "memoryPinned")));
	add_launches(t, w);
	agentcg_table_add(t, "%s", agentcg_json_string(w, "state") ?: "");
}

static void print_workers(sd_json_variant *answer)
{
	static const char *const head[] = {
		"GPU", "WORKER", "ENGINE", "ROLE", "CPUS", "NODE", "PROTECTED", "PINNED", "LAUNCH P50/P99", "STATE",
	};
	struct agentcg_table t = { .columns = ARRAY_SIZE(head) };
	size_t n = elements(answer, "workers");

	if (!n) {
		puts("no workers");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		agentcg_table_add(&t, "%s", head[i]);
	for (size_t i = 0; i < n; i++)
		add_worker(&t, answer, element(answer, "workers", i));
	agentcg_table_print(&t, stdout);
	agentcg_table_done(&t);
	for (size_t i = 0; i < n; i++) {
		sd_json_variant *w = element(answer, "workers", i);
		const char *reason = agentcg_json_string(w, "reason"), *checkpoint = agentcg_json_string(w, "checkpoint") ?: "none";

		printf("%s: %s%s%s", agentcg_json_string(w, "name"), agentcg_json_string(w, "placement") ?: "", reason ? "; " : "",
		       reason ?: "");
		if (agentcg_json_has(w, "mpsShare"))
			printf("; %" PRIu64 "%% of its GPU by MPS", agentcg_json_u64(w, "mpsShare"));
		if (streq(checkpoint, "failed"))
			printf("; %s", agentcg_json_string(w, "checkpointReason") ?: "its GPU memory cannot be moved");
		else if (!streq(checkpoint, "none"))
			printf("; its GPU memory is %s", streq(checkpoint, "saved") ? "on the host" : "on its way");
		putchar('\n');
		if (agentcg_json_has(w, "offloading"))
			printf("%s: %s\n", agentcg_json_string(w, "name"), agentcg_json_string(w, "offloading"));
	}
}

static void add_cache(struct agentcg_table *t, sd_json_variant *w, sd_json_variant *c)
{
	static const char *const numbers[] = { "slot", "tokens" };
	uint64_t paused = agentcg_json_u64(c, "pausedUSec");

	agentcg_table_add(t, "%s", agentcg_json_string(c, "session") ?: "");
	agentcg_table_add(t, "%s", agentcg_json_string(w, "name") ?: "");
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (agentcg_json_has(c, numbers[i]))
			agentcg_table_add(t, "%" PRIu64, agentcg_json_u64(c, numbers[i]));
		else
			agentcg_table_add(t, "-");
	agentcg_table_add(t, "%s", agentcg_json_string(c, "kv") ?: "");
	if (paused)
		agentcg_table_add(t, "%.0f s", (double)paused / USEC_PER_SEC);
	else
		agentcg_table_add(t, "-");
}

/* Which worker holds which session. */
static void print_caches(sd_json_variant *answer)
{
	static const char *const head[] = { "SESSION", "WORKER", "SLOT", "TOKENS", "KV CACHE", "IN TOOL CALL" };
	struct agentcg_table t = { .columns = ARRAY_SIZE(head) };
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(head); i++)
		agentcg_table_add(&t, "%s", head[i]);
	for (size_t i = 0; i < elements(answer, "workers"); i++) {
		sd_json_variant *w = element(answer, "workers", i);

		for (size_t k = 0; k < elements(w, "caches"); k++, n++)
			add_cache(&t, w, element(w, "caches", k));
	}
	if (n)
		agentcg_table_print(&t, stdout);
	agentcg_table_done(&t);
}

static void print_rest(sd_json_variant *answer)
{
	for (size_t i = 0; i < elements(answer, "gpus"); i++) {
		sd_json_variant *g = element(answer, "gpus", i);

		for (size_t k = 0; k < elements(g, "others"); k++) {
			sd_json_variant *o = element(g, "others", k);
			const char *engine = agentcg_json_string(o, "engine") ?: "unknown";
			uint64_t pid = agentcg_json_u64(o, "pid");
			char name[48];

			if (streq(engine, "unknown"))
				printf("GPU %s: process %" PRIu64 " is no worker\n", name_of(g, name), pid);
			else
				printf("GPU %s: process %" PRIu64 " (%s) is not placed; agentcg gpu attach %" PRIu64 "\n",
				       name_of(g, name), pid, engine, pid);
		}
	}
	printf("tool calls have CPUs %s\n", agentcg_json_string(answer, "callCpus") ?: "");
	for (size_t i = 0; i < elements(answer, "notes"); i++)
		printf("note: %s\n", sd_json_variant_string(element(answer, "notes", i)));
}

int agentcg_gpu_show(const char *socket, bool json)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	char why[AGENTCG_WHY_MAX];
	sd_json_variant *answer;
	int r = agentcg_open_link(socket, &link);

	if (r)
		return r;
	if (agentcg_client_call(link, "io.agentcg.gpu.GetWorkers", NULL, &answer, why) < 0) {
		agentcg_say("%s", why);
		return EXIT_FAILURE;
	}
	if (json)
		return agentcg_print_json(answer);
	print_gpus(answer);
	print_workers(answer);
	print_caches(answer);
	print_rest(answer);
	return 0;
}
