// SPDX-License-Identifier: GPL-2.0-only
/*
 * A daemon can be killed between any two system calls.  What it had made is
 * whole when its record (record.c) is there, which is written last; anything
 * else is removed.  Slots of the policy are matched by cgroup id.
 */
#include "adopt.h"

#include <dirent.h>

#include "attachment.h"
#include "call.h"
#include "cgroup.h"
#include "io-agentcg.h"
#include "kernel.h"
#include "log.h"
#include "pause.h"
#include "session.h"

static DIR *open_dir(int dirfd)
{
	int fd = agentcg_cgroup_open(dirfd, ".");
	DIR *dir;

	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

/* Nobody was told of this group yet, so nothing in it is missed. */
static void remove_half_made(int dirfd, const char *name)
{
	_cleanup_close_ int fd = agentcg_cgroup_open(dirfd, name);
	int r;

	if (fd < 0)
		return;
	agentcg_cgroup_kill(fd);
	r = agentcg_cgroup_remove(dirfd, name);
	if (r < 0)
		agentcg_log(LOG_WARNING, "cannot remove the left-over group %s: %s", name, strerror(-r));
	else
		agentcg_log(LOG_INFO, "removed the left-over group %s", name);
}

/* Its client had time to claim it: the launcher is gone. */
static int on_grace(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct call *c = userdata;
	char name[AGENTCG_CALL_NAME_MAX];

	c->grace = sd_event_source_disable_unref(c->grace);
	if (c->grant.detach || c->placed) {
		agentcg_call_leave(c, NULL);
		return 0;
	}
	agentcg_log(LOG_INFO, "%s was not claimed; it ends", agentcg_call_name(c, name));
	agentcg_call_kill(c, AGENTCG_FATE_CLOSED);
	agentcg_call_end(c, NULL);
	return 0;
}

static void adopt_calls(struct session *s)
{
	DIR *dir = open_dir(s->fd);

	if (!dir)
		return;
	for (struct dirent *d; (d = readdir(dir));) {
		struct call *c;
		int r;

		if (d->d_type != DT_DIR || *d->d_name == '.')
			continue;
		r = agentcg_call_adopt(s, d->d_name, &c);
		if (r < 0) {
			remove_half_made(s->fd, d->d_name);
			continue;
		}
		if (c->fate != AGENTCG_FATE_NONE)
			agentcg_cgroup_kill(c->fd);	/* perhaps it was not yet */
		sd_event_add_time_relative(s->m->event, &c->grace, CLOCK_MONOTONIC,
					   AGENTCG_CLAIM_GRACE_USEC, 0, on_grace, c);
	}
	closedir(dir);
}

/* Slots whose group is gone, or that nobody remembers. */
static void sweep(struct manager *m)
{
	for (uint32_t i = 0; m->kernel && i < AGENTCG_MAX_CALLS; i++)
		if (!m->calls[i] && agentcg_kernel_call_at(m->kernel, i))
			agentcg_kernel_clear_call(m->kernel, i, agentcg_kernel_call_at(m->kernel, i));
	for (uint32_t i = 0; m->kernel && i < AGENTCG_MAX_SESSIONS; i++)
		if (!m->sessions[i] && agentcg_kernel_session_at(m->kernel, i))
			agentcg_kernel_clear_session(m->kernel, i);
	agentcg_manager_write_pool(m);
}

/* All at once: with half of the requests missing, the policy would let go. */
static void publish(struct manager *m)
{
	agentcg_manager_write_pool(m);
	for (uint32_t i = 0; i < m->nr_sessions; i++) {
		struct session *s = m->sessions[i];

		if (!s)
			continue;
		if (m->kernel)
			agentcg_kernel_adopt(m->kernel, s->id, AGENTCG_GATE_OPEN);
		agentcg_session_publish(s);
	}
	for (uint32_t i = 0; i < m->nr_calls; i++)
		if (m->calls[i])
			agentcg_call_publish(m->calls[i]);
	sweep(m);
}

int agentcg_adopt_all(struct manager *m)
{
	uint32_t sessions = 0, calls = 0;
	DIR *dir = open_dir(m->pool_fd);

	if (!dir)
		return -errno;
	m->adopting = true;
	for (struct dirent *d; (d = readdir(dir));) {
		const char *name = startswith(d->d_name, AGENTCG_SESSION_PREFIX);
		struct session *s;

		if (d->d_type != DT_DIR || !name || !agentcg_session_name_valid(name))
			continue;
		if (agentcg_session_adopt(m, name, &s) < 0)
			remove_half_made(m->pool_fd, d->d_name);
		else
			adopt_calls(s);
	}
	closedir(dir);
	m->adopting = false;
	publish(m);

	for (uint32_t i = 0; i < m->nr_calls; i++)
		if (m->calls[i]) {
			calls++;
			agentcg_call_resume(m->calls[i]);
		}
	agentcg_attachment_resume(m);
	agentcg_pause_adopt(m);
	for (uint32_t i = 0; i < m->nr_sessions; i++)
		if (m->sessions[i]) {
			sessions++;
			agentcg_session_gc(m->sessions[i]);
		}
	if (sessions)
		agentcg_log(LOG_INFO, "adopted %u sessions with %u calls", sessions, calls);
	return 0;
}

void agentcg_adopt_apply(struct manager *m)
{
	m->adopting = true;	/* the files first */
	for (uint32_t i = 0; i < m->nr_sessions; i++)
		if (m->sessions[i])
			agentcg_session_apply(m->sessions[i]);
	for (uint32_t i = 0; i < m->nr_calls; i++)
		if (m->calls[i])
			agentcg_call_apply(m->calls[i]);
	m->adopting = false;
	publish(m);
}
