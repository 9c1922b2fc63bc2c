#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What agents do all day: the same again and again, floods, thinking; and what is told of the past and of what is near.
# vm: --boot system --accel icount --memory 2G --timeout 240
set -u
. tests/system/lib.sh
history=$work/history.db
load_module
policy <<X
[Pool]
MemoryMax=500Mi
[Session]
IdleAfter=1s
[Call]
Learn=none
[CPU]
Scheduler=none
[User]
RequestsPerSecond=100
X
start_daemon
# Compressed memory to swap to, for the last part. A device that was here before is not ours to use.
zram=
if [ ! -e /dev/zram0 ] && modprobe zram 2>/dev/null && [ -b /dev/zram0 ]; then
	zram=/dev/zram0
	echo 512M >/sys/block/zram0/disksize
	mkswap -q $zram
fi
python3 $system/habits.py "$agentcg" "$work" "$daemon" "$zram" >"$work/tap" 2>&1 &
python=$!
tail -n +1 -s 0.2 -f --pid=$python "$work/tap" | sed -E "/^1\.\./d; s/^(not )?ok [0-9]+/\1ok/; s/^([A-Z]|  )/# \1/"
tap_n=$((tap_n + $(grep -cE '^(not )?ok ' "$work/tap")))
check "habits.py came to its end" grep -q "^# end of habits.py" "$work/tap"
clean_up
if [ -n "$zram" ]; then
	swapoff $zram 2>/dev/null
	echo 1 >/sys/block/zram0/reset
	rmmod zram
fi
done_testing
