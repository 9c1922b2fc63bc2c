#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The CPU figures (ids 2.1 to 2.5, and 2.9); see tests/bench/README.md.

A round measures every figure once under each scheduler, one after another, so
that noise hits all alike; ratios are taken within a round.  Figures want
different machines (MACHINES), one boot for each.
"""
import argparse
import collections
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from figures import Figures
from guest import AGENTCG, CG, OUT, eventually, read, start_daemon, write

LOAD = f"{OUT}/tests/bench-cpu"
PEERS = f"{OUT}/peers/build/bin"
TOP = "bench"
CPUS = os.cpu_count()
SCX = "/sys/kernel/sched_ext"
# The peers are for orientation, and every figure of theirs takes as long as one of ours: one round in three
# measures them, but for where they are a part of the figure.
PEERS_EVERY = 3
# Which guest of tests/bench/run measures what.  The clock of "two" counts instructions, and its CPUs take turns: shares
# come out to a thousandth.  In "parallel" they really run at the same time, as a command that is timed beside others wants.
MACHINES = {"2.1e": "four", "2.2c": "parallel", "2.2d": "parallel", "2.5b": "hotplug", "2.9": "old"}
BURST_MS = 200      # AGENTCG_BURST_INTERACTIVE in bpf/fair.h


# ---- schedulers -------------------------------------------------------------

class Ended(Exception):
    """A scheduler is not in charge any more, or what runs under it fails."""


class Eevdf:
    """The kernel's own."""
    name = "eevdf"

    def start(self):
        pass

    def stop(self):
        pass

    def check(self):
        if os.path.exists(SCX) and read(f"{SCX}/state").strip() != "disabled":
            raise Ended("a sched_ext scheduler runs that should not")

    def recover(self):
        pass

    def interactive(self, group):
        pass    # it knows no classes


def last_words(log):
    """Why a scheduler ended, from what its loader printed."""
    lines = [l for l in read(log).splitlines() if l.strip()]
    return next((l for l in reversed(lines) if l.startswith("EXIT:")), "\n".join(lines[-5:]))


class Peer(Eevdf):
    """An example of the kernel's, which ends with its loader."""

    def __init__(self, name):
        self.name = name

    def launch(self):
        return subprocess.Popen([f"{PEERS}/scx_{self.name}"], stdout=self.log, stderr=self.log)

    def start(self):
        self.log = open(f"/run/bench-{self.name}.log", "w")
        self.proc = self.launch()
        if not eventually(60, self.enabled):
            raise Ended(f"{self.name} did not start: {last_words(self.log.name)}")

    def end_loader(self):
        self.proc.send_signal(signal.SIGTERM)

    def enabled(self):
        try:
            return read(f"{SCX}/state").strip() == "enabled" and read(f"{SCX}/root/ops").startswith(self.name)
        except FileNotFoundError:
            return False

    def check(self):
        if not self.enabled():
            raise Ended(f"{self.name} ended: {last_words(self.log.name)}")

    def recover(self):
        """Some end when a CPU comes or goes, and their loader starts them again."""
        eventually(20, self.enabled)

    def stop(self):
        self.end_loader()
        try:
            self.proc.wait(30)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
        eventually(20, lambda: read(f"{SCX}/state").strip() == "disabled")


class Agentcg(Peer):
    """Ours, loaded by tests/bench/sched.c, which answers questions on its standard input."""

    def launch(self):
        return subprocess.Popen([f"{OUT}/tests/bench-sched"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=self.log, text=True, bufsize=1)

    def end_loader(self):
        self.proc.stdin.close()

    def recover(self):
        pass    # what has ended stays so

    def ask(self, *words):
        self.proc.stdin.write(" ".join(words) + "\n")
        answer = self.proc.stdout.readline().strip()
        if answer.startswith("error"):
            sys.exit(f"bench: {' '.join(words)}: {answer}")
        return answer

    def interactive(self, group):
        self.ask("interactive", group)


# ---- groups and what runs in them ---------------------------------------------

class Group:
    """A cgroup of the tree that is measured: children, or loads such as "hog:3"; @max: CPUs that cpu.max allows."""

    def __init__(self, name, weight, *loads, children=(), max=None):
        self.name, self.weight, self.loads, self.children, self.max = name, weight, loads, children, max

    def leaves(self, above=TOP):
        path = f"{above}/{self.name}"
        if not self.children:
            return [(path, self)]
        return [leaf for child in self.children for leaf in child.leaves(path)]

    def demand(self):
        """CPUs that it could use: tasks that always want to run; sleepers are on top of enough of these."""
        if self.children:
            return min(CPUS, sum(c.demand() for c in self.children))
        return min(CPUS, sum(int(l.split(":")[1]) for l in self.loads if "/" not in l))


def mkdir(path):
    """A scheduler has its word when a group is made, and flatcg sometimes says EBUSY (a lock of its map)."""
    for _ in range(10):
        try:
            return os.makedirs(path, exist_ok=True)
        except OSError as e:
            error = e
            time.sleep(0.1)
    raise Ended(f"no group can be made: {error}")


def make(groups, above=TOP):
    mkdir(f"{CG}/{above}")
    write(f"{CG}/{above}/cgroup.subtree_control", "+cpu +cpuset")
    for g in groups:
        mkdir(f"{CG}/{above}/{g.name}")
        write(f"{CG}/{above}/{g.name}/cpu.weight", str(g.weight))
        if g.max:
            write(f"{CG}/{above}/{g.name}/cpu.max", f"{g.max * 100000:.0f} 100000")
        if g.children:
            make(g.children, f"{above}/{g.name}")


def remove_all():
    for path, _, _ in os.walk(f"{CG}/{TOP}", topdown=False):
        if not eventually(30, lambda: not read(f"{path}/cgroup.procs")):
            raise Ended(f"{path} is not empty 30 s after its processes were killed")
        # What exits has left cgroup.procs a little before the group may go.
        eventually(10, lambda: not os.path.exists(path) or try_rmdir(path))


def try_rmdir(path):
    try:
        os.rmdir(path)
        return True
    except OSError:
        return False


class Loads:
    """The loads of @groups in their cgroups, while in the with block."""

    def __init__(self, groups):
        self.groups = groups

    def __enter__(self):
        make(self.groups)
        self.specs = [f"{path}:{load}" for g in self.groups for path, leaf in g.leaves() for load in leaf.loads]
        self.proc = None
        if self.specs:
            self.proc = subprocess.Popen([LOAD, "load"] + self.specs, stdout=subprocess.PIPE, text=True)
            if self.proc.stdout.readline() != "ready\n":
                sys.exit("bench: the loads did not start")
        return self

    def __exit__(self, *_):
        if self.proc:
            self.proc.kill()
            self.proc.wait()
        remove_all()


def usage(path):
    """CPU time in us so far, and when."""
    text = read(f"{CG}/{path}/cpu.stat")
    return int(re.match(r"usage_usec (\d+)", text)[1]), time.monotonic() * 1e6


def used(paths, seconds):
    """CPUs that each of @paths uses over the next @seconds."""
    begin = time.monotonic()
    before = {p: usage(p) for p in paths}
    time.sleep(begin + seconds - time.monotonic())
    after = {p: usage(p) for p in paths}
    return {p: (after[p][0] - before[p][0]) / (after[p][1] - before[p][1]) for p in paths}


def waterfill(groups, capacity):
    """CPUs for each of @groups by weight, none more than it can use."""
    share, rest, left = {}, capacity, list(groups)
    while left:
        unit = rest / sum(g.weight for g in left)
        full = [g for g in left if g.demand() <= unit * g.weight]
        for g in full or left:
            share[g.name] = g.demand() if full else unit * g.weight
        if not full:
            break
        rest -= sum(share[g.name] for g in full)
        left = [g for g in left if g not in full]
    return share


def ideal(groups, capacity=CPUS, above=TOP):
    out = {}
    for g in groups:
        mine, path = waterfill(groups, capacity)[g.name], f"{above}/{g.name}"
        out.update(ideal(g.children, mine, path) if g.children else {path: mine})
    return out


def share_error(groups, got, above=TOP):
    """The worst leaf's |got / ideal - 1|, %.  What others used of the machine is taken off all CPUs alike."""
    want = ideal(groups, above=above)
    scale = sum(got.values()) / sum(want.values())
    return max(abs(got[p] / (want[p] * scale) - 1) for p in want) * 100


# ---- figures --------------------------------------------------------------------

def hogs(n):
    return f"hog:{n}"


SHARES = {
    "2.1a": ("share error, 3:1, three hogs each",
             [Group("a", 300, hogs(3)), Group("b", 100, hogs(3))]),
    "2.1b": ("share error, 3:1, two hogs each",
             [Group("a", 300, hogs(2)), Group("b", 100, hogs(2))]),
    "2.1c": ("share error, one hog (300) and five (100)",
             [Group("a", 300, hogs(1)), Group("b", 100, hogs(5))]),
    "2.1d": ("share error, 2:1 x 3:1, two hogs each",
             [Group(n, w, children=(Group("a", 300, hogs(2)), Group("b", 100, hogs(2))))
              for n, w in (("p", 200), ("q", 100))]),
    "2.1e": ("share error, eight groups, 1 to 8, 4 CPUs",
             [Group(f"g{i}", 100 * i, hogs(4)) for i in range(1, 9)]),
    "2.1f": ("share error, 3:1, two hogs and four sleepers each",
             [Group("a", 300, hogs(2), "1000/5000:4"), Group("b", 100, hogs(2), "1000/5000:4")]),
}


def shares(bench, scheduler, id):
    groups = SHARES[id][1]
    with Loads(groups):
        time.sleep(1)
        got = used([p for g in groups for p, _ in g.leaves()], bench.args.window)
    scheduler.check()
    want = ideal(groups)
    print("  " + ", ".join(f"{p[len(TOP) + 1:]} {got[p]:.4f} of {want[p]:.4f}" for p in got))
    bench.put(id, scheduler, share_error(groups, got))
    bench.put(id + "-busy", scheduler, sum(got.values()) / CPUS * 100)


# Where a person waits: a group that sleeps, beside one that takes all that it gets.
QUIET, NOISY = f"{TOP}/quiet", Group("noisy", 100, hogs(4 * CPUS))
CALLS = {"2.2c": ["git", "-C", "/scratch/repo", "status"], "2.2d": ["ls", "-R", "/scratch/repo"]}


def latency(bench, scheduler, id):
    with Loads([Group("quiet", 100), NOISY]):
        scheduler.interactive(QUIET)
        time.sleep(0.5)
        out = subprocess.run([LOAD, "wake", QUIET, "1000", "10000", str(bench.args.window * 600)],
                             check=True, capture_output=True, text=True).stdout.strip()
    scheduler.check()
    print("  " + out)
    bench.put("2.2-p99", scheduler, json.loads(out)["wait"]["p99"] / 1e3)
    bench.put("2.2-late", scheduler, json.loads(out)["late"]["p99"] / 1e3)


def calls(bench, scheduler, id):
    """An interactive command beside hogs, and alone; the files are in the cache."""
    if scheduler.name == "simple" or not (scheduler.name == "agentcg" or bench.now_and_then()):
        return
    took = []
    for noise in [], [NOISY]:
        with Loads([Group("quiet", 100)] + noise):
            scheduler.interactive(QUIET)
            time.sleep(0.5)
            took.append(call_time(CALLS[id]))
        scheduler.check()
    bench.put(id + "-alone", scheduler, took[0])
    bench.put(id, scheduler, took[1] / took[0])


def call_time(command):
    """ms that it takes in the group QUIET: the median of three."""
    out = subprocess.run([LOAD, "time", QUIET, "3", "300"] + command, check=True, capture_output=True, text=True)
    return statistics.median(float(l) for l in out.stdout.split())


def burst(bench, scheduler, id):
    """A hog that says it is interactive, and wakes often, against an honest one."""
    liar, honest = Group("liar", 100, f"1000/50:{2 * CPUS}"), Group("honest", 100, hogs(2 * CPUS))
    with Loads([honest]):
        make([liar])
        scheduler.interactive(f"{TOP}/liar")
        time.sleep(1)
        proc = subprocess.Popen([LOAD, "load", f"{TOP}/liar:{liar.loads[0]}"], stdout=subprocess.PIPE)
        proc.stdout.readline()
        got = used([f"{TOP}/liar", f"{TOP}/honest"], bench.args.window)     # at once: it has its burst now
        proc.kill()
        proc.wait()
    scheduler.check()
    share = sum(got.values()) / 2
    bench.put(id, scheduler, (got[f"{TOP}/liar"] - 1.01 * share) * bench.args.window * 1e3)


CALL = f"{TOP}/a/b/c"   # as deep as a tool call is: pool, session, call
STRESS_S = 3
STRESS = {"2.4b": "cpu", "2.4c": "switch", "2.4d": "pipe"}
COMPILE = ("hashmap", "nlattr", "strset", "btf_iter", "bpf_prog_linfo", "libbpf_probes")


def in_call(command):
    """Runs @command in the leaf; s that it took."""
    begin = time.monotonic()
    done = subprocess.run(["sh", "-c", f"echo 0 >{CG}/{CALL}/cgroup.procs && exec \"$@\"", "sh"] + command,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Ended(f"{command[0]} failed with {done.returncode}: {done.stdout[-500:]}")
    return time.monotonic() - begin


def stress(what, seconds):
    options = ["--cpu-method", "int64"] if what == "cpu" else []
    in_call(["stress-ng", f"--{what}", str(CPUS), *options, "--timeout", str(seconds), "--metrics",
             "--temp-path", "/scratch", "--yaml", "/scratch/stress.yaml"])
    return float(re.search(r"bogo-ops-per-second-real-time: ([\d.]+)", read("/scratch/stress.yaml"))[1])


def compile_some():
    shutil.rmtree("/scratch/compile", ignore_errors=True)
    os.makedirs("/scratch/compile")
    tools = next(f"/usr/src/{d}/tools" for d in sorted(os.listdir("/usr/src")) if os.path.isdir(f"/usr/src/{d}/tools/lib/bpf"))
    write("/scratch/compile/Makefile",
          f"all: {' '.join(f + '.o' for f in COMPILE)}\n"
          f"%.o: {tools}/lib/bpf/%.c\n"
          f"\tgcc -O1 -w -D_GNU_SOURCE -I{tools}/include -I{tools}/include/uapi -I{tools}/lib -c $< -o $@\n")
    return in_call(["make", "-s", "-j4", "-C", "/scratch/compile"])


def throughput(bench, scheduler, id):
    """More is better: where a time is what is measured, it is the inverse."""
    with Loads([Group("a", 100, children=(Group("b", 100, children=(Group("c", 100),)),))]):
        if id == "2.4a":
            rate = 1 / in_call(["hackbench", "-g", "4", "-l", "100"])
        elif id == "2.4e":
            rate = 1 / compile_some()
        else:
            rate = stress(STRESS[id], STRESS_S)
    scheduler.check()
    bench.put(id, scheduler, rate)


def limits(bench, scheduler, id):
    groups = [Group("half", 100, hogs(3), max=0.5), Group("quarter", 100, hogs(3), max=0.25)]
    with Loads(groups):
        time.sleep(1)
        got = used([f"{TOP}/{g.name}" for g in groups], bench.args.window)
    scheduler.check()
    bench.put(id, scheduler, max(abs(got[f"{TOP}/{g.name}"] / g.max - 1) for g in groups) * 100)


def changes(bench, scheduler, id):
    """Shares once more, after what runs was moved about: a task on one CPU, a cpuset, a CPU that went and came."""
    online, cpuset = "/sys/devices/system/cpu/cpu1/online", f"{CG}/{TOP}/b/cpuset.cpus"
    groups = [Group("a", 300, hogs(3), "pin:1"), Group("b", 100, hogs(3))]
    with Loads(groups):
        for path, text in ((cpuset, "0"), (cpuset, f"0-{CPUS - 1}"), (online, "0"), (online, "1")):
            time.sleep(0.5)
            write(path, text)
        time.sleep(1)
        scheduler.recover()
        scheduler.check()
        got = used([p for g in groups for p, _ in g.leaves()], bench.args.window)
    scheduler.check()
    bench.put(id, scheduler, share_error(groups, got))


POOL = "agentcg.slice"
# Two sessions, 2:1, with two calls each, 3:1, as priorities: a weight doubles every 62.5.
SESSIONS, TOOLS = {"p": 562.5, "q": 500}, {"a": 599, "b": 500}


class Weights:
    """agentcgd on a kernel without sched_ext: it sets cpu.weight; while in the with block."""

    def __enter__(self):
        self.daemon = start_daemon("[Pool]\nMemoryMax=1Gi\n", open("/run/bench-agentcgd.log", "w"))
        self.calls = []
        for session, priority in SESSIONS.items():
            subprocess.run([AGENTCG, "session", "open", session, "--priority", f"{priority:.0f}"], check=True,
                           stdout=subprocess.DEVNULL)
            for n, tool in enumerate(TOOLS.values(), 1):
                self.calls.append(subprocess.Popen([AGENTCG, "run", "--session", session, "--priority", str(tool),
                                                    "--", "sleep", "600"], stderr=subprocess.DEVNULL))
                if not eventually(30, lambda: os.path.exists(f"{CG}/{POOL}/session-{session}/tool-{n}")):
                    sys.exit(f"bench: no call began in session {session}")
        return self

    def groups(self):
        """The tree that the daemon made, with the weights that it gave."""
        def weight(path):
            return int(read(f"{CG}/{POOL}/{path}/cpu.weight"))
        return [Group(f"session-{s}", weight(f"session-{s}"), children=[
            Group(f"tool-{n}", weight(f"session-{s}/tool-{n}"), hogs(2)) for n in range(1, len(TOOLS) + 1)])
            for s in SESSIONS]

    def __exit__(self, *_):
        for session in SESSIONS:
            subprocess.run([AGENTCG, "session", "close", session], check=True, stdout=subprocess.DEVNULL)
        for call in self.calls:
            call.wait()
        self.daemon.terminate()
        self.daemon.wait()


SETTLE_S = 3    # what starting agentcgd and its calls leaves to do is done


def run_hogs(groups, top, seconds):
    """Share error of @groups, which are there, below @top."""
    leaves = [leaf for g in groups for leaf in g.leaves(top)]
    proc = subprocess.Popen([LOAD, "load"] + [f"{path}:{load}" for path, g in leaves for load in g.loads],
                            stdout=subprocess.PIPE)
    proc.stdout.readline()
    time.sleep(SETTLE_S)
    got = used([path for path, _ in leaves], seconds)
    proc.kill()
    proc.wait()
    print("  " + ", ".join(f"{path[len(top) + 1:]} {got[path]:.4f}" for path, _ in leaves))
    return share_error(groups, got, top)


def degraded(bench, scheduler, id):
    """Shares at two levels as agentcgd sets them, and the same weights set by hand, in turns first."""
    def by_hand(groups):
        with Loads([Group(g.name, g.weight, children=[Group(c.name, c.weight) for c in g.children]) for g in groups]):
            bench.put(id + "-hand", scheduler, run_hogs(groups, TOP, bench.args.window))

    if bench.round % 2:
        by_hand(bench.groups)
    with Weights() as daemon:
        bench.groups = groups = daemon.groups()
        bench.put(id + "-agentcgd", scheduler, run_hogs(groups, POOL, bench.args.window))
    weights = [[g.weight] + [c.weight for c in g.children] for g in groups]
    if [[round(w / weights[-1][-1], 1) for w in row] for row in weights] != [[2, 3, 1], [1, 3, 1]]:
        sys.exit(f"bench: agentcgd set weights that are not 2:1 and 3:1: {weights}")
    if not bench.round % 2:
        by_hand(groups)


# ---- rounds ------------------------------------------------------------------------

# What is measured between two changes of the scheduler: under which ones in every round, and under which for
# orientation.
Block = collections.namedtuple("Block", "steps always sometimes")
BLOCKS = [
    Block({id: shares for id in SHARES}, ["agentcg"], ["eevdf", "flatcg"]),
    Block({"2.1a": shares}, [], ["simple"]),
    Block({"2.2a": latency, "2.2c": calls, "2.2d": calls}, ["eevdf", "agentcg", "flatcg"], ["simple"]),
    Block({id: throughput for id in ("2.4a", *STRESS, "2.4e")}, ["eevdf", "agentcg"], ["flatcg"]),
    Block({"2.3": burst}, ["agentcg"], []),
    Block({"2.5a": limits, "2.5b": changes}, ["agentcg"], ["eevdf", "flatcg"]),
    Block({"2.9": degraded}, ["eevdf"], []),
]
SCHEDULERS = ["eevdf", "agentcg", "flatcg", "simple"]


class Bench:
    def __init__(self, args):
        self.args = args
        self.samples = collections.defaultdict(dict)    # (id, scheduler) -> {round: value}
        self.round = 0
        self.current = None
        self.saved = f"{args.out}.{args.machine}"
        self.known = {"eevdf": Eevdf(), "agentcg": Agentcg("agentcg"), **{n: Peer(n) for n in SCHEDULERS[2:]}}

    def wants(self, id):
        return any(id.startswith(o) for o in self.args.only)

    def now_and_then(self):
        return self.round % PEERS_EVERY == 0

    def save(self):
        """Of the rounds so far, for a next boot should the guest die: an emulated one now and then does."""
        write(self.saved, json.dumps({"rounds": self.round + 1,
                                      "samples": [[*key, values] for key, values in self.samples.items()]}))

    def restore(self):
        """The number of rounds that an earlier boot has done."""
        if not os.path.exists(self.saved):
            return 0
        saved = json.loads(read(self.saved))
        for id, name, values in saved["samples"]:
            self.samples[id, name] = {int(r): v for r, v in values.items()}
        print(f"the guest died; going on after round {saved['rounds']}", flush=True)
        return saved["rounds"]

    def put(self, id, scheduler, value):
        self.samples[id, scheduler.name][self.round] = value
        print(f"round {self.round + 1}: {id} {scheduler.name} {value:.4g}", flush=True)

    def ratios(self, id, a, b):
        """Round by round, what @id was under @a over that under @b."""
        x, y = self.samples[id, a], self.samples[id, b]
        return [x[r] / y[r] for r in x if r in y]

    def ours(self, id):
        return list(self.samples[id, "agentcg"].values())

    def switch(self, name):
        if self.current and self.current.name == name:
            return
        self.stop()
        self.current = self.known[name]
        self.current.start()

    def stop(self):
        if self.current:
            self.current.stop()
        self.current = None

    def run_block(self, block, name):
        for id in self.here(block):
            try:
                self.switch(name)
                block.steps[id](self, self.current, id)
            except Ended as e:
                # Of a peer that is worth knowing, and no more; of ours the figure of this round is missing.
                print(f"round {self.round + 1}: {id} {name}: {e}", flush=True)
                self.stop()

    def here(self, block):
        """What of @block is wanted, and is measured on this machine."""
        return [id for id in block.steps if self.wants(id) and MACHINES.get(id, "two") == self.args.machine]

    def run(self):
        flip = False
        for self.round in range(self.restore(), self.args.runs):
            for block in filter(self.here, BLOCKS):
                names = block.always + (block.sometimes if self.now_and_then() else [])
                names = [n for n in SCHEDULERS if n in names and n in self.args.schedulers]
                # To and fro: nobody is always first, and there are fewer changes.
                for name in names[::-1] if flip else names:
                    self.run_block(block, name)
                flip = not flip
            self.save()
        self.stop()
        os.unlink(self.saved)


def report(bench, f):
    def add(id, text, samples, *args, **kwargs):
        if samples:
            f.add(id, text, samples, *args, **kwargs)

    def baselines(id, text, unit, source, names, better="lower"):
        for name in names:
            add(f"{id}-{name}", f"  {text}, {name}", list(bench.samples[source, name].values()), unit, better=better)

    others = [n for n in SCHEDULERS if n != "agentcg"]
    for id, (text, _) in SHARES.items():
        add(id, text, bench.ours(id), "%", 1.0)
        baselines(id, "the same", "%", id, others)
        baselines(id + "-busy", "CPU time that the groups got", "%", id + "-busy", SCHEDULERS[:2], "higher")
    for id, peer in (("2.2a", "eevdf"), ("2.2b", "flatcg")):
        add(id, f"p99 wake-up latency / {peer}'s", bench.ratios("2.2-p99", "agentcg", peer), "x", 0.2)
    baselines("2.2a-p99", "p99 wake-up latency", "ms", "2.2-p99", SCHEDULERS)
    baselines("2.2a-late", "p99 of how late the sleeper is, timer included", "ms", "2.2-late", SCHEDULERS)
    for id, command in CALLS.items():
        text = " ".join(w for w in command if "/" not in w and w != "-C")
        add(id, f"{text}, beside hogs / alone", bench.ours(id), "x", 1.3)
        baselines(id, "the same", "x", id, others)
        baselines(id + "-alone", "alone", "ms", id + "-alone", SCHEDULERS)
    add("2.3", "a hog of the latency class: CPU beyond 1.01 of its share", bench.ours("2.3"), "ms", BURST_MS)
    for id, text in (("2.4a", "hackbench"), *((i, f"stress-ng --{w}") for i, w in STRESS.items()), ("2.4e", "make -j4")):
        add(id, f"{text}: throughput / EEVDF's", bench.ratios(id, "agentcg", "eevdf"), "x", 0.97, "higher")
        add(id + "-flatcg", "  flatcg's / EEVDF's", bench.ratios(id, "flatcg", "eevdf"), "x", better="higher")
        baselines(id + "-rate", "runs or operations a second", "1/s", id, SCHEDULERS, "higher")
    add("2.5a", "cpu.max of 50 % and 25 % of a CPU: error", bench.ours("2.5a"), "%", 2.0)
    baselines("2.5a", "the same", "%", "2.5a", others)
    add("2.5b", "share error once CPUs, cpuset and affinity have changed", bench.ours("2.5b"), "%", 1.0)
    baselines("2.5b", "the same", "%", "2.5b", others)
    by_daemon, by_hand = bench.samples["2.9-agentcgd", "eevdf"], bench.samples["2.9-hand", "eevdf"]
    add("2.9", "6.12: share error, 2:1 x 3:1, agentcgd's weights less those by hand",
        [by_daemon[r] - by_hand[r] for r in by_daemon], "%", 0.5)
    baselines("2.9-agentcgd", "agentcgd's weights", "%", "2.9-agentcgd", ["eevdf"])
    baselines("2.9-hand", "the same set by hand", "%", "2.9-hand", ["eevdf"])


def make_repository():
    for d in range(50):
        os.makedirs(f"/scratch/repo/dir{d}")
        for i in range(40):
            write(f"/scratch/repo/dir{d}/file{i}.c", f"int f{d}_{i};\n")
    for command in (["init"], ["add", "."], ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-m", "all"]):
        subprocess.run(["git", "-C", "/scratch/repo"] + command, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--out", required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--machine", choices=["two", *sorted(set(MACHINES.values()))], default="two", help="what this one is")
    parser.add_argument("--only", type=lambda s: s.split(","), default=["2."], help="beginnings of ids, such as 2.1,2.2a")
    parser.add_argument("--schedulers", type=lambda s: s.split(","), default=SCHEDULERS)
    parser.add_argument("--window", type=float, default=10, help="seconds over which CPU time is counted")
    args = parser.parse_args()
    # What measures must not wait for what is measured; what it starts is ordinary again.
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(10))
    write(f"{CG}/cgroup.subtree_control", "+cpu +cpuset")
    bench = Bench(args)
    if bench.wants("2.2c") or bench.wants("2.2d"):
        make_repository()
    bench.run()
    f = Figures([id for block in BLOCKS for id in block.steps] + ["2.2b"])
    f.load(args.out)
    report(bench, f)
    f.write(args.out)
    print(f.table())
    missed = f.missed() if args.check else []
    for line in missed:
        print("missed:", line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
