#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What a user's sessions may use together: granted, waited for, held to, and told.
# vm: --boot system --accel icount --memory 2G --timeout 180
set -u
. tests/system/lib.sh
load_module
admission=memory
policy <<X
[Pool]
MemoryMax=400Mi
[Call]
MemoryRequest=8Mi
[CPU]
Scheduler=none
[User]
Budget=64Mi
[User "root"]
Budget=100Mi
X
start_daemon
user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
"${user[@]}" "$agentcg" session open --budget 300Mi big >"$work/open.out" 2>&1
like "no session gets more than its user" "$(cat "$work/open.out")" "budget 300Mi is above what its user may have in all: 64Mi granted"
is "... nor does one that says nothing" "$("${user[@]}" "$agentcg" run --session small -- sh -c "$agentcg status --json | jq '.sessions[] | select(.name == \"small\").budget'")" $((64 * MiB))
is "... as it is told" "$("${user[@]}" "$agentcg" status --json | jq .allowed.budget)" $((64 * MiB))
is "... and is held to by the kernel" "$(cat $pool/session-big/memory.max)" $((64 * MiB))
"${user[@]}" "$agentcg" session close big >/dev/null

varlinkctl --more call $socket io.agentcg.Watch '{}' >"$work/events" 2>/dev/null &
watch=$!
hog first --session first --no-wait
hog second --session second --no-wait
to first 60
check "one session of two uses most of what both may" eventually 20 at first 60
to second 60
check "the other one's only call is held" eventually 30 phase second/tool-1 held
check "... before both use much more than they may" [ $(($(cat $pool/session-first/memory.current) + $(cat $pool/session-second/memory.current))) -lt $((110 * MiB)) ]
check "... and told: it is full" eventually 20 grep -q 'of the budget of user 0, 100 MiB, are used, 9[0-9] %\|of the budget of user 0, 100 MiB, are used, 1[0-9][0-9] %' "$work/events"
to first 5
check "... until the first needs less" eventually 30 at second 60
run_call third --session third --memory 80Mi -- true
# waits_for: what the only one that waits lacks
waits_for() { [ "$(status '.waiting | map(.lacks) | join(" ")')" = "$1" ]; }
check "a further session's call waits to begin" eventually 10 waits_for budget
end first second
is "... for these" "$(code third)" 0
like "... and is told" "$(cat "$work/third.err")" "waited .* for memory: 2 calls with"
is "nothing was killed" "$(code first) $(code second)" "0 0"
kill $watch

policy <<X
[Pool]
MemoryMax=400Mi
[CPU]
Scheduler=none
X
hog one --session first --no-wait
hog two --session second --no-wait
kill -HUP "$daemon"
to one 60
to two 90
check "without such a budget nobody is held for it" eventually 30 at two 90
end one two
is "... and all end well" "$(code one) $(code two)" "0 0"
check "no leaf is left" eventually 10 no_leaves
done_testing
