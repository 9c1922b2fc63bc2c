// SPDX-License-Identifier: GPL-2.0-only
/*
 * shell.c finds the simple commands of a line.  Each is stripped of what only
 * wraps it (env, sudo, timeout), named, and the name that costs most is kept.
 */
#include "kind.h"

#include <ctype.h>

#include "shell.h"

#define DEPTH_MAX	3	/* bash -c in bash -c */

enum cost {
	COST_NONE = -1,
	COST_TRIVIAL,
	COST_LIGHT,
	COST_SOME,
	COST_UNKNOWN,		/* also interpreters */
	COST_INSTALL,
	COST_BUILD,
	COST_TEST,
};

struct best {
	char *kind;
	enum cost cost;
	unsigned int depth;	/* of the line that is being looked at */
};

static void consider(struct best *best, struct agentcg_words w);

/* ---- names ------------------------------------------------------------------ */

static const struct {
	const char *kind;	/* or its first word */
	enum cost cost;
} costs[] = {
	{ ".", COST_TRIVIAL }, { ":", COST_TRIVIAL }, { "[", COST_TRIVIAL },
	{ "[[", COST_TRIVIAL }, { "alias", COST_TRIVIAL }, { "break", COST_TRIVIAL },
	{ "case", COST_TRIVIAL }, { "cd", COST_TRIVIAL }, { "continue", COST_TRIVIAL },
	{ "deactivate", COST_TRIVIAL }, { "declare", COST_TRIVIAL }, { "done", COST_TRIVIAL },
	{ "echo", COST_TRIVIAL }, { "esac", COST_TRIVIAL }, { "exit", COST_TRIVIAL },
	{ "export", COST_TRIVIAL }, { "false", COST_TRIVIAL }, { "fi", COST_TRIVIAL },
	{ "for", COST_TRIVIAL }, { "function", COST_TRIVIAL }, { "hash", COST_TRIVIAL },
	{ "kill", COST_TRIVIAL }, { "local", COST_TRIVIAL }, { "popd", COST_TRIVIAL },
	{ "printf", COST_TRIVIAL }, { "pushd", COST_TRIVIAL }, { "pwd", COST_TRIVIAL },
	{ "read", COST_TRIVIAL }, { "return", COST_TRIVIAL }, { "select", COST_TRIVIAL },
	{ "set", COST_TRIVIAL }, { "shift", COST_TRIVIAL }, { "sleep", COST_TRIVIAL },
	{ "source", COST_TRIVIAL }, { "test", COST_TRIVIAL }, { "trap", COST_TRIVIAL },
	{ "true", COST_TRIVIAL }, { "type", COST_TRIVIAL }, { "ulimit", COST_TRIVIAL },
	{ "umask", COST_TRIVIAL }, { "unset", COST_TRIVIAL }, { "wait", COST_TRIVIAL },
	{ "}", COST_TRIVIAL },

	{ "awk", COST_LIGHT }, { "basename", COST_LIGHT }, { "cat", COST_LIGHT },
	{ "chmod", COST_LIGHT }, { "chown", COST_LIGHT }, { "cp", COST_LIGHT },
	{ "cut", COST_LIGHT }, { "date", COST_LIGHT }, { "df", COST_LIGHT },
	{ "diff", COST_LIGHT }, { "dirname", COST_LIGHT }, { "du", COST_LIGHT },
	{ "env", COST_LIGHT }, { "file", COST_LIGHT }, { "find", COST_LIGHT },
	{ "grep", COST_LIGHT }, { "head", COST_LIGHT }, { "id", COST_LIGHT },
	{ "less", COST_LIGHT }, { "ln", COST_LIGHT }, { "ls", COST_LIGHT },
	{ "mkdir", COST_LIGHT }, { "mv", COST_LIGHT }, { "ps", COST_LIGHT },
	{ "realpath", COST_LIGHT }, { "rm", COST_LIGHT }, { "sed", COST_LIGHT },
	{ "sort", COST_LIGHT }, { "stat", COST_LIGHT }, { "tail", COST_LIGHT },
	{ "tee", COST_LIGHT }, { "touch", COST_LIGHT }, { "tr", COST_LIGHT },
	{ "tree", COST_LIGHT }, { "uname", COST_LIGHT }, { "uniq", COST_LIGHT },
	{ "wc", COST_LIGHT }, { "which", COST_LIGHT }, { "whoami", COST_LIGHT },
	{ "xargs", COST_LIGHT },

	{ "git clone", COST_INSTALL }, { "git fetch", COST_INSTALL }, { "git gc", COST_INSTALL },
	{ "git pull", COST_INSTALL }, { "pip install", COST_INSTALL },
	{ "pip download", COST_INSTALL }, { "pip wheel", COST_INSTALL },
	{ "npm install", COST_INSTALL }, { "npm ci", COST_INSTALL },
	{ "yarn install", COST_INSTALL }, { "pnpm install", COST_INSTALL },
	{ "bun install", COST_INSTALL }, { "apt install", COST_INSTALL },
	{ "apt update", COST_INSTALL }, { "apt upgrade", COST_INSTALL },
	{ "conda install", COST_INSTALL }, { "conda create", COST_INSTALL },
	{ "poetry install", COST_INSTALL }, { "uv sync", COST_INSTALL },
	{ "bundle install", COST_INSTALL }, { "go get", COST_INSTALL },
	{ "docker pull", COST_INSTALL },

	{ "npm test", COST_TEST }, { "yarn test", COST_TEST }, { "pnpm test", COST_TEST },
	{ "bun test", COST_TEST }, { "cargo test", COST_TEST }, { "go test", COST_TEST },
	{ "mvn test", COST_TEST }, { "gradle test", COST_TEST }, { "dotnet test", COST_TEST },
	{ "python -m unittest", COST_TEST }, { "python manage.py test", COST_TEST },
	{ "pytest", COST_TEST }, { "tox", COST_TEST }, { "nox", COST_TEST },
	{ "ctest", COST_TEST }, { "jest", COST_TEST }, { "vitest", COST_TEST },

	{ "npm build", COST_BUILD }, { "yarn build", COST_BUILD }, { "pnpm build", COST_BUILD },
	{ "docker build", COST_BUILD }, { "python setup.py build", COST_BUILD },
	{ "bazel", COST_BUILD }, { "c++", COST_BUILD }, { "cargo", COST_BUILD },
	{ "cc", COST_BUILD }, { "clang", COST_BUILD }, { "clang++", COST_BUILD },
	{ "cmake", COST_BUILD }, { "configure", COST_BUILD }, { "g++", COST_BUILD },
	{ "gcc", COST_BUILD }, { "go", COST_BUILD }, { "gradle", COST_BUILD },
	{ "make", COST_BUILD }, { "mvn", COST_BUILD }, { "mypy", COST_BUILD },
	{ "ninja", COST_BUILD }, { "rustc", COST_BUILD }, { "tsc", COST_BUILD },

	{ "apt", COST_SOME }, { "curl", COST_SOME }, { "docker", COST_SOME },
	{ "git", COST_SOME }, { "npm", COST_SOME }, { "pip", COST_SOME },
	{ "tar", COST_SOME }, { "unzip", COST_SOME }, { "wget", COST_SOME },
};

/* The same program by another name. */
static const char *const aliases[][2] = {
	{ "apt-get", "apt" }, { "egrep", "grep" }, { "fgrep", "grep" }, { "gmake", "make" },
	{ "gradlew", "gradle" }, { "mamba", "conda" }, { "mvnw", "mvn" }, { "nodejs", "node" },
	{ "podman", "docker" }, { "py.test", "pytest" }, { "pypy", "python" },
};

/* What runs the command that follows its options. */
static const struct {
	const char *name, *second;
	const char *options;	/* letters of those whose argument is the next word */
	unsigned int words;	/* of its own before the command */
} wrappers[] = {
	{ "env", NULL, "uC", 0 }, { "nice", NULL, "n", 0 }, { "ionice", NULL, "cn", 0 },
	{ "nohup", NULL, "", 0 }, { "sudo", NULL, "ughpCDRT", 0 }, { "doas", NULL, "uC", 0 },
	{ "time", NULL, "fo", 0 }, { "timeout", NULL, "ks", 1 }, { "stdbuf", NULL, "ioe", 0 },
	{ "setsid", NULL, "", 0 }, { "chrt", NULL, "TPD", 1 }, { "taskset", NULL, "", 1 },
	{ "exec", NULL, "a", 0 }, { "command", NULL, "", 0 }, { "builtin", NULL, "", 0 },
	{ "xargs", NULL, "nIPLdasE", 0 }, { "watch", NULL, "n", 0 }, { "strace", NULL, "eopsu", 0 },
	{ "flock", NULL, "wE", 1 }, { "systemd-run", NULL, "pEut", 0 }, { "unbuffer", NULL, "", 0 },
	{ "npx", NULL, "p", 0 }, { "bunx", NULL, "", 0 }, { "uvx", NULL, "", 0 },
	{ "uv", "run", "p", 0 }, { "uv", "pip", NULL, 0 }, { "poetry", "run", "", 0 },
	{ "pipenv", "run", "", 0 }, { "pdm", "run", "", 0 }, { "hatch", "run", "", 0 },
	{ "rye", "run", "", 0 }, { "conda", "run", "np", 0 }, { "pnpm", "exec", "", 0 },
	{ "yarn", "exec", "", 0 }, { "npm", "exec", "", 0 }, { "bundle", "exec", "", 0 },
	{ "agentcg", "run", "", 0 },
};

/* Long options of theirs that are seen with the argument in a word of its own. */
static const char *const long_options[] = {
	"--signal", "--kill-after", "--unset", "--chdir", "--user", "--group", "--adjustment",
	"--max-args", "--max-procs", "--replace", "--delimiter", "--unit", "--property",
	"--session", "--memory", "--memory-max", "--priority", "--timeout", "--latency", "--deadline",
};

/* Whose first word that is no option is what they do. */
static const struct {
	const char *name;
	const char *options;	/* as above */
} tools[] = {
	{ "git", "Cc" }, { "npm", "C" }, { "yarn", "" }, { "pnpm", "C" }, { "bun", "" },
	{ "pip", "" }, { "cargo", "C" }, { "go", "C" }, { "docker", "H" }, { "kubectl", "n" },
	{ "apt", "oct" }, { "conda", "" }, { "poetry", "C" }, { "uv", "" }, { "dotnet", "" },
	{ "mvn", "fPpl" }, { "gradle", "bp" }, { "brew", "" }, { "gem", "" }, { "bundle", "" },
	{ "rustup", "" }, { "helm", "n" }, { "systemctl", "t" }, { "terraform", "" },
	{ "bazel", "" }, { "dvc", "" }, { "hg", "R" }, { "svn", "" },
};

static const char *const subcommand_aliases[][3] = {
	{ "npm", "i", "install" }, { "npm", "t", "test" }, { "pnpm", "i", "install" },
	{ "cargo", "b", "build" }, { "cargo", "t", "test" }, { "cargo", "c", "check" },
};

/* Modules that are commands as well, by the same name. */
static const char *const modules[] = {
	"black", "coverage", "flake8", "isort", "mypy", "nox", "pip", "pylint", "pytest", "ruff", "tox",
};

static const char *const shells[] = { "bash", "sh", "zsh", "dash", "ksh", "ash" };

static const char *const interpreters[] = {
	"node", "ruby", "perl", "php", "Rscript", "lua", "deno",
};

/* Words that may stand before a command and change nothing about it. */
static const char *const reserved[] = {
	"!", "{", "do", "elif", "else", "if", "then", "until", "while", "coproc",
};

static bool among(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(word, list[i]))
			return true;
	return false;
}

static void drop(struct agentcg_words *w, size_t n)
{
	n = n < w->n ? n : w->n;
	memmove(w->v, w->v + n, (w->n - n) * sizeof(*w->v));
	w->n -= n;
}

/* A name for people and for a database: no bytes that could be taken for more. */
static size_t append(char *kind, size_t at, const char *word)
{
	if (at && at + 1 < AGENTCG_KIND_MAX)
		kind[at++] = ' ';
	for (; *word && at + 1 < AGENTCG_KIND_MAX; word++)
		kind[at++] = *word > ' ' && *word < 0x7f ? *word : '?';
	kind[at] = 0;
	return at;
}

static enum cost cost_of(const char *kind)
{
	size_t first = strcspn(kind, " ");

	for (size_t i = 0; i < ARRAY_SIZE(costs); i++)
		if (streq(kind, costs[i].kind))
			return costs[i].cost;
	for (size_t i = 0; i < ARRAY_SIZE(costs); i++)
		if (strncmp(kind, costs[i].kind, first) == 0 && !costs[i].kind[first])
			return costs[i].cost;
	return COST_UNKNOWN;
}

static void offer(struct best *best, const char *a, const char *b, const char *c)
{
	char kind[AGENTCG_KIND_MAX];
	size_t n = append(kind, 0, a);
	enum cost cost;

	if (b)
		n = append(kind, n, b);
	if (c)
		append(kind, n, c);
	cost = cost_of(kind);
	if (cost <= best->cost)
		return;
	best->cost = cost;
	strcpy(best->kind, kind);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* The program's own name: no folder, no version, one of several spellings. */
static const char *program(const char *word)
{
	static const char *const versioned[] = { "python", "pip", "pypy" };
	const char *name = base_name(word), *rest;

	for (size_t i = 0; i < ARRAY_SIZE(versioned); i++) {
		rest = startswith(name, versioned[i]);
		if (rest && rest[strspn(rest, "0123456789.t-")] == 0)
			name = versioned[i];
	}
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if (streq(name, aliases[i][0]))
			name = aliases[i][1];
	return name;
}

/* ---- from words to a name --------------------------------------------------- */

/* The index of the first word from @i on that is no option or an option's argument. */
static size_t skip_options(const struct agentcg_words *w, size_t i, const char *options)
{
	for (; i < w->n && w->v[i][0] == '-' && w->v[i][1]; i++) {
		const char *word = w->v[i];

		if (streq(word, "--"))
			return i + 1;
		if (word[1] == '-')
			i += among(word, long_options, ARRAY_SIZE(long_options));
		else
			i += !!strchr(options, word[strlen(word) - 1]);
	}
	return i;
}

/* How many words the wrapper that @w begins with takes; 0: it is none. */
static size_t wrapper(const struct agentcg_words *w)
{
	const char *name = program(w->v[0]);

	for (size_t i = 0; i < ARRAY_SIZE(wrappers); i++) {
		size_t n = 1;

		if (!streq(name, wrappers[i].name))
			continue;
		if (wrappers[i].second) {
			if (w->n < 2 || !streq(w->v[1], wrappers[i].second))
				continue;
			n = wrappers[i].options ? 2 : 1;
		}
		if (wrappers[i].options)
			n = skip_options(w, n, wrappers[i].options);
		return n + wrappers[i].words;
	}
	return 0;
}

static void consider_words(void *data, const struct agentcg_words *w)
{
	consider(data, *w);
}

static void consider_line(struct best *best, const char *line)
{
	best->depth++;
	agentcg_shell_scan(line, strlen(line), consider_words, best);
	best->depth--;
}

/* True if @w was a shell's and has been dealt with. */
static bool consider_shell(struct best *best, const struct agentcg_words *w, const char *name)
{
	bool line = false;
	size_t i = 1;

	if (streq(name, "eval") && w->n > 1 && best->depth < DEPTH_MAX) {
		consider_line(best, w->v[1]);
		return true;
	}
	if (!among(name, shells, ARRAY_SIZE(shells)))
		return false;
	for (; i < w->n && (w->v[i][0] == '-' || w->v[i][0] == '+') && w->v[i][1]; i++) {
		if (w->v[i][1] == '-')
			continue;
		line |= !!strchr(w->v[i], 'c');
		i += w->v[i][strlen(w->v[i]) - 1] == 'o' || w->v[i][strlen(w->v[i]) - 1] == 'O';
	}
	if (i >= w->n)
		offer(best, name, w->fed ? "-" : NULL, NULL);
	else if (!line)
		offer(best, name, base_name(w->v[i]), NULL);
	else if (best->depth < DEPTH_MAX)
		consider_line(best, w->v[i]);
	else
		offer(best, name, "-c", NULL);
	return true;
}

static void consider_module(struct best *best, struct agentcg_words w, size_t at,
			    const char *module)
{
	if (among(module, modules, ARRAY_SIZE(modules))) {
		drop(&w, at);
		w.v[0] = module;
		consider(best, w);
	} else {
		offer(best, "python", "-m", module);
	}
}

/* From w[1] on: options and what python runs. */
static void consider_python(struct best *best, const struct agentcg_words *w)
{
	const char *script, *o;
	size_t i;

	for (i = 1; i < w->n && w->v[i][0] == '-' && w->v[i][1]; i++) {
		o = w->v[i] + 1;
		if (*o == '-')
			continue;
		o += strcspn(o, "mcWX");
		if (*o == 'c') {
			offer(best, "python", "-c", NULL);
			return;
		}
		if (*o == 'm' && (o[1] || i + 1 < w->n)) {
			i += !o[1];
			consider_module(best, *w, i, o[1] ? o + 1 : w->v[i]);
			return;
		}
		i += *o && !o[1];	/* -W and -X may have their argument apart */
	}
	if (i >= w->n || streq(w->v[i], "-")) {
		offer(best, "python", w->fed || i < w->n ? "-" : NULL, NULL);
		return;
	}
	script = base_name(w->v[i]);
	i++;
	if (!streq(script, "manage.py") && !streq(script, "setup.py"))
		i = w->n;
	offer(best, "python", script, i < w->n && w->v[i][0] != '-' ? w->v[i] : NULL);
}

static void consider_interpreter(struct best *best, const struct agentcg_words *w, const char *name)
{
	size_t i;

	for (i = 1; i < w->n && w->v[i][0] == '-' && w->v[i][1]; i++) {
		if (w->v[i][1] != '-' && strpbrk(w->v[i], "eE")) {
			offer(best, name, "-e", NULL);
			return;
		}
	}
	if (i < w->n)
		offer(best, name, base_name(w->v[i]), NULL);
	else
		offer(best, name, w->fed ? "-" : NULL, NULL);
}

/* Not a file name, a variable, or anything else that changes from call to call. */
static bool is_plain(const char *word)
{
	const char *p = word;

	while (isalnum((unsigned char)*p) || (*p && strchr("-_:.", *p)))
		p++;
	return p > word && !*p;
}

static const char *subcommand(const struct agentcg_words *w, const char *name, const char *options)
{
	size_t i = skip_options(w, 1, options);
	const char *sub;

	if (i < w->n && w->v[i][0] == '+')	/* cargo +nightly */
		i++;
	/* npm run test is npm test */
	if (i + 1 < w->n && (streq(w->v[i], "run") || streq(w->v[i], "run-script")) &&
	    (strstr(name, "npm") || streq(name, "yarn") || streq(name, "bun")))
		i = skip_options(w, i + 1, "");
	if (i >= w->n)
		return NULL;
	sub = w->v[i];
	for (size_t j = 0; j < ARRAY_SIZE(subcommand_aliases); j++)
		if (streq(name, subcommand_aliases[j][0]) && streq(sub, subcommand_aliases[j][1]))
			sub = subcommand_aliases[j][2];
	return is_plain(sub) ? sub : NULL;
}

static void consider(struct best *best, struct agentcg_words w)
{
	const char *name;
	size_t n;

	for (;;) {
		while (w.n && (!w.v[0][0] || among(w.v[0], reserved, ARRAY_SIZE(reserved)) ||
			       agentcg_shell_is_assignment(w.v[0])))
			drop(&w, 1);
		if (!w.n)
			return;
		n = wrapper(&w);
		if (!n || n >= w.n)
			break;
		drop(&w, n);
	}
	name = program(w.v[0]);
	if (streq(name, "coverage") && w.n > 2 && streq(w.v[1], "run")) {
		drop(&w, 1);
		name = "python";
	}
	if (consider_shell(best, &w, name))
		return;
	if (streq(name, "python")) {
		consider_python(best, &w);
		return;
	}
	if (among(name, interpreters, ARRAY_SIZE(interpreters))) {
		consider_interpreter(best, &w, name);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		if (!streq(name, tools[i].name))
			continue;
		offer(best, name, subcommand(&w, name, tools[i].options), NULL);
		return;
	}
	offer(best, name, NULL, NULL);
}

/* ---- */

const char *agentcg_kind_of_words(char buf[AGENTCG_KIND_MAX], const char *const *words, size_t n)
{
	struct best best = { .kind = buf, .cost = COST_NONE };
	struct agentcg_words w = {};

	/* env A=1 B=2 ...: assignments must not use the room up. */
	for (size_t i = 0; i < n && w.n < AGENTCG_WORDS_MAX; i++)
		if (!agentcg_shell_is_assignment(words[i]))
			w.v[w.n++] = words[i];
	strcpy(buf, AGENTCG_KIND_UNKNOWN);
	consider(&best, w);
	return buf;
}

const char *agentcg_kind_of_line(char buf[AGENTCG_KIND_MAX], const char *line, size_t len)
{
	struct best best = { .kind = buf, .cost = COST_NONE };

	strcpy(buf, AGENTCG_KIND_UNKNOWN);
	agentcg_shell_scan(line, len, consider_words, &best);
	return buf;
}

const char *agentcg_kind_family(char buf[AGENTCG_KIND_MAX], const char *kind)
{
	snprintf(buf, AGENTCG_KIND_MAX, "%.*s", (int)strcspn(kind, " "), kind);
	return buf;
}
