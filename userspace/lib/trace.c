// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-json.h>

#include "json.h"
#include "trace.h"
#include "util.h"

/* Far beyond any machine, and far from where double or uint64_t lose bytes. */
#define MEMORY_MAX_MIB	(1024.0 * 1024.0 * 1024.0)

/* Of a command line, as in the published traces. */
#define TEXT_MAX	160

static int fail(char **ret_error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(char **ret_error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(ret_error, fmt, ap) < 0)
		*ret_error = NULL;
	va_end(ap);
	return -EINVAL;
}

static bool is_amount(sd_json_variant *v, double max)
{
	double d;

	if (!sd_json_variant_is_number(v))
		return false;
	d = sd_json_variant_real(v);
	return isfinite(d) && d >= 0 && d <= max;
}

static int load_sample(sd_json_variant *v, struct agentcg_sample *s)
{
	sd_json_variant *time, *memory, *cpu;

	if (!sd_json_variant_is_array(v) || sd_json_variant_elements(v) < 2)
		return -EINVAL;
	time = sd_json_variant_by_index(v, 0);
	memory = sd_json_variant_by_index(v, 1);
	if (!is_amount(time, 1e9) || !is_amount(memory, MEMORY_MAX_MIB))
		return -EINVAL;
	s->time = sd_json_variant_real(time);
	s->memory = llround(sd_json_variant_real(memory) * (double)MIB);
	s->cpu = 0;
	if (sd_json_variant_elements(v) > 2) {
		cpu = sd_json_variant_by_index(v, 2);
		if (!is_amount(cpu, 1e9))
			return -EINVAL;
		s->cpu = sd_json_variant_real(cpu);
	}
	return 0;
}

static int load_samples(sd_json_variant *v, struct agentcg_trace *trace, const char *path,
			char **ret_error)
{
	struct agentcg_sample s, last = {};
	unsigned int line;
	size_t i;
	int r;

	for (i = 0; i < sd_json_variant_elements(v); i++) {
		sd_json_variant *e = sd_json_variant_by_index(v, i);

		line = 0;
		(void)sd_json_variant_get_source(e, NULL, &line, NULL);
		if (load_sample(e, &s) < 0)
			return fail(ret_error, "%s:%u: sample %zu is not [seconds, MiB, percent] with numbers from 0 up",
				    path, line, i);
		if (s.time < last.time)
			return fail(ret_error, "%s:%u: sample %zu lies before the one that precedes it",
				    path, line, i);
		r = agentcg_trace_append(trace, &s);
		if (r < 0)
			return r;
		last = s;
	}
	return 0;
}

static int load_head(sd_json_variant *v, struct agentcg_trace *trace, const char *path,
		     char **ret_error)
{
	sd_json_variant *e;

	e = sd_json_variant_by_key(v, "version");
	if (e && (!sd_json_variant_is_unsigned(e) ||
		  sd_json_variant_unsigned(e) != AGENTCG_TRACE_VERSION))
		return fail(ret_error, "%s: a trace of another version; this agentcg reads version %d",
			    path, AGENTCG_TRACE_VERSION);
	e = sd_json_variant_by_key(v, "interval_ms");
	if (e && sd_json_variant_is_unsigned(e))
		trace->interval_ms = sd_json_variant_unsigned(e);
	e = sd_json_variant_by_key(v, "task");
	if (e && sd_json_variant_is_string(e)) {
		trace->task = strdup(sd_json_variant_string(e));
		if (!trace->task)
			return -ENOMEM;
	}
	return 0;
}

int agentcg_trace_load(const char *path, struct agentcg_trace *ret, char **ret_error)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_(agentcg_trace_done) struct agentcg_trace trace = {};
	_cleanup_fclose_ FILE *f = NULL;
	unsigned int line = 0, column = 0;
	sd_json_variant *samples;
	int r;

	*ret_error = NULL;
	f = fopen(path, "re");
	if (!f) {
		r = -errno;
		fail(ret_error, "%s: %s", path, strerror(-r));
		return r;
	}
	if (sd_json_parse_file(f, path, 0, &v, &line, &column) < 0)
		return fail(ret_error, "%s:%u:%u: not JSON", path, line, column);
	samples = sd_json_variant_is_object(v) ? sd_json_variant_by_key(v, "samples") : NULL;
	if (!samples || !sd_json_variant_is_array(samples) || !sd_json_variant_elements(samples))
		return fail(ret_error, "%s: not a trace: it has no samples; record one with: agentcg record -o FILE -- COMMAND",
			    path);
	r = load_head(v, &trace, path, ret_error);
	if (r < 0)
		return r;
	r = load_samples(samples, &trace, path, ret_error);
	if (r < 0)
		return r;
	*ret = trace;
	trace = (struct agentcg_trace){};
	return 0;
}

int agentcg_trace_append(struct agentcg_trace *trace, const struct agentcg_sample *sample)
{
	/* Doubled at each power of two: no capacity to keep. */
	if (!(trace->nr_samples & (trace->nr_samples - 1))) {
		size_t room = trace->nr_samples ? 2 * trace->nr_samples : 1;
		void *p = reallocarray(trace->samples, room, sizeof(*trace->samples));

		if (!p)
			return -ENOMEM;
		trace->samples = p;
	}
	trace->samples[trace->nr_samples++] = *sample;
	return 0;
}

/* sd-json would write every real with 17 digits and an exponent; traces are read by people, too. */
static void write_samples(const struct agentcg_trace *trace, FILE *f)
{
	size_t i;

	fputs("\"samples\":[\n", f);
	for (i = 0; i < trace->nr_samples; i++) {
		const struct agentcg_sample *s = &trace->samples[i];

		fprintf(f, "[%.3f,%.3f,%.1f]%s\n", s->time, s->memory / (double)MIB, s->cpu,
			i + 1 < trace->nr_samples ? "," : "");
	}
	fputs("],\n", f);
}

int agentcg_trace_write(const struct agentcg_trace *trace, const char *tool, const char *command,
			FILE *f)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *task = NULL, *text = NULL,
							*call = NULL;
	_cleanup_free_ char *task_text = NULL, *call_text = NULL;
	int r;

	r = agentcg_json_text(&task, trace->task ?: "", TEXT_MAX);
	if (r >= 0)
		r = sd_json_variant_format(task, 0, &task_text);
	if (r >= 0)
		r = agentcg_json_text(&text, command, TEXT_MAX);
	if (r >= 0)
		r = sd_json_build(&call, SD_JSON_BUILD_ARRAY(SD_JSON_BUILD_STRING(tool),
							     SD_JSON_BUILD_VARIANT(text)));
	if (r >= 0)
		r = sd_json_variant_format(call, 0, &call_text);
	if (r < 0)
		return r;

	fprintf(f, "{\"version\":%d,\"interval_ms\":%u,\"task\":%s,\n", AGENTCG_TRACE_VERSION,
		trace->interval_ms, task_text);
	write_samples(trace, f);
	/* call_text without its opening bracket. */
	fprintf(f, "\"tool_calls\":[\n[0.000,%.3f,%s\n]}\n", agentcg_trace_length(trace),
		call_text + 1);
	return fflush(f) < 0 || ferror(f) ? -EIO : 0;
}

void agentcg_trace_done(struct agentcg_trace *trace)
{
	free(trace->task);
	free(trace->samples);
	*trace = (struct agentcg_trace){};
}

double agentcg_trace_length(const struct agentcg_trace *trace)
{
	return trace->nr_samples ? trace->samples[trace->nr_samples - 1].time : 0;
}

uint64_t agentcg_trace_peak(const struct agentcg_trace *trace)
{
	uint64_t peak = 0;
	size_t i;

	for (i = 0; i < trace->nr_samples; i++)
		if (trace->samples[i].memory > peak)
			peak = trace->samples[i].memory;
	return peak;
}

uint64_t agentcg_quantile(const uint64_t *values, size_t n, unsigned int permille)
{
	size_t rank = (n * permille + 999) / 1000;

	return n ? values[rank ? rank - 1 : 0] : 0;
}
