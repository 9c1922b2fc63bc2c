/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_LOG_H
#define _AGENTCG_LOG_H

#include <syslog.h>

#include "util.h"

/* One line to stderr, with the level as journald reads it ("<6>..."). */
_printf_(2, 3) void agentcg_log(int level, const char *format, ...);

/* On a terminal the level is noise. */
void agentcg_log_plain(bool plain);
/* LOG_DEBUG too: every hold and release. */
void agentcg_log_verbose(bool verbose);

#endif
