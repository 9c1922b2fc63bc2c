// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads with next to no share: sched_ext ends a scheduler that lets one
 * task wait for 30 s, so all of them have run for a moment by then.
 */
#include "harness.h"

#define WATCHDOG_MS	30000
#define LONGER_MS	(WATCHDOG_MS * 3 / 2)
#define NR_STARVED	200

FIXTURE(starved) {
	struct group heavy, starved, limited;
	struct worker workers[NR_STARVED];
	double before[NR_STARVED];
};

FIXTURE_SETUP(starved)
{
	ASSERT_TRUE(sched_running());
	ASSERT_EQ(0, group_make(&self->heavy, "heavy"));
	ASSERT_EQ(0, group_make(&self->starved, "starved"));
	ASSERT_EQ(0, group_make(&self->limited, "limited"));
}

FIXTURE_TEARDOWN(starved)
{
	int i;

	group_remove(&self->heavy);
	for (i = 0; i < NR_STARVED; i++)
		worker_stop(&self->workers[i]);
	group_remove(&self->starved);
	group_remove(&self->limited);
	EXPECT_TRUE(sched_running());
}

/*
 *	heavy 10000	4 hogs
 *	starved 1	200 hogs: 0.2 ms/s for all of them
 *	limited 100	100 hogs with cpu.max 1 %: 0.1 ms/s each
 */
TEST_F_TIMEOUT(starved, nobody_waits_for_thirty_seconds, 300)
{
	static const struct work hog = {};
	double used;
	int i, ran = 0;

	for (i = 0; i < NR_STARVED; i++)
		ASSERT_EQ(0, worker_start(&self->workers[i], &self->starved, &hog));
	ASSERT_EQ(0, hogs_start(&self->limited, 100));
	ASSERT_EQ(0, group_set(&self->starved, "cpu.weight", 1));
	ASSERT_EQ(0, group_set(&self->heavy, "cpu.weight", 10000));
	ASSERT_EQ(0, group_write(&self->limited, "cpu.max", "1000 100000"));
	ASSERT_EQ(0, hogs_start(&self->heavy, 4));
	sleep_ms(1000);
	for (i = 0; i < NR_STARVED; i++)
		self->before[i] = worker_cpu_ms(&self->workers[i]);
	used = group_cpu_ms(&self->heavy);
	sleep_ms(LONGER_MS);
	ASSERT_TRUE(sched_running());
	EXPECT_EQ(0, sched_exit_record(&sched).time);
	for (i = 0; i < NR_STARVED; i++)
		ran += worker_cpu_ms(&self->workers[i]) > self->before[i];
	EXPECT_EQ(NR_STARVED, ran);
	/* And it costs who has the share next to nothing. */
	used = (group_cpu_ms(&self->heavy) - used) / LONGER_MS;
	TH_LOG("heavy: %.2f CPUs; rescued: %llu", used, sched_counter(&sched, AGENTCG_SCHED_RESCUED));
	EXPECT_LE(1.8, used);
}

int main(int argc, char **argv)
{
	return sched_main(argc, argv);
}
