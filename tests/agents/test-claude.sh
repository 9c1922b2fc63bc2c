#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The real claude, with the settings of a user who has permissions and a hook of their own.
# vm: --boot agents --accel icount --memory 2G --timeout 300
# before: tests/agents/prepare
set -u
. tests/agents/lib.sh
set_up claude
mkdir "$HOME/.claude"
cat >"$HOME/.claude/settings.json" <<X
{
  "permissions": {"allow": ["Bash"], "deny": ["Bash(shutdown:*)"]},
  "hooks": {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "cat >>$HOME/theirs; echo >>$HOME/theirs"}]}]}
}
X
cp "$HOME/.claude/settings.json" "$work/theirs.json"
chown -R 65534:65534 "$HOME"
like "the hooks are installed" "$("${user[@]}" "$agentcg" hook install claude)" "^claude: installed in $HOME/.claude/settings.json"
check "... and well" "${user[@]}" "$agentcg" hook status claude
play env ANTHROPIC_BASE_URL="$url" ANTHROPIC_API_KEY=sk-ant-x CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 SHELL=/bin/bash \
	claude -p 'do it' --output-format json
judge claude
is "the user's own hook was called for each command" "$(grep -c '"hook_event_name":"PreToolUse"' "$HOME/theirs")" 5
"${user[@]}" "$agentcg" hook uninstall claude >/dev/null
check "removed, the settings are what they were" diff <(jq . "$work/theirs.json") <(jq . "$HOME/.claude/settings.json")
done_testing
