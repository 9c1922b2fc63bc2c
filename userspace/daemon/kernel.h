/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's end of the BPF policy: loads it or takes over the pinned one,
 * writes slots, reads states and events.  Nobody else includes the skeleton.
 */
#ifndef _AGENTCG_KERNEL_H
#define _AGENTCG_KERNEL_H

#include "agentcg.h"
#include "util.h"

struct kernel;

typedef void (*agentcg_kernel_event_t)(const struct agentcg_event *event, void *userdata);

/*
 * Puts the policy in force for pool->cgroup_id, with the pins locked.  1: the pinned one was taken
 * over, slots and states are those of before; 0: loaded anew; negative errno:
 * neither, with the reason and what to do in @why.
 */
int agentcg_kernel_open(struct kernel **ret, const struct agentcg_pool *pool, bool psi,
			agentcg_kernel_event_t on_event, void *userdata, char *why);
/* Lets go of the descriptors; what is pinned stays in force. */
void agentcg_kernel_close(struct kernel *k);

/* Whether the policy is still pinned; `agentcg unload` takes it away. */
bool agentcg_kernel_attached(void);

/* Becomes readable when there are events; then call agentcg_kernel_events(). */
int agentcg_kernel_event_fd(struct kernel *k);
int agentcg_kernel_events(struct kernel *k);

int agentcg_kernel_set_pool(struct kernel *k, const struct agentcg_pool *pool);

/* Slots of groups that were there before; -ENOENT. */
int agentcg_kernel_find_session(struct kernel *k, uint64_t cgroup_id);
int agentcg_kernel_find_call(struct kernel *k, uint64_t cgroup_id);

/* The cgroup_id of what is in a slot; 0: it is free. */
uint64_t agentcg_kernel_session_at(const struct kernel *k, uint32_t slot);
uint64_t agentcg_kernel_call_at(const struct kernel *k, uint32_t slot);

int agentcg_kernel_set_session(struct kernel *k, uint32_t slot, const struct agentcg_session *session);
int agentcg_kernel_clear_session(struct kernel *k, uint32_t slot);

/* A slot that is new for this cgroup starts with a zero state. */
int agentcg_kernel_set_call(struct kernel *k, uint32_t slot, const struct agentcg_call *call);
int agentcg_kernel_clear_call(struct kernel *k, uint32_t slot, uint64_t cgroup_id);
int agentcg_kernel_state(struct kernel *k, uint32_t slot, struct agentcg_state *ret);

/* Make the module know a group; @gate AGENTCG_GATE_OPEN for none. */
int agentcg_kernel_adopt(struct kernel *k, uint64_t cgroup_id, uint64_t gate);
/* Ends the holds of a group; tasks woken or negative errno. */
int agentcg_kernel_release(struct kernel *k, uint64_t cgroup_id);

int agentcg_kernel_counters(struct kernel *k, uint64_t ret[AGENTCG_NR_COUNTERS]);

#endif
