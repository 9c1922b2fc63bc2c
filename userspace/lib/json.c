// SPDX-License-Identifier: GPL-2.0-only
#include "json.h"

bool agentcg_json_has(sd_json_variant *object, const char *key)
{
	sd_json_variant *v = sd_json_variant_by_key(object, key);

	return v && !sd_json_variant_is_null(v);
}

uint64_t agentcg_json_u64(sd_json_variant *object, const char *key)
{
	sd_json_variant *v = sd_json_variant_by_key(object, key);

	return v && sd_json_variant_is_unsigned(v) ? sd_json_variant_unsigned(v) : 0;
}

const char *agentcg_json_string(sd_json_variant *object, const char *key)
{
	sd_json_variant *v = sd_json_variant_by_key(object, key);

	return v && sd_json_variant_is_string(v) ? sd_json_variant_string(v) : NULL;
}

int agentcg_json_text(sd_json_variant **ret, const char *text, size_t max)
{
	_cleanup_free_ char *copy = NULL;
	size_t n = strnlen(text, max + 1);
	char *c;

	if (n > max) {
		/* Not in the middle of a character. */
		for (n = max; n && (text[n] & 0xc0) == 0x80; n--)
			;
	}
	if (sd_json_variant_new_stringn(ret, text, n) >= 0)
		return 0;
	copy = strndup(text, n);
	if (!copy)
		return -ENOMEM;
	for (c = copy; *c; c++)
		if (*c & 0x80)
			*c = '?';
	return sd_json_variant_new_string(ret, copy);
}
