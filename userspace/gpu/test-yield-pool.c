// SPDX-License-Identifier: GPL-2.0-only
#include "yield-pool.h"

#include "tap.h"

static void is(const char *before, unsigned int cpus, unsigned int level, const char *want)
{
	char got[64] = "";

	agentcg_yield_cpu_max_text(before, cpus, level, got);
	tap_ok(streq(got, want), "\"%s\" with %u CPUs at level %u: %s (%s)", before, cpus, level, got, want);
}

int main(void)
{
	char got[64];

	is("max 100000", 4, 0, "max 100000");
	is("250000 50000", 4, 0, "250000 50000");
	is("max 100000", 4, 1, "320000 100000");
	is("max 100000", 2, 5, "40000 100000");
	is("max 20000", 1, 5, "4000 20000");
	/* The owner's own limit is what there is to give up of. */
	is("100000 100000", 4, 5, "20000 100000");
	is("900000 100000", 4, 5, "80000 100000");
	is("2000 100000", 4, 5, "1000 100000");
	tap_ok(agentcg_yield_cpu_max_text("", 4, 1, got) == -EINVAL && agentcg_yield_cpu_max_text("x 100000", 4, 1, got) == -EINVAL &&
	       agentcg_yield_cpu_max_text("max 0", 4, 1, got) == -EINVAL && agentcg_yield_cpu_max_text("max 100000", 0, 1, got) == -EINVAL,
	       "what is no cpu.max is refused");
	return tap_done();
}
