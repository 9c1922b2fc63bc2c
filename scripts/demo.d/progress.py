# SPDX-License-Identifier: GPL-2.0-only
"""What is said while an act runs, and the table at the end."""
import math

import workload

WIDTH = 6  # of an agent's bar


def mib(size):
    return f"{size / workload.MIB:.0f} MiB"


def plural(count, what):
    return f"{count} {what}{'' if count == 1 else 's'}"


def percentile(values, share):
    """The smallest value that at least that share of them does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def fate_of(agent):
    """What became of an agent that did not come to its end."""
    tool = f" in '{agent.tool}'" if agent.tool else ""
    if agent.process.returncode == -9 and agent.killed:
        return f"killed by the kernel (OOM){tool}, {agent.killed} processes; context lost"
    return f"died{tool}, exit status {agent.process.returncode}"


class Progress:
    """Lines that read well in a log. On a terminal the line about all agents is written over each second."""

    def __init__(self, columns=None):
        self.columns = columns
        self.interval = 1 if columns else 2  # s

    def say(self, text=""):
        print(("\r\033[K" if self.columns else "") + text, flush=True)

    def event(self, act, text):
        self.say(f"  {act.elapsed():5.1f} s  {text}")

    def title(self, act):
        self.say()
        self.say(f"Act {act.number}: {act.title}")

    def call_ended(self, act, agent, end):
        if end["code"]:
            last = (end.get("stderr", "").strip().splitlines() or [""])[-1]
            self.event(act, f"{agent.name}: {end['tool']} failed with exit status {end['code']}: {last}")
        for text in end["told"]:
            self.event(act, f"{agent.name} is told about '{end['tool']}': {text}")

    def agent_ended(self, act, agent):
        if agent.survived:
            self.event(act, f"{agent.name}: done, {len(agent.completed)} tool calls")
        else:
            self.event(act, f"{agent.name}: {fate_of(agent)}")

    def tick(self, act):
        used = act.usage()
        parts = []
        for agent in act.agents:
            bar = "#" * (WIDTH * len(agent.ended) // len(agent.calls))
            if agent.seconds is None:
                words = act.status(agent)
            else:
                words = "done" if agent.survived else "dead"
            parts.append(f"{agent.name} [{bar:.<{WIDTH}}] {words}")
        text = f"{used >> 20:3} of {mib(workload.CAP)} | " + " | ".join(parts)
        if self.columns:
            print("\r\033[K" + f"  {act.elapsed():5.1f} s  {text}"[:self.columns - 1], end="", flush=True)
        else:
            self.event(act, text)


COLUMNS = ("act", "agent", "priority", "survived", "tool calls", "took", "call p50", "call p95", "1 MiB p50",
           "1 MiB p95")


def rows_of(act):
    for agent in act.agents:
        calls = [end["seconds"] for end in agent.ended]
        yield (str(act.number), agent.name, agent.priority, "yes" if agent.survived else "no",
               f"{len(agent.completed)} of {len(agent.calls)}",
               f"{agent.seconds:.1f} s" if agent.survived else f"dead at {agent.seconds:.1f} s",
               *(f"{percentile(calls, share):.1f} s" if calls else "-" for share in (0.5, 0.95)),
               *(f"{percentile(agent.probe, share) * 1e3:.1f} ms" if agent.probe else "-" for share in (0.5, 0.95)))


def table(acts):
    rows = [COLUMNS, *(row for act in acts for row in rows_of(act))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip()


def deaths(act):
    return [f"{agent.name} {fate_of(agent)}, after {agent.seconds:.1f} s" for agent in act.agents if not agent.survived]


def results(act):
    """Of agentcg run, one for each tool call of act 3."""
    return [(agent, end) for agent in act.agents for end in agent.ended if "result" in end]


def summary(act):
    """What agentcg did, in plain words."""
    found = results(act)
    holds = sum(end["result"]["holds"] for _, end in found)
    held = sum(end["result"]["heldUSec"] for _, end in found) / 1e6
    calls = sum(1 for _, end in found if end["result"]["holds"])
    told = sum(len(end["told"]) for _, end in found)
    killed = f"the kernel killed {act.kills} processes all the same" if act.kills else "nothing was killed"
    return (f"What agentcg did: it held {plural(calls, 'tool call')} ({plural(holds, 'hold')}, {held:.1f} s in all) "
            f"until there was memory; {killed}; {plural(told, 'text')} told the agents what had happened.")
