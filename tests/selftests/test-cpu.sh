#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --accel icount --memory 2G --timeout 900
# The kernel's own selftests of the cpu and cpuset controllers give the same results with our scheduler as without, in one
# boot. One that differs runs again on both sides, up to four times: on an emulated machine some are flaky. test_cpucg_max and
# test_cpucg_max_nested fail there without us, too: they allow 10 % in one period of 100 ms.
set -euo pipefail
. tests/lib/tap.sh

built=$PWD/build/out/selftests
load=$PWD/build/out/tests/sched-load
programs=(test_cpu test_cpuset) rounds=3 enough=400
[ -x "$built/test_cpu" ] || { echo "Bail out! nothing built: run also tests/selftests/test-build.sh, as tests/run --only selftests does"; exit 1; }
[ -e /sys/kernel/sched_ext/state ] || { echo "1..0 # SKIP no sched_ext in this kernel"; exit; }
cd /scratch

declare -A without with # "program test" -> outcomes, such as " pass fail"
tests=()

# run SIDE PROGRAM: adds what came out to the array SIDE
# shellcheck disable=SC2004 # it takes SIDE for an array with numbers
run() {
	local -n side=$1
	local line key outcome
	timeout -k 5 200 "$built/$2" >/tmp/output 2>&1 || true
	while read -r line; do
		[[ $line =~ ^(not\ )?ok\ [0-9]+\ (-\ )?(#\ SKIP\ )?([a-z0-9_]+) ]] || continue
		key="$2 ${BASH_REMATCH[4]}"
		if [ -n "${BASH_REMATCH[3]}" ]; then outcome=skip
		elif [ -n "${BASH_REMATCH[1]}" ]; then outcome=fail
		else outcome=pass; fi
		[[ -v without[$key] || -v with[$key] ]] || tests+=("$key")
		side[$key]+=" $outcome"
	done </tmp/output
}

set_of() { tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -u; }

loader=
start() {
	"$load" >/tmp/loaded 2>&1 &
	loader=$!
	eventually 60 grep -q '^loaded$' /tmp/loaded || { sed 's/^/# /' /tmp/loaded; echo "Bail out! our scheduler does not start"; exit 1; }
}

stop() {
	kill $loader
	wait $loader || { sed 's/^/# /' /tmp/loaded; ended=1; }
}

ended=
for ((round = 1; round <= rounds && ${#programs[@]} > 0 && SECONDS < enough; round++)); do
	for p in "${programs[@]}"; do run without "$p"; done
	start
	for p in "${programs[@]}"; do run with "$p"; done
	stop
	again=()
	for p in "${programs[@]}"; do
		for key in "${tests[@]}"; do
			[ "${key%% *}" = "$p" ] || continue
			[ "$(set_of "${without[$key]-}")" = "$(set_of "${with[$key]-}")" ] || { again+=("$p"); break; }
		done
	done
	programs=("${again[@]}")
done

for key in "${tests[@]}"; do
	a=${without[$key]- missing} b=${with[$key]- missing}
	if [ -n "$(comm -13 <(set_of "$a") <(set_of "$b"))" ] && [[ $b != *pass* ]]; then
		not_ok "$key: without:$a, with:$b"
	else
		ok "$key: without:$a, with:$b"
	fi
done
check "the scheduler ran all the time" test -z "$ended"
check "enough was compared (${#tests[@]} tests)" test ${#tests[@]} -ge 12
done_testing
