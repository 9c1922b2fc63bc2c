// SPDX-License-Identifier: GPL-2.0-only
#include "watch.h"

#include <limits.h>
#include <stdarg.h>

#include "alert.h"
#include "call.h"
#include "cgroup.h"
#include "decide.h"
#include "log.h"
#include "session.h"
#include "watcher.h"

int agentcg_watch_add(struct manager *m, sd_varlink *link, uid_t uid)
{
	int r = agentcg_watcher_add(&m->watchers, link, uid, UINT_MAX);

	if (!r)
		agentcg_alert_start(m);
	return r;
}

void agentcg_watch_remove(struct manager *m, sd_varlink *link)
{
	agentcg_watcher_remove(&m->watchers, link);
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
	agentcg_watcher_sent(w);
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
		if ((w->uid == 0 || w->uid == uid) && agentcg_watcher_reads(w))
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
		if ((w->uid == 0 || agentcg_session_count(m, w->uid)) && agentcg_watcher_reads(w))
			send(m, w, &news);
}
