// SPDX-License-Identifier: GPL-2.0-only
#include "launch.h"

#include <signal.h>
#include <sys/pidfd.h>

#include "cgroup.h"
#include "cli.h"
#include "priority.h"

static void tell_notes(const struct agentcg_leaf *leaf)
{
	size_t i;

	if (!leaf->notes)
		return;
	for (i = 0; i < sd_json_variant_elements(leaf->notes); i++)
		agentcg_say("%s", sd_json_variant_string(sd_json_variant_by_index(leaf->notes, i)));
}

static int start_child(struct agentcg_launch *l, char **command, char *why)
{
	int adj = agentcg_priority_oom_score_adj(l->leaf.priority), r;

	r = agentcg_child_start(&l->child, command, l->leaf.cgroup_fd, adj);
	if (r != -EACCES && r != -EPERM) {
		if (r < 0)
			snprintf(why, AGENTCG_WHY_MAX, "cannot start a process: %s", strerror(-r));
		return r;
	}
	/* Only root may clone into a group that is not its own: let the daemon move it. */
	r = agentcg_child_start(&l->child, command, -1, adj);
	if (r < 0) {
		snprintf(why, AGENTCG_WHY_MAX, "cannot start a process: %s", strerror(-r));
		return r;
	}
	r = agentcg_leaf_attach(&l->leaf, l->child.pidfd, why);
	if (r < 0)
		return r;
	return agentcg_child_go(&l->child);
}

/* As the child would: a tool call's limits are over all that it starts. */
static int run_in_place(const struct agentcg_wish *wish)
{
	char **command = wish->command;

	if (!wish->quiet)
		agentcg_say("this is part of a tool call already: the command runs there, within its limits");
	execvp(command[0], command);
	agentcg_say("%s: %s", command[0], errno == ENOENT ? "not found" : strerror(errno));
	return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

int agentcg_launch_start(struct agentcg_launch *l, const char *socket,
			 const struct agentcg_wish *wish)
{
	char why[AGENTCG_WHY_MAX] = "";
	int r;

	l->leaf.socket = socket;
	r = agentcg_leaf_begin(&l->leaf, wish, why);
	if (r >= 0) {
		tell_notes(&l->leaf);
		r = start_child(l, wish->command, why);
	}
	if (r >= 0)
		return 0;
	if (r == -ENOTUNIQ && wish->in_place)
		return run_in_place(wish);
	agentcg_say("%s", *why ? why : strerror(-r));
	return EXIT_LAUNCHER;
}

static void look_for_daemon(struct agentcg_launch *l)
{
	struct agentcg_leaf *leaf = &l->leaf;

	if (agentcg_leaf_reconnect(leaf) >= 0)
		return;
	if (leaf->orphaned) {
		agentcg_say("the daemon was restarted and does not know %s any more; the command goes on without it",
			    leaf->call);
	} else if (now_usec(CLOCK_MONOTONIC) >= leaf->give_up) {
		agentcg_say("the daemon is gone; the command goes on, with the limits that it has");
		leaf->give_up = UINT64_MAX;
	}
}

/* The daemon keeps the time, unless it is away. */
static void enforce_timeout(struct agentcg_launch *l)
{
	l->timed_out = true;
	l->leaf.deadline = UINT64_MAX;
	(void)agentcg_cgroup_kill(l->leaf.cgroup_fd);
	(void)pidfd_send_signal(l->child.pidfd, SIGKILL, NULL, 0);
}

static void wait_for_end(struct agentcg_launch *l)
{
	struct agentcg_leaf *leaf = &l->leaf;
	uint64_t tick = l->interval ? now_usec(CLOCK_MONOTONIC) : UINT64_MAX;

	while (!l->child.exited) {
		uint64_t until = tick, now;
		int fd = agentcg_leaf_fd(leaf), r;

		if (fd < 0)
			until = min_u64(until, min_u64(leaf->retry, leaf->deadline));
		r = agentcg_child_wait(&l->child, fd, until);
		if (r < 0)
			return;
		/* The daemon says nothing unless asked, so this is the end of it. */
		if (r > 0)
			agentcg_leaf_lost(leaf);
		now = now_usec(CLOCK_MONOTONIC);
		if (!l->child.exited && !leaf->link && now >= leaf->retry)
			look_for_daemon(l);
		if (!l->child.exited && !leaf->link && now >= leaf->deadline)
			enforce_timeout(l);
		if (now >= tick) {
			l->tick(l, l->userdata);
			/* No catching up: a sample that is late is late. */
			tick += (1 + (now - tick) / l->interval) * l->interval;
		}
	}
	if (l->interval)
		l->tick(l, l->userdata);
}

static int exit_code(struct agentcg_launch *l)
{
	const char *outcome = l->result ? agentcg_json_string(l->result, "outcome") : NULL;

	if (l->child.signal && (l->timed_out || (outcome && streq(outcome, "timeout"))))
		return EXIT_TIMEOUT;
	return agentcg_child_exit_code(&l->child);
}

int agentcg_launch_finish(struct agentcg_launch *l, const struct agentcg_wish *wish)
{
	char why[AGENTCG_WHY_MAX] = "";
	int r;

	wait_for_end(l);
	r = agentcg_leaf_end(&l->leaf, &l->result, why);
	if (r < 0)
		agentcg_say("%s", *why ? why : strerror(-r));
	if (l->child.exec_errno)
		agentcg_say("%s: %s", wish->command[0],
			    l->child.exec_errno == ENOENT ? "not found" : strerror(l->child.exec_errno));
	return exit_code(l);
}

void agentcg_launch_tell(const struct agentcg_launch *l)
{
	const char *outcome = l->result ? agentcg_json_string(l->result, "outcome") : NULL;

	/* Slowed by a few milliseconds is no news. */
	if (outcome && !streq(outcome, "ok") && !streq(outcome, "throttled"))
		agentcg_say("%s", agentcg_json_string(l->result, "text") ?: outcome);
}

void agentcg_launch_done(struct agentcg_launch *l)
{
	agentcg_child_done(&l->child);
	agentcg_leaf_done(&l->leaf);
}
