/* SPDX-License-Identifier: GPL-2.0-only */
/* What sd-json leaves to its callers. */
#ifndef _AGENTCG_JSON_H
#define _AGENTCG_JSON_H

#include <systemd/sd-json.h>

#include "util.h"

/* A field of an object; 0 or NULL where it is missing or null. */
uint64_t agentcg_json_u64(sd_json_variant *object, const char *key);
const char *agentcg_json_string(sd_json_variant *object, const char *key);
/* Whether the field is there and not null. */
bool agentcg_json_has(sd_json_variant *object, const char *key);

/*
 * @text as a string of at most @max bytes.  Command lines may hold anything,
 * JSON only UTF-8: in what is not, every byte beyond ASCII becomes '?'.
 */
int agentcg_json_text(sd_json_variant **ret, const char *text, size_t max);

#endif /* _AGENTCG_JSON_H */
