// SPDX-License-Identifier: GPL-2.0-only
/* The order of the queue, whom it lets pass, and that nobody waits for ever. */
#include "queue.h"

#include "tap.h"

#define SEC	USEC_PER_SEC

static const struct queue_rules rules = { .timeout_usec = 60 * SEC, .pass_usec = 10 * SEC, .depth = 16 };

/* What each of @list lacks, by its arrival. */
static enum agentcg_lack look_up(const struct queue_entry *e, void *userdata)
{
	return ((const enum agentcg_lack *)userdata)[e->arrival];
}

static struct queue_entry entry(uint64_t arrival)
{
	return (struct queue_entry){
		.session_priority = 500, .priority = 500, .begin_by_usec = AGENTCG_QUEUE_NEVER,
		.arrival = arrival, .uid = 1000,
	};
}

static void test_order(void)
{
	struct queue_entry a = entry(1), b = entry(2);

	tap_ok(agentcg_queue_compare(&a, &b) < 0 && agentcg_queue_compare(&b, &a) > 0 &&
	       agentcg_queue_compare(&a, &a) == 0, "among equals: who came first");
	b.begin_by_usec = 100 * SEC;
	tap_ok(agentcg_queue_compare(&b, &a) < 0, "a deadline goes before none");
	a.begin_by_usec = 99 * SEC;
	tap_ok(agentcg_queue_compare(&a, &b) < 0, "less slack goes first");
	b.priority = 501;
	tap_ok(agentcg_queue_compare(&b, &a) < 0, "a higher priority goes before all slack");
	a.session_priority = 501;
	tap_ok(agentcg_queue_compare(&a, &b) < 0, "the session's comes before the call's own");
}

/* Asserts who is next at @now. */
static void next(struct queue_entry **list, size_t nr, enum agentcg_lack *lacks, uint64_t now,
		 size_t wanted, enum queue_verdict wanted_verdict, const char *text)
{
	enum queue_verdict verdict;
	size_t i = agentcg_queue_next(list, nr, &rules, now, look_up, lacks, &verdict);

	tap_ok(i == wanted && verdict == wanted_verdict, "%s (%zu, %d)", text, i, verdict);
}

static void test_passing(void)
{
	struct queue_entry a = entry(0), b = entry(1), *list[] = { &a, &b };
	enum agentcg_lack lacks[] = { AGENTCG_LACKS_POOL, AGENTCG_LACKS_NOTHING };

	next(list, 2, lacks, 5 * SEC, 1, AGENTCG_QUEUE_BEGIN, "one that fits passes one that does not");
	tap_ok(a.passed_usec == 5 * SEC && !b.passed_usec, "... which is noted");
	next(list, 2, lacks, 14 * SEC, 1, AGENTCG_QUEUE_BEGIN, "... for a while");
	next(list, 2, lacks, 15 * SEC, 2, AGENTCG_QUEUE_WAIT, "then not any more");
	lacks[0] = AGENTCG_LACKS_BUDGET;
	b.session = 1;
	next(list, 2, lacks, 15 * SEC, 1, AGENTCG_QUEUE_BEGIN, "a session's budget is kept from that session alone");
	lacks[0] = AGENTCG_LACKS_SESSION_CALLS;
	b.session = 0;
	next(list, 2, lacks, 15 * SEC, 2, AGENTCG_QUEUE_WAIT, "... so are its calls");
	lacks[0] = AGENTCG_LACKS_USER_CALLS;
	next(list, 2, lacks, 15 * SEC, 2, AGENTCG_QUEUE_WAIT, "a user's calls from that user");
	lacks[0] = AGENTCG_LACKS_USER_BUDGET;
	next(list, 2, lacks, 15 * SEC, 2, AGENTCG_QUEUE_WAIT, "... and its budget");
	b.uid = 1001;
	next(list, 2, lacks, 15 * SEC, 1, AGENTCG_QUEUE_BEGIN, "... alone");
	b.uid = 1000;
	lacks[0] = AGENTCG_LACKS_NOTHING;
	next(list, 2, lacks, 15 * SEC, 0, AGENTCG_QUEUE_BEGIN, "when there is room the one that was passed goes first");
	lacks[0] = AGENTCG_LACKS_AFTER;
	next(list, 2, lacks, 99 * SEC, 1, AGENTCG_QUEUE_BEGIN, "who comes after others keeps nothing");
}

static void test_timeout(void)
{
	struct queue_entry a = entry(0), b = entry(1), *list[] = { &a, &b };
	enum agentcg_lack lacks[] = { AGENTCG_LACKS_POOL, AGENTCG_LACKS_SESSION_CALLS };

	next(list, 2, lacks, 60 * SEC - 1, 2, AGENTCG_QUEUE_WAIT, "they wait until the timeout");
	tap_ok(agentcg_queue_due(list, 2, &rules) == 60 * SEC, "... which is known before");
	next(list, 2, lacks, 60 * SEC, 0, AGENTCG_QUEUE_BEGIN_ANYWAY, "then one begins without memory");
	lacks[0] = AGENTCG_LACKS_AFTER;
	next(list, 2, lacks, 60 * SEC, 1, AGENTCG_QUEUE_REFUSE, "one is not to be in spite of a quota");
	tap_ok(a.since_usec == 60 * SEC, "what it comes after is not counted");
	lacks[1] = AGENTCG_LACKS_NOTHING;
	lacks[0] = AGENTCG_LACKS_POOL;
	a.passed_usec = 1;
	b.since_usec = 30 * SEC;
	next(list, 2, lacks, 89 * SEC, 2, AGENTCG_QUEUE_WAIT, "one that is kept from the pool waits");
	a.since_usec = b.since_usec + 1;
	next(list, 2, lacks, 90 * SEC, 1, AGENTCG_QUEUE_BEGIN_ANYWAY, "... no longer than others");
	tap_ok(agentcg_queue_due(list, 0, &rules) == AGENTCG_QUEUE_NEVER, "nobody waits: nothing is due");
}

static size_t looks;

static enum agentcg_lack count_looks(const struct queue_entry *e, void *userdata)
{
	looks++;
	return AGENTCG_LACKS_POOL;
}

static void test_depth(void)
{
	struct queue_entry e[100], *list[100];
	enum queue_verdict verdict;

	for (size_t i = 0; i < 100; i++) {
		e[i] = entry(i);
		list[i] = &e[i];
		e[i].since_usec = 10 * SEC;
	}
	agentcg_queue_next(list, 100, &rules, 20 * SEC, count_looks, NULL, &verdict);
	tap_ok(looks == rules.depth, "so many are looked at: %zu", looks);
	e[90].since_usec = 0;
	tap_ok(agentcg_queue_next(list, 100, &rules, 60 * SEC, count_looks, NULL, &verdict) == 90 &&
	       verdict == AGENTCG_QUEUE_BEGIN_ANYWAY, "one whose time has come is found at any depth");
}

/* ---- all of it at random ------------------------------------------------ */

/*
 * A pool of 1000 in which requests of 1 to 1000 run for a while, in a step of
 * 100 ms; sessions 0 to 3 may have four calls each.
 */
#define POOL		1000
#define NR		3000
#define STEP		(SEC / 10)
#define CALLS		4

struct job {
	struct queue_entry e;		/* first */
	uint64_t request, duration, end;
	enum { AWAY, WAITS, RUNS, GONE } state;
};

struct world {
	struct job jobs[NR];
	struct queue_entry *list[NR];
	size_t nr;
	uint64_t used, anyway;		/* by those that run; of that by those that began without */
	unsigned int running, calls[4];
};

static enum agentcg_lack look_at_world(const struct queue_entry *e, void *userdata)
{
	const struct job *j = (const struct job *)e;
	const struct world *w = userdata;

	if (w->calls[e->session] >= CALLS)
		return AGENTCG_LACKS_SESSION_CALLS;
	return !w->running || w->used + j->request <= POOL ? AGENTCG_LACKS_NOTHING : AGENTCG_LACKS_POOL;
}

/* xorshift64: the same on every machine. */
static uint64_t random_below(uint64_t *seed, uint64_t n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed % n;
}

static void arrive(struct world *w, struct job *j, uint64_t now)
{
	size_t i;

	j->state = WAITS;
	j->e.since_usec = now;
	for (i = w->nr++; i && agentcg_queue_compare(&j->e, w->list[i - 1]) < 0; i--)
		w->list[i] = w->list[i - 1];
	w->list[i] = &j->e;
}

struct faults {
	unsigned int late, order, over, starved, quota, idle;
	uint64_t longest;
};

/* What has to hold of @i, which goes now. */
static void check_one(struct world *w, size_t i, enum queue_verdict verdict, uint64_t now, struct faults *f)
{
	const struct job *j = (const struct job *)w->list[i];
	uint64_t waited = now - j->e.since_usec;

	f->longest = max_u64(f->longest, waited);
	f->late += waited > rules.timeout_usec + STEP;
	f->quota += verdict != AGENTCG_QUEUE_REFUSE && w->calls[j->e.session] >= CALLS;
	if (verdict != AGENTCG_QUEUE_BEGIN) {
		f->late += waited < rules.timeout_usec;
		return;
	}
	f->over += w->running && w->used + j->request > POOL;
	for (size_t k = 0; k < i; k++) {
		const struct queue_entry *e = w->list[k];
		bool same = e->lack == AGENTCG_LACKS_POOL || e->session == j->e.session;

		/* It lacked nothing and nobody kept it back, or was passed for too long. */
		f->starved += same && e->passed_usec && now - e->passed_usec >= rules.pass_usec &&
			      e->lack != AGENTCG_LACKS_NOTHING;
		if (look_at_world(e, w) != AGENTCG_LACKS_NOTHING)
			continue;
		bool kept = false;

		for (size_t l = 0; l < k; l++)
			kept |= w->list[l]->passed_usec && now - w->list[l]->passed_usec >= rules.pass_usec;
		f->order += !kept;
	}
}

static void go(struct world *w, size_t i, enum queue_verdict verdict, uint64_t now)
{
	struct job *j = (struct job *)w->list[i];

	memmove(&w->list[i], &w->list[i + 1], (--w->nr - i) * sizeof(*w->list));
	j->state = verdict == AGENTCG_QUEUE_REFUSE ? GONE : RUNS;
	if (j->state == GONE)
		return;
	j->end = now + j->duration;
	w->used += j->request;
	w->running++;
	w->calls[j->e.session]++;
}

static void end_some(struct world *w, uint64_t now)
{
	for (size_t i = 0; i < NR; i++) {
		struct job *j = &w->jobs[i];

		if (j->state != RUNS || j->end > now)
			continue;
		j->state = GONE;
		w->used -= j->request;
		w->running--;
		w->calls[j->e.session]--;
	}
}

static bool all_gone(const struct world *w)
{
	for (size_t i = 0; i < NR; i++)
		if (w->jobs[i].state != GONE)
			return false;
	return true;
}

/* @load: in percent of what the pool could carry. */
static void simulate(uint64_t seed, unsigned int load)
{
	static struct world w;
	struct faults f = {};
	uint64_t now = STEP, due = STEP;
	unsigned int verdicts[4] = {};
	size_t arrived = 0;

	w = (struct world){};
	for (size_t i = 0; i < NR; i++) {
		struct job *j = &w.jobs[i];

		j->e = entry(i);
		j->e.session = (uint32_t)random_below(&seed, 4);
		j->e.session_priority = 250 * (1 + j->e.session / 2);
		j->request = random_below(&seed, 5) ? 1 + random_below(&seed, 200) : 1 + random_below(&seed, POOL);
		j->duration = random_below(&seed, 10 * SEC);
	}
	for (; !all_gone(&w) && now < 20000 * SEC; now += STEP) {
		enum queue_verdict verdict;
		size_t i;

		end_some(&w, now);
		for (; arrived < NR && due <= now; arrived++) {
			if (!random_below(&seed, 3))
				w.jobs[arrived].e.begin_by_usec = now + random_below(&seed, 30 * SEC);
			arrive(&w, &w.jobs[arrived], now);
			/* 1.8 calls of this kind run at once on average: 181 of 1000 for 5 s. */
			due += random_below(&seed, 2 * 90 * SEC / load);
		}
		while ((i = agentcg_queue_next(w.list, w.nr, &rules, now, look_at_world, &w, &verdict)) < w.nr) {
			check_one(&w, i, verdict, now, &f);
			verdicts[verdict]++;
			go(&w, i, verdict, now);
		}
		f.idle += w.nr && !w.running;
	}
	tap_ok(all_gone(&w), "load %u %%: all %u come to an end", load, NR);
	tap_ok(!f.late, "... nobody waits longer than the timeout, %.1f s at most", (double)f.longest / SEC);
	tap_ok(!f.order, "... nobody passes one that could begin");
	tap_ok(!f.starved, "... nor one that was passed for long");
	tap_ok(!f.over && !f.quota, "... and there is never too much but after the timeout");
	tap_ok(!f.idle, "... nor nothing while some wait");
	printf("# %u began, %u without memory, %u refused\n", verdicts[AGENTCG_QUEUE_BEGIN],
	       verdicts[AGENTCG_QUEUE_BEGIN_ANYWAY], verdicts[AGENTCG_QUEUE_REFUSE]);
}

int main(void)
{
	test_order();
	test_passing();
	test_timeout();
	test_depth();
	simulate(1, 60);
	simulate(2, 100);
	simulate(3, 300);
	return tap_done();
}
