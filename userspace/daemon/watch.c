// SPDX-License-Identifier: GPL-2.0-only
#include "watch.h"

#include <stdarg.h>
#include <sys/epoll.h>

#include "alert.h"
#include "call.h"
#include "cgroup.h"
#include "decide.h"
#include "log.h"
#include "session.h"

/* A watcher that has not read so many events misses those that follow. */
#define WATCH_QUEUE_MAX		64

struct watcher {
	struct watcher *next;
	sd_varlink *link;
	uid_t uid;
	uint32_t queued;
	uint64_t lost;
};

int agentcg_watch_add(struct manager *m, sd_varlink *link, uid_t uid)
{
	struct watcher *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	*w = (struct watcher){ .next = m->watchers, .link = sd_varlink_ref(link), .uid = uid };
	m->watchers = w;
	agentcg_alert_start(m);
	return 0;
}

void agentcg_watch_remove(struct manager *m, sd_varlink *link)
{
	for (struct watcher **p = &m->watchers; *p;) {
		struct watcher *w = *p;

		if (link && w->link != link) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		sd_varlink_unref(w->link);
		free(w);
	}
}

/* Whether there is room in the connection for one more event. */
static bool reads(struct watcher *w)
{
	int events = sd_varlink_get_events(w->link);

	if (events >= 0 && !(events & EPOLLOUT))
		w->queued = 0;
	if (w->queued < WATCH_QUEUE_MAX)
		return true;
	w->lost++;
	return false;
}

/* What an administrator looks for afterwards. */
static bool is_kill(const char *event)
{
	return streq(event, "killed") || streq(event, "oom") || streq(event, "timeout");
}

/* What is told. */
struct news {
	const char *event;
	const char *call;	/* SESSION/tool-N, SESSION, or "" for the pool */
	const char *text;
	uint64_t usage;
};

static void send(struct manager *m, struct watcher *w, const struct news *news)
{
	sd_varlink_notifybo(w->link,
		SD_JSON_BUILD_PAIR_STRING("event", news->event),
		SD_JSON_BUILD_PAIR_STRING("call", news->call),
		SD_JSON_BUILD_PAIR_STRING("text", news->text),
		SD_JSON_BUILD_PAIR_UNSIGNED("memoryCurrent", news->usage),
		SD_JSON_BUILD_PAIR_UNSIGNED("headroom", agentcg_sub(m->pool_max, agentcg_manager_usage(m))),
		SD_JSON_BUILD_PAIR_UNSIGNED("timeUSec", now_usec(CLOCK_REALTIME)),
		SD_JSON_BUILD_PAIR_CONDITION(w->lost > 0, "lost", SD_JSON_BUILD_UNSIGNED(w->lost)));
	w->queued++;
	w->lost = 0;
}

bool agentcg_watch_wanted(const struct manager *m, uid_t uid)
{
	for (const struct watcher *w = m->watchers; w; w = w->next)
		if (w->uid == 0 || w->uid == uid)
			return true;
	return false;
}

static void tell_owner(struct manager *m, uid_t uid, const struct news *news)
{
	for (struct watcher *w = m->watchers; w; w = w->next)
		if ((w->uid == 0 || w->uid == uid) && reads(w))
			send(m, w, news);
}

void agentcg_watch_tell(struct call *c, const char *event, const char *format, ...)
{
	char name[AGENTCG_CALL_NAME_MAX], text[300];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	agentcg_call_name(c, name);
	agentcg_log(is_kill(event) ? LOG_NOTICE : LOG_DEBUG, "%s: %s: %s", name, event, text);
	if (c->m->watchers)
		tell_owner(c->m, c->session->uid, &(struct news){ event, name, text, agentcg_call_usage(c) });
}

void agentcg_watch_tell_session(struct session *s, const char *event, const char *format, ...)
{
	uint64_t usage = 0;
	char text[300];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	agentcg_log(LOG_DEBUG, "%s: %s: %s", s->name, event, text);
	agentcg_cgroup_read_u64(s->fd, "memory.current", &usage);
	tell_owner(s->m, s->uid, &(struct news){ event, s->name, text, usage });
}

void agentcg_watch_tell_user(struct manager *m, uid_t uid, uint64_t usage, const char *event, const char *format, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	agentcg_log(LOG_DEBUG, "user %u: %s: %s", uid, event, text);
	tell_owner(m, uid, &(struct news){ event, "", text, usage });
}

void agentcg_watch_tell_pool(struct manager *m, const char *event, const char *format, ...)
{
	struct news news = { event, "", NULL, agentcg_manager_usage(m) };
	char text[300];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	agentcg_log(LOG_DEBUG, "%s: %s", event, text);
	news.text = text;
	for (struct watcher *w = m->watchers; w; w = w->next)
		if ((w->uid == 0 || agentcg_session_count(m, w->uid)) && reads(w))
			send(m, w, &news);
}
