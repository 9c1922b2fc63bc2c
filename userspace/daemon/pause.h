/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connections that are not listened to for a moment: those of users who send
 * too much.  What they send meanwhile waits in their own socket, so that a
 * flood costs the daemon, and who else it serves, next to nothing.
 */
#ifndef _AGENTCG_PAUSE_H
#define _AGENTCG_PAUSE_H

#include <systemd/sd-event.h>
#include <systemd/sd-varlink.h>

#include "util.h"

#define AGENTCG_PAUSE_USEC	(100 * USEC_PER_MSEC)	/* at most */

struct pauses {
	sd_event_source *source;
	sd_varlink **links;	/* references */
	size_t n;
};

/* From a method's callback, after its reply, which goes out with the end of the pause. */
void agentcg_pause(struct pauses *p, sd_varlink *link);
void agentcg_pause_done(struct pauses *p);

#endif
