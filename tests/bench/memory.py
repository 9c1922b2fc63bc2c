#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The memory figures (ids 1.1 to 1.7), all in one boot; see tests/bench/README.md.

A round replays the paper's trio once in every setting, so that noise hits all
settings alike; ratios are taken within a round.
"""
import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from figures import Figures
from guest import AGENTCG, CG, OUT, read, start_daemon, write

KO = f"{OUT}/module/7.2/agentcg.ko"
TRACES = "../shared/traces"
MIB = 1 << 20

# Name, trace, priority, what it says it needs: the peak of the trace on its
# base, and 2 % for the process itself.
Session = collections.namedtuple("Session", "name trace priority request")
TRIO = [
    Session("high", "dask__dask-11628.haiku-4.5.json", "high", "430Mi"),
    Session("low1", "sigmavirus24__github3.py-673.haiku-4.5.json", "low", "414Mi"),
    Session("low2", "sigmavirus24__github3.py-673.haiku-4.5.json", "low", "414Mi"),
]
TIGHT, MODERATE = 1100, 1300    # MiB, the paper's caps


def replay(session):
    return [AGENTCG, "replay", f"{TRACES}/{session.trace}", "--speed", "50", "--base", "100Mi", "--json"]


def kills(group):
    return next((int(l.split()[1]) for l in read(f"{CG}/{group}/memory.events").splitlines()
                 if l.startswith("oom_kill ")), 0)


class Outcome:
    """What became of the sessions of one run: replay's report of those that finished."""

    def __init__(self):
        self.reports = {}
        self.oom_kills = 0

    def wall(self, name):
        return self.reports[name]["wall_ms"]

    def p95(self, name):
        return self.reports[name]["alloc_ms"]["p95"]


def finish(procs):
    outcome = Outcome()
    for name, proc in procs.items():
        out, _ = proc.communicate(timeout=120)
        if proc.returncode == 0:
            outcome.reports[name] = json.loads(out)
    return outcome


def plain(sessions, cap=None, each=None):
    """The sessions in plain cgroups: a cap for all, or a limit for each, MiB."""
    write(f"{CG}/cgroup.subtree_control", "+memory +cpu")
    os.makedirs(f"{CG}/plain", exist_ok=True)
    write(f"{CG}/plain/cgroup.subtree_control", "+memory +cpu")
    write(f"{CG}/plain/memory.max", str(cap * MIB) if cap else "max")
    procs = {}
    for s in sessions:
        group = f"{CG}/plain/{s.name}"
        os.makedirs(group, exist_ok=True)
        write(f"{group}/memory.max", str(int(each * MIB)) if each else "max")
        procs[s.name] = subprocess.Popen(
            replay(s), stdout=subprocess.PIPE,
            preexec_fn=lambda g=group: write(f"{g}/cgroup.procs", "0"))
    outcome = finish(procs)
    outcome.oom_kills = kills("plain")
    for s in sessions:
        os.rmdir(f"{CG}/plain/{s.name}")
    os.rmdir(f"{CG}/plain")
    return outcome


class Daemon:
    """agentcgd with a pool of @cap MiB."""

    def __init__(self):
        self.proc = None

    def start(self, cap):
        # Of memory alone: while it is loaded, the CPU scheduler takes CPU time itself.
        self.proc = start_daemon(f"[Pool]\nMemoryMax={cap}Mi\n[Call]\nLearn=none\nAdmission=none\n[CPU]\nScheduler=none\n",
                                 open("/run/bench-agentcgd.log", "a"))
        enforcement = self.status()["pool"]["enforcement"]
        if enforcement != "kernel":
            sys.exit(f"bench: agentcgd enforces '{enforcement}', not in the kernel:\n"
                     + read("/run/bench-agentcgd.log"))

    def status(self):
        return json.loads(subprocess.run([AGENTCG, "status", "--json"], capture_output=True,
                                         check=True).stdout)

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()

    def stop(self):
        self.proc.terminate()
        self.proc.wait()


def agentcg(daemon, cap, killed=False):
    """The trio under agentcg; @killed: with a daemon that dies in the middle."""
    daemon.start(cap)
    procs = {s.name: subprocess.Popen(
        [AGENTCG, "run", "--session", s.name, "--priority", s.priority, "--memory", s.request, "--"]
        + replay(s), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for s in TRIO}
    same = None
    if killed:
        time.sleep(1.2)
        before = sorted(s["name"] for s in daemon.status()["sessions"])
        daemon.kill()
        time.sleep(0.3)
        daemon.start(cap)
        same = sorted(s["name"] for s in daemon.status()["sessions"]) == before and len(before) == 3
    outcome = finish(procs)
    outcome.oom_kills = kills("agentcg.slice")
    outcome.same = same
    daemon.stop()
    return outcome


def load():
    subprocess.run(["insmod", KO], check=True)


def unload():
    subprocess.run([AGENTCG, "unload"], check=True, stdout=subprocess.DEVNULL)
    for _ in range(100):
        if read("/sys/module/agentcg/refcnt").strip() == "0":
            break
        time.sleep(0.05)
    subprocess.run(["rmmod", "agentcg"], check=True)


def rounds(runs):
    """[{setting: Outcome}] for 1.1 to 1.3 and 1.7."""
    daemon, out = Daemon(), []
    for i in range(runs):
        round = {
            "alone": plain(TRIO[:1]),
            "tight/none": plain(TRIO, cap=TIGHT),
            "tight/static": plain(TRIO, each=TIGHT / 3),
            "tight/agentcg": agentcg(daemon, TIGHT),
            "moderate/none": plain(TRIO, cap=MODERATE),
            "moderate/agentcg": agentcg(daemon, MODERATE),
            "tight/killed": agentcg(daemon, TIGHT, killed=True),
        }
        out.append(round)
        print(f"round {i + 1}/{runs}: " + ", ".join(
            f"{k} {len(o.reports)}" + "".join(f" {r['wall_ms'] / 1e3:.2f}s" for r in o.reports.values())
            for k, o in round.items()), flush=True)
    return out


def add_trio(f, rounds):
    finished = lambda k: [len(r[k].reports) for r in rounds]
    good = [float(len(r["tight/agentcg"].reports) == 3 and not r["tight/agentcg"].oom_kills) for r in rounds]
    f.add("1.1", f"{TIGHT} MiB: runs with all 3 finished, nothing killed", good, "of 1", 1.0, "higher",
          value=sum(good) / len(good))
    f.add("1.1-none", "  sessions that finish without control", finished("tight/none"), "of 3", better="higher")
    f.add("1.1-static", "  sessions that finish with static thirds", finished("tight/static"), "of 3", better="higher")
    ratio = lambda fn, a, b: [fn(r[a]) / fn(r[b]) for r in rounds if "high" in r[a].reports]
    f.add("1.2", "there HIGH's p95 allocation step / alone",
          ratio(lambda o: o.p95("high"), "tight/agentcg", "alone"), "x", 1.15)
    f.add("1.2b", "there HIGH's completion / alone",
          ratio(lambda o: o.wall("high"), "tight/agentcg", "alone"), "x", 1.03)
    f.add("1.2-alone", "  HIGH's p95 allocation step alone", [r["alone"].p95("high") for r in rounds], "ms")
    f.add("1.2b-alone", "  HIGH's completion alone", [r["alone"].wall("high") for r in rounds], "ms")
    survived = [r["tight/none"] for r in rounds if "high" in r["tight/none"].reports]
    if survived:
        f.add("1.2-none", "  HIGH's p95 without control, where it survives", [o.p95("high") for o in survived], "ms")
    for s in TRIO:
        f.add("1.3" + ("", "b", "c")[TRIO.index(s)], f"{MODERATE} MiB: {s.name}'s completion / without control",
              [r["moderate/agentcg"].wall(s.name) / r["moderate/none"].wall(s.name) for r in rounds
               if s.name in r["moderate/agentcg"].reports and s.name in r["moderate/none"].reports], "x", 1.10)
    good = [float(len(r["tight/killed"].reports) == 3 and not r["tight/killed"].oom_kills) for r in rounds]
    f.add("1.7", "1.1 with agentcgd killed in the middle", good, "of 1", 1.0, "higher", value=sum(good) / len(good))
    same = [float(r["tight/killed"].same) for r in rounds]
    f.add("1.7b", "restarted agentcgd lists the same sessions", same, "of 1", 1.0, "higher",
          value=sum(same) / len(same))


def add_holds(f, runs):
    samples = collections.defaultdict(list)
    out = subprocess.run([f"{OUT}/tests/bench-hold", str(runs)], check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        for key, value in json.loads(line).items():
            samples[key].append(value)
    error = [abs(ms - 2000) / 20 for ms in samples["hold_ms"]]
    f.add("1.4", "error of a 2000 ms hold, worst run", error, "%", 1.0, value=max(error))
    f.add("1.4b", "release to the next page of the last of 8 threads", samples["release_ms"], "ms", 5.0)
    f.add("1.5", "growth once the gate is shut, worst run", samples["growth"], "batches/thread", 1.0,
          value=max(samples["growth"]))
    # Its fault may take a batch for page tables as well: that is what the maximum shows.
    f.add("1.5b", "the same with huge pages", samples["huge_growth"], "huge pages/thread", 1.0)


def faults(under):
    out = subprocess.run(under + [f"{OUT}/tests/bench-fault", "700"], check=True, capture_output=True, text=True)
    return float(out.stdout)


def add_faults(f, runs):
    """Everything attached against the module unloaded, alternating which is first."""
    daemon, attached, bare = Daemon(), [], []

    def with_agentcg():
        load()
        daemon.start(TIGHT)
        attached.append(faults([AGENTCG, "run", "--session", "fault", "--"]))
        daemon.stop()
        unload()

    def without():
        os.makedirs(f"{CG}/plain", exist_ok=True)
        bare.append(faults(["sh", "-c", f"echo 0 > {CG}/plain/cgroup.procs && exec \"$@\"", "sh"]))

    for i in range(runs):
        for step in (with_agentcg, without) if i % 2 else (without, with_agentcg):
            step()
    os.rmdir(f"{CG}/plain")
    f.add("1.6", "page fault time, everything attached / module unloaded", [b / a for a, b in zip(attached, bare)],
          "x", 1.03)
    f.add("1.6-bare", "  page faults a second, module unloaded", bare, "1/s", better="higher")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--out", required=True)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    f = Figures(["1.1", "1.2", "1.2b", "1.3", "1.3b", "1.3c", "1.4", "1.4b", "1.5", "1.5b", "1.6", "1.7", "1.7b"])
    load()
    add_trio(f, rounds(args.runs))
    subprocess.run([AGENTCG, "unload"], check=True, stdout=subprocess.DEVNULL)
    add_holds(f, args.runs)
    unload()
    add_faults(f, args.runs)
    f.write(args.out)
    print(f.table())
    missed = f.missed()
    for line in missed:
        print("missed:", line)
    return 1 if args.check and missed else 0


sys.exit(main())
