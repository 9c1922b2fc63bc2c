/* SPDX-License-Identifier: GPL-2.0-only */
/* What makes a test of the CPU scheduler a program: kselftest's harness and main(). */
#ifndef _TEST_SCHED_HARNESS_H
#define _TEST_SCHED_HARNESS_H

#include <sched.h>

#include "kselftest_harness.h"
#include "scheduler.h"

/* An emulated machine takes its time. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	120

/* Within @percent of what is wanted; shows both when not. */
#define EXPECT_NEAR(want, got, percent, what)						\
	do {										\
		double w_ = (want), g_ = (got), off_ = w_ * (percent) / 100.;		\
											\
		if (g_ < w_ - off_ || g_ > w_ + off_)					\
			TH_LOG("%s: got %.3f, want %.3f +- %.3f", what, g_, w_, off_);	\
		EXPECT_TRUE(g_ >= w_ - off_ && g_ <= w_ + off_);			\
	} while (0)

/* Skips where the kernel has no sched_ext. */
static inline bool sched_skips(void)
{
	const char *why = sched_unsupported();

	if (why)
		printf("TAP version 13\n1..0 # SKIP %s\n", why);
	group_controllers = "+cpu +cpuset +pids";
	return !!why;
}

/* For a fixture's setup: what measures does not wait for what is measured; what it starts is ordinary. */
static inline bool goes_first(void)
{
	static const struct sched_param first = { .sched_priority = 20 };

	return !sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first);
}

static inline bool sched_ready(void)
{
	return goes_first() && sched_running();
}

/*
 * All tests with one scheduler, called sched, that goes with the process.
 */
static inline int sched_main(int argc, char **argv)
{
	if (sched_skips())
		return KSFT_SKIP;
	if (sched_start(&sched, 0)) {
		printf("Bail out! the scheduler does not start\n");
		return KSFT_FAIL;
	}
	return test_harness_run(argc, argv);
}

#endif
