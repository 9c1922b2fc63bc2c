# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # variables for those who source it
# The kernel's own selftests without and with something of ours, in one boot; source it after tests/lib/tap.sh.
#
# Some of them are flaky, most of all under emulation (they give the kernel 100 ms here and there). A program with a test that
# came out differently runs again on both sides, until the sets of outcomes are the same, or for the last time. A test fails
# here when most of what came out with ours never came out without; all outcomes are shown where they differ.

built=$PWD/build/out/selftests
declare -A without with # "program test" -> outcomes, such as " pass fail"
tests=()                # "program test", in order

# need_built FILE
need_built() {
	[ -x "$built/$1" ] || { echo "Bail out! nothing built: run also tests/selftests/test-build.sh, as tests/run --only selftests does"; exit 1; }
}

# outcome SIDE PROGRAM TEST OUTCOME
# shellcheck disable=SC2004 # it takes SIDE for an array with numbers
outcome() {
	local -n side=$1
	local key="$2 $3"
	[[ -v without[$key] || -v with[$key] ]] || tests+=("$key")
	side[$key]+=" $4"
}

# run_program SIDE PROGRAM
run_program() {
	local rc=0 line
	timeout -k 5 200 "$built/$2" >/tmp/output 2>&1 || rc=$?
	while read -r line; do
		[[ $line =~ ^(not\ )?ok\ [0-9]+\ (-\ )?(#\ SKIP\ )?([a-z0-9_]+) ]] || continue
		if [ -n "${BASH_REMATCH[3]}" ]; then outcome "$1" "$2" "${BASH_REMATCH[4]}" skip
		elif [ -n "${BASH_REMATCH[1]}" ]; then outcome "$1" "$2" "${BASH_REMATCH[4]}" fail
		else outcome "$1" "$2" "${BASH_REMATCH[4]}" pass; fi
	done </tmp/output
	# the exit code says whether all passed, which the lines do too: what matters is whether the program came to its end
	case $rc in 0 | 1 | 4) outcome "$1" "$2" "(to its end)" end ;; *) outcome "$1" "$2" "(to its end)" "died-$rc" ;; esac
}

set_of() { tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -u; }

# differs TEST: does it need another round?
differs() { [ "$(set_of "${without[$1]-}")" != "$(set_of "${with[$1]-}")" ]; }

# differing PROGRAM...: those of them with a test that differs
differing() {
	local p key
	for p; do
		for key in "${tests[@]}"; do
			[ "${key%% *}" != "$p" ] || ! differs "$key" || { echo "$p"; break; }
		done
	done
}

# compare ROUNDS SECONDS PROGRAM...: calls begin_ours and end_ours around the runs with ours
compare() {
	local rounds=$1 enough=$2 round p programs
	programs=("${@:3}")
	for ((round = 1; round <= rounds && ${#programs[@]} > 0 && SECONDS < enough; round++)); do
		for p in "${programs[@]}"; do run_program without "$p"; done
		begin_ours
		for p in "${programs[@]}"; do run_program with "$p"; done
		end_ours
		mapfile -t programs < <(differing "${programs[@]}")
	done
}

# mostly_new OUTCOMES BEFORE: whether most of the outcomes are none of those before
mostly_new() {
	local o new=0 all=0
	for o in $1; do
		all=$((all + 1))
		[[ " $2 " == *" $o "* ]] || new=$((new + 1))
	done
	[ $((2 * new)) -gt $all ]
}

# judge: a result for each test
judge() {
	local key a b
	for key in "${tests[@]}"; do
		a=${without[$key]- missing} b=${with[$key]- missing}
		if mostly_new "$b" "$a"; then
			not_ok "$key: without:$a, with:$b"
		elif [ "$(set_of "$a $b" | wc -l)" -gt 1 ]; then
			ok "$key: flaky, without:$a, with:$b"
		else
			read -r a _ <<<"$a"
			ok "$key: $a on both sides"
		fi
	done
}
