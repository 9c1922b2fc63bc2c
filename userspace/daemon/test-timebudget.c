// SPDX-License-Identifier: GPL-2.0-only
#include "timebudget.h"

#include "tap.h"

#define SEC	USEC_PER_SEC
#define MIN	(60 * SEC)

static struct time_view view(uint64_t left, uint64_t expected, uint64_t mean, uint32_t calls_left)
{
	return (struct time_view){
		.left = left, .total = 10 * MIN, .expected = expected, .mean = mean,
		.calls_left = calls_left, .kind = "pytest", .runs = 12,
	};
}

static void share(struct time_view v, uint64_t wanted, const char *text)
{
	uint64_t got = agentcg_time_share(&v);

	tap_ok(got + 1 >= wanted && got <= wanted + 1, "%s: %llu of %llu", text, (unsigned long long)got,
	       (unsigned long long)wanted);
}

static void test_share(void)
{
	share(view(5 * MIN, MIN, SEC, AGENTCG_CALLS_UNKNOWN), 5 * MIN, "nobody knows what follows: all that is left");
	share(view(5 * MIN, MIN, SEC, 0), 5 * MIN, "nothing follows: all that is left");
	share(view(5 * MIN, 30 * SEC, 30 * SEC, 4), MIN, "five alike: a fifth");
	share(view(5 * MIN, 2 * MIN, 30 * SEC, 4), 5 * MIN / 2, "one as long as the four that follow: half");
	share(view(MIN, 2 * MIN, 30 * SEC, 4), MIN / 2, "... also if that is not enough");
	share(view(5 * MIN, AGENTCG_NONE, 30 * SEC, 4), MIN, "one that nothing is known of is as others are");
	share(view(5 * MIN, 30 * SEC, AGENTCG_NONE, 4), MIN, "the first one takes the others to be like it");
	share(view(5 * MIN, AGENTCG_NONE, AGENTCG_NONE, 4), MIN, "nothing is known at all");
	share(view(5 * MIN, 0, MIN, 4), 5 * MIN / 240000, "one that takes no time has some");
	share(view(0, MIN, MIN, 4), USEC_PER_MSEC, "nothing is left");
	share(view(UINT64_MAX / 2, 0, UINT64_MAX / 4, UINT32_MAX - 1), USEC_PER_MSEC, "nothing overflows");

	/* Calls of one minute each, one after another, use it up and no more. */
	uint64_t left = 10 * MIN, least = UINT64_MAX;

	for (uint32_t n = 20; n-- > 0;) {
		struct time_view v = view(left, MIN, MIN, n);

		least = min_u64(least, agentcg_time_share(&v));
		left -= agentcg_time_share(&v);
	}
	tap_ok(left < SEC && least > 29 * SEC, "twenty that take a minute share ten: %llu us are left, each has %llu",
	       (unsigned long long)left, (unsigned long long)least);
}

static void grant(struct time_view v, uint64_t asked, uint64_t wanted, const char *note, const char *text)
{
	struct notes notes = {};
	uint64_t got = agentcg_time_grant(&v, asked, &notes);

	tap_ok(got == wanted && (note ? notes.n == 1 && streq(notes.text[0], note) : !notes.n), "%s: %llu, %s", text,
	       (unsigned long long)got, notes.n ? notes.text[0] : "no note");
}

static void test_grant(void)
{
	struct time_view said = view(150 * SEC, 250 * SEC, SEC, AGENTCG_CALLS_UNKNOWN);

	grant(view(5 * MIN, MIN, MIN, AGENTCG_CALLS_UNKNOWN), AGENTCG_NONE, 5 * MIN, NULL, "one that fits: what is left, and no word");
	grant(said, AGENTCG_NONE, 150 * SEC,
	      "150s are left of the session's 10m; pytest took 250s at the median of 12 runs: it will be stopped after 150s, run less",
	      "one that cannot finish is told");
	said.kind = NULL;
	grant(said, AGENTCG_NONE, 150 * SEC,
	      "150s are left of the session's 10m; it is said to take 250s: it will be stopped after 150s, run less",
	      "... also by its own words");
	grant(view(2 * MIN, MIN, MIN, 3), AGENTCG_NONE, 30 * SEC,
	      "2m are left of the session's 10m, also for 3 more calls; pytest took 1m at the median of 12 runs: it will be stopped after 30s, run less",
	      "one that cannot finish in its share is told");
	grant(view(5 * MIN, MIN, MIN, AGENTCG_CALLS_UNKNOWN), 10 * SEC, 10 * SEC, NULL, "a shorter timeout is its own choice");
	grant(view(5 * MIN, MIN, MIN, AGENTCG_CALLS_UNKNOWN), 6 * MIN, 5 * MIN,
	      "timeout 6m is more than the session has left: 5m granted", "a longer one is cut");
	grant(view(5 * MIN, MIN, MIN, 4), 2 * MIN, 2 * MIN,
	      "timeout 2m is more than its share of the 5m that the session has left (1m): 4 more calls follow",
	      "one longer than the share is granted, and told");
}

int main(void)
{
	test_share();
	test_grant();
	return tap_done();
}
