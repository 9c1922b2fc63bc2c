// SPDX-License-Identifier: GPL-2.0-only
#include "intent-mcp.h"
#include "tap.h"

static int parse(const char *json, struct agentcg_intent *ret, char *field, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

	if (sd_json_parse(json, 0, &v, NULL, NULL) < 0)
		return -EBADMSG;
	return agentcg_intent_parse_mcp(v, ret, field, why);
}

static void pressure(const char *json, enum agentcg_on_pressure want)
{
	struct agentcg_intent i = AGENTCG_INTENT_NONE;
	char field[AGENTCG_FIELD_MAX] = "", why[AGENTCG_WHY_MAX] = "";
	int r = parse(json, &i, field, why);

	tap_ok(!r && i.on_pressure == want, "%s: %s", json, agentcg_on_pressure_name(want) ?: "nothing");
}

static void test_hints(void)
{
	pressure("{\"annotations\": {\"readOnlyHint\": true}}", AGENTCG_PRESSURE_KILL);
	pressure("{\"annotations\": {\"idempotentHint\": true, \"destructiveHint\": true}}", AGENTCG_PRESSURE_KILL);
	pressure("{\"annotations\": {\"destructiveHint\": true}}", AGENTCG_PRESSURE_THROTTLE);
	pressure("{\"annotations\": {\"destructiveHint\": false, \"title\": \"x\"}}", AGENTCG_PRESSURE_UNSET);
	pressure("{\"annotations\": {\"readOnlyHint\": \"yes\"}}", AGENTCG_PRESSURE_UNSET);
	pressure("{\"annotations\": null, \"_meta\": null}", AGENTCG_PRESSURE_UNSET);
	pressure("{\"annotations\": {\"readOnlyHint\": true}, \"on_pressure\": \"freeze\"}", AGENTCG_PRESSURE_FREEZE);
	pressure("{\"annotations\": {\"readOnlyHint\": true}, \"_meta\": {\"io.agentcg/intent\": {\"on_pressure\": \"freeze\"}}}",
		 AGENTCG_PRESSURE_FREEZE);
	pressure("{\"on_pressure\": \"throttle\", \"_meta\": {\"io.agentcg/intent\": {\"on_pressure\": \"freeze\"}}}",
		 AGENTCG_PRESSURE_THROTTLE);
}

static void test_meta(void)
{
	struct agentcg_intent i = AGENTCG_INTENT_NONE;
	char field[AGENTCG_FIELD_MAX], why[AGENTCG_WHY_MAX];

	tap_ok(!parse("{\"limits\": {\"memory\": \"1Gi\"}, \"_meta\": {\"progressToken\": 7, \"io.agentcg/intent\":"
		      " {\"requests\": {\"memory\": \"512Mi\"}, \"limits\": {\"memory\": \"2Gi\", \"pids\": 9}}}}", &i, field, why) &&
	       i.memory_request == 512 * MIB && i.pids_limit == 9 && i.memory_limit == GIB,
	       "an intent in _meta; fields of the object itself are heard first, other keys are none of our business");
	i = AGENTCG_INTENT_NONE;
	tap_ok(!parse("{\"timeout\": \"5s\"}", &i, field, why) && i.timeout_usec == 5 * USEC_PER_SEC, "an intent without either");
}

static void refused(const char *json, const char *where, const char *hint)
{
	struct agentcg_intent i = AGENTCG_INTENT_NONE, before = i;
	char field[AGENTCG_FIELD_MAX] = "", why[AGENTCG_WHY_MAX] = "";
	int r = parse(json, &i, field, why);

	tap_ok(r == -EINVAL && streq(field, where) && strstr(why, hint) && !memcmp(&i, &before, sizeof(i)),
	       "%s: %s: %s", json, field, why);
}

static void test_refusals(void)
{
	refused("[]", "", "say an object");
	refused("{\"_meta\": 1}", "_meta", "say an object");
	refused("{\"annotations\": \"x\"}", "annotations", "say an object");
	refused("{\"_meta\": {\"io.agentcg/intent\": 5}}", "_meta.io.agentcg/intent", "say an object");
	refused("{\"_meta\": {\"io.agentcg/intent\": {\"requests\": {\"memory\": \"2G\"}}}}",
		"_meta.io.agentcg/intent.requests.memory", "say 2Gi");
	refused("{\"_meta\": {\"io.agentcg/intent\": {\"_meta\": {}}}}", "_meta.io.agentcg/intent._meta", "no such field");
	refused("{\"detach\": true, \"memory\": 1}", "memory", "an intent has requests");
	refused("{\"_meta\": {\"io.agentcg/intent\": {\"requests\": {\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\": 1}}}}",
		"_meta.io.agentcg/intent.requests.aaaaaaaaaaaaaaaaaaaaaaaa", "no such field");
}

int main(void)
{
	test_hints();
	test_meta();
	test_refusals();
	return tap_done();
}
