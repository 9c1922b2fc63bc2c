/* SPDX-License-Identifier: GPL-2.0-only */
/* The driver's library in a process, and where its functions are in the file. */
#ifndef _AGENTCG_LIBRARY_H
#define _AGENTCG_LIBRARY_H

#include <limits.h>
#include <sys/types.h>

#include "util.h"

/*
 * A path that opens the file that the process @pid has mapped executable as one of the name @name with anything after
 * it ("libcuda.so"), whatever its mount namespace and be the file deleted.  -ENOENT: it has none, now.
 */
int agentcg_library_find(pid_t pid, const char *name, char ret[PATH_MAX]);

/*
 * File offsets of the functions @names (NULL ends) among the dynamic symbols of the 64-bit ELF file @path, which is not
 * trusted.  @offsets[i] and @which[i], for as many as are returned: the function @names[which[i]]; no offset twice.
 */
int agentcg_library_symbols(const char *path, const char *const *names, unsigned long *offsets, unsigned int *which, size_t max);

#endif
