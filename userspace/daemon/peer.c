// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library would serve every connection alike, one message of each in turn: a
 * user with a thousand connections would have a thousand times as much of the
 * daemon as one with a single one.  So the connections of a user are in an epoll
 * of the user's, which is all that the event loop sees of them: it has as much to look at for
 * a user with one as for one with a thousand that want something.  We take one
 * after the other there, let the library process it, and write down what CPU time that
 * took: parsing counts, too, whatever the message was.
 *
 * The account is a bucket of time.  It fills while time passes, PART of it, and
 * holds BURST; while it is empty none of its user's connections is looked at, and
 * none is let in (door.c); below half of it those of others come first.  Root has
 * no account.
 *
 * Who does not read answers is not read from, so that they wait with the user
 * and not here.
 */
#include "peer.h"

#include <sys/epoll.h>

#include "door.h"

/* Percent of the daemon's time: a thousand calls a second, and hardly noticed by others. */
#define PART		15
/* What somebody may use at once who was quiet before: what starting a hundred agents takes. */
#define BURST_USEC	(500 * USEC_PER_MSEC)
/* It goes on with so much: not message by message. */
#define RESUME_USEC	(5 * USEC_PER_MSEC)
/* Steps of the library at once, a message is some three: then others have their turn, which costs about as much as a step. */
#define STEPS		3
/* Messages that are still read of who has hung up: nobody hears the answers, and there may be thousands. */
#define LAST_WORDS	16
/* Who has used up more than half of the burst comes after who has not, until a quarter is missing. */
#define LATE_USEC	(BURST_USEC / 2)
#define TIMELY_USEC	(BURST_USEC / 4 * 3)

struct line {
	struct line *next, *next_pending;
	struct peer *peer;
	sd_varlink *link;		/* not a reference */
	int fd;				/* its */
	uint32_t events;		/* that are waited for */
	bool pending;			/* there is something to do without one */
	bool *gone;			/* to be told that it was freed */
	bool owes;			/* a reply, so it is asked what it waits for */
	bool hung_up;
	unsigned int since;		/* then, how often it was served */
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
	int epoll;			/* its lines */
	sd_event_source *io;		/* that */
	sd_event_source *more;		/* of the first that is pending */
	struct line *lines, *first, *last;	/* all; the pending ones */
	unsigned int owing;		/* lines */
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
	sd_event_source_disable_unref(p->io);
	sd_event_source_disable_unref(p->more);
	agentcg_closep(&p->epoll);
	free(p);
	return NULL;
}

static void leave(struct peer *p);

/* Its lines are heard, or not. */
static void set_heard(struct peer *p, bool on)
{
	sd_event_source_set_enabled(p->io, on ? SD_EVENT_ON : SD_EVENT_OFF);
	sd_event_source_set_enabled(p->more, on && p->first ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void refill(struct peer *p)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);

	p->left += (int64_t)min_u64((now - p->since) * PART / 100, 2 * BURST_USEC);
	p->since = now;
	if (p->left > (int64_t)BURST_USEC)
		p->left = (int64_t)BURST_USEC;
}

/* Whether others come before it now. */
static void take_turn(struct peer *p)
{
	bool late = p->uid && p->left < (int64_t)(p->late ? TIMELY_USEC : LATE_USEC);
	int64_t turn = late ? AGENTCG_PRIORITY_LATE : SD_EVENT_PRIORITY_NORMAL;

	if (late == p->late)
		return;
	p->late = late;
	sd_event_source_set_priority(p->io, turn);
	sd_event_source_set_priority(p->more, turn);
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct peer *p = userdata;
	struct manager *m = p->m;

	refill(p);
	p->resume = sd_event_source_disable_unref(p->resume);
	p->shut = false;
	take_turn(p);
	set_heard(p, true);
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
	set_heard(p, false);
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

static void set_owes(struct line *l, bool owes)
{
	struct peer *p = l->peer;

	if (owes == l->owes)
		return;
	l->owes = owes;
	p->owing += owes ? 1 : -1;
	if (p->owing == (owes ? 1 : 0))
		sd_event_source_set_prepare(p->io, owes ? on_prepare : NULL);
}

static bool wants_to_write(const struct line *l)
{
	int events = sd_varlink_get_events(l->link);

	return events >= 0 && events & EPOLLOUT;
}

/*
 * What the library waits for on this connection.  While it owes a reply, which may come from anywhere, it is asked before
 * each wait of ours; not for those that only listen, of which there may be a thousand, nor for those that do not.
 */
static int set_events(struct line *l)
{
	int now = sd_varlink_get_events(l->link);
	struct epoll_event event = { .data.ptr = l };

	set_owes(l, now < 0 || !(now & (EPOLLIN | EPOLLOUT)));
	event.events = now < 0 ? 0 : now & EPOLLOUT ? EPOLLOUT : (uint32_t)now;
	if (event.events == l->events)
		return 0;
	if (epoll_ctl(l->peer->epoll, EPOLL_CTL_MOD, l->fd, &event) < 0)
		return -errno;
	l->events = event.events;
	return 0;
}

static int on_prepare(sd_event_source *source, void *userdata)
{
	struct peer *p = userdata;

	for (struct line *l = p->lines; l; l = l->next)
		if (l->owes)
			set_events(l);
	return 0;
}

static void set_pending(struct line *l)
{
	struct peer *p = l->peer;

	if (l->pending)
		return;
	l->pending = true;
	l->next_pending = NULL;
	*(p->first ? &p->last->next_pending : &p->first) = l;
	p->last = l;
	sd_event_source_set_enabled(p->more, SD_EVENT_ONESHOT);
}

static void clear_pending(struct line *l)
{
	struct peer *p = l->peer;
	struct line *before = NULL;

	if (!l->pending)
		return;
	for (struct line *at = p->first; at != l; at = at->next_pending)
		before = at;
	*(before ? &before->next_pending : &p->first) = l->next_pending;
	if (p->last == l)
		p->last = before;
	l->pending = false;
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
	clear_pending(l);
	for (int i = 0; i < STEPS && r > 0 && !gone; i++) {
		bool full = wants_to_write(l);

		r = sd_varlink_process(link);
		/* It does not read: what it wants is not for now. */
		if (!gone && full && wants_to_write(l))
			r = 0;
	}
	if (!gone && l->hung_up && l->since++ == LAST_WORDS)
		sd_varlink_close(link);
	if (!gone) {
		l->gone = NULL;
		set_events(l);
		if (r > 0)
			set_pending(l);
	}
	spend(p, now_usec(CLOCK_THREAD_CPUTIME_ID) - before);
	p->busy--;
	leave(p);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct epoll_event event;
	struct line *l;

	/* The kernel gives each that is ready its turn. */
	if (epoll_wait(fd, &event, 1, 0) != 1)
		return 0;
	l = event.data.ptr;
	if (event.events & (EPOLLHUP | EPOLLERR)) {
		l->hung_up = true;
		sd_varlink_wait(l->link, 0);	/* only so the library learns it */
	}
	serve(l);
	return 0;
}

static int on_more(sd_event_source *source, void *userdata)
{
	struct peer *p = userdata;
	struct line *l = p->first;

	if (!l)
		return 0;
	clear_pending(l);
	if (p->first)
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	serve(l);
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
		.since = now_usec(CLOCK_MONOTONIC), .epoll = epoll_create1(EPOLL_CLOEXEC),
	};
	m->peers = p;
	if (p->epoll < 0 || sd_event_add_io(m->event, &p->io, p->epoll, EPOLLIN, on_io, p) < 0 ||
	    sd_event_add_defer(m->event, &p->more, on_more, p) < 0 ||
	    sd_event_source_set_enabled(p->more, SD_EVENT_OFF) < 0)
		return free_peer(p);
	return p;
}

static struct line *free_line(struct line *l)
{
	if (l->gone)
		*l->gone = true;
	set_owes(l, false);
	clear_pending(l);
	epoll_ctl(l->peer->epoll, EPOLL_CTL_DEL, l->fd, NULL);
	free(l);
	return NULL;
}

static int open_line(struct line *l)
{
	struct epoll_event event = { .data.ptr = l };

	if (epoll_ctl(l->peer->epoll, EPOLL_CTL_ADD, l->fd, &event) < 0)
		return -errno;
	return set_events(l);
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
	l->fd = sd_varlink_get_fd(link);
	sd_varlink_detach_event(link);
	r = open_line(l);
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
