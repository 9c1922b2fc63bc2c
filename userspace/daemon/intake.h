/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How much of what clients send is taken in.  libsystemd keeps up to 16 MiB and
 * 16384 descriptors of a message for each connection, and has no knob: with the
 * connections that one user may have, that is all memory and every descriptor.
 * So recvmsg() of this program, which the library calls as it calls the one of
 * libc, counts (intake.c); only for sockets that are watched, and exactly.
 *
 * Who sends more gets LimitExceeded and is hung up on.
 */
#ifndef _AGENTCG_INTAKE_H
#define _AGENTCG_INTAKE_H

#include "util.h"

/* A message: what a command line (128 KiB a word) and an intent can need, with some room. */
#define AGENTCG_MESSAGE_MAX		MIB
/* More than any method takes. */
#define AGENTCG_MESSAGE_FDS_MAX		8
/* All connections together: beyond this only messages that are short. */
#define AGENTCG_INTAKE_MAX		(128 * MIB)
#define AGENTCG_INTAKE_SHORT		(64 * KIB)

/* @fd has been accepted; or is closed, which may be told once. */
void agentcg_intake_watch(int fd);
void agentcg_intake_forget(int fd);
/* Bytes that the library may be keeping for all connections. */
uint64_t agentcg_intake_kept(void);

/*
 * Pure: @pending bytes of a message were there, @n more came.  How many of a
 * message are there now, and in @longest the length of the longest one seen.
 */
size_t agentcg_intake_count(size_t pending, const char *bytes, size_t n, size_t *longest);

#endif
