#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# GPU workers without a GPU: placed, alone on their cores, moved, resized, ended; what is given back however they or the daemon end.
# vm: --cpus 4 --numa 640,640,256/0 --beside --timeout 900
set -u
. tests/system/lib.sh

slice=/sys/fs/cgroup/agentcg-gpu.slice
pages=$out/tests/bench-pages
numa="python3 tests/bench/workers_numa.py"
gpu() { "$agentcg" gpu "$@"; }
# workers FILTER: a jq filter over the status of workers
workers() { gpu status --json | jq -r "$1"; }
no_workers() { [ "$(workers '.workers | length')" = 0 ]; }
state() { [ "$(workers ".workers[] | select(.name == \"$1\") | .state")" = "$2" ]; }
traces() { python3 -c 'import sys; sys.path.insert(0, "tests/bench"); import json, workers_numa; print(json.dumps(workers_numa.snapshot()))'; }
# untouched: whether all is as it was before the first worker
untouched() {
	traces >"$work/after" && python3 - "$work/before" "$work/after" <<-'X'
		import json, sys
		sys.path.insert(0, "tests/bench")
		import workers_numa
		left = workers_numa.differences(*(json.load(open(f)) for f in sys.argv[1:]))
		print("\n".join(left))
		sys.exit(bool(left))
	X
}
# worker NAME OPTION...: one that allocates 48 MiB and computes, in the background; $pid
worker() {
	local name=$1
	shift
	[ -p "$work/in" ] || { mkfifo "$work/in"; exec 9<>"$work/in"; }
	"$agentcg" gpu run --name "$name" "$@" -- "$pages" 48 1 <"$work/in" >"$work/$name.out" 2>"$work/$name.err" &
	pid=$!
	eventually 20 grep -q ready "$work/$name.out"
}

policy <<X
[Pool]
MemoryMax=400Mi
[CPU]
Scheduler=none
X
start_daemon
traces >"$work/before"

# ---- what is seen, and who may
like "without a driver there is no GPU, and why" "$(gpu status)" "no GPU: .+"
is "tool calls have all CPUs" "$(workers .callCpus)" 0-3
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
is "others than root place nothing" "$(code_of as_nobody "$agentcg" gpu run -- true)" 125
like "... and are told" "$(cat "$work/code.err")" "only root may place GPU workers"
check "... but may look" as_nobody "$agentcg" gpu status
is "a tool call places nothing" "$(code_of "$agentcg" run -- "$agentcg" gpu run -- true)" 125
like "... and is told" "$(cat "$work/code.err")" "part of the tool call"
is "a name with a slash is refused" "$(code_of "$agentcg" gpu run --name ../x -- true)" 125
is "a GPU that is not there is refused" "$(code_of "$agentcg" gpu run --gpu 7 -- true)" 125
like "... and why" "$(cat "$work/code.err")" "there is no GPU '7': no GPU is seen"
is "a command that is not there: 127" "$(code_of "$agentcg" gpu run -- /nonexistent)" 127
check "... and nothing stays of it" eventually 10 no_workers
nothing "... nothing at all" untouched

# ---- figures
figures=$($numa --seconds "${SECONDS_OF_FOREIGN:-10}" 2> >(grep '^#' >&1 >"$work/figures"))
sed 's/^/# /' "$work/figures"
at_least() { jq -e ".[\"$1\"] >= $2" <<<"$figures"; }
check "4.2a: placed before it starts, all pages that it maps are on its node when it is ready" at_least 4.2a 100
check "... and all that its group is charged for" at_least 4.2a-charged 100
check "4.2b: moved while it runs, 95 % are" at_least 4.2b 95
is "4.2c: nobody else runs on its cores" "$(jq '.["4.2c"]' <<<"$figures")" 0
is "4.2d: nothing is left of it" "$(jq '.["4.2d"]' <<<"$figures")" 0

# ---- resized
worker one --cpus 1 --memory 64Mi
check "a worker runs" eventually 10 state one running
is "its memory is protected" "$(cat $slice/memory.min $slice/worker-one/memory.min | uniq)" $((64 * MiB))
is "... and is taken off the pool" "$(cat $pool/memory.max)" $(((400 - 64) * MiB))
is "its cores are a partition" "$(cat $slice/cpuset.cpus.partition) $(cat $slice/cpuset.cpus.effective)" "root $(workers '.workers[0].cpus')"
is "the far node is for what it offloads alone" "$(workers '.workers[0] | .farMems + " " + .mems')" "2 1"
gpu resize --cpus 2 --memory 32Mi one >/dev/null
is "resized: two cores" "$(cat $slice/cpuset.cpus.effective)" "$(workers '.workers[0].cpus')"
is "... of its node" "$(workers '.workers[0] | "\(.cores) \(.cpus) \(.exclusive)"')" "2 2-3 true"
is "... and less memory" "$(cat $pool/memory.max)" $(((400 - 32) * MiB))
gpu resize --cpus 9 one >/dev/null 2>"$work/err"
is "tool calls keep a core" "$(workers '"\(.workers[0].cores) \(.callCpus)"')" "3 0"
like "... which is told" "$(cat "$work/err")" "3 cores, not 9"
worker two --cpus 1
is "two share what there is" "$(workers '[.workers[].cores] | add')" 3
is "... no core twice" "$(workers '.workers[].cpus' | python3 -c 'import sys; sys.path.insert(0, "tests/bench"); from workers_numa import parse_set
sets = [parse_set(line) for line in sys.stdin]; print(len(set.union(*sets)))')" 3
gpu resize --cpus 1 one >/dev/null
is "a name is given once" "$(code_of "$agentcg" gpu run --name two -- true)" 125

# ---- the daemon dies
before=$(workers '[.workers[] | {name, cpus, mems, memoryProtected, exclusive}]')
kill_daemon KILL
start_daemon
is "a daemon that was killed finds its workers" "$(workers '[.workers[] | {name, cpus, mems, memoryProtected, exclusive}]')" "$before"
kill_daemon KILL
kill -KILL "$pid"
wait "$pid" 2>/dev/null
start_daemon
is "what ended meanwhile is given back" "$(workers '[.workers[].name] | join(" ")')" one
gpu end one
check "ended, its processes go on" pgrep -x bench-pages
check "... elsewhere, and nothing is left" untouched
pkill -KILL -x bench-pages
kill_daemon KILL
start_daemon
nothing "... also for the next daemon" untouched

# ---- it crashes
worker crash --cpus 2 --huge-pages 8Mi
kill -SEGV "$pid"
check "a worker that crashes is gone" eventually 10 no_workers
nothing "... and nothing is left of it" untouched
worker killed --cpus 1
gpu end --kill killed
check "one that is killed too" eventually 10 no_workers
nothing "... leaves nothing" untouched

# ---- CPUs go
worker stays --cpus 2
echo 0 >/sys/devices/system/cpu/cpu3/online
moved() { [ "$(workers '.workers[0] | "\(.cpus) \(.exclusive)"')" = "$1" ]; }
check "a CPU of it goes offline: it gets another" eventually 15 moved "1-2 true"
echo 1 >/sys/devices/system/cpu/cpu3/online
back() { [ "$(workers .callCpus)" = 0,3 ] && moved "1-2 true"; }
check "... and keeps it when that comes back, which tool calls have now" eventually 15 back
gpu end --kill stays
eventually 10 no_workers
nothing "... and nothing is left" untouched
kill_daemon TERM

# ---- GPUs, those of a library that stands for NVIDIA's (tests/gpu); one is where a device of the guest is
irqs_of() { find "$device/msi_irqs" -type f -printf '%f\n' 2>/dev/null; }
for device in /sys/bus/pci/devices/*; do
	[ "$(basename "$(readlink "$device/driver")")" = virtio-pci ] && compgen -G "$device/virtio*/virtio-ports" >/dev/null && break
done
echo 1 >"$device/numa_node"
# gpus LINE...: what the driver says of the first from now on
gpus() {
	local address=${device##*/}
	{
		printf 'gpu GPU-11111111-0000\nname Fake H100\npci %s\nbusy 37\n' "${address%.*}"
		printf '%s\n' "$@"
		printf 'gpu GPU-22222222-0000\npci 0:7f:0\n'
	} >"$work/gpus.new"
	mv "$work/gpus.new" "$work/gpus"
}
gpus
policy <<X
[Pool]
MemoryMax=400Mi
[CPU]
Scheduler=none
[GPU]
MoveInterrupts=yes
X
LD_LIBRARY_PATH=$out/tests/gpu AGENTCG_FAKE_NVML=$work/gpus start_daemon
traces >"$work/before"
is "GPUs are seen, and where they are" "$(workers '[.gpus[] | "\(.index) \(.name) \(.node) \(.busy) \(.lost)"] | join(", ")')" \
	"0 Fake H100 1 37 false, 1 Fake GPU null 0 false"
is "what is executed sees its GPU alone" "$(gpu run --gpu 0 -- sh -c 'echo $CUDA_VISIBLE_DEVICES')" GPU-11111111-0000
eventually 10 no_workers
is "it gets two cores and one for its GPU" "$(gpu run --gpu 1 -- nproc)" 3
eventually 10 no_workers
is "... as far as that GPU's part of its node goes" "$(gpu run --gpu 0 -- nproc)" 2
eventually 10 no_workers
is "a part of a GPU without MPS is refused" "$(code_of "$agentcg" gpu run --gpu 0 --mps-share 40 -- true)" 125
like "... and why" "$(cat "$work/code.err")" "mps-control is not installed"
nothing "... and leaves nothing" untouched
worker first --gpu GPU-1111 --cpus 1
eventually 10 state first running
like "a worker is where its GPU is" "$(workers '.workers[0] | "\(.node) \(.placement)"')" "^1 1 core at node 1"
like "... which people see" "$(gpu status)" "^ *0 +first +unknown +both +[23] +1 "
on_cores() {
	local irq
	for irq in $(irqs_of); do
		[ "$(cat /proc/irq/"$irq"/smp_affinity_list)" = "$(workers '.workers[0].cpus')" ] && return
	done
	return 1
}
check "interrupts of its GPU go there" on_cores
sleep 300 &
other=$!
gpus "process compute $other 1048576" "process compute $pid -"
like "another process on the GPU is told" "$(sleep 1.1; gpu status)" "GPU 0: process $other is no worker"
is "... the worker's is none" "$(workers '[.gpus[0].others[].pid] | join(" ")')" "$other"
kill $other

# ---- what limits it: a libcuda that is a fake, too, on which it waits for most of the time
"$agentcg" gpu run --name launches --gpu 0 --cpus 1 -- "$out/tests/gpu/launcher" waits 600 2000 750 5000000 >"$work/launches.out" 2>&1 &
launcher=$!
bound() { [ "$(workers '.workers[] | select(.name == "launches") | .launches.boundBy')" = "$1" ]; }
gpus "busy 97"
check "a worker that waits for a busy GPU is bound by it" eventually 180 bound gpu
gpus "busy 20"
check "... for one that is idle it waits in vain" eventually 20 bound unknown
gpus "error nvmlDeviceGetUtilizationRates 3"
check "... where nobody knows, the waiting counts" eventually 20 bound gpu
is "... and the status says that it is not known" "$(workers '.gpus[0].busy')" null
kill $launcher
one_left() { [ "$(workers '.workers | length')" = 1 ]; }
eventually 10 one_left

gpus "error * 15"
check "the GPU is lost: so says its worker" eventually 15 state first gpu_lost
like "... and why" "$(gpu status)" "first: .*; GPU GPU-11111111-0000 is lost: .+"
is "... it is given to nobody" "$(code_of "$agentcg" gpu run --gpu 0 -- true)" 125
is "... others start" "$(code_of "$agentcg" gpu run --gpu 1 --name second -- true)" 0
gpus
check "it is back: the worker runs" eventually 15 state first running
gpus "hang nvmlDeviceGetMemoryInfo 60"
sleep 2
is "the driver hangs: the daemon answers" "$(timeout 5 "$agentcg" gpu status --json | jq -r '.workers[0].name')" first
gpus
gpu end --kill first
check "it ends" eventually 10 no_workers
nothing "... and nothing is left, nor its interrupts elsewhere" untouched
done_testing
