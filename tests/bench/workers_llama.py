# SPDX-License-Identifier: GPL-2.0-only
"""Figures 4.1: an inference engine beside tool calls that hog CPU and memory.

The guest's CPUs take turns on one CPU of the machine, by instructions. One that has nothing to do gives its turn away, and all others become
faster; so does, now and then, one that is often in the kernel. So all CPUs are kept busy in every setting (workers-load keep; fill, for the one of the engine's two
on which it does not compute), and what is left is measured: how much CPU time in user mode the engine takes for a token, for which it
executes the same instructions whoever is beside it. Times are those of a CPU as fast as alone; what the engine waits, and what it takes in the kernel, counts in full.
"""
import http.client
import json
import os
import statistics
import subprocess
import time

from guest import AGENTCG, OUT, eventually, read, start_daemon
from intents_cost import load_module

LOAD = f"{OUT}/tests/bench-workers-load"
MODEL, STOP = "/scratch/model.gguf", "/run/bench-stop"
PORT = 8080
CALLS, CALL_MIB = 16, 40
TOKENS, PROMPT = 400, "The quick brown fox jumps over the lazy dog."
SERVER = ["llama-server", "--model", MODEL, "--threads", "1", "--parallel", "1", "--ctx-size", "512", "--port", str(PORT),
          "--no-warmup", "--metrics", "--no-webui", "--cache-ram", "0"]
# Single bytes are no characters, and what is none is not told: a token of each that comes is wanted.
NO_BYTES = [[token, False] for token in range(259)]
# The engine's CPUs are node 1's, and tool calls have node 0's, where somebody keeps them apart.
ENGINE_CPUS, CALL_CPUS = "2-3", ["0", "1"]
POLICY = "[Pool]\nMemoryMax=480Mi\nReserve=48Mi\n[GPU]\nCallCores=2\n"


# What keeps its other CPU busy is its own.
FILLED = ["sh", "-c", f'{LOAD} fill 3 & exec taskset --cpu-list 2 "$@"', "-"]


def bound(*command):
    return ["taskset", "--cpu-list", ENGINE_CPUS, *command]


class Engine:
    def __init__(self, prefix=()):
        self.log = open("/run/bench-llama.log", "w+")
        self.process = subprocess.Popen([*prefix, *SERVER], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        if not eventually(600, self.answers):
            self.log.seek(0)
            raise SystemExit(f"bench: llama-server does not answer: {self.log.read()[-2000:]}")
        self.complete(8)

    def answers(self):
        link = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        try:
            link.request("GET", "/health")
            return link.getresponse().status == 200
        except OSError:
            return False

    def user_ms(self):
        """CPU time that it has used in user mode. It has its launchers' PID."""
        with open(f"/proc/{self.process.pid}/stat") as f:
            return int(f.read().rpartition(")")[2].split()[11]) * 1000 / os.sysconf("SC_CLK_TCK")

    def complete(self, tokens):
        """(ms to the first token, ms of each token after it), as they reach the client, which waits for nobody."""
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(10))
        try:
            return self.receive(tokens)
        finally:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

    def receive(self, tokens):
        link, used = http.client.HTTPConnection("127.0.0.1", PORT, timeout=900), self.user_ms()
        link.request("POST", "/completion", json.dumps({
            "prompt": PROMPT, "n_predict": tokens, "stream": True, "timings_per_token": True, "ignore_eos": True,
            "cache_prompt": False, "temperature": 0, "logit_bias": NO_BYTES}), {"Content-Type": "application/json"})
        began, at = time.monotonic(), {}
        for line in link.getresponse():
            now = (time.monotonic() - began) * 1000
            if not line.startswith(b"data: {"):
                continue
            timings = json.loads(line[6:]).get("timings")
            if timings:
                at.setdefault(timings["predicted_n"], now)
        at = sorted(at.items())
        if len(at) < tokens - 1:
            raise SystemExit(f"bench: {len(at)} of {tokens} tokens came")
        self.user = (self.user_ms() - used) / tokens
        return at[0][1], [(b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(at, at[1:])]

    def end(self):
        self.process.terminate()
        self.process.wait()


class Calls:
    """16 tool calls at once, until they are told to end."""

    def __init__(self, prefix=()):
        if os.path.exists(STOP):
            os.unlink(STOP)
        with open("/run/bench-calls.log", "w") as log:
            self.calls = [subprocess.Popen([*prefix, LOAD, "hog", str(CALL_MIB), STOP], stdin=subprocess.DEVNULL, stderr=log)
                          for _ in range(CALLS)]
        time.sleep(9)   # until they have got their memory

    def end(self):
        """How many of them came to a good end."""
        open(STOP, "w").close()
        return sum(call.wait() == 0 for call in self.calls)


def keep(cpus):
    return subprocess.Popen([LOAD, "keep", *cpus])


def stop(process):
    process.kill()
    process.wait()


def p99(values):
    return sorted(values)[int(len(values) * 0.99)]


def alone():
    engine = Engine(bound(*FILLED))
    try:
        return (*engine.complete(TOKENS), None, engine.user)
    finally:
        engine.end()


def beside(engine_prefix, call_prefix):
    engine = Engine(engine_prefix)
    calls = Calls(call_prefix)
    try:
        first, tokens = engine.complete(TOKENS)
    finally:
        finished = calls.end()
        engine.end()
    return first, tokens, finished / CALLS, engine.user


def status(*what):
    return json.loads(subprocess.run([AGENTCG, *what, "--json"], check=True, capture_output=True).stdout)


def controlled():
    load_module()
    with open("/run/bench.log", "w") as log:
        daemon = start_daemon(POLICY, log)
    try:
        if not eventually(120, lambda: "sched_ext" in status("status")["pool"]["scheduler"]):
            raise SystemExit(f"bench: no CPU scheduler: {read('/run/bench.log')}")
        got = beside([AGENTCG, "gpu", "run", "--name", "bench", "--cpus", "2", "--", *FILLED],
                     [AGENTCG, "run", "--memory", f"{CALL_MIB + 4}Mi", "--"])
        # Its CPUs are given back; a daemon that is killed before leaves that to the next.
        if not eventually(60, lambda: not status("gpu", "status")["workers"]):
            raise SystemExit(f"bench: the worker is not gone: {read('/run/bench.log')}")
        return got
    finally:
        daemon.kill()
        daemon.wait()


SETTINGS = {
    "alone": ("alone on its CPUs", alone),
    "none": ("no control", lambda: beside((), ())),
    "taskset": ("taskset for the engine", lambda: beside(bound(), ())),
    "agentcg": ("agentcg", controlled),
}


def measure(figures, runs, settings=SETTINGS):
    subprocess.run(["python3", "tests/gpu/model.py", MODEL, "--layers", "2", "--width", "128"],
                   check=True)
    got = {name: [] for name in settings}
    for _ in range(runs):
        for name in settings:
            began, kept = time.monotonic(), keep(CALL_CPUS)
            got[name].append(SETTINGS[name][1]())
            stop(kept)
            first, tokens, _, user = got[name][-1]
            print(f"# {name}: first token {first:.0f} ms, then {statistics.median(tokens):.1f} ms, p99 {p99(tokens):.1f} ms, "
                  f"{user:.2f} ms of CPU in user mode ({time.monotonic() - began:.0f} s)", flush=True)
    report(figures, got)


def report(figures, got):
    """Each round's figures are of its own time alone, by the speed of the engine's CPUs then."""
    base = got.pop("alone")
    figures.add("4.1-alone", "time per token, alone", [statistics.mean(tokens) for _, tokens, _, _ in base], "ms")
    figures.add("4.1-alone-p99", "... p99", [p99(tokens) for _, tokens, _, _ in base], "ms")
    figures.add("4.1-alone-first", "... first token", [first for first, _, _, _ in base], "ms")
    for name, rounds in got.items():
        text, ours = SETTINGS[name][0], name == "agentcg"
        more = "" if ours else f"-{name}"
        faster = [alone[3] / now[3] for now, alone in zip(rounds, base)]

        def ratios(of):
            return [of(now) * f / of(alone) for now, alone, f in zip(rounds, base, faster)]

        figures.add(f"4.1a{more}", f"time per token, p99, {CALLS} tool calls, of alone: {text}", ratios(lambda r: p99(r[1])), "x",
                    1.10 if ours else None)
        figures.add(f"4.1b{more}", "... throughput, of alone", [1 / r for r in ratios(lambda r: statistics.mean(r[1]))], "x",
                    0.95 if ours else None, "higher")
        figures.add(f"4.1c{more}", "... tool calls that finished", [share for _, _, share, _ in rounds], "of 1", 1 if ours else None, "higher")
        figures.add(f"4.1d{more}", "... first token, of alone", ratios(lambda r: r[0]), "x")
        if ours:
            figures.add("4.1-cpu", "how fast the engine's CPUs were, of alone; taken off the above", faster, "x")
