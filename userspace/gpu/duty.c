// SPDX-License-Identifier: GPL-2.0-only
#include "duty.h"

#define NSEC_PER_SEC	1000000000ULL

/* Who is hardly ever on a CPU is looked at now and then all the same. */
#define LEAST_REFILL	(NSEC_PER_SEC / 100 * AGENTCG_DUTY_PERMILLE / 1000)
/* The budget of the first window, and of those after a storm: a storm is to be felt as little as can be. */
#define CAREFUL		5

void agentcg_duty_begin(struct duty *d, uint64_t cost_nsec, uint64_t now)
{
	*d = (struct duty){ .cost_nsec = cost_nsec ?: 1, .updated = now, .next = now, .refill = LEAST_REFILL };
}

uint64_t agentcg_duty_budget(const struct duty *d)
{
	return max_u64(AGENTCG_DUTY_BUDGET / (d->known ? 1 : CAREFUL) / d->cost_nsec, 8);
}

/* What it took, with the calls that were stopped at after the budget was spent. */
static uint64_t taken(const struct duty *d, const struct duty_window *w)
{
	uint64_t length = max_u64(w->ended - w->began, 1);
	double late = w->spent ? (double)w->hits * (double)(w->detached - w->ended) / (double)length : 0;

	return (uint64_t)(((double)w->hits + late) * (double)d->cost_nsec);
}

bool agentcg_duty_end(struct duty *d, const struct duty_window *w)
{
	uint64_t length = max_u64(w->ended - w->began, 1), exec = w->exec_nsec ?: length, backoff;
	uint64_t refill = (uint64_t)((double)exec / (double)length * NSEC_PER_SEC) / 1000 * AGENTCG_DUTY_PERMILLE;
	bool storm;

	d->tokens += (int64_t)((double)(w->detached - d->updated) * (double)d->refill / NSEC_PER_SEC);
	if (d->tokens > (int64_t)AGENTCG_DUTY_BUDGET)
		d->tokens = AGENTCG_DUTY_BUDGET;
	d->tokens -= (int64_t)taken(d, w);
	d->updated = w->detached;
	/* A window without calls tells nothing of the threads. */
	if (w->hits)
		d->refill = max_u64(refill, LEAST_REFILL);
	d->next = w->detached + AGENTCG_DUTY_PAUSE;
	if (d->tokens < 0)
		d->next = max_u64(d->next, w->detached + (uint64_t)((double)-d->tokens / (double)d->refill * NSEC_PER_SEC));
	/* The threads stood at breakpoints for half their time or more. */
	storm = w->spent && (double)w->hits * (double)d->cost_nsec * 2 >= (double)exec;
	d->known = !storm;
	if (!storm) {
		d->storms = 0;
		return false;
	}
	if (d->storms < AGENTCG_DUTY_STORMS)
		d->storms++;
	backoff = AGENTCG_DUTY_BACKOFF << (d->storms - 1);
	d->next = max_u64(d->next, w->detached + backoff);
	return true;
}
