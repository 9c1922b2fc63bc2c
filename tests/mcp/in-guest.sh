#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# test-sdk.sh's other half, in the guest: the real daemon, and the clients that were installed.
set -u
. tests/system/lib.sh
modules=$PWD/build/cache/mcp
export PATH=$PWD/build/cache/agents/bin:$PATH HOME=$work
load_module
policy <<X
[Pool]
MemoryMax=400Mi
[Call]
MemoryMax=300Mi
PidsMax=200
[CPU]
Scheduler=none
X
start_daemon
"$agentcg" session open s >/dev/null
varlinkctl list-methods $socket io.agentcg | grep -q GetResults || export NO_RESULTS=1

# ---- the SDK
node tests/mcp/sdk.mjs "$agentcg" "$modules" s </dev/null >"$work/sdk" 2>&1
is "sdk.mjs comes to its end" $? 0
while IFS= read -r line; do
	case $line in
	"ok - "*) ok "${line#ok - }" ;;
	"not ok - "*) not_ok "${line#not ok - }" ;;
	*) echo "# $line" ;;
	esac
done <"$work/sdk"

# ---- the inspector
# inspect ARGUMENT...: the result of one method as JSON. The server gets a clean environment, but for -e.
inspect() {
	node "$modules/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js" --cli -e AGENTCG_SESSION=s \
		"$agentcg" mcp "$@" </dev/null 2>"$work/inspector.err"
}
inspect --method tools/list --strict >"$work/list"
is "the inspector finds no fault with the tools" "$? $(jq -r '[.tools[].name] | join(" ")' "$work/list")" \
	"0 declare_intent see_budget explain_last_failure"
inspect --method tools/call --tool-name declare_intent --tool-arg 'requests={"memory":"48Mi"}' >"$work/declared"
is "... declares" "$(jq .structuredContent.granted.requests.memory "$work/declared")" $((48 * MiB))
"$agentcg" run --session s --result "$work/run" -- true 2>/dev/null
is "... which the next call gets" "$(jq .request "$work/run")" $((48 * MiB))
inspect --method tools/call --tool-name see_budget >"$work/budget"
is "... and sees the budget" "$(jq .structuredContent.pool.memoryMax "$work/budget")" $((400 * MiB))
[ "$tap_n" -gt 10 ] || cat "$work/inspector.err"
done_testing
