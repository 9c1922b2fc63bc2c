#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What a user can do to others, to the policy and to the daemon: nothing. The checks are in security.py and hostile.py.
# vm: --boot system --memory 2G --timeout 240
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
X
start_daemon
echo "$daemon" >"$work/daemon"
python3 $system/security.py "$agentcg" | sed '/^1\.\./d' >"$work/security"
cat "$work/security"
tap_n=$(grep -cE '^(not )?ok ' "$work/security")
check "all of it was tried" grep -q '^# end of security.py' "$work/security"
python3 $system/hostile.py "$daemon" >"$work/hostile"
sed -E "/^1\.\./d; s/ok [0-9]+/ok/" "$work/hostile"
tap_n=$((tap_n + $(grep -cE '^(not )?ok ' "$work/hostile")))
check "all of that, too" grep -q '^# end of hostile.py' "$work/hostile"
is "the command still works" "$(code_of "$agentcg" run -- sh -c 'exit 7')" 7
check "no leaf is left" eventually 10 no_leaves
done_testing
