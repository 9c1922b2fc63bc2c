/* SPDX-License-Identifier: GPL-2.0-only */
/* Changing a JSON file that belongs to somebody else: what is not changed stays as and where it was.  Pure. */
#ifndef _AGENTCG_JSON_EDIT_H
#define _AGENTCG_JSON_EDIT_H

#include "json.h"

/* With line breaks, each level moved by @indent; to be freed.  Numbers as short as they can be told. */
int agentcg_json_write(sd_json_variant *v, const char *indent, char **ret);

/*
 * @object (NULL: an empty one) with @value for @key, in its place, or at the end
 * where it is new; a NULL @value takes it out.
 */
int agentcg_json_put(sd_json_variant *object, const char *key, sd_json_variant *value,
		     sd_json_variant **ret);

/* The same for the element @index of @array; one past the last adds. */
int agentcg_json_put_at(sd_json_variant *array, size_t index, sd_json_variant *value, sd_json_variant **ret);

/* What a level is moved by in @text, two spaces where that cannot be seen; @ret is as long as that. */
#define AGENTCG_INDENT_MAX	9
void agentcg_json_indent(const char *text, char ret[AGENTCG_INDENT_MAX]);

#endif /* _AGENTCG_JSON_EDIT_H */
