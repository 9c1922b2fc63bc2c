/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the scheduler's classes (enum agentcg_class), as clients say them. */
#ifndef _AGENTCG_CLASS_H
#define _AGENTCG_CLASS_H

#include "agentcg_sched.h"
#include "util.h"

static inline const char *agentcg_class_name(uint32_t class)
{
	static const char *const names[AGENTCG_NR_CLASSES] = {
		[AGENTCG_CLASS_AUTO] = "auto",
		[AGENTCG_CLASS_BATCH] = "batch",
		[AGENTCG_CLASS_INTERACTIVE] = "interactive",
		[AGENTCG_CLASS_GPU] = "gpu",
	};

	return class < AGENTCG_NR_CLASSES ? names[class] : "unknown";
}

/* What a call may declare: interactive or batch. */
static inline int agentcg_parse_latency(const char *text, uint32_t *ret)
{
	if (streq(text, "interactive"))
		*ret = AGENTCG_CLASS_INTERACTIVE;
	else if (streq(text, "batch"))
		*ret = AGENTCG_CLASS_BATCH;
	else
		return -EINVAL;
	return 0;
}

#endif /* _AGENTCG_CLASS_H */
