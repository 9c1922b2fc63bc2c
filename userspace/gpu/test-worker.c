// SPDX-License-Identifier: GPL-2.0-only
#include "manager.h"
#include "tap.h"
#include "workers.h"

static void test_protection(void)
{
	tap_ok(agentcg_worker_protection(5 * GIB, GIB, 7 * GIB) == 5 * GIB, "what was said is protected, whatever it uses");
	tap_ok(agentcg_worker_protection(0, 0, 3 * GIB + 1) == 3 * GIB + 2 * MIB, "else what it uses, rounded up");
	tap_ok(agentcg_worker_protection(0, 4 * GIB, 4 * GIB + 1) == 4 * GIB + 2 * MIB, "more at once");
	tap_ok(agentcg_worker_protection(0, 4 * GIB, 3 * GIB) == 4 * GIB, "a quarter less: stays");
	tap_ok(agentcg_worker_protection(0, 4 * GIB, 3 * GIB - 1) == 3 * GIB, "less than that: less");
	tap_ok(agentcg_worker_protection(0, 4 * GIB, 0) == 0, "nothing for nothing");
}

static void test_taken(void)
{
	struct worker w = { .min = 3 * GIB, .uncharged = GIB, .huge = { .page = 2 * MIB, .got = 512 } };

	tap_ok(agentcg_worker_taken(&w) == 5 * GIB, "agents lack what is protected, pinned beside that, and huge pages");
	w.huge.got = UINT64_MAX;
	tap_ok(agentcg_worker_taken(&w) == 4 * GIB, "... those that it really got");
}

static void test_names(void)
{
	struct workers ws = {};
	struct manager *m = calloc(1, sizeof(*m));
	struct worker one = { .name = "vllm" };
	char name[AGENTCG_WORKER_NAME_MAX + 1];

	m->workers = &ws;
	agentcg_worker_name(m, "/usr/bin/vllm", name);
	tap_ok(streq(name, "vllm"), "named after the program");
	ws.list[ws.nr++] = &one;
	agentcg_worker_name(m, "/usr/bin/vllm", name);
	tap_ok(streq(name, "vllm-2"), "the second with a number");
	agentcg_worker_name(m, "./a b;c", name);
	tap_ok(streq(name, "a-b-c"), "only what a name may have");
	agentcg_worker_name(m, "/", name);
	tap_ok(streq(name, "worker"), "nothing: worker");
	agentcg_worker_name(m, "../..", name);
	tap_ok(agentcg_worker_name_valid(name), "no way out of the folder");
	tap_ok(!agentcg_worker_name_valid("../x") && !agentcg_worker_name_valid("a/b") && !agentcg_worker_name_valid("") &&
	   !agentcg_worker_name_valid(".hidden"), "names that are none");
	free(m);
}

int main(void)
{
	test_protection();
	test_taken();
	test_names();
	return tap_done();
}
