// SPDX-License-Identifier: GPL-2.0-only
#include "call.h"

#define MAYBE(name, value)						\
	SD_JSON_BUILD_PAIR_CONDITION((value) != AGENTCG_NONE, name, SD_JSON_BUILD_UNSIGNED(value))

int agentcg_allowed_build(const struct manager *m, uid_t uid, sd_json_variant **ret)
{
	const struct agentcg_policy *p = &m->policy;
	struct agentcg_session_policy session;
	char own[32];

	snprintf(own, sizeof(own), "uid-%u", uid);
	agentcg_policy_session(p, own, uid, &session);
	return sd_json_buildo(ret,
		MAYBE("memory", p->call_max),
		MAYBE("milliCPU", p->cpu_max),
		MAYBE("pids", p->pids_max),
		MAYBE("timeoutUSec", p->timeout_max_usec),
		SD_JSON_BUILD_PAIR_UNSIGNED("callsPerSession", session.calls_per_session),
		SD_JSON_BUILD_PAIR_UNSIGNED("detachedCalls", session.detached_calls),
		MAYBE("budget", agentcg_policy_user_budget(p, uid)),
		/* Root's own are as many as there is room for. */
		SD_JSON_BUILD_PAIR_CONDITION(uid != 0, "sessions", SD_JSON_BUILD_UNSIGNED(p->sessions_per_user)),
		SD_JSON_BUILD_PAIR_CONDITION(uid != 0, "calls", SD_JSON_BUILD_UNSIGNED(AGENTCG_CALLS_PER_UID)));
}
