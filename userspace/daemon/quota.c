// SPDX-License-Identifier: GPL-2.0-only
#include "quota.h"

#define TOKEN	USEC_PER_SEC	/* so that a rate per second is tokens per usec */

static uint64_t burst(uint32_t rate)
{
	return AGENTCG_QUOTA_BURST_SEC * TOKEN * rate;
}

static void fill(struct quota_bucket *b, uint64_t now, uint32_t rate)
{
	uint64_t passed = min_u64(now - b->seen_usec, AGENTCG_QUOTA_BURST_SEC * USEC_PER_SEC);

	b->tokens = min_u64(b->tokens + passed * rate, burst(rate));
	b->seen_usec = now;
}

static struct quota_bucket *find(struct quota *q, uid_t uid, uint64_t now, uint32_t rate)
{
	struct quota_bucket *set = q->list[uid % AGENTCG_QUOTA_SETS], *best = NULL;

	for (size_t i = 0; i < AGENTCG_QUOTA_WAYS; i++) {
		struct quota_bucket *b = &set[i];

		if (b->used)
			fill(b, now, rate);
		if (b->used && b->uid == uid)
			return b;
		if (!best || (best->used && (!b->used || b->tokens > best->tokens)))
			best = b;
	}
	*best = (struct quota_bucket){ .used = true, .uid = uid, .tokens = burst(rate), .seen_usec = now };
	return best;
}

bool agentcg_quota_take(struct quota *q, uid_t uid, uint64_t now, uint32_t rate, uint32_t cost)
{
	struct quota_bucket *b = find(q, uid, now, rate);
	/* What costs more than all that there can be is had once all is there. */
	uint64_t want = min_u64(cost * TOKEN, burst(rate));

	if (b->tokens < want)
		return false;
	b->tokens -= want;
	return true;
}
