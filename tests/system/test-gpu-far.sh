#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Far memory: a node without CPUs and one behind CXL hold what workers offload, as the policy says, and nothing else of theirs.
# vm: --cpus 2 --memory 1G --numa 768,256/0 --cxl 256 --beside --timeout 600
set -u
. tests/system/lib.sh

pages=$out/tests/bench-pages
gpu() { "$agentcg" gpu "$@"; }
workers() { gpu status --json | jq -r "$1"; }
memory_nodes() { cat /sys/devices/system/node/has_memory; }

is "a node without CPUs is there" "$(memory_nodes) $(cat /sys/devices/system/node/has_cpu)" "0-1 0"
for module in cxl_acpi cxl_pci cxl_mem dax_cxl kmem; do modprobe $module; done
ready() { [ "$(cxl list -M 2>/dev/null | jq -r '.[0].memdev // empty')" = mem0 ]; }
check "the CXL device is there" eventually 60 ready
cxl create-region -m -t ram -d decoder0.0 -w 1 mem0 >"$work/region" 2>&1 || sed 's/^/# /' "$work/region"
online() { [ "$(memory_nodes)" = 0-2 ] || { daxctl online-memory all; daxctl reconfigure-device --human --mode=system-ram all; false; } >/dev/null 2>&1; }
check "its memory is a node" eventually 60 online

policy <<X
[Pool]
MemoryMax=300Mi
[CPU]
Scheduler=none
X
start_daemon
mkfifo "$work/in"
exec 9<>"$work/in"
"$agentcg" gpu run --name w --cpus 1 -- "$pages" 200 0 <"$work/in" >"$work/out" 2>&1 &
pid=$!
eventually 60 grep -q ready "$work/out"
far() { workers '.workers[0] | "\(.mems) \(.farMems)"'; }
is "auto: a worker's memory is near, both far nodes are for what it offloads" "$(far)" "0 1-2"
elsewhere() { grep -ho 'N[1-9][0-9]*=[0-9]*' "/proc/$pid/numa_maps" | sort | uniq -c; }
check "none of its pages is far, though it filled what was free" eventually 60 silent elsewhere
reload() {
	printf '[Pool]\nMemoryMax=300Mi\n[CPU]\nScheduler=none\n[GPU]\nFarNodes=%s\n' "$1" | policy
	kill -HUP "$daemon"
	eventually 20 grep -q "the policy was read again" "$work/daemon.log"
	: >"$work/daemon.log"
}
reload 2
is "FarNodes=2: that one alone" "$(far)" "0 2"
reload none
is "FarNodes=none: none" "$(far)" "0 "
gpu end --kill w
done_testing
