// SPDX-License-Identifier: GPL-2.0-only
/*
 * To keep a cache costs a little every second, to have it away costs once, and
 * nobody knows when the call ends: the ski rental problem (Karlin, Manasse,
 * McGeoch, Owicki: Competitive randomized algorithms for nonuniform problems, 1994).
 * Kept for a time tau and then put away, at most twice the least possible is paid
 * if tau is the time in which keeping costs as much as putting away.  Who knows how
 * long such calls take does better with the tau of the least expected cost, which
 * is one of the durations that were seen, nought, or for ever: between two of
 * them the cost only rises.
 *
 * That a cache is preserved, swapped or discarded by what wastes the least GPU
 * memory is from InferCept (arXiv 2402.01869), that it has a time to live from the
 * distribution of what tools take, and that waiting for room counts, from
 * Continuum (arXiv 2511.02230).
 *
 * The unit is a token of prefill.  An engine computes prefill_rate of them a second
 * when its cache of cache_tokens is full of work; room for one token that lies
 * idle for a second so costs prefill_rate / cache_tokens.
 *
 *	a second of keeping	the tokens of others that wait for room lie idle: all of them, if what this
 *				one holds is what they lack, else in proportion.  Nothing if nobody waits.
 *	dropping		all its tokens, as much again for those who wait for the engine meanwhile, and
 *				their room while they are computed
 *	offloading		keeping, while it is copied out; its room, while it is copied in
 *
 * The call has lasted for some time already: only longer ones of the class are
 * looked at.  Where none was, and with no history at all, nothing is known but its age t, and it ends in the next second with
 * a chance of about 1 / t; so tau is the time until which keeping has cost as much as putting away, which is the
 * rule for those who know nothing, too.  The same holds for one that is kept to the end of the longest, after that.
 */
#include "keep.h"

#include <math.h>

static double cache_tokens(const struct keep_view *v)
{
	return (double)max_u64(v->cache_tokens, max_u64(v->tokens, 1));
}

static double seconds(uint64_t usec)
{
	return (double)usec / USEC_PER_SEC;
}

double agentcg_keep_second(const struct keep_view *v)
{
	if (!v->waiting || !v->lacking)
		return 0;
	return v->prefill_rate * (double)v->waiting / cache_tokens(v) * fmin(1, (double)v->tokens / (double)v->lacking);
}

double agentcg_keep_away(const struct keep_view *v, enum keep_action how)
{
	double part = (double)v->tokens / cache_tokens(v), bytes = (double)v->tokens * (double)v->bytes_per_token;

	if (how == KEEP_DROP)
		return (double)v->tokens * (2 + part);
	if (how != KEEP_OFFLOAD || v->offload_rate <= 0 || v->restore_rate <= 0 || bytes > (double)v->host_free)
		return HUGE_VAL;
	return agentcg_keep_second(v) * bytes / v->offload_rate + v->prefill_rate * part * bytes / v->restore_rate;
}

static enum keep_action cheapest(const struct keep_view *v, double *ret_cost)
{
	double drop = agentcg_keep_away(v, KEEP_DROP), offload = agentcg_keep_away(v, KEEP_OFFLOAD);

	*ret_cost = fmin(drop, offload);
	return offload <= drop ? KEEP_OFFLOAD : KEEP_DROP;
}

/* The first one that is longer than the call is old. */
static size_t first_longer(const struct keep_view *v)
{
	size_t i = 0;

	while (i < v->durations.nr && v->durations.usec[i] <= v->elapsed_usec)
		i++;
	return i;
}

double agentcg_keep_cost(const struct keep_view *v, uint64_t keep_usec)
{
	size_t first = first_longer(v), n = v->durations.nr - first;
	double rate = agentcg_keep_second(v), away, sum = 0;

	cheapest(v, &away);
	for (size_t i = first; i < v->durations.nr; i++) {
		uint64_t d = v->durations.usec[i];

		sum += rate * seconds(min_u64(d, keep_usec) - v->elapsed_usec) + (d > keep_usec ? away : 0);
	}
	return n ? sum / (double)n : 0;
}

static uint64_t even_usec(double rate, double away)
{
	double even = away / rate;

	return even < 1e9 ? (uint64_t)(even * USEC_PER_SEC) : 1000000000 * USEC_PER_SEC;
}

static void without_history(const struct keep_view *v, double rate, double away, struct keep_plan *ret)
{
	uint64_t even = even_usec(rate, away);

	ret->keep_usec = max_u64(even, v->elapsed_usec);
	ret->cost = away + rate * seconds(ret->keep_usec - v->elapsed_usec);
	snprintf(ret->why, sizeof(ret->why), "no call of its kind was longer: kept for %.3g s, as long as that costs no more than %s",
		 seconds(even), ret->then == KEEP_OFFLOAD ? "offloading" : "computing it anew");
}

/* Durations in order, so each cost follows from the one before: the sum over those that end earlier is carried along. */
static void with_history(const struct keep_view *v, size_t first, double rate, double away, struct keep_plan *ret)
{
	size_t n = v->durations.nr - first, ended = 0;
	double least = away, sum = 0;

	ret->keep_usec = v->elapsed_usec;
	for (size_t i = first; i < v->durations.nr; i++) {
		uint64_t d = v->durations.usec[i];
		double left, cost;

		sum += rate * seconds(d - v->elapsed_usec);
		ended++;
		if (i + 1 < v->durations.nr && v->durations.usec[i + 1] == d)
			continue;
		left = (double)(n - ended);
		cost = (sum + left * (rate * seconds(d - v->elapsed_usec) + away)) / (double)n;
		if (cost < least) {
			least = cost;
			ret->keep_usec = d;
		}
	}
	ret->cost = least;
	if (ret->keep_usec == v->durations.usec[v->durations.nr - 1])
		ret->keep_usec = max_u64(ret->keep_usec, even_usec(rate, away));
	snprintf(ret->why, sizeof(ret->why), "of %zu longer calls of its kind: kept for %.3g s more, then %s; %.0f tokens expected, %.0f if at once",
		 n, seconds(ret->keep_usec - v->elapsed_usec), ret->then == KEEP_OFFLOAD ? "offloaded" : "dropped", least, away);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void agentcg_keep_spread(const uint64_t *usec, size_t nr, uint64_t *ret)
{
	static const double factors[KEEP_SPREAD] = { 0.5, 0.7, 1, 1.4, 2 };

	for (size_t i = 0; i < nr; i++)
		for (size_t j = 0; j < KEEP_SPREAD; j++)
			ret[i * KEEP_SPREAD + j] = (uint64_t)((double)usec[i] * factors[j]);
	if (nr)
		qsort(ret, nr * KEEP_SPREAD, sizeof(*ret), by_size);
}

void agentcg_keep_plan(const struct keep_view *v, struct keep_plan *ret)
{
	size_t first = first_longer(v);
	double rate = agentcg_keep_second(v), away;

	*ret = (struct keep_plan){ .keep_usec = UINT64_MAX, .then = cheapest(v, &away) };
	if (!(rate > 0)) {
		snprintf(ret->why, sizeof(ret->why), "nobody waits for its room");
		return;
	}
	if (first == v->durations.nr)
		without_history(v, rate, away, ret);
	else
		with_history(v, first, rate, away, ret);
}
