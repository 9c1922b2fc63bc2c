// SPDX-License-Identifier: GPL-2.0-only
#include "engine.h"
#include "tap.h"

/* @line: words divided by single spaces. */
static struct engine_guess guess(const char *line, const char *title)
{
	struct engine_guess g;
	char args[1024];
	size_t n = strlen(line) + 1;

	memcpy(args, line, n);
	for (size_t i = 0; i < n; i++)
		if (args[i] == ' ')
			args[i] = '\0';
	agentcg_engine_guess(args, n, title, &g);
	return g;
}

static void server(const char *line, enum engine_kind kind, const char *host, unsigned int port, bool metrics)
{
	struct engine_guess g = guess(line, "python3");

	if (!tap_ok(g.kind == kind && streq(g.host, host) && g.port == port && g.metrics == metrics && !g.helper, "%s", line))
		printf("# %s %s %u %d\n", agentcg_engine_names[g.kind], g.host, g.port, g.metrics);
}

static void helper(const char *line, const char *title, enum engine_kind kind)
{
	struct engine_guess g = guess(line, title);

	tap_ok(g.kind == kind && g.helper && g.port == 0 && !g.metrics, "helper: %s (%s)", line, title);
}

static void nothing(const char *line)
{
	struct engine_guess g = guess(line, "bash");

	tap_ok(g.kind == ENGINE_UNKNOWN && !g.helper && g.port == 0 && streq(g.metrics_path, "/metrics"), "none: %s", line);
}

static void servers(void)
{
	server("vllm serve m", ENGINE_VLLM, "127.0.0.1", 8000, true);
	server("/usr/bin/python3 /usr/local/bin/vllm serve m --port 9000 --host 10.0.0.2", ENGINE_VLLM, "10.0.0.2", 9000, true);
	server("python -u -m vllm.entrypoints.openai.api_server --model m --port=8001", ENGINE_VLLM, "127.0.0.1", 8001, true);
	server("python3.12 -m vllm.entrypoints.api_server", ENGINE_VLLM, "127.0.0.1", 8000, false);
	server("vllm serve m --config c.yaml", ENGINE_VLLM, "", 0, false);
	server("vllm serve m --config c.yaml --port 8005", ENGINE_VLLM, "127.0.0.1", 8005, true);
	server("vllm serve m --uds /run/vllm.sock", ENGINE_VLLM, "", 0, false);
	server("vllm serve m --host :: --port 1 --port 2", ENGINE_VLLM, "[::1]", 2, true);
	server("vllm serve m --host fe80::1", ENGINE_VLLM, "[fe80::1]", 8000, true);
	server("vllm serve m --host x@y/z", ENGINE_VLLM, "", 0, false);
	server("vllm serve m --port 99999", ENGINE_VLLM, "127.0.0.1", 0, false);
	server("vllm serve m --port", ENGINE_VLLM, "127.0.0.1", 0, false);
	server("vllm run-batch -i in -o out", ENGINE_VLLM, "", 0, false);
	server("python3 -m sglang.launch_server --model-path m", ENGINE_SGLANG, "127.0.0.1", 30000, false);
	server("sglang serve --model-path m --enable_metrics --host 0.0.0.0 --port 7", ENGINE_SGLANG, "127.0.0.1", 7, true);
	server("trtllm-serve m --tp_size 2", ENGINE_TRTLLM, "localhost", 8000, true);
	server("mpirun --allow-run-as-root -n 2 trtllm-serve serve m --port 8010", ENGINE_TRTLLM, "localhost", 8010, true);
	server("/bin/bash /usr/local/bin/trtllm-llmapi-launch trtllm-serve m --host 0.0.0.0", ENGINE_TRTLLM, "127.0.0.1", 8000, true);
	server("/opt/tritonserver/bin/tritonserver --model-repository=/m --http-port=8100", ENGINE_TRTLLM, "127.0.0.1", 8100, true);
	server("tritonserver --allow-metrics=false", ENGINE_TRTLLM, "127.0.0.1", 8000, false);
	server("llama-server -m m.gguf", ENGINE_LLAMA, "127.0.0.1", 8080, false);
	server("/opt/llama.cpp/build/bin/llama-server -m m.gguf -p text --metrics --port 8081", ENGINE_LLAMA, "127.0.0.1", 8081, true);
	server("/home/a/llama.cpp/server -m m.gguf --host 0.0.0.0", ENGINE_LLAMA, "127.0.0.1", 8080, false);
	server("llama-server --host /run/llama.sock", ENGINE_LLAMA, "", 0, false);
	server("numactl --membind=0 nice -n 5 llama-server --port 1234", ENGINE_LLAMA, "127.0.0.1", 1234, false);
	server("env A=b CUDA_VISIBLE_DEVICES=0 python3 -m sglang.launch_server --port 3", ENGINE_SGLANG, "127.0.0.1", 3, false);
}

#define with_environment(args, environment)							\
	({											\
		static const char _e[] = environment;						\
		char _words[256];								\
		struct engine_guess _g;								\
		size_t _n = (size_t)snprintf(_words, sizeof(_words), "%s", args) + 1;		\
												\
		for (char *c = _words; *c; c++)							\
			if (*c == ' ')								\
				*c = 0;								\
		agentcg_engine_guess_all(_words, _n, NULL, _e, sizeof(_e), &_g);		\
		_g;										\
	})

static void others(void)
{
	struct engine_guess g = guess("trtllm-serve m", NULL);

	tap_ok(streq(g.metrics_path, "/prometheus/metrics") && g.metrics_port == 8000, "TensorRT-LLM's /metrics is not Prometheus'");
	g = guess("tritonserver --http-port 1 --metrics-port 2", NULL);
	tap_ok(g.port == 1 && g.metrics_port == 2 && streq(g.metrics_path, "/metrics"), "Triton's metrics have a port of their own");
	g = guess("vllm serve m --ssl-keyfile k --ssl-certfile c", NULL);
	tap_ok(g.tls && g.port == 8000 && !guess("vllm serve m", NULL).tls, "HTTPS");

	g = with_environment("llama-server -m m", "A=b\0LLAMA_ARG_PORT=8123\0LLAMA_ARG_HOST=0.0.0.0\0LLAMA_ARG_ENDPOINT_METRICS=1");
	tap_ok(g.port == 8123 && streq(g.host, "127.0.0.1") && g.metrics && !g.tls, "what is in the environment alone");
	g = with_environment("llama-server --port 1", "LLAMA_ARG_PORT=8123\0LLAMA_ARG_ENDPOINT_METRICS=0\0LLAMA_ARG_SSL_KEY_FILE=/k");
	tap_ok(g.port == 1 && !g.metrics && g.tls, "... which the command overrides");
	g = with_environment("vllm serve m", "VLLM_PORT=1\0LLAMA_ARG_PORT=2\0XLLAMA_ARG_PORT=3");
	tap_ok(g.port == 8000, "... of another engine, or for its own use");
	g = with_environment("llama-server", "LLAMA_ARG_PORT=70000");
	tap_ok(!g.port, "... no port");
	g = with_environment("llama-server", "LLAMA_ARG_HOST=x@y/z");
	tap_ok(!g.port && g.kind == ENGINE_LLAMA, "... no host");

	helper("VLLM::EngineCore", "VLLM::EngineCor", ENGINE_VLLM);
	helper("VLLM::Worker_TP1", "VLLM::Worker_TP", ENGINE_VLLM);
	helper("python3 -c from", "VLLM::Worker_TP", ENGINE_VLLM);
	helper("ray::RayWorkerWrapper.execute_method", "ray::RayWorkerW", ENGINE_VLLM);
	helper("vllm serve m --headless --port 8000", "vllm", ENGINE_VLLM);
	helper("sglang::scheduler_TP0", "sglang::schedul", ENGINE_SGLANG);
	helper("sglang::detokenizer", "sglang::detoken", ENGINE_SGLANG);
	helper("/opt/tritonserver/backends/tensorrtllm/trtllmExecutorWorker --port 1", "trtllmExecutorW", ENGINE_TRTLLM);

	nothing("");
	nothing("bash");
	nothing("vllm");
	nothing("vllm chat --url http://localhost:8000");
	nothing("vllm bench serve --port 8000");
	nothing("grep -r vllm serve");
	nothing("vim llama-server");
	nothing("bash -c vllm serve m");
	nothing("python3 -c llama-server");
	nothing("python3 setup.py vllm serve");
	nothing("python3 -m pip install vllm serve");
	nothing("python3 -m");
	nothing("/srv/app/server --port 1");
	nothing("sglang");
	nothing("numactl --hardware");
}

/* Whatever a process calls itself. */
static bool any_text(void)
{
	static const char *const words[] = { "vllm", "serve", "--port", "--port=", "=", "-", "--", "python3", "-m", "mpirun", "llama-server", "",
					     "--host", "::", "99999999999999999999", "tritonserver", "--metrics-port", "sglang", "\xff" };
	struct engine_guess g;
	char args[256];
	size_t n = 0;

	for (int i = rand() % 12; i > 0; i--)
		n += sprintf(args + n, "%s", words[rand() % ARRAY_SIZE(words)]) + (size_t)(rand() % 8 != 0);
	agentcg_engine_guess(args, n, NULL, &g);
	return g.kind < AGENTCG_NR_ENGINES && g.port <= 65535 && strlen(g.host) < sizeof(g.host) && !(g.helper && g.port) &&
	       !(g.metrics && !g.metrics_port);
}

int main(void)
{
	char *many = malloc(20000);
	struct engine_guess g;
	int fine = 0;

	servers();
	others();

	tap_ok(agentcg_engine_feeds(ENGINE_VLLM, "VLLM::EngineCor") && agentcg_engine_feeds(ENGINE_VLLM, "VLLM::Worker_TP") &&
	       agentcg_engine_feeds(ENGINE_VLLM, "pt_main_thread") && !agentcg_engine_feeds(ENGINE_VLLM, "VLLM::APIServer") &&
	       !agentcg_engine_feeds(ENGINE_VLLM, "ZMQbg/IO/0") && !agentcg_engine_feeds(ENGINE_VLLM, "pt_nccl_watchdg"), "vLLM's threads");
	tap_ok(agentcg_engine_feeds(ENGINE_SGLANG, "sglang::schedul") && !agentcg_engine_feeds(ENGINE_SGLANG, "sglang::detoken") &&
	       agentcg_engine_feeds(ENGINE_LLAMA, "llama-server") && !agentcg_engine_feeds(ENGINE_LLAMA, "cuda-EvtHandlr") &&
	       !agentcg_engine_feeds(ENGINE_UNKNOWN, "llama-server") && !agentcg_engine_feeds(ENGINE_LLAMA, ""), "other engines'");

	memset(many, 0, 20000);
	memcpy(many, "llama-server", 13);
	agentcg_engine_guess(many, 20000, NULL, &g);
	tap_ok(g.kind == ENGINE_LLAMA && g.port == 8080, "more words than there is room for");
	memset(many, 'x', 20000);
	agentcg_engine_guess(many, 20000, "x", &g);
	tap_ok(g.kind == ENGINE_UNKNOWN, "one word without an end");
	free(many);
	srand(1);
	for (int i = 0; i < 100000; i++)
		fine += any_text();
	tap_ok(fine == 100000, "any words");
	return tap_done();
}
