// SPDX-License-Identifier: GPL-2.0-only
#include "result.h"

#include <stdarg.h>

#include "size.h"

#define BYTES(bytes)	agentcg_format_bytes((char[AGENTCG_TEXT_MAX]){}, (bytes))
#define SIZE(bytes)	agentcg_format_size((char[AGENTCG_TEXT_MAX]){}, (bytes))
#define TIME(usec)	agentcg_format_time((char[AGENTCG_TEXT_MAX]){}, (usec))

static const char *const outcome_names[] = {
	[AGENTCG_OK] = "ok",
	[AGENTCG_WAS_HELD] = "held",
	[AGENTCG_WAS_THROTTLED] = "throttled",
	[AGENTCG_OOM_KILLED] = "oom_killed",
	[AGENTCG_TIMEOUT] = "timeout",
	[AGENTCG_KILLED_BY_POLICY] = "killed_by_policy",
	[AGENTCG_PIDS_EXCEEDED] = "pids_exceeded",
}, *const retry_names[] = {
	[AGENTCG_RETRY_LATER] = "later",
	[AGENTCG_RETRY_LARGER] = "larger",
	[AGENTCG_RETRY_SMALLER] = "smaller",
};

const char *agentcg_outcome_name(enum agentcg_outcome outcome)
{
	return outcome_names[outcome];
}

const char *agentcg_retry_name(enum agentcg_retry retry)
{
	return retry_names[retry];
}

_printf_(2, 3)
static void say(struct result *r, const char *format, ...)
{
	size_t n = strlen(r->text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(r->text + n, sizeof(r->text) - n, format, ap);
	va_end(ap);
}

/* What it used and a fifth more, in whole MiB, if that is more than it asked. */
static uint64_t suggest(const struct result *r)
{
	uint64_t s = (r->peak + r->peak / 5 + MIB - 1) & ~(MIB - 1);
	bool killed = r->outcome == AGENTCG_OOM_KILLED || r->outcome == AGENTCG_KILLED_BY_POLICY;

	if (r->peak <= r->request && !killed)
		return 0;
	s = min_u64(s, min_u64(r->session_budget, r->pool_max));
	return s > r->request ? s : 0;
}

static void say_oom(struct result *r)
{
	switch (r->oom_level) {
	case AGENTCG_OOM_CALL:
		say(r, "killed: out of memory. peak %s of limit %s.", BYTES(r->peak), BYTES(r->memory_max));
		if (r->retry == AGENTCG_RETRY_LARGER)
			say(r, " Ask for more with --memory-max %s, or work on less at once.",
			    SIZE(r->suggested > r->memory_max ? r->suggested :
				 (r->memory_max + r->memory_max / 5 + MIB - 1) & ~(MIB - 1)));
		else
			say(r, " The policy allows no more: work on less at once.");
		return;
	case AGENTCG_OOM_SESSION:
		say(r, "killed: out of memory. peak %s; its session's budget of %s was full.",
		    BYTES(r->peak), BYTES(r->session_budget));
		say(r, " Run fewer calls at once in this session, or work on less at once.");
		return;
	case AGENTCG_OOM_POOL:
		say(r, "killed: out of memory. peak %s; the pool's %s were full.", BYTES(r->peak),
		    BYTES(r->pool_max));
		break;
	}
	if (r->suggested)
		say(r, " Try again with --memory %s, or work on less at once.", SIZE(r->suggested));
	else
		say(r, " Try again later, or work on less at once.");
}

static void say_usage(struct result *r)
{
	say(r, " peak %s", BYTES(r->peak));
	if (r->memory_max != UINT64_MAX)
		say(r, " of limit %s", BYTES(r->memory_max));
	if (r->request)
		say(r, ", %s requested", BYTES(r->request));
	say(r, ".");
}

static enum agentcg_retry larger_if(bool possible)
{
	return possible ? AGENTCG_RETRY_LARGER : AGENTCG_RETRY_SMALLER;
}

static enum agentcg_retry judge_retry(const struct result *r)
{
	uint64_t room = min_u64(min_u64(r->session_budget, r->pool_max), r->memory_cap);

	switch (r->outcome) {
	case AGENTCG_OOM_KILLED:
		if (r->oom_level == AGENTCG_OOM_CALL)
			return larger_if(r->memory_max < room);
		return r->oom_level == AGENTCG_OOM_SESSION ? AGENTCG_RETRY_SMALLER : AGENTCG_RETRY_LATER;
	case AGENTCG_KILLED_BY_POLICY:
		return AGENTCG_RETRY_LATER;
	case AGENTCG_TIMEOUT:
		return larger_if(r->timeout_usec < r->timeout_cap);
	case AGENTCG_PIDS_EXCEEDED:
		return larger_if(r->pids_max < r->pids_cap);
	default:
		return AGENTCG_RETRY_NO;
	}
}

static void say_killed_by_policy(struct result *r)
{
	if (r->kill_wished)
		say(r, "killed: memory stayed short, after %s of waiting, and its on_pressure is kill.",
		    TIME(r->held_usec));
	else
		say(r, "killed by policy: memory stayed short for more important calls, after %s of waiting.",
		    TIME(r->held_usec));
	say_usage(r);
	say(r, " Try again later");
	if (r->suggested)
		say(r, " with --memory %s", SIZE(r->suggested));
	say(r, ", or work on less at once.");
}

static void say_all(struct result *r)
{
	switch (r->outcome) {
	case AGENTCG_OOM_KILLED:
		say_oom(r);
		return;
	case AGENTCG_TIMEOUT:
		say(r, "killed: timeout after %s.", TIME(r->timeout_usec));
		say_usage(r);
		if (r->held_usec)
			say(r, " %s of it were spent waiting for memory.", TIME(r->held_usec));
		say(r, r->retry == AGENTCG_RETRY_LARGER ? " Allow more with --timeout, or do less in one call." :
		    " The policy allows no more: do less in one call.");
		return;
	case AGENTCG_KILLED_BY_POLICY:
		say_killed_by_policy(r);
		return;
	case AGENTCG_PIDS_EXCEEDED:
		say(r, "%llu time%s no process or thread could be started: %llu are allowed at once.",
		    (unsigned long long)r->pids_exceeded, r->pids_exceeded == 1 ? "" : "s",
		    (unsigned long long)r->pids_max);
		say(r, r->retry == AGENTCG_RETRY_LARGER ? " Allow more with --pids-max, or start fewer." :
		    " The policy allows no more: start fewer.");
		break;
	case AGENTCG_WAS_HELD:
		say(r, "held %u time%s, %s in all, while memory was short.", r->holds,
		    r->holds == 1 ? "" : "s", TIME(r->held_usec));
		break;
	case AGENTCG_WAS_THROTTLED:
		say(r, "slowed %u time%s as memory was nearly short.", r->throttles,
		    r->throttles == 1 ? "" : "s");
		break;
	case AGENTCG_OK:
		say(r, r->fate == AGENTCG_FATE_CLOSED ? "ended on request." : "ok.");
		break;
	}
	say_usage(r);
	if (r->suggested)
		say(r, " Next time say --memory %s.", SIZE(r->suggested));
}

void agentcg_result_judge(struct result *r)
{
	if (r->fate == AGENTCG_FATE_TIMEOUT)
		r->outcome = AGENTCG_TIMEOUT;
	else if (r->fate == AGENTCG_FATE_POLICY)
		r->outcome = AGENTCG_KILLED_BY_POLICY;
	else if (r->oom_kills)
		r->outcome = AGENTCG_OOM_KILLED;
	else if (r->pids_exceeded)
		r->outcome = AGENTCG_PIDS_EXCEEDED;
	else if (r->holds)
		r->outcome = AGENTCG_WAS_HELD;
	else if (r->throttles)
		r->outcome = AGENTCG_WAS_THROTTLED;
	else
		r->outcome = AGENTCG_OK;
	r->retry = judge_retry(r);
	r->suggested = suggest(r);
	r->text[0] = 0;
	say_all(r);
	if (r->stuck)
		say(r, " Some of its processes are still exiting.");
}
