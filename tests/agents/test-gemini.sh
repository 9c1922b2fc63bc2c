#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The real gemini, with the settings of a user.
# vm: --boot agents --accel icount --memory 2G --timeout 400
# before: tests/agents/prepare
set -u
. tests/agents/lib.sh
set_up gemini
mkdir "$HOME/.gemini"
cat >"$HOME/.gemini/settings.json" <<X
{
  "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": false}},
  "privacy": {"usageStatisticsEnabled": false},
  "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false}
}
X
cp "$HOME/.gemini/settings.json" "$work/theirs.json"
chown -R 65534:65534 "$HOME"
like "the hooks are installed" "$("${user[@]}" "$agentcg" hook install gemini)" "^gemini: installed in $HOME/.gemini/settings.json"
check "... and well" "${user[@]}" "$agentcg" hook status gemini
play env GOOGLE_GEMINI_BASE_URL="$url" GEMINI_API_KEY=x GEMINI_TELEMETRY_ENABLED=false GEMINI_CLI_NO_RELAUNCH=true SHELL=/bin/bash \
	gemini -m gemini-2.5-flash --yolo -p 'do it'
judge gemini
"${user[@]}" "$agentcg" hook uninstall gemini >/dev/null
check "removed, the settings are what they were" diff <(jq -S . "$work/theirs.json") <(jq -S . "$HOME/.gemini/settings.json")
done_testing
