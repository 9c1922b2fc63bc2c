#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Sessions that end with a process, and what became of a session's last calls: results.py, which says when to kill the daemon.
# vm: --boot system --accel icount --memory 2G --timeout 120
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=400Mi
[Session]
DetachedCalls=2
[CPU]
Scheduler=none
X
start_daemon
export AGENTCG=$agentcg
coproc PARTS { exec python3 $system/results.py 2>&1; }
parts=$PARTS_PID
exec {said}<&"${PARTS[0]}" {answer}>&"${PARTS[1]}"
while IFS= read -r -u "$said" line; do
	case $line in
	"ok "*) ok "${line#ok * - }" ;;
	"not ok "*) not_ok "${line#not ok * - }" ;;
	kill) kill_daemon ;;
	start) start_daemon ;;
	"1.."*) ;;
	*) echo "# $line" ;;
	esac
	case $line in kill | start) echo ready >&"$answer" ;; esac
done
rc=0
wait "$parts" || rc=$?
is "results.py comes to its end" $rc 0

"$agentcg" session open said >/dev/null
"$agentcg" run --session said --memory-max 30Mi -- python3 -c 'x = bytearray(60 << 20)' 2>/dev/null
"$agentcg" run --session said -- echo fine >/dev/null
like "agentcg results tells them all" "$("$agentcg" results said | tr '\n' '|')" '^said/tool-1 .*python3 .*killed: out of memory.*said/tool-2 .*echo fine.*ok\.'
is "... as JSON, too" "$("$agentcg" results --json said | jq -r '.results[].result.outcome' | xargs)" "oom_killed ok"
is "... those that failed" "$("$agentcg" results --failed --json said | jq '.results | length')" 1
like "... each once" "$("$agentcg" results --untold said)" 'said/tool-1'
is "...... no more" "$("$agentcg" results --untold said)" ""
AGENTCG_SESSION=said "$agentcg" results >"$work/default"
like "... of the session that it runs in" "$(cat "$work/default")" 'said/tool-2'
like "of none that there is, it says so" "$("$agentcg" results nothing 2>&1)" "there is no session 'nothing'"
"$agentcg" session close said >/dev/null
done_testing
