# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# TAP from a shell script: source this, call check (or ok, not_ok, skip) for each result, done_testing at the end.
# A script that ends before done_testing prints no plan, and tests/run counts that as a failure.

tap_n=0

ok() { echo "ok $((++tap_n)) - $*"; }

# not_ok TEXT: what there is to say about it may follow in "# " lines
not_ok() { echo "not ok $((++tap_n)) - $*"; }

# skip TEXT REASON
skip() { echo "ok $((++tap_n)) - $1 # SKIP $2"; }

# check TEXT COMMAND...: passes when COMMAND succeeds; shows the end of its output when not
check() {
	local text=$1 out rc=0
	shift
	out=$("$@" 2>&1) || rc=$?
	if [ $rc -eq 0 ]; then
		ok "$text"
	else
		not_ok "$text"
		out=$(tail -n 40 <<<"$out")
		printf '# %s\n' "exit code $rc of: ${*:1:8}" "${out//$'\n'/$'\n'# }"
	fi
}

# nothing TEXT COMMAND...: passes when COMMAND succeeds and prints nothing; what it prints is what is wrong
nothing() {
	local text=$1
	shift
	check "$text" silent "$@"
}

silent() {
	local out rc=0
	out=$("$@" 2>&1) || rc=$?
	[ $rc -eq 0 ] && [ -z "$out" ] && return
	echo "$out"
	return 1
}

# eventually SECONDS COMMAND...: succeeds as soon as COMMAND does
eventually() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

done_testing() { echo "1..$tap_n"; }
