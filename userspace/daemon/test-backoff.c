// SPDX-License-Identifier: GPL-2.0-only
#include "backoff.h"
#include "tap.h"

int main(void)
{
	uint64_t wait = 0, sum = 0;

	tap_ok(agentcg_backoff(0, 0) == USEC_PER_SEC, "the first time after a second");
	for (int i = 0; i < 8; i++) {
		wait = agentcg_backoff(wait, USEC_PER_SEC);
		sum += wait;
	}
	tap_ok(wait == 128 * USEC_PER_SEC && sum == 255 * USEC_PER_SEC, "then twice as long each time");
	for (int i = 0; i < 100; i++)
		wait = agentcg_backoff(wait, 0);
	tap_ok(wait == 300 * USEC_PER_SEC, "never longer than 300 s");
	tap_ok(agentcg_backoff(wait, 599 * USEC_PER_SEC) == 300 * USEC_PER_SEC, "it ran less than ten minutes: still so long");
	tap_ok(agentcg_backoff(wait, 600 * USEC_PER_SEC) == USEC_PER_SEC, "ten minutes: as the first time");
	return tap_done();
}
