// SPDX-License-Identifier: GPL-2.0-only
#include "hook-install.h"

#include <limits.h>
#include <stdarg.h>

#include "cli.h"
#include "settings.h"

/* ---- where ----------------------------------------------------------------- */

static const struct {
	const char *system;
	const char *variable;	/* moves the folder of the user's */
	const char *folder;	/* below the home folder, where it is not moved */
	const char *file;	/* below either */
} places[AGENTCG_TOOLS] = {
	[AGENTCG_CLAUDE] = { "/etc/claude-code/managed-settings.json", "CLAUDE_CONFIG_DIR", ".claude/", "settings.json" },
	[AGENTCG_CODEX] = { "/etc/codex/hooks.json", "CODEX_HOME", ".codex/", "hooks.json" },
	/* Its variable is in place of the home folder. */
	[AGENTCG_GEMINI] = { "/etc/gemini-cli/settings.json", "GEMINI_CLI_HOME", "", ".gemini/settings.json" },
};

/* To be freed; NULL: it is said why not. */
static char *find_file(enum agentcg_tool tool, bool system)
{
	const char *moved = getenv(places[tool].variable), *home = getenv("HOME");
	char *path = NULL;
	int r;

	if (system)
		return strdup(places[tool].system);
	if (moved && *moved) {
		r = asprintf(&path, "%s/%s", moved, places[tool].file);
	} else if (home && *home) {
		r = asprintf(&path, "%s/%s%s", home, places[tool].folder, places[tool].file);
	} else {
		agentcg_say("HOME is not set: which user's settings?");
		return NULL;
	}
	return r < 0 ? NULL : path;
}

/* Settings are read by shells, too: no quoting there. */
static bool is_plain(const char *path)
{
	return *path == '/' && !path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+@-")];
}

/* This program, and the link that make install makes beside it. */
static int find_programs(enum agentcg_tool tool, char program[PATH_MAX], char prefix[PATH_MAX + 32])
{
	ssize_t n = readlink("/proc/self/exe", program, PATH_MAX - 1);
	const char suffix[] = "/bin/agentcg";
	const char *bin;

	if (n < 0) {
		agentcg_say("cannot find out where this program is: %m");
		return EXIT_FAILURE;
	}
	program[n] = 0;
	bin = program + (strlen(program) < strlen(suffix) ? 0 : strlen(program) - strlen(suffix));
	if (!streq(bin, suffix)) {
		agentcg_say("this is %s, not an agentcg that was installed; see make install", program);
		return EXIT_FAILURE;
	}
	if (!is_plain(program)) {
		agentcg_say("%s has characters in its path that a shell would take otherwise; install it elsewhere", program);
		return EXIT_FAILURE;
	}
	snprintf(prefix, PATH_MAX + 32, "%.*s/libexec/agentcg/shell-prefix", (int)(bin - program), program);
	/* Claude Code could run no command at all with a prefix that is not there. */
	if (tool == AGENTCG_CLAUDE && access(prefix, X_OK) < 0) {
		agentcg_say("%s: %m; make install makes it", prefix);
		return EXIT_FAILURE;
	}
	return 0;
}

/* ---- install, uninstall ----------------------------------------------------- */

static void hint(enum agentcg_tool tool, bool system)
{
	if (tool == AGENTCG_CODEX && !system)
		puts("codex: waits for your review: start codex once and accept the two hooks (/hooks shows them)");
	else
		printf("%s: sessions that run already do not notice; start them anew\n", agentcg_tool_name(tool));
}

static int edit(enum agentcg_tool tool, bool system, const struct agentcg_hook *hook)
{
	_cleanup_(agentcg_settings_done) struct agentcg_settings settings = {};
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *value = NULL;
	_cleanup_free_ char *path = find_file(tool, system);
	char why[AGENTCG_WHY_MAX] = "";
	int r;

	if (!path)
		return EXIT_FAILURE;
	r = agentcg_settings_read(path, &settings, why);
	if (r >= 0)
		r = hook ? agentcg_hook_add(settings.value, hook, &value, why) :
			   agentcg_hook_remove(settings.value, tool, &value, why);
	if (r == -EEXIST || (r == -EINVAL && *why)) {
		agentcg_say("%s: %s", path, why);
		return EXIT_FAILURE;
	}
	if (r >= 0)
		r = agentcg_settings_write(&settings, value, why);
	if (r < 0) {
		agentcg_say("%s", *why ? why : strerror(-r));
		return EXIT_FAILURE;
	}
	if (hook)
		printf("%s: %s %s\n", agentcg_tool_name(tool), r ? "installed in" : "was installed already in", path);
	else
		printf("%s: %s %s\n", agentcg_tool_name(tool), r ? "removed from" : "nothing of ours was in", path);
	if (r)
		hint(tool, system || !hook);
	return 0;
}

int agentcg_hook_install(enum agentcg_tool tool, bool system)
{
	char program[PATH_MAX], prefix[PATH_MAX + 32];
	const struct agentcg_hook hook = { tool, program, prefix };
	int r = find_programs(tool, program, prefix);

	return r ?: edit(tool, system, &hook);
}

int agentcg_hook_uninstall(enum agentcg_tool tool, bool system)
{
	return edit(tool, system, NULL);
}

/* ---- status ----------------------------------------------------------------- */

struct findings {
	const char *tool;
	bool healthy;
};

_printf_(2, 3) static void tell(struct findings *f, const char *fmt, ...)
{
	va_list ap;

	f->healthy = false;
	printf("%s: ", f->tool);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* The program in a hook's command, which may be a line for a shell. */
static void check_program(struct findings *f, const char *command)
{
	const char *end = strstr(command, "/agentcg"), *start = end;
	char program[PATH_MAX];

	while (start && start > command && start[-1] != ' ')
		start--;
	if (!start)
		return;
	snprintf(program, sizeof(program), "%.*s", (int)(end - start + strlen("/agentcg")), start);
	if (access(program, X_OK) < 0)
		tell(f, "the hooks call %s: %m; install them again", program);
}

static void check_prefix(struct findings *f, const struct agentcg_hook_state *state)
{
	if (!state->prefix)
		tell(f, "CLAUDE_CODE_SHELL_PREFIX is not set: its calls are not placed; install again");
	else if (!state->prefix_is_ours)
		tell(f, "CLAUDE_CODE_SHELL_PREFIX is another program: %s; its calls are not placed", state->prefix);
	else if (access(state->prefix, X_OK) < 0)
		tell(f, "%s: %m, so no command of claude works: agentcg hook uninstall claude, or make install", state->prefix);
}

/* codex keeps what the user accepted in another file; not to be read, nothing is said. */
static void check_trust(struct findings *f, const char *path, const struct agentcg_hook_state *state)
{
	_cleanup_free_ char *config = NULL, *text = NULL;
	size_t size = 0;
	FILE *file;

	if (asprintf(&config, "%.*sconfig.toml", (int)(strlen(path) - strlen("hooks.json")), path) < 0)
		return;
	file = fopen(config, "re");
	if (!file && errno != ENOENT)
		return;
	if (file && getdelim(&text, &size, 0, file) < 0 && text)
		text[0] = 0;	/* an empty one */
	if (file)
		fclose(file);
	if (text && (strstr(text, "\nhooks = false") || strstr(text, "\nhooks=false")))
		tell(f, "hooks are switched off in %s", config);
	switch (agentcg_hook_trust(text ?: "", path, state)) {
	case AGENTCG_TRUST_WAITING:
		tell(f, "waits for your review: start codex once and accept the two hooks (/hooks shows them)");
		break;
	case AGENTCG_TRUST_DISABLED:
		tell(f, "you have disabled its hooks (/hooks shows them)");
		break;
	default:
		break;
	}
}

/* false: it is not installed there. */
static bool look(enum agentcg_tool tool, bool system, struct findings *f)
{
	_cleanup_(agentcg_settings_done) struct agentcg_settings settings = {};
	_cleanup_free_ char *path = find_file(tool, system);
	struct agentcg_hook_state state;
	char why[AGENTCG_WHY_MAX];

	if (!path)
		return false;
	if (agentcg_settings_read(path, &settings, why) < 0) {
		tell(f, "%s", why);
		return false;
	}
	agentcg_hook_inspect(settings.value, tool, &state);
	if (!state.found && !state.prefix_is_ours)
		return false;
	printf("%s: installed in %s\n", f->tool, path);
	if (state.found < state.wanted)
		tell(f, "only %zu of its %zu hooks are there; install again", state.found, state.wanted);
	if (state.disabled)
		tell(f, "hooks are switched off there: %s", state.disabled);
	if (state.program)
		check_program(f, state.program);
	if (tool == AGENTCG_CLAUDE)
		check_prefix(f, &state);
	if (tool == AGENTCG_CODEX && !system && state.found == state.wanted)
		check_trust(f, path, &state);
	return true;
}

bool agentcg_hook_tell(enum agentcg_tool tool)
{
	struct findings f = { agentcg_tool_name(tool), true };
	bool own = look(tool, false, &f), all = look(tool, true, &f);

	if (!own && !all)
		tell(&f, "not installed");
	return f.healthy;
}
