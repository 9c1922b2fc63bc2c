// SPDX-License-Identifier: MIT
#include "internal.h"

#include <fcntl.h>
#include <poll.h>

static int no_daemon(const char *socket, int r, struct agentcg_error *error)
{
	if (r == -ENOMEM)
		return fail(error, r, "out of memory");
	if (r == -ENOENT || r == -ECONNREFUSED)
		return fail(error, -ENOTCONN, "no daemon at %s; start it: systemctl start agentcgd, or, as root: agentcgd",
			    socket);
	return fail(error, -ENOTCONN, "cannot connect to the daemon at %s: %s", socket, strerrordesc_np(-r));
}

int link_open(const char *socket, uint64_t timeout, sd_varlink **ret, struct agentcg_error *error)
{
	sd_varlink *link = NULL;
	int r;

	r = sd_varlink_connect_address(&link, socket);
	if (r >= 0)
		r = sd_varlink_set_allow_fd_passing_input(link, true);
	if (r >= 0)
		r = sd_varlink_set_allow_fd_passing_output(link, true);
	if (r >= 0)
		r = sd_varlink_set_relative_timeout(link, timeout);
	if (r < 0) {
		sd_varlink_unref(link);
		return no_daemon(socket, r, error);
	}
	*ret = link;
	return 0;
}

static int not_sent(int r, struct agentcg_error *error)
{
	switch (r) {
	case -ENOMEM:
		return fail(error, r, "out of memory");
	case -EMFILE:
	case -ENFILE:
		return fail(error, r, "no descriptor is left");
	case -ENOBUFS:
	case -EUCLEAN:
	case -EINVAL:
		return fail(error, -EINVAL, "this cannot be sent: too long, or no UTF-8");
	case -ETIME:
	case -ETIMEDOUT:
		return fail(error, -ETIMEDOUT, "the daemon does not answer");
	case -EBADMSG:
	case -EPROTO:
		return fail(error, -EPROTO, "the daemon's answer is no varlink");
	default:
		return fail(error, -ENOTCONN, "the daemon hung up: it was stopped or restarted, or this user has too many connections");
	}
}

int link_request(sd_varlink *link, const char *method, sd_json_variant *parameters, const int *fds,
		 size_t nr_fds, sd_json_variant **ret, struct agentcg_error *error)
{
	const char *name = NULL;
	sd_json_variant *reply = NULL;
	char whole[128];
	int r;

	snprintf(whole, sizeof(whole), "%s%s", strchr(method, '.') ? "" : NAME_PREFIX, method);
	for (size_t i = 0; i < nr_fds; i++)
		if (fcntl(fds[i], F_GETFD) < 0)
			return fail_field(error, "fds", "descriptor %d is not open", fds[i]);
	for (size_t i = 0; i < nr_fds; i++) {
		r = sd_varlink_push_dup_fd(link, fds[i]);
		if (r < 0) {
			/* Those before it would go with the next request. */
			sd_varlink_close(link);
			return not_sent(r, error);
		}
	}
	r = sd_varlink_call(link, whole, parameters, &reply, &name);
	if (r < 0)
		return not_sent(r, error);
	if (name)
		return fail_reply(error, name, reply);
	if (ret)
		*ret = reply;
	return 0;
}

bool link_is_dead(sd_varlink *link)
{
	struct pollfd p = { .fd = sd_varlink_get_fd(link), .events = POLLRDHUP };

	/* Between requests the daemon has nothing to say. */
	return p.fd < 0 || (poll(&p, 1, 0) > 0 && p.revents);
}
