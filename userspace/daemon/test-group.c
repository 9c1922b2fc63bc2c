// SPDX-License-Identifier: GPL-2.0-only
/* What a call comes after: names, who of a group, and what is told of those that ended. */
#include "group.h"

#include "admission.h"
#include "session.h"
#include "tap.h"

static struct manager m;
static struct session s = { .m = &m, .name = "s", .calls_ever = 5 }, other = { .m = &m, .name = "other", .calls_ever = 1 };
static struct call calls[3];

static void run(size_t slot, struct session *session, uint32_t number, uint64_t arrival, const char *group)
{
	calls[slot] = (struct call){ .m = &m, .session = session, .number = number, .arrival = arrival };
	strcpy(calls[slot].group, group);
	m.calls[slot] = &calls[slot];
	m.nr_calls = 3;
}

static void finish(size_t slot, enum agentcg_outcome outcome)
{
	calls[slot].result.outcome = outcome;
	agentcg_group_ended(&calls[slot]);
	m.calls[slot] = NULL;
}

/* What agentcg_after_read() makes of the JSON text @names. */
static int reads(const char *names, struct after *after, const char **unknown)
{
	static sd_json_variant *v;

	sd_json_variant_unref(v);
	v = NULL;
	if (sd_json_parse(names, 0, &v, NULL, NULL) < 0)
		return -EIO;
	return agentcg_after_read(&s, v, after, unknown);
}

static void test_names(void)
{
	const char *unknown = NULL;
	struct after after;

	run(0, &s, 5, 1, "g");
	run(1, &other, 1, 2, "theirs");
	tap_ok(reads("null", &after, &unknown) == 0 && !after.nr, "nothing");
	tap_ok(reads("[\"s/tool-5\",\"g\"]", &after, &unknown) == 0 && after.nr == 2 && after.on[0].number == 5 &&
	       streq(after.on[1].group, "g"), "a call and a group");
	tap_ok(reads("[\"s/tool-1\"]", &after, &unknown) == 0, "a call that has ended long ago");
	tap_ok(reads("[\"s/tool-6\"]", &after, &unknown) == -ENOENT && streq(unknown, "s/tool-6"), "one that never was");
	tap_ok(reads("[\"g\",\"theirs\"]", &after, &unknown) == -ENOENT && streq(unknown, "theirs"), "another session's group");
	tap_ok(reads("[\"other/tool-1\"]", &after, &unknown) == -ENOENT, "another session's call");
	tap_ok(reads("[\"s/tool-0\"]", &after, &unknown) == -ENOENT && reads("[\"s/tool-5x\"]", &after, &unknown) == -ENOENT &&
	       reads("[\"s/agent\"]", &after, &unknown) == -ENOENT && reads("[\"\"]", &after, &unknown) == -ENOENT &&
	       reads("[\"s/tool-99999999999999999999\"]", &after, &unknown) == -ENOENT, "what is no name of a call");
	tap_ok(reads("\"g\"", &after, &unknown) == -EINVAL && reads("[1]", &after, &unknown) == -EINVAL &&
	       reads("{}", &after, &unknown) == -EINVAL, "no list of names");
	tap_ok(reads("[\"g\",\"g\",\"g\",\"g\",\"g\",\"g\",\"g\",\"g\",\"g\"]", &after, &unknown) == -EINVAL, "more than eight");
	tap_ok(agentcg_group_name_valid("abcdefghijklmnopqrstuvwxyz012345") &&
	       !agentcg_group_name_valid("abcdefghijklmnopqrstuvwxyz0123456") && !agentcg_group_name_valid("a/b"), "names of groups");
}

static void test_pending(void)
{
	struct after group = { .nr = 1, .on = { { .group = "g" } } }, call = { .nr = 1, .on = { { .number = 2 } } };

	run(0, &s, 1, 10, "g");
	run(1, &s, 2, 12, "g");
	run(2, &other, 3, 1, "g");
	tap_ok(agentcg_after_pending(&s, &group, 11), "one of the group runs");
	tap_ok(agentcg_after_pending(&s, &call, 11), "the call runs");
	finish(0, AGENTCG_OK);
	tap_ok(!agentcg_after_pending(&s, &group, 11), "those that came later, or are another session's, do not count");
	tap_ok(agentcg_after_pending(&s, &group, 13), "... for those that came later still they do");
	finish(1, AGENTCG_OK);
	tap_ok(!agentcg_after_pending(&s, &call, 11) && !agentcg_after_pending(&s, &group, 13), "all have ended");
	run(0, &s, 4, 0, "g");
	tap_ok(agentcg_after_pending(&s, &group, 1), "one that a daemon before us began was there before all");
	finish(0, AGENTCG_OK);
}

static void test_tell(void)
{
	struct after after = { .nr = 2, .on = { { .group = "bad" }, { .number = 7 } } };
	struct notes notes = {};
	const char *unknown;

	run(0, &s, 6, 20, "bad");
	finish(0, AGENTCG_OOM_KILLED);
	run(0, &s, 7, 21, "");
	calls[0].fate = AGENTCG_FATE_CLOSED;
	finish(0, AGENTCG_OK);
	run(0, &s, 8, 22, "bad");
	finish(0, AGENTCG_WAS_HELD);
	run(0, &s, 9, 23, "");
	finish(0, AGENTCG_TIMEOUT);
	agentcg_after_tell(&s, &after, &notes);
	tap_ok(notes.n == 2 && streq(notes.text[0], "s/tool-6, which this comes after, did not end well: oom_killed"),
	       "who was killed is told: %s", notes.text[0]);
	tap_ok(streq(notes.text[1], "s/tool-7, which this comes after, did not end well: its client went away"),
	       "whose client went away, too: %s", notes.text[1]);
	tap_ok(reads("[\"bad\"]", &after, &unknown) == 0, "a group is remembered");
	for (int i = 0; i < AGENTCG_ENDED_MAX; i++) {
		run(0, &s, 10, 24, "more");
		finish(0, AGENTCG_OK);
	}
	tap_ok(reads("[\"bad\"]", &after, &unknown) == -ENOENT && reads("[\"more\"]", &after, &unknown) == 0, "... not for ever");
}

int main(void)
{
	test_names();
	test_pending();
	test_tell();
	return tap_done();
}
