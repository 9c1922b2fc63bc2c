/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this kernel can enforce.  Looks at files only and changes nothing.
 */
#ifndef _AGENTCG_PROBE_H
#define _AGENTCG_PROBE_H

#include "util.h"

enum agentcg_level {
	AGENTCG_LEVEL_OK,
	AGENTCG_LEVEL_LIMITED,	/* works, with less than there could be */
	AGENTCG_LEVEL_MISSING,
};

struct agentcg_finding {
	const char *name;
	enum agentcg_level level;
	bool required;		/* for enforcement in the kernel */
	char text[AGENTCG_WHY_MAX];	/* why, and what to do */
};

#define AGENTCG_FINDINGS_MAX	32

struct agentcg_probe {
	const char *root;	/* "" or where a test made its own /proc and /sys */
	char release[80];	/* of the kernel */
	char cgroup[256];	/* where cgroup2 is mounted, "" if nowhere */
	struct agentcg_finding findings[AGENTCG_FINDINGS_MAX];
	size_t nr_findings;
};

void agentcg_probe(struct agentcg_probe *probe, const char *root);

/* Whether nothing is missing that enforcement in the kernel needs. */
bool agentcg_probe_enforceable(const struct agentcg_probe *probe);

/* For further findings: those that take more than a look at files. */
struct agentcg_finding *agentcg_probe_add(struct agentcg_probe *probe, const char *name);
void agentcg_finding_set(struct agentcg_finding *f, enum agentcg_level level, const char *fmt, ...)
	_printf_(3, 4);

const char *agentcg_level_name(enum agentcg_level level);

#endif /* _AGENTCG_PROBE_H */
