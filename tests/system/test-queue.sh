#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Calls that cannot be granted now wait and begin later; queue-of-calls.py, and the command's part.
# vm: --boot system --accel icount --memory 2G --timeout 240
set -u
. tests/system/lib.sh
load_module
admission=memory
policy <<X
[Pool]
MemoryMax=400Mi
[Session]
CallsPerSession=3
[Call]
QueueTimeout=6s
[CPU]
Scheduler=none
X
start_daemon
python3 $system/queue-of-calls.py >"$work/tap" 2>&1
while IFS= read -r line; do
	case $line in
	"ok "*) ok "${line#ok * - }" ;;
	"not ok "*) not_ok "${line#not ok * - }" ;;
	1..*) ;;
	*) echo "# ${line#\# }" ;;
	esac
done <"$work/tap"
check "queue-of-calls.py came to its end" grep -q "^# end of queue-of-calls.py" "$work/tap"

# waiting N: whether so many wait
waiting() { [ "$(status '.waiting | length')" = "$1" ]; }

mkfifo "$work/go"
"$agentcg" session open --time-left 10m t >/dev/null
run_call a --session t --memory 300Mi -- cat "$work/go"
check "a call begins" eventually 10 phase t/tool-1 running
run_call b --session t --memory 200Mi -- echo ran
check "agentcg run waits" eventually 10 waiting 1
like "... as agentcg status shows" "$("$agentcg" status)" '^t +memory +[0-9.]+m?s +500 +200 MiB +echo ran$'
is "... but not with --no-wait" "$(code_of "$agentcg" run --session t --memory 200Mi --no-wait -- true)" 0
kill_daemon
start_daemon
check "after a restart of the daemon it asks again" eventually 10 waiting 1
check "... and the session has what was left of its time" [ "$(status '.sessions[] | select(.name == "t").timeLeftUSec')" -gt 500000000 ]
run_call c --session t --after t/tool-1 -- true
check "one that comes after the first waits, too" eventually 10 waiting 2
echo >"$work/go"
is "the one before it is not disturbed" "$(code a)" 0
is "then it begins" "$(code b)" 0
is "... and runs" "$(cat "$work/b.out")" ran
like "... and says what it has waited for" "$(cat "$work/b.err")" 'waited [0-9.]+m?s for memory: 1 call with 300.* was before it'
is "... and so does the other" "$(code c)" 0
run_call d --session t --group par -- sleep 600
of_group() { status '[.sessions[].calls[] | select(.group == "par")][0].call // empty'; }
in_group() { [ -n "$(of_group)" ]; }
check "a call of a group" eventually 10 in_group
name=$(of_group)
check "... runs" eventually 10 phase "$name" running
like "... is ended with that" "$("$agentcg" session close --group par t | tr '\n' ' ')" "t: group par is ended killed $name: sleep 600"
is "... and its client sees that" "$(code d)" 137
is "a group that is not there" "$(code_of "$agentcg" session close --group nope t)" 1
like "... in words" "$(cat "$work/code.err")" "no call or group 'nope'"
is "--group goes with close" "$(code_of "$agentcg" session open --group par t)" 2
"$agentcg" session close t >/dev/null
check "no leaf is left" eventually 10 no_leaves
done_testing
