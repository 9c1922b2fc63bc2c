/* SPDX-License-Identifier: GPL-2.0-only */
/* The kfuncs of agentcg.ko; contracts in module/group.c and place.c. */
#ifndef _AGENTCG_KFUNCS_BPF_H
#define _AGENTCG_KFUNCS_BPF_H

extern int agentcg_add(__u64 id) __ksym;
extern __s64 agentcg_usage(__u64 id) __ksym;
extern int agentcg_gate(__u64 id, __u64 bytes) __ksym;
extern int agentcg_release(__u64 id) __ksym;
extern int agentcg_leaf(__u64 id, __u32 fd, __s32 oom_score_adj) __ksym;
extern int agentcg_place(__u32 pid, __u64 start, __u64 leaf, __u64 key) __ksym;
extern int agentcg_wake(__u64 key, __u64 leaf) __ksym;

#endif
