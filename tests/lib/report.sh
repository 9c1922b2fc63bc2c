# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Reads the stream of a boot (tests/lib/each) line by line: shows the results as they come, counts, keeps the whole output
# of each suite in a log. In bash, because an awk may buffer what it reads.
#
# Shown are the results, and the other lines of a suite only where they tell about a failure: those between the result
# before and "not ok" (the kernel's harness) and those that follow it (TAP's way).

passed=0 failed=0 skipped=0
failures=() # "SUITE: TEXT"
timings=()  # "SECONDS SUITE", by the clock of where it ran
took=()     # "SECONDS BOOT (ITS LONGEST SUITES)", by the machine's clock

suite='' # the one that is running; '' between suites
shopt -s extglob

begin_suite() {
	suite=$1 plan='' seen=0 suite_passed=0 suite_failed=0 suite_skipped=0 held=() after_failure=
	log=${logs:?}/${suite//\//-}.log
	: >"$log"
}

show() { echo "$suite: $1"; }

fail_suite() {
	suite_failed=$((suite_failed + 1))
	failures+=("$suite: $1")
	[ ${#held[@]} -eq 0 ] || printf "$suite: %s\n" "${held[@]: -40}"
	held=()
	show "not ok - $1"
}

skip_one() {
	suite_skipped=$((suite_skipped + 1))
	[ -n "${1##*( )}" ] || fail_suite "a skip needs a reason: $2"
}

result() {
	local line=$1
	seen=$((seen + 1))
	shopt -s nocasematch
	if [[ $line =~ ^ok.*#\ *SKIP(.*)$ ]]; then
		show "$line"
		skip_one "${BASH_REMATCH[1]}" "$line"
	elif [[ $line == ok* ]]; then
		show "$line"
		suite_passed=$((suite_passed + 1))
	else
		[ ${#held[@]} -eq 0 ] || printf "$suite: %s\n" "${held[@]}"
		show "$line"
		suite_failed=$((suite_failed + 1))
		failures+=("$suite: $line")
		after_failure=1
	fi
	shopt -u nocasematch
	held=()
	[[ $line != ok* ]] || after_failure=
}

# end_suite EXIT-CODE SECONDS
end_suite() {
	local rc=$1
	if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
		fail_suite "ran too long and was killed after $2 s, with $seen results"
	elif [ -z "$plan" ]; then
		fail_suite "ended without a plan (exit code $rc), with $seen results"
	elif [ "$seen" -ne "$plan" ]; then
		fail_suite "$seen results of $plan planned (exit code $rc)"
	elif [ "$rc" -eq 4 ] && [ "$suite_passed" -eq 0 ]; then
		: # kselftest's code for "all skipped"
	elif [ "$rc" -ne 0 ] && [ "$suite_failed" -eq 0 ]; then
		fail_suite "exit code $rc though nothing failed"
	fi
	passed=$((passed + suite_passed)) failed=$((failed + suite_failed)) skipped=$((skipped + suite_skipped))
	timings+=("$2 $suite")
	suite=
}

# read_stream SUITE...: the suites that have to appear, one after another
read_stream() {
	local line word rc seconds expected=("$@") name done=' '
	local before=("$passed" "$failed" "$skipped" ${#failures[@]} ${#timings[@]})
	while IFS= read -r line || [ -n "$line" ]; do
		line=${line%$'\r'}
		case $line in
		"@suite "*) begin_suite "${line#@suite }"; continue ;;
		"@again "*) # the whole boot
			echo "# once more, ${line#@again }"
			passed=$((before[0])) failed=$((before[1])) skipped=$((before[2])) suite='' done=' '
			failures=("${failures[@]:0:before[3]}") timings=("${timings[@]:0:before[4]}")
			continue ;;
		"@boot "*)
			read -r word name seconds <<<"$line"
			took+=("$seconds $name ($(longest 4 "${timings[@]:before[4]}" | awk '{ printf "%s%s %s", sep, $2, $1; sep = ", " }'))")
			continue ;;
		esac
		if [ -z "$suite" ]; then
			[ -z "$line" ] || echo "$line"
			continue
		fi
		echo "$line" >>"$log"
		case $line in
		"@end $suite "*)
			read -r word name rc seconds <<<"$line"
			done+="$suite "
			end_suite "$rc" "$seconds" ;;
		ok | "ok "* | "not ok" | "not ok "*) result "$line" ;;
		1..+([0-9])*)
			word=${line%%[# ]*}
			plan=${word#1..}
			if [ "$plan" = 0 ]; then
				show "$line"
				[[ $line == *[Ss][Kk][Ii][Pp]* ]] && word=${line#*[Ss][Kk][Ii][Pp]} || word=
				skip_one "$word" "$line"
			fi ;;
		"Bail out!"*) fail_suite "$line" ;;
		'') ;;
		*)
			held+=("$line")
			if [ -n "$verbose" ] || [ -n "$after_failure" ]; then
				show "$line"
				held=()
			fi ;;
		esac
	done
	# The guest died, or could not be started.
	for name in "${expected[@]}"; do
		[[ $done != *" $name "* ]] || continue
		[ "$suite" = "$name" ] || begin_suite "$name"
		plan=$seen
		fail_suite "did not come to its end"
		end_suite 0 0
	done
}

# longest N "SECONDS TEXT"...
longest() { printf '%s\n' "${@:2}" | sort -rn | head -n "$1"; }

summary() {
	local t
	[ ${#took[@]} -eq 0 ] || echo "# What took longest, in seconds, and its longest suites by their own clock:"
	while read -r t; do printf '# %6d  %s\n' "${t%% *}" "${t#* }"; done < <(longest 10 "${took[@]}")
	[ ${#failures[@]} -eq 0 ] || printf '# failed: %s\n' "${failures[@]}"
	echo "$passed passed, $failed failed, $skipped skipped"
}
