# SPDX-License-Identifier: GPL-2.0-only
"""History, retry loops, events, quotas and think time.  As root, in the guest, with the policy of test-habits.sh."""
import json
import os
import re
import select
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from varlink import Error, Link, check, equal

AGENTCG, WORK, DAEMON, ZRAM = sys.argv[1:]
BOB, MIB = 1000, 1 << 20
POOL = "/sys/fs/cgroup/agentcg.slice/"
SYSTEM = os.path.dirname(__file__)
root, bob = Link(), Link(BOB)


def like(text, got, pattern):
    check(text, re.search(pattern, str(got), re.S), f"got {got!r}, wanted {pattern!r}")


def eventually(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def run(session, *words, result=False):
    """agentcg run; its messages, or its result."""
    path = f"{WORK}/result.json"
    done = subprocess.run([AGENTCG, "run", "--session", session, "--result", path, *words], capture_output=True, text=True)
    if not result:
        return done.stderr
    with open(path) as f:
        return json.load(f)


def read(path):
    with open(path) as f:
        return f.read()


def usage(group):
    return int(read(f"{POOL}{group}/memory.current"))


def stall(group):
    """Milliseconds that some task waited for memory."""
    return int(re.search(r"some.*total=(\d+)", read(f"{POOL}{group}/memory.pressure"))[1]) / 1000


class Watch:
    """The events, as one who watches sees them."""

    def __init__(self, uid=0):
        self.link, self.seen = Link(uid), []
        self.link.send(json.dumps({"method": "io.agentcg.Watch", "more": True}).encode() + b"\0")

    def find(self, event, call, seconds=20, text=""):
        """The text of the first that is like this; "" if none comes."""
        end = time.monotonic() + seconds
        while True:
            for p in self.seen:
                if p["event"] == event and p["call"] == call and text in p["text"]:
                    return p["text"]
            left = end - time.monotonic()
            if left <= 0:
                return ""
            if b"\0" not in self.link.rest and not select.select([self.link.socket], [], [], left)[0]:
                return ""
            self.seen.append(self.link.receive()["parameters"])


# ---- retry loops

def loops(watch):
    hog = ["python3", "-c", "x = bytearray(150 << 20)"]
    root.call("OpenSession", name="loop")
    for _ in range(2):
        quiet = run("loop", "--memory-max", "64Mi", "--", *hog)
    check("two runs that are killed are no loop", "run of" not in quiet, quiet)
    # What calls before left in the page cache of the session, and in a tmpfs.
    run("loop", "--", "dd", "if=/dev/zero", "of=/scratch/left", "bs=1M", "count=60", "conv=fsync")
    run("loop", "--", "dd", "if=/dev/zero", "of=/tmp/left", "bs=1M", "count=20")
    before = usage("session-loop")
    told = run("loop", "--memory-max", "64Mi", "--", *hog)
    like("the third is told how those before ended, and what to ask for", told,
         r"3rd run of the same python -c in \S+; those before were killed at 64Mi; ask for 192Mi \(limits.memory\)")
    like("... that files in memory are left", told, r"left 2\d(\.\d)? MiB in files in memory")
    like("... and in the end how often it was tried", told, "So ended the last 3 runs of it: change something")
    check("what the earlier ones left in the page cache is reclaimed",
          before > 80 * MIB and eventually(lambda: usage("session-loop") < before - 40 * MIB), (before, usage("session-loop")))
    like("it is an event, too", watch.find("retry", "loop/tool-5"), "3rd run of the same python")
    check("who asks for more is left in peace", "run of" not in run("loop", "--memory-max", "300Mi", "--", *hog))
    os.unlink("/tmp/left")
    os.unlink("/scratch/left")
    for _ in range(4):   # in a session that goes with each of them
        quiet = run("poll", "--", "true")
    check("four times the same is nothing to tell", quiet == "", quiet)
    like("five times in a row is", run("poll", "--", "true"), "5th run of the same command in a row")


def detached():
    root.call("OpenSession", name="server")
    line = ["--detach", "--pids-max", "2", "--", "sh", "-c", "sleep 700 >/dev/null 2>&1 & (sleep 1 & sleep 1 & sleep 1)"]
    first = run("server", *line, result=True)["call"]
    for _ in range(2):
        run("server", "--pids-max", "2", *line[3:])
    told = run("server", "--pids-max", "2", *line[3:])
    like("a detached run of it is named, not ended", told, f"{first}, a detached run of the same command, goes on")
    equal("... it is still there", subprocess.run(["pgrep", "-fxc", "sleep 700"], capture_output=True, text=True).stdout, "1\n")
    root.call("CloseSession", name="server", kill=True)


# ---- history

def history():
    kinds = {k["kind"]: k for k in root.call("GetHistory")["kinds"]}
    k = kinds.get("python -c", {})
    equal("the history counts runs and failures", (k.get("runs"), k.get("failures")), (4, 3))
    check("... with peaks and times", 30 * MIB < k["peakP50"] <= k["peakP95"] <= k["peakMax"] < 200 * MIB and
          0 < k["durationP50USec"] <= k["durationP95USec"], k)
    equal("of one command, however it is spelt", root.call("GetHistory", command=["sh", "-c", "/usr/bin/python3 -c y"])["kinds"], [k])
    equal("a user sees its own", bob.call("GetHistory")["kinds"], [])
    equal("... and no other's", bob.error("GetHistory", uid=0), "PermissionDenied")
    equal("root sees all", root.call("GetHistory", uid=BOB)["kinds"], [])
    for wrong in ({"limit": 0}, {"limit": -1}, {"command": "x"}, {"command": [1]}, {"kind": 5}):
        equal(f"refused: {wrong}", root.error("GetHistory", **wrong), "InvalidParameter")
    table = subprocess.run([AGENTCG, "history", "--limit", "3", "python3", "-c", "x"], capture_output=True, text=True).stdout
    like("the command shows it", table, r"^KIND .*\npython -c +4 +3 ")
    like("... or that there is nothing", subprocess.run([AGENTCG, "history", "cobc"], capture_output=True, text=True).stdout, "nothing of the kind")


# ---- events

def events(watch, others):
    root.call("OpenSession", name="small", budget=100 * MIB)
    hog = subprocess.Popen([AGENTCG, "run", "--session", "small", "--", "python3", f"{SYSTEM}/hog.py"],
                           stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    print(60, file=hog.stdin, flush=True)
    check("below 80 % of its budget nothing is told", not watch.find("budget", "small", 3))
    print(76, file=hog.stdin, flush=True)
    like("above it is", watch.find("budget", "small"), r"of its budget of 100 MiB are used, 8\d %")
    print("end", file=hog.stdin, flush=True)
    hog.wait()
    hog = subprocess.Popen([AGENTCG, "run", "--session", "large", "--", "python3", f"{SYSTEM}/hog.py"],
                           stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    # How much else is in the pool depends on whose page cache the programs' files are: nearer and nearer.
    for wanted in range(440, 472, 4):
        print(wanted, file=hog.stdin, flush=True)
        told = watch.find("pressure", "", 5, "free in the pool")
        if told:
            break
    like("when the pool runs short that is told", told, "MiB are free in the pool")
    print("end", file=hog.stdin, flush=True)
    hog.wait()
    check("nobody is told of others' sessions", not others.find("budget", "small", 0.5) and not others.seen, others.seen)


# ---- quotas

def request(method, **parameters):
    return json.dumps({"method": "io.agentcg." + method, "parameters": parameters}).encode() + b"\0"


def rates():
    flood = Link(BOB)
    time.sleep(2)
    flood.send(request("EndCall", call="none/tool-1") * 300)
    names = [flood.receive()["error"].rsplit(".", 1)[-1] for _ in range(300)]
    refused = names.count("LimitExceeded")
    check("so many requests at once are served, of the others some refused", 2 <= refused <= 100 and
          "LimitExceeded" not in names[:200], refused)
    try:
        flood.call("GetHistory")
    except Error as e:
        equal("... with the limit", e.parameters, {"what": "requests of one user per second", "limit": 100})
    for _ in range(300):
        root.error("EndCall", call="none/tool-1")
    equal("root is not counted", root.error("EndCall", call="none/tool-1"), "NoSuchCall")
    equal("nor is another user", Link(2000).error("EndCall", call="none/tool-1"), "NoSuchCall")
    time.sleep(1)
    equal("a second later it is served again", flood.error("EndCall", call="none/tool-1"), "NoSuchCall")


def resident():
    return int(re.search(r"VmRSS:\s+(\d+)", read(f"/proc/{DAEMON}/status"))[1]) << 10


def sizes():
    before, links = resident(), []
    for _ in range(12):
        link = Link(BOB)
        links.append(link)
        link.socket.settimeout(5)
        try:
            link.send(b'{"method":"' + b"a" * (3 << 20))
        except OSError:
            pass
    try:
        reply = links[0].receive()
    except (OSError, EOFError) as e:
        reply = e
    equal("a message without end is refused", reply, {"error": "io.agentcg.LimitExceeded", "parameters": {
        "what": "bytes of one message", "limit": MIB}})
    check("... and costs the daemon little", resident() < before + 24 * MIB, (before, resident()))
    link = Link(BOB)
    r, w = os.pipe()
    link.send(b"{", [r] * 200)
    equal("so are many descriptors", link.receive()["parameters"], {"what": "descriptors of one message", "limit": 8})
    long = ["x" * 900000]
    check("a long command is none", root.error("BeginCall", session="long", command=long) == "")
    deaf = Link(2001)
    deaf.socket.settimeout(0.2)
    sent = 0
    try:
        while sent < 40000:
            deaf.send(request("EndCall", call="none/tool-1") * 100)
            sent += 100
    except OSError:
        pass
    check("who sends on and reads no reply comes to a standstill", sent < 40000, sent)
    check("... before that fills the memory", resident() < before + 24 * MIB, (before, resident()))
    for link in links:
        link.close()


# ---- think time

HOT = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import varlink
link = varlink.Link()
call = link.call("BeginCall", session="hot", agent=True, command=["agent"])["call"]
link.call("AttachProcess", [os.pidfd_open(os.getpid())], call=call, pidFd=0)
memory = bytearray(100 << 20)
ones = bytes([1]) * (len(memory) // 4096)
while True:
    memory[::4096] = ones
    time.sleep(0.05)
"""


def thinking():
    subprocess.run(["swapon", ZRAM], check=True)    # before, it would save what is to be killed
    agent, hot = f"{WORK}/cold", subprocess.Popen(["python3", "-c", HOT, SYSTEM])
    cold = subprocess.Popen(["python3", f"{SYSTEM}/agent.py", "cold", agent, "330"])
    eventually(lambda: os.path.exists(agent))
    with open(agent + ".go", "w"):
        pass
    check("two agents use their memory", eventually(lambda: os.path.exists(agent + ".done") and usage("session-hot") > 95 * MIB))
    full = usage("session-cold/agent")
    for name in ("hot", "cold"):   # the agent keeps them
        run(name, "--", "true")
    check("cold memory of one that thinks is swapped out", eventually(lambda: usage("session-cold/agent") < full - 40 * MIB, 90),
          (full, usage("session-cold/agent")))
    time.sleep(6)
    quarter = usage("session-cold/agent")
    check("... at first not more than a quarter", full - quarter < full * 0.3, (full, quarter))
    before = stall("session-cold")
    run("cold", "--", "true")
    time.sleep(1)
    lost = stall("session-cold") - before
    check(f"the next call loses {lost:.1f} ms by that, less than 50", lost < 50)
    check("so the next time it may be more", eventually(lambda: usage("session-cold/agent") < full * 0.65, 90),
          (full, usage("session-cold/agent")))
    check("one that uses its memory keeps it", usage("session-hot/agent") > 90 * MIB, usage("session-hot/agent"))
    for process in (cold, hot):
        process.kill()
        process.wait()


watch, others = Watch(), Watch(BOB)
parts = [lambda: loops(watch), detached, history, lambda: events(watch, others), rates, sizes]
if ZRAM:
    parts.append(thinking)
else:
    print("ok 0 - think time # SKIP there is no zram on this kernel")
for part in parts:
    part()
    print(f"# at {time.monotonic():.0f} s", flush=True)
print("# end of habits.py", flush=True)
