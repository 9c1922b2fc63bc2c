// SPDX-License-Identifier: GPL-2.0-only
#include "predict.h"
#include "tap.h"

static const struct predict_params params = {
	.percentile = 95, .margin = 20, .min_runs = 3, .scope_weight = 5, .limit_factor = 2,
	.request_min = 16 * MIB, .limit_min = 512 * MIB, .request = 128 * MIB,
};

static struct observation runs[AGENTCG_OBSERVATIONS_MAX + 10];

static struct observation ran(uint64_t mib)
{
	return (struct observation){
		.peak = mib * MIB, .duration_usec = mib * USEC_PER_SEC, .declared = AGENTCG_NONE,
		.granted = 64 * MIB, .limit = AGENTCG_NONE, .outcome = AGENTCG_OK,
	};
}

/* Was killed at its limit. */
static struct observation killed(uint64_t mib)
{
	struct observation o = ran(mib);

	o.limit = mib * MIB;
	o.outcome = AGENTCG_OOM_KILLED;
	return o;
}

static struct observation declared(uint64_t said_mib, uint64_t mib)
{
	struct observation o = ran(mib);

	o.declared = said_mib * MIB;
	return o;
}

/* From @nr runs of pytest alone. */
static struct prediction predict(const struct predict_params *p, size_t nr, uint64_t scope,
				 uint64_t declared, unsigned int trust)
{
	const struct observed_class class = { "pytest", runs, nr };
	struct prediction ret;

	agentcg_predict(p, &class, 1, scope, declared, trust, &ret);
	return ret;
}

static void is(const struct prediction *p, uint64_t mib, const char *text)
{
	tap_ok(p->request == mib * MIB && streq(p->text, text), "%s", p->text);
}

static void test_percentile(void)
{
	struct predict_params plain = params;
	struct prediction p;

	for (int i = 0; i < 41; i++)
		runs[i] = ran(500 + i);
	p = predict(&params, 41, 0, AGENTCG_NONE, 100);
	is(&p, 646, "646Mi: 95th percentile of 41 runs of pytest, plus 20 %");
	tap_ok(p.source == AGENTCG_FROM_HISTORY && p.limit == 1080 * MIB,
	       "the limit is twice the largest peak: %llu MiB", (unsigned long long)(p.limit / MIB));
	tap_ok(p.duration_usec == 520 * USEC_PER_SEC, "the median of how long they took");
	plain.margin = 0;
	plain.percentile = 50;
	p = predict(&plain, 40, 0, AGENTCG_NONE, 100);
	is(&p, 519, "519Mi: 50th percentile of 40 runs of pytest");
	plain.percentile = 1;
	p = predict(&plain, 40, 0, AGENTCG_NONE, 100);
	is(&p, 500, "500Mi: 1st percentile of 40 runs of pytest");
	for (int i = 0; i < 10; i++)
		runs[i] = ran(2);
	p = predict(&params, 10, 0, AGENTCG_NONE, 100);
	tap_ok(p.request == 16 * MIB && p.limit == 512 * MIB, "not below what is sensible");
	plain.limit_factor = 0;
	p = predict(&plain, 10, 0, AGENTCG_NONE, 100);
	tap_ok(p.limit == AGENTCG_NONE, "no limit if none is wanted");
	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		runs[i] = ran(i < AGENTCG_OBSERVATIONS_MAX ? 100 : 1000);
	p = predict(&plain, ARRAY_SIZE(runs), 0, AGENTCG_NONE, 100);
	tap_ok(p.request == 100 * MIB && strstr(p.text, "of 64 runs"),
	       "no more runs than there is room for");
}

static void test_censored(void)
{
	struct predict_params half = params;
	struct prediction p;
	struct observation o;

	half.percentile = 50;
	half.margin = 0;
	/* Of four, two were killed at 100: they needed more, so half need 300 at least. */
	runs[0] = killed(100);
	runs[1] = ran(50);
	runs[2] = killed(100);
	runs[3] = ran(300);
	p = predict(&half, 4, 0, AGENTCG_NONE, 100);
	tap_ok(p.request == 300 * MIB, "a killed run counts for more than it showed: %s", p.text);
	for (int i = 0; i < 4; i++)
		runs[i] = killed(100);
	p = predict(&half, 4, 0, AGENTCG_NONE, 100);
	tap_ok(p.request == 200 * MIB, "nothing but killed ones: twice as much");
	tap_ok(p.limit == 512 * MIB, "a limit that was hit is doubled as well");
	runs[0] = killed(1000);
	p = predict(&half, 4, 0, AGENTCG_NONE, 100);
	tap_ok(p.limit == 4000 * MIB, "from the doubled peak");
	/* Of ten, 0.9 are above 10, 0.9 * 7/8 above 30, and 0.9 * 7/8 * 6/7 above 40. */
	for (int i = 0; i < 10; i++)
		runs[i] = i == 1 ? killed(20) : ran(10 + 10 * i);
	half.percentile = 25;
	p = predict(&half, 10, 0, AGENTCG_NONE, 100);
	tap_ok(p.request == 40 * MIB, "who was killed has left before the others: %s", p.text);
	o = ran(100);
	o.limit = 100 * MIB;
	tap_ok(agentcg_observation_censored(&o), "who filled its limit may have needed more");
	o.limit++;
	tap_ok(!agentcg_observation_censored(&o), "who did not has shown its peak");
	o.outcome = AGENTCG_KILLED_BY_POLICY;
	tap_ok(agentcg_observation_censored(&o), "not if it was killed");
	o.outcome = AGENTCG_TIMEOUT;
	tap_ok(!agentcg_observation_censored(&o), "but who ran too long has");
	for (int i = 0; i < 4; i++)
		runs[i] = ran(10);
	runs[3].outcome = AGENTCG_TIMEOUT;
	runs[2].outcome = AGENTCG_TIMEOUT;
	runs[1].outcome = AGENTCG_TIMEOUT;
	p = predict(&half, 4, 0, AGENTCG_NONE, 100);
	tap_ok(p.duration_usec == 20 * USEC_PER_SEC, "it may take longer than until its timeout");
}

static void test_scope(void)
{
	struct predict_params half = params;
	struct prediction p;

	half.percentile = 50;
	half.margin = 0;
	for (int i = 0; i < 10; i++) {
		runs[i] = ran(i < 7 ? 50 : 900);
		runs[i].scope = i < 7 ? 1 : 2;
	}
	p = predict(&half, 10, 2, AGENTCG_NONE, 100);
	tap_ok(p.request == 900 * MIB, "three runs of the same scope outweigh seven others");
	p = predict(&half, 10, 3, AGENTCG_NONE, 100);
	tap_ok(p.request == 50 * MIB, "in a new scope they do not");
	tap_ok(p.limit == 1800 * MIB, "but they count for its limit");
	p = predict(&half, 10, 1, AGENTCG_NONE, 100);
	tap_ok(p.limit == 512 * MIB, "until it has runs of its own");
	for (int i = 7; i < 10; i++)
		runs[i].scope = 0;
	p = predict(&half, 10, 0, AGENTCG_NONE, 100);
	tap_ok(p.request == 50 * MIB, "no scope is no common scope");
}

static void test_wider(void)
{
	struct observed_class classes[3] = {
		{ "git clone", runs, 0 }, { "git, any command", runs, 2 },
		{ "any command", runs, 20 },
	};
	struct prediction p;

	for (int i = 0; i < 20; i++)
		runs[i] = ran(100);
	agentcg_predict(&params, classes, 3, 0, AGENTCG_NONE, 100, &p);
	is(&p, 120, "120Mi: 95th percentile of 20 runs of any command, plus 20 %, as git clone never ran");
	classes[0].nr = 1;
	classes[1].nr = 3;
	agentcg_predict(&params, classes, 3, 0, AGENTCG_NONE, 100, &p);
	is(&p, 120, "120Mi: 95th percentile of 3 runs of git, any command, plus 20 %, as git clone ran only 1 time");
	agentcg_predict(&params, classes, 1, 0, AGENTCG_NONE, 100, &p);
	is(&p, 128, "128Mi: the policy's, as git clone ran only 1 time");
	tap_ok(p.source == AGENTCG_FROM_POLICY && p.limit == AGENTCG_NONE &&
	       p.duration_usec == AGENTCG_NONE, "nothing is made up");
	agentcg_predict(&params, NULL, 0, 0, AGENTCG_NONE, 100, &p);
	is(&p, 128, "128Mi: the policy's");
}

static void test_declared(void)
{
	struct prediction p;

	p = predict(&params, 0, 0, 2 * GIB, 10);
	is(&p, 2048, "2Gi: as declared");
	for (int i = 0; i < 64; i++)
		runs[i] = ran(100);
	p = predict(&params, 64, 0, 2 * GIB, 100);
	is(&p, 2048, "2Gi: as declared");
	tap_ok(p.limit == 2 * GIB, "and the limit leaves room for it");
	p = predict(&params, 64, 0, 2 * GIB, 25);
	is(&p, 776, "776Mi: 2Gi declared, trusted 34 %, and 120Mi, 95th percentile of 64 runs of pytest, plus 20 %");
	tap_ok(p.source == AGENTCG_FROM_BOTH, "both have a say");
	p = predict(&params, 8, 0, 2 * GIB, 0);
	tap_ok(p.source == AGENTCG_FROM_BOTH && strstr(p.text, "trusted 50 %"),
	       "eight runs have half of it: %s", p.text);
	p = predict(&params, 64, 0, 2 * GIB, 1000);
	tap_ok(p.request == 2 * GIB, "no trust is more than full");
	p = predict(&params, 64, 0, UINT64_MAX - 1, 50);
	tap_ok(p.request > GIB && p.request < UINT64_MAX / 2, "absurd sizes do not overflow");
}

static void test_trust(void)
{
	for (int i = 0; i < 36; i++)
		runs[i] = declared(1000, 100);
	tap_ok(agentcg_predict_trust(runs, 0) == 100, "at first all are trusted");
	tap_ok(agentcg_predict_trust(runs, 36) == 23, "ten times too much: %u %%",
	       agentcg_predict_trust(runs, 36));
	tap_ok(agentcg_predict_trust(runs, 1) > 80, "once is no habit: %u %%",
	       agentcg_predict_trust(runs, 1));
	for (int i = 0; i < 36; i++)
		runs[i] = declared(150, 100);
	tap_ok(agentcg_predict_trust(runs, 36) == 100, "half as much again is right");
	for (int i = 0; i < 36; i++)
		runs[i] = declared(32, 1);
	tap_ok(agentcg_predict_trust(runs, 36) == 100, "and so are 32 MiB for something small");
	for (int i = 0; i < 36; i++)
		runs[i] = declared(50, 500);
	tap_ok(agentcg_predict_trust(runs, 36) == 19, "too little is as wrong as too much: %u %%",
	       agentcg_predict_trust(runs, 36));
	for (int i = 0; i < 36; i++) {
		runs[i] = killed(100);
		runs[i].declared = GIB;
	}
	tap_ok(agentcg_predict_trust(runs, 36) == 100, "of a killed run nobody knows whether it was too much");
	for (int i = 0; i < 36; i++)
		runs[i] = ran(100);
	tap_ok(agentcg_predict_trust(runs, 36) == 100, "who says nothing says nothing wrong");
}

int main(void)
{
	test_percentile();
	test_censored();
	test_scope();
	test_wider();
	test_declared();
	test_trust();
	return tap_done();
}
