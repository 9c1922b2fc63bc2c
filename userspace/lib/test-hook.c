// SPDX-License-Identifier: GPL-2.0-only
/* Settings of agent tools with and without our hooks; what a hook answers to what the tools were heard to say. */
#include "hook.h"

#include "json-edit.h"
#include "tap.h"
#include "words.h"

static const struct agentcg_hook hooks[] = {
	{ AGENTCG_CLAUDE, "/usr/bin/agentcg", "/usr/libexec/agentcg/shell-prefix" },
	{ AGENTCG_CODEX, "/usr/bin/agentcg", NULL },
	{ AGENTCG_GEMINI, "/usr/bin/agentcg", NULL },
};

static sd_json_variant *parse(const char *text)
{
	sd_json_variant *v = NULL;

	if (sd_json_parse(text, 0, &v, NULL, NULL) < 0)
		tap_ok(false, "no JSON: %s", text);
	return v;
}

static void is_json(sd_json_variant *got, const char *wanted, const char *what)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = parse(wanted);
	_cleanup_free_ char *a = NULL, *b = NULL;

	/* As text: the order of what is not ours must stay, too. */
	if (!got || sd_json_variant_format(got, 0, &a) < 0 || sd_json_variant_format(v, 0, &b) < 0) {
		tap_ok(false, "%s: nothing", what);
		return;
	}
	if (!tap_ok(streq(a, b), "%s", what))
		printf("# got:    %s\n# wanted: %s\n", a, b);
}

static sd_json_variant *add(const char *settings, const struct agentcg_hook *hook, int wanted)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = settings ? parse(settings) : NULL;
	char why[AGENTCG_WHY_MAX] = "";
	sd_json_variant *ret = NULL;
	int r = agentcg_hook_add(v, hook, &ret, why);

	if (r != wanted)
		tap_ok(false, "add to %s: %d, %s", settings, r, why);
	if (wanted < 0)
		tap_ok(r == wanted && *why, "refused: %s", why);
	return ret;
}

#define CLAUDE	"{\"type\":\"command\",\"command\":\"/usr/bin/agentcg\",\"args\":[\"hook\",\"claude\"],\"timeout\":10}"
#define CODEX	"{\"type\":\"command\",\"command\":\"/usr/bin/agentcg hook codex\",\"timeout\":10}"
#define GEMINI	"{\"type\":\"command\",\"name\":\"agentcg\",\"command\":\"[ ! -x /usr/bin/agentcg ] || /usr/bin/agentcg hook gemini || :\",\"timeout\":10000}"
#define GROUP(matcher, handler)	"{\"matcher\":\"" matcher "\",\"hooks\":[" handler "]}"
#define PREFIX	"\"CLAUDE_CODE_SHELL_PREFIX\":\"/usr/libexec/agentcg/shell-prefix\""
#define OF_CLAUDE "\"PreToolUse\":[" GROUP("Bash", CLAUDE) "],\"PostToolUse\":[" GROUP("Bash", CLAUDE) "]," \
	"\"PostToolUseFailure\":[" GROUP("Bash", CLAUDE) "]"
#define OF_CODEX "\"PreToolUse\":[" GROUP("^Bash$", CODEX) "],\"PostToolUse\":[" GROUP("^Bash$", CODEX) "]"
#define OF_GEMINI "\"BeforeTool\":[" GROUP("^run_shell_command$", GEMINI) "],\"AfterTool\":[" GROUP("^run_shell_command$", GEMINI) "]"

static const char *const installed[] = {
	"{\"env\":{" PREFIX "},\"hooks\":{" OF_CLAUDE "}}",
	"{\"hooks\":{" OF_CODEX "}}",
	"{\"hooks\":{" OF_GEMINI "}}",
};

/* What users have, in files where ours is to be added and taken out again. */
static const char *const foreign[] = {
	"{}",
	"{\"model\":\"opus\",\"hooks\":{},\"z\":1}",
	"{\"hooks\":{\"PreToolUse\":[],\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"beep\"}]}]},\"a\":[1,2.5,null]}",
	"{\"hooks\":{\"PreToolUse\":[{\"matcher\":\"Bash\",\"hooks\":[{\"type\":\"command\",\"command\":\"/opt/check hook claude\"}]}],"
	"\"BeforeTool\":[{\"hooks\":[{\"command\":\"x\"},{\"command\":\"y\"}]}],\"PostToolUse\":[{\"hooks\":[]}]}}",
	"{\"env\":{\"FOO\":\"bar\",\"BAZ\":\"\"},\"permissions\":{\"allow\":[\"Bash(echo:*)\"]}}",
	"{\"env\":{}}",
};

static void test_fresh(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = add(NULL, &hooks[i], 0), *again = NULL;
		struct agentcg_hook_state state;

		is_json(v, installed[i], agentcg_tool_name(hooks[i].tool));
		again = add(installed[i], &hooks[i], 0);
		is_json(again, installed[i], "... twice is once");
		agentcg_hook_inspect(v, hooks[i].tool, &state);
		tap_ok(state.found == state.wanted && state.wanted >= 2 && !state.disabled, "... and it is seen");
		agentcg_hook_inspect(NULL, hooks[i].tool, &state);
		tap_ok(!state.found && !state.prefix && state.wanted, "... not where it is not");
	}
}

static void test_round(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		for (size_t k = 0; k < ARRAY_SIZE(foreign); k++) {
			_cleanup_(sd_json_variant_unrefp) sd_json_variant *with = NULL, *without = NULL, *plain = parse(foreign[k]);
			struct agentcg_hook_state state;
			char what[128];

			/* What was empty and in which ours was: there is nothing in it to be missed. */
			if (hooks[i].tool == AGENTCG_CLAUDE && strstr(foreign[k], "\"env\":{}"))
				continue;
			snprintf(what, sizeof(what), "%s, file %zu: what was there is back", agentcg_tool_name(hooks[i].tool), k);
			with = add(foreign[k], &hooks[i], 0);
			agentcg_hook_inspect(with, hooks[i].tool, &state);
			tap_ok(state.found == state.wanted, "%s, file %zu: all events", agentcg_tool_name(hooks[i].tool), k);
			tap_ok(agentcg_hook_remove(with, hooks[i].tool, &without, NULL) == 0, "... and out");
			if (strstr(foreign[k], "\"hooks\":{}"))
				is_json(without, "{\"model\":\"opus\",\"z\":1}", "an object that was empty goes with ours");
			else if (strstr(foreign[k], "\"PreToolUse\":[],") && hooks[i].tool != AGENTCG_GEMINI)
				is_json(without, "{\"hooks\":{\"Stop\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"beep\"}]}]},\"a\":[1,2.5,null]}",
					"an array that was empty, too");
			else
				is_json(without, foreign[k], what);
			sd_json_variant_unref(without);
			without = NULL;
			agentcg_hook_remove(plain, hooks[i].tool, &without, NULL);
			is_json(without, foreign[k], "without ours nothing changes");
		}
}

static void test_position(void)
{
	static const char theirs[] = "{\"hooks\":{\"PreToolUse\":[{\"hooks\":[{\"command\":\"a\"}]},{\"hooks\":[{\"command\":\"b\"}]}]}}";
	static const char old[] = "{\"hooks\":{\"PreToolUse\":[{\"hooks\":[{\"command\":\"a\"}]},"
				  "{\"matcher\":\"x\",\"hooks\":[{\"command\":\"b\"},{\"command\":\"/opt/agentcg hook codex\"},{\"command\":\"/o/agentcg hook codex\"}]},"
				  "{\"hooks\":[{\"command\":\"c\"}]}]}}";
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = add(theirs, &hooks[AGENTCG_CODEX], 0), *w = NULL, *without = NULL;
	struct agentcg_hook_state state;

	agentcg_hook_inspect(v, AGENTCG_CODEX, &state);
	tap_ok(state.group[0] == 2 && state.handler[0] == 0, "ours come after the user's, whose trust hangs on their place");
	w = add(old, &hooks[AGENTCG_CODEX], 0);
	agentcg_hook_remove(w, AGENTCG_CODEX, &without, NULL);
	is_json(without, "{\"hooks\":{\"PreToolUse\":[{\"hooks\":[{\"command\":\"a\"}]},{\"matcher\":\"x\",\"hooks\":[{\"command\":\"b\"}]},"
		"{\"hooks\":[{\"command\":\"c\"}]}]}}", "what was ours beside theirs goes alone");
	agentcg_hook_inspect(w, AGENTCG_CODEX, &state);
	tap_ok(state.found == 2 && state.group[0] == 1 && startswith(state.program, "/usr/bin/"), "an older one is replaced in its place, once");
}

static void test_refused(void)
{
	static const char prefix[] = "{\"env\":{\"CLAUDE_CODE_SHELL_PREFIX\":\"/home/u/mine\"}}";
	static const char ours[] = "{\"env\":{\"CLAUDE_CODE_SHELL_PREFIX\":\"/opt/x/libexec/agentcg/shell-prefix\",\"A\":\"b\"}}";
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = parse(prefix), *kept = NULL, *moved = NULL;
	struct agentcg_hook_state state;

	add(prefix, &hooks[AGENTCG_CLAUDE], -EEXIST);
	tap_ok(agentcg_hook_remove(v, AGENTCG_CLAUDE, &kept, NULL) == 0, "there is nothing of ours to remove");
	is_json(kept, prefix, "... and the user's prefix stays");
	agentcg_hook_inspect(v, AGENTCG_CLAUDE, &state);
	tap_ok(state.prefix && !state.prefix_is_ours, "it is seen not to be ours");
	moved = add(ours, &hooks[AGENTCG_CLAUDE], 0);
	is_json(sd_json_variant_by_key(moved, "env"), "{" PREFIX ",\"A\":\"b\"}", "one of ours from elsewhere is replaced in its place");
	add("{\"hooks\":[]}", &hooks[AGENTCG_CLAUDE], -EINVAL);
	add("{\"hooks\":{\"PreToolUse\":{}}}", &hooks[AGENTCG_CODEX], -EINVAL);
	add("{\"env\":\"A=b\"}", &hooks[AGENTCG_CLAUDE], -EINVAL);
	add("[]", &hooks[AGENTCG_GEMINI], -EINVAL);
	moved = sd_json_variant_unref(moved);
	moved = add("{\"hooks\":{\"PreToolUse\":[1,{\"hooks\":3},{\"hooks\":[4,null,{\"command\":5}]}]}}", &hooks[AGENTCG_CODEX], 0);
	tap_ok(!!moved, "groups that make no sense are left alone");
}

static void test_disabled(void)
{
	static const struct {
		enum agentcg_tool tool;
		const char *settings, *by;
	} rows[] = {
		{ AGENTCG_CLAUDE, "{\"disableAllHooks\":true}", "disableAllHooks" },
		{ AGENTCG_CLAUDE, "{\"disableAllHooks\":false}", NULL },
		{ AGENTCG_GEMINI, "{\"hooksConfig\":{\"enabled\":false}}", "hooksConfig.enabled" },
		{ AGENTCG_GEMINI, "{\"hooksConfig\":{\"disabled\":[\"x\",\"agentcg\"]}}", "hooksConfig.disabled" },
		{ AGENTCG_GEMINI, "{\"hooksConfig\":{\"disabled\":[\"x\"]}}", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = parse(rows[i].settings);
		struct agentcg_hook_state state;

		agentcg_hook_inspect(v, rows[i].tool, &state);
		tap_ok(streq(state.disabled ?: "nothing", rows[i].by ?: "nothing"), "%s: switched off by %s",
		       rows[i].settings, rows[i].by ?: "nothing");
	}
}

#define KEY(event, rest) "[hooks.state.\"/h/hooks.json:" event ":2:0\"]\n" rest
#define BEFORE(rest)	KEY("pre_tool_use", rest)
#define AFTER(rest)	KEY("post_tool_use", rest)
#define HASH		"trusted_hash = \"x\"\n"

static void test_trust(void)
{
	const struct agentcg_hook_state at = { .wanted = 2, .found = 2, .group = { 2, 2 } };
	static const struct {
		const char *config;
		enum agentcg_trust trust;
	} rows[] = {
		{ "", AGENTCG_TRUST_WAITING },
		{ BEFORE(HASH), AGENTCG_TRUST_WAITING },
		{ BEFORE(HASH) AFTER("trusted_hash=\"x\"\n"), AGENTCG_TRUSTED },
		{ BEFORE(HASH) AFTER("\n[other]\n" HASH), AGENTCG_TRUST_WAITING },
		{ BEFORE(HASH "enabled = false\n") AFTER(HASH), AGENTCG_TRUST_DISABLED },
		{ "[hooks.state.\"/h/hooks.json:pre_tool_use:1:0\"]\ntrusted_hash = \"x\"\n", AGENTCG_TRUST_WAITING },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		tap_ok(agentcg_hook_trust(rows[i].config, "/h/hooks.json", &at) == rows[i].trust, "codex's trust, file %zu", i);
}

static void test_write(void)
{
	static const char text[] = "{\n    \"a\": 0.1,\n    \"b\": -5,\n    \"c\": [\n        1000,\n        \"\\t\\\"ü\",\n"
				   "        {}\n    ],\n    \"d\": [],\n    \"e\": null\n}\n";
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = parse(text);
	char indent[AGENTCG_INDENT_MAX];
	_cleanup_free_ char *out = NULL;

	agentcg_json_indent(text, indent);
	tap_ok(agentcg_json_write(v, indent, &out) == 0 && streq(out, text), "a file is written as it was, with its own indentation");
	agentcg_json_indent("{\n\t\"a\": 1}", indent);
	tap_ok(streq(indent, "\t"), "tabs");
	agentcg_json_indent("{}", indent);
	tap_ok(streq(indent, "  "), "two spaces where nothing is known");
	agentcg_json_indent("{\n\n   \r\n  \"a\": 1}", indent);
	tap_ok(streq(indent, "  "), "empty lines tell nothing");
	agentcg_json_indent("{\n                    \"a\": 1}", indent);
	tap_ok(streq(indent, "  "), "what is too much is not followed");
}

/* ---- events ---------------------------------------------------------------- */

static sd_json_variant *answer(enum agentcg_tool tool, const char *input, const char *results)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = parse(input), *list = results ? parse(results) : NULL;
	struct agentcg_hook_event event;
	sd_json_variant *ret = NULL;

	if (agentcg_hook_read(tool, v, &event) >= 0)
		agentcg_hook_answer(&event, list, &ret);
	return ret;
}

static void test_answers(void)
{
	static const char one[] = "[{\"command\":[\"sh\",\"-c\",\"make\\nall\"],\"result\":{\"text\":\"killed: out of memory.\"}}]";
	static const char two[] = "[{\"command\":[\"ls\",\"-l\"],\"result\":{\"text\":\"a\"}},{\"command\":[],\"result\":{\"text\":\"b\"}}]";
	static const struct {
		enum agentcg_tool tool;
		const char *event, *results, *wanted;
	} rows[] = {
		{ AGENTCG_CLAUDE, "PostToolUse", one, "agentcg: `make all`: killed: out of memory." },
		{ AGENTCG_CLAUDE, "PostToolUseFailure", one, "agentcg: `make all`: killed: out of memory." },
		{ AGENTCG_CODEX, "PostToolUse", two, "agentcg: `ls -l`: a\\nagentcg: ``: b" },
		{ AGENTCG_GEMINI, "AfterTool", one, "agentcg: `make all`: killed: out of memory." },
		{ AGENTCG_CLAUDE, "PostToolUse", "[]", NULL },
		{ AGENTCG_CLAUDE, "PostToolUse", NULL, NULL },
		{ AGENTCG_CLAUDE, "PreToolUse", one, NULL },
		{ AGENTCG_GEMINI, "BeforeTool", one, NULL },
		{ AGENTCG_CODEX, "PostToolUse", "[{},{\"result\":{}},{\"result\":{\"text\":5}}]", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *input = NULL, *wanted = NULL, *what = NULL;
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		if (asprintf(&input, "{\"hook_event_name\":\"%s\",\"session_id\":\"s\"}", rows[i].event) < 0 ||
		    asprintf(&wanted, "{\"hookSpecificOutput\":{\"hookEventName\":\"%s\",\"additionalContext\":\"%s\"}}",
			     rows[i].event, rows[i].wanted ?: "") < 0 ||
		    asprintf(&what, "%s, %s: %s", agentcg_tool_name(rows[i].tool), rows[i].event, rows[i].wanted ?: "nothing to tell") < 0)
			return;
		v = answer(rows[i].tool, input, rows[i].results);
		is_json(v, rows[i].wanted ? wanted : "{}", what);
	}
	tap_ok(!answer(AGENTCG_CLAUDE, "{\"hook_event_name\":\"Stop\"}", one), "an event that is none of ours");
	tap_ok(!answer(AGENTCG_CLAUDE, "{\"hook_event_name\":\"BeforeTool\"}", one), "... of another tool's");
	tap_ok(!answer(AGENTCG_GEMINI, "{\"session_id\":\"x\"}", one), "... no event at all");
	tap_ok(!answer(AGENTCG_GEMINI, "[3]", one), "... no object");
}

static void shows(const char *words, const char *wanted)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = words ? parse(words) : NULL;
	char text[AGENTCG_WORDS_TEXT];

	agentcg_words_show(v, text);
	if (!tap_ok(streq(text, wanted), "shown as %s", wanted))
		printf("# got %s\n", text);
}

#define SIXTY	"012345678901234567890123456789012345678901234567890123456789"

static void test_words(void)
{
	shows(NULL, "");
	shows("[\"ls\",\"-l\"]", "ls -l");
	shows("[\"/bin/bash\",\"-c\",\"a\\n\\tb\"]", "a  b");
	shows("[\"bash\",\"-c\",\"a\",\"b\"]", "bash -c a b");
	shows("[1,\"x\"]", "x");
	shows("[\"" SIXTY "\",\"0123456789\"]", SIXTY " 0123456789");
	shows("[\"" SIXTY "\",\"012345678901234567890\"]", SIXTY " 012345678901234...");
	shows("[\"" SIXTY "012345678901234\u00fc0123\"]", SIXTY "012345678901234...");
}

/* What the tools were heard to say: the blocks of JSON in tests/agents/README.md that have an event. */
static void test_heard(void)
{
	_cleanup_fclose_ FILE *f = fopen("tests/agents/README.md", "re");
	char line[4096], block[8192] = "";
	enum agentcg_tool tool = AGENTCG_CLAUDE;
	unsigned int heard = 0;
	bool inside = false;

	while (f && fgets(line, sizeof(line), f)) {
		if (startswith(line, "#### "))
			agentcg_tool_parse(strtok(line + 5, ",\n"), &tool);
		if (startswith(line, "```json")) {
			inside = true;
			block[0] = 0;
		} else if (startswith(line, "```") && inside) {
			_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = parse(block);
			struct agentcg_hook_event event;

			inside = false;
			if (!agentcg_json_has(v, "hook_event_name"))
				continue;
			heard++;
			tap_ok(agentcg_hook_read(tool, v, &event) == 0 && event.session && strlen(event.session) == 36 &&
			       event.begins != event.ends, "heard from %s: %s", agentcg_tool_name(tool), event.name);
		} else if (inside && strlen(block) + strlen(line) < sizeof(block)) {
			strcat(block, line);
		}
	}
	tap_ok(heard == 8, "%u events were heard", heard);
}

int main(void)
{
	test_fresh();
	test_round();
	test_position();
	test_refused();
	test_disabled();
	test_trust();
	test_write();
	test_answers();
	test_words();
	test_heard();
	return tap_done();
}
