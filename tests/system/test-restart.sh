#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The daemon is killed with -9, at many moments: enforcement goes on without it, the next one knows all, nothing leaks.
# vm: --boot system --accel icount --memory 2G --timeout 300
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=400Mi
Reserve=32Mi
X
start_daemon

# It is loaded after the daemon has begun to serve, and is part of what there is.
scheduled() { [ "$(status .pool.scheduler)" = sched_ext ]; }
check "the CPU scheduler is loaded" eventually 90 scheduled

# What there is in the kernel without any session; must be the same in the end.
slots() {
	bpftool -j map dump pinned $pins/call_slots | jq length
	for m in calls sessions; do
		bpftool -j map dump pinned $pins/$m | jq '[.[] | select(.formatted.value.cgroup_id != 0)] | length'
	done
}
inventory() {
	slots
	ls $pins
	bpftool -j prog list | jq '[.[] | select(.type == "struct_ops" or .type == "syscall")] | length'
	bpftool -j link list | jq '[.[] | select(.type == "struct_ops")] | length'
	find $pool -mindepth 1 -type d
	cat /sys/module/agentcg/refcnt
}
inventory >"$work/before"

# numbers: what must be the same after a restart
numbers() {
	status '.sessions | sort_by(.name)[] | [.name, .uid, .priority, .budget, .reserve],
		(.calls | sort_by(.call)[] | [.call, .command, .priority, .request, .memoryMax, .timeoutUSec, .phase, .holds])|tostring'
}

# ---- without the daemon
"$agentcg" session open low --priority low --budget 300Mi >/dev/null
"$agentcg" session open high --priority high --reserve 1Mi >/dev/null
hog grower --session low --memory 20Mi
to grower 20
eventually 20 at grower 20
run_call timely --session low --memory 1Mi --timeout 15s -- sleep 100
eventually 20 phase low/tool-2 running
trace "$work/30" 0:30 0.2:30
hog owner --session high --memory 360Mi
run_call held --session low --memory-max 100Mi --memory 10Mi -- "$agentcg" replay "$work/30"
check "a call is held" eventually 20 phase low/tool-3 held
numbers >"$work/numbers"
held_before=$(call low/tool-3 heldUSec)
kill_daemon
leaf=$pool/session-low/tool-3
usage=$(cat $leaf/memory.current)
sleep 1
check "it stays held while there is no daemon" test "$(cat $leaf/memory.current)" -le $((usage + MiB / 2))
to grower 40
sleep 1.5
check "another one is held when it grows" test "$(cat $pool/session-low/tool-1/memory.current)" -lt $((35 * MiB))
check "... and has not got there" test "$(tail -n 1 "$work/grower.out")" = "at 20"
to owner 60
check "the most important one is not" eventually 20 at owner 60
start_daemon
# The grower is held by now: the only difference.
is "the next daemon lists the same" "$(numbers | grep -v low/tool-1)" "$(grep -v low/tool-1 "$work/numbers")"
is "... and the new hold" "$(call low/tool-1 phase)" held
check "the time held goes on" test "$(call low/tool-3 heldUSec)" -ge $((held_before + 1000000))
kill_daemon
start_daemon
end owner
is "the held one goes on and ends" "$(code held)" 0
check "... so does the grower" eventually 20 at grower 40
is "a timeout goes on" "$(code timely)" 124
end grower
is "their exit codes come through" "$(code owner) $(code grower)" "0 0"
like "the result knows of the hold" "$(jq -c '[.outcome, .holds, .heldUSec > 2000000]' "$work/held.json")" '\["held",[1-9][0-9]*,true\]'
check "nothing was killed for lack of memory" grep -qx 'oom_kill 0' $pool/memory.events

# ---- a client that does not come back, and one that ends without a daemon
run_call lost --session low -- sleep 100
eventually 20 phase low/tool-4 running
run_call short --session low -- sh -c "echo \$\$ >$work/short.pid; while [ ! -e $work/short.go ]; do sleep 0.1; done; exit 9"
eventually 20 test -s "$work/short.pid"
kill_daemon
pkill -KILL -f "run --result $work/lost.json"
touch "$work/short.go"
sleep 1
start_daemon
is "a call that ended without a daemon" "$(code short)" 9
gone() { [ ! -d $pool/session-low/tool-4 ]; }
check "a call whose client is gone is removed" eventually 30 gone
"$agentcg" session close low >/dev/null
"$agentcg" session close high >/dev/null

# ---- at any moment
# worker N: calls with exit codes of their own; what was wrong goes to a file. 125 is right where nobody answers.
worker() {
	local i rc=0 wanted
	for ((i = 0; ; i++)); do
		[ ! -e "$work/stop" ] || break
		wanted=$((i % 50 + 1))
		"$agentcg" run --session "w$1" --memory $((i % 3 * 180))Mi -- sh -c "sleep 0.0$((i % 10)); exit $wanted" 2>"$work/w$1.err"
		rc=$?
		echo $rc >>"$work/w$1.codes"
		[ $rc -ne $wanted ] || continue
		[ $rc -eq 125 ] && grep -qE "no daemon at|went away|does not answer|cannot talk|cannot begin" "$work/w$1.err" && continue
		echo "wanted $wanted, got $rc: $(cat "$work/w$1.err")" >>"$work/wrong"
	done
}
: >"$work/wrong"
for n in 1 2 3; do worker $n & workers[n]=$!; done
hog bystander --session bystander --memory 20Mi
for ((k = 0; k < 20; k++)); do
	sleep "0.$((k * 7 % 10))$((k % 10))"
	kill_daemon
	[ $((k % 4)) -ne 0 ] || sleep 0.3
	start_daemon
	to bystander $k
done
check "a call that lives through 20 kills is served" eventually 20 at bystander 19
end bystander
is "... and ends well" "$(code bystander)" 0
touch "$work/stop"
wait "${workers[@]}"
is "each client got its right exit code" "$(cat "$work/wrong")" ""
check "... and there were enough of them" test "$(cat "$work"/w?.codes | grep -cvx 125)" -ge 30
echo "# exit codes: $(cat "$work"/w?.codes | grep -cvx 125) of commands, $(cat "$work"/w?.codes | grep -cx 125) times nobody answered"
no_sessions() { [ "$(status '.sessions | length')" = 0 ]; }
check "no session is left" eventually 30 no_sessions
eventually 90 scheduled
inventory >"$work/after"
check "no slot, pin, program, group or reference has leaked" diff "$work/before" "$work/after"
like "the log tells no warning" "$(grep -cE 'cannot|failed' "$work/daemon.log")" '^0$'
done_testing
