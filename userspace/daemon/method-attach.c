// SPDX-License-Identifier: GPL-2.0-only
#include <sys/random.h>

#include "attachment.h"
#include "call.h"
#include "command.h"
#include "io-agentcg.h"
#include "learn.h"
#include "notes.h"
#include "session.h"
#include "varlink.h"

/* How long a ticket is good, and how many of a session are at once: each is a leaf. */
#define TICKET_USEC	(60 * USEC_PER_SEC)
#define TICKETS_MAX	16

static int reply_why(sd_varlink *link, int error, const char *why)
{
	switch (error) {
	case -EPERM:
	case -EALREADY:
		return agentcg_reply_denied(link, why);
	case -EOPNOTSUPP:
		return sd_varlink_errorbo(link, AGENTCG_ERROR_NOT_SUPPORTED, SD_JSON_BUILD_PAIR_STRING("reason", why));
	case -ESRCH:
		return sd_varlink_error_invalid_parameter_name(link, "pidFd");
	default:
		return error;
	}
}

static int dispatch_kind(const char *name, sd_json_variant *v, sd_json_dispatch_flags_t flags, void *userdata)
{
	enum agentcg_follow_kind *kind = userdata;

	if (sd_json_variant_is_null(v))
		return 0;
	for (*kind = AGENTCG_FOLLOW_SHELL; *kind <= AGENTCG_FOLLOW_FRAMEWORK; (*kind)++)
		if (sd_json_variant_is_string(v) && streq(sd_json_variant_string(v), agentcg_follow_kind_name(*kind)))
			return 0;
	return -EINVAL;
}

METHOD(attach_session)
{
	struct {
		const char *name;
		uint64_t pidfd;
		enum agentcg_follow_kind kind;
	} p = {};
	static const sd_json_dispatch_field table[] = {
		{ "name", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_const_string, offsetof(typeof(p), name), 0 },
		{ "pidFd", SD_JSON_VARIANT_UNSIGNED, agentcg_dispatch_u64, offsetof(typeof(p), pidfd), SD_JSON_MANDATORY },
		{ "kind", _SD_JSON_VARIANT_TYPE_INVALID, dispatch_kind, offsetof(typeof(p), kind), 0 },
		{}
	};
	char why[AGENTCG_WHY_MAX] = "", name[AGENTCG_CALL_NAME_MAX];
	struct attachment *a = NULL;
	struct manager *m = userdata;
	struct notes notes = {};
	struct session *s;
	uint32_t slot;
	uid_t uid;
	int fd, r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	fd = sd_varlink_peek_dup_fd(link, p.pidfd);
	if (fd < 0)
		return sd_varlink_error_invalid_parameter_name(link, "pidFd");
	s = agentcg_method_session(link, m, p.name, uid, AGENTCG_UNSET_PRIORITY, &notes, &r);
	if (!s) {
		close(fd);
		return r;
	}
	slot = s->slot;
	r = agentcg_attachment_new(s, fd, uid, p.kind, &a, why);
	if (r == -ENOSPC)
		r = agentcg_reply_limit(link, "attached processes or calls of one session", AGENTCG_ATTACHMENTS_PER_SESSION);
	else if (r < 0)
		r = reply_why(link, r, why);
	else
		r = sd_varlink_replybo(link,
			SD_JSON_BUILD_PAIR_STRING("session", s->name),
			SD_JSON_BUILD_PAIR_STRING("call", agentcg_call_name(a->home, name)),
			SD_JSON_BUILD_PAIR_STRING("kind", agentcg_follow_kind_name(a->kind)),
			SD_JSON_BUILD_PAIR_STRV("notes", notes.list));
	/* It may have been made for this. */
	if (m->sessions[slot] == s)
		agentcg_session_gc(s);
	return r;
}

/* ---- tickets ------------------------------------------------------------ */

static int make_name(struct agentcg_ticket_name *ret)
{
	unsigned char bytes[AGENTCG_TICKET_LEN / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		ret->text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		ret->text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	return 0;
}

static uint32_t count_tickets(const struct session *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->m->nr_calls; i++) {
		const struct call *c = s->m->calls[i];

		n += c && c->session == s && c->spare && c->follower == AGENTCG_MAX_ATTACHMENTS && !c->ending;
	}
	return n;
}

/* Nobody came. */
static int on_expired(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct call *c = userdata;

	c->grace = sd_event_source_disable_unref(c->grace);
	if (c->spare)
		agentcg_call_end(c, NULL);
	return 0;
}

static int issue(struct call *c, uid_t uid)
{
	const struct agentcg_ticket ticket = {
		.leaf = c->id,
		.expires = (now_usec(CLOCK_MONOTONIC) + TICKET_USEC) * NSEC_PER_USEC,
		.uid = uid,
	};
	int r = make_name(&c->ticket);

	if (!r)
		r = agentcg_follow_add_ticket(c->m->follow, &c->ticket, &ticket);
	if (r < 0)
		return r;
	/* A little later than the kernel says no. */
	return sd_event_add_time_relative(c->m->event, &c->grace, CLOCK_MONOTONIC, TICKET_USEC + USEC_PER_SEC, 0,
					  on_expired, c);
}

struct ticket_parameters {
	const char *session;
	sd_json_variant *command;
	sd_json_variant *intent;
};

static int create(sd_varlink *link, struct session *s, const struct ticket_parameters *p, struct call_wish *wish,
		  uid_t uid, struct notes *notes)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *command = NULL;
	char kind[AGENTCG_KIND_MAX] = "", name[AGENTCG_CALL_NAME_MAX];
	uint64_t declared = wish->intent.memory_request;
	struct prediction learned;
	struct call_grant granted;
	char text[AGENTCG_TICKET_LEN + 1] = "";
	struct call_birth birth = {
		.grant = &granted, .kind = kind, .placed = true,
		.declared = declared == AGENTCG_UNSET ? AGENTCG_NONE : declared,
	};
	struct call *c;
	int r;

	if (count_tickets(s) >= TICKETS_MAX)
		return agentcg_reply_limit(link, "tickets of one session that are not used yet", TICKETS_MAX);
	if (agentcg_command_trim(p->command, &command) < 0)
		return sd_varlink_error_invalid_parameter_name(link, "command");
	birth.command = command;
	agentcg_command_kind(p->command, kind);
	agentcg_learn_wish(s, kind, wish, &learned);
	agentcg_call_grant(s, uid, NULL, 0, wish, &granted, notes);
	r = agentcg_attachment_make_leaf(s, AGENTCG_MAX_ATTACHMENTS, &birth, &c);
	if (r == -ENOSPC)
		return agentcg_reply_limit(link, "calls", s->nr_calls);
	if (r < 0)
		return r;
	r = issue(c, s->uid);
	memcpy(text, c->ticket.text, AGENTCG_TICKET_LEN);
	if (r < 0) {
		agentcg_call_end(c, NULL);
		return r;
	}
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_STRING("ticket", text),
		SD_JSON_BUILD_PAIR_STRING("call", agentcg_call_name(c, name)),
		SD_JSON_BUILD_PAIR_UNSIGNED("expiresUSec", TICKET_USEC),
		SD_JSON_BUILD_PAIR_STRV("notes", notes->list));
}

METHOD(create_ticket)
{
	struct ticket_parameters p = {};
	static const sd_json_dispatch_field table[] = {
		{ "session", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_const_string, offsetof(typeof(p), session), 0 },
		{ "command", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_variant_noref, offsetof(typeof(p), command), 0 },
		{ "intent", _SD_JSON_VARIANT_TYPE_INVALID, sd_json_dispatch_variant_noref, offsetof(typeof(p), intent), 0 },
		{}
	};
	struct call_wish wish = { .priority = AGENTCG_UNSET_PRIORITY };
	char why[AGENTCG_WHY_MAX] = "";
	struct manager *m = userdata;
	struct notes notes = {};
	struct session *s;
	uint32_t slot;
	uid_t uid;
	int r;

	r = sd_varlink_dispatch(link, parameters, table, &p);
	if (r)
		return r;
	if (!agentcg_method_intent(link, p.intent, &wish, &r))
		return r;
	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	r = agentcg_attachment_open(m, why);
	if (r < 0)
		return reply_why(link, r, why);
	s = agentcg_method_session(link, m, p.session, uid, AGENTCG_UNSET_PRIORITY, &notes, &r);
	if (!s)
		return r;
	slot = s->slot;
	r = create(link, s, &p, &wish, uid, &notes);
	if (m->sessions[slot] == s)
		agentcg_session_gc(s);
	return r;
}
