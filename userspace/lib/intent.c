// SPDX-License-Identifier: GPL-2.0-only
#include "intent.h"

#include <ctype.h>
#include <math.h>

#include "class.h"
#include "size.h"

/* More than any machine has, and its products fit. */
#define CPUS_MAX		1000000
#define PIDS_MAX		4194304U	/* as PID_MAX_LIMIT */
/* Nobody means more than a year, and sums stay far below 2^63 ns. */
#define TIME_MAX_USEC		(366ULL * 24 * 3600 * USEC_PER_SEC)
/* Less, and no program starts. */
#define MEMORY_LIMIT_MIN	MIB

/* ---- the words ---------------------------------------------------------- */

static const char *const pressure_names[] = {
	[AGENTCG_PRESSURE_THROTTLE] = "throttle",
	[AGENTCG_PRESSURE_FREEZE] = "freeze",
	[AGENTCG_PRESSURE_KILL] = "kill",
};

const char *agentcg_on_pressure_name(enum agentcg_on_pressure p)
{
	return p < ARRAY_SIZE(pressure_names) ? pressure_names[p] : NULL;
}

int agentcg_parse_on_pressure(const char *text, enum agentcg_on_pressure *ret)
{
	for (size_t i = AGENTCG_PRESSURE_THROTTLE; i < ARRAY_SIZE(pressure_names); i++)
		if (streq(text, pressure_names[i])) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

int agentcg_parse_cpus(const char *text, uint64_t *ret, char *why)
{
	uint64_t whole = 0, part = 0, scale = 1000;
	const char *p = text;

	for (; isdigit((unsigned char)*p) && whole <= CPUS_MAX * 1000ULL; p++)
		whole = whole * 10 + (uint64_t)(*p - '0');
	if (p == text)
		goto wrong;
	if (*p == 'm') {
		scale = 1;
		p++;
	} else if (*p == '.') {
		unsigned int digit = 100;

		if (!isdigit((unsigned char)*++p))
			goto wrong;
		for (; isdigit((unsigned char)*p); p++, digit /= 10)
			part += digit * (uint64_t)(*p - '0');
	}
	if (*p || whole > CPUS_MAX * 1000ULL / scale)
		goto wrong;
	*ret = whole * scale + part;
	if (*ret)
		return 0;
wrong:
	return agentcg_why(-EINVAL, why, "\"%.32s\" is no number of CPUs: say 2, 1.5, or 500m for half of one", text);
}

const char *agentcg_format_cpus(char buf[32], uint64_t thousandths)
{
	if (thousandths % 1000)
		snprintf(buf, 32, "%llum", (unsigned long long)thousandths);
	else
		snprintf(buf, 32, "%llu", (unsigned long long)thousandths / 1000);
	return buf;
}

/* ---- one value each ----------------------------------------------------- */

struct field {
	const char *name;
	int (*read)(sd_json_variant *v, void *to, char *why);
	size_t offset;
};

static int read_cpus(sd_json_variant *v, void *to, char *why)
{
	double cpus;

	if (sd_json_variant_is_string(v))
		return agentcg_parse_cpus(sd_json_variant_string(v), to, why);
	if (!sd_json_variant_is_number(v))
		return agentcg_why(-EINVAL, why, "CPUs are a number such as 2 or 0.5, or a text such as \"500m\"");
	cpus = sd_json_variant_real(v);
	/* In this order: it may be no number at all. */
	if (!(cpus >= 0.001 && cpus <= CPUS_MAX))
		return agentcg_why(-EINVAL, why, "say a number of CPUs from 0.001 on");
	*(uint64_t *)to = (uint64_t)llround(cpus * 1000);
	return 0;
}

static int read_memory(sd_json_variant *v, void *to, char *why)
{
	if (sd_json_variant_is_string(v))
		return agentcg_parse_size(sd_json_variant_string(v), to, why);
	/* The upper half is for values such as "none" of our own. */
	if (!sd_json_variant_is_unsigned(v) || sd_json_variant_unsigned(v) > INT64_MAX)
		return agentcg_why(-EINVAL, why, "a size is a whole number of bytes, or a text such as \"512Mi\"");
	*(uint64_t *)to = sd_json_variant_unsigned(v);
	return 0;
}

static int read_memory_limit(sd_json_variant *v, void *to, char *why)
{
	uint64_t bytes;
	int r = read_memory(v, &bytes, why);

	if (r < 0)
		return r;
	if (bytes < MEMORY_LIMIT_MIN)
		return agentcg_why(-EINVAL, why, "with less than 1Mi no program starts");
	*(uint64_t *)to = bytes;
	return 0;
}

static int read_pids(sd_json_variant *v, void *to, char *why)
{
	if (!sd_json_variant_is_unsigned(v) || !sd_json_variant_unsigned(v) ||
	    sd_json_variant_unsigned(v) > PIDS_MAX)
		return agentcg_why(-EINVAL, why, "say a number of processes and threads from 1 to %u", PIDS_MAX);
	*(uint64_t *)to = sd_json_variant_unsigned(v);
	return 0;
}

static int parse_time(const char *text, uint64_t *ret, char *why)
{
	uint64_t usec;
	int r = agentcg_parse_time(text, &usec, why);

	if (r < 0)
		return -EINVAL;
	if (!usec || usec > TIME_MAX_USEC)
		return agentcg_why(-EINVAL, why, "say a time above 0, up to a year");
	*ret = usec;
	return 0;
}

static int read_time(sd_json_variant *v, void *to, char *why)
{
	if (!sd_json_variant_is_string(v))
		return agentcg_why(-EINVAL, why, "a time is a text with a unit, such as \"500ms\", \"30s\" or \"5m\"");
	return parse_time(sd_json_variant_string(v), to, why);
}

static int read_latency(sd_json_variant *v, void *to, char *why)
{
	if (!sd_json_variant_is_string(v) || agentcg_parse_latency(sd_json_variant_string(v), to) < 0)
		return agentcg_why(-EINVAL, why, "say \"interactive\" or \"batch\"");
	return 0;
}

static int read_on_pressure(sd_json_variant *v, void *to, char *why)
{
	if (!sd_json_variant_is_string(v) || agentcg_parse_on_pressure(sd_json_variant_string(v), to) < 0)
		return agentcg_why(-EINVAL, why, "say \"throttle\", \"freeze\" or \"kill\"");
	return 0;
}

static int read_detach(sd_json_variant *v, void *to, char *why)
{
	struct agentcg_intent *intent = to;

	if (!sd_json_variant_is_boolean(v))
		return agentcg_why(-EINVAL, why, "say true or false");
	intent->detach = sd_json_variant_boolean(v);
	intent->detach_set = true;
	return 0;
}

static int read_reserved(sd_json_variant *v, void *to, char *why)
{
	*(bool *)to = true;
	return 0;
}

/* ---- the whole ---------------------------------------------------------- */

static int read_object(sd_json_variant *v, const char *prefix, const struct field fields[], void *to,
		       char field[AGENTCG_FIELD_MAX], char *why);

#define AT(member)	offsetof(struct agentcg_intent, member)

static const struct field request_fields[] = {
	{ "cpu", read_cpus, AT(cpu_request) },
	{ "memory", read_memory, AT(memory_request) },
	{ "gpu_memory", read_reserved, AT(reserved) },
	{ "io", read_reserved, AT(reserved) },
	{}
}, limit_fields[] = {
	{ "cpu", read_cpus, AT(cpu_limit) },
	{ "memory", read_memory_limit, AT(memory_limit) },
	{ "pids", read_pids, AT(pids_limit) },
	{ "gpu_memory", read_reserved, AT(reserved) },
	{ "io", read_reserved, AT(reserved) },
	{}
}, intent_fields[] = {
	{ "requests", NULL, 0 },
	{ "limits", NULL, 0 },
	{ "timeout", read_time, AT(timeout_usec) },
	{ "deadline", read_time, AT(deadline_usec) },
	{ "duration", read_time, AT(duration_usec) },
	{ "latency", read_latency, AT(latency) },
	{ "on_pressure", read_on_pressure, AT(on_pressure) },
	{ "detach", read_detach, 0 },
	{}
};

static const struct field *find_field(const struct field fields[], const char *name)
{
	for (; fields->name; fields++)
		if (streq(fields->name, name))
			return fields;
	return NULL;
}

static int unknown(const struct field fields[], const char *prefix, char *why)
{
	char names[160] = "";

	for (; fields->name; fields++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 *names ? ", " : "", fields->name);
	return agentcg_why(-EINVAL, why, "there is no such field; %s has %s", *prefix ? prefix : "an intent", names);
}

static int read_field(sd_json_variant *v, const char *name, const struct field *f, void *to,
		      char field[AGENTCG_FIELD_MAX], char *why)
{
	if (sd_json_variant_is_null(v))
		return 0;
	if (f->read)
		return f->read(v, (char *)to + f->offset, why);
	return read_object(v, name, streq(name, "limits") ? limit_fields : request_fields, to, field, why);
}

static int read_object(sd_json_variant *v, const char *prefix, const struct field fields[], void *to,
		       char field[AGENTCG_FIELD_MAX], char *why)
{
	size_t n = sd_json_variant_is_object(v) ? sd_json_variant_elements(v) : 0;

	snprintf(field, AGENTCG_FIELD_MAX, "%s", prefix);
	if (!sd_json_variant_is_object(v))
		return agentcg_why(-EINVAL, why, "say an object, such as {\"memory\": \"512Mi\"}");
	for (size_t i = 0; i < n; i += 2) {
		const char *name = sd_json_variant_string(sd_json_variant_by_index(v, i));
		const struct field *f = find_field(fields, name);
		int r;

		/* Not the client's own text, unless it is one of ours. */
		snprintf(field, AGENTCG_FIELD_MAX, "%s%s%.24s", prefix, *prefix ? "." : "", name);
		r = f ? read_field(sd_json_variant_by_index(v, i + 1), f->name, f, to, field, why) :
			unknown(fields, prefix, why);
		if (r < 0)
			return r;
	}
	return 0;
}

int agentcg_intent_parse(sd_json_variant *v, struct agentcg_intent *ret,
			 char field[AGENTCG_FIELD_MAX], char *why)
{
	struct agentcg_intent intent = *ret;
	int r = read_object(v, "", intent_fields, &intent, field, why);

	if (r < 0)
		return -EINVAL;
	*ret = intent;
	return 0;
}

/* ---- the paper's hint --------------------------------------------------- */

/* "2g" as "2Gi"; the rest as it is. */
static int parse_hint_size(const char *text, uint64_t *ret, char *why)
{
	size_t n = strlen(text);
	char copy[32];
	char unit = n ? (char)toupper((unsigned char)text[n - 1]) : 0;

	if (n < 2 || n > sizeof(copy) - 2 || !unit || !strchr("KMGT", unit))
		return agentcg_parse_size(text, ret, why);
	snprintf(copy, sizeof(copy), "%.*s%ci", (int)n - 1, text, unit);
	return agentcg_parse_size(copy, ret, why);
}

static int hint_field(const char *name, const char *value, struct agentcg_intent *intent, char *why)
{
	int r;

	if (streq(name, "memory"))
		return parse_hint_size(value, &intent->memory_request, why);
	if (streq(name, "cpu"))
		return agentcg_parse_cpus(value, &intent->cpu_request, why);
	if (streq(name, "timeout"))
		return parse_time(value, &intent->timeout_usec, why);
	if (streq(name, "duration"))
		return parse_time(value, &intent->duration_usec, why);
	if (streq(name, "latency")) {
		r = agentcg_parse_latency(value, &intent->latency);
		return r < 0 ? agentcg_why(-EINVAL, why, "\"%.32s\" is no latency: say interactive or batch", value) : 0;
	}
	return agentcg_why(-EINVAL, why, "\"%.32s\" is not known: say memory, cpu, timeout, duration or latency", name);
}

int agentcg_intent_parse_hint(const char *text, struct agentcg_intent *ret, char *why)
{
	struct agentcg_intent intent = *ret;
	_cleanup_free_ char *copy = strndup(text, 256);
	char *next = copy, *word;

	if (!copy)
		return -ENOMEM;
	while ((word = strsep(&next, ", "))) {
		char *value = strchr(word, ':');
		int r;

		if (!*word)
			continue;
		if (!value)
			return agentcg_why(-EINVAL, why, "\"%.32s\": say NAME:VALUE, such as memory:2g", word);
		*value++ = 0;
		r = hint_field(word, value, &intent, why);
		if (r < 0)
			return -EINVAL;
	}
	*ret = intent;
	return 0;
}

/* ---- the other way ------------------------------------------------------ */

#define NUMBER(name, value)						\
	SD_JSON_BUILD_PAIR_CONDITION((value) != AGENTCG_UNSET, name, SD_JSON_BUILD_UNSIGNED(value))
#define TEXT(name, is, text)						\
	SD_JSON_BUILD_PAIR_CONDITION(is, name, SD_JSON_BUILD_STRING(text))
#define CPUS(value)	agentcg_format_cpus((char[32]){}, value)
/* Not the format for people, which rounds. */
#define TIME(name, value)						\
	TEXT(name, (value) != AGENTCG_UNSET, format_msec((char[32]){}, value))

static const char *format_msec(char buf[32], uint64_t usec)
{
	snprintf(buf, 32, "%llums", (unsigned long long)(usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
	return buf;
}

int agentcg_intent_build(const struct agentcg_intent *i, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *requests = NULL, *limits = NULL, *v = NULL;
	int r;

	r = sd_json_buildo(&requests,
		TEXT("cpu", i->cpu_request != AGENTCG_UNSET, CPUS(i->cpu_request)),
		NUMBER("memory", i->memory_request));
	if (r >= 0)
		r = sd_json_buildo(&limits,
			TEXT("cpu", i->cpu_limit != AGENTCG_UNSET, CPUS(i->cpu_limit)),
			NUMBER("memory", i->memory_limit),
			NUMBER("pids", i->pids_limit));
	if (r >= 0)
		r = sd_json_buildo(&v,
			SD_JSON_BUILD_PAIR_CONDITION(sd_json_variant_elements(requests) > 0, "requests",
						     SD_JSON_BUILD_VARIANT(requests)),
			SD_JSON_BUILD_PAIR_CONDITION(sd_json_variant_elements(limits) > 0, "limits",
						     SD_JSON_BUILD_VARIANT(limits)),
			TIME("timeout", i->timeout_usec),
			TIME("deadline", i->deadline_usec),
			TIME("duration", i->duration_usec),
			TEXT("latency", i->latency != AGENTCG_CLASS_AUTO, agentcg_class_name(i->latency)),
			TEXT("on_pressure", i->on_pressure != AGENTCG_PRESSURE_UNSET,
			     agentcg_on_pressure_name(i->on_pressure)),
			SD_JSON_BUILD_PAIR_CONDITION(i->detach_set, "detach", SD_JSON_BUILD_BOOLEAN(i->detach)));
	if (r < 0)
		return r;
	*ret = sd_json_variant_elements(v) ? TAKE_PTR(v) : NULL;
	return 0;
}
