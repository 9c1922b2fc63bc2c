#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Benchmark "workers": inference workers beside tool calls; see tests/bench/README.md."""
import argparse
import importlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from figures import Figures
from guest import OUT

TRACES = "../shared/traces"


def numa(figures, runs):
    """4.2: once, however many runs: 60 s of looking at the worker's cores are one."""
    import workers_numa
    from intents_cost import whole_daemon
    daemon = whole_daemon("\n[CPU]\nScheduler=none\n[GPU]\nCallCores=1\n")
    got = workers_numa.measure(60)
    daemon.terminate()
    daemon.wait()
    for id, figure, unit, bound, better in (
            ("4.2a", "pages that a worker maps on its node when it is ready, placed before it starts", "%", 100, "higher"),
            ("4.2a-charged", "... pages that its group is charged for", "%", 100, "higher"),
            ("4.2b", "... after a live move", "%", 95, "higher"),
            ("4.2c", "foreign threads and groups on its cores in 60 s", "", 0, "lower"),
            ("4.2d", "what it leaves behind, files that differ", "", 0, "lower")):
        figures.add(id, figure, [got[id]], unit, bound, better)


def keep(figures, runs):
    """4.3a: the rule for paused caches against fixed ones, on a simulated engine, by what the recorded sessions did."""
    import workers_cache
    got, table = workers_cache.keep(TRACES, max(runs, 5))
    print(table)
    for id, ratio in sorted(got.items()):
        how, _, load = id.removeprefix("4.3a-").partition("-")
        figures.add(id, f"cost of keep.c, of {ratio['best']}: an engine that {how}s, {'load ' + load if load else 'all loads'}",
                    ratio["runs"], "x", None if load else 1, value=ratio["value"])


def cache(figures, runs):
    """4.3b: a real llama-server whose slot is saved, used by another, and restored."""
    from intents_cost import whole_daemon
    daemon = whole_daemon("\n[CPU]\nScheduler=none\n")
    out = subprocess.run([sys.executable, "tests/bench/workers_cache.py", "reuse", "--runs", str(runs)], check=True, stdout=subprocess.PIPE).stdout
    figures.add("4.3b", "computed anew after a pause, of the tokens held", json.loads(out)["4.3b"], "of 1", 0.05)
    daemon.terminate()
    daemon.wait()


def part(name):
    return lambda figures, runs: importlib.import_module(name).measure(figures, runs)


# What each guest of tests/bench/run measures.
MACHINES = {"llama": part("workers_llama"), "numa": numa, "keep": keep, "cache": cache, "probe": part("workers_probe")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--machine", choices=MACHINES, required=True, help="what this guest is to measure")
    args = parser.parse_args()
    figures = Figures(["4.1a", "4.1b", "4.1c", "4.2a", "4.2a-charged", "4.2b", "4.2c", "4.2d", "4.3a-drop", "4.3a-offload", "4.3b", "4.4a", "4.4b", "4.4c"])
    figures.load(args.out)
    MACHINES[args.machine](figures, args.runs)
    figures.write(args.out)
    print(figures.table())
    missed = figures.missed() if args.check else []
    for line in missed:
        print("missed:", line)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
