// SPDX-License-Identifier: GPL-2.0-only
#include "varlink.h"

#include <sys/socket.h>

#include "admission.h"
#include "attach.h"
#include "call.h"
#include "intake.h"
#include "io-agentcg.h"
#include "io-agentcg-gpu.h"
#include "log.h"
#include "notes.h"
#include "pause.h"
#include "peer.h"
#include "priority.h"
#include "session.h"
#include "watch.h"

/* One for each call that can be, and some to look around. */
#define CONNECTIONS_MAX		(AGENTCG_MAX_CALLS + 512)

/*
 * What one user may have, calls and some to look around: others are left some,
 * and do not wait long while all are accepted (each costs 40 KiB and some ms).
 */
#define CONNECTIONS_PER_UID	(AGENTCG_CALLS_PER_UID + 64)

/* ---- parameters and errors ---------------------------------------------- */

int agentcg_dispatch_u64(const char *name, sd_json_variant *v, sd_json_dispatch_flags_t flags,
			 void *userdata)
{
	if (sd_json_variant_is_null(v))
		return 0;
	/* The upper half is for values such as "none" of our own. */
	if (!sd_json_variant_is_unsigned(v) || sd_json_variant_unsigned(v) > INT64_MAX)
		return -EINVAL;
	*(uint64_t *)userdata = sd_json_variant_unsigned(v);
	return 0;
}

int agentcg_dispatch_priority(const char *name, sd_json_variant *v,
			      sd_json_dispatch_flags_t flags, void *userdata)
{
	uint64_t priority = UINT64_MAX;
	int r = agentcg_dispatch_u64(name, v, flags, &priority);

	if (r < 0 || priority == UINT64_MAX)
		return r;
	if (priority > AGENTCG_PRIORITY_MAX)
		return -EINVAL;
	*(uint32_t *)userdata = (uint32_t)priority;
	return 0;
}

int agentcg_dispatch_bool(const char *name, sd_json_variant *v, sd_json_dispatch_flags_t flags,
			  void *userdata)
{
	if (sd_json_variant_is_null(v))
		return 0;
	if (!sd_json_variant_is_boolean(v))
		return -EINVAL;
	*(bool *)userdata = sd_json_variant_boolean(v);
	return 0;
}

int agentcg_reply_denied(sd_varlink *link, const char *reason)
{
	return sd_varlink_errorbo(link, AGENTCG_ERROR_PERMISSION_DENIED,
				  SD_JSON_BUILD_PAIR_STRING("reason", reason));
}

int agentcg_reply_intent(sd_varlink *link, const char *field, const char *why)
{
	return sd_varlink_errorbo(link, AGENTCG_ERROR_INVALID_INTENT,
				  SD_JSON_BUILD_PAIR_STRING("field", field),
				  SD_JSON_BUILD_PAIR_STRING("reason", why));
}

int agentcg_reply_limit(sd_varlink *link, const char *what, uint64_t limit)
{
	return sd_varlink_errorbo(link, AGENTCG_ERROR_LIMIT_EXCEEDED,
				  SD_JSON_BUILD_PAIR_STRING("what", what),
				  SD_JSON_BUILD_PAIR_UNSIGNED("limit", limit));
}

int agentcg_reply_no_session(sd_varlink *link, const char *name)
{
	return sd_varlink_errorbo(link, AGENTCG_ERROR_NO_SUCH_SESSION,
				  SD_JSON_BUILD_PAIR_STRING("name", name));
}

int agentcg_reply_no_call(sd_varlink *link, const char *call)
{
	return sd_varlink_errorbo(link, AGENTCG_ERROR_NO_SUCH_CALL,
				  SD_JSON_BUILD_PAIR_STRING("call", call));
}

/* ---- methods on the whole ----------------------------------------------- */

static int method_get_status(sd_varlink *link, sd_json_variant *parameters,
			     sd_varlink_method_flags_t flags, void *userdata)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *pool = NULL, *sessions = NULL, *waiting = NULL, *allowed = NULL;
	struct manager *m = userdata;
	uid_t uid;
	int r;

	r = sd_varlink_get_peer_uid(link, &uid);
	if (r >= 0)
		r = agentcg_manager_build_pool(m, &pool);
	if (r >= 0)
		r = agentcg_allowed_build(m, uid, &allowed);
	if (r >= 0)
		r = sd_json_variant_new_array(&sessions, NULL, 0);
	for (uint32_t i = 0; r >= 0 && i < m->nr_sessions; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
		struct session *s = m->sessions[i];

		/* Commands can hold secrets: to everyone their own. */
		if (!s || (uid != 0 && s->uid != uid))
			continue;
		r = agentcg_session_build(s, &v);
		if (r >= 0)
			r = sd_json_variant_append_array(&sessions, v);
	}
	if (r >= 0)
		r = agentcg_admission_build(m, uid, &waiting);
	if (r < 0)
		return r;
	return sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_VARIANT("pool", pool),
		SD_JSON_BUILD_PAIR_VARIANT("sessions", sessions),
		SD_JSON_BUILD_PAIR_VARIANT("waiting", waiting),
		SD_JSON_BUILD_PAIR_VARIANT("allowed", allowed));
}

static int method_watch(sd_varlink *link, sd_json_variant *parameters,
			sd_varlink_method_flags_t flags, void *userdata)
{
	uid_t uid;
	int r;

	if (!(flags & SD_VARLINK_METHOD_MORE))
		return sd_varlink_error(link, SD_VARLINK_ERROR_EXPECTED_MORE, NULL);
	r = sd_varlink_get_peer_uid(link, &uid);
	return r < 0 ? r : agentcg_watch_add(userdata, link, uid);
}

static int method_reload(sd_varlink *link, sd_json_variant *parameters,
			 sd_varlink_method_flags_t flags, void *userdata)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct notes notes = {};
	uid_t uid;
	int r;

	r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	if (uid != 0)
		return agentcg_reply_denied(link, "only root may reload the policy");
	r = agentcg_manager_reload(userdata, &notes, why);
	if (r < 0)
		return sd_varlink_errorbo(link, AGENTCG_ERROR_NOT_SUPPORTED,
					  SD_JSON_BUILD_PAIR_STRING("reason", why));
	return sd_varlink_replybo(link, SD_JSON_BUILD_PAIR_STRV("notes", notes.list));
}

/* ---- the server --------------------------------------------------------- */

/* The userdata of each link, as long as it is connected. */
struct connection {
	struct manager *m;
	struct connection *prev, *next;
	int fd;
	bool outside;			/* known to come from no tool call */
};

static int on_connect(sd_varlink_server *server, sd_varlink *link, void *userdata)
{
	struct connection *c = calloc(1, sizeof(*c));
	struct manager *m = userdata;

	if (!c)
		return -ENOMEM;
	c->m = m;
	c->fd = sd_varlink_get_fd(link);
	c->next = m->connections;
	if (c->next)
		c->next->prev = c;
	m->connections = c;
	sd_varlink_set_userdata(link, c);
	agentcg_intake_watch(c->fd);
	(void)agentcg_peer_connect(m, link);	/* else the library serves it */
	return 0;
}

static void forget_connection(struct connection *c)
{
	if (c->next)
		c->next->prev = c->prev;
	*(c->prev ? &c->prev->next : &c->m->connections) = c->next;
	free(c);
}

/* A call lives as long as its connection, unless it is detached. */
static void on_disconnect(sd_varlink_server *server, sd_varlink *link, void *userdata)
{
	struct connection *connection = sd_varlink_get_userdata(link);
	struct manager *m = userdata;

	/* One that failed before on_connect() had done with it has the server's. */
	if ((void *)connection == m)
		return;
	agentcg_intake_forget(connection->fd);
	forget_connection(connection);
	if (m->stopping)
		return;
	agentcg_peer_disconnect(m, link);
	agentcg_watch_remove(m, link);
	agentcg_pause_disconnect(m, link);
	agentcg_admission_forget(m, link);
	for (uint32_t i = 0; i < m->nr_calls; i++) {
		struct call *c = m->calls[i];

		if (!c || c->link != link)
			continue;
		if (!c->grant.detach)
			agentcg_call_kill(c, AGENTCG_FATE_CLOSED);
		agentcg_call_leave(c, NULL);
	}
}

/* A tool call does not speak for its session, unless it may. */
enum speaks { ANYBODY, SPEAKER };
/* Without a pool there are no sessions. */
enum where { IN_POOL, ANYWHERE };

/* What there is to call, how many plain requests it costs the daemon (quota.h), who may, and where. */
static const struct {
	const char *name;
	sd_varlink_method_t method;
	uint32_t cost;
	enum speaks speaks;
	enum where where;
} methods[] = {
	{ AGENTCG_METHOD("OpenSession"), agentcg_method_open_session, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("CloseSession"), agentcg_method_close_session, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("AttachSession"), agentcg_method_attach_session, 10, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("GetResults"), agentcg_method_get_results, 1, ANYBODY, IN_POOL },
	{ AGENTCG_METHOD("CreateTicket"), agentcg_method_create_ticket, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("DeclareIntent"), agentcg_method_declare_intent, 1, ANYBODY, IN_POOL },
	{ AGENTCG_METHOD("BeginCall"), agentcg_method_begin_call, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("AttachProcess"), agentcg_method_attach_process, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("AdjustCall"), agentcg_method_adjust_call, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("EndCall"), agentcg_method_end_call, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("EndGroup"), agentcg_method_end_group, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("ClaimCall"), agentcg_method_claim_call, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("Release"), agentcg_method_release, 1, SPEAKER, IN_POOL },
	{ AGENTCG_METHOD("GetStatus"), method_get_status, 10, ANYBODY, ANYWHERE },
	{ AGENTCG_METHOD("GetScheduler"), agentcg_method_get_scheduler, 10, ANYBODY, ANYWHERE },
	{ AGENTCG_METHOD("GetHistory"), agentcg_method_get_history, 50, ANYBODY, ANYWHERE },
	{ AGENTCG_METHOD("SetThreadClass"), agentcg_method_set_thread_class, 1, SPEAKER, ANYWHERE },
	{ AGENTCG_METHOD("Watch"), method_watch, 1, ANYBODY, ANYWHERE },
	{ AGENTCG_METHOD("Reload"), method_reload, 1, SPEAKER, ANYWHERE },
	{ AGENTCG_GPU_METHOD("StartWorker"), agentcg_method_start_worker, 10, SPEAKER, ANYWHERE },
	{ AGENTCG_GPU_METHOD("AttachWorker"), agentcg_method_attach_worker, 10, SPEAKER, ANYWHERE },
	{ AGENTCG_GPU_METHOD("AdjustWorker"), agentcg_method_adjust_worker, 10, SPEAKER, ANYWHERE },
	{ AGENTCG_GPU_METHOD("EndWorker"), agentcg_method_end_worker, 1, SPEAKER, ANYWHERE },
	{ AGENTCG_GPU_METHOD("BindSession"), agentcg_method_bind_session, 1, SPEAKER, IN_POOL },
	{ AGENTCG_GPU_METHOD("UnbindSession"), agentcg_method_unbind_session, 1, SPEAKER, IN_POOL },
	{ AGENTCG_GPU_METHOD("WatchWorkers"), agentcg_method_watch_workers, 1, ANYBODY, ANYWHERE },
	{ AGENTCG_GPU_METHOD("GetWorkers"), agentcg_method_get_workers, 10, ANYBODY, ANYWHERE },
};

/*
 * Whose process has connected.  A tool call may connect, but for itself: what it
 * could say of its session, and so of its own limits, is for the agent.  Descriptors
 * can be given away, so it is the process that connected that counts, and one that
 * is gone cannot be told apart.  0: it may speak; else the error is sent.
 */
static int check_speaker(sd_varlink *link, struct connection *connection)
{
	char name[AGENTCG_CALL_NAME_MAX];
	_cleanup_close_ int pidfd = -1;
	socklen_t size = sizeof(pidfd);
	struct call *c;
	int r;

	if (connection->outside || connection->m->pool_fd < 0)
		return 0;
	r = getsockopt(connection->fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) < 0 ? -ESRCH :
		agentcg_attach_whence(connection->m, pidfd, name);
	if (r < 0)
		return agentcg_reply_denied(link, "the process that connected has ended: connect again");
	connection->outside = !*name;
	c = *name ? agentcg_call_find(connection->m, name) : NULL;
	if (!*name || (c && c->may_control))
		return 0;
	return sd_varlink_errorbo(link, AGENTCG_ERROR_IN_TOOL_CALL, SD_JSON_BUILD_PAIR_STRING("call", name));
}

/*
 * Every request comes through here.  Root is not counted.  Who sends on and
 * reads no reply makes us keep them, so that connection is cut: what the socket
 * itself takes, some hundred replies, is left to clients that send ahead.
 */
static int on_method(sd_varlink *link, sd_json_variant *parameters, sd_varlink_method_flags_t flags,
		     void *userdata)
{
	struct connection *connection = userdata;
	struct manager *m = connection->m;
	const char *name = "";
	size_t i = 0;
	uid_t uid;
	int r;

	r = sd_varlink_get_current_method(link, &name);
	if (r >= 0)
		r = sd_varlink_get_peer_uid(link, &uid);
	if (r < 0)
		return r;
	while (i < ARRAY_SIZE(methods) && !streq(methods[i].name, name))
		i++;
	if (i == ARRAY_SIZE(methods))
		return sd_varlink_error(link, SD_VARLINK_ERROR_METHOD_NOT_FOUND, NULL);
	r = uid ? sd_varlink_get_events(link) : 0;
	if (r >= 0 && (r & EPOLLOUT)) {
		shutdown(connection->fd, SHUT_RDWR);
		return 0;
	}
	if (uid && m->policy.requests_per_second &&
	    !agentcg_quota_take(&m->quota, uid, now_usec(CLOCK_MONOTONIC), m->policy.requests_per_second,
				methods[i].cost))
		return agentcg_reply_limit(link, "requests of one user per second", m->policy.requests_per_second);
	if (m->pool_fd < 0 && methods[i].where == IN_POOL)
		return sd_varlink_errorbo(link, AGENTCG_ERROR_NOT_SUPPORTED,
					  SD_JSON_BUILD_PAIR_STRING("reason", m->pool_reason));
	/* Who looks sees what has ended as gone. */
	if (methods[i].method != agentcg_method_begin_call && methods[i].method != agentcg_method_end_call)
		agentcg_later_flush(m);
	r = methods[i].speaks == SPEAKER ? check_speaker(link, connection) : 0;
	return r ? r : methods[i].method(link, parameters, flags, m);
}

/*
 * When the event loop ends the library waits until every client has read its
 * replies, for ever if need be; and that connections drop then means nothing.
 * So this comes before it.
 */
static int on_exit_loop(sd_event_source *source, void *userdata)
{
	struct manager *m = userdata;

	m->stopping = true;
	for (struct connection *c = m->connections; c; c = c->next)
		shutdown(c->fd, SHUT_RDWR);
	return 0;
}

int agentcg_varlink_listen(struct manager *m, const char *socket)
{
	int r;

	r = sd_varlink_server_new(&m->server,
				  SD_VARLINK_SERVER_ACCOUNT_UID |
				  SD_VARLINK_SERVER_INHERIT_USERDATA |
				  SD_VARLINK_SERVER_ALLOW_FD_PASSING_INPUT |
				  SD_VARLINK_SERVER_ALLOW_FD_PASSING_OUTPUT);
	if (r < 0)
		return r;
	sd_varlink_server_set_userdata(m->server, m);
	sd_varlink_server_set_info(m->server, "agentcg", "agentcgd", AGENTCG_VERSION, NULL);
	sd_varlink_server_set_connections_max(m->server, CONNECTIONS_MAX);
	sd_varlink_server_set_connections_per_uid_max(m->server, CONNECTIONS_PER_UID);
	r = sd_varlink_server_add_interface(m->server, &vl_interface_io_agentcg);
	if (r >= 0)
		r = sd_varlink_server_add_interface(m->server, &vl_interface_io_agentcg_gpu);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(methods); i++)
		r = sd_varlink_server_bind_method(m->server, methods[i].name, on_method);
	if (r >= 0)
		r = sd_varlink_server_bind_connect(m->server, on_connect);
	if (r >= 0)
		r = sd_varlink_server_bind_disconnect(m->server, on_disconnect);
	if (r >= 0)
		r = sd_varlink_server_attach_event(m->server, m->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		/* Everybody may ask; what they get depends on who they are. */
		r = sd_varlink_server_listen_address(m->server, socket,
						     0666 | SD_VARLINK_SERVER_MODE_MKDIR_0755);
	if (r >= 0)
		r = sd_event_add_exit(m->event, &m->exit_source, on_exit_loop, m);
	if (r >= 0)
		r = sd_event_source_set_priority(m->exit_source, SD_EVENT_PRIORITY_IMPORTANT);
	return r;
}
