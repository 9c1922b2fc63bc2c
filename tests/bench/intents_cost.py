# SPDX-License-Identifier: GPL-2.0-only
"""Figures 3.3: what a tool call costs that is under control."""
import contextlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import time

from guest import AGENTCG, CG, OUT, eventually, read, start_daemon, write

PROGRAM = f"{OUT}/tests/bench-intents-calls"
HISTORY = "/run/bench.db"
SESSIONS, CALLS, RATE = 2000, 20000, 200
REST_MS = 10    # much less than a model thinks, about what "true" takes in a shell
POLICY = """[Pool]
MemoryMax=1Gi
Reserve=64Mi
[Session]
SessionsPerUser=2000
"""

# The same by hand: a group with a limit, the command in it, the group away.
WRAPPER = """#!/bin/bash
leaf=/sys/fs/cgroup/bench/tool-$$
mkdir $leaf
echo 268435456 >$leaf/memory.max
echo 1 >$leaf/memory.oom.group
echo 1024 >$leaf/pids.max
echo 100 >$leaf/cpu.weight
(echo $BASHPID >$leaf/cgroup.procs && exec "$@")
rc=$?
rmdir $leaf
exit $rc
"""


def load_module():
    if not os.path.isdir("/sys/module/agentcg"):
        subprocess.run(["insmod", f"{OUT}/module/7.2/agentcg.ko"], check=True)


def whole_daemon(more=""):
    """A daemon, once the CPU scheduler is there, too; unless @more of the policy says otherwise."""
    load_module()
    with open("/run/bench.log", "w") as log:
        daemon = start_daemon(POLICY + more, log, HISTORY)
    if not more and not eventually(90, lambda: '"sched_ext"' in subprocess.run([AGENTCG, "status", "--json"], capture_output=True, text=True).stdout):
        raise SystemExit(f"bench: no CPU scheduler: {read('/run/bench.log')}")
    return daemon


def timed(argv):
    """Seconds that it takes, from its start to its end."""
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ)
    status = os.waitpid(pid, 0)[1]
    took = time.perf_counter() - start
    if status:
        raise SystemExit(f"bench: {' '.join(argv)} ended with status {status}")
    return took


def launchers(figures, runs):
    """3.3a and b, each way in turn, so that what changes changes for all."""
    daemon = whole_daemon()
    write("/run/wrapper", WRAPPER)
    os.chmod("/run/wrapper", 0o755)
    os.makedirs(f"{CG}/bench")
    write(f"{CG}/cgroup.subtree_control", "+memory +pids +cpu")
    write(f"{CG}/bench/cgroup.subtree_control", "+memory +pids +cpu")
    true = shutil.which("true")
    ways = {"true": [true], "agentcg": [AGENTCG, "run", "--", true], "wrapper": ["/run/wrapper", true],
            "systemd": [shutil.which("systemd-run"), "--scope", "-q", true],
            "session": [AGENTCG, "run", "--session", "s", "--", true]}
    subprocess.run([AGENTCG, "session", "open", "s"], check=True, stdout=subprocess.DEVNULL)
    took = {name: [] for name in ways}
    for _ in range(3 + 2 * runs):
        for name, argv in ways.items():
            took[name].append(timed(argv))
            time.sleep(0.05)    # what is cleared up when the command has ended is nobody else's time
    daemon.kill()
    daemon.wait()
    took = {name: values[3:] for name, values in took.items()}
    base = statistics.median(took["true"])
    over = {name: [v - base for v in values] for name, values in took.items()}
    median = {name: statistics.median(values) for name, values in over.items()}
    figures.add("3.3a", "agentcg run -- true less true, of systemd-run --scope", [v / median["systemd"] for v in over["agentcg"]],
                "x", 0.2)
    figures.add("3.3b", "... of a wrapper in bash with mkdir, echo, rmdir", [v / median["wrapper"] for v in over["agentcg"]], "x", 0.5)
    figures.add("3.3a-session", "3.3a in a session that is open", [v / median["systemd"] for v in over["session"]], "x")
    for name, values in over.items():
        figures.add(f"3.3-{name}", f"{name}, less true" if name != "true" else "true", took[name] if name == "true" else values, "s")


def program(*arguments):
    out = subprocess.run([PROGRAM, *map(str, arguments)], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def rollup(pid):
    """Bytes of memory that are the process's own."""
    for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("bench: no Pss")


def kernel_memory():
    fields = dict(line.split(":") for line in read("/proc/meminfo").splitlines())
    return sum(int(fields[name].split()[0]) for name in ("Slab", "Percpu", "KernelStack", "VmallocUsed")) * 1024


def rows():
    """How many there ever were: the oldest go, and their numbers are not used again."""
    time.sleep(1)   # those of the last quarter of a second are not in the database yet
    with contextlib.closing(sqlite3.connect(f"file:{HISTORY}?mode=ro", uri=True)) as db:
        return db.execute("SELECT max(id) FROM runs").fetchone()[0] or 0


def latency(figures, rounds):
    """3.3c: with the time between them that an agent and its command take, and without."""
    for more, rest, bound in (("", REST_MS, 3), ("-back-to-back", 0, None)):
        times = program("latency", rounds, 0, rest)
        null = statistics.median(times["null"])
        how = f", {rest} ms between them" if rest else ", back to back"
        # Two calls, so of two that do nothing.
        both = [(b + e) / (2 * null) for b, e in zip(times["begin"], times["end"])]
        figures.add(f"3.3c{more}", f"begin and end of two calls that do nothing{how}", both, "x", bound)
        for name in ("begin", "end"):
            figures.add(f"3.3c{more}-{name}", f"... {name} of one", [t / null for t in times[name]], "x")
        figures.add(f"3.3c{more}-null", "... one that does nothing", [t / 1000 for t in times["null"]], "us")


def calls(figures, runs):
    """3.3c to f."""
    daemon = whole_daemon()
    latency(figures, 25 * runs)

    before, kernel, ever = rollup(daemon.pid), kernel_memory(), rows()
    program("open", SESSIONS)
    time.sleep(1)
    figures.add("3.3f", "memory of the daemon for a session", [(rollup(daemon.pid) - before) / SESSIONS / 1024], "KiB", 16)
    figures.add("3.3f-kernel", "... of the kernel, for its group", [(kernel_memory() - kernel) / SESSIONS / 1024], "KiB")
    out = program("load", SESSIONS, CALLS, RATE)
    lost = out["lost"] + out["shared"] + (CALLS - (rows() - ever))
    figures.add("3.3d", f"lost of {CALLS} calls, {RATE} a second in {SESSIONS} sessions", [lost], "calls", 0)
    figures.add("3.3e", "... p99 of begin and end, of their p50", [out["p99"] / out["p50"]], "x", 20)
    figures.add("3.3e-p50", "... p50", [out["p50"] / 1e6], "ms")
    figures.add("3.3e-max", "... the slowest", [out["max"] / 1e6], "ms")
    figures.add("3.3e-seconds", "... took", [out["seconds"]], "s")
    figures.add("3.3f-after", "memory of the daemon for a session, after all", [(rollup(daemon.pid) - before) / SESSIONS / 1024], "KiB")
    daemon.kill()
    daemon.wait()
