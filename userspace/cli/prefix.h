/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_PREFIX_H
#define _AGENTCG_PREFIX_H

/*
 * What a tool's user or model wrote, of the script that the tool made of it
 * (". snapshot && eval 'COMMAND' && pwd >file"); to be freed.  NULL: all of it.
 */
char *agentcg_prefix_command(const char *script);

#endif /* _AGENTCG_PREFIX_H */
