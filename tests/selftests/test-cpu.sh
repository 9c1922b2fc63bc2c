#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --accel icount --memory 2G --timeout 900
# The kernel's own selftests of the cpu and cpuset controllers give the same results with our scheduler as without.
# test_cpucg_max and test_cpucg_max_nested fail there without us, too: they allow 10 % in one period of 100 ms.
set -euo pipefail
. tests/lib/tap.sh
. tests/selftests/compare.sh

load=$PWD/build/out/tests/sched-load
need_built test_cpu
[ -e /sys/kernel/sched_ext/state ] || { echo "1..0 # SKIP no sched_ext in this kernel"; exit; }
cd /scratch

loader='' ended=''
begin_ours() {
	"$load" >/tmp/loaded 2>&1 &
	loader=$!
	eventually 60 grep -q '^loaded$' /tmp/loaded || { sed 's/^/# /' /tmp/loaded; echo "Bail out! our scheduler does not start"; exit 1; }
}

end_ours() {
	kill $loader
	wait $loader || { sed 's/^/# /' /tmp/loaded; ended=1; }
}

compare 3 400 test_cpu test_cpuset
judge
check "the scheduler ran all the time" test -z "$ended"
check "enough was compared (${#tests[@]} tests)" test ${#tests[@]} -ge 12
done_testing
