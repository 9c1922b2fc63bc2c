/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _AGENTCG_CHARGE_H
#define _AGENTCG_CHARGE_H

int agentcg_charge_init(void);
void agentcg_charge_exit(void);

#endif
