// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg replay: uses memory as a trace did.
 *
 * At each sample's time, divided by the speed, the process becomes as large as
 * the sample says, plus the base: it maps and touches the difference, or
 * unmaps what came last.  The times are absolute.  A step that is late (it was
 * held, or reclaim took long) delays the next ones only as long as it is
 * itself in the way, so the time at the end shows what really was lost.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "arena.h"
#include "cli.h"
#include "trace.h"
#include "util.h"

static const char help[] =
	"Usage: agentcg replay [OPTION...] FILE\n"
	"\n"
	"Allocates, touches and frees memory as the trace in FILE did, at the same times.\n"
	"FILE comes from agentcg record, or is one of the traces of the AgentCgroup paper.\n"
	"\n"
	"      --speed N          go through the trace N times faster (1)\n"
	"      --base SIZE        memory to hold in addition, all the time (0)\n"
	"      --huge             ask for huge pages (ordinary ones are used otherwise)\n"
	"      --cpu              use the CPU as recorded, too, but at most one core\n"
	"      --latencies FILE   write bytes and microseconds of each step that allocates\n"
	"      --json             print the result as JSON\n"
	"  -h, --help             this text\n"
	"\n"
	"The result tells how long it all took (wall) and should have taken (planned), the\n"
	"peak, and how long the steps that allocate took: half of them at most p50, and so on.\n";

struct step {
	uint64_t bytes;
	uint64_t nsec;
};

struct replay {
	const struct agentcg_trace *trace;
	struct agentcg_arena arena;
	double speed;
	uint64_t base;
	bool cpu;

	struct step *steps;	/* those that allocated */
	size_t nr_steps;
	uint64_t peak;
	uint64_t base_nsec;
	uint64_t wall_nsec;
};

static void replay_done(struct replay *r)
{
	agentcg_arena_done(&r->arena);
	free(r->steps);
}

static uint64_t now_nsec(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void sleep_until(uint64_t nsec)
{
	struct timespec ts = { .tv_sec = nsec / 1000000000ULL, .tv_nsec = nsec % 1000000000ULL };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

/* Uses @nsec of CPU time, but not beyond @deadline. */
static void burn(uint64_t nsec, uint64_t deadline)
{
	uint64_t end = now_nsec(CLOCK_THREAD_CPUTIME_ID) + nsec;

	while (now_nsec(CLOCK_THREAD_CPUTIME_ID) < end && now_nsec(CLOCK_MONOTONIC) < deadline)
		;
}

static int replay_step(struct replay *r, uint64_t size)
{
	uint64_t before = r->arena.size, start = now_nsec(CLOCK_MONOTONIC);
	int ret;

	ret = agentcg_arena_resize(&r->arena, size);
	if (ret < 0)
		return ret;
	if (r->arena.size > before)
		r->steps[r->nr_steps++] = (struct step){
			.bytes = r->arena.size - before,
			.nsec = now_nsec(CLOCK_MONOTONIC) - start,
		};
	if (r->arena.size > r->peak)
		r->peak = r->arena.size;
	return 0;
}

static int replay_run(struct replay *r)
{
	uint64_t begin = now_nsec(CLOCK_MONOTONIC), zero, due, last = 0;
	size_t i;
	int ret;

	r->steps = calloc(r->trace->nr_samples, sizeof(*r->steps));
	if (!r->steps)
		return -ENOMEM;
	ret = agentcg_arena_resize(&r->arena, r->base);
	if (ret < 0)
		return ret;
	zero = now_nsec(CLOCK_MONOTONIC);
	r->base_nsec = zero - begin;

	for (i = 0; i < r->trace->nr_samples; i++) {
		const struct agentcg_sample *s = &r->trace->samples[i];

		due = zero + (uint64_t)(s->time * 1e9 / r->speed);
		/* A sample's CPU column is about the time before it. */
		if (r->cpu && i)
			burn((due - last) * fmin(s->cpu, 100) / 100, due);
		sleep_until(due);
		ret = replay_step(r, r->base + s->memory);
		if (ret < 0)
			return ret;
		last = due;
	}
	r->wall_nsec = now_nsec(CLOCK_MONOTONIC) - begin;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct summary {
	double planned, wall, base, p50, p95, p99, max;	/* ms */
};

static int summarize(const struct replay *r, struct summary *ret)
{
	_cleanup_free_ uint64_t *nsec = calloc(r->nr_steps ?: 1, sizeof(*nsec));
	size_t i;

	if (!nsec)
		return -ENOMEM;
	for (i = 0; i < r->nr_steps; i++)
		nsec[i] = r->steps[i].nsec;
	qsort(nsec, r->nr_steps, sizeof(*nsec), by_value);
	*ret = (struct summary){
		.planned = agentcg_trace_length(r->trace) * 1e3 / r->speed,
		.wall = r->wall_nsec / 1e6,
		.base = r->base_nsec / 1e6,
		.p50 = agentcg_quantile(nsec, r->nr_steps, 500) / 1e6,
		.p95 = agentcg_quantile(nsec, r->nr_steps, 950) / 1e6,
		.p99 = agentcg_quantile(nsec, r->nr_steps, 990) / 1e6,
		.max = agentcg_quantile(nsec, r->nr_steps, 1000) / 1e6,
	};
	return 0;
}

static int print_json(const struct replay *r, const struct summary *s)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	int ret;

	ret = sd_json_buildo(&v,
		SD_JSON_BUILD_PAIR_UNSIGNED("samples", r->trace->nr_samples),
		SD_JSON_BUILD_PAIR_REAL("wall_ms", s->wall),
		SD_JSON_BUILD_PAIR_REAL("planned_ms", s->planned),
		SD_JSON_BUILD_PAIR_REAL("base_ms", s->base),
		SD_JSON_BUILD_PAIR_UNSIGNED("peak_bytes", r->peak),
		SD_JSON_BUILD_PAIR_UNSIGNED("steps", r->nr_steps),
		SD_JSON_BUILD_PAIR_OBJECT("alloc_ms",
			SD_JSON_BUILD_PAIR_REAL("p50", s->p50),
			SD_JSON_BUILD_PAIR_REAL("p95", s->p95),
			SD_JSON_BUILD_PAIR_REAL("p99", s->p99),
			SD_JSON_BUILD_PAIR_REAL("max", s->max)));
	if (ret < 0)
		return ret;
	return agentcg_print_json(v);
}

static void print_text(const struct replay *r, const struct summary *s)
{
	printf("%zu samples in %.0f ms (planned: %.0f ms, %.0f ms of the wall time for the base)\n",
	       r->trace->nr_samples, s->wall, s->planned, s->base);
	printf("peak %" PRIu64 " bytes; %zu allocating steps took p50 %.3f, p95 %.3f, p99 %.3f, max %.3f ms\n",
	       r->peak, r->nr_steps, s->p50, s->p95, s->p99, s->max);
}

static int write_latencies(const struct replay *r, const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "we");
	size_t i;

	if (!f)
		return -errno;
	fputs("bytes usec\n", f);
	for (i = 0; i < r->nr_steps; i++)
		fprintf(f, "%" PRIu64 " %.3f\n", r->steps[i].bytes, r->steps[i].nsec / 1e3);
	return fflush(f) < 0 ? -errno : 0;
}

struct options {
	const char *file, *latencies;
	bool json;
};

static int parse_speed(const char *text, double *ret)
{
	char *end;
	double speed = strtod(text, &end);

	if (end == text || *end || !isfinite(speed) || speed <= 0)
		return agentcg_usage_error("--speed takes a number above 0, such as 50, not '%s'", text);
	*ret = speed;
	return 0;
}

/* 0 to go on; otherwise *@ret_exit is the exit code. */
static int parse(int argc, char **argv, struct replay *r, struct options *o, int *ret_exit)
{
	enum { SPEED = OPT_FIRST, BASE, HUGE_PAGES, CPU, LATENCIES, JSON };
	static const struct option options[] = {
		{ "speed", required_argument, NULL, SPEED },
		{ "base", required_argument, NULL, BASE },
		{ "huge", no_argument, NULL, HUGE_PAGES },
		{ "cpu", no_argument, NULL, CPU },
		{ "latencies", required_argument, NULL, LATENCIES },
		{ "json", no_argument, NULL, JSON },
		AGENTCG_COMMON_OPTIONS
	};
	int c;

	*ret_exit = EXIT_USAGE;
	while ((c = agentcg_getopt(argc, argv, ":h", options, help)) >= 0) {
		switch (c) {
		case SPEED:
			if (parse_speed(optarg, &r->speed))
				return -EINVAL;
			break;
		case BASE:
			if (agentcg_opt_size("--base", optarg, &r->base) < 0)
				return -EINVAL;
			break;
		case HUGE_PAGES:
			r->arena.huge = true;
			break;
		case CPU:
			r->cpu = true;
			break;
		case LATENCIES:
			o->latencies = optarg;
			break;
		case JSON:
			o->json = true;
			break;
		case OPT_HELP:
			*ret_exit = 0;
			return -ECANCELED;
		default:
			return -EINVAL;
		}
	}
	if (argc - optind != 1) {
		agentcg_usage_error("say which trace to replay: one FILE");
		return -EINVAL;
	}
	o->file = argv[optind];
	return 0;
}

int agentcg_cmd_replay(int argc, char **argv)
{
	_cleanup_(agentcg_trace_done) struct agentcg_trace trace = {};
	_cleanup_(replay_done) struct replay r = { .trace = &trace, .speed = 1 };
	_cleanup_free_ char *error = NULL;
	struct options o = {};
	struct summary s;
	int ret;

	if (parse(argc, argv, &r, &o, &ret) < 0)
		return ret;
	ret = agentcg_trace_load(o.file, &trace, &error);
	if (ret < 0) {
		agentcg_say("%s", error ?: strerror(-ret));
		return EXIT_FAILURE;
	}
	if (!r.arena.huge)
		agentcg_arena_ordinary_pages();
	/* The default slack of 50 us would be part of every step. */
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);

	ret = replay_run(&r);
	if (ret >= 0)
		ret = summarize(&r, &s);
	if (ret < 0) {
		agentcg_say("cannot get the memory that the trace used: %s", strerror(-ret));
		return EXIT_FAILURE;
	}
	if (o.latencies) {
		ret = write_latencies(&r, o.latencies);
		if (ret < 0) {
			agentcg_say("cannot write %s: %s", o.latencies, strerror(-ret));
			return EXIT_FAILURE;
		}
	}
	if (o.json)
		return print_json(&r, &s);
	print_text(&r, &s);
	return 0;
}
