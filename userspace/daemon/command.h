/* SPDX-License-Identifier: GPL-2.0-only */
/* What is kept of a command that a client tells us, for people to read. */
#ifndef _AGENTCG_COMMAND_H
#define _AGENTCG_COMMAND_H

#include <systemd/sd-json.h>

#include "kind.h"

#define AGENTCG_COMMAND_MAX	256	/* bytes of all its words together */

/* A bounded array of strings without control characters; @list may be NULL. */
int agentcg_command_trim(sd_json_variant *list, sd_json_variant **ret);

/* What it does (kind.h), of the list as the client sent it. */
void agentcg_command_kind(sd_json_variant *list, char ret[AGENTCG_KIND_MAX]);

#endif
