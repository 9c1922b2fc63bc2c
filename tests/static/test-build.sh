#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root: --timeout 900
# The module compiles on each kernel without a warning (W=1), without one of sparse, and needs no symbol that the kernel
# does not export. In a copy, because a build with W=1 leaves other objects than module/Makefile does.
set -euo pipefail
. tests/lib/tap.sh

work=$(mktemp -d)

headers() { ls -d /lib/modules/"$1"[.-]*/build; }

# compile SERIES: into $work/SERIES, with the log beside it
compile() {
	mkdir -p "$work/$1"
	cp -r Kbuild module "$work/$1"
	# KBUILD_CHECKSRC=2 is what C=2 sets, but from 7.2 on only after a script that Debian's headers lack has agreed.
	# -Wno-context: sparse does not follow guard(); unlocking that the compiler does is an imbalance to it.
	make -C "$(headers "$1")" M="$work/$1" KERNELDOC=true W=1 KBUILD_CHECKSRC=2 CHECK="sparse -Wno-context" modules \
		>"$work/$1.log" 2>&1 || { cat "$work/$1.log"; return 1; }
}

# What the compiler, modpost and sparse say about our files; sparse also reads the kernel's headers, which are not ours.
# kfuncs are declared for BPF only: gcc is told so by __bpf_kfunc_start_defs(), sparse cannot be.
complaints() {
	grep -E '(^|/)(module/|agentcg)[^ ]*: |^(WARNING|ERROR): modpost|undefined!' "$work/$1.log" |
		grep -iE 'warning|error|undefined' |
		grep -v "module/kfuncs.c:.*symbol 'agentcg_.* was not declared" || true
}

# Each symbol that agentcg.ko wants must be one that vmlinux or a module exports: modpost says so too, but only warns
# where KBUILD_MODPOST_WARN is set.
unexported() {
	local undefined exported
	undefined=$(nm -u "$work/$1/agentcg.ko" | awk '{ print $2 }' | sort)
	exported=$(awk '{ print $2 }' "$(headers "$1")/Module.symvers" | sort)
	[ -n "$undefined" ] && [ -n "$exported" ] || { echo "no symbols to compare"; return 1; }
	comm -23 <(echo "$undefined") <(echo "$exported")
}

for series in 6.12 7.2 7.3; do
	check "the module compiles on $series" compile $series
	nothing "no warning of the compiler (W=1), modpost or sparse on $series" complaints $series
	check "sparse has looked at the sources on $series" grep -q 'CHECK .*module/main.c' "$work/$series.log"
	nothing "only exported symbols on $series" unexported $series
done

done_testing
