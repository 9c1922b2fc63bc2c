// SPDX-License-Identifier: GPL-2.0-only
#include "pause.h"

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct pauses *p = userdata;

	for (size_t i = 0; i < p->n; i++) {
		/* Fails only for one that is closed. */
		sd_varlink_attach_event(p->links[i], sd_event_source_get_event(source), SD_EVENT_PRIORITY_NORMAL);
		sd_varlink_unref(p->links[i]);
	}
	p->n = 0;
	free(p->links);
	p->links = NULL;
	p->source = sd_event_source_disable_unref(p->source);
	return 0;
}

/* If there is no memory for it the connection goes on. */
void agentcg_pause(struct pauses *p, sd_varlink *link)
{
	sd_event *event = sd_varlink_get_event(link);
	sd_varlink **links;

	if (!event)
		return;
	links = reallocarray(p->links, p->n + 1, sizeof(*links));
	if (!links)
		return;
	p->links = links;
	if (!p->source && sd_event_add_time_relative(event, &p->source, CLOCK_MONOTONIC, AGENTCG_PAUSE_USEC,
						      USEC_PER_MSEC, on_timer, p) < 0)
		return;
	sd_varlink_detach_event(link);
	p->links[p->n++] = sd_varlink_ref(link);
}

void agentcg_pause_done(struct pauses *p)
{
	for (size_t i = 0; i < p->n; i++)
		sd_varlink_unref(p->links[i]);
	free(p->links);
	sd_event_source_disable_unref(p->source);
	*p = (struct pauses){};
}
