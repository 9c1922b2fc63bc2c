// SPDX-License-Identifier: GPL-2.0-only
#include "util.h"

#include <stdarg.h>
#include <stdio.h>

int agentcg_why(int error, char *why, const char *format, ...)
{
	va_list ap;

	if (why) {
		va_start(ap, format);
		vsnprintf(why, AGENTCG_WHY_MAX, format, ap);
		va_end(ap);
	}
	return error;
}

void agentcg_close_others(int a, int b)
{
	const int low = a < b ? a : b, high = a < b ? b : a;
	int from = STDERR_FILENO + 1;

	if (low >= from) {
		close_range((unsigned int)from, (unsigned int)low - 1, 0);
		from = low + 1;
	}
	if (high >= from) {
		close_range((unsigned int)from, (unsigned int)high - 1, 0);
		from = high + 1;
	}
	close_range((unsigned int)from, ~0U, 0);
}
