// SPDX-License-Identifier: GPL-2.0-only
/* What counters say, and events for a webhook that nobody serves; the rest is in tests/system/test-gpu-pause.sh. */
#include <signal.h>

#include "manager.h"
#include "pause-private.h"
#include "tap.h"

static void test_judge(void)
{
	unsigned int wrong = 0;

	tap_ok(agentcg_cache_judge(1000, 10, 1000) == 1, "nothing computed anew: used");
	tap_ok(agentcg_cache_judge(1000, 1010, 0) == 0, "all of it: not");
	tap_ok(agentcg_cache_judge(1000, 3000, 5000) == -1, "others were served, too: who knows");
	/* Whatever others do, who used its cache is never blamed, and who did not is never cleared. */
	for (uint64_t tokens = 2; tokens < 1000; tokens += 37)
		for (uint64_t computed = 0; computed < 3000; computed += 211)
			for (uint64_t reused = 0; reused < 3000; reused += 173) {
				wrong += agentcg_cache_judge(tokens, computed + 1, reused + tokens) == 0;
				wrong += agentcg_cache_judge(tokens, computed + tokens, reused) == 1;
			}
	tap_ok(!wrong, "others' requests change no verdict (%u)", wrong);
}

static void test_shared_judge(void)
{
	struct kv_look before = { .counted = true, .task = 10, .computed = 5000, .reused = 7000 }, now = before;

	tap_ok(agentcg_shared_judge(1000, &before, &now) == -EAGAIN, "no request has ended");
	now = (struct kv_look){ .counted = true, .busy = true, .task = 11, .computed = 5050, .reused = 8000 };
	tap_ok(agentcg_shared_judge(1000, &before, &now) == -EAGAIN, "another runs: its tokens may be counted");
	now.busy = false;
	tap_ok(agentcg_shared_judge(1000, &before, &now) == 1, "one has ended, and reused what is as long");
	now = (struct kv_look){ .counted = true, .task = 11, .computed = 6050, .reused = 7000 };
	tap_ok(agentcg_shared_judge(1000, &before, &now) == 0, "... and computed it anew");
	now.computed = 5100;
	tap_ok(agentcg_shared_judge(1000, &before, &now) == -1, "... but was shorter: somebody else's");
	now = (struct kv_look){ .counted = true, .task = 12, .computed = 5010, .reused = 9000 };
	tap_ok(agentcg_shared_judge(1000, &before, &now) == -1, "two have: whose counts are these");
	now = (struct kv_look){ .counted = true, .task = 11, .computed = 10, .reused = 0 };
	tap_ok(agentcg_shared_judge(1000, &before, &now) == -1, "the engine began anew");
	now = (struct kv_look){ .task = -1 };
	tap_ok(agentcg_shared_judge(1000, &before, &now) == -1, "it counts nothing any more");
}

static void test_dead_webhook(void)
{
	struct manager m = { .policy.gpu.webhook = "http://127.0.0.1:1/" };
	struct http *http = NULL;
	struct news *news = NULL;
	uint64_t begin;
	int r = sd_event_new(&m.event);

	if (r >= 0)
		r = agentcg_http_new(m.event, &http);
	if (r >= 0)
		r = agentcg_news_new(&m, http, &news);
	begin = now_usec(CLOCK_MONOTONIC);
	for (int i = 0; r >= 0 && i < 10000; i++) {
		agentcg_news_tell(news, &(struct news_item){
			.event = "paused", .worker = "w", .session = "s", .expected_usec = 1, .text = "t" });
		if (i % 100 == 0)
			r = sd_event_run(m.event, 0);
	}
	tap_ok(r >= 0 && now_usec(CLOCK_MONOTONIC) - begin < 5 * USEC_PER_SEC, "10000 events for a dead webhook hold nobody up");
	agentcg_news_free(news);
	agentcg_http_free(http);
	sd_event_unref(m.event);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	test_judge();
	test_shared_judge();
	test_dead_webhook();
	return tap_done();
}
