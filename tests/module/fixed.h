/* SPDX-License-Identifier: GPL-2.0-only */
/* Knobs and records of the test policy fixed.bpf.c, in its .bss. */
#ifndef _TEST_FIXED_H
#define _TEST_FIXED_H

struct fixed {
	__u64 asked;		/* calls of get_high_delay_ms */
	__u64 last;		/* cgroup id of the last one */
	__u64 protected_id;	/* group that below_low/below_min speak for */
	__u32 delay_ms;		/* answer of get_high_delay_ms */
	__u32 low;		/* answer of below_low for protected_id */
	__u32 min;		/* ... of below_min */
	__u32 step_pages;	/* move the gate on by so much when asked; 0: not */
};

#endif
