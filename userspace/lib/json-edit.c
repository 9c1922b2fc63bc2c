// SPDX-License-Identifier: GPL-2.0-only
#include "json-edit.h"

#include <inttypes.h>

int agentcg_json_put(sd_json_variant *object, const char *key, sd_json_variant *value, sd_json_variant **ret)
{
	size_t n = object ? sd_json_variant_elements(object) : 0, k = 0;
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *name = NULL;
	_cleanup_free_ sd_json_variant **all = calloc(n + 2, sizeof(*all));
	bool done = !value;
	int r;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i + 1 < n; i += 2) {
		sd_json_variant *field = sd_json_variant_by_index(object, i);
		bool same = streq(sd_json_variant_string(field), key);

		if (same && done)
			continue;
		all[k++] = field;
		all[k++] = same ? value : sd_json_variant_by_index(object, i + 1);
		done |= same;
	}
	if (!done) {
		r = sd_json_variant_new_string(&name, key);
		if (r < 0)
			return r;
		all[k++] = name;
		all[k++] = value;
	}
	return sd_json_variant_new_object(ret, all, k);
}

int agentcg_json_put_at(sd_json_variant *array, size_t index, sd_json_variant *value, sd_json_variant **ret)
{
	size_t n = array ? sd_json_variant_elements(array) : 0, k = 0;
	_cleanup_free_ sd_json_variant **all = calloc(n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i <= n; i++) {
		if (i != index && i < n)
			all[k++] = sd_json_variant_by_index(array, i);
		else if (i == index && value)
			all[k++] = value;
	}
	return sd_json_variant_new_array(ret, all, k);
}

void agentcg_json_indent(const char *text, char ret[AGENTCG_INDENT_MAX])
{
	size_t n = 0;

	for (const char *p = text; p && !n; p = strchr(p, '\n')) {
		p += *p == '\n';
		n = strspn(p, " \t");
		if (n && (!p[n] || p[n] == '\n' || p[n] == '\r'))
			n = 0;
		if (n && n < AGENTCG_INDENT_MAX)
			snprintf(ret, n + 1, "%s", p);
		if (!n && !*p)
			break;
	}
	if (!n || n >= AGENTCG_INDENT_MAX)
		strcpy(ret, "  ");
}

static int write_real(FILE *f, double value)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return fputs(text, f);
}

static int write_scalar(FILE *f, sd_json_variant *v)
{
	_cleanup_free_ char *text = NULL;
	int r;

	if (sd_json_variant_type(v) == SD_JSON_VARIANT_REAL)
		return write_real(f, sd_json_variant_real(v));
	r = sd_json_variant_format(v, 0, &text);
	return r < 0 ? r : fputs(text, f);
}

static void new_line(FILE *f, const char *indent, size_t depth)
{
	fputc('\n', f);
	while (depth--)
		fputs(indent, f);
}

/* Levels are bounded by the parser. */
static int write_value(FILE *f, sd_json_variant *v, const char *indent, size_t depth)
{
	bool object = sd_json_variant_is_object(v);
	size_t n;
	int r = 0;

	if (!object && !sd_json_variant_is_array(v))
		return write_scalar(f, v);
	n = sd_json_variant_elements(v);
	fputc(object ? '{' : '[', f);
	for (size_t i = 0; r >= 0 && i < n; i += object ? 2 : 1) {
		if (i)
			fputc(',', f);
		new_line(f, indent, depth + 1);
		if (object) {
			r = write_scalar(f, sd_json_variant_by_index(v, i));
			fputs(": ", f);
		}
		if (r >= 0)
			r = write_value(f, sd_json_variant_by_index(v, i + object), indent, depth + 1);
	}
	if (n)
		new_line(f, indent, depth);
	fputc(object ? '}' : ']', f);
	return r;
}

int agentcg_json_write(sd_json_variant *v, const char *indent, char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	int r;

	if (!f)
		return -errno;
	r = write_value(f, v, indent, 0);
	fputc('\n', f);
	if (fclose(f) != 0 && r >= 0)
		r = -ENOMEM;
	if (r < 0) {
		free(text);
		return r;
	}
	*ret = text;
	return 0;
}
