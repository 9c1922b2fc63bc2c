# SPDX-License-Identifier: GPL-2.0-only
"""The launch probe against a libcuda that keeps its own clock (tests/gpu); the figures of tests/bench/workers_probe.py in short."""
import os
import statistics
import sys
import time

sys.path.insert(0, "tests/bench")
from guest import eventually, write
from workers_probe import BETWEEN, CALL, GROUP, Probe, delays, error, launcher, probing, rates, steady, storm

checks = 0


def check(text, good, got):
    global checks
    checks += 1
    print(f"{'ok' if good else 'not ok'} {checks} - {text}", flush=True)
    if not good:
        print(f"# got {got}", flush=True)


def measured():
    f, report, threads = delays(15)
    seen = report["seen"]
    check("it has seen launches of threads that were woken", f["sampled"] > 50, f)
    check("their mean delay is that of the library's clock, within 5 %", error(f["mean"], seen["mean"]) < 5, (f, report))
    check("and so is the median", error(f["p50"], seen["p50"]) < 5, (f, report))
    check("the threads that launch are named, and no others", len(threads) == 4, threads)


def cost():
    base = statistics.mean(steady(3, BETWEEN, False)[0])
    got, f, report = steady(14, BETWEEN, True)
    lost = (1 - statistics.mean(got) / base) * 100
    check("10,000 launches a second are made", base > 9000, base)
    check(f"and cost them less than 1 % ({lost:.2f} %)", lost < 1 and f["windows"] > 1, (lost, f))
    check("what was seen stands for all, within 5 %", error(f["rate"], base) < 5, (f, base))
    check("who launches without a pause is bound by the CPU", f["bound"] == "cpu", f)
    check("the probe sees each launch at which there is a breakpoint", f["seen"] <= report["probed"], (f, report))


def let_go():
    s = storm(7)
    check("in a storm it says that it is too dear", s["seen"] and "too dear" in s["figures"]["reason"], s)
    check(f"within 1.5 s, of which one may pass before it looks ({s['off']:.2f} s)", s["off"] < 1.5, s)
    check("and the worker is as fast as without", s["after"] > 0.99 * s["without"], s)


def comes_and_goes():
    os.makedirs(GROUP, exist_ok=True)
    with probing() as probe:
        worker = launcher("waits", 6, 2000, CALL, 200000, LATE="2")
        time.sleep(1.2)
        early = probe.figures()
        check("a worker that has not loaded the library yet: it says so", "libcuda" in early["reason"] and not early["seen"], early)
        worker.communicate()
        time.sleep(0.5)
        late = probe.figures()
    check("it is looked at once it has", late["seen"] > 0 and not late["reason"], late)
    check("who waits for the GPU at the end of each step is bound by it", late["bound"] == "gpu", late)


def killed():
    """Breakpoints go with whoever put them there."""
    os.makedirs(GROUP, exist_ok=True)
    worker = launcher("steady", 6, BETWEEN, CALL)
    probe = Probe()
    eventually(3, lambda: probe.figures()["windows"] > 0)
    probe.proc.kill()
    probe.proc.wait()
    killed_at = time.monotonic()
    lines, report = rates(worker)
    after = [n for t, _, n in lines if t > killed_at + 0.5]
    check("when its process is killed the breakpoints are gone", len(after) > 1 and after[0] == report["probed"] > 0, (lines, report))


if not os.path.exists("/sys/fs/cgroup/cgroup.procs"):
    sys.exit("no cgroup v2")
measured()
cost()
let_go()
comes_and_goes()
killed()
write("/sys/fs/cgroup/cgroup.procs", str(os.getpid()))
os.rmdir(GROUP)
print(f"1..{checks}")
