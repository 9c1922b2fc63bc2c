/* SPDX-License-Identifier: MIT */
/* What the files of libagentcg share; none of it is exported. */
#ifndef LIBAGENTCG_INTERNAL_H
#define LIBAGENTCG_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-json.h>
#include <systemd/sd-varlink.h>

#include "agentcg/agentcg.h"

#define EXPORT			__attribute__((visibility("default")))
#define CLEANUP(f)		__attribute__((cleanup(f)))
#define COUNT(array)		(sizeof(array) / sizeof((array)[0]))

#define NAME_PREFIX		"io.agentcg."
#define SECOND			UINT64_C(1000000)
/* An end takes 10 s at most. */
#define REPLY_USEC		(45 * SECOND)
/* So long does a daemon that was restarted wait for its clients. */
#define CLAIM_USEC		(10 * SECOND)
#define RETRY_USEC		(SECOND / 10)
#define RETRY_SLOW_USEC		SECOND
/* What waits looks around as often, since others may use the call meanwhile. */
#define SLICE_USEC		SECOND

static inline void json_unref(sd_json_variant **v)
{
	sd_json_variant_unref(*v);
}

static inline void free_text(char **text)
{
	free(*text);
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void unlock(pthread_mutex_t **lock)
{
	if (*lock)
		pthread_mutex_unlock(*lock);
}

/* Holds the object's lock until the end of the block. */
#define LOCKED(object)								\
	CLEANUP(unlock) pthread_mutex_t *locked = &(object)->lock;		\
	pthread_mutex_lock(locked)

static inline uint64_t now_monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec / 1000;
}

static inline uint64_t later(uint64_t now, uint64_t usec)
{
	return usec >= UINT64_MAX - now ? UINT64_MAX : now + usec;
}

/* ---- error.c ------------------------------------------------------------ */

/* Fills @error, if it is not NULL, and returns @code. */
int fail(struct agentcg_error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for something of the caller's that is wrong: -EINVAL. */
int fail_field(struct agentcg_error *error, const char *field, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* An error that the daemon sent. */
int fail_reply(struct agentcg_error *error, const char *name, sd_json_variant *parameters);

/* 0, or -EINVAL or -E2BIG for a struct that does not begin with a size we know. */
int check_size(const char *what, size_t size, size_t ours, struct agentcg_error *error);

/* ---- link.c: a connection, to be used with its owner's lock held ------- */

int link_open(const char *socket, uint64_t timeout, sd_varlink **ret, struct agentcg_error *error);

/*
 * @ret (or NULL) is the link's until the next request.  -ENOTCONN, -ETIMEDOUT:
 * the link is of no use any more.
 */
int link_request(sd_varlink *link, const char *method, sd_json_variant *parameters, const int *fds,
		 size_t nr_fds, sd_json_variant **ret, struct agentcg_error *error);

/* Whether the daemon hung up. */
bool link_is_dead(sd_varlink *link);

/* ---- read.c: what replies say ------------------------------------------- */

const char *read_text(sd_json_variant *v, const char *key);
uint64_t read_u64(sd_json_variant *v, const char *key, uint64_t otherwise);
bool read_bool(sd_json_variant *v, const char *key);

/* Texts in what these fill are @v's. */
int read_granted(sd_json_variant *v, struct agentcg_granted *ret, struct agentcg_error *error);
int read_result(sd_json_variant *v, bool running, struct agentcg_result *ret, struct agentcg_error *error);

/* An array of texts, ending with NULL, to be given to free(); they are @v's. */
int read_words(sd_json_variant *v, const char ***ret);

/* An array of texts as lines; NULL if there are none. */
int read_lines(sd_json_variant *v, char **ret);

/* ---- intent.c: what requests say ---------------------------------------- */

/* @text must be a JSON object; @field names it in errors. */
int parse_object(const char *field, const char *text, sd_json_variant **ret, struct agentcg_error *error);

/* @ret stays NULL where nothing is said. */
int build_intent(const struct agentcg_intent *intent, sd_json_variant **ret, struct agentcg_error *error);

/* The beginning of a command line: as much as the daemon keeps, and UTF-8. */
int build_command(const char *const *command, sd_json_variant **ret);

/* Leaves out AGENTCG_UNSET; others must be what JSON's integers can hold. */
int put_u64(sd_json_variant **v, const char *key, uint64_t value, struct agentcg_error *error);
int put_text(sd_json_variant **v, const char *key, const char *value, struct agentcg_error *error);
int put_flag(sd_json_variant **v, const char *key, bool value, struct agentcg_error *error);
int put_variant(sd_json_variant **v, const char *key, sd_json_variant *value, struct agentcg_error *error);

/* ---- session.c ---------------------------------------------------------- */

struct agentcg {
	pthread_mutex_t lock;
	char *socket;
	uint64_t timeout;
	sd_varlink *link;		/* NULL: to be made again */
};

/* ---- call.c ------------------------------------------------------------- */

struct agentcg_call {
	pthread_mutex_t lock;
	char *socket;
	uint64_t timeout;
	sd_varlink *link;		/* NULL while the daemon is away */
	char *name;
	char *cgroup;
	int cgroup_fd;
	char *notes;
	sd_json_variant *granted_json, *result_json;	/* have the texts of these: */
	struct agentcg_granted granted;
	struct agentcg_result result;
	uint64_t began;			/* these are CLOCK_MONOTONIC */
	uint64_t deadline;		/* of its timeout */
	uint64_t retry;			/* when to look for the daemon again */
	uint64_t give_up;		/* until then it is waited for */
	int epoll_fd, timer_fd;		/* of agentcg_call_fd(); -1: nobody asked */
	bool orphaned;			/* the daemon is back and does not know it */
	bool overdue;			/* its time was up while the daemon was away */
	bool ended;
	bool finished;			/* with a result */
};

/* The socket to watch for POLLRDHUP, or -1; takes the lock. */
int call_socket(struct agentcg_call *call);

/* Claims the call if need be, kills it if its time is up and the daemon away; as agentcg_call_dispatch(). */
int call_tend(struct agentcg_call *call, struct agentcg_error *error);

/* Whether its time was up while the daemon was away. */
bool call_is_overdue(struct agentcg_call *call);

#endif
