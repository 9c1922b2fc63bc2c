#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --systemd --timeout 240
# On a machine where systemd is PID 1: the installed unit starts the daemon in a delegated group, with the module loaded,
# and the installed command runs something there.
set -euo pipefail
. tests/lib/tap.sh

# The guest does without, to boot faster; a machine has it.
rm -f /run/systemd/system/modprobe@.service
check "install on the running machine, without DKMS" scripts/install --no-dkms
check "the module is found" modprobe --show-depends agentcg
check "agentcgd.service starts" systemctl start agentcgd
check "it is active" systemctl is-active agentcgd
[ "$(systemctl is-active agentcgd)" = active ] || journalctl -u agentcgd --no-pager -n 30 | sed 's/^/# /'
check "the module is loaded" test -d /sys/module/agentcg
[ -d /sys/module/agentcg ] || journalctl -u 'modprobe@agentcg' -u systemd-modules-load --no-pager -n 30 | sed 's/^/# /'
group=/sys/fs/cgroup$(systemctl show -P ControlGroup agentcgd)
main=$(systemctl show -P MainPID agentcgd)
check "the daemon has its own leaf" grep -qx "0::${group#/sys/fs/cgroup}/daemon" "/proc/$main/cgroup"

check "agentcg run -- true" agentcg run -- true
code() { local rc=0; agentcg run -- sh -c "exit $1" || rc=$?; [ $rc -eq "$1" ]; }
check "the exit code comes back" code 7
where=$(agentcg run -- cat /proc/self/cgroup) || where="none: exit code $?"
scope=$(sed -nE 's|^0::/.*/(agentcg[^/]*\.scope)/agentcg\.slice/session-uid-0/tool-[0-9]+$|\1|p' <<<"$where")
delegated() { [ -n "$scope" ] && [ "$(systemctl show -P Delegate "$scope")" = yes ] || { echo "$where"; return 1; }; }
check "the call ran in a leaf below a delegated scope" delegated
enforced() { agentcg status --json | jq -e '.. | .enforcement? // empty | select(. == "kernel")'; }
check "enforcement is by the kernel" enforced
user_run() { setpriv --reuid 1 --regid 1 --clear-groups agentcg run -- true; }
check "an ordinary user may run something too" user_run

# Below the scope the cores of a worker are a partition all the same, and memory is protected all the way up.
agentcg gpu run --name w --cpus 1 --memory 32Mi -- sleep 300 2>/tmp/worker.err &
worker=$!
slice=/sys/fs/cgroup/system.slice/$scope/agentcg-gpu.slice
placed() { [ "$(agentcg gpu status --json | jq -r '.workers[0] | "\(.exclusive) \(.state)"')" = 'true running' ] || { agentcg gpu status; cat /tmp/worker.err; return 1; }; }
for _ in 1 2 3 4 5 6 7 8 9 10; do placed >/dev/null && break || sleep 1; done
check "a GPU worker has its core for itself" placed
protected() { [ "$(cat "$slice"/memory.min "${slice%/*}/memory.min" /sys/fs/cgroup/system.slice/memory.min | uniq)" = 33554432 ]; }
check "... and memory that nobody reclaims" protected
kill $worker
wait $worker || true
given_back() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do [ -d "$slice" ] || break; sleep 1; done
	[ ! -d "$slice" ] && [ "$(cat /sys/fs/cgroup/system.slice/memory.min)" = 0 ] && [ "$(cat /sys/fs/cgroup/cpuset.cpus.effective)" = 0-1 ]
}
check "... and all of it is given back" given_back

removal_refused() { ! scripts/install --remove; }
check "removal is refused while the daemon runs" removal_refused
check "agentcgd.service stops" systemctl stop agentcgd
check "agentcg unload" agentcg unload
check "removal" scripts/install --remove
gone() { [ ! -e /usr/bin/agentcg ] && [ ! -e /usr/sbin/agentcgd ] && [ ! -e /etc/agentcg ] && ! modinfo agentcg; }
check "nothing is left" gone

done_testing
