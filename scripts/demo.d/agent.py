# SPDX-License-Identifier: GPL-2.0-only
"""An agent of the demo: a small framework that keeps its context in memory and runs tool calls one after another.

It is told what to do by one JSON object as its argument, says on standard output, one JSON object a line, what happens,
and begins when it reads a line. With "session" it asks agentcgd for a leaf of its own and starts each tool call with
`agentcg run`; without, its tools run beside it in the group that it was started in, as they do in a container.
"""
import json
import mmap
import os
import subprocess
import sys
import threading
import time
import zlib

from varlink import Varlink

PROBE_BYTES = 1 << 20  # below the size of a huge page, so that each page is allocated by itself
PROBE_INTERVAL = 0.1  # s
PREFIX = "agentcg run: "


def say(event, **values):
    print(json.dumps({"event": event, **values}), flush=True)


def enter_leaf(session, request):
    """Moves this process into the leaf of the session's agent. The connection has to be kept: the leaf ends with it."""
    link = Varlink()
    leaf = link.call("BeginCall", session=session, agent=True, intent={"requests": {"memory": request}})
    with open(f"/sys/fs/cgroup{leaf['cgroup']}/cgroup.procs", "w", encoding="ascii") as procs:
        procs.write("0")
    return link


def load_context(path):
    """What the agent has read so far, message by message."""
    with open(path, encoding="ascii") as file:
        return file.read().splitlines()


def checksum(context):
    total = 0
    for message in context:
        total = zlib.crc32(message.encode(), total)
    return total


class Probe(threading.Thread):
    """How long it takes the agent itself to get a MiB of memory, all through the run."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seconds = []
        self.data = b"x" * PROBE_BYTES

    def run(self):
        while True:
            begin = time.monotonic()
            with mmap.mmap(-1, PROBE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
                memory.write(self.data)
            self.seconds.append(time.monotonic() - begin)
            time.sleep(PROBE_INTERVAL)


def run_call(task, call, probe):
    command = ["sh", "-c", call["command"]]
    result = os.path.join(task["directory"], "result.json")
    if task.get("session"):
        command = [task["agentcg"], "run", "--session", task["session"], "--priority", task["priority"],
                   "--memory", call["memory"], "--result", result, "--", *command]
    begin = time.monotonic()
    probe.seconds = []
    done = subprocess.run(command, cwd=task["directory"], capture_output=True, text=True, errors="replace",
                          check=False)
    values = {"tool": call["tool"], "code": done.returncode, "seconds": time.monotonic() - begin,
              "probe": probe.seconds,
              "told": [line.removeprefix(PREFIX) for line in done.stderr.splitlines() if line.startswith(PREFIX)]}
    if done.returncode:
        values["stderr"] = done.stderr[-500:]
    if task.get("session"):
        with open(result, encoding="utf-8") as file:
            values["result"] = json.load(file)
        os.unlink(result)
    say("end", **values)
    return done.stdout


def main():
    task = json.loads(sys.argv[1])
    link = enter_leaf(task["session"], task["request"]) if task.get("session") else None
    context = load_context(task["context"])
    size, check = len(context), checksum(context)
    say("ready")
    sys.stdin.readline()
    probe = Probe()
    probe.start()
    for call in task["calls"]:
        say("begin", tool=call["tool"])
        context.append(run_call(task, call, probe))
    # An agent that lives still has what it knew.
    intact = checksum(context[:size]) == check
    say("done", intact=intact, messages=len(context))
    del link


if __name__ == "__main__":
    main()
