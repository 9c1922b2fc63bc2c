#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# root: --timeout 120
# Where no cgroup v2 can be had (in the build root none is mounted): the daemon places GPU workers all the same, and says what it cannot do.
set -u
. tests/system/lib.sh

gpu() { "$agentcg" gpu "$@"; }
workers() { gpu status --json | jq -r "$1"; }
no_workers() { [ "$(workers '.workers | length')" = 0 ]; }
allowed() { sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$1/status"; }
mine=$(allowed self)

policy <<<''
start_daemon
like "the daemon starts, and says what it cannot do" "$(cat "$work/daemon.log")" "no tool calls can be run, only GPU workers placed: no cgroup v2"
like "... so does the doctor" "$("$agentcg" doctor)" "^limited GPU workers: no cgroup v2"
is "a tool call is refused" "$(code_of "$agentcg" run -- true)" 125
like "... and why" "$(cat "$work/code.err")" "not possible here: no cgroup v2"
if [ "$(nproc)" -lt 2 ]; then
	skip "a worker is bound to its cores" "there is one CPU, and tool calls keep it"
	done_testing
	exit
fi
"$agentcg" gpu run --name w --cpus 1 -- sleep 300 2>"$work/err" &
pid=$!
running() { [ "$(workers '.workers[0].state')" = running ]; }
check "a worker starts" eventually 20 running
is "... bound to its core" "$(allowed $pid)" "$(workers '.workers[0].cpus')"
like "... and its node" "$(cat /proc/$pid/numa_maps)" " bind:$(workers '.workers[0].mems') "
is "... which is not for it alone" "$(workers '.workers[0].exclusive')" false
like "... as is told" "$(cat "$work/err")" "nobody else is kept off them"
kill $pid
check "it ends" eventually 20 no_workers
sleep 300 &
pid=$!
gpu attach --name a --cpus 1 $pid >/dev/null 2>&1
is "one that runs is bound" "$(allowed $pid)" "$(workers '.workers[0].cpus')"
gpu end a
is "... and let go" "$(allowed $pid)" "$mine"
kill $pid
done_testing
