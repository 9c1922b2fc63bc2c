// SPDX-License-Identifier: GPL-2.0-only
/*
 * How good are grants from history (figure 3.5)?  The calls of the traces in
 * a folder are predicted one after another by the daemon's own kind.c and
 * predict.c, each from the calls before it only, and then observed.
 *
 *	intents-grants FOLDER [ORDERS]	prints one JSON object; with LIST set in
 *					the environment, also each call on stderr
 *
 * What is replayed: one user's sessions, whole ones one after another, once in
 * the order of their names and then in ORDERS orders that are shuffled from
 * fixed seeds.  A session is a scope of the predictor.  Calls are those of Bash:
 * the other tools run in the agent's own process and have no leaf.
 *
 * The true peak p of a call: the traces have one sample a second (1.04 s apart)
 * of the whole container, of which the agent is some 185 MiB.  So p is the
 * largest sample between start and end of the call less the base, the last sample
 * before its start that lies in no call; 4 MiB at least (a shell and one
 * program; what the agent itself grows in 9 s without a call is 2.5 MiB in the median
 * and 15 at the 95th percentile, so less cannot be told from noise).  Three
 * things this cannot know:
 *  - The agent's own growth and its garbage collection are in p.
 *  - What comes and goes between two samples is missed: p is a lower bound,
 *    and the same command with the same work may show 80 MiB or 4.
 *  - Calls with no sample in them (about a third; 0.1 s each, mostly grep, ls
 *    and git) and calls that overlap in time (whose share of a sample is not
 *    known) have no p.  They are neither scored nor learned from.  As if they had
 *    used 4 MiB each, they are in the figures named "all".
 *
 * The grant is a request r (bytes that the pool keeps free for the call) and a
 * limit l (memory.max).  A call hits its limit if p > l; it is then observed
 * as killed at l, so predictors learn no more than they would.  A call that
 * needs more than r and less than l gets it, while there is room.
 *
 * Reserved on average is what others cannot have, to what was needed:
 *	reserved      sum of max(r, p) / sum of p
 *	reserved_time the same, each call weighted by its duration: what a pool
 *	              sees, bytes times seconds
 * max(), so that requesting too little gains nothing.  Also given: requested,
 * sum of r / sum of p; above, the part of the calls with p > r; and lacking,
 * sum of max(0, p - r) / sum of p, what has to come from headroom and reserve.
 *
 * The predictors that it is compared with use one number for r and l, as cgroup
 * limits do: fixed ones, 1.2 times the last run of the kind (of this session, else of
 * any), and the 95th percentile of the history and a fifth.  To tell what the
 * request contributes, fixed ones and the last run also with our limit.
 *
 * The one parameter that was fitted is the percentile of the request: the largest
 * with which neither reserved nor reserved_time exceeds 1.45, so that there is
 * something left to the bound of 1.5.  How well this choice carries over
 * is cross-validated: the sessions are dealt into 6 folds; for each the percentile
 * is chosen on the other five alone, and then scored on the calls of the fold.
 * The limit (twice the largest peak, 512 MiB at least) was set by reason: the
 * largest of n runs is exceeded by the next once in n + 1 times, and rarely twofold.
 * The weight of a run of the same scope (30), the window (64 runs) and the least
 * request (16 MiB) were chosen by hand, with all of these traces in view, from
 * a few values each; between 5 and 100, 64 and 256, 0 and 16 little changes.
 */
#include <dirent.h>

#include "kind.h"
#include "predict.h"

#define CALLS_MAX	1024	/* of Bash, in all traces */
#define SESSIONS_MAX	64
#define PEAK_MIN	(4 * MIB)
#define POLICY_REQUEST	(128 * MIB)
#define FOLDS		6
#define FIT_BOUND	1.45

struct replayed {
	char kind[AGENTCG_KIND_MAX];
	char family[AGENTCG_KIND_MAX];
	unsigned int session;
	double start, end;
	uint64_t peak;
	bool measured;
};

struct session {
	char name[256];
	size_t first, nr;	/* its calls */
};

static struct replayed calls[CALLS_MAX];
static size_t nr_calls;
static struct session sessions[SESSIONS_MAX];
static size_t nr_sessions;

struct score {
	double calls, hits, above, peaks, requests, kept, peak_seconds, kept_seconds, limits;
	double all_peaks, all_kept, lacking;
};

enum method {
	HISTORY,
	ONE_NUMBER,		/* request and limit are the same */
	FIXED,
	LAST_RUN,
	FIXED_REQUEST,		/* with the limit from history */
	LAST_RUN_REQUEST,
};

struct predictor {
	enum method method;
	uint64_t fixed;
	struct predict_params params;
};

/* What the predictor has seen, newest last, as the daemon's history would give it. */
struct memory {
	struct observation runs[CALLS_MAX];
	const struct replayed *calls[CALLS_MAX];
	size_t n;
};

/* ---- traces ----------------------------------------------------------------- */

__attribute__((noreturn))
static void die(const char *file, const char *what)
{
	fprintf(stderr, "intents-grants: %s: %s\n", file, what);
	exit(2);
}

static void read_file(const char *path, char **text)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	size_t size = 0;

	if (!f || getdelim(text, &size, 0, f) <= 0)
		die(path, "cannot be read");
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
			if (*p == 'u' && strlen(p) > 4) {
				p += 4;
				c = '?';
			}
		}
		if (n + 1 < max)
			to[n++] = c;
	}
	to[n] = 0;
	return p + (*p == '"');
}

struct sample {
	double time, mib;
};

static size_t read_samples(const char *path, const char *text, struct sample *s, size_t max)
{
	const char *p = strstr(text, "\"samples\":[");
	size_t n = 0;
	int used;

	if (!p)
		die(path, "has no samples");
	for (p += strlen("\"samples\":["); n < max; p += used, n++) {
		p += strspn(p, "\n, ");
		used = 0;
		if (sscanf(p, "[%lf,%lf,%*f]%n", &s[n].time, &s[n].mib, &used) < 2 || !used)
			break;
	}
	return n;
}

static void read_calls(const char *path, const char *text)
{
	struct session *s = &sessions[nr_sessions];
	const char *p = strstr(text, "\"tool_calls\":[");

	if (!p)
		die(path, "has no tool calls");
	s->first = nr_calls;
	for (p += strlen("\"tool_calls\":[");;) {
		struct replayed *c = &calls[nr_calls];
		char tool[64], line[1024];
		int used = 0;

		p += strspn(p, "\n, ");
		if (sscanf(p, "[%lf,%lf,%n", &c->start, &c->end, &used) < 2 || !used)
			break;
		p = read_string(p + used + strspn(p + used, " "), tool, sizeof(tool));
		p += strspn(p, ", ");
		p = read_string(p, line, sizeof(line));
		p += strcspn(p, "]");
		p += *p == ']';
		if (!streq(tool, "Bash"))
			continue;
		if (nr_calls == CALLS_MAX - 1)
			die(path, "too many calls");
		agentcg_kind_of_line(c->kind, line, strlen(line));
		agentcg_kind_family(c->family, c->kind);
		c->session = nr_sessions;
		nr_calls++;
	}
	s->nr = nr_calls - s->first;
}

static bool in_a_call(const struct session *s, double time)
{
	for (size_t i = s->first; i < s->first + s->nr; i++)
		if (calls[i].start <= time && time <= calls[i].end)
			return true;
	return false;
}

static void measure(const struct session *s, struct replayed *c, const struct sample *samples,
		    size_t n)
{
	double base = -1, most = -1;

	for (size_t i = 0; i < n; i++) {
		double t = samples[i].time;

		if (t < c->start && !in_a_call(s, t))
			base = samples[i].mib;
		if (t >= c->start && t <= c->end && samples[i].mib > most)
			most = samples[i].mib;
	}
	c->measured = base >= 0 && most >= 0;
	for (size_t i = s->first; i < s->first + s->nr; i++)
		if (&calls[i] != c && calls[i].start < c->end && c->start < calls[i].end)
			c->measured = false;
	c->peak = PEAK_MIN;
	if (c->measured && most > base)
		c->peak = max_u64(PEAK_MIN, (uint64_t)((most - base) * MIB));
}

static int is_trace(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && streq(dot, ".json");
}

static void load(const char *folder)
{
	static struct sample samples[16384];
	struct dirent **list;
	int n = scandir(folder, &list, is_trace, alphasort);

	if (n <= 0)
		die(folder, "no traces");
	for (int i = 0; i < n && nr_sessions < SESSIONS_MAX; i++) {
		struct session *s = &sessions[nr_sessions];
		_cleanup_free_ char *text = NULL;
		char path[4096];
		size_t nr;

		snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name);
		snprintf(s->name, sizeof(s->name), "%s", list[i]->d_name);
		read_file(path, &text);
		nr = read_samples(path, text, samples, ARRAY_SIZE(samples));
		read_calls(path, text);
		for (size_t j = s->first; j < s->first + s->nr; j++)
			measure(s, &calls[j], samples, nr);
		nr_sessions++;
		free(list[i]);
	}
	free(list);
}

/* ---- predictors ------------------------------------------------------------- */

/* The newest runs that count, as many as the daemon reads. */
static size_t window(const struct memory *m, const struct replayed *c, int width,
		     struct observation *out)
{
	size_t n = 0;

	for (size_t i = m->n; i > 0 && n < AGENTCG_OBSERVATIONS_MAX; i--) {
		const struct replayed *o = m->calls[i - 1];

		if (width == 2 || streq(width ? o->family : o->kind, width ? c->family : c->kind))
			out[n++] = m->runs[i - 1];
	}
	return n;
}

static void from_history(const struct predictor *p, const struct memory *m,
			 const struct replayed *c, struct prediction *ret)
{
	static struct observation runs[3][AGENTCG_OBSERVATIONS_MAX];
	struct observed_class classes[3] = {
		{ .name = c->kind }, { .name = c->family }, { .name = "any command" },
	};

	for (int i = 0; i < 3; i++) {
		classes[i].runs = runs[i];
		classes[i].nr = window(m, c, i, runs[i]);
	}
	agentcg_predict(&p->params, classes, 3, c->session + 1, AGENTCG_NONE, 100, ret);
	if (p->method == ONE_NUMBER)
		ret->limit = ret->request;
}

static uint64_t last_run(const struct memory *m, const struct replayed *c)
{
	uint64_t any = 0;

	for (size_t i = m->n; i > 0; i--) {
		const struct observation *o = &m->runs[i - 1];
		/* What was killed gets twice as much. */
		uint64_t peak = o->peak << agentcg_observation_censored(o);

		if (!streq(m->calls[i - 1]->kind, c->kind))
			continue;
		if (m->calls[i - 1]->session == c->session)
			return peak + peak / 5;
		any = any ?: peak + peak / 5;
	}
	return any ?: POLICY_REQUEST;
}

static void grant(const struct predictor *p, const struct memory *m, const struct replayed *c,
		  struct prediction *ret)
{
	*ret = (struct prediction){};
	switch (p->method) {
	case HISTORY:
	case ONE_NUMBER:
		from_history(p, m, c, ret);
		break;
	case FIXED:
		ret->request = p->fixed;
		ret->limit = p->fixed;
		break;
	case LAST_RUN:
		ret->request = last_run(m, c);
		ret->limit = ret->request;
		break;
	case FIXED_REQUEST:
	case LAST_RUN_REQUEST:
		from_history(p, m, c, ret);
		ret->request = p->method == FIXED_REQUEST ? p->fixed : last_run(m, c);
		ret->limit = max_u64(ret->limit, ret->request);
		break;
	}
}

static void observe(struct memory *m, const struct replayed *c, const struct prediction *g)
{
	bool hit = c->peak > g->limit;

	m->calls[m->n] = c;
	m->runs[m->n++] = (struct observation){
		.scope = c->session + 1,
		.peak = hit ? g->limit : c->peak,
		.duration_usec = (uint64_t)((c->end - c->start) * USEC_PER_SEC),
		.declared = AGENTCG_NONE, .granted = g->request, .limit = g->limit,
		.outcome = hit ? AGENTCG_OOM_KILLED : AGENTCG_OK,
	};
}

static void count(struct score *s, const struct replayed *c, const struct prediction *g)
{
	double p = c->peak, r = g->request, kept = p > r ? p : r, seconds = c->end - c->start;

	s->all_peaks += p;
	s->all_kept += kept;
	if (!c->measured)
		return;
	s->calls++;
	s->hits += c->peak > g->limit;
	s->above += p > r;
	s->peaks += p;
	s->requests += r;
	s->kept += kept;
	s->lacking += kept - r;
	s->peak_seconds += p * seconds;
	s->kept_seconds += kept * seconds;
	/* No limit of its own: the session's or the pool's; counted as 2 GiB. */
	s->limits += g->limit == AGENTCG_NONE ? 2.0 * GIB : (double)g->limit;
}

/* Replays the sessions in @order that are in @replay, scores those in @scored. */
static void replay(const struct predictor *p, const unsigned int *order, uint64_t replay_set,
		   uint64_t scored, struct score *s)
{
	static struct memory m;

	m.n = 0;
	for (size_t i = 0; i < nr_sessions; i++) {
		const struct session *session = &sessions[order[i]];

		if (!(replay_set >> order[i] & 1))
			continue;
		for (size_t j = session->first; j < session->first + session->nr; j++) {
			struct prediction g;

			grant(p, &m, &calls[j], &g);
			if (scored >> order[i] & 1)
				count(s, &calls[j], &g);
			if (calls[j].measured)
				observe(&m, &calls[j], &g);
		}
	}
}

/* The order of names for seed 0, else shuffled (xorshift64*, Fisher-Yates). */
static void make_order(unsigned int *order, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL;

	for (size_t i = 0; i < nr_sessions; i++)
		order[i] = i;
	for (size_t i = nr_sessions; seed && i > 1; i--) {
		size_t j;
		unsigned int t;

		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		j = (x * 0x2545f4914f6cdd1dULL >> 33) % i;
		t = order[i - 1];
		order[i - 1] = order[j];
		order[j] = t;
	}
}

/* ---- output ----------------------------------------------------------------- */

static const struct {
	const char *name;
	size_t over, under;	/* a sum over a sum, fields of struct score */
	double factor;
} figures[] = {
#define OVER(name, a, b, factor)					\
	{ name, offsetof(struct score, a), offsetof(struct score, b), factor }
	OVER("hits_percent", hits, calls, 100),
	OVER("reserved", kept, peaks, 1),
	OVER("reserved_time", kept_seconds, peak_seconds, 1),
	OVER("requested", requests, peaks, 1),
	OVER("above_percent", above, calls, 100),
	OVER("lacking", lacking, peaks, 1),
	OVER("all_reserved", all_kept, all_peaks, 1),
	OVER("mean_limit_mib", limits, calls, 1.0 / MIB),
};

static double figure(const struct score *s, size_t i)
{
	const char *base = (const char *)s;

	return figures[i].factor * *(const double *)(base + figures[i].over) /
		*(const double *)(base + figures[i].under);
}

static void print_scores(const struct score *scores, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		printf("%s\"%s\": [", i ? ", " : "", figures[i].name);
		for (size_t j = 0; j < n; j++)
			printf("%s%.4g", j ? ", " : "", figure(&scores[j], i));
		putchar(']');
	}
}

static void run_all(const char *name, const struct predictor *p, unsigned int orders, bool last)
{
	struct score scores[64] = {};
	unsigned int order[SESSIONS_MAX];

	for (unsigned int i = 0; i <= orders; i++) {
		make_order(order, i);
		replay(p, order, UINT64_MAX, UINT64_MAX, &scores[i]);
	}
	printf("  {\"name\": \"%s\", ", name);
	print_scores(scores, orders + 1);
	printf("}%s\n", last ? "" : ",");
}

static const struct predict_params defaults = AGENTCG_PREDICT_DEFAULTS;

static void print_predictors(unsigned int orders)
{
	struct predictor p = { HISTORY, 0, defaults };
	char name[64];

	run_all("history", &p, orders, false);
	p.method = ONE_NUMBER;
	p.params.percentile = 95;
	p.params.margin = 20;
	run_all("history, one number", &p, orders, false);
	p.method = LAST_RUN;
	run_all("last run", &p, orders, false);
	p.method = LAST_RUN_REQUEST;
	p.params = defaults;
	run_all("last run, limit of history", &p, orders, false);
	p.method = FIXED_REQUEST;
	for (uint64_t mib = 32; mib <= 128; mib += mib == 64 ? 64 : 16) {
		p.fixed = mib * MIB;
		snprintf(name, sizeof(name), "fixed %u MiB, limit of history", (unsigned int)mib);
		run_all(name, &p, orders, false);
	}
	p.method = FIXED;
	for (uint64_t mib = 64; mib <= 2048; mib *= 2) {
		p.fixed = mib * MIB;
		snprintf(name, sizeof(name), "fixed %u MiB", (unsigned int)mib);
		run_all(name, &p, orders, mib == 2048);
	}
}

static void print_curve(unsigned int orders)
{
	struct predictor p = { HISTORY, 0, defaults };
	char name[64];

	for (p.params.percentile = 50; p.params.percentile <= 95; p.params.percentile += 5) {
		snprintf(name, sizeof(name), "request p%u", p.params.percentile);
		run_all(name, &p, orders, false);
	}
	p.params = defaults;
	for (p.params.limit_factor = 1; p.params.limit_factor <= 4; p.params.limit_factor++) {
		for (unsigned int mib = 128; mib <= 1024; mib *= 2) {
			p.params.limit_min = mib * MIB;
			snprintf(name, sizeof(name), "limit %u x, min %u MiB",
				 p.params.limit_factor, mib);
			run_all(name, &p, orders, p.params.limit_factor == 4 && mib == 1024);
		}
	}
}

static void add(struct score *to, const struct score *s)
{
	for (size_t i = 0; i < sizeof(*s) / sizeof(double); i++)
		((double *)to)[i] += ((const double *)s)[i];
}

/* The largest percentile that keeps within the bound on @train, in all @orders together. */
static unsigned int fit(uint64_t train, unsigned int orders)
{
	struct predictor p = { HISTORY, 0, defaults };
	unsigned int best = 50, order[SESSIONS_MAX];

	for (p.params.percentile = 50; p.params.percentile <= 95; p.params.percentile += 5) {
		struct score s = {};

		for (unsigned int i = 0; i <= orders; i++) {
			make_order(order, i);
			replay(&p, order, train, train, &s);
		}
		if (s.kept <= FIT_BOUND * s.peaks &&
		    s.kept_seconds <= FIT_BOUND * s.peak_seconds)
			best = p.params.percentile;
	}
	return best;
}

static void print_cross_validation(unsigned int orders)
{
	struct score scores[64] = {};
	unsigned int deal[SESSIONS_MAX], order[SESSIONS_MAX];

	make_order(deal, 1000);
	printf(" \"percentiles\": [");
	for (unsigned int fold = 0; fold < FOLDS; fold++) {
		struct predictor p = { HISTORY, 0, defaults };
		uint64_t held_out = 0;

		for (size_t i = fold; i < nr_sessions; i += FOLDS)
			held_out |= 1ULL << deal[i];
		p.params.percentile = fit(~held_out, orders);
		printf("%s%u", fold ? ", " : "", p.params.percentile);
		for (unsigned int i = 0; i <= orders; i++) {
			struct score s = {};

			make_order(order, i);
			replay(&p, order, UINT64_MAX, held_out, &s);
			add(&scores[i], &s);
		}
	}
	printf("],\n ");
	print_scores(scores, orders + 1);
	printf(",\n \"fit_on_all\": %u", fit(UINT64_MAX, orders));
}

int main(int argc, char **argv)
{
	unsigned int orders = argc > 2 ? (unsigned int)atoi(argv[2]) : 20;
	unsigned int measured = 0;

	if (argc < 2 || orders > 63) {
		fprintf(stderr, "Usage: intents-grants FOLDER [ORDERS, at most 63]\n");
		return 2;
	}
	load(argv[1]);
	for (size_t i = 0; i < nr_calls; i++) {
		measured += calls[i].measured;
		if (getenv("LIST"))
			fprintf(stderr, "%-30s %7.2f %6.0f %d %s\n", calls[i].kind,
				calls[i].end - calls[i].start, calls[i].peak / (double)MIB,
				calls[i].measured, sessions[calls[i].session].name);
	}
	printf("{\"sessions\": %zu, \"calls\": %zu, \"measured\": %u,\n\"predictors\": [\n",
	       nr_sessions, nr_calls, measured);
	print_predictors(orders);
	printf("],\n\"curve\": [\n");
	print_curve(orders);
	printf("],\n\"cross_validation\": {\n");
	print_cross_validation(orders);
	printf("\n}}\n");
	return 0;
}
