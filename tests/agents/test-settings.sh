#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# agentcg hook on real files: what it leaves alone, what it refuses, and that its handler never keeps a tool from working.
# root: --timeout 60
set -u
. tests/lib/tap.sh

out=${AGENTCG_OUT:-$PWD/build/out}
work=$(mktemp -d /tmp/agentcg-settings.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/usr/bin" "$work/usr/libexec/agentcg" "$work/home"
cp "$out/agentcg" "$work/usr/bin/"
ln -s ../../bin/agentcg "$work/usr/libexec/agentcg/shell-prefix"
agentcg=$work/usr/bin/agentcg
export HOME=$work/home AGENTCG_SOCKET=$work/nobody
unset CLAUDE_CONFIG_DIR CODEX_HOME GEMINI_CLI_HOME AGENTCG_SESSION
claude=$HOME/.claude/settings.json

# says TEXT EXIT-CODE REGEX COMMAND...
says() {
	local text=$1 wanted=$2 regex=$3 rc=0 said
	shift 3
	said=$("$@" 2>&1 </dev/null) || rc=$?
	if [ $rc = "$wanted" ] && grep -qE -e "$regex" <<<"$said"; then
		ok "$text"
	else
		not_ok "$text"
		printf '# exit code %s, wanted %s with %s: %s\n' $rc "$wanted" "$regex" "${said//$'\n'/ | }"
	fi
}

says "not installed, says the status" 1 '^claude: not installed' "$agentcg" hook status claude
says "installed where there was nothing" 0 'installed in .*home/.claude/settings.json' "$agentcg" hook install claude codex gemini
check "... in files of each tool" test -s "$claude" -a -s "$HOME/.codex/hooks.json" -a -s "$HOME/.gemini/settings.json"
cp -r "$HOME" "$work/first"
says "twice changes nothing" 0 'was installed already' "$agentcg" hook install claude codex gemini
check "... in no file" diff -r "$work/first" "$HOME"
says "codex waits for its user" 1 'codex: waits for your review: start codex once' "$agentcg" hook status codex
for e in pre_tool_use post_tool_use; do
	printf '[hooks.state."%s:%s:0:0"]\ntrusted_hash = "sha256:0"\n' "$HOME/.codex/hooks.json" $e
done >"$HOME/.codex/config.toml"
reviewed() { ! "$agentcg" hook status codex | grep review; }
check "... no more when that has accepted both" reviewed
printf '\n[features]\nhooks = false\n' >>"$HOME/.codex/config.toml"
says "codex with hooks switched off" 1 'switched off in .*config.toml' "$agentcg" hook status codex
rm "$HOME/.codex/config.toml"
says "a daemon that is away is told" 1 '^daemon: no daemon at' "$agentcg" hook status
says "the hooks are removed" 0 'removed from' "$agentcg" hook uninstall claude codex gemini
nothing "... and the files with them" find "$HOME" -type f

# ---- what belongs to the user
mine='{
    "model": "opus", "ratio": 0.1, "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "beep"}]}]},
    "list": [1, true, null, "ü"], "disableAllHooks": true
}'
mkdir -p "$HOME/dotfiles" "$HOME/.claude"
echo "$mine" >"$HOME/dotfiles/claude.json"
chmod 640 "$HOME/dotfiles/claude.json"
chown 1234:4321 "$HOME/dotfiles/claude.json"
ln -s ../dotfiles/claude.json "$claude"
"$agentcg" hook install claude >/dev/null
says "hooks that the user has switched off are told" 1 'switched off there: disableAllHooks' "$agentcg" hook status claude
check "a link stays a link" test -L "$claude"
check "mode and owner stay" test "$(stat -c '%a %u %g' "$HOME/dotfiles/claude.json")" = "640 1234 4321"
check "ours are in it" jq -e '.hooks | .PreToolUse and .PostToolUse and .PostToolUseFailure and .Stop' "$claude"
check "the order of the user's stays" test "$(jq -c 'keys_unsorted' "$claude")" = '["model","ratio","hooks","list","disableAllHooks","env"]'
check "so does the indentation" grep -q '^    "ratio": 0.1,$' "$claude"
rm "$work/usr/libexec/agentcg/shell-prefix"
says "a prefix that is gone is told" 1 'so no command of claude works' "$agentcg" hook status claude
says "... and not installed" 1 'shell-prefix: No such file.*make install makes it' "$agentcg" hook install claude
ln -s ../../bin/agentcg "$work/usr/libexec/agentcg/shell-prefix"
"$agentcg" hook uninstall claude >/dev/null
check "removed, what was there is back" diff <(jq . <<<"$mine") <(jq . "$claude")
nothing "no temporary file is left" find "$HOME" -name '*.agentcg-*'

# ---- what is refused changes nothing
# refused TEXT REGEX CONTENT
refused() {
	printf '%s' "$3" >"$HOME/dotfiles/claude.json"
	says "$1" 1 "$2" "$agentcg" hook install claude
	check "... and is left as it is" test "$(cat "$claude")" = "$3"
}
refused "a prefix of the user's own" 'CLAUDE_CODE_SHELL_PREFIX is set to "/my/own" already' '{"env": {"CLAUDE_CODE_SHELL_PREFIX": "/my/own"}}'
says "... which the status shows, too" 1 'not installed' "$agentcg" hook status claude
refused "a file with comments" 'not plain JSON \(line 2, column' $'{\n// mine\n"a": 1}'
refused "a file that ends half-way" 'not plain JSON' '{"a": '
refused "no object" 'holds no JSON object' '[1]'
refused "hooks of another shape" 'hooks.PreToolUse is no array' '{"hooks": {"PreToolUse": {}}}'
rm "$claude"
ln -s /nowhere/at/all "$claude"
says "a link to nowhere" 1 'cannot follow the link' "$agentcg" hook install claude
rm "$claude"
mkdir "$claude"
says "a folder" 1 'cannot read' "$agentcg" hook install claude
rmdir "$claude"
says "no tool of that name" 2 "no tool 'vim': say claude, codex or gemini" "$agentcg" hook install vim
says "a program that is not installed" 1 'see make install' "$out/agentcg" hook install codex

# ---- folders that are moved
CLAUDE_CONFIG_DIR=$work/c CODEX_HOME=$work/x/y GEMINI_CLI_HOME=$work/g "$agentcg" hook install claude codex gemini >/dev/null
check "the tools' own variables move them" test -s "$work/c/settings.json" -a -s "$work/x/y/hooks.json" -a -s "$work/g/.gemini/settings.json"
nothing "... all of them" find "$HOME/.claude" "$HOME/.codex" "$HOME/.gemini" -type f
if [ ! -e /etc/codex ] && mkdir /etc/codex 2>/dev/null; then
	"$agentcg" hook install --system codex >/dev/null
	check "for all users, below /etc" jq -e .hooks.PreToolUse /etc/codex/hooks.json
	check "... where codex wants no review" reviewed
	"$agentcg" hook uninstall --system codex >/dev/null
	rmdir /etc/codex
else
	skip "for all users, below /etc" "there is a /etc/codex, or /etc is read-only"
fi

# ---- the handler
# answers TEXT INPUT TOOL: with an empty object and status 0
answers() {
	local said rc=0
	said=$(printf '%s' "$2" | "$agentcg" hook "$3" 2>"$work/err") || rc=$?
	check "$1" test "$rc $said $(cat "$work/err")" = "0 {} "
}
answers "nothing but {} without a daemon" '{"hook_event_name": "PreToolUse", "session_id": "a"}' claude
answers "... also afterwards" '{"hook_event_name": "AfterTool", "session_id": "a"}' gemini
answers "... to what is no JSON" '{"hook_event_name": ' codex
answers "... to nothing" '' codex
answers "... to a session that makes no name" '{"hook_event_name": "PreToolUse", "session_id": 5}' codex
answers "... to an event of another kind" '{"hook_event_name": "Stop", "session_id": "a"}' claude
answers "... to a great deal" "{\"hook_event_name\": \"PostToolUse\", \"x\": \"$(head -c 100000 /dev/zero | tr '\0' y)\"}" claude
mkfifo "$work/open"
exec 3<>"$work/open"
start=$SECONDS
check "a tool that does not end its sentence" test "$("$agentcg" hook claude <"$work/open" 3>&-)" = '{}'
check "... has its answer within seconds" test $((SECONDS - start)) -le 8
done_testing
