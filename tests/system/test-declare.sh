#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Intents that are declared before their call (DeclareIntent), what MCP says as an intent, and the interface as others see it: varlinkctl.
# vm: --boot system --accel icount --memory 2G --timeout 120
set -u
. tests/system/lib.sh
load_module
policy <<X
[Pool]
MemoryMax=400Mi
[Call]
MemoryMax=200Mi
[CPU]
Scheduler=none
X
start_daemon

ask() { varlinkctl call --json=short $socket "io.agentcg.$1" "$2" 2>&1; }
user() { setpriv --reuid 1000 --regid 1000 --clear-groups varlinkctl call --json=short $socket "io.agentcg.$1" "$2" 2>&1; }
# requested SESSION [COMMAND...]: MiB that a call of it requests which says nothing itself
requested() {
	local session=$1
	shift
	[ $# -gt 0 ] || set -- true
	"$agentcg" run --session "$session" --result "$work/requested" -- "$@" 2>"$work/requested.err"
	echo $(($(jq .request "$work/requested") / MiB))
}

# ---- declared before it begins
ask DeclareIntent '{"session":"d","intent":{"requests":{"memory":"50Mi"},"limits":{"memory":"1Gi"}}}' >"$work/declared"
is "what would be granted is told" "$(jq -r '.granted | "\(.requests.memory) \(.limits.memory)"' "$work/declared")" "$((50 * MiB)) $((200 * MiB))"
like "... and why not all" "$(jq -r '.notes[]' "$work/declared")" "limits.memory 1Gi is above the policy's"
is "there is no call yet, nor a session" "$(status '.sessions | length')" 0
is "the next call of the session gets it" "$(requested d)" 50
like "... and is told so" "$(cat "$work/requested.err")" "as declared before"
is "... the one after it does not" "$(requested d)" 128
ask DeclareIntent '{"session":"d","command":["sh","-c","cat x"],"intent":{"requests":{"memory":"40Mi"}}}' >/dev/null
is "declared for a command, another does not get it" "$(requested d)" 128
is "... one that does the same does" "$(requested d cat /dev/null)" 40
ask DeclareIntent '{"intent":{"requests":{"memory":"45Mi"}}}' >/dev/null
"$agentcg" run --memory 30Mi --result "$work/own" -- true
is "a call that says itself what it needs does not use it" "$(($(jq .request "$work/own") / MiB))" 30
is "... the user's own session has it for the next" "$(requested uid-0)" 45

# ---- what cannot be
like "a wrong intent is refused" "$(ask DeclareIntent '{"session":"d","intent":{"requests":{"memory":"2G"}}}')" "InvalidIntent|say 2Gi"
like "... nothing is one, too" "$(ask DeclareIntent '{"session":"d"}')" "InvalidParameter|intent"
is "... and nothing was declared" "$(requested d)" 128
"$agentcg" session open d >/dev/null
like "nobody declares for another's session" "$(user DeclareIntent '{"session":"d","intent":{"limits":{"memory":"2Mi"}}}')" "PermissionDenied|another user"
user DeclareIntent '{"session":"e","intent":{"limits":{"memory":"2Mi"}}}' >/dev/null
is "... nor for one that another makes later" "$("$agentcg" run --session e -- echo alive)" alive
ask DeclareIntent '{"session":"d","intent":{"requests":{"memory":"55Mi"}}}' >/dev/null
"$agentcg" session close d >/dev/null
is "closing the session forgets it" "$(requested d)" 128

# ---- as MCP says it
begin() { varlinkctl call --json=short $socket io.agentcg.BeginCall "{\"intent\":$1}" | jq -r ".granted | \"\(.requests.memory / $MiB) \(.onPressure)\""; }
is "an intent in MCP's _meta, and a tool's annotations" \
	"$(begin '{"_meta":{"io.agentcg/intent":{"requests":{"memory":"33Mi"}}},"annotations":{"readOnlyHint":true}}')" "33 kill"
is "... the intent's own fields are heard first" "$(begin '{"requests":{"memory":"34Mi"},"on_pressure":"freeze","annotations":{"destructiveHint":true}}')" "34 freeze"

# ---- the interface
is "varlinkctl tells who it is" "$(varlinkctl info --json=short $socket | jq -r '"\(.product) \(.interfaces | index("io.agentcg") != null)"')" "agentcgd true"
varlinkctl introspect $socket io.agentcg >"$work/interface"
check "the interface is valid as text, too" varlinkctl validate-idl "$work/interface"
methods=$(varlinkctl list-methods $socket io.agentcg | sed 's/.*\.//')
is "all methods are listed" "$(sort <<<"$methods" | xargs)" "$(grep -oE '^method [A-Za-z]+' "$work/interface" | sed 's/method //' | sort | xargs)"
undocumented=$(awk '/^method/ && before !~ /^#/ { print $2 } { before = $0 }' "$work/interface")
is "each says what it does" "$undocumented" ""
missing=
for method in $methods; do
	varlinkctl call --json=short $socket "io.agentcg.$method" '{}' 2>&1 | grep -qE "MethodNotFound|MethodNotImplemented" && missing+=" $method"
done
is "each is there" "$missing" ""
like "GetStatus by varlinkctl" "$(ask GetStatus '{}' | jq -c '[.pool.memoryMax, .allowed.memory, .allowed.callsPerSession > 0]')" "^\[$((400 * MiB)),$((200 * MiB)),true\]$"
done_testing
