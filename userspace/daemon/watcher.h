/* SPDX-License-Identifier: GPL-2.0-only */
/* Connections that are told what happens, as it does: those of Watch (watch.h) and of WatchWorkers (gpu/news.h). */
#ifndef _AGENTCG_WATCHER_H
#define _AGENTCG_WATCHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-varlink.h>

struct watcher {
	struct watcher *next;
	sd_varlink *link;
	uid_t uid;
	uint32_t queued;
	uint64_t lost;		/* to be told with the next event */
};

/* -ENOSPC: there are @max already. */
int agentcg_watcher_add(struct watcher **list, sd_varlink *link, uid_t uid, unsigned int max);
/* Before the link is freed; NULL: all. */
void agentcg_watcher_remove(struct watcher **list, sd_varlink *link);
/* Whether there is room in the connection for one more event; if not, it is lost. */
bool agentcg_watcher_reads(struct watcher *w);
/* It got one. */
void agentcg_watcher_sent(struct watcher *w);

#endif
