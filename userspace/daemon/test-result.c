// SPDX-License-Identifier: GPL-2.0-only
#include "command.h"
#include "result.h"
#include "tap.h"

static struct result judge(struct result r)
{
	r.pool_max = r.pool_max ?: 10 * GIB;
	r.session_budget = r.session_budget ?: UINT64_MAX;
	r.memory_max = r.memory_max ?: UINT64_MAX;
	r.memory_cap = r.memory_cap ?: UINT64_MAX;
	r.timeout_cap = r.timeout_cap ?: UINT64_MAX;
	agentcg_result_judge(&r);
	return r;
}

static void says(const struct result *r, enum agentcg_outcome outcome, const char *part)
{
	tap_ok(r->outcome == outcome && strstr(r->text, part), "%s: %s", agentcg_outcome_name(outcome), r->text);
}

static void test_outcomes(void)
{
	struct result r = judge((struct result){ .peak = 100 * MIB, .request = 128 * MIB });

	says(&r, AGENTCG_OK, "ok. peak 100 MiB, 128 MiB requested.");
	tap_ok(!r.suggested, "what suffices needs no suggestion");
	r = judge((struct result){ .peak = 200 * MIB, .request = 128 * MIB });
	says(&r, AGENTCG_OK, "Next time say --memory 240Mi.");
	tap_ok(r.suggested == 240 * MIB, "a fifth more than the peak");
	r = judge((struct result){ .oom_kills = 1, .peak = 512 * MIB, .memory_max = 512 * MIB, .request = 128 * MIB });
	says(&r, AGENTCG_OOM_KILLED, "peak 512 MiB of limit 512 MiB. Ask for more with --memory-max 615Mi");
	r = judge((struct result){ .oom_kills = 2, .peak = 90 * MIB, .oom_level = AGENTCG_OOM_SESSION,
				   .session_budget = 100 * MIB, .request = 10 * MIB });
	says(&r, AGENTCG_OOM_KILLED, "budget of 100 MiB was full");
	tap_ok(r.suggested == 100 * MIB, "no suggestion above the budget");
	r = judge((struct result){ .oom_kills = 1, .peak = GIB, .oom_level = AGENTCG_OOM_POOL });
	says(&r, AGENTCG_OOM_KILLED, "Try again with --memory 1229Mi");
	r = judge((struct result){ .fate = AGENTCG_FATE_TIMEOUT, .timeout_usec = 5 * USEC_PER_SEC, .oom_kills = 1,
				   .holds = 1, .held_usec = 2 * USEC_PER_SEC });
	says(&r, AGENTCG_TIMEOUT, "timeout after 5s. peak 0 B. 2s of it were spent waiting for memory.");
	r = judge((struct result){ .fate = AGENTCG_FATE_POLICY, .held_usec = 35 * USEC_PER_SEC, .peak = 100 * MIB });
	says(&r, AGENTCG_KILLED_BY_POLICY, "after 35s of waiting. peak 100 MiB. Try again later with --memory 120Mi");
	r = judge((struct result){ .holds = 1, .held_usec = 1500 * USEC_PER_MSEC, .throttles = 3 });
	says(&r, AGENTCG_WAS_HELD, "held 1 time, 1.5s in all");
	r = judge((struct result){ .throttles = 3 });
	says(&r, AGENTCG_WAS_THROTTLED, "slowed 3 times");
}

static void retry_is(struct result in, enum agentcg_retry retry, const char *part)
{
	struct result r = judge(in);
	const char *name = agentcg_retry_name(r.retry) ?: "no";

	tap_ok(r.retry == retry && strstr(r.text, part), "retry %s: %s", name, r.text);
}

static void test_retry(void)
{
	retry_is((struct result){}, AGENTCG_RETRY_NO, "ok.");
	retry_is((struct result){ .fate = AGENTCG_FATE_CLOSED }, AGENTCG_RETRY_NO, "ended on request.");
	retry_is((struct result){ .oom_kills = 1, .memory_max = 100 * MIB, .peak = 100 * MIB },
		 AGENTCG_RETRY_LARGER, "--memory-max 120Mi");
	retry_is((struct result){ .oom_kills = 1, .memory_max = 100 * MIB, .memory_cap = 100 * MIB },
		 AGENTCG_RETRY_SMALLER, "The policy allows no more");
	retry_is((struct result){ .oom_kills = 1, .memory_max = 100 * MIB, .session_budget = 100 * MIB },
		 AGENTCG_RETRY_SMALLER, "The policy allows no more");
	retry_is((struct result){ .oom_kills = 1, .oom_level = AGENTCG_OOM_POOL }, AGENTCG_RETRY_LATER, "Try again later");
	retry_is((struct result){ .fate = AGENTCG_FATE_TIMEOUT, .timeout_usec = 10 }, AGENTCG_RETRY_LARGER, "--timeout");
	retry_is((struct result){ .fate = AGENTCG_FATE_TIMEOUT, .timeout_usec = 10, .timeout_cap = 10 },
		 AGENTCG_RETRY_SMALLER, "do less in one call");
	retry_is((struct result){ .fate = AGENTCG_FATE_POLICY, .kill_wished = true },
		 AGENTCG_RETRY_LATER, "its on_pressure is kill");
	retry_is((struct result){ .pids_exceeded = 3, .pids_max = 10, .pids_cap = 20 },
		 AGENTCG_RETRY_LARGER, "3 times no process or thread could be started: 10 are allowed");
	retry_is((struct result){ .pids_exceeded = 1, .pids_max = 20, .pids_cap = 20 },
		 AGENTCG_RETRY_SMALLER, "1 time no process or thread could be started: 20 are allowed");
	says(&(struct result){ .outcome = judge((struct result){ .pids_exceeded = 1 }).outcome, .text = "-" },
	     AGENTCG_PIDS_EXCEEDED, "-");
}

static char *trim(const char *json)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *in = NULL, *out = NULL;
	char *text = NULL;

	if (sd_json_parse(json, 0, &in, NULL, NULL) >= 0 && agentcg_command_trim(in, &out) >= 0)
		sd_json_variant_format(out, 0, &text);
	return text ?: strdup("refused");
}

static void trims(const char *json, const char *result, const char *what)
{
	_cleanup_free_ char *text = trim(json);

	tap_ok(streq(text, result), "%s: %s", what, text);
}

static void test_commands(void)
{
	char json[700], expect[700];

	trims("[\"make\",\"-j2\"]", "[\"make\",\"-j2\"]", "a command is kept");
	trims("[]", "[]", "no command");
	trims("[\"a\",1]", "refused", "words are strings");
	trims("[\"\\u001b[2J\\n\"]", "[\" [2J \"]", "nothing that moves a cursor");
	/* 255 times x, then a character of two bytes: it is not cut in half. */
	memset(json, 'x', sizeof(json));
	memcpy(json, "[\"", 2);
	strcpy(json + 2 + 255, "\xc3\xa4yz\"]");
	memset(expect, 'x', sizeof(expect));
	memcpy(expect, "[\"", 2);
	strcpy(expect + 2 + 255, "...\"]");
	trims(json, expect, "256 bytes and whole characters");
}

int main(void)
{
	test_outcomes();
	test_retry();
	test_commands();
	return tap_done();
}
