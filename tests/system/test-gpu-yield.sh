#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Tool calls yield to inference that misses its target, get back what they gave up, also after a restart, a hang, and the end of
# the worker. The engine is a fake (engine.py), whose time per token the test sets; all else is real.
# vm: --accel icount --memory 1G --timeout 300
set -u
. tests/system/lib.sh

policy <<'P'
[Pool]
MemoryMax=400Mi
[CPU]
Scheduler=none
[GPU]
TokenTarget=50ms
P
load_module
start_daemon
workers() { "$agentcg" gpu status --json | jq -r "$1"; }
level() { workers '.workers[0].inference.yield // "none"'; }
level_is() { [ "$(level)" = "$1" ]; }
at_least() { [ "$(level)" -ge "$1" ] 2>/dev/null; }
state_is() { [ "$(workers '.workers[0].state')" = "$1" ]; }
given_back() { [ "$(cat $pool/cpu.weight) $(cat $pool/cpu.max)" = "$before" ]; }

before="$(cat $pool/cpu.weight) $(cat $pool/cpu.max)"
echo 20 >"$work/ms"
"$agentcg" gpu run --name engine --cpus 1 --url http://127.0.0.1:8099 -- python3 $system/engine.py 8099 "$work/ms" 2>"$work/engine.err" &
engine=$!
check "the engine's metrics are seen" eventually 60 level_is 0
told() { [ "$(workers '.workers[0].inference.tokenUSec')" = 20000 ]; }
check "... its time per token" eventually 20 told
check "nothing is given up while it meets its target" given_back

echo 80 >"$work/ms"
check "tool calls yield when it does not" eventually 30 at_least 1
like "... and the status says why" "$(workers '.workers[0].inference.reason')" "time per token is 80 ms, its target 50 ms"
check "... more and more" eventually 30 at_least 2
like "the pool has a part of its CPU time" "$(cat $pool/cpu.max)" '^[0-9]+ 100000$'
less() { [ "$(cat $pool/cpu.weight)" -lt "${before%% *}" ]; }
check "... and weighs less" less
like "the log says so" "$(cat "$work/daemon.log")" "tool calls yield to inference: 1 of 5"

kill_daemon KILL
check "what was given up holds while there is no daemon" less
start_daemon
check "... and with the next one" less
check "... which goes on where that was" eventually 60 at_least 2

kill -STOP $engine
check "an engine that does not answer is hung" eventually 90 state_is hung
check "... and nobody yields to it" given_back
like "... which the status explains" "$(workers '.workers[0].reason')" "does not answer"
kill -CONT $engine
check "it answers again: it runs" eventually 30 state_is running
check "... and tool calls yield again" eventually 30 at_least 1

echo 10 >"$work/ms"
check "when it recovers they get all back" eventually 120 level_is 0
check "... in force, too" given_back

echo 80 >"$work/ms"
check "once more" eventually 30 at_least 1
kill $engine
check "the end of the worker gives all back" eventually 20 given_back

# ---- an engine whose port is in its environment alone: this fake by llama-server's name
install -m 755 $system/engine.py "$work/llama-server"
LLAMA_ARG_PORT=8097 "$agentcg" gpu run --name silent --cpus 1 -- "$work/llama-server" 8097 "$work/ms" 2>"$work/engine.err" &
engine=$!
at_port() { [ "$(workers '.workers[0].url')" = http://127.0.0.1:8097 ]; }
check "an engine whose port is in its environment is found" eventually 60 at_port
check "... and asked" eventually 30 at_least 0
kill -STOP $engine
check "... and is hung when it does not answer" eventually 90 state_is hung
kill -CONT $engine
kill $engine
done_testing
