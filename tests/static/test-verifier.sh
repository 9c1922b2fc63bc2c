#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root: --timeout 60
# No BPF program comes near what the kernel's verifier is willing to follow, a million instructions. Half of that leaves room
# for kernels that follow more than the one that scripts/verifier boots. Reads what it found when the programs were built.
set -euo pipefail
. tests/lib/tap.sh

table=build/out/bpf/verifier.txt
limit=500000
shopt -s nullglob
objects=(build/out/bpf/*.bpf.o)

current() {
	local o
	[ -s $table ] || { echo "there is no $table; say: make build"; return; }
	for o in "${objects[@]}"; do
		[ ! "$o" -nt $table ] || echo "$o is newer than $table; say: make build"
	done
}

# Each object has programs in the table, and each line a number to compare.
unmeasured() {
	local o
	for o in "${objects[@]}"; do
		awk -v o="${o##*/}" '$1 == o && $3 ~ /^[1-9][0-9]*$/ { found = 1 } END { exit !found }' $table || echo "${o##*/}"
	done
	awk 'NR > 1 && $3 !~ /^[1-9][0-9]*$/' $table
}

expensive() { awk -v limit=$limit 'NR > 1 && $3 > limit { print $1, $2 " takes " $3 " instructions" }' $table; }

check "there are BPF objects (${#objects[@]})" test ${#objects[@]} -ge 2
nothing "the table is of the programs as they were built" current
nothing "every object was measured" unmeasured
nothing "no program takes the verifier more than $limit instructions" expensive

done_testing
