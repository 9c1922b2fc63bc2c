# SPDX-License-Identifier: GPL-2.0-only
"""Figures 4.2: where a worker's pages are, who runs on its cores, and what is left of it.

In a guest with two NUMA nodes of two CPUs each, a daemon that runs, and no worker:

    python3 tests/bench/workers_numa.py [--seconds N]

prints one JSON object, ids with values. Each measurement is a function, for the suite and the benchmark.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time

OUT = os.environ.get("AGENTCG_OUT", os.path.join(os.getcwd(), "build/out"))
AGENTCG = os.path.join(OUT, "agentcg")
PAGES = os.path.join(OUT, "tests/bench-pages")
CGROUP = "/sys/fs/cgroup"
SLICE = "agentcg-gpu.slice"
PF_KTHREAD, PF_NO_SETAFFINITY = 0x00200000, 0x04000000


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def parse_set(text):
    """"0-2,5" as a set."""
    numbers = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
    return numbers


def workers():
    return json.loads(subprocess.run([AGENTCG, "gpu", "status", "--json"], check=True, capture_output=True, text=True).stdout)


def worker(name):
    return next((w for w in workers()["workers"] if w["name"] == name), None)


def eventually(seconds, condition):
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.2)
    return value


# ---- pages


def pages(pid):
    """How many pages a process has mapped on each node, of 4 KiB."""
    nodes = {}
    for line in read(f"/proc/{pid}/numa_maps").splitlines():
        size = re.search(r"kernelpagesize_kB=(\d+)", line)
        for node, n in re.findall(r"\bN(\d+)=(\d+)", line):
            nodes[int(node)] = nodes.get(int(node), 0) + int(n) * int(size[1] if size else 4) // 4
    return nodes


def charged(group):
    """How many pages a group is charged for on each node, of memory that processes or the page cache have."""
    nodes = {}
    for line in read(f"{CGROUP}/{group}/memory.numa_stat").splitlines():
        if line.split()[0] in ("anon", "file"):
            for node, n in re.findall(r"\bN(\d+)=(\d+)", line):
                nodes[int(node)] = nodes.get(int(node), 0) + int(n) // 4096
    return nodes


def percent(found, mems):
    """Of these pages, those that are on these nodes."""
    total = sum(found.values())
    return 100 * sum(n for node, n in found.items() if node in mems) / total if total else 0


def on_nodes(pid, mems):
    return percent(pages(pid), mems)


# ---- threads


def threads():
    """(tid, what it is, state, CPU, CPU time, flags) of all there are."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            tids = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        for tid in tids:
            stat = read(f"/proc/{pid}/task/{tid}/stat")
            if ")" not in stat:
                continue
            name, fields = stat[:stat.rindex(")") + 1], stat[stat.rindex(")") + 2:].split()
            yield pid, tid, name, fields[0], int(fields[36]), int(fields[11]) + int(fields[12]), int(fields[6])


def in_slice(pid):
    return f"/{SLICE}/worker-" in read(f"/proc/{pid}/cgroup")


def foreign(cpus, seconds):
    """Threads of others that ran on these CPUs: seen there running, or with CPU time that grew and last there.

    Kernel threads that belong to a CPU cannot be anywhere else.
    """
    seen, before, end = set(), {}, time.monotonic() + seconds
    while time.monotonic() < end:
        now = {}
        for pid, tid, name, state, cpu, used, flags in threads():
            now[tid] = (cpu, used)
            if cpu not in cpus or flags & PF_NO_SETAFFINITY:
                continue
            was = before.get(tid)
            # Time that grew counts if it was there before, too: else it may have been used on the way.
            if (state == "R" or (was and was[0] == cpu and used > was[1])) and not in_slice(pid):
                seen.add(f"{name}, flags {flags:#x}, CPU {cpu}")
        before = now
        time.sleep(0.05)
    return sorted(seen)


def groups_on(cpus):
    """Groups of others that could run there."""
    wrong = []
    for folder, _, files in os.walk(CGROUP):
        if "cpuset.cpus.effective" in files and f"/{SLICE}" not in folder:
            if parse_set(read(f"{folder}/cpuset.cpus.effective")) & cpus:
                wrong.append(folder)
    return wrong


# ---- traces


def snapshot():
    """What a worker could leave behind: files of groups, huge pages, interrupts."""
    found = {}
    for folder, folders, files in os.walk(CGROUP):
        for name in files:
            if name in ("memory.min", "memory.max", "cgroup.subtree_control", "cgroup.type") or \
                    (name.startswith("cpuset.") and not name.endswith("isolated")):
                found[f"{folder}/{name}"] = read(f"{folder}/{name}")
    for folder, _, files in os.walk("/sys/devices/system/node"):
        if "nr_hugepages" in files:
            found[f"{folder}/nr_hugepages"] = read(f"{folder}/nr_hugepages")
    for pid, _, name, _, _, _, flags in threads():
        # Those of the work queues come and go.
        if flags & PF_KTHREAD and not flags & PF_NO_SETAFFINITY:
            found[f"{name} may run on"] = re.search(r"Cpus_allowed_list:\s*(.*)", read(f"/proc/{pid}/status") + "Cpus_allowed_list: ?")[1]
    for irq in os.listdir("/proc/irq"):
        found[f"/proc/irq/{irq}"] = read(f"/proc/irq/{irq}/smp_affinity_list")
    return found


def differences(before, after):
    return [f"{name}: {before.get(name, 'not there')!r}, now {after.get(name, 'not there')!r}"
            for name in sorted(set(before) | set(after)) if before.get(name) != after.get(name)]


# ---- figures


def start(name, *options, command=(PAGES, "96", "1")):
    """A worker that has allocated and computes; its standard input keeps it."""
    process = subprocess.Popen([AGENTCG, "gpu", "run", "--name", name, *options, "--", *command],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    return process


def stop(process):
    process.stdin.close()
    process.wait()


def gone():
    return not workers()["workers"]


def hogs(n):
    """Tool calls and plain processes that want every CPU."""
    return [subprocess.Popen(([AGENTCG, "run", "--"] if i % 2 else []) + ["sh", "-c", "while :; do :; done"]) for i in range(n)]


def measure_placed(seconds, tell=print):
    """4.2a, c, d: of one placed before it starts."""
    file = "/scratch/weights"
    with open(file, "wb") as f:
        f.write(os.urandom(16 << 20))
        f.flush()
        os.fsync(f.fileno())
    subprocess.run(["sh", "-c", f"echo 1 >/proc/sys/vm/drop_caches; exec numactl --cpunodebind=0 --membind=0 cat {file}"],
                   check=True, stdout=subprocess.DEVNULL)
    before = snapshot()
    others = hogs(6)
    process = start("placed", "--cpus", "1", "--huge-pages", "8Mi", command=(PAGES, "96", "1", file))
    mapped = pages(process.pid)     # at once: later it has been swept
    own = charged(f"{SLICE}/worker-placed")
    w = worker("placed")
    cpus, mems = parse_set(w["cpus"]), parse_set(w["mems"])
    tell(f"# placed on CPUs {w['cpus']}, node {w['mems']}; when it was ready it mapped {mapped}, its group was charged for {own}")
    strangers = foreign(cpus, seconds) + groups_on(cpus)
    for one in strangers:
        tell(f"# foreign: {one}")
    stop(process)
    eventually(10, gone)
    for one in others:
        one.kill()
        one.wait()
    eventually(10, lambda: not differences(before, snapshot()))
    left = differences(before, snapshot())
    for one in left:
        tell(f"# left: {one}")
    return {"4.2a": percent(mapped, mems), "4.2a-charged": percent(own, mems), "4.2c": len(strangers), "4.2d": len(left)}


def measure_moved(tell=print):
    """4.2b: of one that ran at the other node when it was attached."""
    process = subprocess.Popen(["numactl", "--cpunodebind=0", "--membind=0", PAGES, "96", "1"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    before = pages(process.pid)
    subprocess.run([AGENTCG, "gpu", "attach", "--name", "moved", "--cpus", "1", str(process.pid)], check=True, stdout=subprocess.DEVNULL)
    mems = parse_set(worker("moved")["mems"])
    begin = time.monotonic()
    eventually(90, lambda: on_nodes(process.pid, mems) >= 99)
    share = on_nodes(process.pid, mems)
    tell(f"# moved from {before} to {pages(process.pid)}, wanted node {mems}, in {time.monotonic() - begin:.1f} s")
    if sum(n for node, n in before.items() if node in mems) * 2 > sum(before.values()):
        share = 0   # it was there before: nothing was moved
    stop(process)
    eventually(10, gone)
    return {"4.2b": share}


def measure(seconds, tell=print):
    return {**measure_placed(seconds, tell), **measure_moved(tell)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    print(json.dumps(measure(args.seconds, tell=lambda text: print(text, file=sys.stderr))))


if __name__ == "__main__":
    main()
