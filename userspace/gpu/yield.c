// SPDX-License-Identifier: GPL-2.0-only
/*
 * A target is missed when a mean is above it, and met again when it is a tenth below;
 * what is in between leaves all as it is.  Two misses in a row take a level
 * from tool calls, five hits in a row give one back, and no level lasts less than HOLD_USEC: what a level does is
 * seen in the measurements only once the requests that it helps have ended.
 *
 * An engine without requests misses nothing.  One that has some, but of which none ended since the last time, has
 * told nothing.
 */
#include "yield.h"

#include <math.h>

#define BAD_IN_A_ROW	2
#define GOOD_IN_A_ROW	5
#define HOLD_USEC	(4 * USEC_PER_SEC)
#define MET		0.9		/* of the target */

/*
 * Each level about halves what tool calls weigh beside a worker that shares CPUs with them, and takes a part of the CPU
 * time that they have for themselves: with a worker on cores of its own that is what is left to give, for it is memory
 * bandwidth and cache.  A fifth stays: they must come to their end.
 */
static const struct {
	unsigned int weight, cpu_max;
} levels[AGENTCG_YIELD_MAX + 1] = { { 100, 100 }, { 50, 80 }, { 25, 60 }, { 12, 45 }, { 6, 30 }, { 3, 20 } };

unsigned int agentcg_yield_weight(unsigned int level)
{
	return levels[level > AGENTCG_YIELD_MAX ? AGENTCG_YIELD_MAX : level].weight;
}

unsigned int agentcg_yield_cpu_max(unsigned int level)
{
	return levels[level > AGENTCG_YIELD_MAX ? AGENTCG_YIELD_MAX : level].cpu_max;
}

enum verdict {
	NOTHING,
	GOOD,
	BAD,
};

static enum verdict judge_one(const char *what, double target, double now, char *why)
{
	if (isnan(target) || isnan(now))
		return NOTHING;
	if (now > target) {
		snprintf(why, AGENTCG_WHY_MAX, "%s is %.4g ms, its target %.4g ms", what, now * 1000, target * 1000);
		return BAD;
	}
	return now <= MET * target ? GOOD : NOTHING;
}

static bool is_idle(const struct inference *now)
{
	return now->running == 0 && !(now->queue > 0);
}

static enum verdict judge(const struct yield_target *target, const struct inference *now, char *why)
{
	enum verdict ttft = judge_one("the time to the first token", target->ttft_sec, now->ttft_sec, why), token;
	bool measured = (!isnan(now->ttft_sec) && !isnan(target->ttft_sec)) || (!isnan(now->token_sec) && !isnan(target->token_sec));

	if (ttft == BAD)
		return BAD;
	token = judge_one("the time per token", target->token_sec, now->token_sec, why);
	if (token == BAD)
		return BAD;
	if (!measured) {
		snprintf(why, AGENTCG_WHY_MAX, is_idle(now) ? "the engine has no requests" : "no request has told anything yet");
		return is_idle(now) ? GOOD : NOTHING;
	}
	/* One that was not measured does not stand in the way. */
	if ((ttft == GOOD || isnan(target->ttft_sec) || isnan(now->ttft_sec)) &&
	    (token == GOOD || isnan(target->token_sec) || isnan(now->token_sec))) {
		snprintf(why, AGENTCG_WHY_MAX, "inference meets its target");
		return GOOD;
	}
	snprintf(why, AGENTCG_WHY_MAX, "inference is close to its target");
	return NOTHING;
}

static bool set_level(struct yield *y, unsigned int level, uint64_t now)
{
	y->level = level;
	y->since_usec = now;
	y->good = 0;
	y->bad = 0;
	return true;
}

bool agentcg_yield_step(struct yield *y, const struct yield_target *target, const struct inference *now, char *why)
{
	enum verdict verdict;
	bool may_change = now->time_usec >= y->since_usec + HOLD_USEC;

	if (isnan(target->ttft_sec) && isnan(target->token_sec)) {
		snprintf(why, AGENTCG_WHY_MAX, "there is no target");
		return y->level ? set_level(y, 0, now->time_usec) : false;
	}
	verdict = judge(target, now, why);
	if (verdict == BAD) {
		y->good = 0;
		y->bad++;
		if (y->bad >= BAD_IN_A_ROW && y->level < AGENTCG_YIELD_MAX && (may_change || !y->level))
			return set_level(y, y->level + 1, now->time_usec);
	} else if (verdict == GOOD) {
		y->bad = 0;
		y->good++;
		if (y->good >= GOOD_IN_A_ROW && y->level && may_change)
			return set_level(y, y->level - 1, now->time_usec);
	} else if (!isnan(now->ttft_sec) || !isnan(now->token_sec)) {
		y->good = 0;
		y->bad = 0;
	}
	return false;
}
