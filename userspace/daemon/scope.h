/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where systemd is PID 1 the cgroup tree is its own, and what is ours must be
 * delegated.  The daemon's service cannot be it: systemd starts a service in
 * the service's group, and that fails while calls of the daemon before live
 * below it.  So there is a scope, which lives as long as a process does: one
 * that only waits, in the leaf "holder".
 */
#ifndef _AGENTCG_SCOPE_H
#define _AGENTCG_SCOPE_H

/* Finds or makes the scope; its path below the cgroup mount. */
int agentcg_scope_open(const char *mount, char **ret);

#endif
