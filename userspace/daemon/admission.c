// SPDX-License-Identifier: GPL-2.0-only
#include "admission.h"

#include "cgroup.h"
#include "decide.h"
#include "lack.h"
#include "session.h"
#include "size.h"
#include "varlink.h"
#include "watch.h"

/* All that may wait, and those of one user. */
#define WAITERS_MAX		1024
#define WAITERS_PER_UID		256

/*
 * A look costs up to a read for each session and call, so not more often than
 * this; and as memory comes back without a word, so often in any case.
 */
#define LOOK_MIN_USEC		(20 * USEC_PER_MSEC)
#define LOOK_MAX_USEC		(250 * USEC_PER_MSEC)

/* So many begin in one look; the others are looked at again, after whoever came meanwhile. */
#define BEGIN_MAX		32

struct waiter {
	struct queue_entry e;		/* first: the queue knows nothing else */
	struct begin begin;
	struct shortage first;		/* what it had to wait for */
	uint64_t asked_usec;		/* CLOCK_MONOTONIC */
	uint64_t seen;			/* session->gone when it was looked at */
	bool told;
	sd_varlink *link;
};

struct admission {
	struct manager *m;
	struct queue_entry **list;	/* in order */
	size_t nr;
	uint64_t arrivals;
	uint64_t looked_usec;
	sd_event_source *timer;
	struct usage usage;
};

static struct waiter *waiter_of(struct queue_entry *e)
{
	return (struct waiter *)e;
}

static void free_waiter(struct waiter *w)
{
	sd_varlink_unref(w->link);
	sd_json_variant_unref(w->begin.command);
	free(w);
}

/* Takes it out; its session may go now. */
static struct waiter *take(struct admission *a, size_t i)
{
	struct waiter *w = waiter_of(a->list[i]);

	memmove(&a->list[i], &a->list[i + 1], (--a->nr - i) * sizeof(*a->list));
	w->begin.session->nr_waiting--;
	w->begin.session->gone++;
	return w;
}

static void drop(struct waiter *w)
{
	struct session *s = w->begin.session;

	free_waiter(w);
	agentcg_session_gc(s);
}

/* ---- looking ------------------------------------------------------------ */

static enum agentcg_lack look_at(const struct queue_entry *e, void *userdata)
{
	struct waiter *w = (struct waiter *)e;
	struct admission *a = userdata;
	struct shortage now;

	/* Nothing has ended that it could have come after. */
	if (e->lack == AGENTCG_LACKS_AFTER && w->seen == w->begin.session->gone)
		return AGENTCG_LACKS_AFTER;
	w->seen = w->begin.session->gone;
	agentcg_lack_look(&w->begin, &a->usage, &now);
	return now.lack;
}

static void note_waited(const struct waiter *w, enum queue_verdict verdict, uint64_t waited, struct notes *notes)
{
	const struct shortage *f = &w->first;
	char t[AGENTCG_TEXT_MAX], b[AGENTCG_TEXT_MAX];

	/* To tenths: more is noise here. */
	if (waited >= USEC_PER_SEC)
		waited -= waited % (USEC_PER_SEC / 10);
	agentcg_format_time(t, waited - waited % USEC_PER_MSEC);
	if (verdict == AGENTCG_QUEUE_BEGIN_ANYWAY)
		agentcg_note(notes, "waited %s for memory and begins without: it may be held; run less at once, or request less", t);
	else if (f->lack == AGENTCG_LACKS_AFTER)
		agentcg_note(notes, "waited %s for others to end", t);
	else if (f->what)
		agentcg_note(notes, "waited %s: %s are limited to %llu", t, f->what, (unsigned long long)f->limit);
	else if (f->before)
		agentcg_note(notes, "waited %s for memory: %u call%s with %s %s before it", t, f->before,
			     f->before == 1 ? "" : "s", agentcg_format_bytes(b, f->before_bytes),
			     f->before == 1 ? "was" : "were");
	else
		agentcg_note(notes, "waited %s behind others", t);
}

static void begin(struct waiter *w, enum queue_verdict verdict, uint64_t now)
{
	uint64_t waited = now - w->asked_usec;
	struct notes notes = {};
	int r;

	note_waited(w, verdict, waited, &notes);
	agentcg_after_tell(w->begin.session, &w->begin.after, &notes);
	agentcg_begin_decide(&w->begin, waited, &notes);
	r = agentcg_begin_start(w->link, &w->begin, waited, &notes);
	if (r < 0)
		sd_varlink_error_errno(w->link, r);
}

static void refuse(struct admission *a, struct waiter *w)
{
	struct shortage now;

	agentcg_lack_look(&w->begin, &a->usage, &now);
	if (now.what)
		agentcg_reply_limit(w->link, now.what, now.limit);
	else
		agentcg_reply_limit(w->link, "calls", AGENTCG_MAX_CALLS);
}

static void tell_queued(struct admission *a)
{
	for (size_t i = 0; i < a->nr; i++) {
		struct waiter *w = waiter_of(a->list[i]);

		if (!w->told)
			agentcg_watch_tell_session(w->begin.session, "queued", "waits for %s, as number %zu",
						   agentcg_lack_name(w->e.lack), i + 1);
		w->told = true;
	}
}

static void arm(struct admission *a, uint64_t due)
{
	if (!a->nr)
		return;
	sd_event_source_set_time(a->timer, max_u64(due, a->looked_usec + LOOK_MIN_USEC));
	sd_event_source_set_enabled(a->timer, SD_EVENT_ONESHOT);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct admission *a = userdata;
	const struct queue_rules rules = {
		.timeout_usec = a->m->policy.queue_timeout_usec,
		.pass_usec = AGENTCG_QUEUE_PASS_USEC, .depth = AGENTCG_QUEUE_DEPTH,
	};
	uint64_t now = now_usec(CLOCK_MONOTONIC), next = now;
	enum queue_verdict verdict;
	size_t i;

	a->looked_usec = now;
	agentcg_usage_forget(&a->usage);
	for (unsigned int n = 0; n < BEGIN_MAX; n++) {
		struct waiter *w;

		i = agentcg_queue_next(a->list, a->nr, &rules, now, look_at, a, &verdict);
		if (i == a->nr) {
			next = min_u64(agentcg_queue_due(a->list, a->nr, &rules), now + LOOK_MAX_USEC);
			break;
		}
		w = take(a, i);
		if (verdict == AGENTCG_QUEUE_REFUSE)
			refuse(a, w);
		else
			begin(w, verdict, now);
		drop(w);
	}
	tell_queued(a);
	arm(a, next);
	return 0;
}

/* ---- coming and going --------------------------------------------------- */

static size_t count_waiters(const struct admission *a, uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < a->nr; i++)
		n += a->list[i]->uid == uid;
	return n;
}

/* When it has to begin to be done by its deadline. */
static uint64_t begin_by(const struct begin *b, uint64_t now)
{
	const struct agentcg_intent *i = &b->wish.intent;
	uint64_t duration = i->duration_usec;

	if (i->deadline_usec == AGENTCG_UNSET)
		return AGENTCG_QUEUE_NEVER;
	if (b->learned.duration_usec != AGENTCG_NONE)
		duration = b->learned.duration_usec;
	else if (duration == AGENTCG_UNSET)
		duration = 0;
	return agentcg_sub(now + i->deadline_usec, duration);
}

/* Where it stands: it is put there, behind its equals. */
static int insert(struct admission *a, struct waiter *w)
{
	struct queue_entry **list = reallocarray(a->list, a->nr + 1, sizeof(*list));
	size_t i;

	if (!list)
		return -ENOMEM;
	a->list = list;
	for (i = a->nr; i && agentcg_queue_compare(&w->e, list[i - 1]) < 0; i--)
		list[i] = list[i - 1];
	list[i] = &w->e;
	a->nr++;
	w->begin.session->nr_waiting++;
	return 0;
}

static void rank(struct waiter *w)
{
	w->e.session_priority = w->begin.session->grant.priority;
	w->e.priority = w->begin.granted.priority;
	w->e.begin_by_usec = begin_by(&w->begin, w->asked_usec);
}

static int enqueue(struct admission *a, sd_varlink *link, const struct begin *b, const struct shortage *lack)
{
	enum agentcg_lack known = lack->lack == AGENTCG_LACKS_NOTHING ? AGENTCG_LACKS_POOL : lack->lack;
	struct waiter *w = calloc(1, sizeof(*w));
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	int r;

	if (!w)
		return -ENOMEM;
	*w = (struct waiter){
		.e = {
			.arrival = b->arrival, .session = b->session->slot, .uid = b->session->uid,
			.since_usec = now, .lack = known,
		},
		.begin = *b, .first = *lack, .asked_usec = now, .link = sd_varlink_ref(link),
	};
	sd_json_variant_ref(w->begin.command);
	w->begin.sent = NULL;
	rank(w);
	r = insert(a, w);
	if (r < 0) {
		free_waiter(w);
		return r;
	}
	arm(a, now);
	return 0;
}

/* Whether one waits that others are not to pass unseen. */
static bool others_wait(const struct admission *a)
{
	for (size_t i = 0; i < a->nr; i++)
		if (a->list[i]->lack != AGENTCG_LACKS_AFTER)
			return true;
	return false;
}

/* Whether it is to wait rather than to be refused or to begin at once. */
static bool is_to_wait(const struct admission *a, const struct begin *b, const struct shortage *lack)
{
	if (lack->lack == AGENTCG_LACKS_AFTER)
		return true;
	if (!b->wait || b->wish.agent || a->m->policy.admission == AGENTCG_ADMISSION_NONE)
		return false;
	return lack->lack != AGENTCG_LACKS_NOTHING || others_wait(a);
}

bool agentcg_admission_waits(const struct session *s, const char *group, uint64_t arrival)
{
	const struct admission *a = s->m->admission;

	for (size_t i = 0; s->nr_waiting && i < a->nr; i++) {
		const struct waiter *w = waiter_of(a->list[i]);

		if (w->begin.session == s && w->begin.arrival < arrival && streq(w->begin.group, group))
			return true;
	}
	return false;
}

int agentcg_admission_ask(sd_varlink *link, struct begin *b, int *ret)
{
	struct admission *a = b->session->m->admission;
	struct shortage lack;
	int r;

	*ret = 0;
	b->arrival = ++a->arrivals;
	agentcg_usage_forget(&a->usage);
	agentcg_lack_look(b, &a->usage, &lack);
	if (!is_to_wait(a, b, &lack)) {
		if (!lack.what)
			return 0;
		*ret = agentcg_reply_limit(link, lack.what, lack.limit);
		return 2;
	}
	if (b->uid != 0 && count_waiters(a, b->session->uid) >= WAITERS_PER_UID) {
		*ret = agentcg_reply_limit(link, "calls of one user that wait", WAITERS_PER_UID);
		return 2;
	}
	if (a->nr >= WAITERS_MAX) {
		*ret = agentcg_reply_limit(link, "calls that wait", WAITERS_MAX);
		return 2;
	}
	r = enqueue(a, link, b, &lack);
	return r < 0 ? r : 1;
}

void agentcg_admission_kick(struct manager *m)
{
	if (m->admission && !m->stopping)
		arm(m->admission, 0);
}

static int compare_entries(const void *x, const void *y)
{
	return agentcg_queue_compare(*(struct queue_entry *const *)x, *(struct queue_entry *const *)y);
}

void agentcg_admission_reload(struct manager *m)
{
	struct admission *a = m->admission;

	/* What they are granted is decided when they begin. */
	for (size_t i = 0; a && i < a->nr; i++)
		rank(waiter_of(a->list[i]));
	if (a && a->nr)
		qsort(a->list, a->nr, sizeof(*a->list), compare_entries);
	agentcg_admission_kick(m);
}

void agentcg_admission_forget(struct manager *m, sd_varlink *link)
{
	struct admission *a = m->admission;

	/* One request at a time: a connection has one waiter at most. */
	for (size_t i = 0; a && i < a->nr; i++)
		if (waiter_of(a->list[i])->link == link) {
			drop(take(a, i));
			break;
		}
	agentcg_admission_kick(m);
}

void agentcg_admission_close(struct session *s)
{
	struct admission *a = s->m->admission;

	for (size_t i = 0; a && i < a->nr;) {
		struct waiter *w = waiter_of(a->list[i]);

		if (w->begin.session != s) {
			i++;
			continue;
		}
		take(a, i);
		agentcg_reply_no_session(w->link, s->name);
		free_waiter(w);
	}
	agentcg_admission_kick(s->m);
}

uint32_t agentcg_admission_cancel(struct session *s, const char *group)
{
	struct admission *a = s->m->admission;
	uint32_t n = 0;

	for (size_t i = 0; i < a->nr;) {
		struct waiter *w = waiter_of(a->list[i]);

		if (w->begin.session != s || !streq(w->begin.group, group)) {
			i++;
			continue;
		}
		take(a, i);
		agentcg_reply_no_call(w->link, group);
		free_waiter(w);
		n++;
	}
	agentcg_admission_kick(s->m);
	return n;
}

int agentcg_admission_new(struct manager *m, struct admission **ret)
{
	struct admission *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->m = m;
	r = sd_event_add_time(m->event, &a->timer, CLOCK_MONOTONIC, UINT64_MAX, USEC_PER_MSEC, on_look, a);
	if (r >= 0)
		r = sd_event_source_set_enabled(a->timer, SD_EVENT_OFF);
	if (r < 0) {
		agentcg_admission_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

struct admission *agentcg_admission_free(struct admission *a)
{
	if (!a)
		return NULL;
	while (a->nr)
		free_waiter(take(a, a->nr - 1));
	sd_event_source_disable_unref(a->timer);
	free(a->list);
	free(a);
	return NULL;
}

/* ---- for GetStatus ------------------------------------------------------ */

static int build_waiter(const struct waiter *w, size_t position, sd_json_variant **ret)
{
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("session", w->begin.session->name),
		SD_JSON_BUILD_PAIR_VARIANT("command", w->begin.command),
		SD_JSON_BUILD_PAIR_UNSIGNED("position", position),
		SD_JSON_BUILD_PAIR_UNSIGNED("priority", w->begin.granted.priority),
		SD_JSON_BUILD_PAIR_UNSIGNED("request", w->begin.granted.memory),
		SD_JSON_BUILD_PAIR_CONDITION(*w->begin.group != 0, "group", SD_JSON_BUILD_STRING(w->begin.group)),
		SD_JSON_BUILD_PAIR_STRING("lacks", agentcg_lack_id(w->e.lack)),
		SD_JSON_BUILD_PAIR_UNSIGNED("waitingUSec", agentcg_sub(now_usec(CLOCK_MONOTONIC), w->asked_usec)));
}

int agentcg_admission_build(struct manager *m, uid_t uid, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	const struct admission *a = m->admission;
	int r = sd_json_variant_new_array(&list, NULL, 0);

	for (size_t i = 0; r >= 0 && i < a->nr; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;

		if (uid != 0 && a->list[i]->uid != uid)
			continue;
		r = build_waiter(waiter_of(a->list[i]), i + 1, &v);
		if (r >= 0)
			r = sd_json_variant_append_array(&list, v);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(list);
	return 0;
}
