/* SPDX-License-Identifier: GPL-2.0-only */
/* The events pressure and budget: looks from time to time, as long as somebody watches. */
#ifndef _AGENTCG_ALERT_H
#define _AGENTCG_ALERT_H

#include <systemd/sd-event.h>

#include "gauge.h"

struct manager;

/* The pool's; in the manager. */
struct alerts {
	sd_event_source *source;	/* NULL: nobody watches */
	uint32_t next;			/* session to look at */
	struct gauge headroom;
	struct gauge psi;
};

/* In each session. */
struct session_alerts {
	struct gauge budget;
	struct gauge psi;
};

/* Somebody watches now. */
void agentcg_alert_start(struct manager *m);

#endif
