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

static void test_shared(void)
{
	static const char vllm[] =
		"# HELP vllm:num_requests_running x\nvllm:num_requests_running{engine=\"0\",model_name=\"a b\"} 0.0\n"
		"vllm:num_requests_running{engine=\"1\",model_name=\"a b\"} 1.0\nvllm:num_requests_waiting{engine=\"0\"} 2.0\n"
		"vllm:prefix_cache_queries_total{engine=\"0\"} 1000.0\nvllm:prefix_cache_hits_total{engine=\"0\"} 600.0\n"
		"vllm:prefix_cache_hits_created{engine=\"0\"} 1.7e9\nvllm:external_prefix_cache_hits_total{engine=\"0\"} 100.0\n"
		"vllm:request_success_total{finished_reason=\"stop\"} 5.0\nvllm:request_success_total{finished_reason=\"length\"} 2.0\n";
	static const char sglang[] =
		"sglang:num_running_reqs{tp_rank=\"0\"} 0.0\nsglang:num_queue_reqs{tp_rank=\"0\"} 0.0\n"
		"sglang:num_requests_total{m=\"x\"} 3.0\nsglang:prompt_tokens_total{m=\"x\"} 900.0\n"
		"sglang:cached_tokens_total{cache_source=\"device\"} 200.0\nsglang:cached_tokens_total{cache_source=\"host\"} 100.0\n";
	char why[AGENTCG_WHY_MAX];
	struct kv_look l;

	tap_ok(agentcg_shared_metrics(ENGINE_VLLM, vllm, &l, why) == 0 && l.busy && l.waiting == 2 && l.counted && l.task == 7 &&
	       l.reused == 700 && l.computed == 300, "vLLM: two engines, one is busy; what a connector brought counts as reused");
	tap_ok(agentcg_shared_metrics(ENGINE_SGLANG, sglang, &l, why) == 0 && !l.busy && !l.waiting && l.counted && l.task == 3 &&
	       l.reused == 300 && l.computed == 600, "SGLang: from device and host");
	tap_ok(agentcg_shared_metrics(ENGINE_SGLANG, vllm, &l, why) == -EBADMSG, "who does not say how many requests run: %s", why);
	tap_ok(agentcg_shared_metrics(ENGINE_VLLM, "vllm:num_requests_running 0\n", &l, why) == -EBADMSG &&
	       agentcg_shared_metrics(ENGINE_VLLM, "vllm:num_requests_running{a=\"\nvllm:num_requests_waiting -1\n", &l, why) == -EBADMSG &&
	       agentcg_shared_metrics(ENGINE_VLLM, "", &l, why) == -EBADMSG, "... or only half of it, is not idle");
	tap_ok(agentcg_shared_metrics(ENGINE_VLLM, "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n", &l, why) == 0 && !l.counted,
	       "without counters nothing is counted");
}

static void test_emptied(void)
{
	char why[AGENTCG_WHY_MAX];
	struct kv_done d;

	tap_ok(agentcg_shared_emptied(ENGINE_VLLM, 200, "", &d, why) == 0 && d.unsaid, "vLLM: 200 and nothing more is no word");
	tap_ok(agentcg_shared_emptied(ENGINE_VLLM, 200, "{\"success\":true}", &d, why) == 0 && !d.unsaid, "... with a word it is");
	tap_ok(agentcg_shared_emptied(ENGINE_VLLM, 200, "{\"success\":false}", &d, why) == -EBUSY, "... it could not: %s", why);
	tap_ok(agentcg_shared_emptied(ENGINE_VLLM, 200, "{\"success\":1}", &d, why) == 0 && d.unsaid, "... what is no truth is no word");
	tap_ok(agentcg_shared_emptied(ENGINE_VLLM, 404, "{\"detail\":\"Not Found\"}", &d, why) == -EOPNOTSUPP, "... not there: %s", why);
	tap_ok(agentcg_shared_emptied(ENGINE_SGLANG, 200, "Cache flushed.\n", &d, why) == 0 && !d.unsaid, "SGLang: done");
	tap_ok(agentcg_shared_emptied(ENGINE_SGLANG, 400, "Cache flushed.\n", &d, why) == -EBUSY, "... refused, whatever its text says");
	tap_ok(agentcg_shared_emptied(ENGINE_SGLANG, 401, "", &d, why) == -EOPNOTSUPP, "... with a key: %s", why);
	tap_ok(agentcg_shared_emptied(ENGINE_SGLANG, 500, "x", &d, why) == -EIO, "... an error: %s", why);
	tap_ok(agentcg_shared_emptied(ENGINE_SGLANG, -ETIMEDOUT, "no answer", &d, why) == -ETIMEDOUT, "... nothing: %s", why);
}

static void test_lmcache(void)
{
	static const char two[] = "{\"event_id\":\"x\",\"layout_info\":{\"a\":[\"LocalCPUBackend\",512],\"b\":[\"LocalDiskBackend\",256]}}";
	static const char *const bad[] = {
		"", "[]", "{}", "{\"layout_info\":[]}", "{\"layout_info\":{\"a\":[\"x\"]}}", "{\"layout_info\":{\"a\":[1,2]}}",
		"{\"layout_info\":{\"a\":[\"x\",-1]}}", "{\"layout_info\":{\"a\":null}}", "{\"layout_info\":{\"a\":[\"x\",1]",
	};
	char why[AGENTCG_WHY_MAX], place[AGENTCG_PLACE_MAX + 80];
	struct kv_done d;
	struct kv_look l;
	bool ok = true;

	tap_ok(agentcg_lmcache_found(two, "b", &l, why) == 0 && l.tokens == 256 && streq(l.place, "LocalDiskBackend") && streq(l.instance, "b"),
	       "LMCache: the instance with the worker's name");
	tap_ok(agentcg_lmcache_found("{\"layout_info\":{\"lmcache_default_instance\":[\"LocalCPUBackend\",12]}}", "llm", &l, why) == 0 &&
	       l.tokens == 12 && streq(l.instance, "lmcache_default_instance"), "... or the only one");
	tap_ok(agentcg_lmcache_found(two, "c", &l, why) == -ENOENT, "... not one of several: %s", why);
	tap_ok(agentcg_lmcache_found("{\"event_id\":\"x\",\"layout_info\":{}}", "a", &l, why) == 0 && !l.tokens && !*l.place, "... nobody has it");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ok &= agentcg_lmcache_found(bad[i], "a", &l, why) == -EBADMSG;
	snprintf(place, sizeof(place), "{\"layout_info\":{\"a\":[\"%0*d\",1]}}", AGENTCG_PLACE_MAX, 0);
	ok &= agentcg_lmcache_found(place, "a", &l, why) == -EBADMSG;
	tap_ok(ok, "... and what is no layout is refused");
	tap_ok(agentcg_lmcache_done("{\"event_id\":\"x\",\"num_tokens\":512}", &d, why) == 0 && d.tokens == 512 &&
	       agentcg_lmcache_done("{\"event_id\":\"x\"}", &d, why) == -EBADMSG && agentcg_lmcache_done("null", &d, why) == -EBADMSG, "... what was done");
}

int main(void)
{
	test_slots();
	test_metrics();
	test_done();
	test_shared();
	test_emptied();
	test_lmcache();
	tap_ok(!agentcg_adapter_of(ENGINE_TRTLLM) && !agentcg_adapter_of(ENGINE_UNKNOWN) && !agentcg_adapter_of(ENGINE_LLAMA)->shared &&
	       agentcg_adapter_of(ENGINE_VLLM)->shared && agentcg_adapter_of(ENGINE_SGLANG)->shared, "who can be asked, and for one session");
	return tap_done();
}
