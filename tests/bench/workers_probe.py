# SPDX-License-Identifier: GPL-2.0-only
"""Figures 4.4: the launch probe against a libcuda that keeps its own clock.

In a guest that counts instructions (4 ns each), where a launch of the fake takes 750 of them, 3 us, as cuLaunchKernel does. A
breakpoint takes some thousands there as on any machine, so it is dearer, against a launch, than where an instruction takes a third of a ns.
"""
import contextlib
import json
import os
import statistics
import subprocess
import time

from guest import CG, OUT, eventually, write

GPU = f"{OUT}/tests/gpu"
GROUP = f"{CG}/worker"
CALL = 750
# With CALL, one launch in 25000 instructions: 10,000 a second.
BETWEEN = 24000


class Probe:
    """The daemon's probe by itself, on the group."""
    def __init__(self):
        self.proc = subprocess.Popen([f"{GPU}/probe", GROUP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Loading it takes what it takes, and is no cost of probing.
        if not eventually(60, lambda: self.figures()["cost"]):
            raise SystemExit(f"bench: no probe: {self.figures()['reason']}")

    def ask(self, what):
        self.proc.stdin.write(what + "\n")
        self.proc.stdin.flush()
        return json.loads(self.proc.stdout.readline())

    def figures(self):
        return self.ask("figures")

    def threads(self):
        return self.ask("threads")

    def end(self):
        self.proc.stdin.close()
        self.proc.wait()


@contextlib.contextmanager
def probing():
    probe = Probe()
    try:
        yield probe
    finally:
        probe.end()


def launcher(*arguments, **environment):
    """A worker in the group; what it prints is read when it has ended."""
    os.makedirs(GROUP, exist_ok=True)
    return subprocess.Popen([f"{GPU}/launcher", *map(str, arguments)], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment},
                            preexec_fn=lambda: write(f"{GROUP}/cgroup.procs", "0"))


@contextlib.contextmanager
def hogs(n):
    procs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(n)]
    try:
        yield
    finally:
        for p in procs:
            p.kill()
            p.wait()


def rates(worker):
    """(when, launches a second) of each half second of a steady launcher, and its report."""
    *lines, report = worker.communicate()[0].splitlines()
    return [tuple(map(float, line.split())) for line in lines], json.loads(report)


def delays(seconds):
    """
    Threads that are woken 40 times a second beside hogs, and compute 1 ms before they launch: what the probe says and what the library
    knows. The library's delays are longer by what happens between its clock and the kernel: a system call and half a trap, some 20 us here.
    """
    os.makedirs(GROUP, exist_ok=True)
    with probing() as probe, hogs(4):
        report = json.loads(launcher("woken", 4, 40, seconds, 250000).communicate()[0])
        # The last window may be open, on a process that is gone.
        time.sleep(0.5)
        return probe.figures(), report, probe.threads()


def error(got, truth):
    return abs(got - truth) / truth * 100


def steady(seconds, between, probe):
    """Launches a second over @seconds, of a launcher that does nothing else; with the probe or without."""
    os.makedirs(GROUP, exist_ok=True)
    with probing() if probe else contextlib.nullcontext() as p:
        lines, report = rates(launcher("steady", seconds, between, CALL))
        figures = p.figures() if p else {}
    return [r for _, r, _ in lines[1:]], figures, report


def storm(seconds):
    """A launcher that does nothing but launch: when the probe has let go of it, and how fast it is then."""
    without = statistics.median(steady(4, 0, False)[0])
    with probing() as probe:
        started = time.monotonic()
        worker = launcher("steady", seconds, 0, CALL)
        seen = eventually(seconds, lambda: probe.figures()["detached"])
        off = time.monotonic() - started
        figures = probe.figures()
        time.sleep(max(0, seconds - 1 - off))
        lines, report = rates(worker)
    after = [r for t, r, _ in lines if t > started + off + 0.5][:-1]
    return {"seen": seen, "off": off, "figures": figures, "report": report, "without": without,
            "after": statistics.median(after) if after else 0, "lost": sum(max(0, 1 - r / without) * 0.5 for _, r, _ in lines)}


def measure(figures, runs):
    means, medians, whole = [], [], []
    for _ in range(runs):
        f, report, _ = delays(25)
        means.append(error(f["mean"], report["seen"]["mean"]))
        medians.append(error(f["p50"], report["seen"]["p50"]))
        whole.append(error(f["mean"], report["all"]["mean"]))
    figures.add("4.4a", "mean delay, probe against the library's clock: error", means, "%", 5)
    figures.add("4.4a-p50", "... p50", medians, "%", 5)
    figures.add("4.4a-all", "... mean, against all launches, seen or not", whole, "%")
    costs, traps = [], []
    for _ in range(runs):
        base = statistics.mean(steady(4, BETWEEN, False)[0])
        got, f, _ = steady(20, BETWEEN, True)
        costs.append((1 - statistics.mean(got) / base) * 100)
        traps.append(f["cost"] / 1000)
    figures.add("4.4b", "cost at 10,000 launches a second, of their rate", costs, "%", 1)
    figures.add("4.4b-trap", "... of a launch that is looked at", traps, "us")
    storms = [storm(8) for _ in range(runs)]
    figures.add("4.4c", "after a storm: slower than without the probe", [(1 - s["after"] / s["without"]) * 100 for s in storms], "%", 1)
    figures.add("4.4c-lost", "... it lost until the probe was off", [s["lost"] if s["seen"] else 99 for s in storms], "s", 0.1)
    figures.add("4.4c-off", "... which it was, after the storm began", [s["off"] for s in storms], "s")


if __name__ == "__main__":
    import sys
    from figures import Figures

    table = Figures([])
    measure(table, int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(table.table())
