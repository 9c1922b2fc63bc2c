#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What a call says that it needs, what it gets and is told; changed while it runs; and calls that outlive their client.
# vm: --boot system --accel icount --memory 2G --timeout 240
set -u
. tests/system/lib.sh
history=$work/history.db
load_module
policy <<X
[Pool]
MemoryMax=400Mi
[Session]
DetachedCalls=2
[Call]
MemoryMax=200Mi
PidsMax=50
CPUMax=3
[CPU]
Scheduler=none
X
start_daemon

ask() { varlinkctl call --json=short $socket "io.agentcg.$1" "$2" 2>&1; }
# file CALL NAME: of its group
file() { cat "/sys/fs/cgroup$(call "$1" cgroup)/$2"; }

# ---- what is asked for is in the group's files
run_call all --session a --cpu 2 --cpu-max 500m --memory 30Mi --memory-max 100Mi --pids-max 10 -- sleep 600
eventually 30 phase a/tool-1 running
is "a request of two CPUs doubles its weight" "$(file a/tool-1 cpu.weight)" 200
is "its limits are in force" "$(file a/tool-1 cpu.max) $(file a/tool-1 memory.max) $(file a/tool-1 pids.max)" "50000 100000 $((100 * MiB)) 10"
is "nothing was cut, nothing is said" "$(cat "$work/all.err")" ""
run_call much --session a --cpu-max 4 --memory-max 1Gi --pids-max 60 -- sleep 600
eventually 30 phase a/tool-2 running
is "what is above the policy is cut" "$(file a/tool-2 cpu.max) $(file a/tool-2 memory.max) $(file a/tool-2 pids.max)" "300000 100000 $((200 * MiB)) 50"
is "... and told, line by line" "$(grep -cE "limits\.(cpu|memory|pids) .* is above the policy's.*: .* granted" "$work/much.err")" 3

# ---- the paper's hint
AGENT_RESOURCE_HINT=memory:60m run_call hint --session a -- sleep 600
eventually 30 phase a/tool-3 running
is "the paper's hint is a request" "$(call a/tool-3 request)" $((60 * MiB))
AGENT_RESOURCE_HINT=memory:60m run_call both --session a --memory 50Mi -- sleep 600
eventually 30 phase a/tool-4 running
is "... an option is heard before it" "$(call a/tool-4 request)" $((50 * MiB))
AGENT_RESOURCE_HINT=nonsense code_of "$agentcg" run -- true >"$work/nonsense"
is "one that is wrong keeps nobody from running" "$(cat "$work/nonsense")" 0
like "... but is told" "$(cat "$work/code.err")" "AGENT_RESOURCE_HINT is ignored: .*say NAME:VALUE"

# ---- refused, in words
for wrong in '{"requests":{"memory":"2G"}}|requests.memory.*say 2Gi' '{"timeout":30}|timeout.*text with a unit' \
	'{"limits":{"memory":1}}|limits.memory.*no program starts' '{"limits":{"cpu":"x"}}|limits.cpu.*500m for half of one'; do
	like "refused: ${wrong%|*}" "$(ask BeginCall "{\"intent\":${wrong%|*}}")" "InvalidIntent.*${wrong#*|}|${wrong#*|}"
done
like "an unknown field is refused by name" "$(ask BeginCall '{"intent":{"memori":1}}')" memori
check "none of them left a call behind" test "$(status '[.sessions[].calls[]] | length')" = 4
check "the interface describes itself" sh -c "varlinkctl introspect $socket io.agentcg | grep -q 'on_pressure: ?OnPressure'"

# ---- changed while it runs
ask AdjustCall '{"call":"a/tool-1","intent":{"limits":{"memory":"150Mi","cpu":1},"requests":{"memory":"80Mi"}}}' >"$work/adjusted"
is "a call's limits change while it runs" "$(file a/tool-1 memory.max) $(file a/tool-1 cpu.max)" "$((150 * MiB)) 100000 100000"
is "... so does its request" "$(call a/tool-1 request)" $((80 * MiB))
is "what was not said stays" "$(file a/tool-1 pids.max) $(file a/tool-1 cpu.weight)" "10 200"
is "the reply says what it has now" "$(jq -r '.granted | "\(.requests.memory) \(.limits.memory) \(.limits.pids)"' "$work/adjusted")" \
	"$((80 * MiB)) $((150 * MiB)) 10"
ask AdjustCall '{"call":"a/tool-1","intent":{"limits":{"memory":"1Gi"}}}' >"$work/adjusted"
like "not above the policy either" "$(jq -r '.notes[]' "$work/adjusted")" "limits.memory 1Gi is above the policy"
ask AdjustCall '{"call":"a/tool-1","intent":{"timeout":"1ms"}}' >/dev/null
is "a timeout that has passed ends it" "$(code all)" 124

# ---- what earlier calls needed
begin='{"session":"l","command":["/usr/bin/python3","-c","y = 5"]}'
is "of what never ran nothing is known" "$(ask BeginCall "$begin" | jq -r '.granted | "\(.requests.memory) \(.reason)"')" \
	"$((128 * MiB)) 128Mi: the policy's, as python -c never ran"
for _ in 1 2 3 4; do "$agentcg" run --session l -- sh -c 'env A=b python3 -c "x = bytearray(60 << 20)"'; done
ask BeginCall "$begin" >"$work/learned"
check "after some runs it gets what they needed" \
	jq -e ".granted.requests.memory | . > 60 * $MiB and . < 90 * $MiB" "$work/learned"
like "... and is told why" "$(jq -r .granted.reason "$work/learned")" "^[0-9]+Mi: .* of 4 runs of python -c"
check "... and how long they took" jq -e '.granted.durationUSec > 1000' "$work/learned"
kill_daemon
start_daemon
is "the next daemon knows it, too" "$(ask BeginCall "$begin" | jq -r .granted.reason)" "$(jq -r .granted.reason "$work/learned")"
like "another kind is judged by the user's other calls" "$(ask BeginCall '{"session":"l","command":["make"]}' | jq -r .granted.reason)" "any command"
printf 'no database, but as long as a page or two of it, so that it is read%.0s' $(seq 100) >"$work/history.db"
rm -f "$work/history.db-wal" "$work/history.db-shm"
kill_daemon
start_daemon
like "a spoilt history is put aside" "$(tail -n 5 "$work/daemon.log")" "it is now .*history.db.damaged, and the history begins anew"
"$agentcg" run --session l -- true
check "... and the next is written" test -s "$work/history.db"

# ---- forks that fail
storm='
import os, sys
try:
    for _ in range(8):
        if not os.fork():
            sys.stdin.read()
            os._exit(0)
except BlockingIOError:
    sys.exit(3)'
is "a fork storm ends at its limit" "$(code_of "$agentcg" run --session b --pids-max 5 --result "$work/pids.json" -- python3 -c "$storm")" 3
is "... which is its outcome" "$(jq -r '"\(.outcome) \(.retry)"' "$work/pids.json")" "pids_exceeded larger"
like "... and told" "$(cat "$work/code.err")" "no process or thread could be started: 5 are allowed at once. Allow more with --pids-max"

# ---- a prefix for tools that want one
ln -s "$agentcg" "$work/shell-prefix"
export CLAUDE_CODE_SESSION_ID=0-1
# prefix COMMAND: as Claude Code calls it
prefix() { SHELL=/bin/bash code_of "$work/shell-prefix" "source /dev/null || true && eval '$1' < /dev/null && pwd -P >| $work/cwd"; }
is "its exit code is the command's" "$(prefix "echo \"it'\\''s fine\"; exit 3")" 3
is "... its output too" "$(cat "$work/code.out")" "it's fine"
prefix 'cat /proc/self/cgroup' >/dev/null
like "it runs in a leaf of the tool's session" "$(cat "$work/code.out")" 'session-claude-0-1/tool-[0-9]+$'
is "what the tool adds is done" "$(cat "$work/cwd")" "$PWD"
is "a flood is killed, not the shell that waits for it" "$(prefix 'exec python3 -c "x = bytearray(300 << 20)"')" 137
like "... and told in a line" "$(cat "$work/code.err")" "killed: out of memory. peak .*limit 200 MiB"
(prefix 'sleep 77' >/dev/null) &
shown() { status '.sessions[].calls[] | select(.command | index("sleep 77")) | .call' | grep .; }
check "the status shows the command, not what the tool made of it" eventually 20 shown
pkill -fx 'sleep 77'
is "what the daemon refuses does not run" "$(AGENTCG_SESSION=no/name prefix 'echo it ran')$(cat "$work/code.out")" 125
AGENTCG_SOCKET=/none prefix 'echo plain; exit 5' >"$work/plain"
is "without a daemon it just runs, and says nothing" "$(cat "$work/plain" "$work/code.out" "$work/code.err" | xargs)" "5 plain"

# ---- calls that outlive their client
is "a call that is not detached takes all with it" "$(code_of "$agentcg" run --session c -- sh -c 'sleep 600 & exit 0')" 0
check "... no process is left" eventually 10 sh -c "test \"\$(pgrep -cfx 'sleep 600')\" = 3"
is "a detached one does not" "$(code_of "$agentcg" run --session c --detach --result "$work/kept.json" -- sh -c 'sleep 601 & exit 0')" 0
check "... its process runs on" test -n "$(pgrep -fx 'sleep 601')"
kept=$(jq -r .call "$work/kept.json")
is "... in its leaf, which the status shows" "$(call "$kept" detached)" true
is "its result is that so far" "$(jq -r .outcome "$work/kept.json")" ok
kill_daemon
start_daemon
check "it outlives the daemon, too" test "$(call "$kept" detached)" = true
run_call server --session c --detach -- sleep 602
eventually 30 phase "c/tool-4" running || eventually 5 phase "c/tool-3" running
"$agentcg" run --session c --detach -- true 2>"$work/third.err"
like "not more of them than the policy allows" "$(cat "$work/third.err")" "detach is not granted"
"$agentcg" session close c >"$work/close"
like "closing its session leaves it" "$(cat "$work/close")" "2 detached calls go on"
pkill -fx 'sleep 601'
check "it ends with its last process" eventually 15 sh -c "[ -z \"\$($agentcg status --json | jq -r '.sessions[].calls[] | select(.call == \"$kept\") | .call')\" ]"
"$agentcg" session close --kill c >"$work/close"
like "closing tells whom it killed" "$(cat "$work/close")" "^killed c/tool-[0-9]+: sleep 602"
check "... and the session is gone" eventually 15 sh -c "! $agentcg status --json | jq -e '.sessions[] | select(.name == \"c\")' >/dev/null"
done_testing
