// SPDX-License-Identifier: GPL-2.0-only
#include "predict.h"

#include <stdarg.h>

#include "size.h"

#define SIZE(bytes)	agentcg_format_size((char[AGENTCG_TEXT_MAX]){}, (bytes))

/* Runs until the history has half of the say, where declarations are never right. */
#define CREDIBILITY_RUNS	8

/*
 * A declaration is right up to 1.5 times the peak, or 32 MiB above it: nobody
 * knows better, and a small call costs little.
 */
#define FAIR_PERCENT		150
#define FAIR_SLACK		(32 * MIB)
/* As many declarations that were right are taken for granted. */
#define TRUST_PRIOR		4

/* Far above any memory, far below where sums of these overflow. */
#define BYTES_MAX		(64 * 1024 * TIB)

struct point {
	uint64_t value;
	unsigned int weight;
	bool censored;
};

struct points {
	struct point v[AGENTCG_OBSERVATIONS_MAX];
	size_t n;
};

bool agentcg_observation_censored(const struct observation *o)
{
	return o->outcome == AGENTCG_OOM_KILLED || o->outcome == AGENTCG_KILLED_BY_POLICY ||
		(o->limit != AGENTCG_NONE && o->peak >= o->limit);
}

/* Of equal values, one that is only known not to be less comes last. */
static int compare(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	if (x->censored != y->censored)
		return x->censored ? 1 : -1;
	return 0;
}

static void add(struct points *p, uint64_t value, unsigned int weight, bool censored)
{
	p->v[p->n++] = (struct point){ min_u64(value, BYTES_MAX), weight, censored };
}

/*
 * The smallest value that @percent of all do not exceed, by the product-limit
 * estimate: at each value the part that got this far shrinks by those whose
 * value this is.
 */
static uint64_t percentile(struct points *p, unsigned int percent)
{
	uint64_t at_risk = 0;
	double above = 1;

	qsort(p->v, p->n, sizeof(*p->v), compare);
	for (size_t i = 0; i < p->n; i++)
		at_risk += p->v[i].weight;
	for (size_t i = 0; i < p->n; i++) {
		if (!p->v[i].censored)
			above *= 1 - (double)p->v[i].weight / (double)at_risk;
		at_risk -= p->v[i].weight;
		/* The sum of weights that make up a percent exactly is not exact. */
		if (!p->v[i].censored && above <= 1 - percent / 100.0 + 0.000000001)
			return p->v[i].value;
	}
	/* What remains has no end in sight. */
	return 2 * p->v[p->n - 1].value;
}

static unsigned int weight(const struct predict_params *params, const struct observation *o,
			   uint64_t scope)
{
	return scope && o->scope == scope ? params->scope_weight : 1;
}

static size_t nr_runs(const struct observed_class *class)
{
	return min_u64(class->nr, AGENTCG_OBSERVATIONS_MAX);
}

static void gather_peaks(const struct predict_params *params, const struct observed_class *class,
			 uint64_t scope, struct points *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < nr_runs(class); i++)
		add(ret, class->runs[i].peak, weight(params, &class->runs[i], scope),
		    agentcg_observation_censored(&class->runs[i]));
}

/* A run that was ended early says as little about how long it takes. */
static void gather_durations(const struct predict_params *params,
			     const struct observed_class *class, uint64_t scope, struct points *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < nr_runs(class); i++) {
		const struct observation *o = &class->runs[i];

		add(ret, o->duration_usec, weight(params, o, scope),
		    o->outcome == AGENTCG_TIMEOUT || o->outcome == AGENTCG_OOM_KILLED ||
		    o->outcome == AGENTCG_KILLED_BY_POLICY);
	}
}

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + MIB - 1) & ~(MIB - 1);
}

/*
 * Largest of the scope, if it has enough runs to go by, else of the class.
 * What has hit its limit gets twice that the next time.
 */
static uint64_t limit(const struct predict_params *params, const struct observed_class *class,
		      uint64_t scope)
{
	uint64_t own = 0, all = 0, best;
	size_t nr_own = 0;

	if (!params->limit_factor)
		return AGENTCG_NONE;
	for (size_t i = 0; i < nr_runs(class); i++) {
		const struct observation *o = &class->runs[i];
		uint64_t v = min_u64(o->peak, BYTES_MAX) << agentcg_observation_censored(o);

		all = max_u64(all, v);
		if (scope && o->scope == scope) {
			own = max_u64(own, v);
			nr_own++;
		}
	}
	best = nr_own >= params->min_runs ? own : all;
	return max_u64(params->limit_min, round_up(params->limit_factor * best));
}

_printf_(2, 3)
static void say(struct prediction *p, const char *format, ...)
{
	size_t n = strlen(p->text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(p->text + n, sizeof(p->text) - n, format, ap);
	va_end(ap);
}

static const char *ordinal(unsigned int n)
{
	static const char *const ends[] = { "th", "st", "nd", "rd" };

	return n % 100 / 10 != 1 && n % 10 < ARRAY_SIZE(ends) ? ends[n % 10] : ends[0];
}

static void say_rare(struct prediction *p, const struct observed_class *class)
{
	if (class->nr)
		say(p, ", as %s ran only %zu time%s", class->name, class->nr,
		    class->nr == 1 ? "" : "s");
	else
		say(p, ", as %s never ran", class->name);
}

static void say_history(struct prediction *p, const struct predict_params *params,
			const struct observed_class *used, const struct observed_class *narrow)
{
	say(p, "%u%s percentile of %zu run%s of %s", params->percentile,
	    ordinal(params->percentile), nr_runs(used), nr_runs(used) == 1 ? "" : "s", used->name);
	if (params->margin)
		say(p, ", plus %u %%", params->margin);
	if (used != narrow)
		say_rare(p, narrow);
}

/* Percent of a say that the declaration has against @nr runs of history. */
static unsigned int declared_share(unsigned int trust, size_t nr)
{
	trust = min_u64(trust, 100);
	return 100 - (100 - trust) * nr / (nr + CREDIBILITY_RUNS);
}

static const struct observed_class *choose(const struct predict_params *params,
					   const struct observed_class *classes, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (classes[i].nr && classes[i].nr >= params->min_runs)
			return &classes[i];
	return NULL;
}

static void blend(struct prediction *p, uint64_t declared, unsigned int share)
{
	uint64_t history = p->request;

	declared = min_u64(declared, BYTES_MAX);
	p->request = round_up((declared * share + history * (100 - share)) / 100);
	p->source = share == 100 ? AGENTCG_FROM_DECLARED : AGENTCG_FROM_BOTH;
	/* A declaration may be right about an unusual call: give it room. */
	if (p->limit != AGENTCG_NONE)
		p->limit = max_u64(p->limit, declared);
}

void agentcg_predict(const struct predict_params *params, const struct observed_class *classes,
		     size_t nr_classes, uint64_t scope, uint64_t declared, unsigned int trust,
		     struct prediction *ret)
{
	const struct observed_class *used = choose(params, classes, nr_classes);
	struct points points;
	unsigned int share = 100;
	uint64_t history = 0;

	*ret = (struct prediction){
		.request = params->request, .limit = AGENTCG_NONE, .duration_usec = AGENTCG_NONE,
	};
	if (used) {
		gather_peaks(params, used, scope, &points);
		history = percentile(&points, params->percentile);
		history = max_u64(round_up(history + history * params->margin / 100),
				  params->request_min);
		gather_durations(params, used, scope, &points);
		ret->duration_usec = percentile(&points, 50);
		snprintf(ret->of, sizeof(ret->of), "%s", used->name);
		ret->runs = nr_runs(used);
		ret->limit = max_u64(limit(params, used, scope), history);
		ret->request = history;
		ret->source = AGENTCG_FROM_HISTORY;
		share = declared_share(trust, nr_runs(used));
	}
	if (declared != AGENTCG_NONE)
		blend(ret, declared, share);

	say(ret, "%s: ", SIZE(ret->request));
	switch (ret->source) {
	case AGENTCG_FROM_POLICY:
		say(ret, "the policy's");
		if (nr_classes)
			say_rare(ret, &classes[0]);
		break;
	case AGENTCG_FROM_DECLARED:
		say(ret, "as declared");
		break;
	case AGENTCG_FROM_BOTH:
		say(ret, "%s declared, trusted %u %%, and %s, ", SIZE(declared), share,
		    SIZE(history));
		say_history(ret, params, used, &classes[0]);
		break;
	case AGENTCG_FROM_HISTORY:
		say_history(ret, params, used, &classes[0]);
		break;
	}
}

/* 0 to 100: how close @o's declaration came; -1: nothing can be said. */
static int accuracy(const struct observation *o)
{
	uint64_t peak = min_u64(o->peak, BYTES_MAX), declared = min_u64(o->declared, BYTES_MAX);
	uint64_t fair = max_u64(peak * FAIR_PERCENT / 100, peak + FAIR_SLACK);

	if (o->declared == AGENTCG_NONE)
		return -1;
	if (declared < peak)
		return (int)(100 * declared / peak);
	if (agentcg_observation_censored(o))
		return -1;	/* it may have needed all of that */
	return declared <= fair ? 100 : (int)(100 * fair / declared);
}

unsigned int agentcg_predict_trust(const struct observation *runs, size_t nr)
{
	uint64_t sum = 100 * TRUST_PRIOR, n = TRUST_PRIOR;

	for (size_t i = 0; i < nr; i++) {
		int a = accuracy(&runs[i]);

		if (a < 0)
			continue;
		sum += (unsigned int)a;
		n++;
	}
	return (unsigned int)(sum / n);
}
