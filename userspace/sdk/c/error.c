// SPDX-License-Identifier: MIT
#include "internal.h"

#include <inttypes.h>
#include <stdarg.h>

/* A program that was built for an older library knows less of the struct. */
static void hand_over(struct agentcg_error *error, const struct agentcg_error *filled)
{
	size_t size = error->size < sizeof(*filled) ? error->size : sizeof(*filled);

	if (size <= sizeof(error->size))
		return;
	memcpy((char *)error + sizeof(error->size), (const char *)filled + sizeof(error->size),
	       size - sizeof(error->size));
}

static void copy(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

int fail(struct agentcg_error *error, int code, const char *format, ...)
{
	struct agentcg_error filled = { .error = code };
	va_list ap;

	if (!error)
		return code;
	va_start(ap, format);
	vsnprintf(filled.text, sizeof(filled.text), format, ap);
	va_end(ap);
	hand_over(error, &filled);
	return code;
}

int fail_field(struct agentcg_error *error, const char *field, const char *format, ...)
{
	struct agentcg_error filled = { .error = -EINVAL };
	va_list ap;

	if (!error)
		return -EINVAL;
	va_start(ap, format);
	vsnprintf(filled.reason, sizeof(filled.reason), format, ap);
	va_end(ap);
	copy(filled.field, sizeof(filled.field), field);
	snprintf(filled.text, sizeof(filled.text), "%s: %s", filled.field, filled.reason);
	hand_over(error, &filled);
	return -EINVAL;
}

int check_size(const char *what, size_t size, size_t ours, struct agentcg_error *error)
{
	if (size == ours)
		return 0;
	if (size > ours)
		return fail(error, -E2BIG, "the program was built for a newer libagentcg than this (%s): %s is larger",
			    LIBAGENTCG_VERSION, what);
	return fail_field(error, what, "begin it with its _INIT");
}

/* ---- the daemon's ------------------------------------------------------- */

/* What to do about a parameter that the daemon refuses without a word. */
static const char *advice(const char *parameter)
{
	static const struct {
		const char *parameter, *say;
	} table[] = {
		{ "name", "say a letter or digit, then letters, digits, '_', '.' or '-', at most 64" },
		{ "session", "say a letter or digit, then letters, digits, '_', '.' or '-', at most 64" },
		{ "priority", "say 0 to 1000" },
		{ "budget", "say at least 1048576 bytes" },
		{ "reserve", "say it in bytes" },
		{ "command", "say at least one word" },
		{ "intent", "say an object" },
		{ "pidFd", "say a descriptor of pidfd_open()" },
	};

	for (size_t i = 0; i < COUNT(table); i++)
		if (!strcmp(table[i].parameter, parameter))
			return table[i].say;
	return "see the interface";
}

static void describe(struct agentcg_error *e, sd_json_variant *p)
{
	const char *what = strncmp(e->name, NAME_PREFIX, strlen(NAME_PREFIX)) ? "" : e->name + strlen(NAME_PREFIX);
	const char *reason = read_text(p, "reason");

	copy(e->reason, sizeof(e->reason), reason);
	if (!reason)
		reason = "the daemon gave no reason";
	if (!strcmp(what, "NoSuchSession") || !strcmp(what, "NoSuchCall")) {
		const char *key = !strcmp(what, "NoSuchCall") ? "call" : "name";

		e->error = -ENXIO;
		copy(e->field, sizeof(e->field), key);
		snprintf(e->text, sizeof(e->text), "there is no %s '%s', any more",
			 !strcmp(key, "call") ? "call" : "session", read_text(p, key) ?: "");
	} else if (!strcmp(what, "InvalidIntent")) {
		e->error = -EINVAL;
		copy(e->field, sizeof(e->field), read_text(p, "field"));
		snprintf(e->text, sizeof(e->text), "the intent's %s: %s", e->field, reason);
	} else if (!strcmp(what, "PermissionDenied") || !strcmp(e->name, SD_VARLINK_ERROR_PERMISSION_DENIED)) {
		e->error = -EPERM;
		snprintf(e->text, sizeof(e->text), "not allowed: %s", reason);
	} else if (!strcmp(what, "InToolCall")) {
		e->error = -EPERM;
		snprintf(e->text, sizeof(e->text), "not allowed: this is part of the tool call %s, which may not speak for its session",
			 read_text(p, "call") ?: "");
	} else if (!strcmp(what, "LimitExceeded")) {
		e->error = -EDQUOT;
		e->limit = read_u64(p, "limit", 0);
		copy(e->reason, sizeof(e->reason), read_text(p, "what"));
		snprintf(e->text, sizeof(e->text), "no more than %" PRIu64 " for %s: end some, or wait", e->limit,
			 *e->reason ? e->reason : "this");
	} else if (!strcmp(what, "NotSupported")) {
		e->error = -EOPNOTSUPP;
		snprintf(e->text, sizeof(e->text), "not possible here: %s", reason);
	} else if (!strcmp(e->name, SD_VARLINK_ERROR_INVALID_PARAMETER)) {
		e->error = -EINVAL;
		copy(e->field, sizeof(e->field), read_text(p, "parameter"));
		snprintf(e->text, sizeof(e->text), "the daemon refuses the value of '%s': %s", e->field,
			 advice(e->field));
	} else if (!strcmp(e->name, SD_VARLINK_ERROR_METHOD_NOT_FOUND) ||
		   !strcmp(e->name, SD_VARLINK_ERROR_METHOD_NOT_IMPLEMENTED)) {
		e->error = -EOPNOTSUPP;
		snprintf(e->text, sizeof(e->text), "the daemon knows no such method: it may be older than this library");
	} else if (!strcmp(e->name, SD_VARLINK_ERROR_DISCONNECTED)) {
		e->error = -ENOTCONN;
		snprintf(e->text, sizeof(e->text), "the daemon hung up: it was stopped or restarted");
	} else if (!strcmp(e->name, SD_VARLINK_ERROR_TIMEOUT)) {
		e->error = -ETIMEDOUT;
		snprintf(e->text, sizeof(e->text), "the daemon does not answer");
	} else {
		e->error = -EPROTO;
		snprintf(e->text, sizeof(e->text), "the daemon says %s", e->name);
	}
}

int fail_reply(struct agentcg_error *error, const char *name, sd_json_variant *parameters)
{
	struct agentcg_error filled = {};

	copy(filled.name, sizeof(filled.name), name);
	describe(&filled, parameters);
	if (error)
		hand_over(error, &filled);
	return filled.error;
}
