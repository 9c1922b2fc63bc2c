// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of the end: kill, wait until nothing is alive (cgroup.events, and
 * a timer in case something was moved in meanwhile), read the counters, reply; the
 * slot of the policy and the leaf go later (later.c).  Nothing in here waits in place.
 */
#include "end.h"

#include "admission.h"
#include "attachment.h"
#include "cgroup.h"
#include "decide.h"
#include "kernel.h"
#include "learn.h"
#include "log.h"
#include "pause.h"
#include "record.h"
#include "rerun.h"
#include "session.h"
#include "timeleft.h"
#include "watch.h"

/* The first look after a kill, doubled up to the second. */
#define RETRY_MIN_USEC	(5 * USEC_PER_MSEC)
#define RETRY_MAX_USEC	USEC_PER_SEC

/* A process in uninterruptible sleep can take long: reply without it then. */
#define REPLY_USEC	(10 * USEC_PER_SEC)

uint64_t agentcg_end_held_usec(const struct agentcg_state *state)
{
	uint64_t ns = state->held_ns, since = state->held_since;

	if (state->phase != AGENTCG_RUNNING && since)
		ns += agentcg_sub(now_usec(CLOCK_MONOTONIC) * NSEC_PER_USEC, since);
	return ns / NSEC_PER_USEC;
}

/* Its file is open: one read.  What cannot be read may be. */
static bool is_populated(const struct call *c)
{
	uint64_t populated;
	char buf[256];
	ssize_t n = pread(c->events_fd, buf, sizeof(buf) - 1, 0);

	if (n < 0)
		return true;
	buf[n] = 0;
	return agentcg_cgroup_find_key(buf, "populated", &populated) < 0 || populated;
}

static uint64_t local_event(int fd, const char *key)
{
	uint64_t v;

	return agentcg_cgroup_read_key(fd, "memory.events.local", key, &v) < 0 ? 0 : v;
}

/* Whose limit it was.  "oom" counts where the limit is, "oom_kill" where the victim was. */
static enum agentcg_oom_level oom_level(const struct call *c)
{
	if (c->grant.memory_max != AGENTCG_NONE && local_event(c->fd, "oom"))
		return AGENTCG_OOM_CALL;
	if (c->session->grant.budget != AGENTCG_NONE && local_event(c->session->fd, "oom"))
		return AGENTCG_OOM_SESSION;
	return AGENTCG_OOM_POOL;
}

/* @stuck: something is alive in it. */
static void take_stock(struct call *c, bool stuck)
{
	struct agentcg_state state = {};
	struct result *r = &c->result;

	if (c->m->kernel)
		agentcg_kernel_state(c->m->kernel, c->slot, &state);
	*r = (struct result){
		.fate = c->fate,
		.request = c->grant.memory,
		.memory_max = c->grant.memory_max,
		.memory_cap = c->m->policy.call_max,
		.pids_max = min_u64(c->grant.pids_max, c->m->policy.pids_max),
		.pids_cap = c->m->policy.pids_max,
		.kill_wished = c->grant.on_pressure == AGENTCG_PRESSURE_KILL,
		.session_budget = c->session->grant.budget,
		.pool_max = c->m->pool_max,
		.held_usec = agentcg_end_held_usec(&state),
		.timeout_usec = c->grant.timeout_usec,
		.timeout_cap = c->m->policy.timeout_max_usec,
		.holds = state.holds,
		.throttles = state.throttles,
		.oom_kills = local_event(c->fd, "oom_kill"),
		.stuck = stuck,
	};
	if (r->oom_kills)
		r->oom_level = oom_level(c);
	agentcg_cgroup_read_u64(c->fd, "memory.peak", &r->peak);
	if (agentcg_cgroup_read_key(c->fd, "pids.events", "max", &r->pids_exceeded) < 0)
		r->pids_exceeded = 0;
	agentcg_result_judge(r);
}

static void reply(struct call *c)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = TAKE_PTR(c->end_link);
	int r;

	if (!link)
		return;
	r = agentcg_result_build(&c->result, &v);
	if (r < 0) {
		sd_varlink_error_errno(link, r);
		return;
	}
	sd_varlink_replybo(link,
		SD_JSON_BUILD_PAIR_CONDITION(!c->ending, "running", SD_JSON_BUILD_BOOLEAN(true)),
		SD_JSON_BUILD_PAIR_VARIANT("result", v));
}

/* Nothing is alive in it any more: that is its end, and nobody may use @c after it. */
static void finish(struct call *c)
{
	struct session *s = c->session;
	struct manager *m = c->m;

	take_stock(c, false);
	agentcg_rerun_end(c);
	/* While the record is there: who is killed on the way does it again, and that is no second row. */
	agentcg_learn_run(c);
	agentcg_record_drop_call(c);
	agentcg_group_ended(c);
	if (!c->agent)
		agentcg_time_ended(s, agentcg_sub(now_usec(CLOCK_BOOTTIME), c->started_usec));
	c->retry = sd_event_source_disable_unref(c->retry);
	reply(c);
	agentcg_later_bury(c);
	agentcg_session_gc(s);
	agentcg_admission_kick(m);
}

/* One look: kill what is there, or finish.  Whether it is over. */
static bool go_on(struct call *c)
{
	uint64_t age = now_usec(CLOCK_MONOTONIC) - c->ending_since;

	if (!is_populated(c)) {
		finish(c);
		return true;
	}
	agentcg_cgroup_kill(c->fd);
	if (age > REPLY_USEC && c->end_link) {
		take_stock(c, true);
		reply(c);
	}
	return false;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct call *c = userdata;
	uint64_t age;

	if (go_on(c))
		return 0;
	age = now_usec(CLOCK_MONOTONIC) - c->ending_since;
	sd_event_source_set_time_relative(source, min_u64(max_u64(age, RETRY_MIN_USEC), RETRY_MAX_USEC));
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void agentcg_call_end(struct call *c, sd_varlink *link)
{
	int r;

	if (link)
		c->end_link = sd_varlink_ref(link);
	c->link = NULL;
	if (c->ending)
		return;
	c->ending = true;
	agentcg_pause_end(c);
	agentcg_attachment_forget(c);
	c->ending_since = now_usec(CLOCK_MONOTONIC);
	c->timeout = sd_event_source_disable_unref(c->timeout);
	c->grace = sd_event_source_disable_unref(c->grace);
	c->climb = sd_event_source_disable_unref(c->climb);
	if (go_on(c))
		return;
	r = sd_event_add_time_relative(c->m->event, &c->retry, CLOCK_MONOTONIC, RETRY_MIN_USEC, 0,
				       on_retry, c);
	if (r < 0)
		agentcg_log(LOG_ERR, "no timer for the end of a call: %s", strerror(-r));
}

void agentcg_call_leave(struct call *c, sd_varlink *link)
{
	c->link = NULL;
	if (!(c->grant.detach || c->placed) || !is_populated(c)) {
		agentcg_call_end(c, link);
		return;
	}
	if (!link)
		return;
	c->end_link = sd_varlink_ref(link);
	take_stock(c, false);		/* what is alive is so on purpose */
	reply(c);
}

/* The whole leaf went at once (memory.oom.group): say so while it is news. */
static void tell_oom(struct call *c)
{
	if (c->oom_told || !local_event(c->fd, "oom_kill"))
		return;
	c->oom_told = true;
	take_stock(c, false);
	agentcg_watch_tell(c, "oom", "%s", c->result.text);
}

int agentcg_end_on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct call *c = userdata;
	uint64_t populated;
	char buf[256];
	ssize_t n;

	/* Reading from the start is also what re-arms the poll. */
	n = pread(fd, buf, sizeof(buf) - 1, 0);
	if (n < 0)
		return 0;
	buf[n] = 0;
	if (agentcg_cgroup_find_key(buf, "populated", &populated) < 0 || populated)
		return 0;
	if (c->over)
		return 0;
	tell_oom(c);
	if (c->ending)
		go_on(c);
	else if ((c->grant.detach || c->placed) && !c->link && !c->grace && !c->spare && !c->open)
		agentcg_call_end(c, NULL);	/* the last of it has gone by itself */
	return 0;
}
