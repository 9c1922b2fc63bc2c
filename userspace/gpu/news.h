/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens to workers and to the caches of sessions, told to those who called
 * WatchWorkers, and by POST to the policy's Webhook=.  Nobody who does not listen
 * holds anything up: watchers that do not read miss events, and so does a webhook that does not answer.
 */
#ifndef _AGENTCG_NEWS_H
#define _AGENTCG_NEWS_H

#include <systemd/sd-varlink.h>

#include "http.h"

struct manager;
struct news;

struct news_item {
	const char *event;		/* of WatchWorkers */
	const char *worker;
	const char *session;		/* NULL: of the worker itself */
	uid_t uid;			/* the session's owner, who is told; root is told all, everybody of workers */
	uint64_t expected_usec;		/* AGENTCG_NONE: unknown */
	const char *text;
};

int agentcg_news_new(struct manager *m, struct http *h, struct news **ret);
struct news *agentcg_news_free(struct news *n);

void agentcg_news_tell(struct news *n, const struct news_item *item);

int agentcg_news_watch(struct news *n, sd_varlink *link, uid_t uid);
/* Before the link is freed; NULL: all. */
void agentcg_news_forget(struct news *n, sd_varlink *link);

#endif
