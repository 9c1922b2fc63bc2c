#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Which threads of a worker are of the scheduler's GPU class. The engine is a program of that name; the scheduler is real.
# vm: --accel icount --cpus 4 --memory 1G --timeout 300
set -u
. tests/system/lib.sh

policy <<X
[Pool]
MemoryMax=400Mi
X
load_module
start_daemon
scheduled() { "$agentcg" status --json | jq -e '.pool.scheduler | test("sched_ext")'; }
of() { "$agentcg" gpu status --json | jq -r ".workers[] | select(.name == \"$1\") | .$2"; }
is_of() { [ "$(of "$1" "$2")" = "$3" ]; }
stays_so() { ! eventually 5 is_not "$@"; }
is_not() { ! is_of "$@"; }
mkdir "$work/bin"
cp /usr/bin/sleep "$work/bin/llama-server"

check "the scheduler is at work" eventually 120 scheduled
"$agentcg" gpu run --name free --cpus 2 -- "$work/bin/llama-server" 1000 2>/dev/null &
check "an engine is known" eventually 30 is_of free engine llama-server
check "... and its thread that feeds the GPU comes first" eventually 30 is_of free feeders 1
"$agentcg" gpu end --kill free
# Its other threads could run nowhere else.
# shellcheck disable=SC2016 # in there
"$agentcg" gpu run --name bound --cpus 2 -- \
	sh -c 'exec taskset --cpu-list "$(taskset -pc $$ | sed "s/.*: //; s/[-,].*//")" "$0" 1000' "$work/bin/llama-server" 2>/dev/null &
check "one that is bound to a CPU is known" eventually 30 is_of bound engine llama-server
check "... its threads are equal" stays_so bound feeders 0
"$agentcg" gpu end --kill bound
done_testing
