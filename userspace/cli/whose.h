/* SPDX-License-Identifier: GPL-2.0-only */
/* Which session this process belongs to, where nobody has said so. */
#ifndef AGENTCG_WHOSE_H
#define AGENTCG_WHOSE_H

#include <systemd/sd-json.h>

#define AGENTCG_WHOSE_MAX	80

/*
 * By @status (the reply of GetStatus, or NULL): the one that ends with a process
 * above us, which the agent tool's hooks have opened; else the one whose group
 * we run in; else the user's own, "uid-UID".
 */
const char *agentcg_whose(sd_json_variant *status, char buf[AGENTCG_WHOSE_MAX]);

#endif
