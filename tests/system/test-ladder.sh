#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What follows when a hold lasts too long: expired, frozen, then on or killed; never the agent.
# vm: --boot system --accel icount --memory 2G --timeout 240
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=400Mi
Reserve=32Mi
[Hold]
Deadline=1s
FreezeTime=1500ms
ExpiredDelay=5ms
X
start_daemon
replay=("$agentcg" replay)
"$agentcg" status --watch --json >"$work/watch" &
watch=$!
eventually 10 listening

# events CALL: their names, in order
events() { jq -r "select(.call == \"$1\") | .event" "$work/watch" | uniq | paste -sd' '; }

trace "$work/20" 0:20 0.5:20
"$agentcg" session open low --priority low >/dev/null
"$agentcg" session open high --priority high >/dev/null
python3 $system/agent.py low "$work/agent" 3 &
agent=$!
eventually 20 test -s "$work/agent"

# ---- only what another one has requested is in the way: it goes on, slowly
hog idle --session high --memory 368Mi
run_call slow --session low --memory 20Mi -- "${replay[@]}" "$work/20"
check "it is held, then frozen" eventually 20 phase low/tool-1 frozen
check "... which its group says" eventually 5 grep -q 'frozen 1' $pool/session-low/tool-1/cgroup.events
touch "$work/agent.go"
check "its agent is neither" eventually 20 test -s "$work/agent.done"
is "it goes on though there is no room" "$(code slow)" 0
check "... before the other one ends" test ! -s "$work/idle.rc"
like "the steps were told" "$(events low/tool-1)" "^hold expired frozen thawed"
is "it was not killed" "$(jq -r .outcome "$work/slow.json")" held

# ---- it goes on when memory returns while it is frozen
run_call patient --session low --memory 20Mi -- "${replay[@]}" "$work/20"
check "another one is frozen" eventually 20 phase low/tool-2 frozen
end idle
is "one that waited until memory returned ends well" "$(code patient)" 0
is "the other one was not held" "$(code idle) $(jq .holds "$work/idle.json")" "0 0"

# ---- somebody more important is short: it is killed
hog short --session high --memory 350Mi
to short 360
check "the high call takes what there is" eventually 60 at short 360
run_call victim --session low --memory 20Mi -- "${replay[@]}" "$work/20"
is "a call in its way is killed" "$(code victim)" 137
is "... by the policy" "$(jq -r .outcome "$work/victim.json")" killed_by_policy
like "... after the steps before" "$(events low/tool-3)" "^hold expired frozen killed$"
like "... and told" "$(cat "$work/victim.err")" \
	"killed by policy: .*after [0-9.]+m?s of waiting\. peak .*20 MiB requested\. Try again later"
check "its agent lives" kill -0 "$(cat "$work/agent")"
is "... not held, not frozen" "$(call low/agent holds) $(cat $pool/session-low/agent/cgroup.freeze)" "0 0"
end short
is "the high one comes to its end" "$(code short)" 0
is "nobody was OOM-killed" "$(awk '$1 == "oom_kill" { print $2 }' $pool/memory.events)" 0

# ---- a call that is held or frozen can be ended by all means
hog idle2 --session high --memory 368Mi
run_call ended --session low --timeout 2s -- "${replay[@]}" "$work/20"
is "its timeout" "$(code ended)" 124
like "... which tells of the waiting" "$(cat "$work/ended.err")" "timeout after 2s.*spent waiting for memory"
run_call closed --session low -- "${replay[@]}" "$work/20"
check "one that is frozen" eventually 20 phase low/tool-5 frozen
is "... ends with its session" "$(code_of "$agentcg" session close low) $(code closed)" "0 137"
end idle2
kill $watch
wait $watch $agent 2>/dev/null
is "the others go on" "$(code idle2)" 0
check "no leaf is left" eventually 10 no_leaves
done_testing
