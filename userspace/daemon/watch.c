// SPDX-License-Identifier: GPL-2.0-only
#include "watch.h"

#include <stdarg.h>
#include <sys/epoll.h>

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

/* @fd: of the group whose usage is told. */
_printf_(5, 0)
static void tell(struct session *s, const char *name, int fd, const char *event, const char *format, va_list ap)
{
	struct manager *m = s->m;
	uint64_t usage, headroom;
	char text[300];

	vsnprintf(text, sizeof(text), format, ap);
	agentcg_log(is_kill(event) ? LOG_NOTICE : LOG_DEBUG, "%s: %s: %s", name, event, text);
	if (!m->watchers)
		return;

	if (agentcg_cgroup_read_u64(fd, "memory.current", &usage) < 0)
		usage = 0;
	headroom = agentcg_sub(m->pool_max, agentcg_manager_usage(m));
	for (struct watcher *w = m->watchers; w; w = w->next) {
		if ((w->uid != 0 && w->uid != s->uid) || !reads(w))
			continue;
		sd_varlink_notifybo(w->link,
			SD_JSON_BUILD_PAIR_STRING("event", event),
			SD_JSON_BUILD_PAIR_STRING("call", name),
			SD_JSON_BUILD_PAIR_STRING("text", text),
			SD_JSON_BUILD_PAIR_UNSIGNED("memoryCurrent", usage),
			SD_JSON_BUILD_PAIR_UNSIGNED("headroom", headroom),
			SD_JSON_BUILD_PAIR_UNSIGNED("timeUSec", now_usec(CLOCK_REALTIME)),
			SD_JSON_BUILD_PAIR_CONDITION(w->lost > 0, "lost", SD_JSON_BUILD_UNSIGNED(w->lost)));
		w->queued++;
		w->lost = 0;
	}
}

void agentcg_watch_tell(struct call *c, const char *event, const char *format, ...)
{
	char name[AGENTCG_CALL_NAME_MAX];
	va_list ap;

	va_start(ap, format);
	tell(c->session, agentcg_call_name(c, name), c->fd, event, format, ap);
	va_end(ap);
}

void agentcg_watch_tell_session(struct session *s, const char *event, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	tell(s, s->name, s->fd, event, format, ap);
	va_end(ap);
}
