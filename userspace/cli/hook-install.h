/* SPDX-License-Identifier: GPL-2.0-only */
/* The settings of agent tools: where they are, and our hooks in them. */
#ifndef _AGENTCG_HOOK_INSTALL_H
#define _AGENTCG_HOOK_INSTALL_H

#include "hook.h"

/* They say themselves what they did or what is wrong, and return an exit code. */
int agentcg_hook_install(enum agentcg_tool tool, bool system);
int agentcg_hook_uninstall(enum agentcg_tool tool, bool system);

/* One tool's line or lines; false: something keeps it from working, or it is not installed. */
bool agentcg_hook_tell(enum agentcg_tool tool);

#endif /* _AGENTCG_HOOK_INSTALL_H */
