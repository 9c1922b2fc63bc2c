// SPDX-License-Identifier: GPL-2.0-only
#include "agentcg_sched.h"
#include "intent.h"
#include "tap.h"

static int parse(const char *json, struct agentcg_intent *ret, char *field, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

	if (sd_json_parse(json, 0, &v, NULL, NULL) < 0)
		return -EBADMSG;
	return agentcg_intent_parse(v, ret, field, why);
}

static void test_whole(void)
{
	struct agentcg_intent i = AGENTCG_INTENT_NONE;
	char field[AGENTCG_FIELD_MAX], why[AGENTCG_WHY_MAX];
	int r = parse("{\"requests\": {\"cpu\": \"500m\", \"memory\": \"512Mi\"},"
		      " \"limits\": {\"cpu\": 2, \"memory\": 1073741824, \"pids\": 100},"
		      " \"timeout\": \"5m\", \"deadline\": \"90s\", \"duration\": \"1500ms\", \"latency\": \"batch\","
		      " \"on_pressure\": \"kill\", \"detach\": true}", &i, field, why);

	tap_ok(!r && i.cpu_request == 500 && i.memory_request == 512 * MIB, "requests");
	tap_ok(i.cpu_limit == 2000 && i.memory_limit == GIB && i.pids_limit == 100, "limits");
	tap_ok(i.timeout_usec == 300 * USEC_PER_SEC && i.deadline_usec == 90 * USEC_PER_SEC &&
	       i.duration_usec == 1500000, "times");
	tap_ok(i.latency == AGENTCG_CLASS_BATCH && i.on_pressure == AGENTCG_PRESSURE_KILL && i.detach && i.detach_set,
	       "words");
	tap_ok(!i.reserved, "nothing reserved was said");

	r = parse("{\"requests\": {\"gpu_memory\": \"1Gi\"}, \"limits\": null, \"latency\": null}", &i, field, why);
	tap_ok(!r && i.reserved && i.memory_limit == GIB && i.latency == AGENTCG_CLASS_BATCH,
	       "what is missing or null stays as it was");
	i = AGENTCG_INTENT_NONE;
	tap_ok(!parse("{}", &i, field, why) && i.memory_request == AGENTCG_UNSET && !i.detach_set, "nothing said");
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
	refused("{\"memory\": 1}", "memory", "requests, limits, timeout");
	refused("{\"requests\": {\"memori\": 1}}", "requests.memori", "requests has cpu, memory");
	refused("{\"requests\": {\"pids\": 1}}", "requests.pids", "no such field");
	refused("{\"limits\": 5}", "limits", "say an object");
	refused("{\"detach\": true, \"requests\": {\"memory\": \"2G\"}}", "requests.memory", "say 2Gi");
	refused("{\"requests\": {\"memory\": -1}}", "requests.memory", "whole number of bytes");
	refused("{\"requests\": {\"memory\": 1.5}}", "requests.memory", "whole number of bytes");
	refused("{\"requests\": {\"memory\": 18446744073709551615}}", "requests.memory", "whole number of bytes");
	refused("{\"requests\": {\"memory\": {}}}", "requests.memory", "whole number of bytes");
	refused("{\"limits\": {\"memory\": \"1000Ki\"}}", "limits.memory", "no program starts");
	refused("{\"limits\": {\"pids\": 0}}", "limits.pids", "from 1");
	refused("{\"limits\": {\"pids\": \"9\"}}", "limits.pids", "from 1");
	refused("{\"limits\": {\"cpu\": 0}}", "limits.cpu", "from 0.001");
	refused("{\"limits\": {\"cpu\": -1}}", "limits.cpu", "from 0.001");
	refused("{\"limits\": {\"cpu\": 1e300}}", "limits.cpu", "from 0.001");
	refused("{\"limits\": {\"cpu\": \"two\"}}", "limits.cpu", "say 2, 1.5, or 500m");
	refused("{\"limits\": {\"cpu\": true}}", "limits.cpu", "CPUs are a number");
	refused("{\"timeout\": 30}", "timeout", "text with a unit");
	refused("{\"timeout\": \"30\"}", "timeout", "30s");
	refused("{\"timeout\": \"0s\"}", "timeout", "above 0");
	refused("{\"deadline\": \"9000h\"}", "deadline", "up to a year");
	refused("{\"latency\": \"soon\"}", "latency", "interactive");
	refused("{\"latency\": 1}", "latency", "interactive");
	refused("{\"on_pressure\": \"swap\"}", "on_pressure", "throttle");
	refused("{\"detach\": 1}", "detach", "true or false");
	refused("{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\": 1}",
		"aaaaaaaaaaaaaaaaaaaaaaaa", "no such field");
}

static void cpus(const char *text, int error, uint64_t want)
{
	uint64_t v = 7;
	int r = agentcg_parse_cpus(text, &v, NULL);

	tap_ok(r == error && v == want, "CPUs \"%s\": %llu", text, (unsigned long long)v);
}

static void test_cpus(void)
{
	char buf[32];

	cpus("2", 0, 2000);
	cpus("1.5", 0, 1500);
	cpus("0.001", 0, 1);
	cpus("0.0625", 0, 62);
	cpus("500m", 0, 500);
	cpus("1000000", 0, 1000000000);
	cpus("0", -EINVAL, 0);
	cpus("", -EINVAL, 7);
	cpus("1.", -EINVAL, 7);
	cpus(".5", -EINVAL, 7);
	cpus("-1", -EINVAL, 7);
	cpus("1.5m", -EINVAL, 7);
	cpus("5M", -EINVAL, 7);
	cpus("99999999999999999999999", -EINVAL, 7);
	tap_ok(streq(agentcg_format_cpus(buf, 1500), "1500m") && streq(agentcg_format_cpus(buf, 3000), "3"), "and back");
}

static void hint(const char *text, int error, uint64_t memory, const char *why_has)
{
	struct agentcg_intent i = AGENTCG_INTENT_NONE;
	char why[AGENTCG_WHY_MAX] = "";
	int r = agentcg_intent_parse_hint(text, &i, why);

	tap_ok(r == error && i.memory_request == memory && strstr(why, why_has), "hint \"%s\": %s", text, why);
}

static void test_hints(void)
{
	struct agentcg_intent i = AGENTCG_INTENT_NONE;

	hint("memory:2g", 0, 2 * GIB, "");
	hint("memory:512M", 0, 512 * MIB, "");
	hint("memory:300Mi", 0, 300 * MIB, "");
	hint("memory:1000", 0, 1000, "");
	hint("", 0, AGENTCG_UNSET, "");
	hint("memory", -EINVAL, AGENTCG_UNSET, "NAME:VALUE");
	hint("memory:lots", -EINVAL, AGENTCG_UNSET, "no size");
	hint("memory:99999999999999999999999999999999999999g", -EINVAL, AGENTCG_UNSET, "");
	hint("memory:2g,disk:3g", -EINVAL, AGENTCG_UNSET, "say memory, cpu");
	tap_ok(!agentcg_intent_parse_hint("memory:1g, cpu:2,timeout:5m,duration:10s latency:interactive", &i, NULL) &&
	       i.memory_request == GIB && i.cpu_request == 2000 && i.timeout_usec == 300 * USEC_PER_SEC &&
	       i.duration_usec == 10 * USEC_PER_SEC && i.latency == AGENTCG_CLASS_INTERACTIVE, "a hint of many words");
}

static void test_build(void)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL, *none = NULL;
	struct agentcg_intent i = {
		.cpu_request = 1500, .cpu_limit = 3000, .memory_request = 5 * MIB, .memory_limit = 7 * MIB,
		.pids_limit = 9, .timeout_usec = 1234000, .deadline_usec = 5 * USEC_PER_SEC, .duration_usec = 1000,
		.latency = AGENTCG_CLASS_INTERACTIVE, .on_pressure = AGENTCG_PRESSURE_THROTTLE, .detach_set = true,
	}, back = AGENTCG_INTENT_NONE;
	char field[AGENTCG_FIELD_MAX], why[AGENTCG_WHY_MAX];

	tap_ok(!agentcg_intent_build(&i, &v) && !agentcg_intent_parse(v, &back, field, why) &&
	       !memcmp(&i, &back, sizeof(i)), "what is built is read as it was");
	tap_ok(!agentcg_intent_build(&AGENTCG_INTENT_NONE, &none) && !none, "of nothing, nothing is built");
}

int main(void)
{
	test_whole();
	test_refusals();
	test_cpus();
	test_hints();
	test_build();
	return tap_done();
}
