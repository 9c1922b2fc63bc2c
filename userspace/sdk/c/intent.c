// SPDX-License-Identifier: MIT
#include "internal.h"

#include <inttypes.h>

/* As much of a command line as the daemon keeps. */
#define COMMAND_MAX	256

static int not_built(const char *field, int r, struct agentcg_error *error)
{
	if (r == -EUCLEAN)
		return fail_field(error, field, "this is no UTF-8");
	return fail(error, r, "cannot say %s: %s", field, strerrordesc_np(-r));
}

int put_u64(sd_json_variant **v, const char *key, uint64_t value, struct agentcg_error *error)
{
	int r;

	if (value == AGENTCG_UNSET)
		return 0;
	if (value > INT64_MAX)
		return fail_field(error, key, "%" PRIu64 " is too large", value);
	r = sd_json_variant_set_field_unsigned(v, key, value);
	return r < 0 ? not_built(key, r, error) : 0;
}

int put_text(sd_json_variant **v, const char *key, const char *value, struct agentcg_error *error)
{
	int r;

	if (!value)
		return 0;
	r = sd_json_variant_set_field_string(v, key, value);
	return r < 0 ? not_built(key, r, error) : 0;
}

int put_flag(sd_json_variant **v, const char *key, bool value, struct agentcg_error *error)
{
	int r = sd_json_variant_set_field_boolean(v, key, value);

	return r < 0 ? not_built(key, r, error) : 0;
}

int put_variant(sd_json_variant **v, const char *key, sd_json_variant *value, struct agentcg_error *error)
{
	int r;

	if (!value)
		return 0;
	r = sd_json_variant_set_field(v, key, value);
	return r < 0 ? not_built(key, r, error) : 0;
}

static int put_cpus(sd_json_variant **v, uint64_t thousandths, struct agentcg_error *error)
{
	char text[32];

	if (thousandths == AGENTCG_UNSET)
		return 0;
	snprintf(text, sizeof(text), "%" PRIu64 "m", thousandths);
	return put_text(v, "cpu", text, error);
}

static int put_time(sd_json_variant **v, const char *key, uint64_t usec, struct agentcg_error *error)
{
	char text[32];

	if (usec == AGENTCG_UNSET)
		return 0;
	snprintf(text, sizeof(text), "%" PRIu64 "ms", usec / 1000 + !!(usec % 1000));
	return put_text(v, key, text, error);
}

int parse_object(const char *field, const char *text, sd_json_variant **ret, struct agentcg_error *error)
{
	unsigned int line = 0, column = 0;
	sd_json_variant *v = NULL;
	int r;

	if (!text)
		return 0;
	r = sd_json_parse(text, 0, &v, &line, &column);
	if (r == -ENOMEM)
		return fail(error, r, "out of memory");
	if (r < 0)
		return fail_field(error, field, "this is no JSON, from line %u, column %u on", line, column);
	if (!sd_json_variant_is_object(v)) {
		sd_json_variant_unref(v);
		return fail_field(error, field, "say a JSON object, such as {\"name\": \"value\"}");
	}
	*ret = v;
	return 0;
}

/* The object @key of @v, to be changed and put back. */
static sd_json_variant *inner(sd_json_variant *v, const char *key)
{
	sd_json_variant *found = v ? sd_json_variant_by_key(v, key) : NULL;

	return found && sd_json_variant_is_object(found) ? sd_json_variant_ref(found) : NULL;
}

int build_intent(const struct agentcg_intent *intent, sd_json_variant **ret, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL, *requests = NULL, *limits = NULL;
	bool requested, limited;
	int r;

	if (!intent)
		return 0;
	r = check_size("intent", intent->size, sizeof(*intent), error);
	if (r >= 0)
		r = parse_object("intent", intent->json, &v, error);
	if (r < 0)
		return r;
	if (intent->detach < -1 || intent->detach > 1)
		return fail_field(error, "detach", "say 1, 0 or -1, not %d", intent->detach);
	requested = intent->cpu != AGENTCG_UNSET || intent->memory != AGENTCG_UNSET;
	limited = intent->cpu_max != AGENTCG_UNSET || intent->memory_max != AGENTCG_UNSET ||
		  intent->pids_max != AGENTCG_UNSET;
	requests = requested ? inner(v, "requests") : NULL;
	limits = limited ? inner(v, "limits") : NULL;

	r = put_cpus(&requests, intent->cpu, error);
	if (r >= 0)
		r = put_u64(&requests, "memory", intent->memory, error);
	if (r >= 0)
		r = put_cpus(&limits, intent->cpu_max, error);
	if (r >= 0)
		r = put_u64(&limits, "memory", intent->memory_max, error);
	if (r >= 0)
		r = put_u64(&limits, "pids", intent->pids_max, error);
	if (r >= 0)
		r = put_variant(&v, "requests", requests, error);
	if (r >= 0)
		r = put_variant(&v, "limits", limits, error);
	if (r >= 0)
		r = put_time(&v, "timeout", intent->timeout_usec, error);
	if (r >= 0)
		r = put_time(&v, "deadline", intent->deadline_usec, error);
	if (r >= 0)
		r = put_time(&v, "duration", intent->duration_usec, error);
	if (r >= 0)
		r = put_text(&v, "latency", intent->latency, error);
	if (r >= 0)
		r = put_text(&v, "on_pressure", intent->on_pressure, error);
	if (r >= 0 && intent->detach >= 0)
		r = put_flag(&v, "detach", intent->detach, error);
	if (r < 0)
		return r;
	*ret = v;
	v = NULL;
	return 0;
}

/* Arguments are bytes: what is no UTF-8 is shown as '?'. */
static int build_word(const char *word, size_t length, sd_json_variant **ret)
{
	char text[COMMAND_MAX + 1];
	int r;

	/* Not cut in the middle of a character. */
	while (length && word[length] && ((unsigned char)word[length] & 0xc0) == 0x80)
		length--;
	memcpy(text, word, length);
	text[length] = '\0';
	r = sd_json_variant_new_string(ret, text);
	if (r != -EUCLEAN)
		return r;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] >= 0x80)
			text[i] = '?';
	return sd_json_variant_new_string(ret, text);
}

int build_command(const char *const *command, sd_json_variant **ret)
{
	size_t left = COMMAND_MAX;
	int r = 0;

	for (size_t i = 0; r >= 0 && command && command[i] && left; i++) {
		CLEANUP(json_unref) sd_json_variant *word = NULL;
		size_t length = strnlen(command[i], left);

		r = build_word(command[i], length, &word);
		if (r >= 0)
			r = sd_json_variant_append_array(ret, word);
		left -= length < left ? length + 1 : left;
	}
	return r;
}
