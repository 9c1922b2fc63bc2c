// SPDX-License-Identifier: GPL-2.0-only
/*
 *	OFF		Scheduler=none
 *	UNABLE		the kernel has no sched_ext, or a broken one
 *	FOREIGN		another scheduler runs; when it has left: LOADING
 *	LOADING		in a process of its own (loader.h); then RUNNING, or ENDED if refused
 *	RUNNING		until it ends: UNLOADED if somebody removed it, else ENDED
 *	ENDED		error, stall, SysRq-S, or it was refused: after a backoff LOADING
 *	UNLOADED	by `agentcg unload`, or by removing its pins
 *
 * Reading the policy again tries at once, whatever the state.  Nothing here
 * pushes out a scheduler that is not ours.
 */
#include "scheduler.h"

#include "backoff.h"
#include "call.h"
#include "cpu.h"
#include "loader.h"
#include "log.h"
#include "pins.h"
#include "scx.h"
#include "size.h"

/* How a scheduler ends, of the kernel's enum scx_exit_kind. */
#define EXIT_UNREG		64	/* its link was removed */
#define EXIT_UNREG_BPF		65

/* Should the event of its end ever be lost. */
#define LOOK_RUNNING_USEC	(5 * USEC_PER_SEC)
/* For another scheduler to leave: there is no event. */
#define LOOK_FOREIGN_USEC	(1 * USEC_PER_SEC)

enum state {
	STATE_OFF,
	STATE_UNABLE,
	STATE_FOREIGN,
	STATE_UNLOADED,
	STATE_ENDED,
	STATE_LOADING,
	STATE_RUNNING,
};

struct scheduler {
	struct manager *m;
	enum state state;
	struct cpu *cpu;		/* while it runs */
	char reason[AGENTCG_WHY_MAX];	/* why it does not */
	uint64_t since;			/* CLOCK_REALTIME */
	uint64_t attached;		/* CLOCK_MONOTONIC */
	uint64_t wait;			/* the last backoff */
	uint64_t due;			/* CLOCK_MONOTONIC: end of the backoff */
	struct loader *loader;
	uint64_t started;		/* CLOCK_MONOTONIC, the loader */
	sd_event_source *ended;
	sd_event_source *timer;
};

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void look_in(struct scheduler *s, uint64_t usec)
{
	s->timer = sd_event_source_disable_unref(s->timer);
	if (sd_event_add_time_relative(s->m->event, &s->timer, CLOCK_MONOTONIC, usec, 0, on_timer, s) < 0)
		agentcg_log(LOG_WARNING, "cannot watch the CPU scheduler; reload agentcgd to try again");
}

static void let_go(struct scheduler *s)
{
	s->timer = sd_event_source_disable_unref(s->timer);
	s->ended = sd_event_source_disable_unref(s->ended);
	s->loader = agentcg_loader_free(s->loader);
	agentcg_cpu_close(s->cpu);
	s->cpu = NULL;
}

/* From now on cpu.weight; told once for each reason. */
_printf_(4, 5)
static void fall_back(struct scheduler *s, enum state state, int level, const char *format, ...)
{
	char reason[AGENTCG_WHY_MAX];
	va_list ap;

	let_go(s);
	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	if (s->state != state || !streq(reason, s->reason))
		agentcg_log(level, "CPU time is shared by cpu.weight: %s", reason);
	s->state = state;
	strcpy(s->reason, reason);
}

_printf_(2, 3)
static void retry_later(struct scheduler *s, const char *format, ...)
{
	uint64_t now = now_usec(CLOCK_MONOTONIC), ran = s->cpu ? now - s->attached : 0;
	char reason[AGENTCG_WHY_MAX], text[AGENTCG_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, sizeof(reason), format, ap);
	va_end(ap);
	s->wait = agentcg_backoff(s->wait, ran);
	s->due = now + s->wait;
	fall_back(s, STATE_ENDED, LOG_WARNING, "%s", reason);
	agentcg_log(LOG_DEBUG, "the CPU scheduler is tried again in %s", agentcg_format_time(text, s->wait));
	look_in(s, s->wait);
}

/* ---- its end ------------------------------------------------------------ */

static void on_end(struct scheduler *s)
{
	struct agentcg_sched_exit end = {};

	if (agentcg_cpu_ended(&end) < 0 && end.time == 0) {
		/* Without its pins nobody can tell. */
		if (!agentcg_cpu_since())
			end.kind = EXIT_UNREG;
		else
			strcpy(end.reason, "it did not say why");
	}
	if (end.kind == EXIT_UNREG || end.kind == EXIT_UNREG_BPF) {
		agentcg_cpu_unload();
		fall_back(s, STATE_UNLOADED, LOG_NOTICE,
			  "the scheduler was unloaded; reload agentcgd to load it again");
		return;
	}
	agentcg_cpu_unload();
	retry_later(s, "the scheduler ended: %s (kind %u)%s%s", end.reason, end.kind,
		    *end.message ? ": " : "", end.message);
}

static int on_event(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct scheduler *s = userdata;

	agentcg_cpu_drain(s->cpu);
	on_end(s);
	return 0;
}

/* ---- loading ------------------------------------------------------------ */

static void run(struct scheduler *s)
{
	int r;

	s->state = STATE_RUNNING;
	s->reason[0] = 0;
	s->attached = now_usec(CLOCK_MONOTONIC);
	s->since = agentcg_cpu_since() ?: now_usec(CLOCK_REALTIME);
	r = sd_event_add_io(s->m->event, &s->ended, agentcg_cpu_event_fd(s->cpu), EPOLLIN, on_event, s);
	if (r < 0)
		agentcg_log(LOG_WARNING, "cannot wait for the end of the CPU scheduler: %s", strerror(-r));
	look_in(s, LOOK_RUNNING_USEC);
	agentcg_scheduler_hint_all(s);
}

static void wait_for_other(struct scheduler *s, const char *name)
{
	fall_back(s, STATE_FOREIGN, LOG_NOTICE, "another scheduler runs%s%s; ours comes when it has left",
		  *name ? ": " : "", name);
	look_in(s, LOOK_FOREIGN_USEC);
}

static void on_loaded(int error, const char *why, void *userdata)
{
	struct scheduler *s = userdata;
	char text[AGENTCG_TEXT_MAX];
	struct agentcg_scx scx;
	uint64_t took = now_usec(CLOCK_MONOTONIC) - s->started;
	int r = error;

	s->loader = agentcg_loader_free(s->loader);
	/* The policy may have been read again meanwhile. */
	if (s->m->policy.scheduler == AGENTCG_SCHEDULER_NONE) {
		agentcg_scheduler_apply(s);
		return;
	}
	agentcg_scx_look("", &scx);
	if (r == -EBUSY && !agentcg_scx_is(&scx, "disabled")) {
		wait_for_other(s, scx.name);
		return;
	}
	if (r >= 0) {
		agentcg_log(LOG_INFO, "loaded the CPU scheduler in %s",
			    agentcg_format_time(text, took - took % USEC_PER_MSEC));
		r = agentcg_cpu_open(&s->cpu);
	}
	if (r >= 0)
		run(s);
	else if (error < 0)
		retry_later(s, "the scheduler does not load: %s", *why ? why : strerror(-r));
	else
		on_end(s);
}

/* Until it is loaded the kernel's own goes on. */
static void load(struct scheduler *s)
{
	int r;

	let_go(s);
	s->started = now_usec(CLOCK_MONOTONIC);
	r = agentcg_loader_start(&s->loader, s->m->event, on_loaded, s);
	if (r < 0) {
		retry_later(s, "the scheduler does not load: %s", strerror(-r));
		return;
	}
	s->state = STATE_LOADING;
	strcpy(s->reason, "the scheduler is being loaded");
}

static void try_now(struct scheduler *s)
{
	char why[AGENTCG_WHY_MAX] = "";
	struct agentcg_sched_exit end;
	struct agentcg_scx scx;
	int r;

	r = agentcg_scx_check("", NULL, why);
	if (r < 0) {
		fall_back(s, STATE_UNABLE, LOG_NOTICE, "%s", why);
		return;
	}
	agentcg_scx_look("", &scx);
	if (agentcg_scx_is(&scx, "enabled") && !agentcg_scx_is_ours(&scx)) {
		wait_for_other(s, scx.name);
		return;
	}
	r = agentcg_pins_lock(&s->m->pins_fd, why);
	if (r < 0) {
		retry_later(s, "%s", why);
		return;
	}
	if (agentcg_cpu_open(&s->cpu) >= 0) {
		agentcg_log(LOG_INFO, "took over the CPU scheduler that was in force");
		run(s);
		return;
	}
	if (agentcg_cpu_ended(&end) == 0)
		agentcg_log(LOG_WARNING, "the CPU scheduler had ended while no daemon ran: %s (kind %u)%s%s",
			    end.reason, end.kind, *end.message ? ": " : "", end.message);
	load(s);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct agentcg_sched_exit end;
	struct scheduler *s = userdata;
	struct agentcg_scx scx;

	if (s->state == STATE_ENDED) {
		try_now(s);
		return 0;
	}
	agentcg_scx_look("", &scx);
	if (s->state == STATE_FOREIGN) {
		if (agentcg_scx_is(&scx, "disabled"))
			try_now(s);
		else
			look_in(s, LOOK_FOREIGN_USEC);
	} else if (s->state == STATE_RUNNING) {
		if (!agentcg_scx_is_ours(&scx) || agentcg_cpu_ended(&end) != -ENODATA)
			on_end(s);
		else
			look_in(s, LOOK_RUNNING_USEC);
	}
	return 0;
}

void agentcg_scheduler_apply(struct scheduler *s)
{
	char why[AGENTCG_WHY_MAX];

	if (s->state == STATE_LOADING && s->loader)
		return;		/* on_loaded() comes back to it */
	if (s->m->policy.scheduler == AGENTCG_SCHEDULER_NONE) {
		/* Another daemon's is none of our business. */
		if (agentcg_pins_lock(&s->m->pins_fd, why) >= 0)
			agentcg_cpu_unload();
		fall_back(s, STATE_OFF, LOG_INFO, "the policy says Scheduler=none");
		return;
	}
	if (s->state == STATE_RUNNING)
		return;
	s->wait = 0;
	try_now(s);
}

int agentcg_scheduler_new(struct manager *m, struct scheduler **ret)
{
	struct scheduler *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->m = m;
	*ret = s;
	return 0;
}

struct scheduler *agentcg_scheduler_free(struct scheduler *s)
{
	if (!s)
		return NULL;
	let_go(s);
	free(s);
	return NULL;
}

/* ---- what is told about it ---------------------------------------------- */

struct cpu *agentcg_scheduler_cpu(const struct scheduler *s)
{
	return s->cpu;
}

uint64_t agentcg_scheduler_since(const struct scheduler *s)
{
	return s->state == STATE_RUNNING ? s->since : 0;
}

const char *agentcg_scheduler_reason(const struct scheduler *s, char buf[AGENTCG_WHY_MAX])
{
	uint64_t now = now_usec(CLOCK_MONOTONIC);
	unsigned long long left;

	if (s->state != STATE_ENDED)
		return s->reason;
	left = s->due > now ? (s->due - now + USEC_PER_SEC - 1) / USEC_PER_SEC : 0;
	snprintf(buf, AGENTCG_WHY_MAX, "%.*s; tries again in %llus", AGENTCG_WHY_MAX - 48, s->reason, left);
	return buf;
}

/* ---- hints -------------------------------------------------------------- */

/* What it knows already stays as it is: a deadline counts from when it was told first. */
static bool knows(struct cpu *cpu, const struct agentcg_hint *hint)
{
	int slot = agentcg_cpu_slot(cpu, hint->cgroup_id);
	const struct agentcg_node *n;

	if (slot < 0)
		return false;
	n = &agentcg_cpu_nodes(cpu)[slot];
	return n->class == hint->class && n->deadline == hint->deadline;
}

void agentcg_scheduler_hint(struct scheduler *s, const struct call *c)
{
	struct agentcg_hint hint = {
		.cgroup_id = c->id,
		.class = c->grant.latency,
		.deadline = c->due_usec * NSEC_PER_USEC,
	};
	char name[AGENTCG_CALL_NAME_MAX];
	int r;

	if (!s->cpu || c->ending || knows(s->cpu, &hint))
		return;
	r = agentcg_cpu_hint(s->cpu, &hint);
	/* Without the cpu controller a leaf is part of what is above it. */
	if (r < 0 && r != -ENOENT)
		agentcg_log(LOG_WARNING, "%s: the CPU scheduler does not take its hint: %s",
			    agentcg_call_name(c, name), strerror(-r));
}

void agentcg_scheduler_hint_all(struct scheduler *s)
{
	for (uint32_t i = 0; i < s->m->nr_calls; i++)
		if (s->m->calls[i])
			agentcg_scheduler_hint(s, s->m->calls[i]);
}

int agentcg_scheduler_set_gpu(struct scheduler *s, pid_t tid, bool on)
{
	struct agentcg_hint hint = {
		.tid = (uint32_t)tid,
		.class = on ? AGENTCG_CLASS_GPU : AGENTCG_CLASS_AUTO,
	};

	return s->cpu ? agentcg_cpu_hint(s->cpu, &hint) : -EOPNOTSUPP;
}
