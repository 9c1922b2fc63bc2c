// SPDX-License-Identifier: GPL-2.0-only
#include "metrics.h"

#include <math.h>

#define NAME_MAX_LEN	128

enum field {
	RUNNING,
	WAITING,
	TOKENS,
	TTFT_SUM,
	TTFT_COUNT,
	TOKEN_SUM,
	TOKEN_COUNT,
	NR_FIELDS
};

static const char *const prefixes[] = { "llamacpp:", "vllm:", "sglang:", "sglang_", "trtllm:", "trtllm_" };

/*
 * llama-server has no histograms: its time per token is seconds of generation over tokens, and
 * it tells no time to first token.  vLLM called the time from token to token "time_per_output_token" before it split
 * that name into two; a version that has both counts each gap in both, so the mean is the same.
 */
static const struct {
	const char *name;
	enum field field;
} names[] = {
	{ "requests_processing", RUNNING },
	{ "num_requests_running", RUNNING },
	{ "num_running_reqs", RUNNING },
	{ "requests_deferred", WAITING },
	{ "num_requests_waiting", WAITING },
	{ "num_queue_reqs", WAITING },
	{ "tokens_predicted_total", TOKENS },
	{ "generation_tokens_total", TOKENS },
	{ "time_to_first_token_seconds_sum", TTFT_SUM },
	{ "time_to_first_token_seconds_count", TTFT_COUNT },
	{ "tokens_predicted_seconds_total", TOKEN_SUM },
	{ "inter_token_latency_seconds_sum", TOKEN_SUM },
	{ "time_per_output_token_seconds_sum", TOKEN_SUM },
	{ "tokens_predicted_total", TOKEN_COUNT },
	{ "inter_token_latency_seconds_count", TOKEN_COUNT },
	{ "time_per_output_token_seconds_count", TOKEN_COUNT },
};

static double *value_of(struct metrics *m, enum field field)
{
	switch (field) {
	case RUNNING:
		return &m->running;
	case WAITING:
		return &m->waiting;
	case TOKENS:
		return &m->tokens;
	case TTFT_SUM:
		return &m->ttft.sum;
	case TTFT_COUNT:
		return &m->ttft.count;
	case TOKEN_SUM:
		return &m->token.sum;
	case TOKEN_COUNT:
		return &m->token.count;
	case NR_FIELDS:
		break;
	}
	return NULL;
}

static const char *without_prefix(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		const char *rest = startswith(name, prefixes[i]);

		if (rest)
			return rest;
	}
	return name;
}

static bool add(struct metrics *m, const char *name, double value)
{
	bool known = false;

	name = without_prefix(name);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		double *to;

		if (!streq(name, names[i].name))
			continue;
		to = value_of(m, names[i].field);
		*to = isnan(*to) ? value : *to + value;
		known = true;
	}
	return known;
}

/* After the labels, in whose quoted values a brace means nothing; NULL if they do not end. */
static const char *skip_labels(const char *s)
{
	bool quoted = false;

	if (*s != '{')
		return s;
	for (; *s; s++) {
		if (quoted && *s == '\\' && s[1])
			s++;
		else if (*s == '"')
			quoted = !quoted;
		else if (*s == '}' && !quoted)
			return s + 1;
	}
	return NULL;
}

/* "name{label="x"} value [time]" */
static bool split_line(const char *line, char name[NAME_MAX_LEN], double *ret)
{
	size_t n = strcspn(line, "{ \t");
	const char *rest;
	char *end;

	if (line[0] == '#' || n == 0 || n >= NAME_MAX_LEN)
		return false;
	memcpy(name, line, n);
	name[n] = 0;
	rest = skip_labels(line + n);
	if (!rest)
		return false;
	*ret = strtod(rest, &end);
	return end != rest && isfinite(*ret) && *ret >= 0 && strchr(" \t\r\n", *end);
}

bool agentcg_metrics_sum(const char *text, const char *name, double *ret)
{
	char found[NAME_MAX_LEN];
	bool known = false;
	double value;

	*ret = 0;
	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!startswith(p, name) || !split_line(p, found, &value) || !streq(found, name))
			continue;
		*ret += value;
		known = true;
	}
	return known && *ret < 1e18;
}

static bool parse_line(struct metrics *m, const char *line)
{
	char name[NAME_MAX_LEN];
	double value;

	return split_line(line, name, &value) && add(m, name, value);
}

size_t agentcg_metrics_parse(const char *text, size_t size, struct metrics *ret)
{
	/* The labels of one line are at most this long with every engine; a longer one is not understood. */
	char line[4096];
	size_t understood = 0;

	*ret = (struct metrics){ NAN, NAN, NAN, { NAN, NAN }, { NAN, NAN } };
	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t n = end ? (size_t)(end - text) - at : size - at;

		if (n < sizeof(line)) {
			memcpy(line, text + at, n);
			line[n] = 0;
			understood += parse_line(ret, line);
		}
		at += n + 1;
	}
	return understood;
}

static double increase(double before, double now)
{
	return isnan(before) || now < before ? now : now - before;
}

static double mean(const struct metric_sum *before, const struct metric_sum *now)
{
	bool anew = now->count < before->count;
	double count = anew ? now->count : increase(before->count, now->count);
	double sum = anew ? now->sum : increase(before->sum, now->sum);

	return count > 0 && sum >= 0 ? sum / count : NAN;
}

void agentcg_metrics_delta(const struct metrics *before, const struct metrics *now, struct inference *ret)
{
	*ret = (struct inference){
		.ttft_sec = NAN, .token_sec = NAN, .tokens = NAN, .queue = now->waiting, .running = now->running,
	};
	if (!before)
		return;
	ret->ttft_sec = mean(&before->ttft, &now->ttft);
	ret->token_sec = mean(&before->token, &now->token);
	ret->tokens = increase(before->tokens, now->tokens);
}
