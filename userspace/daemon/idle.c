// SPDX-License-Identifier: GPL-2.0-only
#include "idle.h"

#define MEASURE_USEC	USEC_PER_SEC
#define PAUSE_MIN_USEC	(20 * USEC_PER_SEC)
#define PAUSE_MAX_USEC	(600 * USEC_PER_SEC)
/* When there is nothing to do, for the pool is not short or all was taken. */
#define LATER_USEC	(2 * USEC_PER_SEC)
#define SHARE_MIN	15
#define SHARE_MAX	1000

static void leave_alone(struct idle_state *s, uint64_t now)
{
	s->pause = min_u64(max_u64(2 * s->pause, PAUSE_MIN_USEC), PAUSE_MAX_USEC);
	s->next = now + s->pause;
	s->step = 0;
}

bool agentcg_idle_due(const struct idle_state *s, uint64_t now, uint64_t after)
{
	return s->since && now - s->since >= after && now >= s->next;
}

/* Whether what the last step took was missed: an eighth of it read back, or a fiftieth of the time stalled. */
static bool was_missed(const struct idle_state *s, const struct idle_view *v)
{
	return v->refaults - s->refaults > s->step / 8 || v->stall - s->stall > (v->now - s->step_usec) / 50;
}

uint64_t agentcg_idle_step(struct idle_state *s, const struct idle_view *v)
{
	uint64_t room, bytes;

	if (!agentcg_idle_due(s, v->now, v->after))
		return 0;
	if (s->step && was_missed(s, v)) {
		leave_alone(s, v->now);
		return 0;
	}
	s->step = 0;
	s->next = v->now + LATER_USEC;
	if (v->headroom >= v->pool_max / 2)
		return 0;
	if (!s->share)
		s->share = AGENTCG_IDLE_SHARE;
	if (!s->taken)
		s->base = v->usage;
	room = s->base / 1000 * s->share;
	bytes = min_u64(max_u64(v->usage / 16, AGENTCG_IDLE_STEP_MIN), AGENTCG_IDLE_STEP_MAX);
	if (v->reclaimable < AGENTCG_IDLE_STEP_MIN || s->taken + AGENTCG_IDLE_STEP_MIN > room)
		return 0;
	bytes = min_u64(bytes, min_u64(v->reclaimable, room - s->taken));
	s->taken += bytes;
	s->step = bytes;
	s->step_usec = v->now;
	s->refaults = v->refaults;
	s->stall = v->stall;
	s->next = v->now + AGENTCG_IDLE_INTERVAL_USEC;
	return bytes;
}

void agentcg_idle_wake(struct idle_state *s, uint64_t now, uint64_t stall)
{
	if (s->taken && !s->woke) {
		s->woke = now;
		s->woke_stall = stall;
	}
	s->since = 0;
	s->taken = 0;
	s->step = 0;
}

void agentcg_idle_rest(struct idle_state *s, uint64_t now)
{
	s->since = now;
}

bool agentcg_idle_measured(const struct idle_state *s, uint64_t now)
{
	return s->woke && now - s->woke >= MEASURE_USEC;
}

void agentcg_idle_judge(struct idle_state *s, uint64_t now, uint64_t stall)
{
	uint64_t cost = stall - s->woke_stall;

	s->woke = 0;
	if (cost > AGENTCG_IDLE_COST_USEC) {
		s->share = s->share / 2 > SHARE_MIN ? s->share / 2 : SHARE_MIN;
		leave_alone(s, now);
	} else if (cost < AGENTCG_IDLE_COST_USEC / 2) {
		s->share = s->share * 2 < SHARE_MAX ? s->share * 2 : SHARE_MAX;
		s->pause /= 2;
	}
}
