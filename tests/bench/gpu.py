#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Benchmark "gpu": a CUDA worker (userspace/gpu/worker.cu) beside CPU stress, on this machine itself, not in a guest.

Figures 4.6; see tests/bench/README.md. Runs from the tree or, with --bin, from an unpacked `make dist`. Python 3.8 will do.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from figures import Figures

DRIVER = "/dev/nvidiactl"


def processors():
    return sorted(os.sched_getaffinity(0))


def some_cpus(n):
    """The last ones: much of the kernel's own work is at the first."""
    return ",".join(map(str, processors()[-n:]))


class Machine:
    def __init__(self, folder, cores):
        self.folder, self.cores = folder, cores
        self.worker = os.path.join(folder, "gpu-worker")
        self.load = next((p for p in (f"{folder}/bench-workers-load", f"{folder}/tests/bench-workers-load") if os.path.exists(p)), "")
        self.agentcg, self.agentcgd = f"{folder}/agentcg", f"{folder}/agentcgd"
        self.run = tempfile.mkdtemp(prefix="agentcg-bench-")
        self.notes = []

    @contextlib.contextmanager
    def stress(self, prefix=()):
        """Two for each CPU, and they use memory, too."""
        stop = f"{self.run}/stop"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stop)
        hogs = [subprocess.Popen([*prefix, self.load, "hog", "64", stop], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for _ in range(2 * len(processors()))]
        time.sleep(2)
        try:
            yield
        finally:
            with open(stop, "w"):
                pass
            failed = sum(h.wait() != 0 for h in hogs)
            if failed:
                self.notes.append(f"{failed} of {len(hogs)} hogs ended badly")

    @contextlib.contextmanager
    def daemon(self):
        socket, log = f"{self.run}/socket", f"{self.run}/daemon.log"
        with open(f"{self.run}/policy.conf", "w") as f:
            f.write("[GPU]\nCallCores=1\n")
        with open(log, "w") as out:
            daemon = subprocess.Popen([self.agentcgd, "--foreground", "--policy", f"{self.run}/policy.conf", "--history", "",
                                       "--socket", socket], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        os.environ["AGENTCG_SOCKET"] = socket
        try:
            for _ in range(200):
                if subprocess.run([self.agentcg, "gpu", "status"], capture_output=True).returncode == 0:
                    break
                if daemon.poll() is not None:
                    raise SystemExit(f"bench: agentcgd ended: {open(log).read()[-2000:]}")
                time.sleep(0.1)
            yield
        finally:
            daemon.terminate()
            daemon.wait()
            if os.environ.get("OUT"):
                shutil.copy(log, os.path.join(os.environ["OUT"], "agentcgd.log"))

    def measure(self, prefix=(), graph=False):
        done = subprocess.run([*prefix, self.worker, *(["--graph"] if graph else [])], capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            raise SystemExit(f"bench: the worker ended with {done.returncode}: {done.stderr[-2000:]}")
        return json.loads(lines[-1])


def host_memory(pid):
    """What the kernel says of a process, in bytes: /proc's status and the counters of its memory group."""
    out = {}
    with open(f"/proc/{pid}/status") as f:
        for key, value in re.findall(r"^(VmRSS|VmLck|VmPin|RssAnon|RssShmem|RssFile):\s+(\d+) kB", f.read(), re.M):
            out[key] = int(value) * 1024
    with open(f"/proc/{pid}/cgroup") as f:
        groups = [line.strip().split(":", 2) for line in f]
    for _, names, path in groups:
        if "memory" in names.split(","):
            files = [f"/sys/fs/cgroup/memory{path}/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"]
        elif not names:
            files = [f"/sys/fs/cgroup{path}/memory.current", "/sys/fs/cgroup/memory.current"]
        else:
            continue
        for name in files:
            with contextlib.suppress(OSError, ValueError):
                with open(name) as f:
                    out["memcg"] = int(f.read())
                break
    with open("/proc/meminfo") as f:
        for key, value in re.findall(r"^(MemAvailable|Mlocked|Unevictable):\s+(\d+) kB", f.read(), re.M):
            out[key] = int(value) * 1024
    return out


def pinned(machine, figures, mib=1024):
    """What memcg, RSS and the system see of MIB of pinned host memory (cudaMallocHost)."""
    p = subprocess.Popen([machine.worker, "--stages", "--pinned-mib", str(mib), "--requests", "1", "--tokens", "8"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seen = {}
    for line in p.stdout:
        if line.startswith("stage"):
            time.sleep(0.3)
            seen[line.split()[1]] = host_memory(p.pid)
            p.stdin.write("\n")
            p.stdin.flush()
    p.wait()
    if "pinned" not in seen or "device" not in seen:
        machine.notes.append("pinned memory could not be looked at")
        return
    for key, text in (("memcg", "its memory group is charged"), ("VmRSS", "RSS"), ("VmPin", "VmPin"), ("VmLck", "VmLck"),
                      ("MemAvailable", "less MemAvailable")):
        if key in seen["pinned"] and key in seen["device"]:
            delta = seen["pinned"][key] - seen["device"][key]
            figures.add(f"4.6-pinned-{key.lower()}", f"of {mib} MiB pinned host memory: {text}", [abs(delta) / (mib << 20)], "of 1")
    with open(os.path.join(os.environ.get("OUT", machine.run), "pinned.json"), "w") as f:
        json.dump(seen, f, indent=1)


def bench(machine, figures, runs):
    taskset = ["taskset", "--cpu-list", some_cpus(machine.cores)]
    ours = [machine.agentcg, "gpu", "run", "--cpus", str(machine.cores), "--"]
    kinds = {"": False, "-graph": True}
    got = {}

    def sample(setting, prefix=()):
        for kind, graph in kinds.items():
            got.setdefault((setting, kind), []).append(machine.measure(prefix, graph))

    for _ in range(runs):
        sample("alone")
        with machine.stress():
            sample("none")
            sample("taskset", taskset)
        with machine.daemon():
            sample("agentcg-alone", ours)
            with machine.stress([machine.agentcg, "run", "--"] if controls_calls(machine) else ()):
                sample("agentcg", ours)
            # As where something else keeps them apart.
            with machine.stress(["taskset", "--cpu-list", ",".join(map(str, processors()[:-machine.cores] or processors()))]):
                sample("agentcg-apart", ours)
    for kind in kinds:
        base = {key: statistics.median(r[key] for r in got["alone", kind]) for key in got["alone", kind][0] if key.endswith("_ms")}
        text = "one graph" if kind else "plain launches"
        for key in ("token_p50_ms", "token_p99_ms", "ttft_p50_ms", "save_ms", "restore_ms"):
            figures.add(f"4.6-alone{kind}-{key[:-3].replace('_', '-')}", f"{text}, alone: {key[:-3]}", [r[key] for r in got["alone", kind]], "ms")
        for setting in ("none", "taskset", "agentcg-alone", "agentcg-apart", "agentcg"):
            rows = got[setting, kind]
            main = setting == "agentcg"
            more = kind if main else f"-{setting}{kind}"
            figures.add(f"4.6a{more}", f"time per token, p99, under stress, of alone: {setting}, {text}",
                        [r["token_p99_ms"] / base["token_p99_ms"] for r in rows], "x", 1.05 if main else None)
            figures.add(f"4.6b{more}", "... p50, of alone", [r["token_p50_ms"] / base["token_p50_ms"] for r in rows], "x")
            figures.add(f"4.6c{more}", "... time to first token, of alone", [r["ttft_p50_ms"] / base["ttft_p50_ms"] for r in rows], "x")


def controls_calls(machine):
    """Whether the daemon can run tool calls here: without cgroups it only binds workers, and nobody keeps others off their CPUs."""
    can = subprocess.run([machine.agentcg, "run", "--", "true"], capture_output=True, text=True)
    if can.returncode:
        machine.notes.append("tool calls are not controlled here, so the stress of 4.6a runs as it likes: " + can.stderr.strip()[:300])
    return can.returncode == 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", default="build/bench/gpu.json")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--bin", default="build/out", help="the folder of agentcg, agentcgd, gpu-worker and bench-workers-load")
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    if not os.path.exists(DRIVER):
        print(f"skipped: no GPU (there is no {DRIVER})")
        return 0
    machine = Machine(os.path.abspath(args.bin), args.cores)
    for program in (machine.worker, machine.load, machine.agentcg, machine.agentcgd):
        if not os.path.exists(program):
            raise SystemExit(f"bench: there is no {program or 'bench-workers-load'}; make gpu-worker (nvcc) and make build, or make dist")
    probe = subprocess.run([machine.worker, "--requests", "1", "--tokens", "1"], capture_output=True, text=True)
    if probe.returncode == 77:
        print(f"skipped: no GPU that works ({probe.stderr.strip()})")
        return 0
    figures = Figures(["4.6a", "4.6a-graph"])
    pinned(machine, figures)
    bench(machine, figures, args.runs)
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    figures.write(args.out)
    print(figures.table())
    for note in sorted(set(machine.notes)):
        print("note:", note)
    missed = figures.missed() if args.check else []
    for line in missed:
        print("missed:", line)
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
