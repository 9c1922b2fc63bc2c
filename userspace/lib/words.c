// SPDX-License-Identifier: GPL-2.0-only
#include "words.h"

static const char *word(sd_json_variant *words, size_t i)
{
	sd_json_variant *v = sd_json_variant_by_index(words, i);

	return v && sd_json_variant_is_string(v) ? sd_json_variant_string(v) : "";
}

static bool is_shell(const char *name)
{
	const char *base = strrchr(name, '/');

	base = base ? base + 1 : name;
	return streq(base, "sh") || streq(base, "bash") || streq(base, "zsh") || streq(base, "dash");
}

/* Appends at most what fits with "..." after it; false: it was cut. */
static bool append(char ret[AGENTCG_WORDS_TEXT], size_t *len, const char *text)
{
	const size_t most = AGENTCG_WORDS_TEXT - sizeof("...");
	size_t start = *len;

	for (; *text && *len < most; text++)
		ret[(*len)++] = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
	ret[*len] = 0;
	if (!*text)
		return true;
	/* Not in the middle of a character. */
	while (*len > start && (*text & 0xc0) == 0x80)
		text--, (*len)--;
	strcpy(ret + *len, "...");
	return false;
}

void agentcg_words_show(sd_json_variant *words, char ret[AGENTCG_WORDS_TEXT])
{
	size_t n = words ? sd_json_variant_elements(words) : 0, i = 0, len = 0;

	ret[0] = 0;
	if (n == 3 && is_shell(word(words, 0)) && streq(word(words, 1), "-c"))
		i = 2;
	for (; i < n; i++) {
		if (len && !append(ret, &len, " "))
			return;
		if (!append(ret, &len, word(words, i)))
			return;
	}
}
