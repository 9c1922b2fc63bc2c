/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hooks of agent tools: what stands in their settings, what they tell a hook,
 * and what it answers.  Formats as found by experiment, see tests/agents.  Pure.
 *
 * Commands are never rewritten: permissions are judged on what a hook makes of
 * them, so a wrapper would hide them from the user's own rules.
 */
#ifndef _AGENTCG_HOOK_H
#define _AGENTCG_HOOK_H

#include <systemd/sd-json.h>

#include "util.h"

enum agentcg_tool {
	AGENTCG_CLAUDE,
	AGENTCG_CODEX,
	AGENTCG_GEMINI,
	AGENTCG_TOOLS,
};

const char *agentcg_tool_name(enum agentcg_tool tool);
/* -EINVAL: there is none of that name. */
int agentcg_tool_parse(const char *name, enum agentcg_tool *ret);

/* ---- settings ------------------------------------------------------------ */

/* What is written into them. */
struct agentcg_hook {
	enum agentcg_tool tool;
	const char *program;	/* absolute path of agentcg */
	const char *prefix;	/* of the link shell-prefix; claude only */
};

/*
 * @settings (NULL: there are none) with our hooks, after those of the user, and
 * in place of our own earlier ones.  With a sentence in @why: -EINVAL, they are
 * not as the tool wants them; -EEXIST, another prefix than ours is set.
 */
int agentcg_hook_add(sd_json_variant *settings, const struct agentcg_hook *hook, sd_json_variant **ret, char *why);
/* @settings without anything of ours. */
int agentcg_hook_remove(sd_json_variant *settings, enum agentcg_tool tool, sd_json_variant **ret, char *why);

/* What there is in them. */
struct agentcg_hook_state {
	size_t wanted;		/* events that we want to be told of */
	size_t found;		/* those that have a hook of ours */
	size_t group[3];	/* of each wanted event: where ours is, ~0: nowhere */
	size_t handler[3];
	const char *program;	/* of ours; borrowed from the settings, as what follows; NULL: not ours */
	const char *prefix;	/* the one that is set, ours or not */
	bool prefix_is_ours;
	const char *disabled;	/* the setting that switches hooks off; NULL: none */
};

void agentcg_hook_inspect(sd_json_variant *settings, enum agentcg_tool tool, struct agentcg_hook_state *ret);

enum agentcg_trust {
	AGENTCG_TRUST_WAITING,	/* for the user's review */
	AGENTCG_TRUSTED,
	AGENTCG_TRUST_DISABLED,
};

/* codex: what its config.toml (@config, a text) says of the hooks in @file. */
enum agentcg_trust agentcg_hook_trust(const char *config, const char *file, const struct agentcg_hook_state *state);

/* ---- events -------------------------------------------------------------- */

struct agentcg_hook_event {
	const char *name;	/* borrowed, as the next */
	const char *session;	/* the tool's own id of it */
	bool begins;		/* a call, or the session, is about to begin */
	bool ends;		/* a call has come back: the model reads next what we answer */
};

/* What the tool said on standard input.  -EINVAL: nothing that is known. */
int agentcg_hook_read(enum agentcg_tool tool, sd_json_variant *input, struct agentcg_hook_event *ret);

/*
 * The answer to it, an empty object if there is nothing to tell.  @results: an
 * array of Finished (io.agentcg), or NULL.
 */
int agentcg_hook_answer(const struct agentcg_hook_event *event, sd_json_variant *results, sd_json_variant **ret);

#endif /* _AGENTCG_HOOK_H */
