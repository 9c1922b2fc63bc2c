// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library would serve every connection alike, one message of each in turn: a
 * user with a thousand connections would have a thousand times as much of the
 * daemon as one with a single one.  So the events of a connection come to us, we
 * let the library process it, and write down what CPU time that took: parsing
 * counts, too, whatever the message was.
 *
 * The account is a bucket of time.  It fills while time passes, PART of it, and
 * holds BURST; while it is empty none of its user's connections is looked at, and
 * none is let in (door.c); below half of it those of others come first.  Root has
 * no account.
 */
#include "peer.h"

#include <sys/epoll.h>

#include "door.h"

/* Percent of the daemon's time: two thousand calls a second, and hardly noticed by others. */
#define PART		20
/* What somebody may use at once who was quiet before: what starting a hundred agents takes. */
#define BURST_USEC	(500 * USEC_PER_MSEC)
/* It goes on with so much: not message by message. */
#define RESUME_USEC	(5 * USEC_PER_MSEC)
/* Steps of the library at once, a message is some three: then others have their turn. */
#define STEPS		4
/* Who has used up more than half of the burst comes after who has not, until a quarter is missing. */
#define LATE_USEC	(BURST_USEC / 2)
#define TIMELY_USEC	(BURST_USEC / 4 * 3)

struct line {
	struct line *next;
	struct peer *peer;
	sd_varlink *link;		/* not a reference */
	sd_event_source *io;
	sd_event_source *more;		/* there is something to do without an event */
	bool pending;			/* that is so */
	bool *gone;			/* to be told that it was freed */
	bool owes;			/* a reply, so it is asked what it waits for */
};

struct peer {
	struct peer *next;
	struct manager *m;
	uid_t uid;
	int64_t left;			/* usec of CPU time; negative: owed */
	uint64_t since;			/* CLOCK_MONOTONIC, when it was that */
	bool shut;			/* it waits until it has some */
	bool late;			/* others come first */
	sd_event_source *resume;	/* then; or when it may be forgotten */
	struct line *lines;
	unsigned int busy;		/* is being served: not to be freed */
};

static struct peer *free_peer(struct peer *p)
{
	for (struct peer **at = &p->m->peers; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	sd_event_source_disable_unref(p->resume);
	free(p);
	return NULL;
}

static void leave(struct peer *p);

static int set_line(struct line *l, bool on)
{
	int r = sd_event_source_set_enabled(l->io, on ? SD_EVENT_ON : SD_EVENT_OFF);

	return r < 0 ? r : sd_event_source_set_enabled(l->more, on && l->pending ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void refill(struct peer *p)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);

	p->left += (int64_t)min_u64((now - p->since) * PART / 100, 2 * BURST_USEC);
	p->since = now;
	if (p->left > (int64_t)BURST_USEC)
		p->left = (int64_t)BURST_USEC;
}

static int set_turn(struct line *l, bool late)
{
	int64_t turn = late ? AGENTCG_PRIORITY_LATE : SD_EVENT_PRIORITY_NORMAL;
	int r = sd_event_source_set_priority(l->io, turn);

	return r < 0 ? r : sd_event_source_set_priority(l->more, turn);
}

/* Whether others come before it now. */
static void take_turn(struct peer *p)
{
	bool late = p->uid && p->left < (int64_t)(p->late ? TIMELY_USEC : LATE_USEC);

	if (late == p->late)
		return;
	p->late = late;
	for (struct line *l = p->lines; l; l = l->next)
		set_turn(l, late);
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct peer *p = userdata;
	struct manager *m = p->m;

	refill(p);
	p->resume = sd_event_source_disable_unref(p->resume);
	p->shut = false;
	take_turn(p);
	for (struct line *l = p->lines; l; l = l->next)
		set_line(l, true);
	if (!p->lines && p->left >= (int64_t)BURST_USEC)
		free_peer(p);
	else if (!p->lines)
		leave(p);
	agentcg_door_look(m);
	return 0;
}

/* Nobody of it is heard until it has paid. */
static void shut_out(struct peer *p)
{
	uint64_t wait = ((uint64_t)-p->left + RESUME_USEC) * 100 / PART;

	p->resume = sd_event_source_disable_unref(p->resume);
	if (sd_event_add_time_relative(p->m->event, &p->resume, CLOCK_MONOTONIC, wait, 1, on_resume, p) < 0)
		return;
	p->shut = true;
	for (struct line *l = p->lines; l; l = l->next)
		set_line(l, false);
}

static void spend(struct peer *p, uint64_t usec)
{
	if (!p->uid)
		return;
	refill(p);
	p->left -= (int64_t)usec;
	take_turn(p);
	if (p->left <= 0 && !p->shut)
		shut_out(p);
}

/* What it owes is remembered until it is paid, or hanging up would pay it. */
static void leave(struct peer *p)
{
	uint64_t wait;

	if (p->lines || p->busy || (p->shut && p->resume))
		return;
	refill(p);
	p->shut = false;
	p->resume = sd_event_source_disable_unref(p->resume);
	wait = (uint64_t)((int64_t)BURST_USEC - p->left) * 100 / PART;
	if (p->uid && wait) {
		if (sd_event_add_time_relative(p->m->event, &p->resume, CLOCK_MONOTONIC, wait, 1, on_resume, p) >= 0)
			return;
	}
	free_peer(p);
}

static int on_prepare(sd_event_source *source, void *userdata);

/*
 * What the library waits for on this connection.  While it owes a reply, which may come from anywhere, it is asked before
 * each wait of ours; not for those that only listen, of which there may be a thousand, nor for those that do not.
 */
static int set_events(struct line *l)
{
	int events = sd_varlink_get_events(l->link), r = 0;
	bool owes = events < 0 || !(events & (EPOLLIN | EPOLLOUT));

	if (owes != l->owes)
		r = sd_event_source_set_prepare(l->io, owes ? on_prepare : NULL);
	l->owes = owes;
	return r < 0 ? r : sd_event_source_set_io_events(l->io, events < 0 ? 0 : (uint32_t)events);
}

static int on_prepare(sd_event_source *source, void *userdata)
{
	return set_events(userdata);
}

static void serve(struct line *l)
{
	_cleanup_(sd_varlink_unrefp) sd_varlink *link = sd_varlink_ref(l->link);
	uint64_t before = now_usec(CLOCK_THREAD_CPUTIME_ID);
	struct peer *p = l->peer;
	bool gone = false;
	int r = 1;

	p->busy++;
	l->gone = &gone;
	l->pending = false;
	for (int i = 0; i < (p->late ? 1 : STEPS) && r > 0; i++)
		r = sd_varlink_process(link);
	if (!gone) {
		l->gone = NULL;
		set_events(l);
		l->pending = r > 0;
		if (l->pending)
			sd_event_source_set_enabled(l->more, SD_EVENT_ONESHOT);
	}
	spend(p, now_usec(CLOCK_THREAD_CPUTIME_ID) - before);
	p->busy--;
	leave(p);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct line *l = userdata;

	/* Only so it learns that the other side has hung up. */
	if (revents & (EPOLLHUP | EPOLLERR))
		sd_varlink_wait(l->link, 0);
	serve(l);
	return 0;
}

static int on_more(sd_event_source *source, void *userdata)
{
	serve(userdata);
	return 0;
}

static struct peer *find_peer(struct manager *m, uid_t uid)
{
	struct peer *p = m->peers;

	while (p && p->uid != uid)
		p = p->next;
	return p;
}

static struct peer *get_peer(struct manager *m, uid_t uid)
{
	struct peer *p = find_peer(m, uid);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	*p = (struct peer){
		.next = m->peers, .m = m, .uid = uid, .left = (int64_t)BURST_USEC,
		.since = now_usec(CLOCK_MONOTONIC),
	};
	m->peers = p;
	return p;
}

static struct line *free_line(struct line *l)
{
	if (l->gone)
		*l->gone = true;
	sd_event_source_disable_unref(l->io);
	sd_event_source_disable_unref(l->more);
	free(l);
	return NULL;
}

static int open_line(struct manager *m, struct line *l)
{
	int r = sd_event_add_io(m->event, &l->io, sd_varlink_get_fd(l->link), 0, on_io, l);

	if (r >= 0)
		r = set_events(l);
	if (r >= 0)
		r = sd_event_add_defer(m->event, &l->more, on_more, l);
	if (r >= 0)
		r = sd_event_source_set_enabled(l->more, SD_EVENT_OFF);
	return r;
}

int agentcg_peer_connect(struct manager *m, sd_varlink *link)
{
	struct line *l = NULL;
	struct peer *p;
	uid_t uid;
	int r = sd_varlink_get_peer_uid(link, &uid);

	if (r < 0)
		return r;
	p = get_peer(m, uid);
	if (p)
		l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->peer = p;
	l->link = link;
	sd_varlink_detach_event(link);
	r = open_line(m, l);
	if (r >= 0)
		r = set_turn(l, p->late);
	if (r >= 0 && p->shut)
		r = set_line(l, false);
	if (r < 0) {
		free_line(l);
		leave(p);
		sd_varlink_attach_event(link, m->event, SD_EVENT_PRIORITY_NORMAL);
		return r;
	}
	if (!p->shut)
		p->resume = sd_event_source_disable_unref(p->resume);
	l->next = p->lines;
	p->lines = l;
	return 0;
}

bool agentcg_peer_may_enter(struct manager *m, uid_t uid)
{
	struct peer *p = uid ? find_peer(m, uid) : NULL;

	if (!p)
		return true;
	refill(p);
	if (!p->shut && p->left <= 0)
		shut_out(p);
	return !p->shut;
}

void agentcg_peer_spend(struct manager *m, uid_t uid, uint64_t usec)
{
	struct peer *p = find_peer(m, uid);

	if (p)
		spend(p, usec);
}

void agentcg_peer_disconnect(struct manager *m, sd_varlink *link)
{
	for (struct peer *p = m->peers; p; p = p->next)
		for (struct line **at = &p->lines; *at; at = &(*at)->next) {
			struct line *l = *at;

			if (l->link != link)
				continue;
			*at = l->next;
			free_line(l);
			leave(p);
			return;
		}
}

void agentcg_peer_free_all(struct manager *m)
{
	while (m->peers) {
		struct peer *p = m->peers;

		while (p->lines) {
			struct line *l = p->lines;

			p->lines = l->next;
			free_line(l);
		}
		free_peer(p);
	}
}
