# SPDX-License-Identifier: GPL-2.0-only
"""What another user's requests get.  As root, in the guest, with the policy of test-security.sh."""
import array
import json
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from varlink import Link, check, equal

ALICE, BOB = 65534, 1000
MIB = 1 << 20
POOL = "/sys/fs/cgroup/agentcg.slice/"
DENIED = "PermissionDenied"

root, alice, bob = Link(), Link(ALICE), Link(BOB)


def sleeper(uid):
    return subprocess.Popen(["sleep", "1000"], user=uid)


def attach(link, call, process):
    fd = os.pidfd_open(process.pid)
    try:
        return link.error("AttachProcess", [fd], call=call, pidFd=0)
    finally:
        os.close(fd)


def group_of(process):
    with open(f"/proc/{process.pid}/cgroup") as f:
        return f.read().strip().removeprefix("0::")


def ownership():
    alice.call("OpenSession", name="alice")
    call = alice.call("BeginCall", session="alice")["call"]
    own, others = sleeper(BOB), sleeper(ALICE)
    equal("another user cannot open a session that is there", bob.error("OpenSession", name="alice"), DENIED)
    equal("... nor close it", bob.error("CloseSession", name="alice"), DENIED)
    equal("... nor begin a call in it", bob.error("BeginCall", session="alice"), DENIED)
    equal("... nor attach a process to its call", attach(bob, call, own), DENIED)
    equal("... nor end the call", bob.error("EndCall", call=call), DENIED)
    equal("... nor claim it", bob.error("ClaimCall", call=call), DENIED)
    equal("... nor release it", bob.error("Release", call=call), DENIED)
    equal("... nor see it", bob.call("GetStatus").get("sessions"), [])
    equal("... nor reload the policy", bob.error("Reload"), DENIED)
    equal("... nor run in another one's default session", bob.error("BeginCall", session=f"uid-{ALICE}"), DENIED)
    equal("... nor open a session that has an owner", bob.call("OpenSession", name="vip-x")["session"]["priority"], 500)
    bob.call("CloseSession", name="vip-x")
    mine = bob.call("BeginCall")["call"]
    equal("another user's process cannot be attached", attach(bob, mine, others), DENIED)
    equal("... nor one of root", attach(bob, mine, sleeper(0)), DENIED)
    equal("one's own can", attach(bob, mine, own), "")
    equal("... and is where it belongs", group_of(own), f"/agentcg.slice/session-uid-{BOB}/tool-1")
    equal("... and cannot be moved to another session by root's own call",
          attach(root, root.call("BeginCall", session="roots")["call"], own), DENIED)
    again = alice.call("BeginCall", session="alice")["call"]
    equal("from one call to another of the session it can", attach(alice, call, others) + attach(alice, again, others), "")
    equal("... so the second has it", group_of(others), f"/agentcg.slice/session-alice/{again.split('/')[1]}")
    equal("a second claim of a call that has its client", Link(ALICE).error("ClaimCall", call=call), DENIED)
    equal("root sees both", {s["name"] for s in root.call("GetStatus")["sessions"]} >= {"alice", f"uid-{BOB}"}, True)
    equal("the owner ends it", alice.error("EndCall", call=call), "")
    equal("... once", alice.error("EndCall", call=call), "NoSuchCall")
    escape(own)
    equal("one's own process dies with its call", (bob.error("EndCall", call=mine), own.wait()), ("", -9))


def escape(process):
    """A process in a leaf, not root, tries to leave it or to write its limits."""
    group = "/sys/fs/cgroup" + group_of(process)
    for where, what in (("/sys/fs/cgroup", "cgroup.procs"), (POOL, "cgroup.procs"), (group, "memory.max"),
                        (group, "cgroup.procs"), (group, "memory.high")):
        try:
            os.seteuid(BOB)
            with open(f"{where}/{what}", "w") as f:
                f.write(str(process.pid) if what == "cgroup.procs" else "max")
            written = True
        except OSError:
            written = False
        finally:
            os.seteuid(0)
        check(f"a user cannot write {what} of {where.removeprefix('/sys/fs/cgroup') or '/'}", not written)


def policy():
    s = bob.call("OpenSession", name="greedy", priority=1000, budget=1 << 40, reserve=100 * MIB)
    equal("priority is cut to the policy's", s["session"]["priority"], 500)
    equal("so is the budget", s["session"]["budget"], 200 * MIB)
    equal("so is the reserve", s["session"]["reserve"], 0)
    equal("... each with a note", len(s["notes"]), 3)
    equal("priority may be lowered", bob.call("OpenSession", name="greedy", priority=100)["session"]["priority"], 100)
    equal("... and root may raise it",
          root.call("OpenSession", name="greedy", priority=900)["session"]["priority"], 900)
    root.call("OpenSession", name="greedy", priority=500)
    c = bob.call("BeginCall", session="greedy", priority=1000, intent={
        "requests": {"memory": 1 << 40, "cpu": 1000}, "timeout": "1000h",
        "limits": {"memory": "1Ti", "pids": 1000, "cpu": 1000}})
    got = c["granted"]
    equal("a call is cut, too", (got["priority"], got["requests"]["memory"], got["limits"], got["timeoutUSec"]),
          (500, 100 * MIB, {"memory": 100 * MIB, "pids": 20, "milliCPU": 1500}, 60_000_000))
    equal("... not more than its session by adjusting",
          bob.call("AdjustCall", call=c["call"], priority=501, intent={"limits": {"memory": "1Ti"}})["granted"], got)
    equal("... nor by another user",
          (alice.error("AdjustCall", call=c["call"]), alice.error("AdjustCall", call="greedy/tool-9")), (DENIED, "NoSuchCall"))
    equal("... each with a note", len(c["notes"]) >= 4, True)
    group = "/sys/fs/cgroup" + c["cgroup"]
    equal("... and so are the files", [open(f"{group}/{f}").read().strip() for f in ("memory.max", "pids.max", "cpu.max")],
          [str(100 * MIB), "20", "150000 100000"])
    for value in (-1, 1 << 63, 1.5, "1M", "-1", "", [], {}, "9" * 70000):
        equal(f"memory {repr(value)[:12]} is refused",
              bob.error("BeginCall", session="greedy", intent={"requests": {"memory": value}}), "InvalidIntent")
    for wrong in (5, [], "x", {"memory": 1}, {"requests": 5}, {"requests": {"a" * 9000: 1}}, {"latency": "x"}):
        equal(f"intent {repr(wrong)[:24]} is refused", bob.error("BeginCall", session="greedy", intent=wrong) in
              ("InvalidParameter", "InvalidIntent"), True)
    equal("priority 1001 is refused", bob.error("BeginCall", session="greedy", priority=1001), "InvalidParameter")
    bob.call("CloseSession", name="greedy")


def names():
    bad = ["", ".", "..", "../x", "a/b", "/", "x" * 65, "a\n", "\x1b[2J", "-a", ".hidden", "ä", "a b", "\x7f", "a\\x00"]
    for name in bad:
        equal(f"session name {name[:10]!r} is refused", bob.error("OpenSession", name=name), "InvalidParameter")
    equal("... also for a call", bob.error("BeginCall", session="../x"), "InvalidParameter")
    for call in ("", "/", "alice", "alice/", "/tool-1", "alice/../alice/tool-2", "alice/tool-99999999999999999999",
                 "alice/tool--1", "alice/tool-01", "alice/tool-2 ", "x" * 5000, "alice/agent"):
        equal(f"call name {call[:24]!r} is unknown", alice.error("EndCall", call=call), "NoSuchCall")
    equal("the longest session name is none too long", bob.error("OpenSession", name="x" * 64), "")
    equal("a long command is cut, not refused", bob.error("BeginCall", session="x" * 64, command=["y" * 100000] * 9), "")
    equal("so is one of control characters",
          bob.error("BeginCall", session="x" * 64, command=["\x1b[2J\n", "\x7f"]), "")
    bob.call("CloseSession", name="x" * 64)


def quotas():
    mine = Link(BOB)
    for n in range(3):
        mine.call("OpenSession", name=f"q{n}")
    equal("one session above the quota", mine.error("OpenSession", name="q3"), "LimitExceeded")
    equal("... also by a call", mine.error("BeginCall"), "LimitExceeded")
    equal("... not for root", root.error("OpenSession", name="q3"), "")
    for n in range(4):
        mine.call("BeginCall", session="q0")
    equal("one call above the quota", mine.error("BeginCall", session="q0"), "LimitExceeded")
    mine.close()
    time.sleep(1)
    rest = [s for s in root.call("GetStatus")["sessions"] if s["name"].startswith("q")]
    equal("calls end with their connection, sessions stay", [len(s["calls"]) for s in rest], [0] * 4)
    for s in rest:
        root.call("CloseSession", name=s["name"])


class Inmate:
    """A process of @uid in the group of @call, which asks the daemon what it is told to."""

    def __init__(self, uid, call, deeper=""):
        self.end, far = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            self.end.close()
            self.live(uid, far)
        far.close()
        self.group = f"{POOL}session-{call}/{deeper}"
        os.makedirs(self.group, exist_ok=True)
        with open(f"{self.group}/cgroup.procs", "w") as f:
            f.write(str(self.pid))

    @staticmethod
    def live(uid, far):
        os.setresuid(uid, uid, uid)
        link = None
        try:
            for line in far.makefile():
                method, parameters = json.loads(line)
                link = link or Link(uid)
                if method == "give the connection away":
                    far.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [link.socket.fileno()]))])
                    break
                own = [os.pidfd_open(os.getpid())] if "pidFd" in parameters else []
                far.sendall(link.error(method, own, **parameters).encode() + b"\n")
        finally:
            os._exit(0)

    def error(self, method, **parameters):
        self.end.sendall(json.dumps([method, parameters]).encode() + b"\n")
        return self.end.recv(1000).decode().strip()

    def give_away(self):
        """Its connection, when it is gone itself."""
        self.end.sendall(b'["give the connection away", {}]\n')
        fd = array.array("i", self.end.recvmsg(1, socket.CMSG_SPACE(4))[1][0][2])[0]
        os.waitpid(self.pid, 0)
        link = Link(ALICE)
        link.socket = socket.socket(fileno=fd)
        link.socket.settimeout(30)
        return link

    def free(self):
        self.end.close()
        os.waitpid(self.pid, 0)


def speakers():
    """What a tool call may say of its session."""
    inside, other = (alice.call("BeginCall", session="alice")["call"] for _ in range(2))
    speaks = {
        "OpenSession": {"name": "alice", "budget": 150 * MIB}, "CloseSession": {"name": "alice"},
        "BeginCall": {"session": "alice"}, "AttachProcess": {"call": other, "pidFd": 0}, "ClaimCall": {"call": inside},
        "AdjustCall": {"call": inside, "intent": {"limits": {"memory": "90Mi"}}}, "EndCall": {"call": other},
        "Release": {"call": inside}, "AttachSession": {"name": "alice", "pidFd": 0}, "CreateTicket": {"session": "alice"},
    }

    def seen():
        status = alice.call("GetStatus")["sessions"]
        return [(s["name"], s["budget"], [(c["call"], c["memoryMax"]) for c in s["calls"]]) for s in status]
    before = seen()
    inmate = Inmate(ALICE, inside)
    equal("a tool call does not speak for its session", {m: inmate.error(m, **p) for m, p in speaks.items()},
          dict.fromkeys(speaks, "InToolCall"))
    equal("... so nothing is changed", seen(), before)
    equal("... but is told of it, and may say what it needs next",
          [inmate.error("GetStatus"), inmate.error("GetResults", session="alice"),
           inmate.error("DeclareIntent", session="alice", command=["x"], intent={"requests": {"memory": "20Mi"}})], [""] * 3)
    inmate.free()
    given = Inmate(ALICE, inside).give_away()
    equal("... nor by a connection that outlives who made it", given.error("BeginCall", session="alice"), DENIED)
    given.close()
    deep = Inmate(ALICE, inside, "deeper/still")
    equal("... nor from a group below its leaf", deep.error("CloseSession", name="alice"), "InToolCall")
    deep.free()
    agent = Inmate(ALICE, alice.call("BeginCall", session="alice", agent=True)["call"])
    equal("the agent does", agent.error("Release", call=inside), "")
    agent.free()
    equal("... and ends calls", alice.error("EndCall", call=other), "")
    trusted = alice.call("BeginCall", session="alice", mayControl=True)["call"]
    inmate = Inmate(ALICE, trusted)
    equal("... and a call that was given the right", [inmate.error(m, **speaks[m]) for m in ("AdjustCall", "OpenSession")], [""] * 2)
    inmate.free()
    for call in (inside, trusted, "alice/agent"):
        equal(f"{call} ends", alice.error("EndCall", call=call), "")
    above = Inmate(0, root.call("BeginCall", session="roots")["call"])
    equal("root in a tool call is no other", above.error("Reload"), "InToolCall")
    above.free()


ownership()
speakers()
policy()
names()
quotas()
alice.call("CloseSession", name="alice")
print("# end of security.py")
