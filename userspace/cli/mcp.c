// SPDX-License-Identifier: GPL-2.0-only
/*
 * agentcg mcp: a server of the Model Context Protocol on standard input and
 * output, for agents whose commands are begun by hooks: what the model itself
 * can do is declare what it needs, and ask.  https://modelcontextprotocol.io
 *
 * Two ages of the protocol, told apart by each request: with the handshake
 * ("initialize", up to 2025-11-25), and without (2026-07-28), where every
 * request names its version in _meta.
 *
 * Each request is answered before the next is read, as the daemon answers in
 * milliseconds, but for a tool that waits: its request is put aside and tried again
 * every now and then, with notifications/progress if the client gave a token, until
 * it is answered or cancelled.
 */
#include <poll.h>
#include <signal.h>
#include <stdarg.h>

#include "cli.h"
#include "client.h"
#include "jsonrpc.h"
#include "mcp.h"
#include "tool.h"
#include "util.h"

#define LINE_MAX_BYTES		(1 * MIB)
/* Each may be answered by the whole list of tools. */
#define BATCH_MAX		64

/* Requests that wait; a further one is answered at once. */
#define WAITING_MAX		8
#define LOOK_USEC		(500 * USEC_PER_MSEC)

/* Ours, where the specification has it. */
#define CODE_VERSION		(-32022)	/* UnsupportedProtocolVersion */
#define META_VERSION		"io.modelcontextprotocol/protocolVersion"
#define META_CAPABILITIES	"io.modelcontextprotocol/clientCapabilities"
#define META_SERVER		"io.modelcontextprotocol/serverInfo"

/* The tools change with the program only; a client may ask again after an hour. */
#define LIST_TTL_MSEC		(3600 * 1000)

static const char help[] =
	"Usage: agentcg mcp [OPTION...]\n"
	"\n"
	"An MCP server on standard input and output. It gives a model three tools: declare_intent,\n"
	"see_budget and explain_last_failure. Agent tools start it themselves:\n"
	"\n"
	"  claude mcp add agentcg -- agentcg mcp\n"
	"  codex mcp add agentcg -- agentcg mcp\n"
	"  gemini mcp add -s user agentcg agentcg mcp\n"
	"\n"
	"      --session NAME   whose next command and budget it is about ($AGENTCG_SESSION, or\n"
	"                       else that of the agent tool that started it)\n"
	"      --socket PATH    where the daemon listens ($AGENTCG_SOCKET)\n"
	"  -h, --help           this text\n";

/* With the handshake, the newest first; the one without. */
static const char *const versions[] = { "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05" };
static const char modern_version[] = "2026-07-28";
/* The only one whose receivers must take several messages in one array. */
static const char batch_version[] = "2025-03-26";

struct waiting {
	sd_json_variant *message;	/* NULL: nobody */
	uint64_t since_usec;
	uint64_t told;			/* seconds of waiting that were told */
};

struct server {
	struct agentcg_mcp_peer peer;
	struct waiting waiting[WAITING_MAX];
	sd_json_variant *about;		/* agentcg_mcp_tools */
	const char *version;		/* agreed by the handshake; NULL: not yet */
};

/* One request: its answer is a result, or a code with a message. */
struct request {
	const struct agentcg_rpc *rpc;
	bool modern;
	bool in_batch;
	struct agentcg_mcp_wait *wait;	/* NULL: it is to be answered at once */
	bool waits;			/* it is not answered yet: message says how far it is */
	sd_json_variant *result;
	int code;
	char message[256];
	sd_json_variant *data;
};

static void request_done(struct request *q)
{
	sd_json_variant_unref(q->result);
	sd_json_variant_unref(q->data);
}

_printf_(3, 4)
static int fail(struct request *q, int code, const char *format, ...)
{
	va_list ap;

	q->code = code;
	va_start(ap, format);
	vsnprintf(q->message, sizeof(q->message), format, ap);
	va_end(ap);
	return 0;
}

static int build_server_info(sd_json_variant **ret)
{
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("name", "agentcg"),
		SD_JSON_BUILD_PAIR_STRING("title", "agentcg: memory and CPU time for commands"),
		SD_JSON_BUILD_PAIR_STRING("version", AGENTCG_VERSION));
}

#define CAPABILITIES	SD_JSON_BUILD_PAIR_OBJECT("capabilities", SD_JSON_BUILD_PAIR_EMPTY_OBJECT("tools"))

/* ---- the methods: 0 (result or code is set), or negative errno ---------- */

static int initialize(struct server *s, struct request *q)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *info = NULL;
	const char *asked = q->rpc->params ? agentcg_json_string(q->rpc->params, "protocolVersion") : NULL;
	int r;

	if (q->in_batch)
		return fail(q, AGENTCG_RPC_INVALID_REQUEST, "initialize must not be part of a batch");
	if (!asked)
		return fail(q, AGENTCG_RPC_INVALID_PARAMS, "protocolVersion: say a text such as \"%s\"", versions[0]);
	/* One that we do not know is answered by our newest; the client decides. */
	s->version = versions[0];
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (streq(asked, versions[i]))
			s->version = versions[i];
	r = build_server_info(&info);
	if (r < 0)
		return r;
	return sd_json_buildo(&q->result,
		SD_JSON_BUILD_PAIR_STRING("protocolVersion", s->version),
		CAPABILITIES,
		SD_JSON_BUILD_PAIR_VARIANT("serverInfo", info),
		SD_JSON_BUILD_PAIR_VARIANT("instructions", sd_json_variant_by_key(s->about, "instructions")));
}

static int discover(struct server *s, struct request *q)
{
	return sd_json_buildo(&q->result,
		SD_JSON_BUILD_PAIR_ARRAY("supportedVersions", SD_JSON_BUILD_STRING(modern_version)),
		CAPABILITIES,
		SD_JSON_BUILD_PAIR_VARIANT("instructions", sd_json_variant_by_key(s->about, "instructions")),
		SD_JSON_BUILD_PAIR_UNSIGNED("ttlMs", LIST_TTL_MSEC),
		SD_JSON_BUILD_PAIR_STRING("cacheScope", "public"));
}

static int ping(struct server *s, struct request *q)
{
	return sd_json_variant_new_object(&q->result, NULL, 0);
}

static int list_tools(struct server *s, struct request *q)
{
	if (q->rpc->params && agentcg_json_has(q->rpc->params, "cursor"))
		return fail(q, AGENTCG_RPC_INVALID_PARAMS, "cursor: there is one page only; leave it out");
	return sd_json_buildo(&q->result,
		SD_JSON_BUILD_PAIR_VARIANT("tools", sd_json_variant_by_key(s->about, "tools")),
		SD_JSON_BUILD_PAIR_CONDITION(q->modern, "ttlMs", SD_JSON_BUILD_UNSIGNED(LIST_TTL_MSEC)),
		SD_JSON_BUILD_PAIR_CONDITION(q->modern, "cacheScope", SD_JSON_BUILD_STRING("public")));
}

static int call_tool(struct server *s, struct request *q)
{
	_cleanup_(agentcg_mcp_answer_done) struct agentcg_mcp_answer a = {};
	const char *name = q->rpc->params ? agentcg_json_string(q->rpc->params, "name") : NULL;
	sd_json_variant *arguments = name ? sd_json_variant_by_key(q->rpc->params, "arguments") : NULL;
	int r;

	if (!name)
		return fail(q, AGENTCG_RPC_INVALID_PARAMS, "name: say which tool; tools/list lists them");
	if (arguments && sd_json_variant_is_null(arguments))
		arguments = NULL;
	if (arguments && !sd_json_variant_is_object(arguments))
		return fail(q, AGENTCG_RPC_INVALID_PARAMS, "arguments: say an object");
	r = agentcg_mcp_call(&s->peer, name, arguments, q->wait, &a);
	if (r == -ENOENT)
		return fail(q, AGENTCG_RPC_INVALID_PARAMS, "there is no tool \"%.64s\"; tools/list lists them", name);
	if (r < 0)
		return r;
	if (r == 1) {
		q->waits = true;
		snprintf(q->message, sizeof(q->message), "%s", a.text);
		return 0;
	}
	return sd_json_buildo(&q->result,
		SD_JSON_BUILD_PAIR_ARRAY("content", SD_JSON_BUILD_OBJECT(
			SD_JSON_BUILD_PAIR_STRING("type", "text"),
			SD_JSON_BUILD_PAIR_STRING("text", a.text))),
		SD_JSON_BUILD_PAIR_CONDITION(!!a.structured, "structuredContent", SD_JSON_BUILD_VARIANT(a.structured)),
		SD_JSON_BUILD_PAIR_BOOLEAN("isError", a.error));
}

enum { OLD = 1, MODERN = 2, ANY_TIME = 4 };

static const struct {
	const char *name;
	unsigned int when;
	int (*function)(struct server *s, struct request *q);
} methods[] = {
	{ "initialize", OLD | ANY_TIME, initialize },
	{ "ping", OLD | ANY_TIME, ping },
	{ "server/discover", MODERN, discover },
	{ "tools/list", OLD | MODERN, list_tools },
	{ "tools/call", OLD | MODERN, call_tool },
};

/* ---- one request -------------------------------------------------------- */

/* What every request of 2026-07-28 must carry. */
static int check_envelope(struct request *q, sd_json_variant *meta)
{
	sd_json_variant *version = sd_json_variant_by_key(meta, META_VERSION);
	sd_json_variant *capabilities = sd_json_variant_by_key(meta, META_CAPABILITIES);

	if (!sd_json_variant_is_string(version))
		return fail(q, AGENTCG_RPC_INVALID_PARAMS, "_meta: " META_VERSION ": say a text");
	if (!streq(sd_json_variant_string(version), modern_version)) {
		fail(q, CODE_VERSION, "this server does not speak the version that _meta names");
		return sd_json_buildo(&q->data,
			SD_JSON_BUILD_PAIR_ARRAY("supported", SD_JSON_BUILD_STRING(modern_version)),
			SD_JSON_BUILD_PAIR_VARIANT("requested", version));
	}
	if (!capabilities || !sd_json_variant_is_object(capabilities))
		return fail(q, AGENTCG_RPC_INVALID_PARAMS, "_meta: " META_CAPABILITIES ": say an object");
	return 0;
}

static int dispatch(struct server *s, struct request *q)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(methods); i++)
		if (streq(methods[i].name, q->rpc->method) && (methods[i].when & (q->modern ? MODERN : OLD)))
			break;
	if (i == ARRAY_SIZE(methods))
		return fail(q, AGENTCG_RPC_METHOD_NOT_FOUND, "there is no method \"%.64s\"", q->rpc->method);
	if (!q->modern && !s->version && !(methods[i].when & ANY_TIME))
		return fail(q, AGENTCG_RPC_INVALID_REQUEST, "send initialize first, or name the version in _meta (%s)", modern_version);
	return methods[i].function(s, q);
}

/* The newest version wants two fields more. */
static int complete(struct request *q)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *info = NULL, *meta = NULL;
	int r;

	if (!q->result || !q->modern)
		return 0;
	r = build_server_info(&info);
	if (r >= 0)
		r = sd_json_buildo(&meta, SD_JSON_BUILD_PAIR_VARIANT(META_SERVER, info));
	if (r >= 0)
		r = sd_json_variant_set_field(&q->result, "_meta", meta);
	if (r >= 0)
		r = sd_json_variant_set_field_string(&q->result, "resultType", "complete");
	return r;
}

static sd_json_variant *meta_of(const struct agentcg_rpc *rpc)
{
	return rpc->params && sd_json_variant_is_object(rpc->params) ? sd_json_variant_by_key(rpc->params, "_meta") : NULL;
}

/* 1 and how far it is: it waits on. */
static int answer(struct server *s, const struct agentcg_rpc *rpc, bool in_batch, struct agentcg_mcp_wait *wait,
		  char progress[256], sd_json_variant **ret)
{
	_cleanup_(request_done) struct request q = { .rpc = rpc, .in_batch = in_batch, .wait = wait };
	sd_json_variant *meta = meta_of(rpc);
	int r = 0;

	q.modern = meta && sd_json_variant_is_object(meta) && sd_json_variant_by_key(meta, META_VERSION);
	if (rpc->params && !sd_json_variant_is_object(rpc->params))
		fail(&q, AGENTCG_RPC_INVALID_PARAMS, "params: say an object");
	else if (q.modern)
		r = check_envelope(&q, meta);
	if (r >= 0 && !q.code)
		r = dispatch(s, &q);
	if (r >= 0 && q.waits) {
		memcpy(progress, q.message, sizeof(q.message));
		return 1;
	}
	if (r >= 0)
		r = complete(&q);
	if (r < 0)
		fail(&q, AGENTCG_RPC_INTERNAL_ERROR, "%s", strerror(-r));
	return q.code ? agentcg_rpc_error(rpc->id, q.code, q.message, q.data, ret) :
			agentcg_rpc_result(rpc->id, q.result, ret);
}

/* ---- those that wait ---------------------------------------------------- */

static int write_line(sd_json_variant *v);

static struct waiting *find_place(struct server *s)
{
	for (size_t i = 0; i < WAITING_MAX; i++)
		if (!s->waiting[i].message)
			return &s->waiting[i];
	return NULL;
}

static bool somebody_waits(const struct server *s)
{
	for (size_t i = 0; i < WAITING_MAX; i++)
		if (s->waiting[i].message)
			return true;
	return false;
}

static void cancel(struct server *s, const struct agentcg_rpc *cancelled)
{
	sd_json_variant *id = cancelled->params ? sd_json_variant_by_key(cancelled->params, "requestId") : NULL;
	struct agentcg_rpc rpc;

	for (size_t i = 0; id && i < WAITING_MAX; i++) {
		struct waiting *w = &s->waiting[i];

		if (!w->message)
			continue;
		agentcg_rpc_read(w->message, &rpc);
		/* It is not to be answered then. */
		if (sd_json_variant_equal(rpc.id, id))
			w->message = sd_json_variant_unref(w->message);
	}
}

static int tell_progress(const struct agentcg_rpc *rpc, const struct agentcg_mcp_wait *wait, const char *text)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	sd_json_variant *meta = meta_of(rpc), *token = meta ? sd_json_variant_by_key(meta, "progressToken") : NULL;
	int r;

	if (!token || !(sd_json_variant_is_string(token) || sd_json_variant_is_integer(token)))
		return 0;
	r = sd_json_buildo(&v,
		SD_JSON_BUILD_PAIR_STRING("jsonrpc", "2.0"),
		SD_JSON_BUILD_PAIR_STRING("method", "notifications/progress"),
		SD_JSON_BUILD_PAIR_OBJECT("params",
			SD_JSON_BUILD_PAIR_VARIANT("progressToken", token),
			SD_JSON_BUILD_PAIR_UNSIGNED("progress", wait->waited_usec / USEC_PER_SEC),
			SD_JSON_BUILD_PAIR_UNSIGNED("total", wait->total_usec / USEC_PER_SEC),
			SD_JSON_BUILD_PAIR_STRING("message", text)));
	return r < 0 ? r : write_line(v);
}

static int look_again(struct server *s, struct waiting *w, uint64_t now)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *reply = NULL;
	struct agentcg_mcp_wait wait = { .waited_usec = now - w->since_usec };
	char progress[256];
	struct agentcg_rpc rpc;
	int r;

	agentcg_rpc_read(w->message, &rpc);
	r = answer(s, &rpc, false, &wait, progress, &reply);
	if (r == 1 && wait.waited_usec / USEC_PER_SEC > w->told) {
		w->told = wait.waited_usec / USEC_PER_SEC;
		return tell_progress(&rpc, &wait, progress);
	}
	if (r == 1)
		return 0;
	w->message = sd_json_variant_unref(w->message);
	return r < 0 ? r : write_line(reply);
}

static int look_at_all(struct server *s)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	int r = 0;

	for (size_t i = 0; r >= 0 && i < WAITING_MAX; i++)
		if (s->waiting[i].message)
			r = look_again(s, &s->waiting[i], now);
	return r;
}

/* Whose answer may come later, unless it is part of a batch. */
static int take_request(struct server *s, sd_json_variant *v, const struct agentcg_rpc *rpc, bool in_batch, sd_json_variant **ret)
{
	struct waiting *place = in_batch ? NULL : find_place(s);
	struct agentcg_mcp_wait wait = {};
	char progress[256];
	int r;

	r = answer(s, rpc, in_batch, place ? &wait : NULL, progress, ret);
	if (r == 1)
		*place = (struct waiting){ .message = sd_json_variant_ref(v), .since_usec = now_usec(CLOCK_MONOTONIC) };
	return r < 0 ? r : 0;
}

/* ---- one line ----------------------------------------------------------- */

/* *ret stays NULL where there is nothing to reply. */
static int take_message(struct server *s, sd_json_variant *v, bool in_batch, sd_json_variant **ret)
{
	struct agentcg_rpc rpc;

	agentcg_rpc_read(v, &rpc);
	switch (rpc.kind) {
	case AGENTCG_RPC_REQUEST:
		return take_request(s, v, &rpc, in_batch, ret);
	case AGENTCG_RPC_NOTIFICATION:
		if (streq(rpc.method, "notifications/cancelled"))
			cancel(s, &rpc);
		return 0;
	case AGENTCG_RPC_RESPONSE:	/* we ask for nothing */
		return 0;
	default:
		return agentcg_rpc_error(rpc.id, AGENTCG_RPC_INVALID_REQUEST,
					 "this is no request or notification of JSON-RPC 2.0", NULL, ret);
	}
}

static int take_batch(struct server *s, sd_json_variant *v, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	size_t n = sd_json_variant_elements(v);
	int r = 0;

	if (!s->version || !streq(s->version, batch_version))
		return agentcg_rpc_error(NULL, AGENTCG_RPC_INVALID_REQUEST,
					 "this version of the protocol has no batches: send each message in a line of its own",
					 NULL, ret);
	if (!n || n > BATCH_MAX)
		return agentcg_rpc_error(NULL, AGENTCG_RPC_INVALID_REQUEST,
					 n ? "a batch may hold 64 messages" : "a batch must not be empty", NULL, ret);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *reply = NULL;

		r = take_message(s, sd_json_variant_by_index(v, i), true, &reply);
		if (r >= 0 && reply)
			r = sd_json_variant_append_array(&list, reply);
	}
	if (r >= 0)
		*ret = TAKE_PTR(list);
	return r;
}

static int take_line(struct server *s, const char *line, size_t len, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

	if (strspn(line, " \t\r") == len)
		return 0;
	if (strlen(line) != len || sd_json_parse(line, 0, &v, NULL, NULL) < 0)
		return agentcg_rpc_error(NULL, AGENTCG_RPC_PARSE_ERROR, "this line is no JSON", NULL, ret);
	return sd_json_variant_is_array(v) ? take_batch(s, v, ret) : take_message(s, v, false, ret);
}

/* ---- all of them -------------------------------------------------------- */

static int write_line(sd_json_variant *v)
{
	_cleanup_free_ char *text = NULL;
	size_t n, done = 0;
	int r;

	r = sd_json_variant_format(v, SD_JSON_FORMAT_NEWLINE, &text);
	if (r < 0)
		return r;
	n = strlen(text);
	while (done < n) {
		ssize_t k = write(STDOUT_FILENO, text + done, n - done);

		if (k < 0 && errno != EINTR)
			return -errno;
		done += k > 0 ? (size_t)k : 0;
	}
	return 0;
}

static int take_lines(struct server *s, struct agentcg_lines *lines)
{
	char *line;
	size_t len;
	int r;

	while ((r = agentcg_lines_next(lines, &line, &len)) != 0) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *reply = NULL;

		if (r > 0)
			r = take_line(s, line, len, &reply);
		else
			r = agentcg_rpc_error(NULL, AGENTCG_RPC_INVALID_REQUEST,
					      "a message may be 1 MiB long; this one is left out", NULL, &reply);
		if (r >= 0 && reply)
			r = write_line(reply);
		if (r < 0)
			return r;
	}
	return 0;
}

static int serve(struct server *s)
{
	_cleanup_(agentcg_lines_done) struct agentcg_lines lines = { .max = LINE_MAX_BYTES };
	uint64_t look_at = 0;
	char buf[32 * KIB];
	int r;

	r = sd_json_parse(agentcg_mcp_tools, 0, &s->about, NULL, NULL);
	while (r >= 0) {
		struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
		bool waits = somebody_waits(s);
		ssize_t n;

		if (waits && look_at < now_usec(CLOCK_MONOTONIC)) {
			look_at = now_usec(CLOCK_MONOTONIC) + LOOK_USEC;
			r = look_at_all(s);
			continue;
		}
		if (waits && poll(&fd, 1, (int)(LOOK_USEC / USEC_PER_MSEC)) == 0)
			continue;
		n = read(STDIN_FILENO, buf, sizeof(buf));

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : agentcg_lines_feed(&lines, buf, (size_t)n);
		if (r >= 0)
			r = take_lines(s, &lines);
	}
	return r;
}

int agentcg_cmd_mcp(int argc, char **argv)
{
	enum { SESSION = OPT_FIRST, SOCKET };
	static const struct option options[] = {
		{ "session", required_argument, NULL, SESSION },
		{ "socket", required_argument, NULL, SOCKET },
		AGENTCG_COMMON_OPTIONS
	};
	struct server s = { .peer.socket = agentcg_client_socket() };
	char session[AGENTCG_TOOL_SESSION_MAX];
	int c, r;

	while ((c = agentcg_getopt(argc, argv, "+:h", options, help)) >= 0) {
		if (c == OPT_HELP)
			return 0;
		else if (c == SESSION)
			s.peer.session = optarg;
		else if (c == SOCKET)
			s.peer.socket = optarg;
		else
			return EXIT_USAGE;
	}
	if (optind < argc)
		return agentcg_usage_error("it takes no arguments");
	if (!s.peer.session)
		s.peer.session = agentcg_tool_session("claude", getenv("CLAUDE_CODE_SESSION_ID"), session);
	if (isatty(STDIN_FILENO))
		agentcg_say("this is for agent tools: it waits for an MCP client on standard input; see --help");
	signal(SIGPIPE, SIG_IGN);
	r = serve(&s);
	for (size_t i = 0; i < WAITING_MAX; i++)
		sd_json_variant_unref(s.waiting[i].message);
	sd_json_variant_unref(s.about);
	if (r >= 0 || r == -EPIPE)
		return 0;
	agentcg_say("cannot go on: %s", strerror(-r));
	return EXIT_FAILURE;
}
