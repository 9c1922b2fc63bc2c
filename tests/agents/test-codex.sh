#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The real codex, with the hooks of the administrator: those of a user wait for a review that takes a person.
# vm: --boot agents --accel icount --memory 2G --timeout 300
# before: tests/agents/prepare
set -u
. tests/agents/lib.sh
set_up codex
mkdir "$HOME/.codex" "$work/upper" "$work/work"
cat >"$HOME/.codex/config.toml" <<X
model = "gpt-5.1-codex"
model_provider = "scripted"
check_for_update_on_startup = false
[model_providers.scripted]
name = "scripted"
base_url = "$url/v1"
wire_api = "responses"
env_key = "FAKE_KEY"
[analytics]
enabled = false
X
chown -R 65534:65534 "$HOME"
# The guest's /etc is read-only.
modprobe -qa overlay
mount -t overlay -o "lowerdir=/etc,upperdir=$work/upper,workdir=$work/work" overlay /etc || echo "Bail out! no overlay over /etc"
like "the hooks are installed" "$("$agentcg" hook install --system codex)" "^codex: installed in /etc/codex/hooks.json"
check "... and well" "${user[@]}" "$agentcg" hook status codex
play env FAKE_KEY=x SHELL=/bin/bash codex exec --skip-git-repo-check -s danger-full-access 'do it'
judge codex
"$agentcg" hook uninstall --system codex >/dev/null
check "removed, there is no file" test ! -e /etc/codex/hooks.json
umount -l /etc
done_testing
