/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * HTTP requests on the event loop (libcurl's multi interface): to engines on
 * this machine and to webhooks.  Never waits; every request ends, with an
 * answer or a reason, within its timeout.
 */
#ifndef _AGENTCG_HTTP_H
#define _AGENTCG_HTTP_H

#include <systemd/sd-event.h>

#include "util.h"

#define AGENTCG_HTTP_BODY_MAX	(1 * MIB)	/* longer answers are cut off: an error */
#define AGENTCG_HTTP_AT_ONCE	64		/* more requests are refused with -EBUSY */

struct http;
struct http_request;

/* @status: HTTP's, or a negative errno (-ETIMEDOUT, -ECONNREFUSED, -EMSGSIZE, ...) with @body the reason. @body ends with NUL. */
typedef void (*http_done_t)(int status, const char *body, size_t size, void *userdata);

int agentcg_http_new(sd_event *event, struct http **ret);
struct http *agentcg_http_free(struct http *h);		/* requests under way end with -ECANCELED, told before it returns */

/* @json: NULL for GET.  @ret may be NULL.  Redirects and proxies are not followed. */
int agentcg_http_send(struct http *h, const char *url, const char *json, uint64_t timeout_usec, http_done_t done,
		      void *userdata, struct http_request **ret);
/* @done is not called any more. */
void agentcg_http_cancel(struct http_request *q);

#endif
