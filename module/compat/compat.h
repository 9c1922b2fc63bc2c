/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that differs between the supported kernels (6.12 to 7.3).  Each entry
 * says which version ends it.
 */
#ifndef _AGENTCG_COMPAT_H
#define _AGENTCG_COMPAT_H

#include <linux/btf.h>
#include <linux/fprobe.h>
#include <linux/version.h>

/*
 * Until 6.13 fprobe handlers get pt_regs; since 6.14 they get ftrace_regs,
 * because fprobe moved from rethook to function graph.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 14, 0)
#define agentcg_probe_regs	pt_regs
#define agentcg_probe_arg(regs, n) regs_get_kernel_argument(regs, n)
#else
#define agentcg_probe_regs	ftrace_regs
#define agentcg_probe_arg(regs, n) ftrace_regs_get_argument(regs, n)
#endif

/*
 * Until 6.15 mem_cgroup_handle_over_high() runs on every return to user mode
 * that has work to do; later kernels inline the test for pending pages and
 * call the rest only when there are some.
 */
#define AGENTCG_OVER_HIGH_OLD	"mem_cgroup_handle_over_high"
#define AGENTCG_OVER_HIGH_NEW	"__mem_cgroup_handle_over_high"

#endif /* _AGENTCG_COMPAT_H */
