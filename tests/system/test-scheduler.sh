#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The CPU scheduler as the daemon keeps it: loaded, taken over, switched off and on, ended by errors and by hand, loaded again;
# and what is told about it.
# vm: --boot system --accel icount --memory 2G --timeout 420
set -u
. tests/system/lib.sh
load_module
with_scheduler() { policy <<<"[Pool]
MemoryMax=400Mi
[CPU]
Scheduler=$1"; }
with_scheduler auto

ops() { cat /sys/kernel/sched_ext/root/ops 2>/dev/null; }
state() { cat /sys/kernel/sched_ext/state; }
# because REGEX: whether the daemon says so why it is not sched_ext
because() { status '.pool.schedulerReason // ""' | grep -qE -e "$1"; }
# log REGEX: how many lines of the daemon match
log() { grep -cE -e "$1" "$work/daemon.log"; }
logged() { [ "$(log "$1")" -ge "$2" ]; }
doctor() { "$agentcg" doctor | sed -n "s/^\([a-z]* *\)$1: /\1/p"; }
# pinned PATTERN: how many pins are called so
pinned() { find $pins -name "$1" | wc -l; }
class() { "$agentcg" sched --interval 100ms --json | jq -r ".groups[] | select(.name == \"$1\") | .class"; }

# ---- it is loaded while the daemon serves
start_daemon
check "the daemon loads the scheduler" eventually 90 scheduler sched_ext
is "the kernel runs it" "$(state) $(ops)" "enabled agentcg"
like "doctor says since when" "$(doctor scheduler)" '^ok +sched_ext scheduler agentcg is running since 20[0-9]{2}-'
is "its pins are there, and those of the memory policy" "$(pinned "sched_ops") $(pinned "sched-*") $(pinned memory_ops)" "1 9 1"
check "the log says it once" logged '^loaded the CPU scheduler in ' 1

# ---- classes and deadlines
is "a latency class that there is not: refused" "$(code_of "$agentcg" run --latency soon -- true)" 125
like "... and what to say" "$(cat "$work/code.err")" "say interactive or batch"
is "a deadline of nothing: refused" "$(code_of "$agentcg" run --deadline 0s -- true)" 125
like "... and what to say" "$(cat "$work/code.err")" "above 0"
begin() { varlinkctl call $socket io.agentcg.BeginCall "$1" 2>&1; }
refusals=$(begin '{"intent":{"latency":"soon"}}'; begin '{"intent":{"deadline":"0s"}}'; begin '{"intent":{"deadline":"9000h"}}')
is "the daemon refuses them too" "$(grep -oE '"(parameter|field)":"[a-zA-Z]*"' <<<"$refusals" | cut -d'"' -f4 | xargs)" "latency deadline deadline"
run_call quick --session a --latency interactive --deadline 1h -- sleep 600
run_call slow --session a --latency batch -- sleep 600
eventually 30 phase a/tool-1 running && eventually 30 phase a/tool-2 running
quick() { status '[.sessions[].calls[] | select(.latency)] | map(.latency) | sort | join(" ")'; }
is "the status tells the classes" "$(quick)" "batch interactive"
quick_name=$(status '.sessions[].calls[] | select(.latency == "interactive").call')
check "... and what is left of the deadline" test "$(call "$quick_name" deadlineUSec)" -gt 3000000000
is "the scheduler knows the class" "$(class "$quick_name")" interactive
is "no note, for they have an effect" "$(cat "$work/quick.err" "$work/slow.err")" ""

# ---- what is asked for and got
spin='while :; do :; done'
for name in heavy light; do
	priority=562
	[ $name = heavy ] || priority=500
	for i in 1 2 3; do run_call "$name$i" --session $name --priority $priority -- sh -c "$spin"; done
done
# To start they take turns with all else, and the emulated machine is slow.
spinning() { [ "$(cat $pool/session-{heavy,light}/tool-?/cpu.stat 2>/dev/null | awk '$1 == "usage_usec" && $2 > 100000' | wc -l)" = 6 ]; }
eventually 90 spinning
"$agentcg" sched --interval 3s --json >"$work/sched.json"
share() { jq ".groups | map({(.name): .$1}) | add | .heavy / .light * 100 | round" "$work/sched.json"; }
between() { [ "$2" -ge "$1" ] && [ "$2" -le "$3" ]; }
check "two sessions ask for 1.99:1 ($(share askedPercent))" between 195 "$(share askedPercent)" 203
check "... and get it ($(share gotPercent))" between 175 "$(share gotPercent)" 225
is "three calls of one ask for a third each" "$(jq '.groups | map({(.name): .askedPercent}) | add | .heavy / .["heavy/tool-1"] | round' "$work/sched.json")" 3
"$agentcg" sched --interval 200ms >"$work/sched"
like "the table's first line says who is active" "$(head -n 1 "$work/sched")" "^scheduler: sched_ext"
like "... and has a row for each" "$(cat "$work/sched")" "^heavy/tool-2 +auto +199 +[0-9.]+% +[0-9.]+%"
"$agentcg" session close heavy >/dev/null
"$agentcg" session close light >/dev/null

# ---- GPU threads
sleep 600 &
thread=$!
is "root declares a GPU thread" "$(code_of "$agentcg" sched --gpu-thread $thread on)" 0
is "... and takes it back" "$(code_of "$agentcg" sched --gpu-thread $thread off)" 0
is "a thread that is not there" "$(code_of "$agentcg" sched --gpu-thread 4194304 on)" 1
is "others may not" "$(code_of setpriv --reuid 1000 --clear-groups "$agentcg" sched --gpu-thread $thread on)" 1
like "... and are told" "$(cat "$work/code.err")" "only root"
kill $thread
like "others see no names but their own" "$(setpriv --reuid 1000 --clear-groups varlinkctl call -j $socket io.agentcg.GetScheduler '{}' |
	jq -c '[(.groups | length > 1), ([.groups[].name // empty] | length), ([.groups[].histogram // empty] | length)]')" '^\[true,0,0\]$'

# ---- the daemon dies
since=$(status .pool.schedulerSinceUSec)
kill_daemon
sleep 0.5
is "the scheduler outlives the daemon" "$(state) $(ops)" "enabled agentcg"
like "doctor sees it" "$(doctor scheduler)" "running, without the daemon"
start_daemon
is "the next daemon takes it over at once" "$(status '[.pool.scheduler, .pool.schedulerSinceUSec] | tostring')" "[\"sched_ext\",$since]"
is "... and says so" "$(log '^took over the CPU scheduler')" 1
is "... the classes too" "$(quick) $(class "$quick_name")" "batch interactive interactive"

# ---- Scheduler=none and auto, live
with_scheduler none
kill -HUP "$daemon"
check "Scheduler=none ends it" eventually 30 scheduler weights
is "... in the kernel" "$(state)" disabled
check "... and says why" because "Scheduler=none"
like "... in doctor too" "$(doctor scheduler)" "^limited the kernel shares CPU time by cpu.weight: .*Scheduler=none"
is "... its pins are gone, the others not" "$(pinned "sched*") $(pinned memory_ops)" "0 1"
like "the table says it, and what is got" "$("$agentcg" sched --interval 200ms)" "^scheduler: the kernel's, by cpu.weight: .*Scheduler=none"
like "a class is granted with a note" "$("$agentcg" run --latency batch -- true 2>&1)" "no effect now: .*Scheduler=none"
with_scheduler auto
kill -HUP "$daemon"
check "Scheduler=auto loads it again" eventually 90 scheduler sched_ext
is "... with the classes" "$(class "$quick_name")" interactive

# ---- errors
tests/system/inject.py error
check "an error ends it, and is told" eventually 30 logged 'the scheduler ended: .*\(kind 1025\): .*inject' 1
check "it is loaded again" eventually 90 logged '^loaded the CPU scheduler in ' 3
check "... and active" eventually 30 scheduler sched_ext
is "... with the classes" "$(class "$quick_name")" interactive
echo S >/proc/sysrq-trigger
check "SysRq-S ends it, and is told" eventually 30 logged 'the scheduler ended: .*\(kind 67\)' 1
check "... with the time of the next attempt" because 'the scheduler ended: .*; tries again in [0-9]+s|being loaded'
check "... and it comes" eventually 90 scheduler sched_ext

# ---- by hand
rm $pins/sched_ops
check "removed by hand it stays away" eventually 30 because "was unloaded; reload agentcgd"
is "... the memory policy does not mind" "$(status .pool.enforcement)" kernel
kill -HUP "$daemon"
check "... until the policy is read again" eventually 90 scheduler sched_ext
rm $pins/memory_ops
check "the memory policy removed by hand" eventually 30 test "$(status .pool.enforcement)" = degraded
is "... the scheduler does not mind" "$(status .pool.scheduler) $(state)" "sched_ext enabled"
kill -HUP "$daemon"
loaded() { [ "$(status .pool.enforcement)" = kernel ]; }
check "... and it is loaded again" eventually 60 loaded
is "... beside the scheduler that ran" "$(status .pool.scheduler) $(log '^loaded the CPU scheduler')" "sched_ext 5"

# ---- another one
with_scheduler none
kill -HUP "$daemon"
eventually 30 scheduler weights
python3 - build/out/bpf/sched.bpf.o "$work/other.bpf.o" <<'P'
import sys
data = open(sys.argv[1], "rb").read()
name = b"agentcg" + bytes(40)
assert data.count(name) == 1
open(sys.argv[2], "wb").write(data.replace(name, b"strange" + bytes(40)))
P
mkdir -p /sys/fs/bpf/other
other() { [ "$(ops)" = strange ]; }
if bpftool struct_ops register "$work/other.bpf.o" /sys/fs/bpf/other >/dev/null 2>&1 && eventually 10 other; then
	with_scheduler auto
	kill -HUP "$daemon"
	check "another scheduler is not pushed out" eventually 30 because 'another scheduler runs: strange'
	is "... and goes on" "$(ops)" strange
	rm -r /sys/fs/bpf/other
	check "when it has left ours comes" eventually 90 scheduler sched_ext
else
	skip "another scheduler is not pushed out" "the other one does not run"
fi

# ---- it ends while there is no daemon
kill_daemon
tests/system/inject.py error
eventually 30 grep -qx disabled /sys/kernel/sched_ext/state
start_daemon
check "an end that nobody saw is told" eventually 30 logged 'had ended while no daemon ran: .*\(kind 1025\)' 1
check "... and it is loaded again" eventually 90 scheduler sched_ext
kill_daemon TERM
is "it outlives a daemon that was told to end" "$(state) $(ops)" "enabled agentcg"
is "unload" "$(code_of "$agentcg" unload)" 0
like "... tells that it has ended" "$(cat "$work/code.out")" "the CPU scheduler has ended"
is "... which is so" "$(state)" disabled
check "no pin is left" test ! -e $pins
done_testing
