/* SPDX-License-Identifier: GPL-2.0-only */
/* What was not granted as asked, and why: sentences for the client. */
#ifndef _AGENTCG_NOTES_H
#define _AGENTCG_NOTES_H

#include "util.h"

#define AGENTCG_NOTES_MAX	8

struct notes {
	char text[AGENTCG_NOTES_MAX][200];
	char *list[AGENTCG_NOTES_MAX + 1];	/* NULL-terminated */
	size_t n;
};

_printf_(2, 3) void agentcg_note(struct notes *notes, const char *format, ...);

#endif
