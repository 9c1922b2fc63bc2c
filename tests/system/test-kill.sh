#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The daemon is killed before each system call of a call's begin and end, one after another: kill.py.
# vm: --boot trust --accel icount --memory 2G --timeout 300
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=400Mi
Reserve=32Mi
[Session]
SessionsPerUser=4
[CPU]
Scheduler=none
X
tap kill.py "$out/agentcgd" "$work"
done_testing
