// SPDX-License-Identifier: GPL-2.0-only
#include "metrics.h"

#include <math.h>

#include "tap.h"

static const char llama[] =
	"# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.\n"
	"# TYPE llamacpp:prompt_tokens_total counter\n"
	"llamacpp:prompt_tokens_total 410\n"
	"llamacpp:tokens_predicted_total 1000\n"
	"llamacpp:tokens_predicted_seconds_total 12.5\n"
	"llamacpp:predicted_tokens_seconds 80\n"
	"# TYPE llamacpp:requests_processing gauge\n"
	"llamacpp:requests_processing 2\n"
	"llamacpp:requests_deferred 3\n";

static const char vllm[] =
	"# TYPE vllm:num_requests_running gauge\n"
	"vllm:num_requests_running{engine=\"0\",model_name=\"a/b\"} 5.0\n"
	"vllm:num_requests_running{engine=\"1\",model_name=\"odd \\\"} 9\\\" name\"} 2.0\n"
	"vllm:num_requests_waiting{engine=\"0\",model_name=\"a/b\"} 1.0\n"
	"vllm:generation_tokens_total{engine=\"0\",model_name=\"a/b\"} 7.5e+03\n"
	"# TYPE vllm:time_to_first_token_seconds histogram\n"
	"vllm:time_to_first_token_seconds_bucket{engine=\"0\",le=\"0.001\",model_name=\"a/b\"} 0.0\n"
	"vllm:time_to_first_token_seconds_bucket{engine=\"0\",le=\"+Inf\",model_name=\"a/b\"} 40.0\n"
	"vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"a/b\"} 40.0\n"
	"vllm:time_to_first_token_seconds_sum{engine=\"0\",model_name=\"a/b\"} 8.0\n"
	"vllm:inter_token_latency_seconds_count{engine=\"0\",model_name=\"a/b\"} 7000.0\n"
	"vllm:inter_token_latency_seconds_sum{engine=\"0\",model_name=\"a/b\"} 140.0\n"
	"vllm:inter_token_latency_seconds_created{engine=\"0\",model_name=\"a/b\"} 1.76e+09\n";

static const char sglang[] =
	"sglang:num_running_reqs{engine_type=\"unified\",model_name=\"m\",tp_rank=\"0\"} 4\n"
	"sglang:num_queue_reqs{engine_type=\"unified\",model_name=\"m\",tp_rank=\"0\"} 6\n"
	"sglang:generation_tokens_total{model_name=\"m\"} 100\n"
	"sglang:time_to_first_token_seconds_sum{model_name=\"m\"} 2.5\n"
	"sglang:time_to_first_token_seconds_count{model_name=\"m\"} 10\n"
	"sglang:time_per_output_token_seconds_sum{model_name=\"m\"} 3\n"
	"sglang:time_per_output_token_seconds_count{model_name=\"m\"} 150\n";

static const char trtllm[] =
	"trtllm_time_to_first_token_seconds_count{engine_type=\"trtllm\",model_name=\"m\"} 2.0\n"
	"trtllm_time_to_first_token_seconds_sum{engine_type=\"trtllm\",model_name=\"m\"} 0.5\n"
	"time_per_output_token_seconds_sum{model_name=\"m\"} 0.5 1760000000000\n"
	"time_per_output_token_seconds_count{model_name=\"m\"} 20\n";

static size_t parse(const char *text, struct metrics *ret)
{
	return agentcg_metrics_parse(text, strlen(text), ret);
}

static bool near(double a, double b)
{
	return fabs(a - b) < 0.000000001;
}

static void engines(void)
{
	struct metrics m;

	tap_ok(parse(llama, &m) == 4 && m.running == 2 && m.waiting == 3 && m.tokens == 1000, "llama-server: requests and tokens");
	tap_ok(near(m.token.sum / m.token.count, 0.0125) && isnan(m.ttft.count), "... time per token; it tells no time to first token");
	tap_ok(parse(vllm, &m) == 8 && m.running == 7 && m.waiting == 1 && m.tokens == 7500, "vLLM: its engines are added up, odd names or not");
	tap_ok(near(m.ttft.sum / m.ttft.count, 0.2) && near(m.token.sum / m.token.count, 0.02), "... histograms");
	tap_ok(parse(sglang, &m) == 7 && m.running == 4 && m.waiting == 6 && near(m.ttft.sum, 2.5) && m.token.count == 150, "SGLang");
	tap_ok(parse(trtllm, &m) == 4 && near(m.ttft.sum, 0.5) && m.token.count == 20 && isnan(m.running),
	       "TensorRT-LLM, with its prefix and without; a time after the value");
}

static void odd(void)
{
	struct metrics m;

	tap_ok(parse("", &m) == 0 && isnan(m.running), "nothing");
	tap_ok(parse("<html>not found</html>\n{\"error\":1}\n", &m) == 0, "what is no metrics");
	tap_ok(parse("vllm:num_requests_running{a=\"b\" 3\nvllm:num_requests_running\nvllm:num_requests_running x\n"
		     "vllm:num_requests_running NaN\nvllm:num_requests_running -1\nvllm:num_requests_running 1e999\n"
		     "vllm:num_requests_running 3x\n", &m) == 0, "lines that are broken");
	tap_ok(agentcg_metrics_parse("vllm:num_requests_running 12", 27, &m) == 1 && m.running == 1, "no byte beyond the end is read");
	tap_ok(parse("vllm:num_requests_running 1\r\n", &m) == 1 && m.running == 1, "lines that end in CR LF");
	tap_ok(parse("llamacpp:requests_processing 0", &m) == 1 && m.running == 0, "zero is a number");
}

static void deltas(void)
{
	struct metrics a, b;
	struct inference i;

	parse(llama, &a);
	parse("llamacpp:tokens_predicted_total 1100\nllamacpp:tokens_predicted_seconds_total 22.5\nllamacpp:requests_processing 1\n", &b);
	agentcg_metrics_delta(&a, &b, &i);
	tap_ok(near(i.token_sec, 0.1) && i.tokens == 100 && i.running == 1 && isnan(i.ttft_sec) && isnan(i.queue),
	       "what is new, not what ever was");
	agentcg_metrics_delta(&b, &b, &i);
	tap_ok(isnan(i.token_sec) && i.tokens == 0, "nothing new is no time per token");
	agentcg_metrics_delta(NULL, &b, &i);
	tap_ok(isnan(i.token_sec) && isnan(i.tokens) && i.running == 1, "the first reading tells what holds now only");
	parse("llamacpp:tokens_predicted_total 50\nllamacpp:tokens_predicted_seconds_total 1\n", &a);
	agentcg_metrics_delta(&b, &a, &i);
	tap_ok(near(i.token_sec, 0.02) && i.tokens == 50, "counters of an engine that was started anew");
	parse("", &a);
	agentcg_metrics_delta(&a, &b, &i);
	tap_ok(near(i.token_sec, 22.5 / 1100), "a metric that was not there before");
	agentcg_metrics_delta(&b, &a, &i);
	tap_ok(isnan(i.token_sec) && isnan(i.running), "... and one that is gone");
}

int main(void)
{
	engines();
	odd();
	deltas();
	return tap_done();
}
