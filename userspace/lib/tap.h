/* SPDX-License-Identifier: GPL-2.0-only */
/* A unit test's output: one line a check, as the Test Anything Protocol has it. */
#ifndef _AGENTCG_TAP_H
#define _AGENTCG_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static unsigned int tap_checks, tap_failures;

static inline bool __attribute__((format(printf, 2, 3))) tap_ok(bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", ok ? "" : "not ", ++tap_checks);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	tap_failures += !ok;
	return ok;
}

/* What main() returns. */
static inline int tap_done(void)
{
	printf("1..%u\n", tap_checks);
	return tap_failures ? 1 : 0;
}

#endif /* _AGENTCG_TAP_H */
