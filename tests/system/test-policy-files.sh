#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Policy files: those of the project load, mistakes are refused with file and line, drop-ins, reload. No module is needed.
# vm: --boot system --accel icount --memory 2G --timeout 120
set -u
. tests/system/lib.sh
mkdir -p "$work/etc"

for f in cgroup-policies/*.conf; do
	cp "$f" "$work/policy.conf"
	start_daemon
	is "${f##*/} loads" "$(code_of "$agentcg" run -- true)" 0
	kill_daemon TERM
done

# refused TEXT LINE REGEX, the policy on standard input: the daemon does not start, and names the line
refused() {
	local rc
	policy
	rc=$(code_of timeout 20 "$out/agentcgd" --foreground --policy "$work/policy.conf" --socket "$work/socket")
	like "$1: refused, with line $2 and what to write" "$rc $(cat "$work/code.err")" "^1 .*policy.conf:$2: .*$3"
}
refused "an unknown section" 3 'Pool' <<<$'\n[Pol]\nMemoryMax=1Gi'
refused "an unknown key" 2 'MemoryMax' <<<$'[Pool]\nMemoryMx=1Gi'
refused "an ambiguous size" 2 '512Mi' <<<$'[Pool]\nMemoryMax=512M'
refused "more than all of the memory" 2 '%' <<<$'[Pool]\nMemoryMax=120%'
refused "a size that is none" 3 'Mi' <<<$'# a comment\n[Pool]\nReserve=lots'
refused "a time without a unit" 2 '30s' <<<$'[Hold]\nDeadline=30'
refused "a negative time" 2 's' <<<$'[Hold]\nDeadline=-1s'
refused "a priority above 1000" 2 '1000' <<<$'[Session]\nPriority=1001'
refused "a priority that is none" 2 'normal' <<<$'[Session]\nPriority=urgent'
refused "neither yes nor no" 2 'yes' <<<$'[Hold]\nCountInPSI=maybe'
refused "a number that is none" 2 '' <<<$'[Call]\nPidsMax=many'
refused "a key in the wrong section" 2 'Deadline' <<<$'[Pool]\nDeadline=3s'
refused "a key before any section" 1 '' <<<'MemoryMax=1Gi'
refused "a line that is no assignment" 2 '' <<<$'[Pool]\nMemoryMax'
refused "an owner that does not exist" 2 '' <<<$'[Session "x"]\nOwner=nobody-knows'
is "a file that is not there: 1" "$(code_of timeout 20 "$out/agentcgd" --foreground --policy "$work/none.conf")" 1
like "... and which" "$(cat "$work/code.err")" "none.conf"

# ---- drop-ins, where the daemon looks by itself
mkdir -p "$work/etc/policy.conf.d" /run/agentcg-etc
mount -t tmpfs none /run/agentcg-etc && mkdir -p /run/agentcg-etc/{up,work} &&
	mount -t overlay -o "lowerdir=/etc,upperdir=/run/agentcg-etc/up,workdir=/run/agentcg-etc/work" none /etc
mkdir -p /etc/agentcg/policy.conf.d
printf '[Pool]\nMemoryMax=300Mi\nReserve=20Mi\n' >/etc/agentcg/policy.conf
printf '[Pool]\nMemoryMax=310Mi\n' >/etc/agentcg/policy.conf.d/20-b.conf
printf '[Pool]\nMemoryMax=320Mi\n' >/etc/agentcg/policy.conf.d/10-a.conf
printf '[Pool]\nMemoryMax=330Mi\n' >/etc/agentcg/policy.conf.d/30-c.conf.off
"$out/agentcgd" --foreground </dev/null >>"$work/daemon.log" 2>&1 &
daemon=$!
eventually 30 listening
is "of the drop-ins the last one counts" "$(status '.pool | "\(.memoryMax/1048576) \(.reserve/1048576)"')" "310 20"

# ---- reload
printf '[Pool]\nMemoryMax=350Mi\n' >/etc/agentcg/policy.conf.d/40-d.conf
kill -HUP "$daemon"
is_350() { [ "$(status '.pool.memoryMax')" = $((350 * MiB)) ]; }
check "SIGHUP reads them again" eventually 20 is_350
is "... into the group's file" "$(cat $pool/memory.max)" $((350 * MiB))
printf '[Pool]\nMemoryMax=360Mi\nNonsense=1\n' >/etc/agentcg/policy.conf.d/40-d.conf
kill -HUP "$daemon"
complained() { grep -q '40-d.conf:3: .*stays as it was' "$work/daemon.log"; }
check "a bad one is refused with file and line" eventually 20 complained
is "... and the old one stays" "$(status '.pool.memoryMax')" $((350 * MiB))
like "... also by varlink" "$(varlinkctl call unix:$socket io.agentcg.Reload '{}' 2>&1)" "40-d.conf:3|InvalidParameter|rror"
is "the daemon still serves" "$(code_of "$agentcg" run -- true)" 0
rm /etc/agentcg/policy.conf.d/40-d.conf
kill -HUP "$daemon"
is_310() { [ "$(status '.pool.memoryMax')" = $((310 * MiB)) ]; }
check "the one before comes back with its file" eventually 20 is_310
kill_daemon TERM
umount /etc /run/agentcg-etc
done_testing
