// SPDX-License-Identifier: GPL-2.0-only
#include "hook.h"
#include "json.h"
#include "words.h"

/* Which of its events a tool tells when. */
static const struct {
	const char *session, *before, *after, *failed;
} events[AGENTCG_TOOLS] = {
	[AGENTCG_CLAUDE] = { "SessionStart", "PreToolUse", "PostToolUse", "PostToolUseFailure" },
	[AGENTCG_CODEX] = { "SessionStart", "PreToolUse", "PostToolUse", "" },
	[AGENTCG_GEMINI] = { "SessionStart", "BeforeTool", "AfterTool", "" },
};

int agentcg_hook_read(enum agentcg_tool tool, sd_json_variant *input, struct agentcg_hook_event *ret)
{
	const char *name = agentcg_json_string(input, "hook_event_name");

	*ret = (struct agentcg_hook_event){
		.name = name,
		.session = agentcg_json_string(input, "session_id"),
	};
	if (!name || !*name)
		return -EINVAL;
	ret->begins = streq(name, events[tool].session) || streq(name, events[tool].before);
	/* Also where claude let the call go on in the background: others may have ended meanwhile. */
	ret->ends = streq(name, events[tool].after) || streq(name, events[tool].failed);
	return ret->begins || ret->ends ? 0 : -EINVAL;
}

/* A line for each: what it was, as calls may run in parallel, and what became of it. */
static char *tell(sd_json_variant *results)
{
	size_t n = results ? sd_json_variant_elements(results) : 0, size;
	char *text = NULL;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = 0; f && i < n; i++) {
		sd_json_variant *v = sd_json_variant_by_index(results, i);
		const char *said = agentcg_json_string(sd_json_variant_by_key(v, "result"), "text");
		char command[AGENTCG_WORDS_TEXT];

		agentcg_words_show(sd_json_variant_by_key(v, "command"), command);
		if (said)
			fprintf(f, "%sagentcg: `%s`: %s", ftell(f) > 0 ? "\n" : "", command, said);
	}
	if (f && fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

int agentcg_hook_answer(const struct agentcg_hook_event *event, sd_json_variant *results, sd_json_variant **ret)
{
	_cleanup_free_ char *text = event->ends ? tell(results) : NULL;

	if (!text || !*text)
		return sd_json_variant_new_object(ret, NULL, 0);
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_OBJECT("hookSpecificOutput",
			SD_JSON_BUILD_PAIR_STRING("hookEventName", event->name),
			SD_JSON_BUILD_PAIR_STRING("additionalContext", text)));
}
