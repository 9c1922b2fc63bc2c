#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The Python SDK with the real daemon, as root and as a user without rights: python.py, whose lines are numbered here.
# vm: --boot system --accel icount --memory 2G --timeout 400
set -u
. tests/system/lib.sh
history=$work/history.db
load_module
policy <<X
[Pool]
MemoryMax=900Mi
[Session]
CallsPerSession=60
[Call]
PidsMax=1000
Learn=none
[CPU]
Scheduler=none
X
start_daemon
"$agentcg" session open rooted >/dev/null
sdk=userspace/sdk/python
export PYTHONPATH=$sdk PYTHONDONTWRITEBYTECODE=1 ASK=$work/ask
mkdir -m 777 "$ASK"

# relay NAME FD: what python.py has said since
relay() {
	local line
	while IFS= read -r -u "$2" line; do
		case $line in
		"ok - "*) ok "$1: ${line#ok - }" ;;
		"not ok - "*) not_ok "$1: ${line#not ok - }" ;;
		*) echo "# $line" ;;
		esac
	done
}

# serve NAME PID FD: restarts the daemon for python.py, which may have no right to, as long as that runs
serve() {
	while kill -0 "$2" 2>/dev/null; do
		relay "$1" "$3"
		if [ -e "$ASK/restart" ]; then kill_daemon; start_daemon; rm "$ASK/restart"; fi
		if [ -e "$ASK/stop" ]; then kill_daemon; rm "$ASK/stop"; fi
		if [ -e "$ASK/start" ]; then start_daemon; rm "$ASK/start"; fi
		sleep 0.2
	done
	relay "$1" "$3"
}

# sdk_as NAME COMMAND...: python.py by this command
sdk_as() {
	local name=$1 rc=0 fd pid
	shift
	: >"$work/$name.tap"
	exec {fd}<"$work/$name.tap"
	"$@" python3 -W error::ResourceWarning tests/sdk/python.py "$name" >>"$work/$name.tap" 2>&1 </dev/null &
	pid=$! # of the daemon, after a restart
	serve "$name" $pid "$fd"
	wait $pid || rc=$?
	exec {fd}<&-
	is "$name: python.py comes to its end" $rc 0
	check "$name: nothing is left" eventually 20 no_leaves
	check "$name: ... no process either" sh -c '! pgrep -fx "sleep 6[0-9][0-9]"'
}

user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
[ "${ONLY:-root}" != root ] || sdk_as root env
[ "${ONLY:-user}" != user ] || sdk_as user "${user[@]}"

"${user[@]}" python3 $sdk/example.py >"$work/example" 2>&1
like "the example fails first" "$(head -n 1 "$work/example")" "^exit code -9, oom_killed: .*limit 64 MiB"
is "... and succeeds then" "$(tail -n 1 "$work/example")" 83886080
done_testing
