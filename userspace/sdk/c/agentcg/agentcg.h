/* SPDX-License-Identifier: MIT */
/*
 * libagentcg: tool calls of AI agents, each in a group of its own, that says
 * what it needs and is told what became of it.  The client of agentcgd.
 *
 *	struct agentcg *cg;
 *	struct agentcg_call *call;
 *	struct agentcg_begin begin = AGENTCG_BEGIN_INIT;
 *	struct agentcg_intent intent = AGENTCG_INTENT_INIT;
 *	const struct agentcg_result *result;
 *
 *	intent.memory = 512 << 20;
 *	begin.session = "work";
 *	begin.intent = &intent;
 *	agentcg_connect(NULL, &cg, NULL);
 *	agentcg_call_begin(cg, &begin, &call, NULL);
 *	pidfd = agentcg_call_spawn(call, &spawn, NULL, NULL);
 *	agentcg_call_wait(call, pidfd, AGENTCG_UNSET, &status, NULL);
 *	agentcg_call_end(call, 0, &result, NULL);
 *	puts(result->text);
 *
 * Rules that hold for all of it:
 *
 * - Functions return 0 or more, or a negative errno and then, unless it is
 *   NULL, fill in the struct agentcg_error.  Nothing prints, exits or aborts,
 *   and there is no state but that of the objects.
 * - Structs begin with their size and grow at their end only.  What you say
 *   you begin with its _INIT; what you are told is the library's.
 * - Every object has a lock: any thread may use it at any time.  Each call has
 *   a connection of its own, so calls do not wait for each other.  Objects do
 *   not survive a fork() in the child.
 * - Sizes are bytes, times microseconds, CPUs thousandths, texts UTF-8.
 *
 * Errors: -ENOTCONN there is no daemon, or it went away; -ETIMEDOUT it does not
 * answer; -EINVAL what was said is wrong (field, reason); -EPERM another user's,
 * the policy, or part of a tool call itself; -EDQUOT too many (reason, limit);
 * -ENXIO no such session or call, any more; -EOPNOTSUPP not here, or not by this daemon; -EPROTO its
 * answer makes no sense; -E2BIG the program was built for a newer libagentcg.
 */
#ifndef LIBAGENTCG_AGENTCG_H
#define LIBAGENTCG_AGENTCG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LIBAGENTCG_VERSION	"0.1.0"

/* The daemon's socket, unless $AGENTCG_SOCKET or agentcg_connect() names one. */
#define AGENTCG_DEFAULT_SOCKET	"/run/agentcg/io.agentcg"

/* What is not said, or not told; as a time: for ever. */
#define AGENTCG_UNSET		UINT64_MAX

/* Priorities are 0..1000, higher is more important; these are points on the scale. */
enum {
	AGENTCG_PRIORITY_LOW	= 250,
	AGENTCG_PRIORITY_NORMAL	= 500,
	AGENTCG_PRIORITY_HIGH	= 750,
};

/* ---- errors ------------------------------------------------------------- */

struct agentcg_error {
	size_t size;
	int error;		/* the negative errno that was returned */
	char name[96];		/* "io.agentcg.InvalidIntent"; "" if it is not the daemon that says so */
	char field[64];		/* which field or parameter is wrong, such as "limits.memory", or "" */
	char reason[512];	/* what is wrong, as the daemon has it, or "" */
	uint64_t limit;		/* -EDQUOT: how many there may be */
	char text[768];		/* all of this in a sentence, and what to do */
};

#define AGENTCG_ERROR_INIT	{ sizeof(struct agentcg_error), 0, "", "", "", 0, "" }

/* ---- the connection ----------------------------------------------------- */

struct agentcg;

/* @socket: NULL for the default.  The connection is made again when the daemon was restarted. */
int agentcg_connect(const char *socket, struct agentcg **ret, struct agentcg_error *error);

/* Its calls and watches have connections of their own and go on.  NULL is fine, here and for all that ends something. */
void agentcg_close(struct agentcg *cg);

/* How long an answer may take, in microseconds; 45 s if nothing is said.  Also for calls that begin later. */
int agentcg_set_timeout(struct agentcg *cg, uint64_t usec);

/* That of the library, which may be newer than LIBAGENTCG_VERSION. */
const char *agentcg_version(void);

/*
 * Any method of the interface, also those that this library knows nothing of
 * (varlinkctl introspect /run/agentcg/io.agentcg lists them): @method is
 * "GetStatus" or a whole name with dots, @parameters a JSON object or NULL,
 * @fds what its indices of descriptors mean (they stay yours).  @ret (or NULL)
 * is the reply, JSON, to be given to free().
 */
int agentcg_call_method(struct agentcg *cg, const char *method, const char *parameters,
			const int *fds, size_t nr_fds, char **ret, struct agentcg_error *error);

/* ---- intents and what becomes of them ----------------------------------- */

/* What a call is about to need: a wish, which the policy grants or cuts. */
struct agentcg_intent {
	size_t size;
	uint64_t cpu;			/* share beside others of its priority */
	uint64_t cpu_max;		/* limit (cpu.max) */
	uint64_t memory;		/* what it will probably need: kept free for it, no limit */
	uint64_t memory_max;		/* limit (memory.max) */
	uint64_t pids_max;		/* processes and threads at once */
	uint64_t timeout_usec;		/* killed so long after its beginning; whole milliseconds, rounded up */
	uint64_t deadline_usec;		/* when it should be done, from now on */
	uint64_t duration_usec;		/* how long it will probably take */
	const char *latency;		/* "interactive", "batch" */
	const char *on_pressure;	/* "throttle", "freeze", "kill" */
	int detach;			/* 1: it outlives its client; 0: it does not; -1: not said */
	const char *json;		/* an intent as a JSON object; what the fields say goes before it */
};

#define AGENTCG_INTENT_INIT							\
	{ sizeof(struct agentcg_intent), AGENTCG_UNSET, AGENTCG_UNSET,		\
	  AGENTCG_UNSET, AGENTCG_UNSET, AGENTCG_UNSET, AGENTCG_UNSET,		\
	  AGENTCG_UNSET, AGENTCG_UNSET, NULL, NULL, -1, NULL }

/* What a call got of it; a limit that is AGENTCG_UNSET is that of its session and the pool. */
struct agentcg_granted {
	size_t size;
	uint64_t priority;
	uint64_t cpu;
	uint64_t cpu_max;
	uint64_t memory;
	uint64_t memory_max;
	uint64_t pids_max;
	uint64_t timeout_usec;
	uint64_t deadline_usec;		/* what is left until then */
	uint64_t duration_usec;		/* from earlier runs */
	const char *reason;		/* where memory comes from, if it is not what was asked; or NULL */
	const char *latency;		/* or NULL */
	const char *on_pressure;
	int detach;
};

/* What became of a call. */
struct agentcg_result {
	size_t size;
	const char *outcome;		/* ok, held, throttled, oom_killed, timeout, killed_by_policy, pids_exceeded, or newer */
	const char *text;		/* what happened and what to try, for a model to act on */
	const char *retry;		/* what may help: later, larger, smaller; NULL: nothing failed */
	uint64_t suggested_request;	/* bytes to request the next time, or AGENTCG_UNSET */
	uint64_t memory_peak;
	uint64_t memory_max;		/* or AGENTCG_UNSET */
	uint64_t request;
	uint64_t held_usec;
	uint64_t holds;
	uint64_t throttles;
	uint64_t oom_kills;
	uint64_t pids_exceeded;		/* processes and threads that could not be started */
	int running;			/* it is detached and goes on; the result is that so far */
};

/* ---- sessions ----------------------------------------------------------- */

struct agentcg_session {
	size_t size;
	const char *name;		/* [A-Za-z0-9][A-Za-z0-9_.-]{0,63} */
	uint64_t priority;
	uint64_t budget;		/* what its calls may use together */
	uint64_t reserve;		/* kept for it even while it is idle */
	int pidfd;			/* it closes when this process ends; -1: it does not; for daemons that know this */
};

#define AGENTCG_SESSION_INIT							\
	{ sizeof(struct agentcg_session), NULL, AGENTCG_UNSET, AGENTCG_UNSET, AGENTCG_UNSET, -1 }

/*
 * Makes a session, or changes one's own.  @notes (or NULL): what was not
 * granted as asked and why, a line each, to be given to free(); NULL if all was.
 */
int agentcg_session_open(struct agentcg *cg, const struct agentcg_session *session, char **notes,
			 struct agentcg_error *error);

struct agentcg_killed {
	size_t size;
	const char *call;		/* SESSION/tool-N */
	const char *const *command;	/* ends with NULL */
};

/* What is told in functions like this is gone when they return; they must not use the object that calls them. */
typedef void (*agentcg_killed_fn)(const struct agentcg_killed *killed, void *userdata);

enum { AGENTCG_SESSION_KILL = 1 };	/* its detached calls, too */

/* Kills what is left of it, and says whom (@fn, or NULL).  Returns how many detached calls go on. */
int agentcg_session_close(struct agentcg *cg, const char *name, unsigned int flags,
			  agentcg_killed_fn fn, void *userdata, struct agentcg_error *error);

/*
 * Kills the calls of a group (agentcg run --group), detached ones too, says whom, and lets none begin that waits: they
 * fail with -ENXIO.  Whoever has one of them still ends it.  Returns how many waited; -ENXIO: no such group or session.
 */
int agentcg_group_end(struct agentcg *cg, const char *session, const char *group,
		      agentcg_killed_fn fn, void *userdata, struct agentcg_error *error);

typedef void (*agentcg_granted_fn)(const struct agentcg_granted *granted, const char *notes, void *userdata);

/*
 * Says an intent for the next call of @session (NULL: the user's own) that
 * brings none itself, or, with @command (or NULL), for the next that runs this.
 * @fn, or NULL, is told what will be granted, and in lines what not (or NULL).
 * As agentcg_results(), -EOPNOTSUPP by a daemon that is too old for it.
 */
int agentcg_declare(struct agentcg *cg, const char *session, const struct agentcg_intent *intent,
		    const char *const *command, agentcg_granted_fn fn, void *userdata,
		    struct agentcg_error *error);

struct agentcg_finished {
	size_t size;
	uint64_t seq;			/* counts the session's calls */
	const char *call;
	const char *const *command;	/* ends with NULL */
	uint64_t exit_usec;		/* CLOCK_REALTIME, or AGENTCG_UNSET */
	const struct agentcg_result *result;
};

typedef void (*agentcg_finished_fn)(const struct agentcg_finished *finished, void *userdata);

enum {
	AGENTCG_RESULTS_UNTOLD	= 1,	/* each only once, and none that has nothing to tell */
	AGENTCG_RESULTS_FAILED	= 2,	/* only of those that failed */
};

/* The last calls of a session (NULL: the user's own) that ended, the oldest first.  Returns how many. */
int agentcg_results(struct agentcg *cg, const char *session, unsigned int flags,
		    agentcg_finished_fn fn, void *userdata, struct agentcg_error *error);

/* ---- calls -------------------------------------------------------------- */

struct agentcg_call;

struct agentcg_begin {
	size_t size;
	const char *session;		/* one that does not exist is made for the call; NULL: the user's own */
	const char *const *command;	/* ends with NULL; for the status, and to learn from; or NULL */
	uint64_t priority;
	int agent;			/* 1: the framework itself: never held, never killed first */
	const struct agentcg_intent *intent;	/* or NULL */
	const char *parameters;		/* further ones of BeginCall that this library does not know, a JSON object; or NULL */
};

#define AGENTCG_BEGIN_INIT	{ sizeof(struct agentcg_begin), NULL, NULL, AGENTCG_UNSET, 0, NULL, NULL }

/* A group for a call.  It lives until agentcg_call_end(), or agentcg_call_free(), which kills it. */
int agentcg_call_begin(struct agentcg *cg, const struct agentcg_begin *begin,
		       struct agentcg_call **ret, struct agentcg_error *error);

/* These are the call's, until it is freed; what was granted, and the notes, until the next adjust or detach. */
const char *agentcg_call_name(struct agentcg_call *call);	/* SESSION/tool-N */
const char *agentcg_call_cgroup(struct agentcg_call *call);	/* path below the cgroup mount */
int agentcg_call_cgroup_fd(struct agentcg_call *call);		/* its directory, close-on-exec */
const struct agentcg_granted *agentcg_call_granted(struct agentcg_call *call);
const char *agentcg_call_notes(struct agentcg_call *call);	/* what was not granted as asked, a line each; or NULL */
const struct agentcg_result *agentcg_call_result(struct agentcg_call *call);	/* NULL until it has ended */

enum {
	AGENTCG_SPAWN_SETSID	= 1,	/* in a session (of terminals) of its own */
	AGENTCG_SPAWN_SETPGRP	= 2,	/* in a process group of its own */
	AGENTCG_SPAWN_NOWAIT	= 4,	/* do not wait until it executes: what cannot be ends with 127, or 126 */
};

struct agentcg_spawn {
	size_t size;
	const char *const *argv;	/* ends with NULL; argv[0] is looked for in $PATH */
	const char *const *envp;	/* ends with NULL; NULL: our own */
	const char *cwd;		/* or NULL: our own */
	int in, out, err;		/* descriptors, which stay yours; -1: our own */
	unsigned int flags;
};

#define AGENTCG_SPAWN_INIT	{ sizeof(struct agentcg_spawn), NULL, NULL, NULL, -1, -1, -1, 0 }

/*
 * Starts a command that is in the call from its first instruction on, with no
 * signal blocked or handled, and SIGPIPE at its default.  Returns a pidfd, to be
 * closed; @pid may be NULL.  That it cannot be executed is told as exec() has it
 * (-ENOENT, -EACCES, ...).  A call that is held may make this wait.
 */
int agentcg_call_spawn(struct agentcg_call *call, const struct agentcg_spawn *spawn, pid_t *pid,
		       struct agentcg_error *error);

/*
 * Waits for a child of ours, and looks after the call meanwhile: see
 * agentcg_call_fd().  1 and its @status as of waitpid(), or 0 after
 * @timeout_usec.  -ECHILD: somebody else has waited for it.
 */
int agentcg_call_wait(struct agentcg_call *call, int pidfd, uint64_t timeout_usec, int *status,
		      struct agentcg_error *error);

/* Moves a process of ours into the call. */
int agentcg_call_attach(struct agentcg_call *call, int pidfd, struct agentcg_error *error);

/* Asks for something else while it runs; what is not said (AGENTCG_UNSET, NULL) stays. */
int agentcg_call_adjust(struct agentcg_call *call, uint64_t priority, const struct agentcg_intent *intent,
			struct agentcg_error *error);

/* Lets it go on now if it is held.  How many of its tasks did. */
int agentcg_call_release(struct agentcg_call *call, struct agentcg_error *error);

/* From now on it outlives us, if the policy allows (else -EPERM): end it or free it, it goes on. */
int agentcg_call_detach(struct agentcg_call *call, struct agentcg_error *error);

enum { AGENTCG_END_KILL = 1 };	/* also what is detached */

/*
 * Kills what is left of it and tells how it went (@result, or NULL, is the
 * call's).  If the daemon is away it is waited for, 10 s at most.  Whatever
 * comes back, the call has ended, and only agentcg_call_free() is left to do.
 */
int agentcg_call_end(struct agentcg_call *call, unsigned int flags, const struct agentcg_result **result,
		     struct agentcg_error *error);

/* A call that has not ended is killed, unless it is detached. */
void agentcg_call_free(struct agentcg_call *call);

/*
 * When the daemon is restarted, a call must be claimed within 10 s, or it is
 * killed.  Functions that wait or ask do it themselves.  Who waits otherwise
 * polls this descriptor for POLLIN beside its own and calls
 * agentcg_call_dispatch() then, which does not block: 1 all is well, 0 the
 * daemon is away and looked for (and a timeout is kept by us), -ENXIO it is
 * back and does not know the call any more.
 */
int agentcg_call_fd(struct agentcg_call *call);
int agentcg_call_dispatch(struct agentcg_call *call, struct agentcg_error *error);

/* ---- events ------------------------------------------------------------- */

struct agentcg_watch;

struct agentcg_event {
	size_t size;
	const char *event;		/* hold, release, expired, frozen, thawed, killed, timeout, oom, or newer */
	const char *call;
	const char *text;
	uint64_t memory_current;
	uint64_t headroom;		/* of the pool */
	uint64_t time_usec;		/* CLOCK_REALTIME */
	uint64_t lost;			/* events skipped before this one: we read too slowly */
};

typedef void (*agentcg_event_fn)(const struct agentcg_event *event, void *userdata);

/* Events as they happen from now on, of one's own calls; root sees all. */
int agentcg_watch_open(struct agentcg *cg, struct agentcg_watch **ret, struct agentcg_error *error);
void agentcg_watch_close(struct agentcg_watch *watch);

/* To be polled for POLLIN. */
int agentcg_watch_fd(struct agentcg_watch *watch);

/* Hands over what has come, without waiting.  Returns how many; -ENOTCONN: the daemon is gone, open another. */
int agentcg_watch_dispatch(struct agentcg_watch *watch, agentcg_event_fn fn, void *userdata,
			   struct agentcg_error *error);

#ifdef __cplusplus
}
#endif

#endif
