# SPDX-License-Identifier: GPL-2.0-only
"""The demo, in the guest that scripts/demo boots: prepares the data, plays the acts, shows the table, judges."""
import argparse
import json
import sys
import time

import acts
import progress
import workload


def prepare(show):
    acts.write("/proc/sys/kernel/printk", 1)  # the kernel's OOM reports take seconds on an emulated serial line
    acts.write(f"{acts.CGROUPS}/cgroup.subtree_control", "+memory")
    show.say("Preparing: a log, a JSON file and two git repositories for the agents to work on")
    workload.prepare()
    show.say(f"Three agents share {progress.mib(workload.CAP)}. Each fits alone, all at once do not.")


def play(show):
    third = workload.CAP // 3
    third -= third % 4096
    played = []
    for act in (acts.Act(1, "no control, only the cap", show),
                acts.Act(2, f"static limits, {progress.mib(third)} each", show, third),
                acts.AgentcgAct(3, "agentcg", show)):
        show.title(act)
        act.play()
        played.append(act)
    return played


def verdict(played):
    """What the demo did not show of what it should."""
    problems = []
    if all(agent.survived for act in played[:2] for agent in act.agents):
        problems.append("all agents survived without agentcg: the cap was not tight enough this time")
    last = played[2]
    for agent in last.agents:
        if not agent.survived:
            problems.append(f"with agentcg {agent.name} {progress.fate_of(agent)}")
        elif len(agent.completed) != len(agent.calls):
            problems.append(f"with agentcg {len(agent.calls) - len(agent.completed)} tool calls of {agent.name} failed")
    if last.kills:
        problems.append(f"with agentcg the kernel killed {last.kills} processes (OOM)")
    return problems


def as_json(played):
    return {"cap": workload.CAP, "acts": [{
        "title": act.title, "seconds": act.seconds, "oom_kill": act.kills, "agents": [{
            "name": agent.name, "priority": agent.priority, "survived": agent.survived, "seconds": agent.seconds,
            "killed": agent.killed, "calls": len(agent.calls), "ended": agent.ended} for agent in act.agents]}
        for act in played]}


def report(show, played):
    show.say()
    for line in progress.table(played):
        show.say(line)
    show.say()
    show.say("took: from the start of all agents to the end of its last tool call. call: how long tool calls took.")
    show.say("1 MiB: how long it took the agent itself to get a MiB of memory, asked ten times a second.")
    show.say()
    for act in played:
        for text in progress.deaths(act):
            show.say(f"Act {act.number}: {text}.")
    show.say(progress.summary(played[2]))
    for agent, end in progress.results(played[2]):
        for text in end["told"]:
            show.say(f"  {agent.name} was told about '{end['tool']}': {text}")


def arguments():
    parser = argparse.ArgumentParser(description="The demo, inside the guest; started by scripts/demo.")
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file")
    parser.add_argument("--columns", type=int, metavar="N", help="output goes to a terminal that is so wide")
    return parser.parse_args()


def main():
    options = arguments()
    show = progress.Progress(options.columns)
    begin = time.monotonic()
    try:
        prepare(show)
        played = play(show)
    except acts.Failed as error:
        show.say(f"The demo failed: {error}")
        return 1
    report(show, played)
    problems = verdict(played)
    for problem in problems:
        show.say(f"The demo did not show what it should: {problem}.")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**as_json(played), "problems": problems, "seconds": time.monotonic() - begin}, file)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
