/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Access to the cgroup v2 tree.  Groups are named by a descriptor of their
 * directory, so that nothing can change below a path.  No policy in here.
 */
#ifndef _AGENTCG_CGROUP_H
#define _AGENTCG_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util.h"

#define AGENTCG_CGROUP_MAX	UINT64_MAX	/* "max" in a file */

/* The session's and the leaf's directories remember as JSON what they are. */
#define AGENTCG_CGROUP_XATTR	"trusted.agentcg"

/* Where cgroup v2 is mounted ("/sys/fs/cgroup"), or -ENOENT. */
int agentcg_cgroup_mount(char **ret);
/* The path of @pid's group below the mount ("/a/b"); 0: the caller's. */
int agentcg_cgroup_of_pid(pid_t pid, char **ret);
/* A descriptor of the directory @path in @dirfd (or AT_FDCWD). */
int agentcg_cgroup_open(int dirfd, const char *path);
/* The kernel's id of the group. */
int agentcg_cgroup_id(int dirfd, uint64_t *ret);

/* One line or all of a file, without the last newline; its length or errno. */
ssize_t agentcg_cgroup_read(int dirfd, const char *file, char *buf, size_t size);
int agentcg_cgroup_read_u64(int dirfd, const char *file, uint64_t *ret);
/* The number after @key in a flat keyed file, such as memory.events. */
int agentcg_cgroup_read_key(int dirfd, const char *file, const char *key, uint64_t *ret);
/* The same in text that has been read before; -ENODATA if it is not there. */
int agentcg_cgroup_find_key(const char *text, const char *key, uint64_t *ret);
int agentcg_cgroup_write(int dirfd, const char *file, const char *text);
int agentcg_cgroup_write_u64(int dirfd, const char *file, uint64_t value);

/* Hands @controller ("memory") to the children; -EOPNOTSUPP: there is none. */
int agentcg_cgroup_enable(int dirfd, const char *controller);
/* Whether @controller is there for this group. */
bool agentcg_cgroup_has(int dirfd, const char *controller);
/* 1 if it or a descendant has processes, 0 if not. */
int agentcg_cgroup_populated(int dirfd);
/* SIGKILL to everything in it, descendants too, forks that race included. */
int agentcg_cgroup_kill(int dirfd);
int agentcg_cgroup_freeze(int dirfd, bool freeze);
/* Moves a process (@pid 0: the caller). */
int agentcg_cgroup_attach(int dirfd, pid_t pid);
/*
 * Mounts cgroup v2 anew with "favordynmods" added: moving a process then locks that
 * process alone and does not wait for an RCU grace period (kernel/cgroup/cgroup.c).
 */
int agentcg_cgroup_favor_dynmods(void);
/* Removes the empty group @name in @dirfd and empty groups below it. */
int agentcg_cgroup_remove(int dirfd, const char *name);

/* The xattr as text, or -ENODATA. */
int agentcg_cgroup_get_note(int dirfd, char **ret);
int agentcg_cgroup_set_note(int dirfd, const char *text);
int agentcg_cgroup_drop_note(int dirfd);

#endif /* _AGENTCG_CGROUP_H */
