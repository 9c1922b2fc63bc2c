/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM agentcg

#if !defined(_AGENTCG_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _AGENTCG_TRACE_H

#include <linux/tracepoint.h>

/* The task of the record is the one that is held. */
TRACE_EVENT(hold_begin,
	TP_PROTO(u64 cgroup, unsigned int delay_ms),
	TP_ARGS(cgroup, delay_ms),
	TP_STRUCT__entry(
		__field(u64, cgroup)
		__field(unsigned int, delay_ms)
	),
	TP_fast_assign(
		__entry->cgroup = cgroup;
		__entry->delay_ms = delay_ms;
	),
	TP_printk("cgroup=%llu delay_ms=%u", __entry->cgroup, __entry->delay_ms)
);

/* end: enum agentcg_hold_end in uapi/agentcg.h. */
TRACE_EVENT(hold_end,
	TP_PROTO(u64 cgroup, u64 held_ns, int end),
	TP_ARGS(cgroup, held_ns, end),
	TP_STRUCT__entry(
		__field(u64, cgroup)
		__field(u64, held_ns)
		__field(int, end)
	),
	TP_fast_assign(
		__entry->cgroup = cgroup;
		__entry->held_ns = held_ns;
		__entry->end = end;
	),
	TP_printk("cgroup=%llu held_ns=%llu end=%s", __entry->cgroup, __entry->held_ns,
		  __print_symbolic(__entry->end,
				   { 0, "deadline" }, { 1, "released" },
				   { 2, "signal" }, { 3, "detached" }))
);

TRACE_EVENT(protect,
	TP_PROTO(u64 cgroup, int level, unsigned long pages),
	TP_ARGS(cgroup, level, pages),
	TP_STRUCT__entry(
		__field(u64, cgroup)
		__field(int, level)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__entry->cgroup = cgroup;
		__entry->level = level;
		__entry->pages = pages;
	),
	TP_printk("cgroup=%llu level=%s pages=%lu", __entry->cgroup,
		  __print_symbolic(__entry->level, { 1, "low" }, { 2, "min" }),
		  __entry->pages)
);

/* The task of the record moved into the leaf, or could not: error. */
TRACE_EVENT(place,
	TP_PROTO(u64 cgroup, int error),
	TP_ARGS(cgroup, error),
	TP_STRUCT__entry(
		__field(u64, cgroup)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->cgroup = cgroup;
		__entry->error = error;
	),
	TP_printk("cgroup=%llu error=%d", __entry->cgroup, __entry->error)
);

#endif /* _AGENTCG_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
