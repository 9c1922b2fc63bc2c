// SPDX-License-Identifier: GPL-2.0-only
#include "climb.h"

#include "call.h"
#include "cgroup.h"
#include "kernel.h"
#include "log.h"
#include "pressure.h"
#include "reclaim.h"
#include "session.h"
#include "size.h"
#include "watch.h"

#define BYTES(bytes)	agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, (bytes))
#define TIME(usec)	agentcg_format_time((char[AGENTCG_TEXT_MAX]){}, (usec))

/* Less cache than this is not worth a reclaim when a call is held. */
#define CACHE_MIN	(8 * MIB)
/* So much at once at most: others may want the cache. */
#define RECLAIM_MAX	(64 * MIB)

static void look(struct call *c);

static int on_climb(sd_event_source *source, uint64_t usec, void *userdata)
{
	look(userdata);
	return 0;
}

static void set_rung(struct call *c, enum agentcg_rung rung)
{
	c->rung = rung;
	c->rung_since = now_usec(CLOCK_MONOTONIC);
	if (rung == AGENTCG_RUNG_GROUND)
		c->climb = sd_event_source_disable_unref(c->climb);
}

/* Looks again when FreezeTime on this rung is over, and then each FreezeTime. */
static void arm(struct call *c)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC), due = c->rung_since + c->m->policy.freeze_usec;
	int r;

	/* The loop's own idea of now is older than ours: absolute times only. */
	if (due <= now)
		due = now + c->m->policy.freeze_usec;
	if (c->climb) {
		sd_event_source_set_time(c->climb, due);
		r = sd_event_source_set_enabled(c->climb, SD_EVENT_ONESHOT);
	} else {
		r = sd_event_add_time(c->m->event, &c->climb, CLOCK_MONOTONIC, due, 1, on_climb, c);
	}
	if (r < 0)
		agentcg_log(LOG_ERR, "no timer for the ladder: %s", strerror(-r));
}

static void thaw(struct call *c)
{
	if (c->rung != AGENTCG_RUNG_FROZEN)
		return;
	agentcg_cgroup_freeze(c->fd, false);
	agentcg_watch_tell(c, "thawed", "goes on");
}

static void freeze(struct call *c)
{
	int r = agentcg_cgroup_freeze(c->fd, true);

	if (r < 0) {
		agentcg_log(LOG_WARNING, "cannot freeze a call: %s", strerror(-r));
		return;
	}
	agentcg_watch_tell(c, "frozen", "held too long; its memory is reclaimed meanwhile");
	agentcg_reclaim(c->fd, agentcg_call_usage(c), false);
}

static void look(struct call *c)
{
	struct agentcg_ladder_view view = {
		.rung = c->rung,
		.rung_usec = now_usec(CLOCK_MONOTONIC) - c->rung_since,
		.freeze_usec = c->m->policy.freeze_usec,
		.wish = c->grant.on_pressure,
	};
	struct pressure pressure;

	if (c->ending || !c->m->kernel)
		return;
	agentcg_pressure_look(c, &pressure);
	view.room = pressure.room;
	view.short_above = pressure.short_above;

	switch (agentcg_ladder_step(&view)) {
	case AGENTCG_STEP_RELEASE:
		agentcg_climb_release(c);
		return;
	case AGENTCG_STEP_FREEZE:
		freeze(c);
		set_rung(c, AGENTCG_RUNG_FROZEN);
		break;
	case AGENTCG_STEP_LET_GO:
		thaw(c);
		set_rung(c, AGENTCG_RUNG_LET_GO);
		break;
	case AGENTCG_STEP_KILL:
		set_rung(c, AGENTCG_RUNG_GROUND);
		agentcg_call_kill(c, AGENTCG_FATE_POLICY);
		return;
	case AGENTCG_STEP_WAIT:
		break;
	}
	if (c->rung != AGENTCG_RUNG_GROUND)
		arm(c);
}

int agentcg_climb_release(struct call *c)
{
	int r = c->m->kernel ? agentcg_kernel_release(c->m->kernel, c->id) : 0;

	thaw(c);
	set_rung(c, AGENTCG_RUNG_GROUND);
	return r;
}

void agentcg_climb_resume(struct call *c, enum agentcg_rung rung)
{
	set_rung(c, rung);
	if (rung == AGENTCG_RUNG_EXPIRED)
		look(c);
	else
		arm(c);
}

/*
 * Cache of calls that are gone is charged to their session and counts as used;
 * nobody frees it while everyone who could charge is held.
 */
static void drop_cache(struct call *c)
{
	struct manager *m = c->m;
	struct pressure pressure;
	uint64_t cache;

	if (agentcg_cgroup_read_key(m->pool_fd, "memory.stat", "inactive_file", &cache) < 0 ||
	    cache < CACHE_MIN)
		return;
	agentcg_pressure_look(c, &pressure);
	if (!pressure.room)
		agentcg_reclaim(m->pool_fd, min_u64(pressure.missing + m->policy.step_max, RECLAIM_MAX),
				true);
}

void agentcg_climb_on_event(const struct agentcg_event *event, void *userdata)
{
	struct manager *m = userdata;
	struct call *c;

	/* It may be of a call that is gone, its slot that of another one. */
	if (event->slot >= AGENTCG_MAX_CALLS)
		return;
	c = m->calls[event->slot];
	if (!c || c->id != event->cgroup_id || c->ending)
		return;

	switch (event->type) {
	case AGENTCG_EV_HOLD:
		agentcg_watch_tell(c, "hold", "held at %s; %s are free in the pool",
				   BYTES(event->usage), BYTES(event->headroom));
		drop_cache(c);
		break;
	case AGENTCG_EV_RELEASE:
		agentcg_watch_tell(c, "release", "goes on after %s", TIME(event->held_ns / NSEC_PER_USEC));
		thaw(c);
		set_rung(c, AGENTCG_RUNG_GROUND);
		break;
	case AGENTCG_EV_EXPIRED:
		agentcg_watch_tell(c, "expired", "held for %s, the deadline",
				   TIME(event->held_ns / NSEC_PER_USEC));
		set_rung(c, AGENTCG_RUNG_EXPIRED);
		look(c);
		break;
	}
}
