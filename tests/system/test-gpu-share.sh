#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Several workers on one GPU, and GPU memory of idle ones. There is no GPU: NVML, libcuda and MPS's control daemon are fakes (tests/gpu), as is
# the engine (engine.py); daemon, command, groups and processes are real.
# vm: --accel icount --cpus 6 --memory 1G --timeout 600
set -u
. tests/system/lib.sh

# Where reading takes no time of the guest's clock.
fakes=$work/bin
mkdir -p "$fakes"
cp tests/gpu/nvidia-cuda-mps-control "$fakes"
first=GPU-11111111-0000 second=GPU-22222222-0000
folder=/run/agentcg/mps-$first
mkdir -p /run/fake-mps "$work/cuda"
gpu() { "$agentcg" gpu "$@"; }
workers() { gpu status --json | jq -r "$1"; }
no_workers() { [ "$(workers '.workers | length')" = 0 ]; }
of() { workers ".workers[] | select(.name == \"$1\") | .$2"; }
of_is() { [ "$(of "$1" "$2")" = "$3" ]; }
mode() { echo "$@" >/run/fake-mps/mode; }
calls() { cat /run/fake-mps/log 2>/dev/null; }
controls() { pgrep -fc '^/bin/bash .*/nvidia-cuda-mps-control'; }
nothing_runs() { [ "$(controls)" = 0 ] && [ ! -e $folder ]; }
daemon_with_fakes() {
	PATH=$fakes:$PATH LD_LIBRARY_PATH=$out/tests/gpu AGENTCG_FAKE_NVML=$work/gpus AGENTCG_FAKE_CUDA=$work/cuda start_daemon
	eventually 20 seen
}
seen() { [ "$(workers '.gpus | length')" = 2 ]; }
# gpus [LINE...]: of the first
gpus() {
	{
		echo "gpu $first"
		[ $# = 0 ] || printf '%s\n' "$@"
		echo "gpu $second"
	} >"$work/gpus.new"
	mv "$work/gpus.new" "$work/gpus"
}
# worker NAME OPTION...: one that writes down its environment; $pid
worker() {
	local name=$1
	shift
	rm -f "$work/$name.env"
	"$agentcg" gpu run --name "$name" --cpus 1 "$@" -- sh -c "env >$work/$name.new; mv $work/$name.new $work/$name.env; exec sleep 600" 2>"$work/$name.err" &
	pid=$!
}
begun() { [ -s "$work/$1.env" ]; }
variables() { grep -E '^CUDA_' "$work/$1.env" | sort | paste -sd ' '; }

policy <<P
[Pool]
MemoryMax=400Mi
[CPU]
Scheduler=none
[GPU]
LaunchProbe=none
CheckpointAfter=4s
P
gpus
daemon_with_fakes

# ---- shares
is "no MPS without a share" "$(gpu run --gpu 0 -- sh -c 'echo $CUDA_MPS_PIPE_DIRECTORY'; calls)" ""
worker prefill --gpu 0 --role prefill --mps-share 60
check "a worker with a share starts" eventually 20 begun prefill
is "it is a client of a control daemon of its GPU" "$(variables prefill)" \
	"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=60 CUDA_MPS_LOG_DIRECTORY=$folder/log CUDA_MPS_PIPE_DIRECTORY=$folder/pipe CUDA_VISIBLE_DEVICES=$first"
is "... which agentcg has started" "$(calls)" "-d $first $folder/pipe"
is "the status shows role and share" "$(workers '.workers[] | "\(.role) \(.mpsShare)"')" "prefill 60"
like "... to people too" "$(gpu status)" '^prefill: .*; 60% of its GPU by MPS$'
like "more than all is refused" "$(code_of "$agentcg" gpu run --gpu 0 --mps-share 50 -- true; cat "$work/code.err")" "ask for 40 % at most"
worker decode --gpu 0 --role decode --mps-share 40
check "the other role has the rest" eventually 20 begun decode
is "... of the same control daemon" "$(calls | wc -l) $(controls)" "1 1"
like "nothing is left" "$(code_of "$agentcg" gpu run --gpu 0 --mps-share 1 -- true; cat "$work/code.err")" "ask for 0 % at most"
worker cheap --gpu 0 --priority low --mps-share 50
check "... but for best effort" eventually 20 begun cheap
like "... which yields, and has so much of the memory" "$(variables cheap)" "CUDA_MPS_CLIENT_PRIORITY=1 .*CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=0=81[0-9][0-9]M "
like "a share is of one GPU" "$(code_of "$agentcg" gpu run --mps-share 1 -- true; cat "$work/code.err")" "a share by MPS is of one GPU, and this worker has 2"

control=$(pgrep -f 'nvidia-cuda-mps-control daemon')
kill_daemon KILL
daemon_with_fakes
is "a daemon that was killed: the next one knows the shares" "$(workers '[.workers[].mpsShare] | sort | join(" ")')" "40 50 60"
is "... and the control daemon goes on" "$(pgrep -f 'nvidia-cuda-mps-control daemon')" "$control"
gpu end --kill decode
gone() { ! of_is "$1" name "$1"; }
eventually 10 gone decode
is "what ended can be had again" "$(code_of "$agentcg" gpu run --gpu 0 --mps-share 40 -- true)" 0
is "... of the same" "$(calls | grep -c '^-d')" 1
gpu end --kill prefill
gpu end --kill cheap
check "the last one ends it" eventually 20 nothing_runs
like "... by its own command" "$(calls | tail -n 1)" "^quit $folder/pipe"

# ---- a control daemon that is slow, hangs, fails, dies
mode slow 3
worker patient --gpu 0 --mps-share 10
starts() { [ -e $folder/starting ]; }
eventually 10 starts
is "one that starts slowly: the daemon answers meanwhile" "$(timeout 1 "$agentcg" gpu status --json | jq -r '.workers[].state')" starting
worker second --gpu 0 --mps-share 10
check "... two wait for it" eventually 20 begun patient
check "... and go on with it" eventually 20 begun second
is "... which is one" "$(calls | tail -n 1)" "-d $first $folder/pipe"
gpu end --kill patient
gpu end --kill second
eventually 20 nothing_runs
worker hasty --gpu 0 --mps-share 10
eventually 10 starts
kill -KILL $pid
check "whoever waits is killed: its worker is gone" eventually 10 no_workers
check "... and what starts for nobody ends" eventually 20 nothing_runs

mode never
"$agentcg" gpu run --gpu 0 --mps-share 10 -- true 2>"$work/err" &
pid=$!
eventually 10 starts
is "one that hangs: the daemon answers" "$(timeout 1 "$agentcg" gpu status --json | jq -r '.workers[].state')" starting
rc=0
wait $pid || rc=$?
is "... the worker does not start" "$rc" 125
like "... and why" "$(cat "$work/err")" "does not start for GPU $first \(it has not for 5 s\)"
check "... and nothing is left" eventually 10 no_workers
check "... of it" eventually 10 nothing_runs
mode fail
like "one that fails" "$(code_of "$agentcg" gpu run --gpu 0 --mps-share 10 -- true; cat "$work/code.err")" "does not start for GPU $first \(it ended\)"
mode slow 3
worker orphan --gpu 0 --mps-share 10
eventually 10 starts
kill_daemon KILL
rc=0
wait $pid || rc=$?
is "the daemon is killed meanwhile: the worker does not start" "$rc" 125
daemon_with_fakes
check "... the next one has none" eventually 10 no_workers
check "... and ends what was about to start" eventually 20 nothing_runs

mode ""
worker lost --gpu 0 --mps-share 70
eventually 20 begun lost
pkill -KILL -f 'nvidia-cuda-mps-control daemon'
tells() { gpu status | grep -q "^lost: .*MPS of its GPU has ended"; }
check "one that dies: its worker's status says so" eventually 10 tells
kill_daemon KILL
daemon_with_fakes
check "... also with the next daemon" eventually 10 tells
worker next --gpu 0 --mps-share 30
check "... and the next worker gets another" eventually 20 begun next
gpu end --kill lost
mode clients
gpu end --kill next
quits() { [[ $(calls | tail -n 1) = quit* ]]; }
eventually 10 quits
like "one that waits for its clients is not given to others" "$(code_of "$agentcg" gpu run --gpu 0 --mps-share 10 -- true; cat "$work/code.err")" \
	"ends, and waits for a process that was a worker"
worker late --gpu 0 --mps-share 10
pkill -TERM -f 'nvidia-cuda-mps-control daemon'
check "... until it has ended" eventually 20 begun late
mode ""
gpu end --kill late
check "... and that one ends, too" eventually 20 nothing_runs

# ---- checkpoints: where the GPU memory of an idle worker is
cuda_is() { [ "$(cat "$work/cuda/$pid")" = "$1" ]; }
engine() { # NAME
	echo "20 1" >"$work/ms"
	"$agentcg" gpu run --gpu 0 --name "$1" --cpus 1 --url http://127.0.0.1:8098 -- python3 $system/engine.py 8098 "$work/ms" 2>"$work/engine.err" &
	pid=$!
	echo running >"$work/cuda/$pid"
	gpus "process compute $pid 1048576"
	eventually 30 of_is "$1" inference.running 1
}
engine busy
sleep 6
is "a worker with requests keeps its GPU memory" "$(of busy checkpoint) $(cat "$work/cuda/$pid")" "none running"
echo "20 0" >"$work/ms"
check "an idle one has it moved to the host" eventually 30 of_is busy checkpoint saved
check "... by the driver" cuda_is checkpointed
like "... which people see" "$(gpu status)" "^busy: .*; its GPU memory is on the host$"
gpus # as NVIDIA's: what is on the host is no process of the GPU
sleep 3
is "... and there it stays" "$(of busy checkpoint)" saved
echo "20 1" >"$work/ms"
check "the first request brings it back" eventually 10 of_is busy checkpoint none
check "... and it goes on" cuda_is running
gpus "process compute $pid 1048576"
echo "20 0" >"$work/ms"
eventually 30 of_is busy checkpoint saved
gpus
kill_daemon KILL
daemon_with_fakes
check "the next daemon brings back what one that was killed has moved" eventually 20 cuda_is running
gpus "process compute $pid 1048576"
check "... and moves it again" eventually 30 of_is busy checkpoint saved
gpus
kill -STOP $pid
check "an engine that does not answer gets it back, too" eventually 20 cuda_is running
kill -CONT $pid
kill $pid
eventually 20 no_workers

echo cuCheckpointProcessCheckpoint >"$work/cuda/fail"
engine sorry
echo "20 0" >"$work/ms"
check "a checkpoint that fails is told" eventually 30 of_is sorry checkpoint failed
like "... with the reason" "$(gpu status)" "^sorry: .*; its GPU memory cannot be saved"
check "... and the worker goes on" cuda_is running
rm "$work/cuda/fail"
sleep 6
is "... and is left alone from then on" "$(of sorry checkpoint) $(cat "$work/cuda/$pid")" "failed running"
kill $pid
check "it ends" eventually 20 no_workers

# ---- a GPU that its owner has divided (MIG)
gpus "mig" "instance MIG-33333333-0000" "name Fake 1g.2gb" "instance MIG-44444444-0000"
divided() { [ "$(workers '[.gpus[] | select(.instance != null) | .uuid] | join(" ")')" = "MIG-33333333-0000 MIG-44444444-0000" ]; }
check "instances are seen" eventually 10 divided
like "... which people see, too" "$(gpu status)" "^ *0/1  Fake GPU MIG"
like "... and that their GPU is divided" "$(gpu status)" "^ *0  Fake GPU .* divided \(MIG\)"
like "the GPU itself is given to nobody" "$(code_of "$agentcg" gpu run --gpu 0 -- true; cat "$work/code.err")" \
	"GPU 0 is in MIG mode: say which of its instances, with --gpu one of 0/0 0/1"
is "an instance is, by its UUID" "$(gpu run --gpu MIG-4444 -- sh -c 'echo $CUDA_VISIBLE_DEVICES')" MIG-44444444-0000
is "... or its number" "$(gpu run --gpu 0/0 -- sh -c 'echo $CUDA_VISIBLE_DEVICES')" MIG-33333333-0000
is "all GPUs are those that are not divided" "$(gpu run -- sh -c 'echo $CUDA_VISIBLE_DEVICES')" $second
worker part --gpu 0/1 --mps-share 50
check "one is shared by MPS as a GPU is" eventually 20 begun part
like "... by a control daemon of its own" "$(calls | tail -n 1)" "^-d MIG-44444444-0000 /run/agentcg/mps-MIG-44444444-0000/pipe"
like "... which its worker is told" "$(variables part)" "CUDA_MPS_PIPE_DIRECTORY=/run/agentcg/mps-MIG-44444444-0000/pipe CUDA_VISIBLE_DEVICES=MIG-44444444-0000"
like "people see where it is" "$(gpu status)" "^ *0/1 +part "
gpus "mig" "instance MIG-33333333-0000"
check "its instance is taken away: so says the worker" eventually 15 of_is part state gpu_lost
gpu end --kill part
check "it ends" eventually 20 no_workers
done_testing
