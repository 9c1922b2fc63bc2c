# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # variables for those who source it
# Shared by the system tests: they run in a guest, in the root of the tree, with the real module, daemon and command.
# Source it from there; it sources tests/lib/tap.sh, makes the folder $work and loads the module.

. tests/lib/tap.sh

system=tests/system
out=${AGENTCG_OUT:-$PWD/build/out}
agentcg=$out/agentcg
socket=/run/agentcg/io.agentcg
pins=/sys/fs/bpf/agentcg
pool=/sys/fs/cgroup/agentcg.slice
work=$(mktemp -d /run/agentcg-test.XXXXXX)
chmod 755 "$work"
daemon=
history='' # a file: learn
admission=none # memory: calls wait to begin
MiB=1048576

load_module() {
	[ -d /sys/module/agentcg ] || insmod "$out/module/$(uname -r | grep -oE '^[0-9]+\.[0-9]+')/agentcg.ko" ||
		{ echo "Bail out! the module does not load"; exit 1; }
}

# policy: standard input becomes the policy file
policy() { { cat; printf '\n[Call]\nAdmission=%s\n' "$admission"; } >"$work/policy.conf"; }

listening() { "$agentcg" status >/dev/null 2>&1; }

# start_daemon: with the policy file; comes back when it answers
start_daemon() {
	"$out/agentcgd" --foreground --policy "$work/policy.conf" --history "$history" </dev/null >>"$work/daemon.log" 2>&1 &
	daemon=$!
	eventually 60 listening || { echo "Bail out! the daemon does not answer"; tail -n 20 "$work/daemon.log"; exit 1; }
}

# kill_daemon [SIGNAL]
kill_daemon() {
	[ -n "$daemon" ] || return 0
	kill "-${1:-KILL}" "$daemon" 2>/dev/null || true
	wait "$daemon" 2>/dev/null || true
	daemon=
}

alive() { kill -0 "$daemon" 2>/dev/null; }

# Everything away that this test has made, for the suite that follows in this boot.
clean_up() {
	local try
	kill_daemon TERM
	if [ -d $pool ]; then
		[ ! -e $pool/cgroup.freeze ] || echo 0 >$pool/cgroup.freeze
		echo 1 >$pool/cgroup.kill
		for try in 1 2 3 4 5; do
			find $pool -depth -type d -exec rmdir {} + 2>/dev/null && break
			sleep "0.$try"
		done
	fi
	rm -rf "$pins"
	rm -f /run/agentcg/*
}

# at_exit: what stays of a test that fails is shown
at_exit() {
	local rc=$?
	[ ! -s "$work/daemon.log" ] || tail -n 15 "$work/daemon.log" | sed 's/^/# daemon: /'
	clean_up
	exit $rc
}
trap at_exit EXIT

# status FILTER: a jq filter over the status
status() { "$agentcg" status --json | jq -r "$1"; }

# scheduler NAME: whether the daemon says that this one is active
scheduler() { [ "$(status .pool.scheduler)" = "$1" ]; }

# call CALL FIELD: of the call's status; empty if it is not there
call() { status "[.sessions[].calls[] | select(.call == \"$1\")][0].$2 // empty"; }

# phase CALL PHASE...: whether the call is in one of the phases
phase() {
	local now
	now=$(call "$1" phase)
	shift
	[[ " $* " == *" ${now:-gone} "* ]]
}

# trace FILE SECONDS:MIB...: a trace of these samples
trace() {
	local file=$1 sample list=
	shift
	for sample; do list+=",[${sample%:*},${sample#*:},0]"; done
	echo "{\"samples\":[${list:1}]}" >"$file"
}

# run_call NAME OPTION... -- COMMAND...: agentcg run in the background; its exit code will be in $work/NAME.rc
run_call() {
	local name=$1
	shift
	{
		"$agentcg" run --result "$work/$name.json" "$@" >"$work/$name.out" 2>"$work/$name.err" && rc=0 || rc=$?
		echo "$rc" >"$work/$name.rc"
	} <&0 & # not /dev/null
}

# ended NAME: whether it has
ended() { [ -s "$work/$1.rc" ]; }

# code NAME: its exit code, once it has ended; "running" after a minute
code() {
	eventually 60 ended "$1" || { echo running; return; }
	cat "$work/$1.rc"
}

# is TEXT GOT WANTED
is() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1"
		printf 'got:    %s\nwanted: %s\n' "$2" "$3" | sed 's/^/# /'
	fi
}

# like TEXT GOT EXTENDED-REGEX
like() {
	if grep -qE -e "$3" <<<"$2"; then
		ok "$1"
	else
		not_ok "$1"
		printf 'got:    %s\nwanted: %s\n' "$2" "$3" | sed 's/^/# /'
	fi
}

# code_of COMMAND...: prints its exit code
code_of() {
	local rc=0
	"$@" >"$work/code.out" 2>"$work/code.err" || rc=$?
	echo $rc
}

no_calls() { [ "$(status '[.sessions[].calls[]] | length')" = 0 ]; }

# no_leaves: no tool call's group is left; a session may have an empty one, of no call yet, for its next (daemon/later.h)
no_leaves() {
	[ -z "$(find $pool -mindepth 2 -type d 2>/dev/null)" ] || python3 - "$pool" <<'X'
import glob, os, sys
for session in glob.glob(f"{sys.argv[1]}/session-*/"):
    leaves = glob.glob(f"{session}*/")
    of_calls = [leaf for leaf in leaves if "trusted.agentcg" in os.listxattr(leaf) or open(f"{leaf}cgroup.procs").read()]
    if of_calls or len(leaves) > 1:
        sys.exit(f"left: {leaves}")
X
}

# hog NAME OPTION...: hog.py as a tool call in the background, to be told its size with to and end
declare -A hog_fd
hog() {
	local name=$1 fd
	shift
	mkfifo "$work/$name.in"
	exec {fd}<>"$work/$name.in"
	hog_fd[$name]=$fd
	run_call "$name" "$@" -- python3 $system/hog.py <"$work/$name.in"
	eventually 30 at "$name" 0
}

# to NAME MIB: tells it
to() { echo "$2" >&"${hog_fd[$1]}"; }

# at NAME MIB: whether it has come there
at() { [ "$(tail -n 1 "$work/$1.out" 2>/dev/null)" = "at $2" ]; }

# end NAME...
end() {
	local name
	for name; do to "$name" end; done
}

# tap SCRIPT ARGUMENT...: its results become ours
tap() {
	python3 "$system/$1" "${@:2}" >"$work/tap" 2>&1 &
	local python=$!
	tail -n +1 -s 0.2 -f --pid=$python "$work/tap" | sed -E "/^1\.\./d; s/^(not )?ok [0-9]+/\1ok/; s/^([A-Z]|  )/# \1/"
	tap_n=$((tap_n + $(grep -cE '^(not )?ok ' "$work/tap")))
	check "$1 came to its end" grep -q "^# end of $1" "$work/tap"
}
