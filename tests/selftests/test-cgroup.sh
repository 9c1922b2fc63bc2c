#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --accel icount --memory 2G --timeout 1200
# The kernel's own cgroup selftests give the same results with the module loaded and the memory policy attached to the root
# cgroup as without, in one boot.
set -euo pipefail
. tests/lib/tap.sh
. tests/selftests/compare.sh

ko=$PWD/build/out/module/7.2/agentcg.ko
need_built attach
cd /scratch

attach=

begin_ours() {
	insmod "$ko"
	"$built/attach" /sys/fs/cgroup >/tmp/attached 2>&1 &
	attach=$!
	eventually 30 grep -q '^attached$' /tmp/attached || { sed 's/^/# /' /tmp/attached; echo "Bail out! no policy attached"; exit 1; }
}

end_ours() {
	kill "$attach"
	wait "$attach" || echo "# the loader ended with exit code $?"
	grep -v '^attached$' /tmp/attached >>/tmp/runs || true
	eventually 60 rmmod agentcg 2>/dev/null
}

compare 6 600 test_core test_memcontrol test_freezer test_kill test_pids
judge
# Or the comparison would be one of nothing with nothing.
asked() { awk -v name="$1" '$1 == name { sum += $2 } END { exit !(sum > 0) }' /tmp/runs; }
check "enough was compared (${#tests[@]} tests)" test ${#tests[@]} -ge 40
for callback in get_high_delay_ms below_low below_min; do
	check "meanwhile the policy was asked: $callback" asked $callback
done
sed 's/^/# ran: /' /tmp/runs
done_testing
