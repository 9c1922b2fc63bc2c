/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_PROTECT_H
#define _AGENTCG_PROTECT_H

int agentcg_protect_init(void);
void agentcg_protect_exit(void);

#endif
