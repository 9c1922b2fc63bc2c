/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command that agentcg runs: started in a cgroup, given the signals that
 * agentcg gets, waited for.  One at a time, since signals belong to the process.
 */
#ifndef _AGENTCG_CHILD_H
#define _AGENTCG_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct agentcg_child {
	pid_t pid;
	int pidfd;
	int exec_fd;		/* tells why exec failed; -1 once it is done */
	int go_fd;		/* the child waits for a byte; -1 if it does not */
	int exec_errno;
	bool exited;
	int signal;		/* that killed it, or 0 */
	int status;		/* exit status, if not killed */
};

#define AGENTCG_CHILD_NONE ((struct agentcg_child){ .pidfd = -1, .exec_fd = -1, .go_fd = -1 })

/*
 * Starts @argv in the group @cgroup_fd, with at least @oom_score_adj.  From
 * here on signals are passed on.  With @cgroup_fd -1 the child stays where it
 * is and waits for agentcg_child_go().
 */
int agentcg_child_start(struct agentcg_child *c, char **argv, int cgroup_fd, int oom_score_adj);
int agentcg_child_go(struct agentcg_child *c);

/*
 * Waits for the child's end (c->exited), something on @fd (-1: none), or the
 * time @until (CLOCK_MONOTONIC, usec; UINT64_MAX: for ever).  1: @fd is ready.
 */
int agentcg_child_wait(struct agentcg_child *c, int fd, uint64_t until);

/* The exit code for a shell: 127, 126, 128 + n, or the child's own. */
int agentcg_child_exit_code(const struct agentcg_child *c);

/*
 * After Ctrl-C: a shell stops its script only if the command died of the
 * signal, and goes on if it merely returned 130.  Does not return in this case.
 */
void agentcg_child_die_alike(const struct agentcg_child *c);

/* Kills it if it still runs. */
void agentcg_child_done(struct agentcg_child *c);

#endif /* _AGENTCG_CHILD_H */
