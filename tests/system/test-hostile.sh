#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A hostile client: what it tries is refused with the documented error, and changes nothing. The checks are in refused.py.
# vm: --boot trust --accel icount --memory 2G --timeout 240
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=600Mi
[Session]
SessionsPerUser=3
[CPU]
Scheduler=none
X
start_daemon
tap refused.py "$daemon"
is "the command still works" "$(code_of "$agentcg" run -- sh -c 'exit 7')" 7
check "no leaf is left" eventually 10 no_leaves
done_testing
