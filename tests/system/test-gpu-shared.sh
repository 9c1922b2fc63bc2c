#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Sessions in vLLM, SGLang and LMCache, which are fakes: what is asked of them, when they are emptied and when not, and how they fail.
# vm: --cpus 4 --memory 1G --beside --timeout 600
set -u
. tests/system/lib.sh

policy <<X
[Pool]
MemoryMax=300Mi
[CPU]
Scheduler=none
X
echo '[GPU]' >>"$work/policy.conf"
start_daemon
AGENTCG=$agentcg WORK=$work DAEMON=$daemon python3 tests/system/gpu-shared.py
