// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of engines, and from where:
 *
 * vLLM: `vllm serve MODEL`, `python -m vllm.entrypoints.openai.api_server`; port 8000 on all addresses; /metrics is always
 *	there.  Its processes are titled VLLM::APIServer_N, VLLM::EngineCore[_DPn], VLLM::Worker_TPn... (set_process_title() in
 *	vllm/utils/system_utils.py, its callers in vllm/v1/engine/core.py, vllm/entrypoints/cli/serve.py and
 *	vllm/v1/worker/utils.py; docs/design/arch_overview.md).
 * SGLang: `python -m sglang.launch_server`, `sglang serve`; port 30000 on 127.0.0.1 (python/sglang/srt/server_args.py);
 *	/metrics only with --enable-metrics.  Titles: sglang::scheduler_TPn, sglang::detokenizer, sglang::tokenizer_worker:PID
 *	and others (setproctitle() in python/sglang/srt/managers/).
 * TensorRT-LLM: `trtllm-serve [serve] MODEL`, port 8000 on localhost, whose /metrics is JSON and whose /prometheus/metrics is
 *	Prometheus' text (its documentation, commands/trtllm-serve and examples/prometheus_metrics); started by mpirun or
 *	trtllm-llmapi-launch on several GPUs.  In Triton: `tritonserver`, HTTP at 8000 and metrics at 8002 (--http-port,
 *	--metrics-port), with trtllmExecutorWorker and triton_python_backend_stub as helpers.
 * llama-server: port 8080 on 127.0.0.1; /metrics only with --metrics (tools/server/README.md of llama.cpp).  It was called
 *	`server` before, in a folder llama.cpp.
 *
 * Of llama-server's options LLAMA_ARG_PORT and its like in the environment are defaults (the same README).  The others have none for their
 * server: VLLM_PORT and SGLANG_PORT are for their own processes (vLLM's documentation, "Environment Variables").
 *
 * Titles are set by setproctitle, which overwrites the arguments and, cut to 15 characters, comm; threads that begin
 * later inherit comm, and PyTorch calls its main thread pt_main_thread.
 */
#include "engine.h"

#define ARGS_MAX	512

const char *const agentcg_engine_names[AGENTCG_NR_ENGINES] = {
	[ENGINE_UNKNOWN] = "unknown",
	[ENGINE_VLLM] = "vllm",
	[ENGINE_SGLANG] = "sglang",
	[ENGINE_TRTLLM] = "trtllm",
	[ENGINE_LLAMA] = "llama-server",
};

struct args {
	const char *list[ARGS_MAX];	/* copies of what may lack its NUL */
	size_t nr;
	size_t options;			/* where those of the engine begin */
	enum engine_kind kind;
	const char *environment;	/* "NAME=value", each with its NUL */
	size_t environment_size;
};

struct entry {
	const char *program;		/* what is executed, without its folder; or the module after "-m" */
	const char *verb;		/* its first argument; NULL: any */
	enum engine_kind kind;
	unsigned int port;
	const char *host;
	bool helper;
	const char *metrics;		/* option that it takes; "": none */
	const char *config;		/* option that names a file in which the port may be */
};

static const struct entry entries[] = {
	{ "vllm", "serve", ENGINE_VLLM, 8000, "0.0.0.0", .metrics = "", .config = "--config" },
	{ "vllm", "run-batch", ENGINE_VLLM, .port = 0 },
	{ "vllm.entrypoints.openai.api_server", NULL, ENGINE_VLLM, 8000, "0.0.0.0", .metrics = "", .config = "--config" },
	{ "vllm.entrypoints.cli.main", "serve", ENGINE_VLLM, 8000, "0.0.0.0", .metrics = "", .config = "--config" },
	{ "vllm.entrypoints.api_server", NULL, ENGINE_VLLM, 8000, "0.0.0.0", .metrics = NULL },
	{ "sglang.launch_server", NULL, ENGINE_SGLANG, 30000, "127.0.0.1", .metrics = "--enable-metrics", .config = "--config" },
	{ "sglang", "serve", ENGINE_SGLANG, 30000, "127.0.0.1", .metrics = "--enable-metrics", .config = "--config" },
	{ "trtllm-serve", NULL, ENGINE_TRTLLM, 8000, "localhost", .metrics = "" },
	{ "tensorrt_llm.commands.serve", NULL, ENGINE_TRTLLM, 8000, "localhost", .metrics = "" },
	{ "tritonserver", NULL, ENGINE_TRTLLM, 8000, "0.0.0.0", .metrics = "" },
	{ "trtllmExecutorWorker", NULL, ENGINE_TRTLLM, .helper = true },
	{ "triton_python_backend_stub", NULL, ENGINE_TRTLLM, .helper = true },
	{ "llama-server", NULL, ENGINE_LLAMA, 8080, "127.0.0.1", .metrics = "--metrics" },
};

/* Titles that setproctitle gives, with the beginning that is left of them in comm. */
static const struct {
	const char *prefix;
	enum engine_kind kind;
} titles[] = {
	{ "VLLM::", ENGINE_VLLM },
	{ "ray::RayWorker", ENGINE_VLLM },
	{ "sglang::", ENGINE_SGLANG },
};

/* What may stand before an engine's command. */
static const char *const launchers[] = {
	"mpirun", "mpiexec", "orterun", "trtllm-llmapi-launch", "numactl", "taskset", "env", "nice", "chrt", "nohup", "setsid",
	"stdbuf", "uv", "tini",
};

/* What stands for an option that is not there. */
static const struct {
	enum engine_kind kind;
	const char *option, *variable;
	bool flag;			/* has no value; it counts if the variable says yes */
} variables[] = {
	{ ENGINE_LLAMA, "--port", "LLAMA_ARG_PORT=", false },
	{ ENGINE_LLAMA, "--host", "LLAMA_ARG_HOST=", false },
	{ ENGINE_LLAMA, "--ssl-key-file", "LLAMA_ARG_SSL_KEY_FILE=", false },
	{ ENGINE_LLAMA, "--metrics", "LLAMA_ARG_ENDPOINT_METRICS=", true },
};

static const char *basename_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_interpreter(const char *name)
{
	return startswith(name, "python") || streq(name, "bash") || streq(name, "sh") || streq(name, "dash");
}

static bool is_launcher(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(launchers); i++)
		if (streq(name, launchers[i]))
			return true;
	return false;
}

static const struct entry *find_entry(const struct args *a, size_t at)
{
	const char *name = basename_of(a->list[at]), *verb = at + 1 < a->nr ? a->list[at + 1] : "";

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
		if (streq(name, entries[i].program) && (!entries[i].verb || streq(verb, entries[i].verb)))
			return &entries[i];
	/* What llama-server was called in its own folder. */
	if (streq(name, "server") && strstr(a->list[at], "llama.cpp/"))
		return &entries[ARRAY_SIZE(entries) - 1];
	return NULL;
}

/*
 * The engine's own command: the first word, the script or module of an interpreter, or what comes after a launcher and
 * its options.  Not any word: `grep vllm` is no engine.
 */
static const struct entry *find_command(struct args *a)
{
	size_t at = 0;

	while (at < a->nr) {
		const char *name = basename_of(a->list[at]);
		const struct entry *e = find_entry(a, at);

		if (e) {
			a->options = at + 1;
			return e;
		}
		if (is_interpreter(name)) {
			/* Its options come before the script; "-c" has a program of its own. */
			for (at++; at < a->nr && a->list[at][0] == '-' && !streq(a->list[at], "-m"); at++)
				if (streq(a->list[at], "-c"))
					return NULL;
			at += at < a->nr && streq(a->list[at], "-m");
			if (at < a->nr && !find_entry(a, at) && !is_launcher(basename_of(a->list[at])))
				return NULL;
		} else if (is_launcher(name)) {
			/* Options of unknown launchers' take values; so the next word that is known is taken. */
			for (at++; at < a->nr; at++)
				if (find_entry(a, at) || is_launcher(basename_of(a->list[at])) || is_interpreter(basename_of(a->list[at])))
					break;
		} else {
			return NULL;
		}
	}
	return NULL;
}

/* Options are written with - or _ (vLLM and SGLang take both). */
static const char *after_name(const char *arg, const char *name)
{
	for (; *name; arg++, name++)
		if (*arg != *name && !(*arg == '_' && *name == '-'))
			return NULL;
	return arg;
}

static bool is_yes(const char *value)
{
	return streq(value, "1") || streq(value, "on") || streq(value, "true") || streq(value, "enabled");
}

/* The environment's first of a name is the one that getenv() finds. */
static const char *variable(const struct args *a, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
		if (variables[i].kind != a->kind || !streq(variables[i].option, name))
			continue;
		for (size_t at = 0; at < a->environment_size; at += strlen(a->environment + at) + 1) {
			const char *value = startswith(a->environment + at, variables[i].variable);

			if (value)
				return !variables[i].flag || is_yes(value) ? value : NULL;
		}
	}
	return NULL;
}

/* The last one counts, and then what the environment says.  "": it has no value; NULL: it is not there. */
static const char *option(const struct args *a, const char *name)
{
	const char *found = NULL;

	for (size_t i = a->options; i < a->nr; i++) {
		const char *rest = startswith(a->list[i], "--") ? after_name(a->list[i], name) : NULL;

		if (rest && *rest == '=')
			found = rest + 1;
		else if (rest && !*rest)
			found = i + 1 < a->nr && a->list[i + 1][0] != '-' ? a->list[i + 1] : "";
	}
	return found ?: variable(a, name);
}

static unsigned int port_of(const char *text)
{
	unsigned long port;
	char *end;

	port = strtoul(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && port <= 65535 ? (unsigned int)port : 0;
}

/* An address or a name, nothing that would mean something else in a URL; false: it is none (a socket's path). */
static bool set_host(struct engine_guess *g, const char *host)
{
	size_t n = strspn(host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:-");

	if (!n || host[n] || n > sizeof(g->host) - 3)
		return false;
	if (streq(host, "0.0.0.0"))
		host = "127.0.0.1";
	else if (streq(host, "::"))
		host = "::1";
	snprintf(g->host, sizeof(g->host), strchr(host, ':') ? "[%.61s]" : "%.61s", host);
	return true;
}

static void set_metrics(struct engine_guess *g, const struct args *a, const struct entry *e, bool triton)
{
	const char *value;

	g->metrics_port = g->port;
	g->metrics = g->port && e->metrics && (!*e->metrics || option(a, e->metrics));
	if (!triton) {
		if (e->kind == ENGINE_TRTLLM)
			g->metrics_path = "/prometheus/metrics";
		return;
	}
	value = option(a, "--metrics-port");
	g->metrics_port = value ? port_of(value) : 8002;
	value = option(a, "--allow-metrics");
	if (!g->metrics_port || (value && (streq(value, "false") || streq(value, "0"))))
		g->metrics = false;
}

static void set_server(struct engine_guess *g, const struct args *a, const struct entry *e)
{
	bool triton = streq(e->program, "tritonserver");
	const char *port = option(a, triton ? "--http-port" : "--port"), *host = option(a, triton ? "--http-address" : "--host");

	if (option(a, "--headless")) {		/* vLLM's, on the second node and others */
		g->helper = true;
		return;
	}
	if (option(a, "--uds") || (e->config && option(a, e->config) && !port) || !set_host(g, host ?: e->host))
		return;
	g->port = port ? port_of(port) : e->port;
	g->tls = option(a, "--ssl-keyfile") || option(a, "--ssl-key-file");
	set_metrics(g, a, e, triton);
}

static void split(struct args *a, char *text, size_t size)
{
	for (size_t i = 0; i < size && a->nr < ARGS_MAX; i += strlen(text + i) + 1)
		a->list[a->nr++] = text + i;
}

void agentcg_engine_guess(const char *args, size_t size, const char *title, struct engine_guess *ret)
{
	agentcg_engine_guess_all(args, size, title, "", 0, ret);
}

void agentcg_engine_guess_all(const char *args, size_t size, const char *title, const char *environment, size_t environment_size,
			      struct engine_guess *ret)
{
	_cleanup_free_ char *text = malloc(size + 1 + environment_size + 1);
	struct args a = {};
	const struct entry *e;

	*ret = (struct engine_guess){ .metrics_path = "/metrics" };
	if (!text)
		return;
	memcpy(text, args, size);
	text[size] = '\0';
	memcpy(text + size + 1, environment, environment_size);
	text[size + 1 + environment_size] = '\0';
	a.environment = text + size + 1;
	a.environment_size = environment_size;
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		if (startswith(text, titles[i].prefix) || (title && startswith(title, titles[i].prefix))) {
			ret->kind = titles[i].kind;
			ret->helper = true;
			return;
		}
	split(&a, text, size);
	e = find_command(&a);
	if (!e)
		return;
	a.kind = e->kind;
	ret->kind = e->kind;
	ret->helper = e->helper;
	if (e->port)
		set_server(ret, &a, e);
}

bool agentcg_engine_feeds(enum engine_kind kind, const char *thread)
{
	/* Beginnings of what comm has room for. */
	static const char *const feeding[AGENTCG_NR_ENGINES][5] = {
		[ENGINE_VLLM] = { "VLLM::EngineCor", "VLLM::Worker", "ray::RayWorker", "pt_main_thread" },
		[ENGINE_SGLANG] = { "sglang::schedul", "sglang::gpu_wor", "sglang::semi_pd", "pt_main_thread" },
		[ENGINE_TRTLLM] = { "trtllm-serve", "trtllmExecutorW", "tritonserver", "pt_main_thread" },
		[ENGINE_LLAMA] = { "llama-server" },
	};

	if (kind <= ENGINE_UNKNOWN || kind >= AGENTCG_NR_ENGINES)
		return false;
	for (int i = 0; feeding[kind][i]; i++)
		if (startswith(thread, feeding[kind][i]))
			return true;
	return false;
}
