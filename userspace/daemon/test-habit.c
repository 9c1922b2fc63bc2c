// SPDX-License-Identifier: GPL-2.0-only
#include "habit.h"
#include "tap.h"

static struct habits h;
static uint64_t now;

static struct habit_begin begin_of(const char *text, const char *kind)
{
	return (struct habit_begin){
		.text = agentcg_habit_digest(0, text), .kind = agentcg_habit_digest(0, kind),
		.memory_max = 512 * MIB, .timeout_usec = 30 * USEC_PER_SEC, .pids_max = 50, .request = 100 * MIB,
	};
}

static struct habit_loop begin(const char *text, const char *kind)
{
	const struct habit_begin b = begin_of(text, kind);
	struct habit_loop loop;

	now += USEC_PER_SEC;
	agentcg_habit_begin(&h, now, &b, &loop);
	return loop;
}

static uint32_t end(const char *text, const char *kind, enum agentcg_outcome outcome)
{
	const struct habit_end e = {
		.outcome = outcome, .peak = 510 * MIB, .memory_max = 512 * MIB, .timeout_usec = 30 * USEC_PER_SEC,
		.pids_max = 50, .request = 100 * MIB, .ceiling = 4 * GIB,
	};

	now += USEC_PER_SEC;
	return agentcg_habit_ended(&h, now, agentcg_habit_digest(0, text), agentcg_habit_digest(0, kind), &e);
}

static void reset(void)
{
	h = (struct habits){};
	now = USEC_PER_SEC;
}

static void fail(int times, enum agentcg_outcome outcome)
{
	for (int i = 0; i < times; i++) {
		begin("pytest -q", "pytest");
		end("pytest -q", "pytest", outcome);
	}
}

static void says(struct habit_loop loop, const char *wanted)
{
	char text[300];

	agentcg_habit_tell(&loop, "pytest", text, sizeof(text));
	tap_ok(streq(text, wanted), "%s", text);
}

static void test_bad(void)
{
	struct habit_begin larger = begin_of("pytest -q", "pytest");
	struct habit_loop loop;

	reset();
	fail(1, AGENTCG_OOM_KILLED);
	tap_ok(!begin("pytest -q", "pytest").run, "the second run is no loop");
	tap_ok(end("pytest -q", "pytest", AGENTCG_OOM_KILLED) == 2, "two ended so");
	loop = begin("pytest -q", "pytest");
	tap_ok(loop.run == 3 && loop.same_text && loop.end, "the third is");
	says(loop, "3rd run of the same pytest in 3s; those before were killed at 512Mi; ask for 1536Mi (limits.memory) or do less at once");
	larger.memory_max = GIB;
	agentcg_habit_begin(&h, now, &larger, &loop);
	tap_ok(!loop.run, "who asks for more is in none");
	larger.memory_max = 256 * MIB;
	agentcg_habit_begin(&h, now, &larger, &loop);
	tap_ok(loop.run == 3, "who asks for less is");
	loop = begin("pytest b.py", "pytest");
	tap_ok(loop.run == 3 && !loop.same_text, "the same kind, spelt otherwise");
	says(loop, "3rd run of pytest in 4s; those before were killed at 512Mi; ask for 1536Mi (limits.memory) or do less at once");
	tap_ok(!begin("make", "make").run, "another kind is none");
	now += AGENTCG_HABIT_WINDOW_USEC;
	tap_ok(!begin("pytest -q", "pytest").run, "after a while it is forgotten");
	tap_ok(end("pytest -q", "pytest", AGENTCG_OOM_KILLED) == 1, "... and counted anew");
}

static void test_mixed(void)
{
	reset();
	fail(2, AGENTCG_OOM_KILLED);
	end("pytest -q", "pytest", AGENTCG_OK);
	tap_ok(!begin("pytest -q", "pytest").run, "a run that was good ends the loop");
	reset();
	fail(1, AGENTCG_OOM_KILLED);
	fail(1, AGENTCG_TIMEOUT);
	tap_ok(!begin("pytest -q", "pytest").run, "two that ended otherwise are none");
	fail(1, AGENTCG_TIMEOUT);
	says(begin("pytest -q", "pytest"), "3rd run of the same pytest in 4s; those before were killed after 30s; allow more (timeout), do less in one call, or detach it");
	reset();
	fail(11, AGENTCG_PIDS_EXCEEDED);
	says(begin("pytest -q", "pytest"), "12th run of the same pytest in 21s; those before were short of processes with 50; ask for more (limits.pids) or start fewer");
	reset();
	fail(2, AGENTCG_KILLED_BY_POLICY);
	says(begin("pytest -q", "pytest"), "3rd run of the same pytest in 3s; those before were killed for others' sake at 510 MiB; try later, or do less at once");
	reset();
	fail(21, AGENTCG_OOM_KILLED);
	says(begin("pytest -q", "pytest"), "22nd run of the same pytest in 41s; those before were killed at 512Mi; ask for 4Gi (limits.memory) or do less at once");
	h.list[0].end.ceiling = 512 * MIB;
	h.list[1].end.ceiling = 512 * MIB;
	says(begin("pytest -q", "pytest"), "22nd run of the same pytest in 42s; those before were killed at 510 MiB, and no more is to be had: do less at once");
}

static void test_row(void)
{
	reset();
	for (int i = 0; i < 4; i++)
		tap_ok(!begin("git status", "git status").run, "run %d of the same", i + 1);
	says(begin("git status", "git status"), "5th run of the same command in a row: it will probably do the same again");
	tap_ok(!begin("git status", "git status").run, "not each time");
	begin("ls", "ls");
	tap_ok(!begin("git status", "git status").run && h.list[0].row == 1, "something else between, and it is counted anew");
}

static void test_bounds(void)
{
	const struct habit_begin none = { .text = 0 };
	struct habit_loop loop;
	char text[16];

	reset();
	fail(2, AGENTCG_OOM_KILLED);
	for (int i = 0; i < 13; i++) {
		snprintf(text, sizeof(text), "c%d", i);
		begin(text, text);
	}
	tap_ok(begin("pytest -q", "pytest").run == 3, "some commands between do not matter");
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "d%d", i);
		begin(text, text);
	}
	tap_ok(!begin("pytest -q", "pytest").run, "many do: no more than %d are remembered", AGENTCG_HABITS);
	agentcg_habit_begin(&h, now, &none, &loop);
	tap_ok(!loop.run, "no command, no loop");
	tap_ok(agentcg_habit_digest(agentcg_habit_digest(0, "a"), "b") != agentcg_habit_digest(0, "ab"),
	       "words are kept apart");
	tap_ok(sizeof(struct habits) < 2048, "%zu bytes a session", sizeof(struct habits));
}

static void test_sessions(void)
{
	static struct habit_store store;
	struct habits *a = agentcg_habit_session(&store, 1, 1000, 5);

	a->last = 7;
	tap_ok(agentcg_habit_session(&store, 2, 1000, 5) == a && a->last == 7, "a session's habits are kept by its name");
	tap_ok(agentcg_habit_session(&store, 3, 1001, 5)->last == 0, "another user's session of that name has its own");
	for (uint64_t i = 0; i < 1000; i++)
		agentcg_habit_session(&store, 4 + i, 1001, 100 + i);
	tap_ok(agentcg_habit_session(&store, 2000, 1000, 5)->last == 7, "who has many pushes out none but its own");
	for (unsigned int uid = 0; uid < 300; uid++)
		agentcg_habit_session(&store, 3000 + uid, 5000 + uid, 5);
	tap_ok(agentcg_habit_session(&store, 4000, 1000, 5)->last == 0, "no more than so many are kept");
}

int main(void)
{
	test_sessions();
	test_bad();
	test_mixed();
	test_row();
	test_bounds();
	return tap_done();
}
