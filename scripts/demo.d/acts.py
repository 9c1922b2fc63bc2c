# SPDX-License-Identifier: GPL-2.0-only
"""The three acts: the same agents, the same cap, three ways to control them. An act starts agents and watches them."""
import contextlib
import json
import os
import selectors
import subprocess
import sys
import time

import workload
from varlink import Refused, Varlink

CGROUPS = "/sys/fs/cgroup"
HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.normpath(f"{HERE}/../../build/out")
LOG = "/run/agentcgd.log"
ACT_SECONDS = 240  # far more than an act takes, even on a machine that is busy with other things

POLICY = f"""[Pool]
MemoryMax={workload.CAP >> 20}Mi
Reserve={workload.POOL_RESERVE >> 20}Mi
[Hold]
Deadline={ACT_SECONDS}s
[Call]
MemoryRequest=32Mi
""" + "".join(f"""[Session "{name}"]
Priority={priority}
Reserve={reserve >> 20}Mi
""" for name, priority, reserve, _ in workload.AGENTS)


class Failed(Exception):
    """The demo cannot go on; the text says why."""


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(str(text))


def read_events(cgroup):
    lines = read(f"{CGROUPS}/{cgroup}/memory.events").splitlines()
    return {key: int(value) for key, value in (line.split() for line in lines)}


class Agent:
    """One agent as seen from outside."""

    def __init__(self, definition):
        self.name, self.priority = definition[:2]
        self.calls = workload.calls_of(definition)
        self.ended = []  # the "end" events of its calls
        self.tool = None  # that runs now
        self.seconds = None  # when it was done, or dead
        self.done = None  # the "done" event; an agent without one did not survive
        self.cgroup = None
        self.process = None
        self.killed = 0  # processes, by the kernel
        self.rest = b""  # of its output: a line that is not whole yet

    @property
    def survived(self):
        return bool(self.done and self.done["intact"])

    @property
    def completed(self):
        return [end for end in self.ended if end["code"] == 0]

    @property
    def probe(self):
        return [seconds for end in self.ended for seconds in end["probe"]]


class Act:
    """Acts 1 and 2, and what act 3 has in common with them."""

    def __init__(self, number, title, progress, limit=None):
        self.number, self.title, self.progress, self.limit = number, title, progress, limit
        self.pool = f"demo-act{number}"
        self.agents = [Agent(definition) for definition in workload.AGENTS]
        self.begin = None
        self.seconds = None  # that it took
        self.kills = None  # processes that the kernel killed in it

    def elapsed(self):
        return time.monotonic() - self.begin

    # A container for each agent: it and its tools in one group that is killed as one, as Kubernetes does it.
    def set_up(self):
        os.mkdir(f"{CGROUPS}/{self.pool}")
        write(f"{CGROUPS}/{self.pool}/cgroup.subtree_control", "+memory")
        write(f"{CGROUPS}/{self.pool}/memory.max", workload.CAP)
        for agent in self.agents:
            agent.cgroup = f"{self.pool}/{agent.name}"
            os.mkdir(f"{CGROUPS}/{agent.cgroup}")
            write(f"{CGROUPS}/{agent.cgroup}/memory.oom.group", 1)
            if self.limit:
                write(f"{CGROUPS}/{agent.cgroup}/memory.max", self.limit)

    def task(self, agent):
        return {"context": f"{workload.INPUT}/access.log", "calls": agent.calls,
                "directory": f"/scratch/act{self.number}/{agent.name}"}

    def start(self, agent):
        task = self.task(agent)
        os.makedirs(task["directory"])
        enter = f"echo 0 >{CGROUPS}/{agent.cgroup}/cgroup.procs && " if agent.cgroup else ""
        agent.process = subprocess.Popen(
            ["sh", "-c", enter + 'exec "$@"', "sh", sys.executable, "-B", f"{HERE}/agent.py", json.dumps(task)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def status(self, agent):
        """What the agent does now, in a few words."""
        return agent.tool or "thinking"

    def usage(self):
        return int(read(f"{CGROUPS}/{self.pool}/memory.current"))

    def handle(self, agent, event):
        if event["event"] == "begin":
            agent.tool = event["tool"]
        elif event["event"] == "end":
            agent.tool = None
            agent.ended.append(event)
            self.progress.call_ended(self, agent, event)
        elif event["event"] == "done":
            agent.done = event

    def ended(self, agent):
        """Its output has ended, so the agent has."""
        agent.seconds = self.elapsed()
        agent.process.wait()
        if agent.cgroup:
            agent.killed = read_events(agent.cgroup)["oom_kill"]
        self.progress.agent_ended(self, agent)

    def start_all(self):
        for agent in self.agents:
            self.start(agent)
        for agent in self.agents:
            if json.loads(agent.process.stdout.readline() or b"{}").get("event") != "ready":
                raise Failed(f"agent {agent.name} did not start")

    def watch(self):
        """Until all agents have ended; a line of progress now and then."""
        selector = selectors.DefaultSelector()
        for agent in self.agents:
            os.set_blocking(agent.process.stdout.fileno(), False)
            selector.register(agent.process.stdout, selectors.EVENT_READ, agent)
            agent.process.stdin.write(b"go\n")
            agent.process.stdin.flush()
        tick = self.begin + self.progress.interval
        while selector.get_map():
            for key, _ in selector.select(max(0, tick - time.monotonic())):
                self.hear(selector, key)
            if time.monotonic() >= tick:
                tick = time.monotonic() + self.progress.interval
                self.progress.tick(self)
            if self.elapsed() > ACT_SECONDS:
                raise Failed(f"act {self.number} is not done after {ACT_SECONDS} s")

    def hear(self, selector, key):
        agent = key.data
        data = key.fileobj.read()
        if data is None:
            return
        if not data:
            selector.unregister(key.fileobj)
            self.ended(agent)
            return
        *lines, agent.rest = (agent.rest + data).split(b"\n")
        for line in lines:
            self.handle(agent, json.loads(line))

    def tear_down(self):
        for agent in self.agents:
            write(f"{CGROUPS}/{agent.cgroup}/cgroup.kill", 1)
        self.kills = read_events(self.pool)["oom_kill"]

    def play(self):
        self.set_up()
        self.start_all()
        self.begin = time.monotonic()
        self.watch()
        self.seconds = self.elapsed()
        self.tear_down()
        subprocess.run(["rm", "-rf", f"/scratch/act{self.number}"], check=True)


class AgentcgAct(Act):
    """Act 3: agentcgd makes the groups, and each tool call is started by agentcg run."""

    def __init__(self, number, title, progress):
        super().__init__(number, title, progress)
        self.pool = "agentcg.slice"
        self.daemon = None
        self.link = None
        self.holds = {}  # of the calls that are held now, by agent: seconds
        self.pool_status = {}

    def set_up(self):
        kernels = [line.split() for line in read("/boot/kernels").splitlines()]
        series = next(series for series, _, release in kernels if release == os.uname().release)
        if subprocess.run(["insmod", f"{OUT}/module/{series}/agentcg.ko"], check=False).returncode:
            raise Failed("the module does not load; what insmod says is above or below")
        write("/run/demo-policy.conf", POLICY)
        with open(LOG, "wb") as log:
            self.daemon = subprocess.Popen([f"{OUT}/agentcgd", "--foreground", "--policy", "/run/demo-policy.conf"],
                                           stderr=log)
        deadline = time.monotonic() + 30
        while not self.link:
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"agentcgd did not start: {read(LOG)}")
            time.sleep(0.05)
            # The socket is there a little before anybody listens.
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                self.link = Varlink()
        self.look()
        if self.pool_status["enforcement"] != "kernel":
            raise Failed(f"agentcgd cannot enforce: {self.pool_status.get('reason')}")

    def task(self, agent):
        return {**super().task(agent), "session": agent.name, "priority": agent.priority, "agentcg": f"{OUT}/agentcg",
                "request": workload.AGENT_REQUEST}

    def look(self):
        status = self.link.call("GetStatus")
        self.pool_status = status["pool"]
        self.holds = {session["name"]: call["heldUSec"] / 1e6 for session in status["sessions"]
                      for call in session["calls"] if call["phase"] != "running"}

    def usage(self):
        try:
            self.look()
        except (OSError, Refused) as error:
            raise Failed(f"agentcgd is gone: {error}") from error
        return super().usage()

    def status(self, agent):
        if agent.name in self.holds:
            return f"{agent.tool} held {self.holds[agent.name]:.1f} s: waiting for memory"
        return super().status(agent)

    def tear_down(self):
        self.look()
        self.kills = read_events(self.pool)["oom_kill"]
        self.daemon.terminate()
        self.daemon.wait(10)
