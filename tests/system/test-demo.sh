#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# make demo shows what it should: agents die without agentcg, and with it all three finish. It boots a guest of its own.
# host: --timeout 960
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
. tests/lib/tap.sh

output=$(mktemp)
trap 'rm -f "$output"' EXIT

# refuses TEXT ARGUMENT...: with exit code 2, and says it
refuses() {
	local text=$1 said rc=0
	shift
	said=$(scripts/demo "$@" 2>&1) || rc=$?
	if [ $rc -ne 2 ] || [[ $said != *"$text"* ]]; then
		echo "exit code $rc: $said"
		return 1
	fi
}

# Rows of the table: act, agent, priority, survived, then "N of M" tool calls.
rows() { awk -v act="$1" '$1 == act && $2 ~ /^(build|data|archive)$/ && $6 == "of"' "$output"; }
survivors() { rows "$1" | awk '$4 == "yes" && $5 == $7' | wc -l; }
deaths() { rows "$1" | awk '$4 == "no"' | wc -l; }
has() { grep -E "$1" "$output" >/dev/null; }

check "--help tells how it is used" eval 'scripts/demo --help | grep -q "^Usage: scripts/demo"'
check "an unknown argument is refused" refuses "unknown argument '--fast'" --fast
check "a kernel for which there is no module is refused" refuses "is missing" --kernel 5.10

begin=$SECONDS
scripts/demo >"$output" 2>&1
rc=$?
sed 's/^/# /' "$output"
echo "# it took $((SECONDS - begin)) s"
check "it succeeds" [ $rc -eq 0 ]
for act in 1 2 3; do
	check "the table has the three agents of act $act" [ "$(rows $act | wc -l)" -eq 3 ]
done
check "without agentcg at least one agent died" [ $(($(deaths 1) + $(deaths 2))) -ge 1 ]
check "it says what was killed" has "^Act [12]: (build|data|archive) killed by the kernel \(OOM\)"
check "with agentcg all three finished all their tool calls" [ "$(survivors 3)" -eq 3 ]
check "agentcg held something, and nothing was killed" has "^What agentcg did: it held [1-9].*; nothing was killed;"
check "the agent that was held was told" has "was told about '.*': held [0-9]+ times?, "
done_testing
