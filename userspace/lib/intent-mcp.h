/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What MCP (Model Context Protocol) says of a tool or of a request to call it,
 * as an intent; a framework passes both fields through as they are:
 *
 *	"_meta": { "io.agentcg/intent": { an intent, see intent.h } }
 *	"annotations": { "readOnlyHint": true }
 *
 * Annotations are hints of a server that may be wrong, so they say no more
 * than what to do while memory is short for long: readOnlyHint or
 * idempotentHint, kill (it can be run again); else destructiveHint, throttle
 * (it must not stand still half-way).
 */
#ifndef _AGENTCG_INTENT_MCP_H
#define _AGENTCG_INTENT_MCP_H

#include "intent.h"

#define AGENTCG_MCP_INTENT	"io.agentcg/intent"

/*
 * agentcg_intent_parse() for an object that may have these two fields, too.
 * Of what is said more than once, the object's own fields are heard first,
 * then _meta, then annotations.
 */
int agentcg_intent_parse_mcp(sd_json_variant *v, struct agentcg_intent *ret,
			     char field[AGENTCG_FIELD_MAX], char *why);

#endif /* _AGENTCG_INTENT_MCP_H */
