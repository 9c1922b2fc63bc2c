#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A session's KV cache in a real llama-server while it is in a tool call: saved, restored, checked; engines that lie or hang, a webhook that is dead, a daemon that is killed.
# vm: --cpus 4 --memory 2G --beside --timeout 900
set -u
. tests/system/lib.sh

policy <<X
[Pool]
MemoryMax=400Mi
[CPU]
Scheduler=none
[GPU]
Webhook=http://127.0.0.1:8082/events
X
start_daemon
AGENTCG=$agentcg WORK=$work DAEMON=$daemon python3 tests/system/gpu-pause.py
rc=$?
pkill -x llama-server
exit $rc
