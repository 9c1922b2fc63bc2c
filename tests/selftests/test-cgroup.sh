#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --accel icount --memory 2G --timeout 1200
# The kernel's own cgroup selftests give the same results with the module loaded and the memory policy attached to the root
# cgroup as without, in one boot.
#
# Some of them are flaky, most of all under emulation (they give the kernel 100 ms here and there). A program with a test
# that came out differently runs again on both sides, until the sets of outcomes are the same, or for the 6th time, or after
# ten minutes. A test passes when it never came out in a way with the policy that it did not also come out without; all
# outcomes are shown where they differ.
set -euo pipefail
. tests/lib/tap.sh

programs=(test_core test_memcontrol test_freezer test_kill test_pids)
rounds=6 enough=600
built=$PWD/build/out/selftests
ko=$PWD/build/out/module/7.2/agentcg.ko
[ -x "$built/attach" ] || { echo "Bail out! nothing built: run also tests/selftests/test-build.sh, as tests/run --only selftests does"; exit 1; }
cd /scratch

declare -A without with # "program test" -> outcomes, such as " pass fail"
tests=()                # "program test", in order
attach=

load() {
	insmod "$ko"
	"$built/attach" /sys/fs/cgroup >/tmp/attached 2>&1 &
	attach=$!
	eventually 30 grep -q '^attached$' /tmp/attached || { sed 's/^/# /' /tmp/attached; echo "Bail out! no policy attached"; exit 1; }
}

unload() {
	kill "$attach"
	wait "$attach" || echo "# the loader ended with exit code $?"
	grep -v '^attached$' /tmp/attached >>/tmp/runs || true
	eventually 60 rmmod agentcg 2>/dev/null
}

# run SIDE PROGRAM: adds what came out to the array SIDE
# shellcheck disable=SC2004 # it takes SIDE for an array with numbers
run() {
	local -n side=$1
	local program=$2 rc=0 line key outcome
	timeout -k 5 150 "$built/$program" >/tmp/output 2>&1 || rc=$?
	while read -r line; do
		[[ $line =~ ^(not\ )?ok\ [0-9]+\ (-\ )?(#\ SKIP\ )?([a-z0-9_]+) ]] || continue
		key="$program ${BASH_REMATCH[4]}"
		if [ -n "${BASH_REMATCH[3]}" ]; then outcome=skip
		elif [ -n "${BASH_REMATCH[1]}" ]; then outcome=fail
		else outcome=pass; fi
		[[ -v without[$key] || -v with[$key] ]] || tests+=("$key")
		side[$key]+=" $outcome"
	done </tmp/output
	# the exit code says whether all passed, which the lines do too: what matters is whether the program came to its end
	case $rc in 0 | 1 | 4) outcome=end ;; *) outcome=died-$rc ;; esac
	key="$program (to its end)"
	[[ -v without[$key] || -v with[$key] ]] || tests+=("$key")
	side[$key]+=" $outcome"
}

set_of() { tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -u; }

# Does the test need another round?
differs() { [ "$(set_of "${without[$1]-}")" != "$(set_of "${with[$1]-}")" ]; }

for ((round = 1; round <= rounds && ${#programs[@]} > 0 && SECONDS < enough; round++)); do
	for p in "${programs[@]}"; do run without "$p"; done
	load
	for p in "${programs[@]}"; do run with "$p"; done
	unload
	again=()
	for p in "${programs[@]}"; do
		for key in "${tests[@]}"; do
			if [ "${key%% *}" = "$p" ] && differs "$key"; then
				again+=("$p")
				break
			fi
		done
	done
	programs=("${again[@]}")
done

for key in "${tests[@]}"; do
	a=${without[$key]- missing} b=${with[$key]- missing}
	new=$(comm -13 <(set_of "$a") <(set_of "$b"))
	if [ -n "$new" ]; then
		not_ok "$key: without:$a, with:$b"
	elif [ "$(set_of "$a $b" | wc -l)" -gt 1 ]; then
		ok "$key: flaky, without:$a, with:$b"
	else
		read -r a _ <<<"$a"
		ok "$key: $a on both sides"
	fi
done
# Or the comparison would be one of nothing with nothing.
asked() { awk -v name="$1" '$1 == name { sum += $2 } END { exit !(sum > 0) }' /tmp/runs; }
check "enough was compared (${#tests[@]} tests)" test ${#tests[@]} -ge 40
for callback in get_high_delay_ms below_low below_min; do
	check "meanwhile the policy was asked: $callback" asked $callback
done
sed 's/^/# ran: /' /tmp/runs
done_testing
