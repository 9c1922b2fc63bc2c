#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What a user can do to others, to the policy and to the daemon: nothing. The checks are in security.py and hostile.py.
# vm: --boot trust --accel icount --memory 2G --timeout 240
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=600Mi
[Session]
Budget=200Mi
SessionsPerUser=3
CallsPerSession=4
[Session "vip-*"]
Owner=root
Priority=high
[Call]
MemoryMax=100Mi
TimeoutMax=1m
PidsMax=20
CPUMax=1.5
X
start_daemon
# What the daemon opens for it would look like a descriptor left open.
check "the scheduler is loaded first" eventually 90 scheduler sched_ext
tap security.py "$agentcg"
tap hostile.py "$daemon"
is "the command still works" "$(code_of "$agentcg" run -- sh -c 'exit 7')" 7
check "no leaf is left" eventually 10 no_leaves
done_testing
