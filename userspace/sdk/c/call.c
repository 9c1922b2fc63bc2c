// SPDX-License-Identifier: MIT
/*
 * A call has a connection of its own, since it lives as long as that.  When
 * the daemon was restarted the call is claimed by a new one, by whoever does
 * something with it next, or waits, or dispatches agentcg_call_fd().
 */
#include "internal.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

static const char lost_text[] =
	"the daemon does not know the call any more (it was restarted, or the session closed), so there is no result";
static const char gone_text[] =
	"the daemon is gone, so there is no result; what the call left running was killed if that was allowed";

/* ---- the connection, with the lock held --------------------------------- */

static void watch_link(struct agentcg_call *c)
{
	struct epoll_event event = { .events = EPOLLRDHUP };

	if (c->epoll_fd >= 0 && c->link)
		epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, sd_varlink_get_fd(c->link), &event);
}

/* Fires when there is something to do for us; 0 disarms, and is never due. */
static void set_timer(struct agentcg_call *c)
{
	uint64_t at = c->link || c->orphaned ? 0 : c->retry < c->deadline ? c->retry : c->deadline;
	struct itimerspec spec = { .it_value = { .tv_sec = at / SECOND, .tv_nsec = at % SECOND * 1000 } };

	if (c->timer_fd >= 0)
		timerfd_settime(c->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void drop(struct agentcg_call *c)
{
	c->link = sd_varlink_close_unref(c->link);
	c->retry = now_monotonic();
	c->give_up = later(c->retry, CLAIM_USEC);
	set_timer(c);
}

static int put_call(struct agentcg_call *c, sd_json_variant **ret, struct agentcg_error *error)
{
	return put_text(ret, "call", c->name, error);
}

/* One try.  0: it is ours again. */
static int claim(struct agentcg_call *c)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL;
	uint64_t now = now_monotonic();
	int r;

	c->retry = later(now, now < c->give_up ? RETRY_USEC : RETRY_SLOW_USEC);
	r = link_open(c->socket, c->timeout, &c->link, NULL);
	if (r >= 0)
		r = put_call(c, &v, NULL);
	if (r >= 0)
		r = link_request(c->link, "ClaimCall", v, NULL, 0, NULL, NULL);
	if (r < 0)
		c->link = sd_varlink_close_unref(c->link);
	/* Else it answers, but not for this call: asking again is no use. */
	c->orphaned = r < 0 && r != -ENOTCONN && r != -ETIMEDOUT && r != -ENOMEM && r != -EMFILE && r != -ENFILE;
	watch_link(c);
	set_timer(c);
	return r;
}

static int look_for_daemon(struct agentcg_call *c, struct agentcg_error *error)
{
	if (c->link && link_is_dead(c->link))
		drop(c);
	while (!c->link) {
		if (!c->orphaned && claim(c) >= 0)
			break;
		if (c->orphaned)
			return fail(error, -ENXIO, "%s", lost_text);
		if (now_monotonic() >= c->give_up)
			return fail(error, -ENOTCONN, "the daemon is gone");
		usleep(RETRY_USEC);
	}
	return 0;
}

/* @ret (or NULL) is the link's until the next request. */
static int request(struct agentcg_call *c, const char *method, sd_json_variant *parameters, const int *fds,
		   size_t nr_fds, sd_json_variant **ret, struct agentcg_error *error)
{
	int r;

	if (c->ended)
		return fail(error, -ENXIO, "the call %s has ended", c->name);
	do {
		r = look_for_daemon(c, error);
		if (r < 0)
			return r;
		r = link_request(c->link, method, parameters, fds, nr_fds, ret, error);
		if (r == -ENOTCONN || r == -ETIMEDOUT)
			drop(c);
	} while (r == -ENOTCONN);
	return r;
}

int call_socket(struct agentcg_call *c)
{
	LOCKED(c);

	return c->link ? sd_varlink_get_fd(c->link) : -1;
}

/* What is in the group, where we may. */
static void call_kill(struct agentcg_call *c)
{
	CLEANUP(close_fd) int fd = openat(c->cgroup_fd, "cgroup.kill", O_WRONLY | O_CLOEXEC);

	/* Only its owner, root, may; the caller kills what it has started itself. */
	if (fd < 0 || write(fd, "1", 1) < 0)
		return;
}

bool call_is_overdue(struct agentcg_call *c)
{
	LOCKED(c);

	return c->overdue;
}

int call_tend(struct agentcg_call *c, struct agentcg_error *error)
{
	LOCKED(c);

	if (c->ended)
		return fail(error, -ENXIO, "the call %s has ended", c->name);
	if (c->link && link_is_dead(c->link))
		drop(c);
	if (!c->link && !c->orphaned && now_monotonic() >= c->retry)
		claim(c);
	if (c->link)
		return 1;
	/* The daemon keeps the time, unless it is away. */
	if (now_monotonic() >= c->deadline) {
		c->deadline = UINT64_MAX;
		c->overdue = true;
		call_kill(c);
		set_timer(c);
	}
	return c->orphaned ? fail(error, -ENXIO, "%s", lost_text) : 0;
}

/* ---- its beginning ------------------------------------------------------ */

static struct agentcg_call *new_call(struct agentcg *cg)
{
	struct agentcg_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->cgroup_fd = -1;
	c->epoll_fd = -1;
	c->timer_fd = -1;
	c->deadline = UINT64_MAX;
	c->retry = UINT64_MAX;
	c->give_up = UINT64_MAX;
	pthread_mutex_init(&c->lock, NULL);
	{
		LOCKED(cg);

		c->timeout = cg->timeout;
	}
	c->socket = strdup(cg->socket);
	return c;
}

/* What was granted, of a reply to BeginCall or AdjustCall. */
static int take_grant(struct agentcg_call *c, sd_json_variant *reply, struct agentcg_error *error)
{
	sd_json_variant *granted = sd_json_variant_by_key(reply, "granted");
	struct agentcg_granted read;
	char *notes;
	int r;

	r = read_granted(granted, &read, error);
	if (r < 0)
		return r;
	if (read_lines(sd_json_variant_by_key(reply, "notes"), &notes) < 0)
		return fail(error, -ENOMEM, "out of memory");
	free(c->notes);
	c->notes = notes;
	sd_json_variant_unref(c->granted_json);
	c->granted_json = sd_json_variant_ref(granted);
	c->granted = read;
	return 0;
}

static void set_deadline(struct agentcg_call *c)
{
	c->deadline = later(c->began, c->granted.timeout_usec);
}

static int take_reply(struct agentcg_call *c, sd_json_variant *reply, uint64_t began, struct agentcg_error *error)
{
	const char *name = read_text(reply, "call"), *cgroup = read_text(reply, "cgroup");
	uint64_t index = read_u64(reply, "cgroupFd", AGENTCG_UNSET);
	int r;

	if (!name || !cgroup || index > INT32_MAX)
		return fail(error, -EPROTO, "the daemon's reply lacks the call's name or group");
	c->name = strdup(name);
	c->cgroup = strdup(cgroup);
	if (!c->name || !c->cgroup)
		return fail(error, -ENOMEM, "out of memory");
	c->cgroup_fd = sd_varlink_take_fd(c->link, index);
	if (c->cgroup_fd < 0)
		return fail(error, -EPROTO, "the daemon sent no descriptor of the call's group");
	r = take_grant(c, reply, error);
	c->began = began;
	set_deadline(c);
	return r;
}

static int build_begin(const struct agentcg_begin *begin, sd_json_variant **ret, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *intent = NULL, *command = NULL;
	int r;

	r = check_size("begin", begin->size, sizeof(*begin), error);
	if (r >= 0)
		r = parse_object("parameters", begin->parameters, ret, error);
	if (r >= 0)
		r = build_intent(begin->intent, &intent, error);
	if (r < 0)
		return r;
	if (begin->agent & ~1)
		return fail_field(error, "agent", "say 1 or 0, not %d", begin->agent);
	r = build_command(begin->command, &command);
	if (r < 0)
		return fail(error, r, "out of memory");
	r = put_text(ret, "session", begin->session, error);
	if (r >= 0)
		r = put_variant(ret, "command", command, error);
	if (r >= 0)
		r = put_u64(ret, "priority", begin->priority, error);
	if (r >= 0)
		r = put_variant(ret, "intent", intent, error);
	if (r >= 0 && begin->agent)
		r = put_flag(ret, "agent", true, error);
	return r;
}

EXPORT int agentcg_call_begin(struct agentcg *cg, const struct agentcg_begin *begin,
			      struct agentcg_call **ret, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *parameters = NULL;
	uint64_t began = now_monotonic();
	sd_json_variant *reply;
	struct agentcg_call *c;
	int r;

	r = build_begin(begin, &parameters, error);
	if (r < 0)
		return r;
	c = new_call(cg);
	if (!c || !c->socket) {
		agentcg_call_free(c);
		return fail(error, -ENOMEM, "out of memory");
	}
	r = link_open(c->socket, c->timeout, &c->link, error);
	if (r >= 0)
		r = link_request(c->link, "BeginCall", parameters, NULL, 0, &reply, error);
	if (r >= 0)
		r = take_reply(c, reply, began, error);
	if (r < 0) {
		agentcg_call_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

EXPORT void agentcg_call_free(struct agentcg_call *c)
{
	if (!c)
		return;
	sd_varlink_close_unref(c->link);
	sd_json_variant_unref(c->granted_json);
	sd_json_variant_unref(c->result_json);
	close_fd(&c->cgroup_fd);
	close_fd(&c->epoll_fd);
	close_fd(&c->timer_fd);
	pthread_mutex_destroy(&c->lock);
	free(c->socket);
	free(c->name);
	free(c->cgroup);
	free(c->notes);
	free(c);
}

/* ---- what is known of it ------------------------------------------------ */

EXPORT const char *agentcg_call_name(struct agentcg_call *c)
{
	return c->name;
}

EXPORT const char *agentcg_call_cgroup(struct agentcg_call *c)
{
	return c->cgroup;
}

EXPORT int agentcg_call_cgroup_fd(struct agentcg_call *c)
{
	return c->cgroup_fd;
}

EXPORT const struct agentcg_granted *agentcg_call_granted(struct agentcg_call *c)
{
	return &c->granted;
}

EXPORT const char *agentcg_call_notes(struct agentcg_call *c)
{
	return c->notes;
}

EXPORT const struct agentcg_result *agentcg_call_result(struct agentcg_call *c)
{
	LOCKED(c);

	return c->finished ? &c->result : NULL;
}

EXPORT int agentcg_call_fd(struct agentcg_call *c)
{
	struct epoll_event event = { .events = EPOLLIN };

	LOCKED(c);
	if (c->epoll_fd >= 0)
		return c->epoll_fd;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	c->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (c->epoll_fd < 0 || c->timer_fd < 0 ||
	    epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->timer_fd, &event) < 0) {
		int r = -errno;

		close_fd(&c->epoll_fd);
		close_fd(&c->timer_fd);
		return r;
	}
	watch_link(c);
	set_timer(c);
	return c->epoll_fd;
}

EXPORT int agentcg_call_dispatch(struct agentcg_call *c, struct agentcg_error *error)
{
	return call_tend(c, error);
}

/* ---- what can be done with it ------------------------------------------- */

EXPORT int agentcg_call_attach(struct agentcg_call *c, int pidfd, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL;
	int r;

	LOCKED(c);
	r = put_call(c, &v, error);
	if (r >= 0)
		r = put_u64(&v, "pidFd", 0, error);
	if (r >= 0)
		r = request(c, "AttachProcess", v, &pidfd, 1, NULL, error);
	return r < 0 ? r : 0;
}

/* With the lock held. */
static int adjust(struct agentcg_call *c, uint64_t priority, const struct agentcg_intent *intent,
		  struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL, *said = NULL;
	sd_json_variant *reply;
	int r;

	r = build_intent(intent, &said, error);
	if (r >= 0)
		r = put_call(c, &v, error);
	if (r >= 0)
		r = put_u64(&v, "priority", priority, error);
	if (r >= 0)
		r = put_variant(&v, "intent", said, error);
	if (r >= 0)
		r = request(c, "AdjustCall", v, NULL, 0, &reply, error);
	if (r >= 0)
		r = take_grant(c, reply, error);
	if (r >= 0)
		set_deadline(c);
	return r;
}

EXPORT int agentcg_call_adjust(struct agentcg_call *c, uint64_t priority, const struct agentcg_intent *intent,
			       struct agentcg_error *error)
{
	LOCKED(c);

	return adjust(c, priority, intent, error);
}

EXPORT int agentcg_call_detach(struct agentcg_call *c, struct agentcg_error *error)
{
	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
	int r;

	intent.detach = 1;
	LOCKED(c);
	r = adjust(c, AGENTCG_UNSET, &intent, error);
	if (r >= 0 && !c->granted.detach)
		r = fail(error, -EPERM, "not allowed: %s", c->notes ? c->notes : "the policy does not let it outlive its client");
	return r;
}

EXPORT int agentcg_call_release(struct agentcg_call *c, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL;
	sd_json_variant *reply;
	int r;

	LOCKED(c);
	r = put_call(c, &v, error);
	if (r >= 0)
		r = request(c, "Release", v, NULL, 0, &reply, error);
	return r < 0 ? r : (int)read_u64(reply, "woken", 0);
}

static int end(struct agentcg_call *c, unsigned int flags, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL;
	sd_json_variant *reply;
	int r;

	r = put_call(c, &v, error);
	if (r >= 0 && (flags & AGENTCG_END_KILL))
		r = put_flag(&v, "kill", true, error);
	if (r >= 0)
		r = request(c, "EndCall", v, NULL, 0, &reply, error);
	if (r == -ENOTCONN) {
		call_kill(c);
		return fail(error, r, "%s", gone_text);
	}
	if (r == -ENXIO)
		return fail(error, r, "%s", lost_text);
	if (r < 0)
		return r;
	c->result_json = sd_json_variant_ref(sd_json_variant_by_key(reply, "result"));
	r = read_result(c->result_json, read_bool(reply, "running"), &c->result, error);
	c->finished = r >= 0;
	return r;
}

EXPORT int agentcg_call_end(struct agentcg_call *c, unsigned int flags, const struct agentcg_result **result,
			    struct agentcg_error *error)
{
	int r;

	if (flags & ~AGENTCG_END_KILL)
		return fail_field(error, "flags", "0x%x are unknown", flags);
	LOCKED(c);
	if (c->ended && !c->finished)
		return fail(error, -ENXIO, "the call %s has ended", c->name);
	r = c->finished ? 0 : end(c, flags, error);
	c->ended = true;
	c->link = sd_varlink_close_unref(c->link);
	c->orphaned = true;
	set_timer(c);
	if (r >= 0 && result)
		*result = &c->result;
	return r;
}
