// SPDX-License-Identifier: GPL-2.0-only
#include "notes.h"

#include <stdarg.h>

void agentcg_note(struct notes *notes, const char *format, ...)
{
	va_list ap;

	if (notes->n == AGENTCG_NOTES_MAX)
		return;
	va_start(ap, format);
	vsnprintf(notes->text[notes->n], sizeof(notes->text[0]), format, ap);
	va_end(ap);
	notes->list[notes->n] = notes->text[notes->n];
	notes->list[++notes->n] = NULL;
}
