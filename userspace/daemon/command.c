// SPDX-License-Identifier: GPL-2.0-only
#include "command.h"

#include "util.h"

/* Words beyond this are not worth the memory that the array takes. */
#define WORDS_MAX	32

/* At most @max bytes of @word, whole characters, nothing that moves a cursor. */
static size_t copy_word(char *to, const char *word, size_t max)
{
	size_t n = strnlen(word, max);

	while (n && word[n] && ((unsigned char)word[n] & 0xc0) == 0x80)
		n--;	/* in the middle of a UTF-8 sequence */
	for (size_t i = 0; i < n; i++)
		to[i] = (unsigned char)word[i] < 0x20 || word[i] == 0x7f ? ' ' : word[i];
	to[n] = 0;
	return n;
}

int agentcg_command_trim(sd_json_variant *list, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *out = NULL;
	size_t words = list ? sd_json_variant_elements(list) : 0, left = AGENTCG_COMMAND_MAX;
	int r = sd_json_variant_new_array(&out, NULL, 0);

	for (size_t i = 0; r >= 0 && i < words; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
		sd_json_variant *word = sd_json_variant_by_index(list, i);
		char buf[AGENTCG_COMMAND_MAX + 8];
		const char *s;
		size_t n;

		if (!sd_json_variant_is_string(word))
			return -EINVAL;
		s = sd_json_variant_string(word);
		if (i == WORDS_MAX || !left) {
			r = sd_json_variant_new_string(&v, "...");
			words = i;	/* the last one */
		} else {
			n = copy_word(buf, s, left);
			left -= n;
			if (s[n]) {
				left = 0;
				strcpy(buf + n, "...");
				words = i + 1;
			}
			r = sd_json_variant_new_string(&v, buf);
		}
		if (r >= 0)
			r = sd_json_variant_append_array(&out, v);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(out);
	return 0;
}

void agentcg_command_kind(sd_json_variant *list, char ret[AGENTCG_KIND_MAX])
{
	size_t n = list ? min_u64(sd_json_variant_elements(list), WORDS_MAX) : 0;
	const char *words[WORDS_MAX];

	for (size_t i = 0; i < n; i++)
		words[i] = sd_json_variant_string(sd_json_variant_by_index(list, i)) ?: "";
	agentcg_kind_of_words(ret, words, n);
}
