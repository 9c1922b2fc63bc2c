/* SPDX-License-Identifier: GPL-2.0-only */
/* What the policy allows a user at most, for those who plan ahead. */
#ifndef _AGENTCG_ALLOWED_H
#define _AGENTCG_ALLOWED_H

#include "manager.h"

/* As the interface's Allowed. */
int agentcg_allowed_build(const struct manager *m, uid_t uid,
			  sd_json_variant **ret);

#endif
