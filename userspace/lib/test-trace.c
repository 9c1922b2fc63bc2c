// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <glob.h>
#include <math.h>

#include "tap.h"
#include "trace.h"
#include "util.h"

static char path[] = "/tmp/agentcg-test-trace.XXXXXX";

static void put(const char *text)
{
	FILE *f = fopen(path, "we");

	if (!f || fputs(text, f) < 0 || fclose(f) < 0)
		perror(path);
}

static void refused(const char *text, const char *message)
{
	struct agentcg_trace t = {};
	char *error = NULL;
	int r;

	put(text);
	r = agentcg_trace_load(path, &t, &error);
	tap_ok(r < 0 && error && strstr(error, message), "refused: %s", message);
	if (r >= 0)
		agentcg_trace_done(&t);
	free(error);
}

static void test_read(void)
{
	struct agentcg_trace t = {};
	char *error = NULL;
	int r;

	put("{\"task\":\"a\",\"model\":\"m\",\"samples\":[[0.0,12.5,117.7],[1.04,185,66.2],[1.04,1]],"
	    "\"tool_calls\":[[0,1,\"Bash\",\"x\"]]}");
	r = agentcg_trace_load(path, &t, &error);
	tap_ok(r == 0 && t.nr_samples == 3, "a trace of the paper is read (%s)", error ?: "no error");
	if (r < 0)
		return;
	tap_ok(t.samples[0].memory == 13107200, "MiB become bytes");
	tap_ok(t.samples[1].time == 1.04 && t.samples[1].cpu == 66.2, "seconds and percent are kept");
	tap_ok(t.samples[2].cpu == 0, "the CPU column may be missing");
	tap_ok(streq(t.task, "a") && !t.interval_ms, "task, and no interval");
	tap_ok(agentcg_trace_length(&t) == 1.04 && agentcg_trace_peak(&t) == 185 * MIB, "length and peak");
	agentcg_trace_done(&t);
}

static void test_refuse(void)
{
	refused("", "not JSON");
	refused("hello", "not JSON");
	refused("[]", "no samples");
	refused("{\"samples\":[]}", "no samples");
	refused("{\"samples\":{}}", "no samples");
	refused("{\"version\":2,\"samples\":[[0,1]]}", "another version");
	refused("{\"samples\":[[0,1],\n[1,\"x\"]]}", ":2: sample 1 is not");
	refused("{\"samples\":[[0]]}", "sample 0 is not");
	refused("{\"samples\":[[0,-1]]}", "sample 0 is not");
	refused("{\"samples\":[[0,1e300]]}", "sample 0 is not");
	refused("{\"samples\":[[1,1],[0.5,1]]}", "sample 1 lies before");
}

static void test_write(void)
{
	struct agentcg_trace t = { .interval_ms = 250 }, back = {};
	char *error = NULL;
	FILE *f;
	int i, r;

	t.task = strdup("say \"hi\"\n");
	for (i = 0; i < 100; i++)
		agentcg_trace_append(&t, &(struct agentcg_sample){ i / 4.0, i * MIB + 512 * KIB, 99.5 });
	f = fopen(path, "we");
	r = f ? agentcg_trace_write(&t, "run", "sh -c \"x\\y\" \xff", f) : -errno;
	if (f)
		fclose(f);
	tap_ok(r == 0, "a trace is written");
	r = agentcg_trace_load(path, &back, &error);
	tap_ok(r == 0 && back.nr_samples == 100, "and read again (%s)", error ?: "no error");
	if (r == 0) {
		tap_ok(streq(back.task, t.task) && back.interval_ms == 250, "with its head");
		tap_ok(back.samples[99].memory == t.samples[99].memory && back.samples[99].time == 24.75 &&
		       back.samples[99].cpu == 99.5, "and its samples");
	}
	agentcg_trace_done(&t);
	agentcg_trace_done(&back);
	free(error);
}

static void test_quantile(void)
{
	uint64_t v[100];
	int i;

	for (i = 0; i < 100; i++)
		v[i] = i + 1;
	tap_ok(agentcg_quantile(v, 100, 500) == 50 && agentcg_quantile(v, 100, 950) == 95 &&
	       agentcg_quantile(v, 100, 1000) == 100, "quantiles of 1..100");
	tap_ok(agentcg_quantile(v, 1, 950) == 1 && agentcg_quantile(v, 3, 500) == 2, "of few values");
	tap_ok(agentcg_quantile(v, 0, 950) == 0, "of none");
}

static void test_published(void)
{
	size_t i, good = 0;
	glob_t g;

	if (glob("../shared/traces/*.json", 0, NULL, &g)) {
		tap_ok(true, "the published traces are read # SKIP there is no ../shared/traces");
		return;
	}
	for (i = 0; i < g.gl_pathc; i++) {
		struct agentcg_trace t = {};
		char *error = NULL;

		if (agentcg_trace_load(g.gl_pathv[i], &t, &error) == 0) {
			good++;
			agentcg_trace_done(&t);
		} else {
			printf("# %s\n", error);
		}
		free(error);
	}
	tap_ok(good == g.gl_pathc, "the published traces are read: %zu of %zu", good, g.gl_pathc);
	globfree(&g);
}

int main(void)
{
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		return 1;
	}
	close(fd);
	test_read();
	test_refuse();
	test_write();
	test_quantile();
	test_published();
	unlink(path);
	return tap_done();
}
