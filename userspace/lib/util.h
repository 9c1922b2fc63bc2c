/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small things that every file of the user space needs: cleanup attributes in
 * place of labels, and a place for the reason of a refusal.
 */
#ifndef _AGENTCG_UTIL_H
#define _AGENTCG_UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AGENTCG_VERSION		"0.1.0"

#define _cleanup_(f)		__attribute__((cleanup(f)))
#define _printf_(a, b)		__attribute__((format(printf, a, b)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))

#define USEC_PER_MSEC		1000ULL
#define USEC_PER_SEC		1000000ULL
#define NSEC_PER_USEC		1000ULL

#define KIB			1024ULL
#define MIB			(1024ULL * KIB)
#define GIB			(1024ULL * MIB)
#define TIB			(1024ULL * GIB)

/*
 * A sentence that says why something was refused and what to do instead.
 * Functions that take one write it when they fail; NULL is allowed.
 */
#define AGENTCG_WHY_MAX		512

/* Writes a sentence to @why (AGENTCG_WHY_MAX, or NULL) and returns @error. */
int agentcg_why(int error, char *why, const char *format, ...) _printf_(3, 4);

/*
 * In a child that goes on without exec: closes all but stdin, stdout, stderr, @a and @b (-1: nothing). What it kept of
 * a daemon's sockets would be open when that has gone, and nobody there.
 */
void agentcg_close_others(int a, int b);

static inline void agentcg_freep(void *p)
{
	free(*(void **)p);
}

static inline void agentcg_closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void agentcg_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_		_cleanup_(agentcg_freep)
#define _cleanup_close_		_cleanup_(agentcg_closep)
#define _cleanup_fclose_	_cleanup_(agentcg_fclosep)

#define TAKE_PTR(p)						\
	({							\
		__auto_type _p = &(p);				\
		__auto_type _v = *_p;				\
		*_p = NULL;					\
		_v;						\
	})

#define TAKE_FD(fd)						\
	({							\
		int *_p = &(fd), _v = *_p;			\
		*_p = -1;					\
		_v;						\
	})

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* The rest of @s after @prefix, or NULL. */
static inline const char *startswith(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t now_usec(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / NSEC_PER_USEC;
}

#endif /* _AGENTCG_UTIL_H */
