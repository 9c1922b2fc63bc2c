// SPDX-License-Identifier: GPL-2.0-only
#include "log.h"

#include <stdarg.h>

static bool log_plain;
static bool log_verbose;

void agentcg_log_plain(bool plain)
{
	log_plain = plain;
}

void agentcg_log_verbose(bool verbose)
{
	log_verbose = verbose;
}

void agentcg_log(int level, const char *format, ...)
{
	char line[1024];
	va_list ap;
	int n = 0;

	if (level == LOG_DEBUG && !log_verbose)
		return;
	if (!log_plain)
		n = snprintf(line, sizeof(line), "<%d>", level);
	va_start(ap, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	/* One write, so that lines do not mix; nobody reads: nothing lost. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}
