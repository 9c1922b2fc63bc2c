// SPDX-License-Identifier: GPL-2.0-only
#include "learn.h"

#include <sys/stat.h>

#include "history.h"
#include "log.h"
#include "session.h"
#include "size.h"

/* In percent: whoever is mostly right gets what was asked for, to the byte. */
#define TRUSTED		75

/* Rows of so long a time go to the database at once. */
#define FOLD_USEC	(250 * USEC_PER_MSEC)

void agentcg_learn_open(struct manager *m, const char *file)
{
	char why[AGENTCG_WHY_MAX] = "";
	int r;

	m->history_file = file;
	if (!*file)
		return;
	if (streq(file, AGENTCG_HISTORY_FILE))
		mkdir(AGENTCG_HISTORY_DIR, 0700);	/* or it is there; or the file cannot be opened */
	r = agentcg_history_open(file, NULL, &m->history, why);
	if (r < 0)
		agentcg_log(LOG_WARNING, "requests are not learned: %s", why);
	else if (r > 0)
		agentcg_log(LOG_WARNING, "%s", why);
}

/* Somebody may have spoilt the file: a new one, once for each time that happens. */
static void begin_anew(struct manager *m)
{
	m->history = agentcg_history_close(m->history);
	agentcg_learn_open(m, m->history_file);
}

static int on_fold(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;
	int r = agentcg_history_fold(m->history);

	m->fold_source = sd_event_source_disable_unref(m->fold_source);
	if (r == -EUCLEAN) {
		begin_anew(m);	/* which folds them */
		r = 0;
	}
	if (r < 0)
		agentcg_log(LOG_WARNING, "cannot remember what calls needed: %s", strerror(-r));
	return 0;
}

/* Runs of one session are more alike; a user's default session is of no kind. */
static uint64_t scope(const struct session *s)
{
	uint64_t hash = 0xcbf29ce484222325;	/* FNV-1a */

	if (s->automatic && startswith(s->name, "uid-"))
		return 0;
	for (const char *p = s->name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
	return hash;
}

/* What cannot be read is not known. */
static size_t known(int rows)
{
	return rows < 0 ? 0 : (size_t)rows;
}

static void predict(struct session *s, const char *kind, uint64_t declared, unsigned int trust,
		    struct prediction *ret)
{
	struct observation runs[3][AGENTCG_OBSERVATIONS_MAX];
	struct predict_params params = AGENTCG_PREDICT_DEFAULTS;
	char word[AGENTCG_KIND_MAX], family[AGENTCG_KIND_MAX + 16];
	struct history *h = s->m->history;
	struct observed_class classes[] = {
		{ kind, runs[0], known(agentcg_history_read_kind(h, s->uid, kind, runs[0], AGENTCG_OBSERVATIONS_MAX)) },
		{ family, runs[1], 0 },
		{ "any command", runs[2], 0 },
	};

	snprintf(family, sizeof(family), "%s, any command", agentcg_kind_family(word, kind));
	/* The wider ones are looked at only where the narrow one does not know enough. */
	if (classes[0].nr < params.min_runs) {
		classes[1].nr = known(agentcg_history_read_family(h, s->uid, kind, runs[1],
							       AGENTCG_OBSERVATIONS_MAX));
		if (classes[1].nr < params.min_runs)
			classes[2].nr = known(agentcg_history_read_user(h, s->uid, runs[2],
								     AGENTCG_OBSERVATIONS_MAX));
	}
	params.request = s->m->policy.request;
	agentcg_predict(&params, classes, ARRAY_SIZE(classes), scope(s), declared,
			trust, ret);
}

void agentcg_learn_wish(struct session *s, const char *kind, struct call_wish *wish,
			struct prediction *ret)
{
	struct agentcg_intent *intent = &wish->intent;
	bool asked = intent->memory_request != AGENTCG_UNSET;
	unsigned int trust = 100;

	*ret = (struct prediction){ .duration_usec = AGENTCG_NONE, .limit = AGENTCG_NONE };
	if (wish->agent || !s->m->history || s->m->policy.learn == AGENTCG_LEARN_NONE)
		return;
	if (asked)
		trust = agentcg_history_trust(s->m->history, s->uid);
	predict(s, kind, asked ? intent->memory_request : AGENTCG_NONE, trust, ret);
	if (asked && trust >= TRUSTED)
		*ret->text = 0;		/* as asked, which needs no explanation */
	else if (ret->source == AGENTCG_FROM_HISTORY || ret->source == AGENTCG_FROM_BOTH)
		intent->memory_request = ret->request;
	if (s->m->policy.learn == AGENTCG_LEARN_LIMIT && intent->memory_limit == AGENTCG_UNSET &&
	    ret->limit != AGENTCG_NONE)
		intent->memory_limit = max_u64(ret->limit, intent->memory_request == AGENTCG_UNSET ?
					       0 : intent->memory_request);
}

void agentcg_learn_run(struct call *c)
{
	const struct observation o = {
		.id = c->id,
		.time_usec = c->began_usec,
		.scope = scope(c->session),
		.peak = c->result.peak,
		.duration_usec = now_usec(CLOCK_BOOTTIME) - c->started_usec,
		.declared = c->declared,
		.granted = c->grant.memory,
		.limit = c->grant.memory_max,
		.outcome = c->result.outcome,
	};
	struct manager *m = c->m;
	int r;

	/* One whose client went away was cut short, and none of it says what it needed. */
	if (c->agent || !*c->kind || c->fate == AGENTCG_FATE_CLOSED || c->learned || !m->history)
		return;
	c->learned = true;
	r = agentcg_history_note(m->history, c->session->uid, c->kind, &o);
	if (r == -EUCLEAN) {
		begin_anew(m);
		r = agentcg_history_note(m->history, c->session->uid, c->kind, &o);
	}
	if (r > 0 && !m->fold_source)
		sd_event_add_time_relative(m->event, &m->fold_source, CLOCK_MONOTONIC, FOLD_USEC, 0, on_fold, m);
	if (r < 0)
		agentcg_log(LOG_WARNING, "cannot remember what a call needed: %s", strerror(-r));
}
