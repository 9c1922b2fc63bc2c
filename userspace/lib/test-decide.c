// SPDX-License-Identifier: GPL-2.0-only
/* bpf/decide.h, the decision that the kernel's policy makes. */
#include "decide.h"
#include "tap.h"
#include "util.h"

static const struct agentcg_pool pool = {
	.limit = 1000 * MIB,
	.reserve = 32 * MIB,
	.throttle = 8 * MIB,
	.step_min = 256 * KIB,
	.step_max = 4 * MIB,
	.throttle_ms = 10,
};

static struct agentcg_answer decide(uint64_t usage, uint64_t wanted_above, bool top, bool held)
{
	struct agentcg_view view = {
		.limit = pool.limit,
		.usage = usage,
		.reserve = pool.reserve,
		.wanted_above = wanted_above,
		.nr_active = 2,
		.top = top,
	};
	struct agentcg_answer answer;

	agentcg_decide(&pool, &view, held, &answer);
	return answer;
}

static void test_levels(void)
{
	struct agentcg_answer a = decide(100 * MIB, 0, false, false);

	tap_ok(a.verdict == AGENTCG_PASS && a.step == pool.step_max, "lots of headroom: pass, long steps");
	a = decide(968 * MIB - 1, 0, false, false);
	tap_ok(a.verdict == AGENTCG_THROTTLE && a.delay_ms == 9,
	       "a byte above the threshold: throttled most");
	a = decide(964 * MIB, 0, false, false);
	tap_ok(a.verdict == AGENTCG_THROTTLE && a.delay_ms == 5, "half-way in the band: half the delay");
	a = decide(968 * MIB + 1, 0, false, false);
	tap_ok(a.verdict == AGENTCG_HOLD && a.step == 0, "below the reserve: held");
	a = decide(2000 * MIB, 0, false, false);
	tap_ok(a.verdict == AGENTCG_HOLD && a.headroom == 0, "over the limit: held, headroom is not negative");
}

static void test_wanted(void)
{
	struct agentcg_answer a = decide(500 * MIB, 468 * MIB + 1, false, false);

	tap_ok(a.verdict == AGENTCG_HOLD && a.threshold == 500 * MIB + 1,
	       "held while those above may want all that is left");
	a = decide(500 * MIB, 400 * MIB, false, false);
	tap_ok(a.verdict == AGENTCG_PASS, "passes while their wants are covered");
}

static void test_top(void)
{
	struct agentcg_answer a = decide(999 * MIB, 0, true, false);

	tap_ok(a.verdict == AGENTCG_PASS && a.step == pool.step_min,
	       "the top one is never held; it asks often when little is left");
	a = decide(1100 * MIB, 900 * MIB, true, true);
	tap_ok(a.verdict == AGENTCG_PASS, "not even over the limit");
}

static void test_flapping(void)
{
	struct agentcg_answer a = decide(968 * MIB, 0, false, true);

	tap_ok(a.verdict == AGENTCG_HOLD, "a held one goes on only when a step more is free");
	a = decide(968 * MIB - pool.step_min, 0, false, true);
	tap_ok(a.verdict == AGENTCG_PASS && a.delay_ms == 0, "then it goes on, not throttled at once");
}

static void test_unlimited(void)
{
	struct agentcg_view view = { .limit = ~0ULL, .usage = ~0ULL - 1, .nr_active = 1 };
	struct agentcg_answer a;

	agentcg_decide(&pool, &view, false, &a);
	tap_ok(a.verdict == AGENTCG_PASS && a.step == pool.step_max, "a level without limit never holds");
}

static void test_claims(void)
{
	struct agentcg_session s = { .budget = ~0ULL, .reserve = 50, .requested = 80 };

	tap_ok(agentcg_wanted(&s, 30) == 50, "a session wants its requests less its usage");
	s.requested = 10;
	tap_ok(agentcg_wanted(&s, 30) == 20, "or its reserve, if that is more");
	tap_ok(agentcg_wanted(&s, 60) == 0, "never less than nothing");
	s.requested = 500;
	s.budget = 100;
	tap_ok(agentcg_wanted(&s, 30) == 70, "and never more than its budget");
	tap_ok(agentcg_rank(750, 9) < agentcg_rank(500, 1), "priority goes before arrival");
	tap_ok(agentcg_rank(500, 1) < agentcg_rank(500, 2), "among equals the first comes first");
}

static void test_stricter(void)
{
	struct agentcg_answer a = { .verdict = AGENTCG_THROTTLE, .delay_ms = 3, .step = 10 };
	struct agentcg_answer b = { .verdict = AGENTCG_HOLD, .step = 20 };

	agentcg_stricter(&a, &b);
	tap_ok(a.verdict == AGENTCG_HOLD && a.step == 10, "the stricter verdict and the shorter step");
	b = (struct agentcg_answer){ .verdict = AGENTCG_PASS, .step = 5 };
	agentcg_stricter(&a, &b);
	tap_ok(a.verdict == AGENTCG_HOLD && a.step == 5, "a milder verdict changes only the step");
}

int main(void)
{
	test_levels();
	test_wanted();
	test_top();
	test_flapping();
	test_unlimited();
	test_claims();
	test_stricter();
	return tap_done();
}
