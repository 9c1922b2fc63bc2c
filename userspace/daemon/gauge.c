// SPDX-License-Identifier: GPL-2.0-only
#include "gauge.h"

int agentcg_gauge_step(struct gauge *g, const struct gauge_marks *marks, uint64_t value, uint64_t now)
{
	while (g->level < AGENTCG_GAUGE_LEVELS && value >= marks->up[g->level])
		g->level++;
	while (g->level && value < marks->down[g->level - 1])
		g->level--;
	if (g->level == g->told)
		return -1;
	if (g->told_usec && now - g->told_usec < AGENTCG_GAUGE_USEC && g->level < g->told)
		return -1;
	/* Up again within a while: it was told already. */
	if (g->told_usec && now - g->told_usec < AGENTCG_GAUGE_USEC && g->level == 1)
		return -1;
	g->told = g->level;
	g->told_usec = now;
	return g->level;
}

uint32_t agentcg_gauge_psi(const char *text)
{
	const char *p = startswith(text, "some avg10=");
	unsigned int whole, part;

	return p && sscanf(p, "%3u.%2u", &whole, &part) == 2 ? whole * 100 + part : 0;
}
