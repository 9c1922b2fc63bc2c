// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"

#include "util.h"

/* TOOL- and this are a session's name. */
#define ID_MAX		56

bool agentcg_tool_session_is_own(void)
{
	const char *own = getenv("AGENTCG_SESSION");

	return own && *own;
}

const char *agentcg_tool_session(const char *tool, const char *id, char buf[AGENTCG_TOOL_SESSION_MAX])
{
	if (agentcg_tool_session_is_own())
		return getenv("AGENTCG_SESSION");
	if (!id || !*id || strlen(id) > ID_MAX)
		return NULL;
	snprintf(buf, AGENTCG_TOOL_SESSION_MAX, "%s-%s", tool, id);
	return buf;
}
