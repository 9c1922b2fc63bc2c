// SPDX-License-Identifier: GPL-2.0-only
#include "client.h"

#include <inttypes.h>

#include "io-agentcg.h"
#include "io-agentcg-gpu.h"

const char *agentcg_client_socket(void)
{
	return getenv("AGENTCG_SOCKET") ?: AGENTCG_SOCKET;
}

/* What to do about a value that the daemon refuses. */
static const char *hint(const char *parameter)
{
	static const char *const hints[][2] = {
		{ "session", "a name begins with a letter or digit, then come letters, digits, '_', '.', '-', 64 at most" },
		{ "name", "a name begins with a letter or digit, then come letters, digits, '_', '.', '-', 64 at most" },
		{ "call", "a call's name is SESSION/tool-N; agentcg status lists them" },
		{ "budget", "at least 1Mi, or nothing could run; such as 512Mi" },
		{ "group", "a name begins with a letter or digit, then come letters, digits, '_', '.', '-', 32 at most" },
		{ "after", "say at most 8 calls or groups" },
		{ "timeLeft", "say a time above 0, such as 10m, or none" },
		{ "callsLeft", "say how many calls are to come: a number" },
		{ "intent", "say an object with requests, limits, timeout, ..." },
		{ "pidFd", "a pidfd of a process that still runs" },
		{ "tid", "the id of a thread that runs, as ps -L shows it" },
		{ "class", "say gpu or auto" },
		{ "command", "say a command that is not empty" },
		{ "slot", "a slot of llama-server is a number from 0 to 65535" },
		{ "tokens", "say how many tokens it holds: a number" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hints); i++)
		if (streq(hints[i][0], parameter))
			return hints[i][1];
	return "see its --help";
}

static int refused(const char *parameter, char *why)
{
	return agentcg_why(-EINVAL, why, "the daemon refuses the value of '%s': %s", parameter, hint(parameter));
}

static int no_daemon(const char *socket, int error, char *why)
{
	if (error == -ENOENT || error == -ECONNREFUSED)
		return agentcg_why(error, why, "no daemon at %s; start it: systemctl start agentcgd, or, as root: agentcgd",
			       socket);
	return agentcg_why(error, why, "cannot connect to the daemon at %s: %s", socket, strerror(-error));
}

int agentcg_client_connect(const char *socket, sd_varlink **ret, char *why)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = NULL;
	int r;

	r = sd_varlink_connect_address(&link, socket);
	if (r >= 0)
		r = sd_varlink_set_allow_fd_passing_input(link, true);
	if (r >= 0)
		r = sd_varlink_set_allow_fd_passing_output(link, true);
	if (r < 0)
		return no_daemon(socket, r, why);
	*ret = TAKE_PTR(link);
	return 0;
}

int agentcg_client_error(const char *id, sd_json_variant *p, char *why)
{
	if (streq(id, AGENTCG_ERROR_NO_SUCH_SESSION))
		return agentcg_why(-ENXIO, why, "there is no session '%s'; agentcg status lists them",
			       agentcg_json_string(p, "name") ?: "");
	if (streq(id, AGENTCG_ERROR_NO_SUCH_CALL))
		return agentcg_why(-ENXIO, why, "there is no call or group '%s', or it was ended; agentcg status lists them",
			       agentcg_json_string(p, "call") ?: "");
	if (streq(id, AGENTCG_GPU_ERROR("NoSuchWorker")))
		return agentcg_why(-ENXIO, why, "there is no worker '%s'; agentcg gpu status lists them",
			       agentcg_json_string(p, "worker") ?: "");
	if (streq(id, AGENTCG_GPU_ERROR("NoSuchGpu")))
		return agentcg_why(-ENXIO, why, "there is no GPU '%s': %s", agentcg_json_string(p, "gpu") ?: "",
			       agentcg_json_string(p, "reason") ?: "");
	if (streq(id, AGENTCG_GPU_ERROR("CannotPlace")))
		return agentcg_why(-EOPNOTSUPP, why, "it cannot be placed: %s", agentcg_json_string(p, "reason") ?: "the daemon gave no reason");
	if (streq(id, AGENTCG_ERROR_INVALID_INTENT))
		return agentcg_why(-EINVAL, why, "the daemon refuses %s: %s", agentcg_json_string(p, "field") ?: "the intent",
			       agentcg_json_string(p, "reason") ?: "it gave no reason");
	if (streq(id, AGENTCG_ERROR_PERMISSION_DENIED) ||
	    streq(id, SD_VARLINK_ERROR_PERMISSION_DENIED))
		return agentcg_why(-EPERM, why, "not allowed: %s",
			       agentcg_json_string(p, "reason") ?: "the daemon gave no reason");
	if (streq(id, AGENTCG_ERROR_IN_TOOL_CALL))
		return agentcg_why(-ENOTUNIQ, why, "this is part of the tool call %s, which may not speak for its session: "
			       "do it from outside of it, or begin the call with agentcg run --may-control",
			       agentcg_json_string(p, "call") ?: "");
	if (streq(id, AGENTCG_ERROR_LIMIT_EXCEEDED))
		return agentcg_why(-EDQUOT, why, "too much: the policy allows %" PRIu64 " for %s",
			       agentcg_json_u64(p, "limit"), agentcg_json_string(p, "what") ?: "this");
	if (streq(id, AGENTCG_ERROR_NOT_SUPPORTED))
		return agentcg_why(-EOPNOTSUPP, why, "not possible here: %s",
			       agentcg_json_string(p, "reason") ?: "the daemon gave no reason");
	if (streq(id, SD_VARLINK_ERROR_INVALID_PARAMETER))
		return refused(agentcg_json_string(p, "parameter") ?: "a parameter", why);
	if (streq(id, SD_VARLINK_ERROR_DISCONNECTED))
		return agentcg_why(-ENOTCONN, why, "the daemon went away");
	if (streq(id, SD_VARLINK_ERROR_TIMEOUT))
		return agentcg_why(-ENOTCONN, why, "the daemon does not answer");
	if (streq(id, SD_VARLINK_ERROR_METHOD_NOT_FOUND))
		return agentcg_why(-EOPNOTSUPP, why, "the daemon is older than this command; restart it");
	return agentcg_why(-EPROTO, why, "the daemon says %s", id);
}

int agentcg_client_call(sd_varlink *link, const char *method, sd_json_variant *parameters,
			sd_json_variant **ret, char *why)
{
	sd_json_variant *reply = NULL;
	const char *error = NULL;
	char name[64];
	int r;

	snprintf(name, sizeof(name), strchr(method, '.') ? "%s" : AGENTCG_METHOD("%s"), method);
	r = sd_varlink_call(link, name, parameters, &reply, &error);
	if (r < 0)
		return agentcg_why(-ENOTCONN, why, "cannot talk to the daemon: %s", strerror(-r));
	if (error)
		return agentcg_client_error(error, reply, why);
	if (ret)
		*ret = reply;
	return 0;
}
