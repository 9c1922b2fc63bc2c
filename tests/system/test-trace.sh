#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# record and replay, and the help texts.
# vm: --boot system --accel icount --memory 2G --timeout 180
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=1200Mi
[CPU]
Scheduler=none
X
start_daemon

# ---- there and back
trace "$work/in" 0:20 0.5:120 1.5:120 1.6:60 2.5:60
"$agentcg" record --interval 50ms -o "$work/out" -- "$agentcg" replay --base 10Mi "$work/in" >/dev/null 2>"$work/err"
is "record: the exit code" $? 0
like "... and what was written" "$(cat "$work/err")" "[0-9]+ samples written to .*out"
check "the trace says what it was" jq -e '.version == 1 and .interval_ms == 50 and (.samples | length) >= 20' "$work/out"
check "its peak is what was used" jq -e '[.samples[][1]] | max | . > 129 and . < 140' "$work/out"
check "after it comes what was used then" jq -e '[.samples[][1]] | .[index(max):] | any(. > 69 and . < 74)' "$work/out"
check "times only go up" jq -e '[.samples[][0]] | . == sort and .[0] == 0' "$work/out"
"$agentcg" replay --speed 5 --json --latencies "$work/latencies" "$work/out" >"$work/replay"
is "replay of it: the same peak" "$(jq '.peak_bytes / 1048576 | floor' "$work/replay")" \
	"$(jq '[.samples[][1]] | max | floor' "$work/out")"
# shellcheck disable=SC2016 # $t is jq's
check "... the same time" jq -e --slurpfile t "$work/out" \
	'(.planned_ms - $t[0].samples[-1][0] * 200 | fabs) < 1 and .wall_ms >= .planned_ms' "$work/replay"
is "... a line for each step that allocates" "$(wc -l <"$work/latencies")" "$(jq '.steps + 1' "$work/replay")"
is "record: the exit code of a command that fails" "$(code_of "$agentcg" record -o "$work/o2" -- sh -c 'exit 6')" 6
check "... leaves a trace, too" jq -e .samples "$work/o2"
is "a group that is none" "$(code_of "$agentcg" record -o "$work/o3" --cgroup /nowhere)" 125

# ---- what is no trace
for t in '' '{' '[]' '{"samples":[]}' '{"samples":[[0]]}' '{"samples":[[1,5],[0,5]]}' '{"samples":[[0,-5]]}' \
	'{"version":9,"samples":[[0,1]]}'; do
	echo "$t" >"$work/bad"
	like "no trace: '$t'" "$(code_of "$agentcg" replay "$work/bad") $(cat "$work/code.err")" "^1 agentcg replay: .*bad"
done

# ---- the paper's
if [ -d /shared/traces ]; then
	n=0
	for f in /shared/traces/*.json; do
		n=$((n + 1))
		[ $((n % 5)) -eq 0 ] || continue
		peak=$(jq '[.samples[][1]] | max' "$f")
		if [ "${peak%.*}" -gt 1000 ]; then
			skip "${f##*/}" "its peak of $peak MiB is too much for this guest"
			continue
		fi
		is "${f##*/}: its peak" "$("$agentcg" replay --speed 2000 --json "$f" | jq '.peak_bytes / 1048576 * 10 | round / 10')" \
			"$(jq -n "$peak * 10 | round / 10")"
	done
else
	skip "the traces of the paper" "there is no /shared/traces"
fi

# ---- help
for c in run status session release record replay doctor unload; do
	like "$c --help" "$(code_of "$agentcg" $c --help) $(cat "$work/code.out")" "^0 Usage: agentcg $c"
	like "$c: an unknown option is refused" "$(code_of "$agentcg" $c --nonsense) $(cat "$work/code.err")" \
		"^(2|125) agentcg $c: unknown option '--nonsense'; see agentcg $c --help"
done
for o in --help --version; do
	is "agentcg $o" "$(code_of "$agentcg" $o)" 0
	is "agentcgd $o" "$(code_of "$out/agentcgd" $o)" 0
done
like "a command that is none" "$(code_of "$agentcg" dance) $(cat "$work/code.err")" "^2 .*no command 'dance'"
like "no command" "$(code_of "$agentcg") $(cat "$work/code.err")" "^2 Usage"
like "agentcgd: an unknown option" "$(code_of "$out/agentcgd" --nonsense) $(cat "$work/code.err")" "^2 .*nonsense.*--help"
done_testing
