#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Without the module, with it again, and its removal: what works, what is said.
# vm: --boot system --accel icount --memory 2G --timeout 120
set -u
. tests/system/lib.sh
# What the suite before had loaded is freed a while after it.
unloaded() { [ ! -d /sys/module/agentcg ] || rmmod agentcg 2>/dev/null; }
check "the module is not loaded" eventually 30 unloaded
policy <<X
[Pool]
MemoryMax=400Mi
[CPU]
Scheduler=none
X
is "doctor without the module: 1" "$(code_of "$agentcg" doctor)" 1
like "... names it and how to load it" "$(cat "$work/code.out")" "^missing module: .*(modprobe|insmod)"
is "doctor --json tells the same" "$("$agentcg" doctor --json | jq .enforceable)" false
start_daemon
is "the daemon starts: status says degraded" "$(status .pool.enforcement)" degraded
like "... and why" "$(status .pool.reason)" "module agentcg is not loaded"
like "... also for people" "$("$agentcg" status)" "enforcement: degraded: .*agentcg doctor"
is "the log says it once" "$(grep -c degraded "$work/daemon.log")" 1
is "run works" "$(code_of "$agentcg" run -- sh -c 'exit 4')" 4
trace "$work/100" 0:100
is "... with its limit" "$(code_of "$agentcg" run --memory-max 50Mi -- "$agentcg" replay "$work/100")" 137
is "... and its timeout" "$(code_of "$agentcg" run --timeout 300ms -- sleep 9)" 124
"$agentcg" session open frugal --budget 60Mi >/dev/null
is "a session's budget holds" "$(code_of "$agentcg" run --session frugal -- "$agentcg" replay "$work/100")" 137
run_call other -- sleep 2
eventually 20 phase uid-0/tool-1 running
is "release is not possible" "$(code_of "$agentcg" release uid-0/tool-1)" 1
like "... and told" "$(cat "$work/code.err")" "not possible here: .*module"
is "... and ends" "$(code other)" 0
"$agentcg" session close frugal >/dev/null
# Together they are too large for the pool, the agent much larger than what its call has: the kernel decides alone.
python3 $system/agent.py large "$work/agent" 300 &
agent=$!
check "an agent" eventually 20 test -s "$work/agent"
touch "$work/agent.go"
check "... that is larger than its calls" eventually 60 test -e "$work/agent.done"
hog call --session large
to call 200
is "... where the pool is full, the call is what the kernel takes" "$(code call)" 137
check "... the agent goes on" kill $agent
wait $agent 2>/dev/null
user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
is "a call cannot make itself look small" \
	"$("${user[@]}" "$agentcg" run -- sh -c 'echo 0 2>/dev/null >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj')" 950
kill_daemon TERM

# ---- with the module
load_module
is "doctor with the module: 0" "$(code_of "$agentcg" doctor)" 0
like "... which says so" "$(cat "$work/code.out")" "can be enforced in the kernel here"
start_daemon
is "the daemon enforces in the kernel" "$(status .pool.enforcement)" kernel
is "the module is in use" "$(code_of rmmod agentcg)" 1
is "unload while the daemon runs: refused" "$(code_of "$agentcg" unload)" 1
like "... and what to do first" "$(cat "$work/code.err")" "stop it first"
hog stays --session stays
kill_daemon KILL
check "the policy stays when the daemon dies" test -e $pins/memory_ops
is "unload" "$(code_of "$agentcg" unload)" 0
like "... says what is next" "$(cat "$work/code.out")" "pins removed.*|rmmod agentcg"
check "no pin is left" test ! -e $pins
is "unload where nothing is loaded is none" "$(code_of "$agentcg" unload)" 0
like "... and says so" "$(cat "$work/code.out")" "there was no policy"
is "the module can be removed while a call runs" "$(code_of rmmod agentcg)" 0
to stays 50
check "... which goes on" eventually 20 at stays 50
start_daemon
like "... and is known to the next daemon" "$(call stays/tool-1 phase) $(status .pool.enforcement)" "^running degraded$"
kill_daemon
load_module
start_daemon
is "... and enforced when the module is back" "$(status .pool.enforcement) $(call stays/tool-1 phase)" "kernel running"
end stays
is "... and ends well" "$(code stays)" 0
check "no leaf is left" eventually 10 no_leaves
done_testing
