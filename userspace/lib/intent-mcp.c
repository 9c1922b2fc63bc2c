// SPDX-License-Identifier: GPL-2.0-only
#include "intent-mcp.h"

#define META	"_meta"
#define HINTS	"annotations"

static sd_json_variant *said(sd_json_variant *object, const char *key)
{
	sd_json_variant *v = object ? sd_json_variant_by_key(object, key) : NULL;

	return v && !sd_json_variant_is_null(v) ? v : NULL;
}

static bool hinted(sd_json_variant *hints, const char *key)
{
	sd_json_variant *v = said(hints, key);

	/* What is no boolean is no hint: these are MCP's to check. */
	return v && sd_json_variant_is_boolean(v) && sd_json_variant_boolean(v);
}

static int want_object(sd_json_variant *v, const char *name, char field[AGENTCG_FIELD_MAX], char *why)
{
	if (!v || sd_json_variant_is_object(v))
		return 0;
	snprintf(field, AGENTCG_FIELD_MAX, "%s", name);
	if (why)
		snprintf(why, AGENTCG_WHY_MAX, "say an object, as MCP has it, or leave it out");
	return -EINVAL;
}

/* The intent in _meta; its fields are told with where they are. */
static int parse_meta(sd_json_variant *meta, struct agentcg_intent *intent, char field[AGENTCG_FIELD_MAX], char *why)
{
	char inner[AGENTCG_FIELD_MAX] = "";
	sd_json_variant *v = said(meta, AGENTCG_MCP_INTENT);
	int r = v ? agentcg_intent_parse(v, intent, inner, why) : 0;

	if (r < 0)
		snprintf(field, AGENTCG_FIELD_MAX, META "." AGENTCG_MCP_INTENT "%s%.*s", *inner ? "." : "",
			 AGENTCG_FIELD_MAX - (int)sizeof(META "." AGENTCG_MCP_INTENT) - 2, inner);
	return r;
}

int agentcg_intent_parse_mcp(sd_json_variant *v, struct agentcg_intent *ret,
			     char field[AGENTCG_FIELD_MAX], char *why)
{
	static char *const ours[] = { META, HINTS, NULL };
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *rest = sd_json_variant_ref(v);
	struct agentcg_intent intent = *ret;
	sd_json_variant *meta, *hints;
	int r;

	if (!sd_json_variant_is_object(v))
		return agentcg_intent_parse(v, ret, field, why);
	meta = said(v, META);
	hints = said(v, HINTS);
	r = want_object(meta, META, field, why);
	if (r >= 0)
		r = want_object(hints, HINTS, field, why);
	if (r >= 0)
		r = parse_meta(meta, &intent, field, why);
	if (r < 0)
		return r;
	r = sd_json_variant_filter(&rest, (char **)ours);
	if (r < 0)
		return r;
	r = agentcg_intent_parse(rest, &intent, field, why);
	if (r < 0)
		return r;
	if (intent.on_pressure == AGENTCG_PRESSURE_UNSET) {
		if (hinted(hints, "readOnlyHint") || hinted(hints, "idempotentHint"))
			intent.on_pressure = AGENTCG_PRESSURE_KILL;
		else if (hinted(hints, "destructiveHint"))
			intent.on_pressure = AGENTCG_PRESSURE_THROTTLE;
	}
	*ret = intent;
	return 0;
}
