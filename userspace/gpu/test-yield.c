// SPDX-License-Identifier: GPL-2.0-only
#include "yield.h"

#include <math.h>

#include "tap.h"

static const struct yield_target target = { .ttft_sec = 1.0, .token_sec = 0.050 };
static char why[AGENTCG_WHY_MAX];

/* @n measurements, 2 s apart; how many levels it went up (down: negative). */
static int feed(struct yield *y, unsigned int n, double ttft, double token, double running)
{
	static uint64_t now = 100 * USEC_PER_SEC;
	int before = (int)y->level;

	while (n--) {
		struct inference i = {
			.time_usec = now += 2 * USEC_PER_SEC, .ttft_sec = ttft, .token_sec = token, .tokens = NAN,
			.queue = 0, .running = running,
		};

		agentcg_yield_step(y, &target, &i, why);
	}
	return (int)y->level - before;
}

static void up(void)
{
	struct yield y = {};

	tap_ok(feed(&y, 20, 0.1, 0.010, 1) == 0, "nothing is given up while the target is met");
	tap_ok(feed(&y, 1, 0.1, 0.060, 1) == 0, "one miss is none");
	tap_ok(feed(&y, 1, 0.1, 0.010, 1) == 0 && feed(&y, 1, 0.1, 0.060, 1) == 0, "nor are two that are not in a row");
	tap_ok(feed(&y, 1, 0.1, 0.060, 1) == 1, "the second in a row takes a level");
	tap_ok(strstr(why, "time per token is 60 ms") && strstr(why, "50 ms"), "... and says why: %s", why);
	tap_ok(feed(&y, 1, 0.1, 0.060, 1) == 0, "the next one has to show what it does first");
	tap_ok(feed(&y, 100, 0.1, 0.060, 1) == 4 && y.level == AGENTCG_YIELD_MAX, "there is a last level");
	y = (struct yield){};
	tap_ok(feed(&y, 2, 1.5, 0.010, 1) == 1, "so does a late first token");
	tap_ok(strstr(why, "first token is 1500 ms"), "... and says so: %s", why);
	y = (struct yield){};
	tap_ok(feed(&y, 2, NAN, 0.060, 1) == 1, "one of both is enough");
}

static void down(void)
{
	struct yield y = { .level = 3 };

	tap_ok(feed(&y, 50, 0.1, 0.048, 1) == 0, "close to the target nothing changes");
	tap_ok(feed(&y, 4, 0.1, 0.010, 1) == 0 && feed(&y, 1, 0.1, 0.010, 1) == -1, "five hits in a row give a level back");
	tap_ok(feed(&y, 4, 0.1, 0.010, 1) == 0 && feed(&y, 1, 0.1, 0.048, 1) == 0 && feed(&y, 4, 0.1, 0.010, 1) == 0,
	       "four, one that is close and four do not");
	tap_ok(feed(&y, 30, NAN, NAN, 1) == 0, "requests under way tell nothing before they end");
	y = (struct yield){ .level = 3 };
	tap_ok(feed(&y, 5, NAN, NAN, 0) == -1, "an engine without requests misses nothing");
	tap_ok(strstr(why, "no requests"), "... and says so: %s", why);
	tap_ok(feed(&y, 100, 0.1, 0.010, 1) == -2 && y.level == 0, "all is given back in the end");
}

/* As a loop: inference is slow by what tool calls have, and should come to rest. */
static void settles(void)
{
	struct yield y = {};
	unsigned int changes = 0, last = 0;

	for (int i = 0; i < 500; i++) {
		feed(&y, 1, 0.1, 0.030 + 0.0004 * agentcg_yield_cpu_max(y.level), 1);
		changes += i >= 100 && y.level != last;
		last = y.level;
	}
	tap_ok(last > 0 && changes == 0, "a level that brings the time close to its target stays (%u, %u changes)", last, changes);
}

static void no_target(void)
{
	static const struct yield_target none = { NAN, NAN };
	struct inference slow = { .time_usec = 1, .ttft_sec = 100, .token_sec = 100 };
	struct yield y = {};

	tap_ok(!agentcg_yield_step(&y, &none, &slow, why) && !agentcg_yield_step(&y, &none, &slow, why) && !y.level,
	       "without a target nothing is given up");
	y.level = 4;
	tap_ok(agentcg_yield_step(&y, &none, &slow, why) && !y.level, "a target that is taken away gives all back at once");
}

static void amounts(void)
{
	bool falls = true;

	for (unsigned int i = 0; i < AGENTCG_YIELD_MAX; i++)
		falls = falls && agentcg_yield_weight(i + 1) < agentcg_yield_weight(i) &&
			agentcg_yield_cpu_max(i + 1) < agentcg_yield_cpu_max(i);
	tap_ok(falls, "each level takes more");
	tap_ok(agentcg_yield_weight(0) == 100 && agentcg_yield_cpu_max(0) == 100, "level 0 takes nothing");
	tap_ok(agentcg_yield_weight(99) >= 1 && agentcg_yield_cpu_max(99) >= 10, "something is left at any level");
}

int main(void)
{
	up();
	down();
	settles();
	no_target();
	amounts();
	return tap_done();
}
