#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Shells and frameworks that know nothing of this, attached: every tool call in a leaf of its own; tickets.
# vm: --boot attach --accel icount --memory 2G --timeout 450
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=600Mi
[Call]
MemoryMax=150Mi
[CPU]
Scheduler=none
X
start_daemon
is "nothing is remounted before anybody is attached" "$(grep -c favordynmods /proc/mounts)" 0
coproc driver { exec python3 tests/system/attach.py "$agentcg" 2>"$work/driver.err"; }
# shellcheck disable=SC2154 # of coproc
exec {from}<&"${driver[0]}" {to}>&"${driver[1]}"
# shellcheck disable=SC2154
wait_for=$driver_PID
while IFS= read -r -u "$from" line; do
	case $line in
	"ok - "*) ok "${line#ok - }" ;;
	"not ok - "*) not_ok "${line#not ok - }" ;;
	restart)
		kill_daemon KILL
		start_daemon
		echo >&"$to" ;;
	*) echo "# $line" ;;
	esac
done
wait "$wait_for"
is "the driver comes to its end" $? 0
sed 's/^/# /' "$work/driver.err" | tail -n 10
is "every task that was placed is there" "$(cat /sys/module/agentcg/stats/unplaced)" 0
kill_daemon TERM
rm -rf "$pins"
check "the module can be unloaded" eventually 20 rmmod agentcg
done_testing
