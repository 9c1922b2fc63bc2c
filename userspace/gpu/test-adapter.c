// SPDX-License-Identifier: GPL-2.0-only
#include "adapter.h"
#include "tap.h"

static void test_slots(void)
{
	static const char two[] =
		"[{\"id\":0,\"n_ctx\":4096,\"is_processing\":false},"
		"{\"id\":1,\"n_ctx\":4096,\"is_processing\":true,\"id_task\":13,\"n_prompt_tokens\":405}]";
	static const char *const bad[] = { "", "{}", "[1]", "[{\"id\":1", "[[[[", "null", "[{\"id\":-1}]", "[{}]" };
	char why[AGENTCG_WHY_MAX];
	struct kv_look l;
	bool ok = true;

	tap_ok(agentcg_llama_slots(two, 1, &l, why) == 0 && l.busy && l.task == 13 && l.tokens == 405 && l.room == 8192 &&
	       l.places == 2 && l.free_places == 1, "a slot in use");
	tap_ok(agentcg_llama_slots(two, 0, &l, why) == 0 && !l.busy && l.task == -1 && !l.tokens, "one that never was");
	tap_ok(agentcg_llama_slots(two, 2, &l, why) == -ENOENT, "one that is not there: %s", why);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ok &= agentcg_llama_slots(bad[i], 1, &l, why) < 0;
	tap_ok(ok, "what is no list of slots is refused");
}

static void test_metrics(void)
{
	struct kv_look l = {};

	agentcg_llama_metrics("# HELP llamacpp:prompt_tokens_total x\nllamacpp:prompt_tokens_total 1210\n"
			      "llamacpp:prompt_tokens_cached_total 806\nllamacpp:prompt_seconds_total 2\nllamacpp:requests_deferred 3\n", &l);
	tap_ok(l.counted && l.computed == 1210 && l.reused == 806 && l.waiting == 3 && l.prefill_rate == 605, "counters");
	l = (struct kv_look){};
	agentcg_llama_metrics("llamacpp:prompt_tokens_total 1210\nllamacpp:prompt_tokens_cached_total -1\n", &l);
	tap_ok(!l.counted, "some of them, or impossible ones, are none");
}

static void test_done(void)
{
	char why[AGENTCG_WHY_MAX];
	struct kv_done d;

	tap_ok(agentcg_llama_done("{\"n_saved\":405,\"n_written\":110264,\"timings\":{\"save_ms\":0.5}}", KV_SAVE, &d, why) == 0 &&
	       d.tokens == 405 && d.bytes == 110264 && d.usec == 500, "what was saved");
	tap_ok(agentcg_llama_done("{\"n_erased\":405}", KV_ERASE, &d, why) == 0 && d.tokens == 405, "what was erased");
	tap_ok(agentcg_llama_done("{\"n_saved\":405}", KV_RESTORE, &d, why) == -EBADMSG &&
	       agentcg_llama_done("ok", KV_SAVE, &d, why) == -EBADMSG &&
	       agentcg_llama_done("{\"n_saved\":-3,\"timings\":7}", KV_SAVE, &d, why) == 0 && !d.tokens, "another answer is not one");
}

int main(void)
{
	test_slots();
	test_metrics();
	test_done();
	tap_ok(!agentcg_adapter_of(ENGINE_VLLM) && agentcg_adapter_of(ENGINE_LLAMA), "only llama-server is asked");
	return tap_done();
}
