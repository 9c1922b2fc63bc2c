# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shared by the tests of the clients: the daemon, and programs that print "ok - TEXT" and "not ok - TEXT" and may ask for
# a restart of the daemon, which they may have no right to. Source it from the root of the tree; it sources tests/system/lib.sh.

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
# shellcheck disable=SC2154 # tests/system/lib.sh
"$agentcg" session open rooted >/dev/null
# shellcheck disable=SC2154
export ASK=$work/ask
mkdir -m 777 "$ASK"
# shellcheck disable=SC2034 # for those who source this
user=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# relay NAME FD: what the program has said since
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

# serve NAME PID FD: restarts the daemon for the program as long as that runs
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

# sdk_as NAME COMMAND...: the program that this is; what it says is numbered here, with NAME before it
sdk_as() {
	local name=$1 rc=0 fd pid
	shift
	: >"$work/$name.tap"
	exec {fd}<"$work/$name.tap"
	"$@" >>"$work/$name.tap" 2>&1 </dev/null &
	pid=$! # of the daemon, after a restart
	serve "$name" $pid "$fd"
	wait $pid || rc=$?
	exec {fd}<&-
	is "$name: it comes to its end" $rc 0
	check "$name: nothing is left" eventually 20 no_leaves
	check "$name: ... no process either" sh -c '! pgrep -fx "sleep 6[0-9][0-9]"'
}
