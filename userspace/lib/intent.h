/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An intent: what a client says that a tool call is about to need.  The shape
 * and the units are those of Kubernetes:
 *
 *	{ "requests": { "cpu": "500m", "memory": "512Mi" },
 *	  "limits":   { "cpu": 2, "memory": "1Gi", "pids": 100 },
 *	  "timeout": "5m", "deadline": "90s", "duration": "30s",
 *	  "latency": "interactive", "on_pressure": "freeze", "detach": false }
 *
 * CPUs are a number or thousandths ("500m"), memory an integer of bytes or a
 * text with Ki, Mi, Gi or Ti, times a text with a unit.  It is a wish and no
 * limit by itself: what is granted of it is the policy's business (grant.h).
 */
#ifndef _AGENTCG_INTENT_H
#define _AGENTCG_INTENT_H

#include <systemd/sd-json.h>

#include "util.h"

/* What was not said. */
#define AGENTCG_UNSET		(UINT64_MAX - 1)

/* What the call would rather have when memory stays short for long. */
enum agentcg_on_pressure {
	AGENTCG_PRESSURE_UNSET,
	AGENTCG_PRESSURE_THROTTLE,	/* go on slowly */
	AGENTCG_PRESSURE_FREEZE,	/* stand still, its memory reclaimed */
	AGENTCG_PRESSURE_KILL,		/* end: it can be run again */
};

struct agentcg_intent {
	/* Thousandths of a CPU. */
	uint64_t cpu_request;
	uint64_t cpu_limit;
	/* Bytes. */
	uint64_t memory_request;
	uint64_t memory_limit;
	uint64_t pids_limit;
	uint64_t timeout_usec;		/* from its beginning */
	uint64_t deadline_usec;		/* from now on */
	uint64_t duration_usec;		/* that it will probably take */
	uint32_t latency;		/* enum agentcg_class: AUTO, BATCH or INTERACTIVE */
	enum agentcg_on_pressure on_pressure;
	bool detach;			/* it outlives its client */
	bool detach_set;
	bool reserved;			/* gpu_memory or io was said: no effect yet */
};

#define AGENTCG_INTENT_NONE							\
	((struct agentcg_intent){						\
		.cpu_request = AGENTCG_UNSET, .cpu_limit = AGENTCG_UNSET,	\
		.memory_request = AGENTCG_UNSET, .memory_limit = AGENTCG_UNSET,	\
		.pids_limit = AGENTCG_UNSET, .timeout_usec = AGENTCG_UNSET,	\
		.deadline_usec = AGENTCG_UNSET, .duration_usec = AGENTCG_UNSET,	\
	})

/* "limits.gpu_memory" */
#define AGENTCG_FIELD_MAX	64

/*
 * Reads @v, of a client that may be anybody, on top of @ret.  -EINVAL: @field
 * is the one that is wrong, @why (AGENTCG_WHY_MAX) says what to say instead,
 * and @ret is as it was.
 */
int agentcg_intent_parse(sd_json_variant *v, struct agentcg_intent *ret,
			 char field[AGENTCG_FIELD_MAX], char *why);

/*
 * The same for "memory:2g,cpu:2,timeout:5m", the value of AGENT_RESOURCE_HINT
 * as the AgentCgroup paper (arXiv 2602.09345) proposes it: what is named is
 * requested, and here k, m and g are binary.
 */
int agentcg_intent_parse_hint(const char *text, struct agentcg_intent *ret, char *why);

/* What agentcg_intent_parse() reads; NULL where nothing is said. */
int agentcg_intent_build(const struct agentcg_intent *intent, sd_json_variant **ret);

const char *agentcg_on_pressure_name(enum agentcg_on_pressure p);
int agentcg_parse_on_pressure(const char *text, enum agentcg_on_pressure *ret);

/* "500m", "2", "1.5" CPUs in thousandths. 0, or -EINVAL with a sentence in @why. */
int agentcg_parse_cpus(const char *text, uint64_t *ret, char *why);
const char *agentcg_format_cpus(char buf[32], uint64_t thousandths);

#endif /* _AGENTCG_INTENT_H */
