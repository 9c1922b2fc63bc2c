// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"
#include "tap.h"
#include "util.h"

static void expect_text(const char *in, const char *out)
{
	char text[AGENTCG_CPUS_TEXT_MAX] = "";
	struct cpus s;
	int r = cpus_parse(in, &s);

	if (r == 0)
		cpus_format(&s, text);
	tap_ok(r == 0 && streq(text, out), "'%.*s' is '%s'", (int)strcspn(in, "\n"), in, out);
}

static void expect_error(const char *in, int error)
{
	struct cpus s = { .bits = { 5 } };
	int r = cpus_parse(in, &s);

	tap_ok(r == error && s.bits[0] == 5, "'%s' is refused (%d)", in, error);
}

static void texts(void)
{
	expect_text("", "");
	expect_text("\t\n", "");
	expect_text("0\n", "0");
	expect_text("0-3,8", "0-3,8");
	expect_text("0-1", "0-1");
	expect_text("8,0-3,3-5,2", "0-5,8");
	expect_text("007", "7");
	expect_text("\t1023 ", "1023");
	expect_text("0-1023", "0-1023");
	expect_text("63-64,128", "63-64,128");
	expect_error("1024", -ERANGE);
	expect_error("0-4294967296", -ERANGE);
	expect_error("99999999999999999999", -ERANGE);
	expect_error("3-1", -EINVAL);
	expect_error("1,", -EINVAL);
	expect_error(",1", -EINVAL);
	expect_error("1,,2", -EINVAL);
	expect_error("1-", -EINVAL);
	expect_error("-1", -EINVAL);
	expect_error("1 2", -EINVAL);
	expect_error("1, 2", -EINVAL);
	expect_error("0x3", -EINVAL);
	expect_error("all", -EINVAL);
	expect_error("0-3:1/2", -EINVAL);
}

static void longest(void)
{
	char text[AGENTCG_CPUS_TEXT_MAX], again[AGENTCG_CPUS_TEXT_MAX];
	struct cpus pairs = {}, singles = {}, back;

	for (unsigned int n = 0; n < AGENTCG_CPUS_MAX; n++) {
		if (n % 3 != 2)
			cpus_add(&pairs, n);
		if (n % 2)
			cpus_add(&singles, n);
	}
	tap_ok(strlen(cpus_format(&pairs, text)) == 2673 && strlen(cpus_format(&singles, again)) < 2673 &&
	       cpus_parse(text, &back) == 0 && cpus_equal(&back, &pairs), "the longest set fits");
}

/* What a set is, in the plainest way. */
struct model {
	bool has[AGENTCG_CPUS_MAX];
};

static bool same(const struct cpus *s, const struct model *m)
{
	unsigned int count = 0, next = AGENTCG_CPUS_MAX;

	for (unsigned int n = AGENTCG_CPUS_MAX; n-- > 0;) {
		if (cpus_has(s, n) != m->has[n])
			return false;
		count += m->has[n];
		if (m->has[n])
			next = n;
		if (cpus_next(s, n) != next)
			return false;
	}
	return cpus_count(s) == count && cpus_empty(s) == !count;
}

/* Numbers in clusters, so that there are ranges. */
static void make(struct cpus *s, struct model *m)
{
	int clusters = rand() % 12;

	*s = (struct cpus){};
	*m = (struct model){};
	while (clusters--) {
		unsigned int n = rand() % (AGENTCG_CPUS_MAX + 10), end = n + rand() % 70;

		for (; n < end; n++) {
			cpus_add(s, n);
			if (n < AGENTCG_CPUS_MAX)
				m->has[n] = true;
		}
	}
}

static bool operations_agree(void)
{
	struct cpus a, b, s, back;
	struct model ma, mb, m;
	char text[AGENTCG_CPUS_TEXT_MAX];
	unsigned int n = rand() % AGENTCG_CPUS_MAX;
	bool meet = false, equal = true, agree;

	make(&a, &ma);
	make(&b, &mb);
	for (int i = 0; i < AGENTCG_CPUS_MAX; i++) {
		meet |= ma.has[i] && mb.has[i];
		equal &= ma.has[i] == mb.has[i];
	}
	agree = same(&a, &ma) && cpus_intersect(&a, &b) == meet && cpus_equal(&a, &b) == equal && cpus_equal(&a, &a);

	for (int op = 0; op < 3; op++) {
		s = a;
		(op == 0 ? cpus_or : op == 1 ? cpus_and : cpus_andnot)(&s, &b);
		for (int i = 0; i < AGENTCG_CPUS_MAX; i++)
			m.has[i] = op == 0 ? ma.has[i] || mb.has[i] : op == 1 ? ma.has[i] && mb.has[i] : ma.has[i] && !mb.has[i];
		agree = agree && same(&s, &m) && cpus_parse(cpus_format(&s, text), &back) == 0 && cpus_equal(&s, &back);
	}
	cpus_remove(&a, n);
	cpus_remove(&a, AGENTCG_CPUS_MAX + n);
	ma.has[n] = false;
	return agree && same(&a, &ma);
}

/* Any text is parsed or refused; what is parsed comes back the same. */
static bool garbage_is_handled(void)
{
	static const char letters[] = "0123456789,--,\n  x";
	char text[40], out[AGENTCG_CPUS_TEXT_MAX];
	struct cpus s = {}, back;
	int n = rand() % (sizeof(text) - 1), r;

	for (int i = 0; i < n; i++)
		text[i] = letters[rand() % (sizeof(letters) - 1)];
	text[n] = '\0';
	r = cpus_parse(text, &s);
	if (r < 0)
		return (r == -EINVAL || r == -ERANGE) && cpus_empty(&s);
	return cpus_parse(cpus_format(&s, out), &back) == 0 && cpus_equal(&s, &back);
}

int main(void)
{
	int agreed = 0, handled = 0;

	texts();
	longest();
	srand(1);
	for (int i = 0; i < 2000; i++)
		agreed += operations_agree();
	tap_ok(agreed == 2000, "sets do what arrays of truth values do");
	for (int i = 0; i < 100000; i++)
		handled += garbage_is_handled();
	tap_ok(handled == 100000, "no text is taken for something else");
	return tap_done();
}
