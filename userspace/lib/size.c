// SPDX-License-Identifier: GPL-2.0-only
#include "size.h"

#include <ctype.h>
#include <inttypes.h>

static const struct {
	const char *name;
	uint64_t factor;
} size_units[] = {
	{ "Ti", TIB }, { "Gi", GIB }, { "Mi", MIB }, { "Ki", KIB },
}, time_units[] = {
	{ "ms", USEC_PER_MSEC },
	{ "s", USEC_PER_SEC },
	{ "m", 60 * USEC_PER_SEC },
	{ "h", 3600 * USEC_PER_SEC },
};

/* Digits only: no sign, no space, no hexadecimal; the suffix begins at @rest. */
static int parse_digits(const char *text, uint64_t *ret, const char **rest)
{
	uint64_t v = 0;
	const char *p;

	for (p = text; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(v, 10ULL, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return -ERANGE;
	if (p == text)
		return -EINVAL;
	*ret = v;
	*rest = p;
	return 0;
}

int agentcg_parse_size(const char *text, uint64_t *ret, char *why)
{
	const char *rest;
	uint64_t v;
	int r;

	r = parse_digits(text, &v, &rest);
	if (r == -ERANGE)
		goto range;
	if (r < 0)
		return agentcg_why(-EINVAL, why, "\"%.32s\" is no size: say bytes, or 512Mi, 2Gi", text);
	if (!*rest) {
		*ret = v;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(size_units); i++) {
		if (!streq(rest, size_units[i].name))
			continue;
		if (__builtin_mul_overflow(v, size_units[i].factor, ret))
			goto range;
		return 0;
	}
	switch (toupper((unsigned char)*rest)) {
	case 'K': case 'M': case 'G': case 'T':
		if (rest[1] && !streq(rest + 1, "B") && !streq(rest + 1, "b") && !streq(rest + 1, "iB"))
			break;
		return agentcg_why(-EINVAL, why, "%.32s is ambiguous: say %" PRIu64 "%ci (%sbibytes)", text, v,
			      toupper((unsigned char)*rest),
			      (const char *[]){ "ki", "me", "gi", "te" }
			      [strchr("KMGT", toupper((unsigned char)*rest)) - "KMGT"]);
	}
	return agentcg_why(-EINVAL, why, "\"%.32s\" is no size: a whole number, with Ki, Mi, Gi or Ti if not bytes", text);
range:
	agentcg_why(-EINVAL, why, "%.32s is more than 64 bits hold", text);
	return -ERANGE;
}

int agentcg_parse_time(const char *text, uint64_t *ret_usec, char *why)
{
	const char *rest;
	uint64_t v;
	int r;

	r = parse_digits(text, &v, &rest);
	if (r == -ERANGE)
		goto range;
	if (r < 0)
		return agentcg_why(-EINVAL, why, "\"%.32s\" is no time: say 500ms, 30s, 5m or 2h", text);
	if (!*rest)
		return agentcg_why(-EINVAL, why, "%.32s lacks its unit: say %" PRIu64 "s (or ms, m, h)", text, v);
	for (size_t i = 0; i < ARRAY_SIZE(time_units); i++) {
		if (!streq(rest, time_units[i].name))
			continue;
		if (__builtin_mul_overflow(v, time_units[i].factor, ret_usec) ||
		    *ret_usec > INT64_MAX)
			goto range;
		return 0;
	}
	return agentcg_why(-EINVAL, why, "\"%.32s\" is no time: a whole number with ms, s, m or h", text);
range:
	agentcg_why(-EINVAL, why, "%.32s is too long a time", text);
	return -ERANGE;
}

const char *agentcg_format_size(char buf[AGENTCG_TEXT_MAX], uint64_t bytes)
{
	if (bytes == UINT64_MAX) {
		snprintf(buf, AGENTCG_TEXT_MAX, "none");
		return buf;
	}
	for (size_t i = 0; bytes && i < ARRAY_SIZE(size_units); i++) {
		if (bytes % size_units[i].factor)
			continue;
		snprintf(buf, AGENTCG_TEXT_MAX, "%" PRIu64 "%s",
			 bytes / size_units[i].factor, size_units[i].name);
		return buf;
	}
	snprintf(buf, AGENTCG_TEXT_MAX, "%" PRIu64, bytes);
	return buf;
}

const char *agentcg_format_bytes(char buf[AGENTCG_TEXT_MAX], uint64_t bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(size_units); i++) {
		double v = (double)bytes / (double)size_units[i].factor;

		if (bytes < size_units[i].factor)
			continue;
		/* Whole numbers and those of three digits need no fraction. */
		snprintf(buf, AGENTCG_TEXT_MAX, "%.*f %sB",
			 bytes % size_units[i].factor && v < 100 ? 1 : 0, v, size_units[i].name);
		return buf;
	}
	snprintf(buf, AGENTCG_TEXT_MAX, "%" PRIu64 " B", bytes);
	return buf;
}

const char *agentcg_format_time(char buf[AGENTCG_TEXT_MAX], uint64_t usec)
{
	uint64_t ms = (usec + USEC_PER_MSEC / 2) / USEC_PER_MSEC;

	if (!ms)
		snprintf(buf, AGENTCG_TEXT_MAX, "0s");
	else if (ms < 1000)
		snprintf(buf, AGENTCG_TEXT_MAX, "%" PRIu64 "ms", ms);
	else if (ms % 1000)
		snprintf(buf, AGENTCG_TEXT_MAX, "%.1fs", (double)ms / 1000);
	else if (ms % 3600000 == 0)
		snprintf(buf, AGENTCG_TEXT_MAX, "%" PRIu64 "h", ms / 3600000);
	else if (ms % 60000 == 0)
		snprintf(buf, AGENTCG_TEXT_MAX, "%" PRIu64 "m", ms / 60000);
	else
		snprintf(buf, AGENTCG_TEXT_MAX, "%" PRIu64 "s", ms / 1000);
	return buf;
}
