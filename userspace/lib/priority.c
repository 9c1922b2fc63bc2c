// SPDX-License-Identifier: GPL-2.0-only
#include "priority.h"

#include <math.h>

static const struct {
	const char *name;
	uint32_t value;
} names[] = {
	{ "low", AGENTCG_PRIORITY_LOW },
	{ "normal", AGENTCG_PRIORITY_NORMAL },
	{ "high", AGENTCG_PRIORITY_HIGH },
};

int agentcg_parse_priority(const char *text, uint32_t *ret, char *why)
{
	unsigned long v;
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(text, names[i].name)) {
			*ret = names[i].value;
			return 0;
		}
	errno = 0;
	v = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && v <= AGENTCG_PRIORITY_MAX) {
		*ret = (uint32_t)v;
		return 0;
	}
	if (why)
		snprintf(why, AGENTCG_WHY_MAX,
			 "\"%.32s\" is no priority: say low, normal, high, or 0 to 1000", text);
	return -EINVAL;
}

uint32_t agentcg_priority_cpu_weight(uint32_t priority)
{
	double w = 100 * exp2(((double)priority - AGENTCG_PRIORITY_NORMAL) / 62.5);

	return w < 1 ? 1 : w > 10000 ? 10000 : (uint32_t)lround(w);
}

int agentcg_priority_oom_score_adj(uint32_t priority)
{
	uint32_t p = priority > AGENTCG_PRIORITY_MAX ? AGENTCG_PRIORITY_MAX : priority;

	return 1000 - (int)p / 10;
}
