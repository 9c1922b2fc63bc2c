# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # variables for those who source it
# Shared by the suites with the agents' own tools, in a guest: the real tools, unmodified, as a user without rights; a model
# on loopback that plays a scenario; the daemon; hooks as "agentcg hook install" writes them.

tools=$PWD/build/cache/agents
if [ ! -x "$tools/bin/node" ] || [ -e "$tools/missing" ]; then
	echo "1..0 # SKIP the agents' tools are not here: $(cat "$tools/missing" 2>/dev/null || echo "tests/agents/prepare fetches them")"
	exit
fi
. tests/system/lib.sh

user=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# set_up TOOL: the daemon, an agentcg that is installed, an empty home, the model with the scenario for this tool
set_up() {
	load_module
	# The flood and what never ends are ended by the policy alone: nobody asks for anything.
	policy <<-X
		[Pool]
		MemoryMax=1400Mi
		[Call]
		MemoryMax=150Mi
		TimeoutMax=10s
		[CPU]
		Scheduler=none
	X
	start_daemon
	mkdir -p "$work/usr/bin" "$work/usr/libexec/agentcg" "$work/project" "$work/home"
	cp "$agentcg" "$work/usr/bin/"
	# The daemon knows agentcg by the file that is beside it.
	mount --bind "$work/usr/bin/agentcg" "$agentcg"
	ln -s ../../bin/agentcg "$work/usr/libexec/agentcg/shell-prefix"
	chown 65534:65534 "$work/project" "$work/home"
	agentcg=$work/usr/bin/agentcg
	export HOME=$work/home PATH=$tools/bin:$work/usr/bin:$PATH
	# Login shells set a PATH of their own.
	sed "s|AGENTCG|$agentcg|g" tests/agents/session.json >"$work/scenario.json"
	python3 tests/agents/model.py "$work/scenario.json" --log "$work/log" >"$work/url" &
	model=$!
	eventually 60 test -s "$work/url" || { echo "Bail out! the model does not start"; exit 1; }
	url=$(cat "$work/url")
}

# play COMMAND...: the tool, to its end; meanwhile what sessions the daemon has is noted
play() {
	local rc=0
	(
		while :; do
			status '.sessions[] | "\(.name) \(.uid)"' >>"$work/sessions" 2>/dev/null
			sleep 3
		done
	) &
	watcher=$!
	(cd "$work/project" && exec "${user[@]}" timeout -k 5 250 "$@" </dev/null >"$work/tool.out" 2>"$work/tool.err") || rc=$?
	kill $watcher
	wait $watcher 2>/dev/null
	kill "$model"
	is "the agent ends well" $rc 0
	[ $rc -eq 0 ] || tail -n 20 "$work/tool.out" "$work/tool.err" | cut -c1-300 | sed 's/^/# /'
}

# said TURN: what the model was told before its answer number TURN: results and all else, in a line
said() { jq -r "select(.turn == $1) | (.results + .context) | join(\" \")" "$work/log" | tr '\n' ' '; }

# told TURN: what reached it by the hook, in the tool's own words for that
told() {
	case $tool in
	gemini) said "$1" | grep -o '<hook_context>.*</hook_context>' ;;
	*) jq -r "select(.turn == $1) | .context | join(\" \")" "$work/log" | tr '\n' ' ' ;;
	esac
}

# group TURN: in which cgroup the command before the answer number TURN ran
group() { said "$1" | grep -o '0::/[^ ]*' | head -n 1; }

# judge TOOL: what is the same for all of them; the session that the daemon made of it is in $session
judge() {
	tool=$1
	session=$(sort -u "$work/sessions" | head -n 1)
	like "its session is one of the daemon's, of the user" "$session" "^$tool-[0-9a-f]{8}-[0-9a-f-]{27} 65534\$"
	is "... the only one" "$(sort -u "$work/sessions" | wc -l)" 1
	session=${session% *}
	no_session() { [ "$(status '.sessions | length')" = 0 ]; }
	check "... and ends with the agent" eventually 30 no_session
	judge_session
}

# session.json: an ordinary command, a flood, a daemon left behind, one that never ends, an ordinary one
judge_session() {
	local turn
	is "the model saw the session to its end" "$(jq -s 'map(.turn) | max' "$work/log")" 5
	for turn in 1 2 3 4 5; do
		like "command $turn runs in a leaf of its own" "$(group $turn)" "^0::/agentcg.slice/session-$session/tool-[0-9]+\$"
	done
	is "... no two in the same" "$(for turn in 1 2 3 4 5; do group $turn; done | sort -u | wc -l)" 5
	like "an ordinary command is as ever" "$(said 1)" "the ordinary command ran"
	is "... nothing is told of it" "$(told 1 | grep -c agentcg)" 0
	like "the flood: the model is told in its own context" "$(told 2)" "agentcg: .*python3 .*killed: out of memory.* peak .* of limit 150 MiB"
	like "a daemon was left behind" "$(said 3)" "the daemon was started"
	is "... it does not outlive its call" "$(pgrep -cfx 'sleep 3600')" 0
	like "what never ended: the model is told" "$(told 4)" "agentcg: .*tail -f /dev/null.*killed: timeout after 10s"
	like "an ordinary command afterwards" "$(said 5)" "the last command ran"
	is "one call was killed for memory" "$(grep -cE 'tool-[0-9]+: oom:' "$work/daemon.log")" 1
	# Where nobody waits for a call to end, the daemon left behind may live as long as its call.
	like "... and one for its time, or with it that of the daemon" "$(grep -cE 'tool-[0-9]+: timeout:' "$work/daemon.log")" '^[12]$'
	is "... each of them is told once at most" "$(jq -r '(.results + .context)[]' "$work/log" | grep -oE 'agentcg: `[^`]*`: killed' | sort | uniq -d)" ""
}
