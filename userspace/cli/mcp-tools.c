// SPDX-License-Identifier: GPL-2.0-only
/* What the model says and asks by agentcg mcp, as calls of the daemon, and the answers in words. */
#include <inttypes.h>
#include <stdarg.h>

#include "client.h"
#include "decide.h"
#include "mcp.h"
#include "size.h"
#include "whose.h"

#define BYTES(v)	agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, (v))
#define SIZE(v)		agentcg_format_size((char[AGENTCG_TEXT_MAX]){}, (v))
#define TIME(v)		agentcg_format_time((char[AGENTCG_TEXT_MAX]){}, (v))

/* The daemon answers in milliseconds; beyond this it hangs, and the model is told. */
#define REPLY_USEC	(10 * USEC_PER_SEC)

/* As much of a command as the launcher tells the daemon (leaf.c), so that both are of one kind. */
#define LINE_MAX_BYTES	250

/* So long is waited for memory if nothing is said, and at most. */
#define WITHIN_USEC	(60 * USEC_PER_SEC)
#define WITHIN_MAX_USEC	(600 * USEC_PER_SEC)

/* As the daemon keeps what was declared (DeclareIntent). */
#define DECLARED_USEC	(600 * USEC_PER_SEC)

/* The tools' descriptions, as they go to the client; see Makefile. */
asm(".pushsection .rodata\n"
	".global agentcg_mcp_tools\n"
	"agentcg_mcp_tools: .incbin \"userspace/cli/mcp-tools.json\"\n"
	".byte 0\n"
	".popsection");

/* ---- answers ------------------------------------------------------------ */

_printf_(2, 3)
static void say(FILE *f, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(f, format, ap);
	va_end(ap);
}

/* An error that the model can do something about. */
_printf_(2, 3)
static int refuse(struct agentcg_mcp_answer *a, const char *format, ...)
{
	va_list ap;
	int r;

	a->error = true;
	a->structured = sd_json_variant_unref(a->structured);
	free(TAKE_PTR(a->text));
	va_start(ap, format);
	r = vasprintf(&a->text, format, ap);
	va_end(ap);
	return r < 0 ? -ENOMEM : 0;
}

void agentcg_mcp_answer_done(struct agentcg_mcp_answer *a)
{
	sd_json_variant_unref(a->structured);
	free(a->text);
	*a = (struct agentcg_mcp_answer){};
}

/* Those of the fields of @from that are there. */
static int pick(sd_json_variant *from, const char *const keys[], sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	int r = sd_json_variant_new_object(&v, NULL, 0);

	for (; r >= 0 && *keys; keys++)
		if (from && agentcg_json_has(from, *keys))
			r = sd_json_variant_set_field(&v, *keys, sd_json_variant_by_key(from, *keys));
	if (r >= 0)
		*ret = TAKE_PTR(v);
	return r;
}

/* ---- the daemon --------------------------------------------------------- */

/* 0 and the reply, or negative errno and what to tell the model in @why. */
static int ask(const struct agentcg_mcp_peer *peer, const char *method, sd_json_variant *parameters,
	       sd_json_variant **ret, char *why)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	sd_json_variant *reply;
	int r;

	r = agentcg_client_connect(peer->socket, &link, why);
	if (r < 0)
		return -ENOTCONN;
	sd_varlink_set_relative_timeout(link, REPLY_USEC);
	r = agentcg_client_call(link, method, parameters, &reply, why);
	if (r >= 0)
		*ret = sd_json_variant_ref(reply);
	sd_varlink_close(link);
	return r;
}

/* What to do about it is for the user where the model can do nothing. */
static int refuse_for(struct agentcg_mcp_answer *a, int error, const char *why)
{
	if (error == -ENOTCONN)
		return refuse(a, "%s. Until then commands run all the same, but nothing limits or protects them, and this tool cannot tell "
			      "anything; go on without it, and tell the user.", why);
	return refuse(a, "%s", why);
}

/* ---- declare_intent ----------------------------------------------------- */

/* The command line as the launcher tells it: an argv of a shell. */
static int build_command(sd_json_variant *line, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *word = NULL;
	int r;

	r = agentcg_json_text(&word, sd_json_variant_string(line), LINE_MAX_BYTES);
	if (r < 0)
		return r;
	return sd_json_build(ret, SD_JSON_BUILD_ARRAY(
		SD_JSON_BUILD_STRING("sh"), SD_JSON_BUILD_STRING("-c"), SD_JSON_BUILD_VARIANT(word)));
}

static void say_granted(FILE *f, sd_json_variant *granted, sd_json_variant *notes)
{
	sd_json_variant *requests = sd_json_variant_by_key(granted, "requests");
	sd_json_variant *limits = sd_json_variant_by_key(granted, "limits");
	const char *reason = agentcg_json_string(granted, "reason");
	size_t n = notes ? sd_json_variant_elements(notes) : 0;

	say(f, "Granted: %s of memory", BYTES(agentcg_json_u64(requests, "memory")));
	if (reason)
		say(f, " (%s)", reason);
	if (agentcg_json_has(limits, "memory"))
		say(f, ", killed beyond %s", BYTES(agentcg_json_u64(limits, "memory")));
	if (agentcg_json_has(limits, "milliCPU"))
		say(f, ", at most %.3g CPUs", (double)agentcg_json_u64(limits, "milliCPU") / 1000);
	if (agentcg_json_has(limits, "pids"))
		say(f, ", at most %" PRIu64 " processes and threads", agentcg_json_u64(limits, "pids"));
	if (agentcg_json_has(granted, "timeoutUSec"))
		say(f, ", killed after %s", TIME(agentcg_json_u64(granted, "timeoutUSec")));
	say(f, ".");
	for (size_t i = 0; i < n; i++) {
		sd_json_variant *note = sd_json_variant_by_index(notes, i);

		say(f, " Note: %s.", sd_json_variant_is_string(note) ? sd_json_variant_string(note) : "");
	}
}

static int answer_declared(const struct agentcg_mcp_peer *peer, sd_json_variant *reply, bool for_command,
			   struct agentcg_mcp_answer *ret)
{
	sd_json_variant *granted = sd_json_variant_by_key(reply, "granted"), *notes = sd_json_variant_by_key(reply, "notes");
	_cleanup_fclose_ FILE *f = NULL;
	size_t size;

	if (!granted || !notes)
		return refuse(ret, "the daemon's answer is not understood");
	f = open_memstream(&ret->text, &size);
	if (!f)
		return -ENOMEM;
	say(f, "Declared for the next command %sof session %s, within %s. ", for_command ? "that does the same " : "",
	    peer->session, TIME(DECLARED_USEC));
	say_granted(f, granted, notes);
	return sd_json_buildo(&ret->structured,
		SD_JSON_BUILD_PAIR_STRING("session", peer->session),
		SD_JSON_BUILD_PAIR_VARIANT("granted", granted),
		SD_JSON_BUILD_PAIR_VARIANT("notes", notes),
		SD_JSON_BUILD_PAIR_UNSIGNED("validUSec", DECLARED_USEC));
}

static int declare_intent(const struct agentcg_mcp_peer *peer, sd_json_variant *arguments, struct agentcg_mcp_wait *wait,
			  struct agentcg_mcp_answer *ret)
{
	static char *const ours[] = { "command", NULL };
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *intent = NULL, *command = NULL, *parameters = NULL, *reply = NULL;
	sd_json_variant *line = arguments && agentcg_json_has(arguments, "command") ?
				sd_json_variant_by_key(arguments, "command") : NULL;
	char why[AGENTCG_WHY_MAX] = "";
	int r = 0;

	if (line && !sd_json_variant_is_string(line))
		return refuse(ret, "command: say the shell command as one text, or leave it out");
	intent = sd_json_variant_ref(arguments);
	if (intent)
		r = sd_json_variant_filter(&intent, (char **)ours);
	if (r >= 0 && (!intent || !sd_json_variant_elements(intent)))
		return refuse(ret, "say at least one of requests, limits, timeout, duration, deadline, latency, on_pressure and detach, "
			      "such as {\"requests\": {\"memory\": \"1Gi\"}}");
	if (r >= 0 && line)
		r = build_command(line, &command);
	if (r >= 0)
		r = sd_json_buildo(&parameters,
			SD_JSON_BUILD_PAIR_STRING("session", peer->session),
			SD_JSON_BUILD_PAIR_VARIANT("intent", intent),
			SD_JSON_BUILD_PAIR_CONDITION(!!command, "command", SD_JSON_BUILD_VARIANT(command)));
	if (r < 0)
		return r;
	r = ask(peer, "DeclareIntent", parameters, &reply, why);
	if (r < 0)
		return refuse_for(ret, r, why);
	return answer_declared(peer, reply, !!line, ret);
}

/* ---- see_budget --------------------------------------------------------- */

static sd_json_variant *find_session(sd_json_variant *status, const char *name)
{
	sd_json_variant *list = sd_json_variant_by_key(status, "sessions");

	for (size_t i = 0; list && i < sd_json_variant_elements(list); i++) {
		sd_json_variant *s = sd_json_variant_by_index(list, i);
		const char *other = agentcg_json_string(s, "name");

		if (other && streq(other, name))
			return s;
	}
	return NULL;
}

static int build_session(sd_json_variant *session, const char *name, sd_json_variant **ret)
{
	static const char *const keys[] = { "priority", "budget", "reserve", "memoryCurrent", "timeLeftUSec", NULL };
	int r = pick(session, keys, ret);

	if (r >= 0)
		r = sd_json_variant_set_field_string(ret, "name", name);
	if (r >= 0)
		r = sd_json_variant_set_field_boolean(ret, "open", !!session);
	return r;
}

static int build_running(sd_json_variant *session, sd_json_variant **ret)
{
	static const char *const keys[] = { "call", "command", "phase", "request", "memoryMax", "memoryCurrent", "memoryPeak",
					    "heldUSec", "timeoutUSec", "ageUSec", "detached", NULL };
	sd_json_variant *calls = session ? sd_json_variant_by_key(session, "calls") : NULL;
	int r = sd_json_variant_new_array(ret, NULL, 0);

	for (size_t i = 0; r >= 0 && calls && i < sd_json_variant_elements(calls); i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		r = pick(sd_json_variant_by_index(calls, i), keys, &v);
		if (r >= 0)
			r = sd_json_variant_append_array(ret, v);
	}
	return r;
}

static void say_allowed(FILE *f, sd_json_variant *allowed)
{
	const char *between = "";

	if (!allowed || !(agentcg_json_has(allowed, "memory") || agentcg_json_has(allowed, "pids") ||
			  agentcg_json_has(allowed, "timeoutUSec")))
		return;
	say(f, " One command may have at most ");
	if (agentcg_json_has(allowed, "memory")) {
		say(f, "%s of memory", BYTES(agentcg_json_u64(allowed, "memory")));
		between = ", ";
	}
	if (agentcg_json_has(allowed, "pids")) {
		say(f, "%s%" PRIu64 " processes and threads", between, agentcg_json_u64(allowed, "pids"));
		between = ", ";
	}
	if (agentcg_json_has(allowed, "timeoutUSec"))
		say(f, "%s%s", between, TIME(agentcg_json_u64(allowed, "timeoutUSec")));
	say(f, ".");
}

static void say_budget(FILE *f, const char *name, sd_json_variant *session, sd_json_variant *running, sd_json_variant *pool)
{
	if (!session)
		say(f, "Session %s begins with its next command.", name);
	else
		say(f, "Session %s uses %s", name, BYTES(agentcg_json_u64(session, "memoryCurrent")));
	if (session && agentcg_json_has(session, "budget"))
		say(f, " of %s", BYTES(agentcg_json_u64(session, "budget")));
	if (session)
		say(f, "; %zu of its commands run.", sd_json_variant_elements(running));
	if (session && agentcg_json_has(session, "timeLeftUSec"))
		say(f, " It has %s left.", TIME(agentcg_json_u64(session, "timeLeftUSec")));
	for (size_t i = 0; i < sd_json_variant_elements(running); i++) {
		sd_json_variant *c = sd_json_variant_by_index(running, i);
		const char *phase = agentcg_json_string(c, "phase");

		if (phase && !streq(phase, "running"))
			say(f, " %s is %s: it waits for memory.", agentcg_json_string(c, "call") ?: "one", phase);
	}
	say(f, " All sessions together use %s of %s; %s are free.", BYTES(agentcg_json_u64(pool, "memoryCurrent")),
	    BYTES(agentcg_json_u64(pool, "memoryMax")), BYTES(agentcg_json_u64(pool, "headroom")));
}

/* What a command of the session can have now, and what it could if nothing else ran. */
struct room {
	uint64_t free;
	uint64_t ever;
};

static struct room look_for_room(sd_json_variant *session, sd_json_variant *pool)
{
	uint64_t reserve = agentcg_json_u64(pool, "reserve"), budget = agentcg_json_u64(session, "budget");
	struct room r = {
		.free = agentcg_sub(agentcg_json_u64(pool, "headroom"), reserve),
		.ever = agentcg_sub(agentcg_json_u64(pool, "memoryMax"), reserve),
	};

	if (agentcg_json_has(session, "budget")) {
		r.free = min_u64(r.free, agentcg_sub(budget, agentcg_json_u64(session, "memoryCurrent")));
		r.ever = min_u64(r.ever, budget);
	}
	return r;
}

/* To wait until so much is free. */
struct room_wish {
	uint64_t bytes;		/* 0: not to wait */
	uint64_t within_usec;
};

/* 1: it is refused. */
static int read_room_wish(sd_json_variant *arguments, struct room_wish *wish, struct agentcg_mcp_answer *ret)
{
	static const char *const fields[] = { "until_free", "within" };
	const char *text[ARRAY_SIZE(fields)] = {};
	char why[AGENTCG_WHY_MAX] = "";
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!arguments || !agentcg_json_has(arguments, fields[i]))
			continue;
		text[i] = agentcg_json_string(arguments, fields[i]);
		if (!text[i])
			return refuse(ret, "%s: say a text, such as \"%s\"", fields[i], i ? "30s" : "1Gi") ?: 1;
	}
	if (text[1] && !text[0])
		return refuse(ret, "within: say with until_free how much is to be free") ?: 1;
	if (text[0] && agentcg_parse_size(text[0], &wish->bytes, why) < 0)
		return refuse(ret, "until_free: %s", why) ?: 1;
	if (text[1] && agentcg_parse_time(text[1], &wish->within_usec, why) < 0)
		return refuse(ret, "within: %s", why) ?: 1;
	if (wish->within_usec > WITHIN_MAX_USEC)
		return refuse(ret, "within: say 10m or less") ?: 1;
	return r;
}

static void say_waited(FILE *f, const struct room_wish *wish, const struct room *room, uint64_t waited)
{
	if (!wish->bytes)
		return;
	/* To seconds: more is noise here. */
	if (waited >= USEC_PER_SEC)
		say(f, "Waited %s: ", TIME(waited / USEC_PER_SEC * USEC_PER_SEC));
	if (wish->bytes <= room->free)
		say(f, "%s are free now. ", BYTES(room->free));
	else
		say(f, "only %s of %s are free: do it with less, or wait again. ", BYTES(room->free), BYTES(wish->bytes));
}

static int see_budget(const struct agentcg_mcp_peer *peer, sd_json_variant *arguments, struct agentcg_mcp_wait *wait,
		      struct agentcg_mcp_answer *ret)
{
	static const char *const pool_keys[] = { "memoryMax", "memoryCurrent", "headroom", "reserve", "enforcement", NULL };
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *reply = NULL, *session = NULL, *running = NULL, *pool = NULL;
	struct room_wish wish = { .within_usec = WITHIN_USEC };
	sd_json_variant *found, *allowed;
	char why[AGENTCG_WHY_MAX] = "";
	_cleanup_fclose_ FILE *f = NULL;
	struct room room;
	size_t size;
	int r;

	r = read_room_wish(arguments, &wish, ret);
	if (r)
		return r < 0 ? r : 0;
	r = ask(peer, "GetStatus", NULL, &reply, why);
	if (r < 0)
		return refuse_for(ret, r, why);
	found = find_session(reply, peer->session);
	allowed = agentcg_json_has(reply, "allowed") ? sd_json_variant_by_key(reply, "allowed") : NULL;
	r = build_session(found, peer->session, &session);
	if (r >= 0)
		r = build_running(found, &running);
	if (r >= 0)
		r = pick(sd_json_variant_by_key(reply, "pool"), pool_keys, &pool);
	if (r < 0)
		return r;
	room = look_for_room(session, pool);
	if (wish.bytes > room.ever)
		return refuse(ret, "until_free: %s is more than this session can ever have: say %s or less",
			      SIZE(wish.bytes), SIZE(room.ever));
	if (wait && wish.bytes > room.free && wait->waited_usec < wish.within_usec) {
		wait->total_usec = wish.within_usec;
		return asprintf(&ret->text, "%s of %s are free", BYTES(room.free), BYTES(wish.bytes)) < 0 ? -ENOMEM : 1;
	}
	f = open_memstream(&ret->text, &size);
	if (!f)
		return -ENOMEM;
	say_waited(f, &wish, &room, wait ? wait->waited_usec : 0);
	say_budget(f, peer->session, found ? session : NULL, running, pool);
	say_allowed(f, allowed);
	return sd_json_buildo(&ret->structured,
		SD_JSON_BUILD_PAIR_VARIANT("session", session),
		SD_JSON_BUILD_PAIR_VARIANT("running", running),
		SD_JSON_BUILD_PAIR_VARIANT("pool", pool),
		SD_JSON_BUILD_PAIR_UNSIGNED("free", room.free),
		SD_JSON_BUILD_PAIR_CONDITION(!!allowed, "allowed", SD_JSON_BUILD_VARIANT(allowed)));
}

/* ---- explain_last_failure ----------------------------------------------- */

/* What to declare for another try; NULL: that cannot help, or nothing says how much. */
static int build_declare(sd_json_variant *result, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *requests = NULL, *limits = NULL;
	const char *retry = agentcg_json_string(result, "retry"), *outcome = agentcg_json_string(result, "outcome") ?: "";
	uint64_t suggested = agentcg_json_u64(result, "suggestedRequest"), max = agentcg_json_u64(result, "memoryMax");
	bool larger = retry && streq(retry, "larger");
	int r = 0;

	if (!larger && !(retry && streq(retry, "later")))
		return 0;
	if (suggested)
		r = sd_json_buildo(&requests, SD_JSON_BUILD_PAIR_STRING("memory", SIZE(suggested)));
	/* A fifth more, in whole MiB, as the result's text has it. */
	if (r >= 0 && larger && max && streq(outcome, "oom_killed"))
		r = sd_json_buildo(&limits, SD_JSON_BUILD_PAIR_STRING("memory",
			SIZE(max_u64(suggested, (max + max / 5 + MIB - 1) & ~(MIB - 1)))));
	if (r < 0 || (!requests && !limits))
		return r;
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_CONDITION(!!requests, "requests", SD_JSON_BUILD_VARIANT(requests)),
		SD_JSON_BUILD_PAIR_CONDITION(!!limits, "limits", SD_JSON_BUILD_VARIANT(limits)));
}

static void say_command(FILE *f, sd_json_variant *command)
{
	size_t n = command ? sd_json_variant_elements(command) : 0;

	for (size_t i = 0; i < n; i++) {
		sd_json_variant *word = sd_json_variant_by_index(command, i);

		say(f, "%s%s", i ? " " : "", sd_json_variant_is_string(word) ? sd_json_variant_string(word) : "");
	}
}

static int say_failure(FILE *f, sd_json_variant *failure, sd_json_variant *result, sd_json_variant *declare)
{
	uint64_t ended = agentcg_json_u64(failure, "exitUSec"), now = now_usec(CLOCK_REALTIME);
	const char *retry = agentcg_json_string(result, "retry") ?: "";
	_cleanup_free_ char *text = NULL;
	int r;

	say(f, "\"");
	say_command(f, sd_json_variant_by_key(failure, "command"));
	say(f, "\" (%s", agentcg_json_string(failure, "call") ?: "a call");
	if (ended && ended <= now)
		say(f, ", %s ago", TIME((now - ended) / USEC_PER_SEC * USEC_PER_SEC));
	say(f, "): %s", agentcg_json_string(result, "text") ?: "");
	if (streq(retry, "later"))
		say(f, " The same again can succeed, when less is going on.");
	else if (streq(retry, "smaller"))
		say(f, " The same again will fail again: do less at once.");
	if (!declare)
		return 0;
	r = sd_json_variant_format(declare, 0, &text);
	if (r >= 0)
		say(f, " Before you try it again, call declare_intent with %s.", text);
	return r;
}

static int answer_failure(sd_json_variant *failure, struct agentcg_mcp_answer *ret)
{
	static const char *const keys[] = { "call", "command", "exitUSec", "result", NULL };
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *declare = NULL;
	sd_json_variant *result = failure ? sd_json_variant_by_key(failure, "result") : NULL;
	_cleanup_fclose_ FILE *f = NULL;
	size_t size;
	int r;

	f = open_memstream(&ret->text, &size);
	if (!f)
		return -ENOMEM;
	r = pick(result ? failure : NULL, keys, &ret->structured);
	if (r >= 0 && result)
		r = build_declare(result, &declare);
	if (r >= 0 && declare)
		r = sd_json_variant_set_field(&ret->structured, "declare", declare);
	if (r >= 0)
		r = sd_json_variant_set_field_boolean(&ret->structured, "failed", !!result);
	if (r < 0)
		return r;
	if (result)
		return say_failure(f, failure, result, declare);
	say(f, "None of the last commands of this session failed for want of memory, time or processes. If one did fail, its own output says why.");
	return 0;
}

static int explain_last_failure(const struct agentcg_mcp_peer *peer, sd_json_variant *arguments, struct agentcg_mcp_wait *wait,
				struct agentcg_mcp_answer *ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL, *reply = NULL;
	char why[AGENTCG_WHY_MAX] = "";
	sd_json_variant *list = NULL;
	size_t n = 0;
	int r;

	r = sd_json_buildo(&parameters,
		SD_JSON_BUILD_PAIR_STRING("session", peer->session),
		SD_JSON_BUILD_PAIR_BOOLEAN("failed", true));
	if (r < 0)
		return r;
	r = ask(peer, "GetResults", parameters, &reply, why);
	if (r == -EOPNOTSUPP)
		return refuse(ret, "This daemon cannot tell: it does not remember results. What the command's own output says is all there is.");
	/* One that was made for its commands is gone with the last one. */
	if (r < 0 && r != -ENXIO)
		return refuse_for(ret, r, why);
	if (r >= 0)
		list = sd_json_variant_by_key(reply, "results");
	if (list)
		n = sd_json_variant_elements(list);
	return answer_failure(n ? sd_json_variant_by_index(list, n - 1) : NULL, ret);
}

/* ---- all ---------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*function)(const struct agentcg_mcp_peer *peer, sd_json_variant *arguments, struct agentcg_mcp_wait *wait,
			struct agentcg_mcp_answer *ret);
} tools[] = {
	{ "declare_intent", declare_intent },
	{ "see_budget", see_budget },
	{ "explain_last_failure", explain_last_failure },
};

int agentcg_mcp_call(const struct agentcg_mcp_peer *peer, const char *name, sd_json_variant *arguments,
		     struct agentcg_mcp_wait *wait, struct agentcg_mcp_answer *ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *status = NULL;
	struct agentcg_mcp_peer now = *peer;
	char whose[AGENTCG_WHOSE_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tools); i++)
		if (streq(tools[i].name, name))
			break;
	if (i == ARRAY_SIZE(tools))
		return -ENOENT;
	/* Anew each time: the tool's hooks may open its session after this has started. */
	if (!now.session) {
		(void)ask(peer, "GetStatus", NULL, &status, NULL);
		now.session = agentcg_whose(status, whose);
	}
	return tools[i].function(&now, arguments, wait, ret);
}
