// SPDX-License-Identifier: GPL-2.0-only
#include "priority.h"
#include "size.h"
#include "tap.h"
#include "util.h"

static void size_is(const char *text, uint64_t bytes)
{
	uint64_t v = 1;
	int r = agentcg_parse_size(text, &v, NULL);

	tap_ok(r == 0 && v == bytes, "size %s", text);
}

static void size_refused(const char *text, int error, const char *hint)
{
	char why[AGENTCG_WHY_MAX] = "";
	uint64_t v;
	int r = agentcg_parse_size(text, &v, why);

	tap_ok(r == error && strstr(why, hint), "no size: \"%s\": %s", text, why);
}

static void time_is(const char *text, uint64_t usec)
{
	uint64_t v = 1;
	int r = agentcg_parse_time(text, &v, NULL);

	tap_ok(r == 0 && v == usec, "time %s", text);
}

static void time_refused(const char *text, int error, const char *hint)
{
	char why[AGENTCG_WHY_MAX] = "";
	uint64_t v;
	int r = agentcg_parse_time(text, &v, why);

	tap_ok(r == error && strstr(why, hint), "no time: \"%s\": %s", text, why);
}

static void formats(uint64_t bytes, const char *exact, const char *rounded)
{
	char buf[AGENTCG_TEXT_MAX];
	uint64_t back = bytes;

	tap_ok(streq(agentcg_format_size(buf, bytes), exact), "%s exactly: %s", exact, buf);
	tap_ok(bytes == UINT64_MAX || (agentcg_parse_size(buf, &back, NULL) == 0 && back == bytes),
	       "%s is read as it was written", exact);
	if (rounded)
		tap_ok(streq(agentcg_format_bytes(buf, bytes), rounded), "%s for people: %s", rounded, buf);
}

static void time_format(uint64_t usec, const char *text)
{
	char buf[AGENTCG_TEXT_MAX];

	tap_ok(streq(agentcg_format_time(buf, usec), text), "%s: %s", text, buf);
}

static void priority_is(const char *text, uint32_t priority)
{
	uint32_t v = 1;
	int r = agentcg_parse_priority(text, &v, NULL);

	tap_ok(r == 0 && v == priority, "priority %s", text);
}

static void priority_refused(const char *text)
{
	char why[AGENTCG_WHY_MAX] = "";
	uint32_t v;

	tap_ok(agentcg_parse_priority(text, &v, why) == -EINVAL && strstr(why, "low, normal, high"),
	       "no priority: \"%s\": %s", text, why);
}

static void test_sizes(void)
{
	size_is("0", 0);
	size_is("4096", 4096);
	size_is("1Ki", KIB);
	size_is("512Mi", 512 * MIB);
	size_is("3Gi", 3 * GIB);
	size_is("2Ti", 2 * TIB);
	size_is("18446744073709551615", UINT64_MAX);
	size_refused("512M", -EINVAL, "512M is ambiguous: say 512Mi (mebibytes)");
	size_refused("2g", -EINVAL, "say 2Gi (gibibytes)");
	size_refused("7KB", -EINVAL, "say 7Ki (kibibytes)");
	size_refused("1GiB", -EINVAL, "say 1Gi");
	size_refused("", -EINVAL, "no size");
	size_refused("-1", -EINVAL, "no size");
	size_refused(" 1", -EINVAL, "no size");
	size_refused("1 ", -EINVAL, "no size");
	size_refused("0x10", -EINVAL, "no size");
	size_refused("1.5Gi", -EINVAL, "whole number");
	size_refused("1mi", -EINVAL, "whole number");
	size_refused("18446744073709551616", -ERANGE, "64 bits");
	size_refused("16777216Ti", -ERANGE, "64 bits");
	formats(0, "0", "0 B");
	formats(17, "17", "17 B");
	formats(512 * MIB, "512Mi", "512 MiB");
	formats(3 * GIB / 2, "1536Mi", "1.5 GiB");
	formats(GIB + 1, "1073741825", "1.0 GiB");
	formats(UINT64_MAX, "none", NULL);
}

static void test_times(void)
{
	time_is("500ms", 500 * USEC_PER_MSEC);
	time_is("30s", 30 * USEC_PER_SEC);
	time_is("5m", 300 * USEC_PER_SEC);
	time_is("2h", 7200 * USEC_PER_SEC);
	time_refused("30", -EINVAL, "say 30s");
	time_refused("", -EINVAL, "no time");
	time_refused("1d", -EINVAL, "ms, s, m or h");
	time_refused("1.5s", -EINVAL, "whole number");
	time_refused("99999999999999h", -ERANGE, "too long");
	time_format(0, "0s");
	time_format(400, "0s");
	time_format(500 * USEC_PER_MSEC, "500ms");
	time_format(1500 * USEC_PER_MSEC, "1.5s");
	time_format(90 * USEC_PER_SEC, "90s");
	time_format(300 * USEC_PER_SEC, "5m");
	time_format(7200 * USEC_PER_SEC, "2h");
}

static void test_priorities(void)
{
	uint32_t last = 0;
	bool rises = true;

	priority_is("low", 250);
	priority_is("normal", 500);
	priority_is("high", 750);
	priority_is("0", 0);
	priority_is("1000", 1000);
	priority_refused("1001");
	priority_refused("-1");
	priority_refused("+5");
	priority_refused("");
	priority_refused("5x");
	tap_ok(agentcg_priority_cpu_weight(500) == 100, "normal has the kernel's default cpu.weight");
	tap_ok(agentcg_priority_cpu_weight(0) == 1 && agentcg_priority_cpu_weight(1000) == 10000,
	       "cpu.weight stays in the kernel's range");
	for (uint32_t p = 0; p <= 1000; p += 50) {
		rises &= agentcg_priority_cpu_weight(p) >= last;
		last = agentcg_priority_cpu_weight(p);
	}
	tap_ok(rises, "cpu.weight rises with the priority");
	tap_ok(agentcg_priority_oom_score_adj(1000) == 900 && agentcg_priority_oom_score_adj(0) == 1000,
	       "oom_score_adj falls with the priority");
}

int main(void)
{
	test_sizes();
	test_times();
	test_priorities();
	return tap_done();
}
