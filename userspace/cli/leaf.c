// SPDX-License-Identifier: GPL-2.0-only
#include "leaf.h"

#include "cgroup.h"
#include "io-agentcg.h"
#include "priority.h"

/* A daemon is back within this of its restart, if it comes back at all. */
#define RETRY_FAST_USEC		(100 * USEC_PER_MSEC)
#define RETRY_SLOW_USEC		USEC_PER_SEC

/* An end takes 10 s at most; who waits to begin waits as long as the daemon lets it. */
#define REPLY_USEC		(45 * USEC_PER_SEC)

/* As much of a command line as the daemon keeps. */
#define DESCRIBE_MAX		256

#define OPTIONAL(name, value)						\
	SD_JSON_BUILD_PAIR_CONDITION((value) != UINT64_MAX, name, SD_JSON_BUILD_UNSIGNED(value))

/* For those who look at the status, not to run it: the beginning will do. */
static int describe(char **command, sd_json_variant **ret)
{
	size_t i, left = DESCRIBE_MAX;
	int r = 0;

	for (i = 0; r >= 0 && command[i] && left; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *word = NULL;

		r = agentcg_json_text(&word, command[i], left);
		if (r >= 0)
			r = sd_json_variant_append_array(ret, word);
		left -= min_u64(left, strlen(command[i]) + 1);
	}
	return r;
}

static int take_answer(struct agentcg_leaf *leaf, sd_json_variant *answer,
		       const struct agentcg_wish *wish)
{
	const char *call = agentcg_json_string(answer, "call");
	sd_json_variant *granted = sd_json_variant_by_key(answer, "granted");
	uint64_t timeout = agentcg_json_u64(granted, "timeoutUSec");

	leaf->call = call ? strdup(call) : NULL;
	if (!leaf->call)
		return call ? -ENOMEM : -EPROTO;
	leaf->cgroup_fd = sd_varlink_take_fd(leaf->link, agentcg_json_u64(answer, "cgroupFd"));
	if (leaf->cgroup_fd < 0)
		return leaf->cgroup_fd;
	if (timeout)
		leaf->deadline = now_usec(CLOCK_MONOTONIC) + timeout;
	if (agentcg_json_has(granted, "priority"))
		leaf->priority = agentcg_json_u64(granted, "priority");
	else
		leaf->priority = wish->priority == UINT64_MAX ? AGENTCG_PRIORITY_NORMAL : wish->priority;
	leaf->notes = sd_json_variant_ref(sd_json_variant_by_key(answer, "notes"));
	return 0;
}

/* As agentcg_client_call(), but a daemon that is restarted while we wait is asked again. */
static int ask_to_begin(struct agentcg_leaf *leaf, sd_json_variant *parameters, sd_json_variant **ret, char *why)
{
	uint64_t give_up = UINT64_MAX;
	int r;

	for (;;) {
		r = leaf->link ? 0 : agentcg_client_connect(leaf->socket, &leaf->link, why);
		if (r >= 0)
			r = sd_varlink_set_relative_timeout(leaf->link, UINT64_MAX);
		if (r >= 0)
			r = agentcg_client_call(leaf->link, "BeginCall", parameters, ret, why);
		if (r >= 0)
			return sd_varlink_set_relative_timeout(leaf->link, REPLY_USEC);
		/* What it refuses it will refuse again, and what never was there is not awaited. */
		if (leaf->link && r != -ENOTCONN)
			return r;
		if (!leaf->link && give_up == UINT64_MAX)
			return r;
		leaf->link = sd_varlink_close_unref(leaf->link);
		if (give_up == UINT64_MAX)
			give_up = now_usec(CLOCK_MONOTONIC) + AGENTCG_CLAIM_GRACE_USEC;
		if (now_usec(CLOCK_MONOTONIC) >= give_up)
			return r;
		usleep(RETRY_FAST_USEC);
	}
}

int agentcg_leaf_begin(struct agentcg_leaf *leaf, const struct agentcg_wish *wish, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL, *command = NULL, *intent = NULL;
	sd_json_variant *answer;
	int r;

	r = describe(wish->shown ?: wish->command, &command);
	if (r >= 0)
		r = agentcg_intent_build(&wish->intent, &intent);
	if (r >= 0)
		r = sd_json_buildo(&parameters,
			SD_JSON_BUILD_PAIR_CONDITION(!!wish->session, "session", SD_JSON_BUILD_STRING(wish->session)),
			SD_JSON_BUILD_PAIR_VARIANT("command", command),
			OPTIONAL("priority", wish->priority),
			SD_JSON_BUILD_PAIR_CONDITION(!!wish->group, "group", SD_JSON_BUILD_STRING(wish->group)),
			SD_JSON_BUILD_PAIR_CONDITION(!!wish->after, "after", SD_JSON_BUILD_VARIANT(wish->after)),
			SD_JSON_BUILD_PAIR_CONDITION(wish->may_control, "mayControl", SD_JSON_BUILD_BOOLEAN(true)),
			SD_JSON_BUILD_PAIR_CONDITION(wish->wait, "wait", SD_JSON_BUILD_BOOLEAN(true)),
			SD_JSON_BUILD_PAIR_CONDITION(!!intent, "intent", SD_JSON_BUILD_VARIANT(intent)));
	if (r >= 0) {
		r = ask_to_begin(leaf, parameters, &answer, why);
		if (r < 0)
			return r;
		r = take_answer(leaf, answer, wish);
	}
	if (r < 0)	/* sd-json takes UTF-8 only, and says so in its own way */
		snprintf(why, AGENTCG_WHY_MAX, "cannot begin the call: %s",
			 r == -EUCLEAN ? "the session's name is not UTF-8" : strerror(-r));
	return r;
}

int agentcg_leaf_attach(struct agentcg_leaf *leaf, int pidfd, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	int index, r;

	index = sd_varlink_push_dup_fd(leaf->link, pidfd);
	r = index < 0 ? index : sd_json_buildo(&parameters,
		SD_JSON_BUILD_PAIR_STRING("call", leaf->call),
		SD_JSON_BUILD_PAIR_INTEGER("pidFd", index));
	if (r < 0) {
		snprintf(why, AGENTCG_WHY_MAX, "cannot hand the process over: %s", strerror(-r));
		return r;
	}
	return agentcg_client_call(leaf->link, "AttachProcess", parameters, NULL, why);
}

static int call_by_name(struct agentcg_leaf *leaf, const char *method, sd_json_variant **ret, char *why)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *parameters = NULL;
	int r;

	r = sd_json_buildo(&parameters, SD_JSON_BUILD_PAIR_STRING("call", leaf->call));
	if (r < 0)
		return r;
	return agentcg_client_call(leaf->link, method, parameters, ret, why);
}

/* Without the daemon: what can be done by hand, which takes the right to. */
static void clean_up(struct agentcg_leaf *leaf)
{
	(void)agentcg_cgroup_kill(leaf->cgroup_fd);
}

int agentcg_leaf_end(struct agentcg_leaf *leaf, sd_json_variant **ret, char *why)
{
	sd_json_variant *answer;
	int r;

	for (;;) {
		if (!leaf->link) {
			while (agentcg_leaf_reconnect(leaf) < 0 && !leaf->orphaned &&
			       now_usec(CLOCK_MONOTONIC) < leaf->give_up)
				usleep(RETRY_FAST_USEC);
		}
		if (!leaf->link) {
			clean_up(leaf);
			snprintf(why, AGENTCG_WHY_MAX, "%s, so there is no result; what the call left running was killed if that was allowed",
				 leaf->orphaned ? "the daemon was restarted and does not know the call any more" :
						  "the daemon is gone");
			return -ENOTCONN;
		}
		r = call_by_name(leaf, "EndCall", &answer, why);
		if (r != -ENOTCONN)
			break;
		agentcg_leaf_lost(leaf);
	}
	if (r < 0)
		return r;
	*ret = sd_json_variant_by_key(answer, "result");
	return *ret ? 0 : -EPROTO;
}

void agentcg_leaf_lost(struct agentcg_leaf *leaf)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);

	leaf->link = sd_varlink_close_unref(leaf->link);
	leaf->retry = now;
	leaf->give_up = now + AGENTCG_CLAIM_GRACE_USEC;
}

int agentcg_leaf_reconnect(struct agentcg_leaf *leaf)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	int r;

	leaf->retry = now + (now < leaf->give_up ? RETRY_FAST_USEC : RETRY_SLOW_USEC);
	r = agentcg_client_connect(leaf->socket, &leaf->link, NULL);
	if (r < 0)
		return r;
	r = call_by_name(leaf, "ClaimCall", NULL, NULL);
	if (r < 0) {
		leaf->link = sd_varlink_close_unref(leaf->link);
		/* The daemon does answer, but not for this call: asking again is no use. */
		if (r != -ENOTCONN) {
			leaf->orphaned = true;
			leaf->retry = UINT64_MAX;
		}
		return r;
	}
	leaf->retry = UINT64_MAX;
	leaf->give_up = UINT64_MAX;
	return 0;
}

int agentcg_leaf_fd(struct agentcg_leaf *leaf)
{
	return leaf->link ? sd_varlink_get_fd(leaf->link) : -1;
}

void agentcg_leaf_done(struct agentcg_leaf *leaf)
{
	leaf->link = sd_varlink_close_unref(leaf->link);
	sd_json_variant_unref(leaf->notes);
	free(leaf->call);
	agentcg_closep(&leaf->cgroup_fd);
	*leaf = AGENTCG_LEAF_NONE;
}
