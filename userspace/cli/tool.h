/* SPDX-License-Identifier: GPL-2.0-only */
/* The session of an agent tool: shell-prefix and hooks must come to the same one. */
#ifndef _AGENTCG_TOOL_H
#define _AGENTCG_TOOL_H

#include <stdbool.h>

#define AGENTCG_TOOL_SESSION_MAX	80

/*
 * $AGENTCG_SESSION, or else TOOL-ID in @buf; NULL: neither makes a name.  @id is
 * how the tool calls its session; NULL: it is not known.
 */
const char *agentcg_tool_session(const char *tool, const char *id, char buf[AGENTCG_TOOL_SESSION_MAX]);
/* Whether it is the user who named it. */
bool agentcg_tool_session_is_own(void);

#endif /* _AGENTCG_TOOL_H */
