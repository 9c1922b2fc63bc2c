#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Benchmark "intents": what calls cost and what they are granted from history; see tests/bench/README.md."""
import argparse
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import intents_attach
import intents_cost
import intents_hostile
from figures import Figures

PROGRAM = "build/out/tests/bench-intents-grants"
TRACES = "../shared/traces"


def grants(figures, runs):
    """3.5: each call of the traces is granted from those before it, in as many orders of the sessions as there are runs."""
    out = json.loads(subprocess.run([PROGRAM, TRACES, str(max(runs - 1, 1))], check=True, capture_output=True).stdout)
    ours, *others = out["predictors"]
    figures.add("3.5a", "calls that hit the limit they got from history", ours["hits_percent"], "%", 1)
    figures.add("3.5b", "reserved for them, of their true peaks", ours["reserved"], "x", 1.5)
    figures.add("3.5b-time", "... weighted by duration", ours["reserved_time"], "x")
    cross = out["cross_validation"]
    figures.add("3.5a-cross", "3.5a with parameters from other sessions", cross["hits_percent"], "%")
    figures.add("3.5b-cross", "3.5b with parameters from other sessions", cross["reserved"], "x")
    for other in others:
        name = re.sub("[^a-z0-9]+", "-", other["name"].lower())
        figures.add(f"3.5a-{name}", f"3.5a: {other['name']}", other["hits_percent"], "%")
        figures.add(f"3.5b-{name}", f"3.5b: {other['name']}", other["reserved"], "x")


# What each guest of tests/bench/run measures.
MACHINES = {"grants": grants, "launchers": intents_cost.launchers, "calls": intents_cost.calls,
            "attach": intents_attach.attach,
            "hostile": intents_hostile.measure}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--machine", choices=MACHINES, required=True, help="what this guest is to measure")
    args = parser.parse_args()
    figures = Figures(["3.3a", "3.3b", "3.3c", "3.3d", "3.3e", "3.3f", "3.4", "3.4-missed", "3.5a", "3.5b", "3.6"])
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
