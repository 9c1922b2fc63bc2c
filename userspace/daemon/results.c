// SPDX-License-Identifier: GPL-2.0-only
#include "results.h"

#include "call.h"

/* As text, a few hundred bytes: there may be thousands of sessions. */
struct finished {
	bool told;
	bool news;	/* a model should know of it */
	bool failed;
	char json[];	/* a Finished of the interface */
};

int agentcg_result_build(const struct result *r, sd_json_variant **ret)
{
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_STRING("outcome", agentcg_outcome_name(r->outcome)),
		SD_JSON_BUILD_PAIR_UNSIGNED("memoryPeak", r->peak),
		SD_JSON_BUILD_PAIR_CONDITION(r->memory_max != UINT64_MAX, "memoryMax",
					     SD_JSON_BUILD_UNSIGNED(r->memory_max)),
		SD_JSON_BUILD_PAIR_UNSIGNED("request", r->request),
		SD_JSON_BUILD_PAIR_UNSIGNED("heldUSec", r->held_usec),
		SD_JSON_BUILD_PAIR_UNSIGNED("holds", r->holds),
		SD_JSON_BUILD_PAIR_UNSIGNED("throttles", r->throttles),
		SD_JSON_BUILD_PAIR_UNSIGNED("oomKills", r->oom_kills),
		SD_JSON_BUILD_PAIR_UNSIGNED("pidsExceeded", r->pids_exceeded),
		SD_JSON_BUILD_PAIR_CONDITION(r->retry != AGENTCG_RETRY_NO, "retry",
					     SD_JSON_BUILD_STRING(agentcg_retry_name(r->retry))),
		SD_JSON_BUILD_PAIR_CONDITION(r->suggested > 0, "suggestedRequest",
					     SD_JSON_BUILD_UNSIGNED(r->suggested)),
		SD_JSON_BUILD_PAIR_STRING("text", r->text));
}

static int build_finished(const struct call *c, uint64_t seq, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *result = NULL;
	char name[AGENTCG_CALL_NAME_MAX];
	int r = agentcg_result_build(&c->result, &result);

	if (r < 0)
		return r;
	return sd_json_buildo(ret,
		SD_JSON_BUILD_PAIR_UNSIGNED("seq", seq),
		SD_JSON_BUILD_PAIR_STRING("call", agentcg_call_name(c, name)),
		SD_JSON_BUILD_PAIR_VARIANT("command", c->command),
		SD_JSON_BUILD_PAIR_UNSIGNED("exitUSec", now_usec(CLOCK_REALTIME)),
		SD_JSON_BUILD_PAIR_VARIANT("result", result));
}

void agentcg_results_add(struct results *r, const struct call *c)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
	_cleanup_free_ char *text = NULL;
	struct finished *f;
	size_t size;

	r->ever++;
	if (build_finished(c, r->ever, &v) < 0 || sd_json_variant_format(v, 0, &text) < 0)
		return;
	size = strlen(text) + 1;
	f = malloc(sizeof(*f) + size);
	if (!f)
		return;
	*f = (struct finished){
		/* As for the launcher: slowed by some milliseconds is no news. */
		.news = c->result.outcome != AGENTCG_OK && c->result.outcome != AGENTCG_WAS_THROTTLED,
		.failed = c->result.retry != AGENTCG_RETRY_NO,
	};
	memcpy(f->json, text, size);
	if (r->n == AGENTCG_RESULTS_MAX) {
		free(r->last[0]);
		memmove(r->last, r->last + 1, --r->n * sizeof(r->last[0]));
	}
	r->last[r->n++] = f;
}

void agentcg_results_clear(struct results *r)
{
	while (r->n)
		free(r->last[--r->n]);
}

int agentcg_results_build(struct results *r, const struct results_choice *choice, sd_json_variant **ret)
{
	_cleanup_(sd_json_variant_unrefp) sd_json_variant *list = NULL;
	int e = sd_json_variant_new_array(&list, NULL, 0);

	for (uint32_t i = 0; e >= 0 && i < r->n; i++) {
		_cleanup_(sd_json_variant_unrefp) sd_json_variant *v = NULL;
		struct finished *f = r->last[i];

		if ((choice->untold && (f->told || !f->news)) || (choice->failed && !f->failed))
			continue;
		e = sd_json_parse(f->json, 0, &v, NULL, NULL);
		if (e >= 0)
			e = sd_json_variant_append_array(&list, v);
		f->told |= choice->untold;
	}
	if (e < 0)
		return e;
	*ret = TAKE_PTR(list);
	return 0;
}
