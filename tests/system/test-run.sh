#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# agentcg run: exit codes, input and output, signals, what is left behind, what is said.
# vm: --boot system --accel icount --memory 2G --timeout 240
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=600Mi
[CPU]
Scheduler=none
X
is "without a daemon: 125" "$(code_of "$agentcg" run -- true)" 125
like "... and how to start one" "$(cat "$work/code.err")" "no daemon at .*start it"
start_daemon
trace "$work/100" 0:100 0.5:100
run=("$agentcg" run)

# ---- exit codes
is "exit code 0" "$(code_of "${run[@]}" -- true)" 0
is "nothing is said about it" "$(cat "$work/code.out" "$work/code.err")" ""
is "exit code 3" "$(code_of "${run[@]}" -- sh -c 'exit 3')" 3
is "not executable: 126" "$(code_of "${run[@]}" -- /etc/passwd)" 126
is "not found: 127" "$(code_of "${run[@]}" -- no-such-program)" 127
like "... and said" "$(cat "$work/code.err")" "no-such-program: not found"
is "killed by a signal: 128 + n" "$(code_of "${run[@]}" -- sh -c 'kill -USR1 $$')" 138
is "timeout: 124" "$(code_of "${run[@]}" --timeout 500ms -- sleep 60)" 124
like "... with the limit, the peak and what to try" "$(cat "$work/code.err")" \
	"timeout after 500ms\. peak [0-9.]+ .iB.*--timeout"
is "over its --memory-max: 137" "$(code_of "${run[@]}" --memory-max 50Mi -- "$agentcg" replay "$work/100")" 137
like "... with the peak, the limit and what to try" "$(cat "$work/code.err")" \
	"out of memory\. peak (50|49\.[0-9]+) MiB of limit 50 MiB\..*--memory-max 60Mi"
is "unknown option: 125" "$(code_of "${run[@]}" --nonsense -- true)" 125
is "no command: 125" "$(code_of "${run[@]}")" 125
is "an ambiguous size: 125" "$(code_of "${run[@]}" --memory 50M -- true)" 125
like "... and what to say instead" "$(cat "$work/code.err")" "50Mi"

# ---- input and output
head -c 3000000 "$out/agentcgd" | tr '\0' '\377' >"$work/bytes"
head -c 1000000 "$out/agentcgd" >>"$work/bytes"
"${run[@]}" -- cat <"$work/bytes" >"$work/copy"
check "standard input and output are the same bytes" cmp "$work/bytes" "$work/copy"
"${run[@]}" -- sh -c 'cat >&2' <"$work/bytes" 2>"$work/copy" >/dev/null
check "so is standard error" cmp "$work/bytes" "$work/copy"
is "other descriptors are passed on, none of its own" "$("${run[@]}" -- sh -c 'cat <&9; ls /proc/self/fd | wc -l' 9<<<nine)" \
	"$(sh -c 'cat <&9; ls /proc/self/fd | wc -l' 9<<<nine)"
is "a closed reader ends it" "$("${run[@]}" -- yes | head -n 1)" y
is "a signal mask and handlers as in a plain shell" \
	"$("${run[@]}" -- grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status)" "$(grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status)"

# ---- a terminal
is "it has the terminal" "$(script -qec "$agentcg run -- tty" /dev/null </dev/null | tr -d '\r')" "$(
	script -qec tty /dev/null </dev/null | tr -d '\r')"
python3 $system/terminal.py "$agentcg" >"$work/tty"
like "Ctrl-C reaches it once" "$(cat "$work/tty")" "^interrupts: 1$"
like "... and a shell sees the signal" "$(cat "$work/tty")" "^signal: 2$"

# ---- signals
for s in TERM INT HUP USR1; do
	# A shell ignores INT in the background; python takes it back.
	python3 -c 'import signal,os,sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
		"${run[@]}" -- sh -c "trap 'exit 40' $s; echo >$work/ready; while :; do sleep 0.1; done" &
	eventually 20 test -s "$work/ready"
	kill -$s $!
	wait $!
	is "SIG$s is passed on" $? 40
	rm -f "$work/ready"
done

# ---- what is left behind
# shellcheck disable=SC2016 # for the inner shell
is "a daemonised child does not hold it up" "$(code_of timeout 30 "${run[@]}" -- \
	sh -c "setsid sh -c 'echo \$\$ >$work/pid; exec sleep 1000' >/dev/null 2>&1 </dev/null & while [ ! -s $work/pid ]; do sleep 0.1; done")" 0
check "... and is killed" test ! -d "/proc/$(cat "$work/pid")"
check "no leaf is left" eventually 10 no_leaves
run_call killed -- sh -c "echo \$\$ >$work/pid2; exec sleep 1000"
eventually 20 test -s "$work/pid2"
kill -KILL "$(pgrep -f "agentcg run --result $work/killed.json" | head -n 1)"
gone() { [ ! -d "/proc/$(cat "$work/pid2")" ]; }
check "kill -9 of agentcg run ends the command" eventually 10 gone
check "... and removes the leaf" eventually 10 no_leaves

# ---- another user
user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
is "a user without rights: the exit code" "$(code_of "${user[@]}" "${run[@]}" -- sh -c 'exit 5')" 5
like "... in a leaf of its own" "$("${user[@]}" "${run[@]}" -- cat /proc/self/cgroup)" \
	"^0::/agentcg.slice/session-uid-65534/tool-[0-9]+$"
is "... with its limit" "$(code_of "${user[@]}" "${run[@]}" --memory-max 50Mi -- "$agentcg" replay "$work/100")" 137
is "... not found" "$(code_of "${user[@]}" "${run[@]}" -- no-such-program)" 127

# ---- in a tool call already
# shellcheck disable=SC2016 # for the inner shell
nested='own=$(cat /proc/self/cgroup); [ "$("$@" cat /proc/self/cgroup)" = "$own" ]'
for who in root user; do
	as=()
	[ $who = root ] || as=("${user[@]}")
	is "$who: the command runs where it is" "$(code_of "${as[@]}" "${run[@]}" -- sh -c "$nested" sh "${run[@]}" --memory-max 9Mi --)" 0
	is "... and that is said" "$(cat "$work/code.err")" \
		"agentcg run: this is part of a tool call already: the command runs there, within its limits"
	is "... not found: 127" "$(code_of "${as[@]}" "${run[@]}" -- "${run[@]}" -- no-such-program)" 127
	is "... a result there is none: 125" "$(code_of "${as[@]}" "${run[@]}" -- "${run[@]}" --json -- true)" 125
	like "... and what to do" "$(cat "$work/code.err")" "part of the tool call [a-z0-9/-]+, .*--may-control"
	is "... one that may control gets another one" "$(code_of "${as[@]}" "${run[@]}" --may-control -- sh -c "$nested" sh "${run[@]}" --)" 1
	is "the prefix says nothing" "$(code_of "${as[@]}" "${run[@]}" -- "$agentcg" shell-prefix 'exit 9')$(cat "$work/code.err")" 9
done
run_call trusted --may-control -- sh -c "touch $work/begun; until [ -e $work/again ]; do sleep 0.1; done; $agentcg run --json -- true"
eventually 10 test -e "$work/begun"
kill_daemon
start_daemon
touch "$work/again"
is "a new daemon knows who may control" "$(code trusted)" 0

# ---- results
"${run[@]}" --json --result "$work/r.json" --memory 70Mi -- "$agentcg" replay "$work/100" >/dev/null 2>"$work/r.err"
check "--json is JSON on standard error" jq -e . "$work/r.err"
is "--result writes the same" "$(jq -cS . "$work/r.json")" "$(jq -cS . "$work/r.err")"
check "... with the peak" jq -e '.memoryPeak > 100 * 1048576 and .memoryPeak < 110 * 1048576' "$work/r.json"
check "... and what to ask for next time" jq -e '.suggestedRequest > .memoryPeak and .exitCode == 0' "$work/r.json"

# ---- only the leaf is killed
"$agentcg" session open kin >/dev/null
python3 $system/agent.py kin "$work/agent" &
agent=$!
eventually 20 test -s "$work/agent"
run_call sibling --session kin -- sleep 3
is "an OOM kill in one leaf" "$(code_of "${run[@]}" --session kin --memory-max 40Mi -- \
	sh -c "sleep 100 & exec $agentcg replay $work/100")" 137
check "... leaves the agent alone" kill -0 "$(cat "$work/agent")"
is "... and its sibling" "$(code sibling)" 0
check "... and takes all of the leaf with it" bash -c '! pgrep -fx "sleep 100"'
kill $agent
wait $agent 2>/dev/null

# ---- a leaf that is made before its call
"$agentcg" session open next >/dev/null
ready() { [ "$(echo $pool/session-next/tool-*)" = $pool/session-next/tool-"$1" ]; }
"${run[@]}" --session next -- true
check "a session that has begun a call has a leaf for the next one" eventually 10 ready 2
is "... which is none yet" "$(status '.sessions[] | select(.name == "next").calls | length')" 0
# shellcheck disable=SC2016 # for the inner shell
is "... and gets what that one is granted" "$("${run[@]}" --session next --memory-max 40Mi --pids-max 7 -- \
	sh -c 'cd /sys/fs/cgroup"$(cut -d: -f3 /proc/self/cgroup)" && cat memory.max pids.max memory.oom.group && pwd')" \
	"$(printf '%s\n' $((40 * MiB)) 7 1 $pool/session-next/tool-2)"
check "... then there is another one" eventually 10 ready 3
is "it goes with the session" "$(code_of "$agentcg" session close next)" 0
check "... at once" test ! -e $pool/session-next
done_testing
