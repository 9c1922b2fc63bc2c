// SPDX-License-Identifier: GPL-2.0-only
/*
 * Settings have hooks[EVENT] = [group...], a group {matcher, hooks = [handler...]}.
 * A handler of ours is known by the command that it calls.
 */
#include "hook.h"


#include "json-edit.h"

#define PREFIX_KEY	"CLAUDE_CODE_SHELL_PREFIX"
#define EVENTS_MAX	3

static const struct {
	const char *name;
	const char *matcher;	/* the tool's own shell */
	const char *events[EVENTS_MAX];
} tools[AGENTCG_TOOLS] = {
	/* PostToolUse is for what ended with 0 only. */
	[AGENTCG_CLAUDE] = { "claude", "Bash", { "PreToolUse", "PostToolUse", "PostToolUseFailure" } },
	[AGENTCG_CODEX] = { "codex", "^Bash$", { "PreToolUse", "PostToolUse" } },
	[AGENTCG_GEMINI] = { "gemini", "^run_shell_command$", { "BeforeTool", "AfterTool" } },
};

const char *agentcg_tool_name(enum agentcg_tool tool)
{
	return tools[tool].name;
}

int agentcg_tool_parse(const char *name, enum agentcg_tool *ret)
{
	for (*ret = 0; *ret < AGENTCG_TOOLS; (*ret)++)
		if (streq(tools[*ret].name, name))
			return 0;
	return -EINVAL;
}

/* ---- what is ours --------------------------------------------------------- */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && streq(s + n - m, end);
}

static bool is_ours(sd_json_variant *handler, enum agentcg_tool tool)
{
	const char *command = agentcg_json_string(handler, "command");
	sd_json_variant *args = sd_json_variant_by_key(handler, "args");
	char call[64];

	if (!command)
		return false;
	if (tool == AGENTCG_CLAUDE && args && sd_json_variant_is_array(args)) {
		sd_json_variant *word = sd_json_variant_by_index(args, 0);

		return ends_with(command, "/agentcg") && word && sd_json_variant_is_string(word) &&
		       streq(sd_json_variant_string(word), "hook");
	}
	snprintf(call, sizeof(call), "/agentcg hook %s", tools[tool].name);
	return strstr(command, call);
}

static bool is_our_prefix(const char *prefix)
{
	return ends_with(prefix, "/agentcg/shell-prefix");
}

static int build_handler(const struct agentcg_hook *hook, sd_json_variant **ret)
{
	_cleanup_free_ char *command = NULL;
	int r;

	switch (hook->tool) {
	case AGENTCG_CLAUDE:
		/* With args it is executed itself: no shell, no prefix. */
		return sd_json_buildo(ret,
			SD_JSON_BUILD_PAIR_STRING("type", "command"),
			SD_JSON_BUILD_PAIR_STRING("command", hook->program),
			SD_JSON_BUILD_PAIR_ARRAY("args", SD_JSON_BUILD_STRING("hook"), SD_JSON_BUILD_STRING("claude")),
			SD_JSON_BUILD_PAIR_UNSIGNED("timeout", 10));
	case AGENTCG_CODEX:
		r = asprintf(&command, "%s hook codex", hook->program);
		return r < 0 ? -ENOMEM : sd_json_buildo(ret,
			SD_JSON_BUILD_PAIR_STRING("type", "command"),
			SD_JSON_BUILD_PAIR_STRING("command", command),
			SD_JSON_BUILD_PAIR_UNSIGNED("timeout", 10));
	default:
		/* Any status but 0 and 1 would block the tool, also that of a missing program. */
		r = asprintf(&command, "[ ! -x %s ] || %s hook gemini || :", hook->program, hook->program);
		return r < 0 ? -ENOMEM : sd_json_buildo(ret,
			SD_JSON_BUILD_PAIR_STRING("type", "command"),
			SD_JSON_BUILD_PAIR_STRING("name", "agentcg"),
			SD_JSON_BUILD_PAIR_STRING("command", command),
			SD_JSON_BUILD_PAIR_UNSIGNED("timeout", 10000));
	}
}

/* ---- editing -------------------------------------------------------------- */

static int check_shape(sd_json_variant *v, bool array, const char *what, char *why)
{
	if (!v || (array ? sd_json_variant_is_array(v) : sd_json_variant_is_object(v)))
		return 0;
	return agentcg_why(-EINVAL, why, "%s is no %s: mend it first", what, array ? "array" : "object");
}

/*
 * Takes ours out of the list of groups; the first one becomes @handler if there
 * is one (*@placed).  A group that held nothing else goes.
 */
static int edit_groups(sd_json_variant *groups, enum agentcg_tool tool, sd_json_variant *handler, bool *placed,
		       sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *now = sd_json_variant_ref(groups);
	int r = 0;

	for (size_t g = sd_json_variant_elements(groups); r >= 0 && g-- > 0;) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *left = NULL, *group = NULL, *next = NULL;
		sd_json_variant *old = sd_json_variant_by_index(groups, g);
		sd_json_variant *handlers = sd_json_variant_is_object(old) ? sd_json_variant_by_key(old, "hooks") : NULL;
		bool changed = false;

		if (!handlers || !sd_json_variant_is_array(handlers))
			continue;
		left = sd_json_variant_ref(handlers);
		for (size_t h = sd_json_variant_elements(handlers); r >= 0 && h-- > 0;) {
			_cleanup_(sd_json_variant_unrefp) sd_json_variant *fewer = NULL;

			if (!is_ours(sd_json_variant_by_index(handlers, h), tool))
				continue;
			r = agentcg_json_put_at(left, h, *placed ? NULL : handler, &fewer);
			*placed |= !!handler;
			changed = true;
			sd_json_variant_unref(left);
			left = TAKE_PTR(fewer);
		}
		if (r < 0 || !changed)
			continue;
		if (sd_json_variant_elements(left))
			r = agentcg_json_put(old, "hooks", left, &group);
		if (r >= 0)
			r = agentcg_json_put_at(now, g, group, &next);
		if (r >= 0) {
			sd_json_variant_unref(now);
			now = TAKE_PTR(next);
		}
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(now);
	return 0;
}

/* @hooks with the hook for one event, or without it where @handler is NULL. */
static int edit_event(sd_json_variant *hooks, enum agentcg_tool tool, const char *event, sd_json_variant *handler,
		      sd_json_variant **ret, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *groups = NULL, *group = NULL, *more = NULL;
	sd_json_variant *old = hooks ? sd_json_variant_by_key(hooks, event) : NULL;
	bool placed = false;
	char what[64];
	int r;

	snprintf(what, sizeof(what), "hooks.%s", event);
	r = check_shape(old, true, what, why);
	if (!r && old)
		r = edit_groups(old, tool, handler, &placed, &groups);
	if (r < 0)
		return r;
	if (handler && !placed) {
		r = sd_json_buildo(&group,
			SD_JSON_BUILD_PAIR_STRING("matcher", tools[tool].matcher),
			SD_JSON_BUILD_PAIR("hooks", SD_JSON_BUILD_ARRAY(SD_JSON_BUILD_VARIANT(handler))));
		/* After the user's: codex trusts hooks by their position. */
		if (r >= 0)
			r = agentcg_json_put_at(groups, groups ? sd_json_variant_elements(groups) : 0, group, &more);
		return r < 0 ? r : agentcg_json_put(hooks, event, more, ret);
	}
	/* A list that was empty before is none of ours. */
	if (!handler && old && sd_json_variant_elements(old) && !sd_json_variant_elements(groups))
		return agentcg_json_put(hooks, event, NULL, ret);
	if (!old) {
		*ret = sd_json_variant_ref(hooks);
		return 0;
	}
	return agentcg_json_put(hooks, event, groups, ret);
}

static int edit_prefix(sd_json_variant *settings, const char *prefix, sd_json_variant **ret, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *value = NULL, *env = NULL;
	sd_json_variant *old = settings ? sd_json_variant_by_key(settings, "env") : NULL;
	const char *set;
	int r = check_shape(old, false, "env", why);

	if (r < 0)
		return r;
	set = old ? agentcg_json_string(old, PREFIX_KEY) : NULL;
	if (set && !is_our_prefix(set)) {
		if (prefix)
			return agentcg_why(-EEXIST, why, "env." PREFIX_KEY " is set to \"%s\" already, and there can be only one: take it out first",
				      set);
		set = NULL;
	}
	if (!prefix && !set) {
		*ret = sd_json_variant_ref(settings);
		return 0;
	}
	if (prefix)
		r = sd_json_variant_new_string(&value, prefix);
	if (r >= 0)
		r = agentcg_json_put(old, PREFIX_KEY, value, &env);
	if (r < 0)
		return r;
	return agentcg_json_put(settings, "env", sd_json_variant_elements(env) ? env : NULL, ret);
}

static int edit(sd_json_variant *settings, enum agentcg_tool tool, sd_json_variant *handler, const char *prefix,
		sd_json_variant **ret, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *now = NULL, *hooks = NULL;
	sd_json_variant *old = settings ? sd_json_variant_by_key(settings, "hooks") : NULL;
	int r = check_shape(settings, false, "the file's value", why);

	if (!r)
		r = check_shape(old, false, "hooks", why);
	if (r < 0)
		return r;
	hooks = sd_json_variant_ref(old);
	for (size_t i = 0; i < EVENTS_MAX && tools[tool].events[i]; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *next = NULL;

		r = edit_event(hooks, tool, tools[tool].events[i], handler, &next, why);
		if (r < 0)
			return r;
		sd_json_variant_unref(hooks);
		hooks = TAKE_PTR(next);
	}
	if (tool == AGENTCG_CLAUDE)
		r = edit_prefix(settings, prefix, &now, why);
	else
		now = sd_json_variant_ref(settings);
	if (r < 0)
		return r;
	if (!hooks && !old) {
		if (now)
			*ret = TAKE_PTR(now);
		else
			r = sd_json_variant_new_object(ret, NULL, 0);
		return r;
	}
	/* Our last event took the object with it, unless it was empty before. */
	if (!handler && old && sd_json_variant_elements(old) && !sd_json_variant_elements(hooks))
		return agentcg_json_put(now, "hooks", NULL, ret);
	return agentcg_json_put(now, "hooks", hooks, ret);
}

int agentcg_hook_add(sd_json_variant *settings, const struct agentcg_hook *hook, sd_json_variant **ret, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *handler = NULL;
	int r = build_handler(hook, &handler);

	return r < 0 ? r : edit(settings, hook->tool, handler, hook->prefix, ret, why);
}

int agentcg_hook_remove(sd_json_variant *settings, enum agentcg_tool tool, sd_json_variant **ret, char *why)
{
	return edit(settings, tool, NULL, NULL, ret, why);
}

/* ---- looking -------------------------------------------------------------- */

#define NOWHERE		SIZE_MAX

/* Where in @groups ours is. */
static bool find(sd_json_variant *groups, enum agentcg_tool tool, size_t *ret_group, size_t *ret_handler,
		 sd_json_variant **ret)
{
	size_t n = groups && sd_json_variant_is_array(groups) ? sd_json_variant_elements(groups) : 0;

	for (size_t g = 0; g < n; g++) {
		sd_json_variant *group = sd_json_variant_by_index(groups, g);
		sd_json_variant *handlers = sd_json_variant_is_object(group) ? sd_json_variant_by_key(group, "hooks") : NULL;
		size_t m = handlers && sd_json_variant_is_array(handlers) ? sd_json_variant_elements(handlers) : 0;

		for (size_t h = 0; h < m; h++) {
			*ret = sd_json_variant_by_index(handlers, h);
			*ret_group = g;
			*ret_handler = h;
			if (is_ours(*ret, tool))
				return true;
		}
	}
	*ret_group = *ret_handler = NOWHERE;
	return false;
}

static bool is_bool(sd_json_variant *object, const char *key, bool value)
{
	sd_json_variant *v = object ? sd_json_variant_by_key(object, key) : NULL;

	return v && sd_json_variant_is_boolean(v) && sd_json_variant_boolean(v) == value;
}

static bool has_word(sd_json_variant *object, const char *key, const char *word)
{
	sd_json_variant *list = object ? sd_json_variant_by_key(object, key) : NULL;

	for (size_t i = 0; list && sd_json_variant_is_array(list) && i < sd_json_variant_elements(list); i++) {
		sd_json_variant *v = sd_json_variant_by_index(list, i);

		if (sd_json_variant_is_string(v) && streq(sd_json_variant_string(v), word))
			return true;
	}
	return false;
}

static const char *disabled_by(sd_json_variant *settings, enum agentcg_tool tool)
{
	sd_json_variant *config = sd_json_variant_by_key(settings, "hooksConfig");

	if (tool == AGENTCG_CLAUDE && is_bool(settings, "disableAllHooks", true))
		return "disableAllHooks";
	if (tool != AGENTCG_GEMINI)
		return NULL;
	if (is_bool(config, "enabled", false))
		return "hooksConfig.enabled";
	if (has_word(config, "disabled", "agentcg") || has_word(sd_json_variant_by_key(settings, "hooks"), "disabled", "agentcg"))
		return "hooksConfig.disabled";
	return NULL;
}

void agentcg_hook_inspect(sd_json_variant *settings, enum agentcg_tool tool, struct agentcg_hook_state *ret)
{
	sd_json_variant *hooks, *env, *handler;

	*ret = (struct agentcg_hook_state){};
	if (!settings || !sd_json_variant_is_object(settings))
		settings = NULL;
	hooks = settings ? sd_json_variant_by_key(settings, "hooks") : NULL;
	env = settings ? sd_json_variant_by_key(settings, "env") : NULL;
	for (size_t i = 0; i < EVENTS_MAX && tools[tool].events[i]; i++) {
		sd_json_variant *groups = hooks && sd_json_variant_is_object(hooks) ?
					  sd_json_variant_by_key(hooks, tools[tool].events[i]) : NULL;

		ret->wanted++;
		if (!find(groups, tool, &ret->group[i], &ret->handler[i], &handler))
			continue;
		ret->found++;
		ret->program = agentcg_json_string(handler, "command");
	}
	if (tool == AGENTCG_CLAUDE && env && sd_json_variant_is_object(env))
		ret->prefix = agentcg_json_string(env, PREFIX_KEY);
	ret->prefix_is_ours = ret->prefix && is_our_prefix(ret->prefix);
	if (settings)
		ret->disabled = disabled_by(settings, tool);
}

/* The rest of the line of @text that begins with @key, within its TOML table. */
static const char *toml_value(const char *text, const char *key)
{
	const char *end = strstr(text, "\n[");

	for (const char *p = strchr(text, '\n'); p && p != end; p = strchr(p, '\n')) {
		const char *rest = startswith(++p, key);

		if (rest)
			rest += strspn(rest, " \t");
		if (rest && *rest == '=')
			return rest + 1 + strspn(rest + 1, " \t");
	}
	return NULL;
}

enum agentcg_trust agentcg_hook_trust(const char *config, const char *file, const struct agentcg_hook_state *state)
{
	/* As codex spells the events there. */
	static const char *const names[] = { "pre_tool_use", "post_tool_use" };
	enum agentcg_trust trust = AGENTCG_TRUSTED;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *key = NULL;
		const char *table, *enabled;

		if (asprintf(&key, "[hooks.state.\"%s:%s:%zu:%zu\"]", file, names[i], state->group[i], state->handler[i]) < 0)
			return AGENTCG_TRUST_WAITING;
		table = strstr(config, key);
		if (!table)
			return AGENTCG_TRUST_WAITING;
		enabled = toml_value(table, "enabled");
		if (enabled && startswith(enabled, "false"))
			return AGENTCG_TRUST_DISABLED;
		if (!toml_value(table, "trusted_hash"))
			trust = AGENTCG_TRUST_WAITING;
	}
	return trust;
}
