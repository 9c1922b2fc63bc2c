// SPDX-License-Identifier: GPL-2.0-only
#include "watcher.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

/* A watcher that has not read so many events misses those that follow. */
#define QUEUE_MAX	64

int agentcg_watcher_add(struct watcher **list, sd_varlink *link, uid_t uid, unsigned int max)
{
	struct watcher *w;
	unsigned int n = 0;

	for (w = *list; w; w = w->next)
		n++;
	if (n >= max)
		return -ENOSPC;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct watcher){ .next = *list, .link = sd_varlink_ref(link), .uid = uid };
	*list = w;
	return 0;
}

void agentcg_watcher_remove(struct watcher **list, sd_varlink *link)
{
	while (*list) {
		struct watcher *w = *list;

		if (link && w->link != link) {
			list = &w->next;
			continue;
		}
		*list = w->next;
		sd_varlink_unref(w->link);
		free(w);
	}
}

bool agentcg_watcher_reads(struct watcher *w)
{
	int events = sd_varlink_get_events(w->link);

	if (events >= 0 && !(events & EPOLLOUT))
		w->queued = 0;
	if (w->queued < QUEUE_MAX)
		return true;
	w->lost++;
	return false;
}

void agentcg_watcher_sent(struct watcher *w)
{
	w->queued++;
	w->lost = 0;
}
