// SPDX-License-Identifier: GPL-2.0-only
#include "later.h"

#include "call.h"
#include "cgroup.h"
#include "kernel.h"
#include "peer.h"
#include "session.h"

/* By then a client has read its answer and gone on, even one that shares our CPU. */
#define DELAY_USEC	(2 * USEC_PER_MSEC)
/* All beyond so many are removed at once. */
#define ENDED_MAX	64
/* Where one cannot be removed, as somebody has put a process into it: killed, and tried again. */
#define RETRY_MAX_USEC	USEC_PER_SEC

/* What one user has ready. */
#define READY_PER_UID	32
/* It gives way to another session's if it was not used for so long. */
#define KEEP_USEC	(60 * USEC_PER_SEC)

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void arm(struct manager *m, uint64_t usec)
{
	struct later *l = &m->later;
	int r;

	if (l->armed)
		return;
	if (!l->timer) {
		r = sd_event_add_time_relative(m->event, &l->timer, CLOCK_MONOTONIC, usec, 1, on_timer, m);
	} else {
		r = sd_event_source_set_time_relative(l->timer, usec);
		if (r >= 0)
			r = sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT);
	}
	l->armed = r >= 0;	/* else with the next one */
}

/* ---- calls that have ended ---------------------------------------------- */

/* All but the leaf. */
static void settle(struct call *c)
{
	struct manager *m = c->m;

	if (c->settled)
		return;
	c->settled = true;
	if (!c->spare && !c->ours)
		agentcg_results_add(&c->session->results, c);
	/* Its slot may be another's by now. */
	if (m->kernel && agentcg_kernel_call_at(m->kernel, c->slot) == c->id)
		agentcg_kernel_clear_call(m->kernel, c->slot, c->id);
	agentcg_session_publish(c->session);
}

static struct call *pop(struct later *l)
{
	struct call *c = l->first;

	l->first = c->next;
	if (!l->first)
		l->last = NULL;
	l->nr_ended--;
	return c;
}

static void push(struct later *l, struct call *c)
{
	c->next = NULL;
	*(l->last ? &l->last->next : &l->first) = c;
	l->last = c;
	l->nr_ended++;
}

/* The first one; false: it cannot be removed yet, and is the last one now. */
static bool bury_first(struct manager *m)
{
	struct call *c = pop(&m->later);
	char name[AGENTCG_CALL_NAME_MAX];

	settle(c);
	if (agentcg_cgroup_remove(c->session->fd, agentcg_call_leaf(c, name)) < 0) {
		agentcg_cgroup_kill(c->fd);
		push(&m->later, c);
		return false;
	}
	agentcg_call_free(c);
	return true;
}

/* Also its session, if that was all it was for. */
static bool bury_next(struct manager *m)
{
	struct session *s = m->later.first->session;
	bool buried = bury_first(m);

	if (buried)
		agentcg_session_gc(s);
	return buried;
}

void agentcg_later_bury(struct call *c)
{
	struct manager *m = c->m;

	agentcg_call_drop_slot(c);
	c->over = true;
	push(&m->later, c);
	arm(m, DELAY_USEC);
}

bool agentcg_later_pending(const struct session *s)
{
	const struct call *c = s->m->later.first;

	while (c && c->session != s)
		c = c->next;
	return c;
}

void agentcg_later_clear(struct manager *m)
{
	for (struct call *c = m->later.first; c; c = c->next)
		settle(c);
}

void agentcg_later_flush(struct manager *m)
{
	bool any = m->later.nr_ended > 0;

	for (uint32_t n = m->later.nr_ended; n && m->later.nr_ended; n--)
		bury_next(m);
	if (any)
		agentcg_manager_write_pool(m);
}

/* ---- leaves for calls to come ------------------------------------------- */

static void remove_ready(struct manager *m, uint32_t i)
{
	struct later *l = &m->later;
	struct call *c = l->ready[i];
	char name[AGENTCG_CALL_NAME_MAX];

	l->ready[i] = l->ready[--l->nr_ready];
	c->session->ready = NULL;
	if (agentcg_cgroup_remove(c->session->fd, agentcg_call_leaf(c, name)) >= 0) {
		agentcg_call_free(c);
		return;
	}
	/* It has become one that is to be got rid of. */
	c->over = true;
	c->settled = true;
	push(l, c);
	arm(m, DELAY_USEC);
}

/* Room for one more of @uid: false if all are in use. */
static bool make_room(struct manager *m, uid_t uid)
{
	struct later *l = &m->later;
	uint32_t of_uid = 0, oldest = AGENTCG_READY_MAX;

	for (uint32_t i = 0; i < l->nr_ready; i++)
		of_uid += l->ready[i]->session->uid == uid;
	if (l->nr_ready < AGENTCG_READY_MAX && of_uid < READY_PER_UID)
		return true;
	for (uint32_t i = 0; i < l->nr_ready; i++) {
		if (of_uid >= READY_PER_UID && l->ready[i]->session->uid != uid)
			continue;
		if (oldest == AGENTCG_READY_MAX || l->ready[i]->started_usec < l->ready[oldest]->started_usec)
			oldest = i;
	}
	if (now_usec(CLOCK_BOOTTIME) - l->ready[oldest]->started_usec < KEEP_USEC)
		return false;
	remove_ready(m, oldest);
	return true;
}

static void make_ready(struct session *s)
{
	struct later *l = &s->m->later;
	struct call *c;

	/* One that goes with its last call is not worth it. */
	if (s->ready || s->closing || s->automatic || !make_room(s->m, s->uid) || agentcg_call_prepare(s, false, &c) < 0)
		return;
	s->ready = c;
	l->ready[l->nr_ready++] = c;
}

void agentcg_later_want(struct session *s)
{
	struct later *l = &s->m->later;

	if (s->wanted || s->ready || s->automatic || l->nr_wanted == AGENTCG_WANTED_MAX)
		return;
	s->wanted = true;
	l->wanted[l->nr_wanted++] = s;
	arm(s->m, DELAY_USEC);
}

struct call *agentcg_later_take(struct session *s)
{
	struct later *l = &s->m->later;
	struct call *c = s->ready;

	for (uint32_t i = 0; c && i < l->nr_ready; i++)
		if (l->ready[i] == c) {
			l->ready[i] = l->ready[--l->nr_ready];
			break;
		}
	s->ready = NULL;
	return c;
}

/* ---- when --------------------------------------------------------------- */

/* Somebody's account is charged for what is done for him here, too: begin and end are less than half of what a call costs. */
static bool bury_one(struct manager *m)
{
	uint64_t since = now_usec(CLOCK_THREAD_CPUTIME_ID);
	uid_t uid = m->later.first->session->uid;
	bool buried = bury_next(m);

	agentcg_peer_spend(m, uid, now_usec(CLOCK_THREAD_CPUTIME_ID) - since);
	return buried;
}

static void ready_one(struct manager *m)
{
	uint64_t since = now_usec(CLOCK_THREAD_CPUTIME_ID);
	struct later *l = &m->later;
	struct session *s = l->wanted[--l->nr_wanted];

	s->wanted = false;
	make_ready(s);
	agentcg_peer_spend(m, s->uid, now_usec(CLOCK_THREAD_CPUTIME_ID) - since);
}

/* One leaf at once, then others have their turn. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;
	struct later *l = &m->later;
	bool stuck = false;

	l->armed = false;
	if (l->nr_ended) {
		do
			stuck = !bury_one(m);
		while (l->nr_ended > ENDED_MAX && !stuck);
		if (!l->nr_ended || stuck)
			agentcg_manager_write_pool(m);
	} else if (l->nr_wanted) {
		ready_one(m);
	}
	if (stuck)
		arm(m, min_u64(max_u64(now_usec(CLOCK_MONOTONIC) - l->last->ending_since, DELAY_USEC), RETRY_MAX_USEC));
	else if (l->nr_ended || l->nr_wanted)
		arm(m, 0);
	return 0;
}

/* ---- the end ------------------------------------------------------------ */

void agentcg_later_drop(struct session *s)
{
	struct manager *m = s->m;
	struct later *l = &m->later;

	for (uint32_t i = 0; i < l->nr_wanted; i++)
		if (l->wanted[i] == s) {
			l->wanted[i] = l->wanted[--l->nr_wanted];
			break;
		}
	s->wanted = false;
	for (uint32_t i = 0; s->ready && i < l->nr_ready; i++)
		if (l->ready[i] == s->ready)
			remove_ready(m, i);
	for (uint32_t n = l->nr_ended; n; n--) {
		if (l->first->session == s)
			bury_first(m);
		else
			push(l, pop(l));
	}
}

void agentcg_later_done(struct manager *m)
{
	struct later *l = &m->later;

	while (l->nr_ready)
		remove_ready(m, l->nr_ready - 1);
	agentcg_later_flush(m);
	while (l->nr_ended)
		agentcg_call_free(pop(l));	/* the next daemon removes it */
	l->timer = sd_event_source_disable_unref(l->timer);
}
