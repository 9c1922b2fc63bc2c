/* SPDX-License-Identifier: GPL-2.0-only */
/* What adapters share: a job is one operation, of one request after the other. */
#ifndef _AGENTCG_ADAPTER_PRIVATE_H
#define _AGENTCG_ADAPTER_PRIVATE_H

#include <systemd/sd-json.h>

#include "adapter.h"

#define ADAPTER_TIMEOUT_USEC	(5 * USEC_PER_SEC)
/* Gigabytes are written to a disk, or sent. */
#define ADAPTER_MOVE_USEC	(60 * USEC_PER_SEC)
#define ADAPTER_URL_MAX		256

struct adapter_job {
	struct http *h;
	struct http_request *request;
	char url[ADAPTER_URL_MAX];
	enum engine_kind engine;
	struct kv_ref kv;
	char instance[AGENTCG_PLACE_MAX];
	enum kv_action what;
	struct kv_look look;
	adapter_look_t looked;		/* one of them */
	adapter_done_t done;
	void *userdata;
};

struct adapter_job *agentcg_job_new(struct http *h, const char *url, const struct kv_ref *kv, void *userdata);
/* The next request; @json NULL: GET. */
int agentcg_job_send(struct adapter_job *job, const char *path, const char *json, uint64_t timeout_usec, http_done_t answer);
/* Its first: *@ret is the job, or it is freed. */
int agentcg_job_start(struct adapter_job *job, const char *path, const char *json, uint64_t timeout_usec, http_done_t answer,
		      struct adapter_job **ret);
/* Tells, and frees it. */
void agentcg_job_end(struct adapter_job *job, int result, const char *why, const struct kv_done *done);
/* An answer that is an error, in words: -EOPNOTSUPP, -EIO; as is one that did not come. */
int agentcg_job_refused(const char *who, int status, const char *body, char *why);

/* Fields of what an engine says: 0 and false where they are not, or are something else. */
uint64_t agentcg_job_number(sd_json_variant *object, const char *key);
bool agentcg_job_truth(sd_json_variant *object, const char *key);

#endif
