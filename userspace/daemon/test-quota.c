// SPDX-License-Identifier: GPL-2.0-only
#include "quota.h"
#include "tap.h"

#define RATE	1000

static struct quota q;

/* How many of @n requests that come at once are allowed. */
static uint32_t ask(uid_t uid, uint64_t now, uint32_t n, uint32_t cost)
{
	uint32_t got = 0;

	for (uint32_t i = 0; i < n; i++)
		got += agentcg_quota_take(&q, uid, now, RATE, cost);
	return got;
}

int main(void)
{
	uint64_t now = 5 * USEC_PER_SEC;
	uint32_t got = 0;

	tap_ok(ask(1000, now, 5000, 1) == 2000, "a burst of two seconds' worth");
	tap_ok(ask(1000, now, 1, 1) == 0, "then no more");
	tap_ok(ask(1001, now, 10, 1) == 10, "another user does not notice");
	now += USEC_PER_SEC / 2;
	tap_ok(ask(1000, now, 5000, 1) == 500, "half a second brings half of a second's worth");
	for (int i = 0; i < 10000; i++)
		got += ask(1000, now += 100, 1, 1);
	tap_ok(got == 1000, "%u of 10000 requests in a second", got);
	now += 3600 * USEC_PER_SEC;
	tap_ok(ask(1000, now, 5000, 1) == 2000, "an hour brings no more than a burst");
	now += USEC_PER_SEC;
	tap_ok(ask(1000, now, 5000, 50) == 20, "what costs more is had less often");
	now += USEC_PER_SEC;
	tap_ok(!agentcg_quota_take(&q, 1000, now, 10, 50) && agentcg_quota_take(&q, 1000, now + 2 * USEC_PER_SEC, 10, 50),
	       "what costs more than a burst is had after a while all the same");
	/* Some that share a set with 1000, who has nothing left: it is not forgotten for them. */
	now += 10 * USEC_PER_SEC;
	ask(1000, now, 2000, 1);
	for (uid_t uid = 0; uid < 100 * AGENTCG_QUOTA_SETS; uid += AGENTCG_QUOTA_SETS)
		ask(1000 + AGENTCG_QUOTA_SETS + uid, now, 1, 1);
	tap_ok(ask(1000, now, 10, 1) == 0, "many users do not give a flooder a new bucket");
	tap_ok(agentcg_quota_take(&q, UINT32_MAX - 1, UINT64_MAX / 2, 1000000, 1), "large numbers do no harm");
	return tap_done();
}
