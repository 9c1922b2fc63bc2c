// SPDX-License-Identifier: GPL-2.0-only
/*
 * What keeping, offloading and dropping KV caches during tool calls costs
 * (figure 4.3a): the tool calls of recorded sessions on a simulated engine, with the
 * daemon's own rule (userspace/gpu/keep.c), and its own classes of commands (kind.c).
 *
 *	workers-keep FOLDER [RUNS]	prints one JSON object
 *
 * The engine is the same for all policies.  Numbers are those of a model of 8
 * billion parameters on one GPU; what matters of them are the ratios.
 *  - Its cache has room for CACHE tokens of BYTES each; it computes PREFILL tokens a
 *    second of prompts, one prompt after another, and decodes at no cost.
 *  - Sessions that want room queue: first those that still have their cache and want a little more, then the
 *    others, both in the order of their arrival; the first one that does not fit stops the rest.  For one that
 *    has its cache, the last one behind it in the queue that has one loses that (recompute preemption); who is
 *    in a tool call does not.
 *  - Offloading copies out, meanwhile holding the room, and back, meanwhile waiting;
 *    host memory has room for HOST bytes.
 *
 * A session is a trace: it arrives, thinks (what lies between its calls of Bash there,
 * with all that its model and the tools in the agent's own process took), pauses for a call as long as that
 * took (calls that overlap are one pause), and so on to its end.  The traces tell no tokens.
 * A session begins with SYSTEM tokens (instructions and tools), and each turn adds
 * TOOL_TOKENS that are computed (what the call printed) and DECODE_RATE a second of thinking,
 * at most DECODE_MAX, that are decoded: 12 to 100 thousand tokens at the end.
 *
 * Each run is another order of the sessions, twice each, and another series of arrivals:
 * exponential, as many at a time on average as the load says if none ever waits.
 *
 * The cost is in tokens of prefill:
 *	recomputed	tokens that were computed before
 *	delayed		room of a session that is ready to go and cannot, for want of room, or because its own or
 *			another's tokens are computed anew or copied: its tokens times seconds
 *			times PREFILL / CACHE (keep.c explains the price)
 *
 * A policy says when a paused session's cache goes away: never, at once, after a
 * fixed time to live, or by keep.c, which is asked when a call begins or ends, and every second, as the
 * daemon does.  It knows the durations of calls that ended before, of the same kind or, of too
 * few, its family or all, and which sessions wait now.  Where it goes is the same for all: to host
 * memory if there is room and the engine can, else it is dropped.  For comparison also what an engine does that evicts on
 * demand, the one that has been paused longest first: not a policy that the daemon could carry
 * out, for it takes a look at each request.
 *
 * Two things in keep.c were chosen with all of these traces in view, from a few values each and with the first 10 runs: that
 * what is dropped counts twice, and how far each duration is spread (KEEP_SPREAD, by a factor of 2; with 4 or 6 the ratios to
 * the best fixed rule are between 0.96 and 1.02 instead of 0.96 and 0.99 where nothing can be offloaded; without, up to 1.5).
 */
#include <dirent.h>
#include <math.h>

#include "keep.h"
#include "kind.h"

#define CACHE		200000ULL
#define BYTES		131072ULL
#define PREFILL		8000.0
#define BANDWIDTH	12e9
#define HOST		(32 * GIB)

#define SYSTEM		12000ULL
#define TOOL_TOKENS	500ULL
#define DECODE_RATE	40.0
#define DECODE_MAX	1500.0

#define POLL		1.0
#define WINDOW		64
#define MIN_RUNS	3

#define TRACES_MAX	64
#define PAUSES_MAX	1024
#define LIVES		2
#define RUNS_MAX	64

struct pause {
	char kind[AGENTCG_KIND_MAX], family[AGENTCG_KIND_MAX];
	double start, end;
};

struct trace {
	struct pause *pauses;
	size_t nr;
	double end;
};

static struct pause pauses[PAUSES_MAX];
static struct trace traces[TRACES_MAX];
static size_t nr_pauses, nr_traces;

/* ---- traces ------------------------------------------------------------------ */

__attribute__((noreturn))
static void die(const char *file, const char *what)
{
	fprintf(stderr, "workers-keep: %s: %s\n", file, what);
	exit(2);
}

/* The string that begins at @p, into @to; returns what follows. */
static const char *read_string(const char *p, char *to, size_t max)
{
	size_t n = 0;

	for (p++; *p && *p != '"'; p++) {
		char c = *p;

		if (c == '\\' && p[1]) {
			p++;
			c = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
		}
		if (n + 1 < max)
			to[n++] = c;
	}
	to[n] = 0;
	return p + (*p == '"');
}

/* A call of Bash, to the pause before it if they overlap. */
static void add_call(struct trace *t, double start, double end, const char *line)
{
	struct pause *last = t->nr ? &t->pauses[t->nr - 1] : NULL;
	struct pause *p = &pauses[nr_pauses];

	if (last && start <= last->end) {
		last->end = fmax(last->end, end);
		return;
	}
	if (nr_pauses == PAUSES_MAX)
		die("traces", "too many calls");
	p->start = start;
	p->end = end;
	agentcg_kind_of_line(p->kind, line, strlen(line));
	agentcg_kind_family(p->family, p->kind);
	nr_pauses++;
	t->nr++;
}

static void read_trace(const char *path, struct trace *t)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	const char *p;

	if (!f || getdelim(&text, &size, 0, f) <= 0)
		die(path, "cannot be read");
	p = strstr(text, "\"tool_calls\":[");
	if (!p)
		die(path, "has no tool calls");
	t->pauses = &pauses[nr_pauses];
	for (p += strlen("\"tool_calls\":[");;) {
		char tool[64], line[1024];
		double start, end;
		int used = 0;

		p += strspn(p, "\n, ");
		if (sscanf(p, "[%lf,%lf,%n", &start, &end, &used) < 2 || !used)
			break;
		p = read_string(p + used + strspn(p + used, " "), tool, sizeof(tool));
		p += strspn(p, ", ");
		p = read_string(p, line, sizeof(line));
		p += strcspn(p, "]");
		p += *p == ']';
		t->end = fmax(t->end, end);
		if (streq(tool, "Bash"))
			add_call(t, start, end, line);
	}
}

static int is_trace(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && streq(dot, ".json");
}

static void load(const char *folder)
{
	struct dirent **list;
	int n = scandir(folder, &list, is_trace, alphasort);

	if (n <= 0)
		die(folder, "no traces");
	for (int i = 0; i < n && nr_traces < TRACES_MAX; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name);
		read_trace(path, &traces[nr_traces++]);
		free(list[i]);
	}
	free(list);
}

/* ---- the engine ---------------------------------------------------------------- */

enum rule {
	KEEP,
	TTL,		/* 0: at once */
	OURS,
	ON_DEMAND,
};

struct policy {
	const char *name;
	enum rule rule;
	double ttl;
};

enum phase {
	COMING,
	QUEUED,		/* for room */
	COPIED,		/* back from the host */
	COMPUTED,	/* its prompt, or it waits for that */
	THINKING,
	PAUSED,
	OVER,
};

struct session {
	const struct trace *trace;
	enum phase phase;
	double until;			/* end of the phase */
	size_t turn;
	uint64_t context;		/* tokens, in all */
	uint64_t held, away;		/* of them on the GPU, and in host memory */
	uint64_t fresh;			/* tokens of this turn that are to be computed, and decoded */
	uint64_t decoded;
	double ready;
	double began;			/* its call */
	double act;			/* its cache goes away then */
	double out;			/* being copied out until then; 0: it is not */
	bool drop;
};

struct history {
	const struct pause *of[PAUSES_MAX * LIVES];
	size_t nr;
};

struct engine {
	const struct policy *policy;
	bool offloads;
	struct session sessions[TRACES_MAX * LIVES];
	size_t nr;
	double now, computing_until, poll;
	bool look;			/* a call has begun or ended */
	uint64_t used, host_used;
	struct history history;
	double recomputed, delayed, end;
	unsigned long dropped, offloaded, kept;
};

/* What its next turn adds. */
static void prepare(struct session *s)
{
	double begin = s->turn ? s->trace->pauses[s->turn - 1].end : 0;
	double end = s->turn < s->trace->nr ? s->trace->pauses[s->turn].start : s->trace->end;

	s->fresh = s->turn ? TOOL_TOKENS : SYSTEM;
	s->decoded = (uint64_t)fmin(DECODE_MAX, DECODE_RATE * fmax(0, end - begin));
}

static double thinks(const struct session *s)
{
	double begin = s->turn ? s->trace->pauses[s->turn - 1].end : 0;
	double end = s->turn < s->trace->nr ? s->trace->pauses[s->turn].start : s->trace->end;

	return fmax(0, end - begin);
}

static uint64_t needs(const struct session *s)
{
	return s->context + s->fresh + s->decoded - s->held;
}

static void drop(struct engine *e, struct session *s)
{
	e->used -= s->held;
	s->held = 0;
	s->out = 0;
}

/* Who returns and still has its cache needs little, and comes before those who have to wait for all of it. */
static struct session *head(struct engine *e)
{
	struct session *first = NULL;

	for (size_t i = 0; i < e->nr; i++) {
		struct session *s = &e->sessions[i];

		if (s->phase == QUEUED && s->held)
			return s;
		if (s->phase == QUEUED && !first)
			first = s;
	}
	return first;
}

/* Whose cache makes room for @first; sessions are in the order of their arrival. */
static struct session *victim(struct engine *e, const struct session *first)
{
	struct session *paused = NULL;

	for (size_t i = e->nr; first->held && i > 0 && &e->sessions[i - 1] != first; i--)
		if (e->sessions[i - 1].phase == QUEUED && e->sessions[i - 1].held)
			return &e->sessions[i - 1];
	if (e->policy->rule != ON_DEMAND)
		return NULL;
	for (size_t i = 0; i < e->nr; i++) {
		struct session *s = &e->sessions[i];

		if (s->phase == PAUSED && s->held && !s->out && (!paused || s->began < paused->began))
			paused = s;
	}
	return paused;
}

static void put_away(struct engine *e, struct session *s, bool may_offload);

static void compute(struct engine *e, struct session *s, uint64_t again)
{
	double work = (double)(again + s->fresh) / PREFILL;

	e->recomputed += (double)again;
	e->computing_until = fmax(e->computing_until, e->now) + work;
	s->phase = COMPUTED;
	s->until = e->computing_until;
}

static void admit(struct engine *e)
{
	struct session *s;

	while ((s = head(e))) {
		struct session *v;

		while (needs(s) > CACHE - e->used && (v = victim(e, s))) {
			if (v->phase == PAUSED)
				put_away(e, v, true);
			else
				drop(e, v);
			if (v->out)
				return;	/* on its way */
		}
		if (needs(s) > CACHE - e->used)
			return;
		e->used += needs(s);
		if (s->held || !s->away) {
			uint64_t again = s->held ? 0 : s->context;

			s->held = s->context + s->fresh + s->decoded;
			compute(e, s, again);
		} else {
			s->held = s->context + s->fresh + s->decoded;
			s->phase = COPIED;
			s->until = e->now + (double)(s->away * BYTES) / BANDWIDTH;
		}
	}
}

static void put_away(struct engine *e, struct session *s, bool may_offload)
{
	s->act = INFINITY;
	if (!s->held || s->out)
		return;
	if (may_offload && e->offloads && (s->held + e->host_used) * BYTES <= HOST) {
		e->host_used += s->held;
		s->away = s->held;
		s->out = e->now + (double)(s->held * BYTES) / BANDWIDTH;
		e->offloaded++;
		return;
	}
	e->dropped++;
	drop(e, s);
}

/* ---- our rule -------------------------------------------------------------------- */

static size_t durations(const struct history *h, const struct pause *p, uint64_t *ret)
{
	uint64_t usec[WINDOW];
	size_t n = 0;

	for (int width = 0; width < 3 && n < MIN_RUNS; width++) {
		n = 0;
		for (size_t i = h->nr; i > 0 && n < WINDOW; i--) {
			const struct pause *o = h->of[i - 1];

			if (width == 2 || streq(width ? o->family : o->kind, width ? p->family : p->kind))
				usec[n++] = (uint64_t)((o->end - o->start) * USEC_PER_SEC);
		}
	}
	agentcg_keep_spread(usec, n, ret);
	return n * KEEP_SPREAD;
}

static void look_at_queue(struct engine *e, struct keep_view *v)
{
	uint64_t need = 0, coming = 0;

	for (size_t i = 0; i < e->nr; i++) {
		const struct session *s = &e->sessions[i];

		if (s->phase == QUEUED) {
			v->waiting += s->context + s->fresh + s->decoded;
			need += needs(s);
		}
		if (s->out)
			coming += s->held;
	}
	coming += CACHE - e->used;
	v->lacking = need > coming ? need - coming : 0;
}

/* When its cache is to go away; what it gains by that, per token. */
static double plan(struct engine *e, struct session *s)
{
	uint64_t usec[WINDOW * KEEP_SPREAD];
	struct keep_view v = {
		.tokens = s->held, .cache_tokens = CACHE, .bytes_per_token = BYTES, .prefill_rate = PREFILL,
		.offload_rate = e->offloads ? BANDWIDTH : 0, .restore_rate = e->offloads ? BANDWIDTH : 0,
		.host_free = HOST - e->host_used * BYTES,
		.elapsed_usec = (uint64_t)((e->now - s->began) * USEC_PER_SEC),
		.durations = { usec, durations(&e->history, &s->trace->pauses[s->turn], usec) },
	};
	struct keep_plan p;

	look_at_queue(e, &v);
	agentcg_keep_plan(&v, &p);
	s->act = p.keep_usec == UINT64_MAX ? INFINITY : fmax(e->now, s->began + (double)p.keep_usec / USEC_PER_SEC);
	s->drop = p.then == KEEP_DROP;
	return (agentcg_keep_cost(&v, UINT64_MAX) - p.cost) / (double)s->held;
}

/* All paused ones; whoever goes, and gains most by it, makes room for which the others need not go. */
static void plan_all(struct engine *e)
{
	for (;;) {
		struct session *best = NULL;
		double most = -1;

		for (size_t i = 0; i < e->nr; i++) {
			struct session *s = &e->sessions[i];
			double gain;

			if (s->phase != PAUSED || !s->held || s->out)
				continue;
			gain = plan(e, s);
			if (s->act <= e->now && gain > most) {
				most = gain;
				best = s;
			}
		}
		if (!best)
			return;
		put_away(e, best, !best->drop);
		admit(e);
	}
}

/* ---- events ---------------------------------------------------------------------- */

static void queue(struct engine *e, struct session *s)
{
	prepare(s);
	s->phase = QUEUED;
	s->until = INFINITY;
	s->ready = e->now;
	s->out = 0;
}

static void begin_pause(struct engine *e, struct session *s)
{
	const struct pause *p = &s->trace->pauses[s->turn];

	s->phase = PAUSED;
	s->began = e->now;
	s->until = e->now + p->end - p->start;
	s->act = e->policy->rule == TTL ? e->now + e->policy->ttl : INFINITY;
	e->look = true;
}

static void end_pause(struct engine *e, struct session *s)
{
	e->history.of[e->history.nr++] = &s->trace->pauses[s->turn];
	e->kept += s->held && !s->out;
	if (s->out) {	/* still there, the copy is not needed */
		e->host_used -= s->away;
		s->away = 0;
	}
	s->turn++;
	e->look = true;
	queue(e, s);
}

static void end_computing(struct engine *e, struct session *s)
{
	double delay = e->now - s->ready - (double)s->fresh / PREFILL;

	if (s->away) {
		e->host_used -= s->away;
		s->away = 0;
	}
	s->context += s->fresh + s->decoded;
	e->delayed += fmax(0, delay) * (double)s->context * PREFILL / CACHE;
	s->phase = THINKING;
	s->until = e->now + thinks(s);
}

static void end_thinking(struct engine *e, struct session *s)
{
	if (s->turn < s->trace->nr) {
		begin_pause(e, s);
		return;
	}
	drop(e, s);
	s->phase = OVER;
	s->until = INFINITY;
	e->end = e->now;
}

static void end_phase(struct engine *e, struct session *s)
{
	switch (s->phase) {
	case COMING:
		queue(e, s);
		break;
	case COPIED:
		compute(e, s, 0);
		break;
	case COMPUTED:
		end_computing(e, s);
		break;
	case THINKING:
		end_thinking(e, s);
		break;
	case PAUSED:
		end_pause(e, s);
		break;
	default:
		break;
	}
}

static double next_event(const struct engine *e, bool *over)
{
	double t = e->policy->rule == OURS ? e->poll : INFINITY;

	*over = true;
	for (size_t i = 0; i < e->nr; i++) {
		const struct session *s = &e->sessions[i];

		*over &= s->phase == OVER;
		t = fmin(t, s->until);
		if (s->phase == PAUSED) {
			t = fmin(t, s->act);
			if (s->out)
				t = fmin(t, s->out);
		}
	}
	return t;
}

static void run(struct engine *e)
{
	for (;;) {
		bool over;

		e->now = next_event(e, &over);
		if (over)
			return;
		if (isinf(e->now))
			die("simulation", "nobody can go on");
		for (size_t i = 0; i < e->nr; i++) {
			struct session *s = &e->sessions[i];

			if (s->until <= e->now)
				end_phase(e, s);
			else if (s->phase == PAUSED && s->out && s->out <= e->now)
				drop(e, s);
			else if (s->phase == PAUSED && s->act <= e->now)
				put_away(e, s, e->policy->rule == OURS ? !s->drop : true);
		}
		admit(e);
		if (e->policy->rule == OURS && (e->look || e->now >= e->poll)) {
			plan_all(e);
			e->look = false;
			e->poll = e->now + POLL;
		}
	}
}

/* ---- runs ------------------------------------------------------------------------ */

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x >> 12;
	*x ^= *x << 25;
	*x ^= *x >> 27;
	return *x * 0x2545f4914f6cdd1dULL >> 11;
}

static void make_sessions(struct engine *e, unsigned int load, uint64_t seed)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15ULL;
	double mean = 0, at = 0;

	e->nr = nr_traces * LIVES;
	for (size_t i = 0; i < e->nr; i++) {
		e->sessions[i] = (struct session){ .trace = &traces[i % nr_traces], .act = INFINITY };
		mean += traces[i % nr_traces].end / (double)e->nr;
	}
	for (size_t i = e->nr; i > 1; i--) {
		size_t j = next_random(&x) % i;
		struct session s = e->sessions[i - 1];

		e->sessions[i - 1] = e->sessions[j];
		e->sessions[j] = s;
	}
	for (size_t i = 0; i < e->nr; i++) {
		e->sessions[i].until = at;
		at += -log(((double)next_random(&x) + 1) / 0x1p53) * mean / load;
	}
}

static void print_runs(const struct policy *p, bool offloads, unsigned int load, unsigned int runs, bool last)
{
	static struct engine e;
	double cost[RUNS_MAX], recomputed = 0, delayed = 0;
	unsigned long kept = 0, offloaded = 0, dropped = 0;

	for (unsigned int i = 0; i < runs; i++) {
		e = (struct engine){ .policy = p, .offloads = offloads };
		make_sessions(&e, load, i);
		run(&e);
		cost[i] = e.recomputed + e.delayed;
		recomputed += e.recomputed / runs;
		delayed += e.delayed / runs;
		kept += e.kept;
		offloaded += e.offloaded;
		dropped += e.dropped;
	}
	printf("  {\"policy\": \"%s\", \"rule\": %d, \"recomputed\": %.0f, \"delayed\": %.0f, \"kept\": %lu, \"offloaded\": %lu, \"dropped\": %lu, \"cost\": [",
	       p->name, p->rule, recomputed, delayed, kept / runs, offloaded / runs, dropped / runs);
	for (unsigned int i = 0; i < runs; i++)
		printf("%s%.0f", i ? ", " : "", cost[i]);
	printf("]}%s\n", last ? "" : ",");
}

static const struct policy policies[] = {
	{ "always kept", KEEP, 0 },
	{ "always put away", TTL, 0 },
	{ "kept for 0.5 s", TTL, 0.5 },
	{ "kept for 1 s", TTL, 1 },
	{ "kept for 2 s", TTL, 2 },
	{ "kept for 4 s", TTL, 4 },
	{ "kept for 8 s", TTL, 8 },
	{ "kept for 16 s", TTL, 16 },
	{ "kept for 32 s", TTL, 32 },
	{ "evicted on demand", ON_DEMAND, 0 },
	{ "by keep.c", OURS, 0 },
};

int main(int argc, char **argv)
{
	static const unsigned int loads[] = { 4, 8, 12 };
	unsigned int runs = argc > 2 ? (unsigned int)atoi(argv[2]) : 20;

	if (argc < 2 || !runs || runs > RUNS_MAX) {
		fprintf(stderr, "Usage: workers-keep FOLDER [RUNS, 1 to %d]\n", RUNS_MAX);
		return 2;
	}
	load(argv[1]);
	printf("{\"sessions\": %zu, \"pauses\": %zu, \"engines\": [\n", nr_traces * LIVES, nr_pauses * LIVES);
	for (int offloads = 0; offloads < 2; offloads++) {
		for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
			printf(" {\"offloads\": %s, \"load\": %u, \"policies\": [\n", offloads ? "true" : "false", loads[i]);
			for (size_t j = 0; j < ARRAY_SIZE(policies); j++)
				print_runs(&policies[j], offloads, loads[i], runs, j + 1 == ARRAY_SIZE(policies));
			printf(" ]}%s\n", offloads && i + 1 == ARRAY_SIZE(loads) ? "" : ",");
		}
	}
	printf("]}\n");
	return 0;
}
