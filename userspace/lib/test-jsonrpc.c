// SPDX-License-Identifier: GPL-2.0-only
#include "jsonrpc.h"
#include "tap.h"

/* What comes out of @bytes, in pieces of @step: lines in <>, '!' for one that is too long. */
static void lines(const char *bytes, size_t n, size_t step, const char *want)
{
	_cleanup_(agentcg_lines_done) struct agentcg_lines l = { .max = 5 };
	char got[256] = "", *line;
	size_t len;
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i += step) {
		r = agentcg_lines_feed(&l, bytes + i, min_u64(step, n - i));
		while (r >= 0 && (r = agentcg_lines_next(&l, &line, &len)) != 0) {
			if (r < 0)
				snprintf(got + strlen(got), sizeof(got) - strlen(got), "!");
			else
				snprintf(got + strlen(got), sizeof(got) - strlen(got), "<%.*s>", (int)len, line);
			r = 0;
		}
	}
	tap_ok(!r && streq(got, want), "in pieces of %zu: %s", step, got);
}

static void test_lines(void)
{
	static const char text[] = "ab\n\ncd\r\n12345\n123456\nef\n1234567890123\n\nx\n123";

	for (size_t step = 1; step < sizeof(text) + 8; step += 3)
		lines(text, sizeof(text) - 1, step, "<ab><><cd><12345>!<ef>!<><x>");
	lines("123456789", 9, 9, "!");
	lines("", 0, 1, "");
}

static void message(const char *json, enum agentcg_rpc_kind kind, const char *method, bool id, const char *text)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	struct agentcg_rpc m;

	if (sd_json_parse(json, 0, &v, NULL, NULL) < 0) {
		tap_ok(false, "%s does not parse", json);
		return;
	}
	agentcg_rpc_read(v, &m);
	tap_ok(m.kind == kind && !m.id == !id && (method ? m.method && streq(m.method, method) : !m.method), "%s: %s", text, json);
}

static void test_messages(void)
{
	message("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}", AGENTCG_RPC_REQUEST, "x", true, "a request");
	message("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"x\",\"params\":{}}", AGENTCG_RPC_REQUEST, "x", true, "one with a name");
	message("{\"jsonrpc\":\"2.0\",\"id\":-1,\"method\":\"x\"}", AGENTCG_RPC_REQUEST, "x", true, "a negative id");
	message("{\"jsonrpc\":\"2.0\",\"method\":\"x\"}", AGENTCG_RPC_NOTIFICATION, "x", false, "a notification");
	message("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", AGENTCG_RPC_RESPONSE, NULL, true, "a response");
	message("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}", AGENTCG_RPC_RESPONSE, NULL, false, "an error of nothing");
	message("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}", AGENTCG_RPC_INVALID, NULL, false, "MCP has no null id");
	message("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"x\"}", AGENTCG_RPC_INVALID, NULL, false, "nor fractions");
	message("{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"x\"}", AGENTCG_RPC_INVALID, NULL, false, "nor objects");
	message("{\"id\":1,\"method\":\"x\"}", AGENTCG_RPC_INVALID, NULL, true, "no version");
	message("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}", AGENTCG_RPC_INVALID, NULL, true, "another version");
	message("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", AGENTCG_RPC_INVALID, NULL, true, "a method that is no text");
	message("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":5}", AGENTCG_RPC_INVALID, NULL, true, "params that are no object");
	message("{\"jsonrpc\":\"2.0\",\"id\":1}", AGENTCG_RPC_INVALID, NULL, true, "nothing said");
	message("5", AGENTCG_RPC_INVALID, NULL, false, "no object");
}

static void test_replies(void)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *id = NULL, *result = NULL, *error = NULL;
	_cleanup_free_ char *a = NULL, *b = NULL;

	sd_json_variant_new_integer(&id, 7);
	tap_ok(agentcg_rpc_result(id, id, &result) >= 0 && sd_json_variant_format(result, 0, &a) >= 0 &&
	       streq(a, "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":7}"), "a result: %s", a);
	tap_ok(agentcg_rpc_error(NULL, AGENTCG_RPC_PARSE_ERROR, "x\ny", NULL, &error) >= 0 && sd_json_variant_format(error, 0, &b) >= 0 &&
	       streq(b, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"x\\ny\"}}"), "an error, in one line: %s", b);
}

int main(void)
{
	test_lines();
	test_messages();
	test_replies();
	return tap_done();
}
