#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --accel icount --memory 2G --timeout 900
# The kernel's own sched_ext selftests pass on a machine where our scheduler has been, as they did before.
#
# All of them take four minutes on an emulated machine, most of it in a few that wait or that race by intention, so those
# are left out unless FULL=1: what they test (RT stalls, hotplug, init of thousands of tasks) has nothing to do with what
# another scheduler may have left behind.
set -euo pipefail
. tests/lib/tap.sh

runner=$PWD/build/out/selftests/sched_ext/runner
load=$PWD/build/out/tests/sched-load
slow=' dequeue hotplug init_enable_count rt_stall total_bw reload_loop cyclic_kick_wait '
[ -x "$runner" ] || { echo "Bail out! nothing built: run also tests/selftests/test-build.sh, as tests/run --only selftests does"; exit 1; }
[ -e /sys/kernel/sched_ext/state ] || { echo "1..0 # SKIP no sched_ext in this kernel"; exit; }
cd /scratch

wanted() { [ -n "${FULL-}" ] || [[ $slow != *" $1 "* ]]; }

# -l lists them with an indent; a name selects all tests that contain it, so what it selected is taken from the output.
mapfile -t names < <("$runner" -l | sed -nE 's/^\s*([a-z_]+):?.*/\1/p')

# run SIDE NAME: adds what came out to the array SIDE
# shellcheck disable=SC2004,SC2034 # it does not see what SIDE stands for
run() {
	local -n side=$1
	local line
	timeout -k 5 120 "$runner" -t "$2" >/tmp/output 2>&1 || true
	while read -r line; do
		[[ $line =~ ^(not\ )?ok\ [0-9]+\ ([a-z_]+)\ #\ ?(SKIP)? ]] || continue
		[ "${BASH_REMATCH[2]}" = "$2" ] || continue
		if [ -n "${BASH_REMATCH[3]}" ]; then side[$2]=skip
		elif [ -n "${BASH_REMATCH[1]}" ]; then side[$2]=fail
		else side[$2]=pass; fi
	done </tmp/output
}

# Ours, with something to schedule, for a while.
ours() {
	local loader
	"$load" >/tmp/loaded 2>&1 &
	loader=$!
	eventually 60 grep -q '^loaded$' /tmp/loaded || { cat /tmp/loaded; return 1; }
	timeout 3 bash -c 'for i in 1 2 3; do (while :; do :; done) & done; wait' || true
	[ "$(cat /sys/kernel/sched_ext/state)" = enabled ] || return 1
	kill $loader
	wait $loader
	eventually 10 grep -q disabled /sys/kernel/sched_ext/state
}

declare -A before after
for name in "${names[@]}"; do ! wanted "$name" || run before "$name"; done
check "our scheduler runs in between" ours
for name in "${names[@]}"; do
	if ! wanted "$name"; then
		echo "# left out: $name"
		continue
	fi
	run after "$name"
	if [ "${after[$name]-missing}" = skip ] && [ "${before[$name]-}" = skip ]; then
		skip "$name" "the test itself does, before and after"
	elif [ "${after[$name]-missing}" = pass ]; then
		ok "$name passes afterwards (before: ${before[$name]-missing})"
	else
		not_ok "$name: ${after[$name]-missing} afterwards, before: ${before[$name]-missing}"
		tail -n 20 /tmp/output | sed 's/^/# /'
	fi
done
check "enough was compared (${#after[@]} tests)" test ${#after[@]} -ge 15
done_testing
