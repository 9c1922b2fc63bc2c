// SPDX-License-Identifier: MIT
#include "internal.h"

struct agentcg_watch {
	pthread_mutex_t lock;
	sd_varlink *link;
	/* While it dispatches. */
	agentcg_event_fn fn;
	void *userdata;
	int told;
	int failed;			/* why there will be no more */
	struct agentcg_error why;
};

static int on_reply(sd_varlink *link, sd_json_variant *v, const char *name, sd_varlink_reply_flags_t flags,
		    void *userdata)
{
	struct agentcg_watch *w = userdata;

	if (name) {
		w->failed = fail_reply(&w->why, name, v);
		return 0;
	}
	w->told++;
	if (w->fn)
		w->fn(&(struct agentcg_event){
			.size = sizeof(struct agentcg_event),
			.event = read_text(v, "event") ?: "",
			.call = read_text(v, "call") ?: "",
			.text = read_text(v, "text") ?: "",
			.memory_current = read_u64(v, "memoryCurrent", 0),
			.headroom = read_u64(v, "headroom", 0),
			.time_usec = read_u64(v, "timeUSec", 0),
			.lost = read_u64(v, "lost", 0),
		}, w->userdata);
	return 0;
}

static int start(struct agentcg_watch *w, const char *socket, struct agentcg_error *error)
{
	int r;

	/* Nothing may happen for as long as it likes. */
	r = link_open(socket, UINT64_MAX, &w->link, error);
	if (r < 0)
		return r;
	sd_varlink_set_userdata(w->link, w);
	r = sd_varlink_bind_reply(w->link, on_reply);
	if (r >= 0)
		r = sd_varlink_observe(w->link, NAME_PREFIX "Watch", NULL);
	if (r >= 0)
		r = sd_varlink_flush(w->link);
	return r < 0 ? fail(error, -ENOTCONN, "the daemon hung up: %s", strerrordesc_np(-r)) : 0;
}

EXPORT int agentcg_watch_open(struct agentcg *cg, struct agentcg_watch **ret, struct agentcg_error *error)
{
	struct agentcg_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return fail(error, -ENOMEM, "out of memory");
	w->why = (struct agentcg_error)AGENTCG_ERROR_INIT;
	pthread_mutex_init(&w->lock, NULL);
	r = start(w, cg->socket, error);
	if (r < 0) {
		agentcg_watch_close(w);
		return r;
	}
	*ret = w;
	return 0;
}

EXPORT void agentcg_watch_close(struct agentcg_watch *w)
{
	if (!w)
		return;
	sd_varlink_close_unref(w->link);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

EXPORT int agentcg_watch_fd(struct agentcg_watch *w)
{
	return sd_varlink_get_fd(w->link);
}

EXPORT int agentcg_watch_dispatch(struct agentcg_watch *w, agentcg_event_fn fn, void *userdata,
				  struct agentcg_error *error)
{
	int r = 1;

	LOCKED(w);
	w->fn = fn;
	w->userdata = userdata;
	w->told = 0;
	while (r > 0 && !w->failed)
		r = sd_varlink_process(w->link);
	if (w->told)
		return w->told;
	if (w->failed)
		return fail(error, w->failed, "%s", w->why.text);
	if (r < 0)
		return fail(error, -ENOTCONN, "the daemon hung up: it was stopped or restarted");
	return 0;
}
