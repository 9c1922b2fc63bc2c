/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_KFUNCS_H
#define _AGENTCG_KFUNCS_H

int agentcg_kfuncs_init(void);

#endif
