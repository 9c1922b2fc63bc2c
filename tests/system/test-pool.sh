#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The memory policy at work: who is held first and goes on first, how far the pool is from its limit, what is never held.
# vm: --boot system --accel icount --memory 2G --timeout 240
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

# ---- three sessions: the less important, the earlier it is held, and the later it goes on
# Each uses some MiB more than it is told, for python. The middle requests more than it will use.
hog first --session first --priority high --memory 50Mi
hog middle --session middle --priority normal --memory 160Mi
hog last --session last --priority low --memory 10Mi
to first 50
to middle 40
to last 15
for n in "first 50" "middle 40" "last 15"; do
	# shellcheck disable=SC2086 # two words
	check "there is room for $n" eventually 20 at $n
done
to first 270
check "the first takes more than it said" eventually 60 at first 270
to last 30
check "the last is held" eventually 30 phase last/tool-1 held
to middle 45
check "the middle still goes on" eventually 20 at middle 45
to middle 80
check "the middle is held" eventually 30 phase middle/tool-1 held
is "the first is not" "$(call first/tool-1 phase)" running
check "headroom is kept but for a few batches" test "$(cat $pool/memory.peak)" -le $(((400 - 28) * MiB))
to first 215
check "the middle goes on when memory returns" eventually 20 at middle 80
is "... while the last still waits" "$(call last/tool-1 phase)" held
end middle
check "the last goes on after it" eventually 20 at last 30
end first last
for n in first middle last; do
	is "the $n comes to its end" "$(code $n)" 0
done
is "nobody was killed" "$(oom_kills)" 0
before "the last was held first" "$(first hold last)" "$(first hold middle)"
before "... and went on last" "$(first release middle)" "$(first release last)"
is "the first was never held" "$(jq .holds "$work/first.json")" 0
like "who was held is told how long" "$(cat "$work/last.err")" "held [0-9]+ times?, [0-9].* in all, .*peak"
like "... in the result, too" "$(jq -c '[.outcome, .heldUSec > 100000]' "$work/last.json")" '\["held",true\]'

# ---- one that is larger than the pool
trace "$work/huge" 0:100 0.5:300 1:500
run_call small --session small --priority low --memory 1Mi -- sleep 12
run_call huge --session huge --priority high -- "${replay[@]}" "$work/huge"
is "one that is larger than the pool is killed" "$(code huge)" 137
is "... without having been held" "$(jq .holds "$work/huge.json")" 0
like "... and told" "$(cat "$work/huge.err")" "out of memory\. peak [0-9.]+ MiB; the pool's 400 MiB were full"
is "... and nobody else is" "$(code small)" 0
is "... once" "$(awk '$1 == "oom_group_kill" { print $2 }' $pool/memory.events)" 1

# ---- a session's budget
"$agentcg" session open thrifty --budget 150Mi >/dev/null
hog senior --session thrifty --memory 110Mi
trace "$work/100" 0:100 0.5:100
run_call junior --session thrifty --priority low --memory 100Mi -- "${replay[@]}" "$work/100"
check "in a full budget the less important call waits" eventually 20 phase thrifty/tool-2 held
to senior 100
check "... the other does not" eventually 20 at senior 100
end senior
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
hog owner --session owner --memory 360Mi
run_call waiting --session waiting --memory 30Mi -- "${replay[@]}" "$work/100"
check "a call waits for what others have requested" eventually 20 phase waiting/tool-1 held
touch "$work/agent.go"
check "the agent of its session is not held" eventually 20 test -s "$work/agent.done"
is "... not once" "$(call waiting/agent holds)" 0
like "release lets it go on" "$("$agentcg" release waiting/tool-1 2>&1)" "^waiting/tool-1: [1-9][0-9]* tasks go on$"
more_holds() { [ "$(call waiting/tool-1 holds)" -ge 2 ]; }
check "... to the next batch" eventually 20 more_holds
is "release of what is not there: 1" "$(code_of "$agentcg" release waiting/tool-99)" 1
like "... and told" "$(cat "$work/code.err")" "no call or group 'waiting/tool-99'"
end owner
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
