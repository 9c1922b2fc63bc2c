#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The memory policy at work: who is held first and goes on first, how far the pool is from its limit, what is never held.
# vm: --boot system --memory 2G --timeout 240
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=400Mi
Reserve=32Mi
[Session]
SessionsPerUser=8
X
start_daemon
replay=("$agentcg" replay)
"$agentcg" status --watch --json >"$work/watch" &
watch=$!

# first EVENT SESSION: the line of its first such event
first() { grep -nE "\"event\":\"$1\",\"call\":\"$2/" "$work/watch" | head -n 1 | cut -d: -f1; }

# before TEXT A B: line A comes before line B, and both are there
before() {
	if [ -n "$2" ] && [ -n "$3" ] && [ "$2" -lt "$3" ]; then
		ok "$1"
	else
		not_ok "$1"
		echo "# lines '$2' and '$3' of:"
		sed 's/^/# /' "$work/watch"
	fi
}

oom_kills() { awk '$1 == "oom_kill" { print $2 }' $pool/memory.events; }

# ---- three sessions, one of which grows: all the others are held in the order of their priority
# The middle requests more than it will use, so that the last one waits for the first to end.
trace "$work/first" 0:50 2:50 2.5:100 3:150 3.5:200 4:250 4.5:300 9:300 9.1:250 14:250
trace "$work/middle" 0:20 1:24 2:28 2.5:32 3:36 3.5:40 4:44 4.5:60 5:80 6:100 15:100
trace "$work/last" 0:5 1:6 2:7 2.5:8 3:9 3.5:10 4:12 4.5:20 5:40 6:60
exec 7<>$pool/memory.peak
echo >&7
run_call first --session first --priority high --memory 50Mi -- "${replay[@]}" "$work/first"
eventually 20 phase first/tool-1 running
run_call middle --session middle --priority normal --memory 130Mi -- "${replay[@]}" "$work/middle"
eventually 20 phase middle/tool-1 running
run_call last --session last --priority low --memory 10Mi -- "${replay[@]}" "$work/last"
check "the last is held" eventually 30 phase last/tool-1 held
check "the middle is held" eventually 30 phase middle/tool-1 held
is "the first is not" "$(call first/tool-1 phase)" running
check "the middle goes on when memory returns" eventually 30 phase middle/tool-1 running
is "... while the last still waits" "$(call last/tool-1 phase)" held
for n in first middle last; do
	is "the $n comes to its end" "$(code $n)" 0
done
read -r peak <&7
echo "# memory.peak of the pool: $peak"
check "headroom was kept but for a few batches" test $((400 * MiB - peak)) -ge $((28 * MiB))
is "nobody was killed" "$(oom_kills)" 0
before "the last was held first" "$(first hold last)" "$(first hold middle)"
before "... and went on last" "$(first release middle)" "$(first release last)"
is "the first was never held" "$(jq .holds "$work/first.json")" 0
like "who was held is told how long" "$(cat "$work/last.err")" "held [0-9]+ times?, [0-9].* in all, .*peak"
like "... in the result, too" "$(jq -c '[.outcome, .heldUSec > 1000000]' "$work/last.json")" '\["held",true\]'

# ---- one that is larger than the pool
trace "$work/huge" 0:100 0.5:300 1:500
run_call small --session small --priority low --memory 1Mi -- sleep 12
run_call huge --session huge --priority high -- "${replay[@]}" "$work/huge"
is "one that is larger than the pool is killed" "$(code huge)" 137
is "... without having been held" "$(jq .holds "$work/huge.json")" 0
like "... and told" "$(cat "$work/huge.err")" "out of memory\. peak [0-9.]+ MiB; the pool's 400 MiB were full"
is "... and nobody else is" "$(code small)" 0
is "... once" "$(oom_kills)" 1

# ---- a session's budget
"$agentcg" session open thrifty --budget 150Mi >/dev/null
trace "$work/100-4s" 0:100 5:100
run_call senior --session thrifty --memory 100Mi -- "${replay[@]}" "$work/100-4s"
eventually 20 phase thrifty/tool-1 running
run_call junior --session thrifty --priority low --memory 100Mi -- "${replay[@]}" "$work/100-4s"
check "in a full budget the less important call waits" eventually 20 phase thrifty/tool-2 held
is "... and comes to its end" "$(code senior) $(code junior)" "0 0"
check "the budget was kept" test "$(cat $pool/session-thrifty/memory.peak)" -le $((150 * MiB))
trace "$work/200" 0:200
run_call greedy --session thrifty -- "${replay[@]}" "$work/200"
is "a call above the budget is killed" "$(code greedy)" 137
like "... and told whose limit it was" "$(cat "$work/greedy.err")" "its session's budget of 150 MiB was full"

# ---- by hand: nothing is in the way of the low call but what the high one has requested
"$agentcg" session open waiting --priority low >/dev/null
"$agentcg" session open owner --priority high >/dev/null
python3 $system/agent.py waiting "$work/agent" 5 &
agent=$!
eventually 20 test -s "$work/agent"
run_call owner --session owner --memory 360Mi -- "${replay[@]}" "$work/100-4s"
eventually 20 phase owner/tool-1 running
run_call waiting --session waiting --memory 30Mi -- "${replay[@]}" "$work/100-4s"
check "a call waits for what others have requested" eventually 20 phase waiting/tool-2 held
touch "$work/agent.go"
check "the agent of its session is not held" eventually 20 test -s "$work/agent.done"
is "... not once" "$(call waiting/agent holds)" 0
like "release lets it go on" "$("$agentcg" release waiting/tool-2 2>&1)" "^waiting/tool-2: [1-9][0-9]* tasks go on$"
more_holds() { [ "$(call waiting/tool-2 holds)" -ge 2 ]; }
check "... to the next batch" eventually 20 more_holds
is "release of what is not there: 1" "$(code_of "$agentcg" release waiting/tool-99)" 1
like "... and told" "$(cat "$work/code.err")" "no call 'waiting/tool-99'"
is "both come to their end" "$(code owner) $(code waiting)" "0 0"
kill $agent
"$agentcg" status --watch >"$work/watch.text" &
text=$!
eventually 20 test -s "$work/watch.text"
run_call late --timeout 300ms -- sleep 10
is "a timeout" "$(code late)" 124
check "status --watch shows it" eventually 10 grep -qE "^[0-9:]{8} timeout uid-0/tool-1: killed after 300ms" "$work/watch.text"
kill $watch $text
wait $watch $text $agent 2>/dev/null
check "no leaf is left" eventually 10 no_leaves
done_testing
