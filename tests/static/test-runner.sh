#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root:
# The runner itself: streams of suites that pass, fail, die, or say too little, and what is counted for each.
set -euo pipefail
. tests/lib/tap.sh

logs=$(mktemp -d)

# counts "PASSED FAILED SKIPPED" STREAM: of a run in which the suite "s" was expected
counts() {
	local want=$1 got
	got=$(
		# shellcheck disable=SC2034 # read by report.sh
		verbose=''
		. tests/lib/report.sh
		read_stream s < <(printf '%b' "$2") >"$logs/shown"
		echo "$passed $failed $skipped"
	)
	[ "$got" = "$want" ] || { echo "counted '$got' instead of '$want'"; cat "$logs/shown"; return 1; }
}

ends() { printf '%s' "\n@end s $1 3\n"; }

check "results and a plan" counts "2 0 0" "@suite s\n1..2\nok 1 - a\nok 2\n$(ends 0)"
check "the plan at the end" counts "1 0 0" "@suite s\nok 1 - a\n1..1\n$(ends 0)"
check "a failure" counts "1 1 0" "@suite s\n1..2\nok 1\nnot ok 2 - b\n$(ends 1)"
check "a skip with a reason" counts "1 0 1" "@suite s\n1..2\nok 1\nok 2 - b # SKIP no swap here\n$(ends 0)"
check "a skip without a reason fails" counts "1 1 1" "@suite s\n1..2\nok 1\nok 2 - b # SKIP\n$(ends 0)"
check "a whole suite skipped" counts "0 0 1" "@suite s\n1..0 # SKIP no GPU\n$(ends 4)"
check "a whole suite skipped without a reason fails" counts "0 1 1" "@suite s\n1..0\n$(ends 0)"
check "fewer results than planned fails" counts "1 1 0" "@suite s\n1..2\nok 1\n$(ends 0)"
check "more results than planned fails" counts "2 1 0" "@suite s\n1..1\nok 1\nok 2\n$(ends 0)"
check "no plan fails" counts "1 1 0" "@suite s\nok 1\n$(ends 0)"
check "an exit code without a failure fails" counts "1 1 0" "@suite s\n1..1\nok 1\n$(ends 3)"
check "a timeout fails" counts "1 1 0" "@suite s\n1..1\nok 1\n$(ends 124)"
check "a guest that dies on the way fails" counts "1 1 0" "@suite s\n1..2\nok 1\n"
check "a guest that never starts fails" counts "0 1 0" "vm: cannot\n"
check "a boot that is run again counts once" counts "2 0 0" "@suite s\n1..2\nok 1\nnot ok 2\n@again\n@suite s\n1..2\nok 1\nok 2\n$(ends 0)"
check "... also when it fails again" counts "1 1 0" "@suite s\n1..2\nok 1\nnot ok 2\n@again\n@suite s\n1..2\nok 1\n"
check "Bail out fails" counts "0 2 0" "@suite s\n1..1\nBail out! no module\n$(ends 1)"

fails() { ! "$@"; }
shown() { grep -qx "$1" "$logs/shown"; }
counts "0 1 0" "@suite s\n1..1\n# before\nnot ok 1 - b\n# after\n$(ends 1)"
check "what is said before a failure is shown" shown "s: # before"
check "what is said after a failure is shown" shown "s: # after"

# The table of what took long: longest first, ten lines at most, before the line that counts.
took() {
	verbose=''
	. tests/lib/report.sh
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		read_stream "s$i" "t$i" < <(printf '%b' "@suite s$i\n1..1\nok 1\n\n@end s$i 0 $i\n@suite t$i\n1..1\nok 1\n\n@end t$i 0 50\n@boot b$i $((i * 7 % 13))\n")
	done >/dev/null
	summary
}
(took) >"$logs/took"
check "what took longest is the first line of the table" grep -qx '#     12  b11 (t11 50, s11 11)' <(sed -n 2p "$logs/took")
check "... which gets shorter" diff <(seq 12 -1 3) <(awk 'NR > 1 && /^#/ { print $2 }' "$logs/took")
check "... and the count is the last line" test "$(tail -n 1 "$logs/took")" = "24 passed, 0 failed, 0 skipped"

printf 'Linux version 7.2\r\nagentcg: loading out-of-tree module taints kernel.\n' >"$logs/console"
splats() { tests/lib/splats "$logs/console" | grep "^$1 1 " >/dev/null; }
check "a quiet kernel passes" splats ok
printf 'eater invoked oom-killer: gfp_mask=0xcc0\nCall Trace:\n <TASK>\n' >>"$logs/console"
check "an OOM report is no splat" splats ok
cp "$logs/console" "$logs/oom"
for splat in 'WARNING: CPU: 0 PID: 1 at mm/memcontrol.c:1' 'BUG: kernel NULL pointer dereference' \
	'INFO: task sh:12 blocked for more than 120 seconds' 'Oops: 0000 [#1]' 'WARNING: possible circular locking'; do
	{ cat "$logs/oom"; echo "[    5.1] $splat"; } >"$logs/console"
	check "a splat: $splat" splats "not ok"
done
stale() { tests/lib/stale-breakpoint "$logs/console"; }
code() { printf '[ 1.2] Oops: int3: 0000 [#1] SMP\r\n[ 1.2] RIP: 0010:__schedule+0x634/0x1070\r\n[ 1.2] Code: 89 c7 %s <0b> 49\r\n' "$1"; }
code eb >"$logs/console"
check "a breakpoint that is not in memory is the emulator's" stale
code cc >"$logs/console"
check "... one that is there is not" fails stale
{ cat "$logs/oom"; echo 'BUG: kernel NULL pointer dereference'; code eb; } >"$logs/console"
check "... nor what follows another report" fails stale
cp "$logs/oom" "$logs/console"
check "... nor a quiet kernel" fails stale
rm "$logs/console"
check "... nor none" fails stale
check "no console log is a failure" splats "not ok"

done_testing
