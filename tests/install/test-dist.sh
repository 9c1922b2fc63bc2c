#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# host: --beside --timeout 400
# What `make dist` packs runs from any directory with the libraries it brings, on this machine with its own: command, daemon
# without a pool, a worker. The daemon does not see the machine's cgroups, so that nothing is changed there.
set -euo pipefail
. tests/lib/tap.sh

work=$(mktemp -d)
daemon=
at_exit() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
	rm -rf "$work"
}
trap at_exit EXIT

check "scripts/dist packs" scripts/dist
mkdir "$work/some where"
check "it unpacks" tar -C "$work/some where" --strip-components 1 -xzf build/dist/agentcg-*-x86_64.tar.gz
d="$work/some where"
ln -s "$d/agentcg" "$work/link"
cd /
version() { [[ $("$1" --version) =~ ^agentcg\ [0-9.]+$ ]]; }
check "agentcg --version" version "$d/agentcg"
check "... through a link" version "$work/link"
check "agentcgd --help" "$d/agentcgd" --help
doctor() { { "$d/agentcg" doctor || [ $? = 1 ]; } | grep '^ok *kernel'; }
check "agentcg doctor tells what this machine can do" doctor

export AGENTCG_SOCKET=$work/socket
# shellcheck disable=SC2016
unshare --mount --propagation private bash -c 'umount -R -l /sys/fs/cgroup && exec "$@"' - \
	"$d/agentcgd" --foreground --policy "$d/policy.conf" --history '' --socket "$AGENTCG_SOCKET" </dev/null >"$work/log" 2>&1 &
daemon=$!
answers() {
	local try=0
	until "$d/agentcg" status >/dev/null 2>&1; do
		[ $((++try)) -lt 100 ] && kill -0 "$daemon" && sleep 0.1 || break
	done
	[ $try -eq 100 ] || ! kill -0 "$daemon" || return 0
	sed 's/^/# /' "$work/log"
	return 1
}
check "agentcgd runs, without a pool" answers
says_why() { "$d/agentcg" status | grep "cgroup v2"; }
check "... and says why there is none" says_why
foreign() { grep -h '\.so' /proc/"$daemon"/maps | awk '{ print substr($0, index($0, "/")) }' | grep -v "^$d/lib/" | grep -v 'nvidia\|libcuda' | sort -u || true; }
nothing "it has no library of this machine" foreign
has_own() { grep -q "$d/lib/libc.so.6" /proc/"$daemon"/maps; }
check "... but its own" has_own
no_gpu() { "$d/agentcg" gpu status; }
check "agentcg gpu status" no_gpu
# Its command is this machine's, with this machine's libraries.
worker() { local out; out=$("$d/agentcg" gpu run --cpus 1 -- sh -c 'taskset -p $$; ! env | grep ^LD_' 2>&1) && grep 'affinity mask' <<<"$out"; }
if [ "$(nproc)" -gt 1 ]; then
	check "a worker is bound, and sees none of this" worker
else
	skip "a worker is bound" "one CPU is left to tool calls"
fi
rc=0
kill "$daemon"
wait "$daemon" || rc=$?
check "agentcgd ends when it is told" test $rc = 0
daemon=
done_testing
