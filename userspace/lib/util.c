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
