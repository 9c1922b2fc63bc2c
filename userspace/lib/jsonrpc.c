// SPDX-License-Identifier: GPL-2.0-only
#include "jsonrpc.h"

#include "json.h"

/* ---- lines -------------------------------------------------------------- */

int agentcg_lines_feed(struct agentcg_lines *l, const void *data, size_t n)
{
	if (l->start) {
		memmove(l->buf, l->buf + l->start, l->end - l->start);
		l->end -= l->start;
		l->start = 0;
	}
	if (l->size - l->end < n) {
		size_t size = max_u64(l->end + n, 2 * l->size);
		char *buf = realloc(l->buf, size);

		if (!buf)
			return -ENOMEM;
		l->buf = buf;
		l->size = size;
	}
	memcpy(l->buf + l->end, data, n);
	l->end += n;
	return 0;
}

int agentcg_lines_next(struct agentcg_lines *l, char **ret, size_t *ret_len)
{
	for (;;) {
		char *from = l->buf + l->start, *to;
		size_t n = l->end - l->start;

		to = n ? memchr(from, '\n', n) : NULL;
		if (to)
			l->start += (size_t)(to - from) + 1;
		if (l->skipping) {
			if (!to) {
				l->start = l->end;
				return 0;
			}
			l->skipping = false;
			continue;
		}
		if (!to && n <= l->max)
			return 0;
		if (!to) {
			l->skipping = true;
			l->start = l->end;
			return -EMSGSIZE;
		}
		n = (size_t)(to - from);
		if (n > l->max)
			return -EMSGSIZE;
		if (n && from[n - 1] == '\r')
			n--;
		from[n] = 0;
		*ret = from;
		*ret_len = n;
		return 1;
	}
}

void agentcg_lines_done(struct agentcg_lines *l)
{
	free(l->buf);
	*l = (struct agentcg_lines){ .max = l->max };
}

/* ---- messages ----------------------------------------------------------- */

static bool is_id(sd_json_variant *v)
{
	return v && (sd_json_variant_is_string(v) || sd_json_variant_is_integer(v) || sd_json_variant_is_unsigned(v));
}

void agentcg_rpc_read(sd_json_variant *v, struct agentcg_rpc *ret)
{
	sd_json_variant *id, *method, *params;
	const char *version;

	*ret = (struct agentcg_rpc){ .kind = AGENTCG_RPC_INVALID };
	if (!sd_json_variant_is_object(v))
		return;
	id = sd_json_variant_by_key(v, "id");
	method = sd_json_variant_by_key(v, "method");
	params = sd_json_variant_by_key(v, "params");
	version = agentcg_json_string(v, "jsonrpc");
	if (is_id(id))
		ret->id = id;
	if (!version || !streq(version, "2.0") || (id && !ret->id && method))
		return;
	if (!method) {
		if (sd_json_variant_by_key(v, "result") || sd_json_variant_by_key(v, "error"))
			ret->kind = AGENTCG_RPC_RESPONSE;
		return;
	}
	if (!sd_json_variant_is_string(method) ||
	    (params && !sd_json_variant_is_object(params) && !sd_json_variant_is_array(params)))
		return;
	ret->method = sd_json_variant_string(method);
	ret->params = params;
	ret->kind = ret->id ? AGENTCG_RPC_REQUEST : AGENTCG_RPC_NOTIFICATION;
}

/* A NULL variant is the JSON null to the builder. */
int agentcg_rpc_result(sd_json_variant *id, sd_json_variant *result, sd_json_variant **ret)
{
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("jsonrpc", "2.0"),
		SD_JSON_BUILD_PAIR_VARIANT("id", id),
		SD_JSON_BUILD_PAIR_VARIANT("result", result));
}

int agentcg_rpc_error(sd_json_variant *id, int code, const char *message, sd_json_variant *data,
		      sd_json_variant **ret)
{
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("jsonrpc", "2.0"),
		SD_JSON_BUILD_PAIR_VARIANT("id", id),
		SD_JSON_BUILD_PAIR_OBJECT("error",
			SD_JSON_BUILD_PAIR_INTEGER("code", code),
			SD_JSON_BUILD_PAIR_STRING("message", message),
			SD_JSON_BUILD_PAIR_CONDITION(!!data, "data", SD_JSON_BUILD_VARIANT(data))));
}
