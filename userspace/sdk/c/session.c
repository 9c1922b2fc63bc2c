// SPDX-License-Identifier: MIT
/* The connection for what is no call, and what is asked by it. */
#include "internal.h"

EXPORT const char *agentcg_version(void)
{
	return LIBAGENTCG_VERSION;
}

EXPORT int agentcg_connect(const char *socket, struct agentcg **ret, struct agentcg_error *error)
{
	struct agentcg *cg;
	int r;

	if (!socket || !*socket)
		socket = secure_getenv("AGENTCG_SOCKET");
	if (!socket || !*socket)
		socket = AGENTCG_DEFAULT_SOCKET;
	cg = calloc(1, sizeof(*cg));
	if (cg)
		cg->socket = strdup(socket);
	if (!cg || !cg->socket) {
		free(cg);
		return fail(error, -ENOMEM, "out of memory");
	}
	cg->timeout = REPLY_USEC;
	pthread_mutex_init(&cg->lock, NULL);
	r = link_open(cg->socket, cg->timeout, &cg->link, error);
	if (r < 0) {
		agentcg_close(cg);
		return r;
	}
	*ret = cg;
	return 0;
}

EXPORT void agentcg_close(struct agentcg *cg)
{
	if (!cg)
		return;
	sd_varlink_close_unref(cg->link);
	pthread_mutex_destroy(&cg->lock);
	free(cg->socket);
	free(cg);
}

EXPORT int agentcg_set_timeout(struct agentcg *cg, uint64_t usec)
{
	LOCKED(cg);

	cg->timeout = usec;
	return cg->link ? sd_varlink_set_relative_timeout(cg->link, usec) : 0;
}

/* With the lock held; @ret is gone with the next request. */
static int request(struct agentcg *cg, const char *method, sd_json_variant *parameters, const int *fds,
		   size_t nr_fds, sd_json_variant **ret, struct agentcg_error *error)
{
	int r;

	if (cg->link && link_is_dead(cg->link))
		cg->link = sd_varlink_close_unref(cg->link);
	if (!cg->link) {
		r = link_open(cg->socket, cg->timeout, &cg->link, error);
		if (r < 0)
			return r;
	}
	r = link_request(cg->link, method, parameters, fds, nr_fds, ret, error);
	/* Nothing hangs on this connection, so there is no need to know in which state it is. */
	if (r < 0)
		cg->link = sd_varlink_close_unref(cg->link);
	return r;
}

/* A reply without parameters is an empty object. */
static int format(sd_json_variant *reply, char **ret, struct agentcg_error *error)
{
	if (!reply)
		*ret = strdup("{}");
	if (reply ? sd_json_variant_format(reply, 0, ret) < 0 : !*ret)
		return fail(error, -ENOMEM, "out of memory");
	return 0;
}

EXPORT int agentcg_call_method(struct agentcg *cg, const char *method, const char *parameters,
			       const int *fds, size_t nr_fds, char **ret, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL;
	sd_json_variant *reply;
	int r;

	if (!method || !*method || strlen(method) > 100)
		return fail_field(error, "method", "say its name, such as GetStatus");
	r = parse_object("parameters", parameters, &v, error);
	if (r < 0)
		return r;
	{
		LOCKED(cg);

		r = request(cg, method, v, fds, nr_fds, &reply, error);
		if (r >= 0 && ret)
			r = format(reply, ret, error);
	}
	return r < 0 ? r : 0;
}

/* ---- sessions ----------------------------------------------------------- */

EXPORT int agentcg_session_open(struct agentcg *cg, const struct agentcg_session *session, char **notes,
				struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL;
	sd_json_variant *reply;
	int r;

	r = check_size("session", session->size, sizeof(*session), error);
	if (r < 0)
		return r;
	if (!session->name)
		return fail_field(error, "name", "say the session's name");
	r = put_text(&v, "name", session->name, error);
	if (r >= 0)
		r = put_u64(&v, "priority", session->priority, error);
	if (r >= 0)
		r = put_u64(&v, "budget", session->budget, error);
	if (r >= 0)
		r = put_u64(&v, "reserve", session->reserve, error);
	if (r >= 0 && session->pidfd >= 0)
		r = put_u64(&v, "pidFd", 0, error);
	if (r < 0)
		return r;

	LOCKED(cg);
	r = request(cg, "OpenSession", v, &session->pidfd, session->pidfd >= 0, &reply, error);
	if (r >= 0 && notes && read_lines(sd_json_variant_by_key(reply, "notes"), notes) < 0)
		r = fail(error, -ENOMEM, "out of memory");
	return r < 0 ? r : 0;
}

static int tell_killed(sd_json_variant *v, agentcg_killed_fn fn, void *userdata)
{
	const char **command;
	int r = read_words(sd_json_variant_by_key(v, "command"), &command);

	if (r < 0)
		return r;
	fn(&(struct agentcg_killed){
		.size = sizeof(struct agentcg_killed),
		.call = read_text(v, "call") ?: "",
		.command = command,
	}, userdata);
	free(command);
	return 0;
}

static size_t count_of(sd_json_variant *list)
{
	return list && sd_json_variant_is_array(list) ? sd_json_variant_elements(list) : 0;
}

static int tell_all_killed(sd_json_variant *list, agentcg_killed_fn fn, void *userdata, struct agentcg_error *error)
{
	for (size_t i = 0; fn && i < count_of(list); i++)
		if (tell_killed(sd_json_variant_by_index(list, i), fn, userdata) < 0)
			return fail(error, -ENOMEM, "out of memory");
	return 0;
}

EXPORT int agentcg_session_close(struct agentcg *cg, const char *name, unsigned int flags,
				 agentcg_killed_fn fn, void *userdata, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL;
	sd_json_variant *reply;
	int r;

	if (!name)
		return fail_field(error, "name", "say the session's name");
	if (flags & ~AGENTCG_SESSION_KILL)
		return fail_field(error, "flags", "0x%x are unknown", flags);
	r = put_text(&v, "name", name, error);
	if (r >= 0 && flags)
		r = put_flag(&v, "kill", true, error);
	if (r < 0)
		return r;

	LOCKED(cg);
	r = request(cg, "CloseSession", v, NULL, 0, &reply, error);
	if (r >= 0)
		r = tell_all_killed(sd_json_variant_by_key(reply, "killed"), fn, userdata, error);
	return r < 0 ? r : (int)read_u64(reply, "detached", 0);
}

EXPORT int agentcg_group_end(struct agentcg *cg, const char *session, const char *group,
			     agentcg_killed_fn fn, void *userdata, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL;
	sd_json_variant *reply;
	int r;

	if (!session)
		return fail_field(error, "session", "say the session's name");
	if (!group)
		return fail_field(error, "group", "say the group's name");
	r = put_text(&v, "session", session, error);
	if (r >= 0)
		r = put_text(&v, "group", group, error);
	if (r < 0)
		return r;

	LOCKED(cg);
	r = request(cg, "EndGroup", v, NULL, 0, &reply, error);
	if (r >= 0)
		r = tell_all_killed(sd_json_variant_by_key(reply, "killed"), fn, userdata, error);
	return r < 0 ? r : (int)read_u64(reply, "cancelled", 0);
}

/* ---- what hooks and others ask ------------------------------------------ */

EXPORT int agentcg_declare(struct agentcg *cg, const char *session, const struct agentcg_intent *intent,
			   const char *const *command, agentcg_granted_fn fn, void *userdata,
			   struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL, *said = NULL, *words = NULL;
	CLEANUP(free_text) char *notes = NULL;
	struct agentcg_granted granted;
	sd_json_variant *reply;
	int r;

	r = build_intent(intent, &said, error);
	if (r < 0)
		return r;
	if (!said)
		return fail_field(error, "intent", "say what is declared");
	r = build_command(command, &words);
	if (r < 0)
		return fail(error, r, "out of memory");
	r = put_text(&v, "session", session, error);
	if (r >= 0)
		r = put_variant(&v, "intent", said, error);
	if (r >= 0)
		r = put_variant(&v, "command", words, error);
	if (r < 0)
		return r;

	LOCKED(cg);
	r = request(cg, "DeclareIntent", v, NULL, 0, &reply, error);
	if (r < 0)
		return r;
	if (read_lines(sd_json_variant_by_key(reply, "notes"), &notes) < 0)
		return fail(error, -ENOMEM, "out of memory");
	r = read_granted(sd_json_variant_by_key(reply, "granted"), &granted, error);
	if (r < 0)
		return r;
	if (fn)
		fn(&granted, notes, userdata);
	return 0;
}

static int tell_finished(sd_json_variant *v, agentcg_finished_fn fn, void *userdata, struct agentcg_error *error)
{
	struct agentcg_result result;
	const char **command;
	int r;

	r = read_result(sd_json_variant_by_key(v, "result"), false, &result, error);
	if (r < 0)
		return r;
	if (read_words(sd_json_variant_by_key(v, "command"), &command) < 0)
		return fail(error, -ENOMEM, "out of memory");
	fn(&(struct agentcg_finished){
		.size = sizeof(struct agentcg_finished),
		.seq = read_u64(v, "seq", 0),
		.call = read_text(v, "call") ?: "",
		.command = command,
		.exit_usec = read_u64(v, "exitUSec", AGENTCG_UNSET),
		.result = &result,
	}, userdata);
	free(command);
	return 0;
}

EXPORT int agentcg_results(struct agentcg *cg, const char *session, unsigned int flags,
			   agentcg_finished_fn fn, void *userdata, struct agentcg_error *error)
{
	CLEANUP(json_unref) sd_json_variant *v = NULL;
	sd_json_variant *reply, *results;
	int r;

	if (flags & ~(AGENTCG_RESULTS_UNTOLD | AGENTCG_RESULTS_FAILED))
		return fail_field(error, "flags", "0x%x are unknown", flags);
	r = put_text(&v, "session", session, error);
	if (r >= 0 && (flags & AGENTCG_RESULTS_UNTOLD))
		r = put_flag(&v, "untold", true, error);
	if (r >= 0 && (flags & AGENTCG_RESULTS_FAILED))
		r = put_flag(&v, "failed", true, error);
	if (r < 0)
		return r;

	LOCKED(cg);
	r = request(cg, "GetResults", v, NULL, 0, &reply, error);
	if (r < 0)
		return r;
	results = sd_json_variant_by_key(reply, "results");
	for (size_t i = 0; fn && i < count_of(results); i++) {
		r = tell_finished(sd_json_variant_by_index(results, i), fn, userdata, error);
		if (r < 0)
			return r;
	}
	return (int)count_of(results);
}
