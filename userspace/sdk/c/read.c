// SPDX-License-Identifier: MIT
#include "internal.h"

const char *read_text(sd_json_variant *v, const char *key)
{
	sd_json_variant *found = v ? sd_json_variant_by_key(v, key) : NULL;

	return found && sd_json_variant_is_string(found) ? sd_json_variant_string(found) : NULL;
}

uint64_t read_u64(sd_json_variant *v, const char *key, uint64_t otherwise)
{
	sd_json_variant *found = v ? sd_json_variant_by_key(v, key) : NULL;

	return found && sd_json_variant_is_unsigned(found) ? sd_json_variant_unsigned(found) : otherwise;
}

bool read_bool(sd_json_variant *v, const char *key)
{
	sd_json_variant *found = v ? sd_json_variant_by_key(v, key) : NULL;

	return found && sd_json_variant_is_boolean(found) && sd_json_variant_boolean(found);
}

static sd_json_variant *read_object(sd_json_variant *v, const char *key)
{
	sd_json_variant *found = v ? sd_json_variant_by_key(v, key) : NULL;

	return found && sd_json_variant_is_object(found) ? found : NULL;
}

int read_granted(sd_json_variant *v, struct agentcg_granted *ret, struct agentcg_error *error)
{
	sd_json_variant *requests = read_object(v, "requests"), *limits = read_object(v, "limits");

	if (!requests || !limits)
		return fail(error, -EPROTO, "the daemon's reply lacks what was granted");
	*ret = (struct agentcg_granted){
		.size = sizeof(*ret),
		.priority = read_u64(v, "priority", AGENTCG_PRIORITY_NORMAL),
		.cpu = read_u64(requests, "milliCPU", AGENTCG_UNSET),
		.cpu_max = read_u64(limits, "milliCPU", AGENTCG_UNSET),
		.memory = read_u64(requests, "memory", AGENTCG_UNSET),
		.memory_max = read_u64(limits, "memory", AGENTCG_UNSET),
		.pids_max = read_u64(limits, "pids", AGENTCG_UNSET),
		.timeout_usec = read_u64(v, "timeoutUSec", AGENTCG_UNSET),
		.deadline_usec = read_u64(v, "deadlineUSec", AGENTCG_UNSET),
		.duration_usec = read_u64(v, "durationUSec", AGENTCG_UNSET),
		.reason = read_text(v, "reason"),
		.latency = read_text(v, "latency"),
		.on_pressure = read_text(v, "onPressure") ?: "freeze",
		.detach = read_bool(v, "detach"),
	};
	return 0;
}

int read_result(sd_json_variant *v, bool running, struct agentcg_result *ret, struct agentcg_error *error)
{
	*ret = (struct agentcg_result){
		.size = sizeof(*ret),
		.outcome = read_text(v, "outcome"),
		.text = read_text(v, "text"),
		.retry = read_text(v, "retry"),
		.suggested_request = read_u64(v, "suggestedRequest", AGENTCG_UNSET),
		.memory_peak = read_u64(v, "memoryPeak", 0),
		.memory_max = read_u64(v, "memoryMax", AGENTCG_UNSET),
		.request = read_u64(v, "request", 0),
		.held_usec = read_u64(v, "heldUSec", 0),
		.holds = read_u64(v, "holds", 0),
		.throttles = read_u64(v, "throttles", 0),
		.oom_kills = read_u64(v, "oomKills", 0),
		.pids_exceeded = read_u64(v, "pidsExceeded", 0),
		.running = running,
	};
	if (!ret->outcome || !ret->text)
		return fail(error, -EPROTO, "the daemon's result lacks its outcome or text");
	return 0;
}

int read_words(sd_json_variant *v, const char ***ret)
{
	size_t count = v && sd_json_variant_is_array(v) ? sd_json_variant_elements(v) : 0, n = 0;
	const char **words = calloc(count + 1, sizeof(*words));

	if (!words)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		sd_json_variant *word = sd_json_variant_by_index(v, i);

		if (sd_json_variant_is_string(word))
			words[n++] = sd_json_variant_string(word);
	}
	*ret = words;
	return 0;
}

int read_lines(sd_json_variant *v, char **ret)
{
	const char **lines;
	size_t length = 1;
	char *text, *end;
	int r;

	*ret = NULL;
	r = read_words(v, &lines);
	if (r < 0)
		return r;
	for (size_t i = 0; lines[i]; i++)
		length += strlen(lines[i]) + 1;
	text = length > 1 ? malloc(length) : NULL;
	end = text;
	for (size_t i = 0; text && lines[i]; i++)
		end += sprintf(end, "%s%s", i ? "\n" : "", lines[i]);
	free(lines);
	*ret = text;
	return text || length == 1 ? 0 : -ENOMEM;
}
