# SPDX-License-Identifier: GPL-2.0-only
"""refused.py PID: what a hostile user tries is refused with the documented error, and nothing has changed afterwards.

What there is, before and after each attempt: sessions and calls with all that was granted (GetStatus), every group with its
limits and processes, the descriptors of the daemon, whose pid is given, and its connections.
"""
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from varlink import Link, check, equal

DAEMON = int(sys.argv[1])
ALICE, BOB = 3001, 3002
POOL = "/sys/fs/cgroup/agentcg.slice"
MOVES = ("memoryCurrent", "memoryPeak", "ageUSec", "headroom", "counters", "heldUSec", "deadlineUSec")
root, alice = Link(), Link(ALICE)


def still(v):
    """Without what changes by itself."""
    if isinstance(v, dict):
        return {k: still(x) for k, x in v.items() if k not in MOVES}
    return [still(x) for x in v] if isinstance(v, list) else v


def is_ready(path):
    """A leaf of no call yet, for the session's next one (daemon/later.h)."""
    return "/tool-" in path and "trusted.agentcg" not in os.listxattr(path)


def ready(session):
    folder = f"{POOL}/session-{session}"
    return any(is_ready(f"{folder}/{name}") for name in os.listdir(folder))


def groups():
    out = {}
    for path, _, files in os.walk(POOL):
        if is_ready(path):
            continue
        for name in ("memory.max", "pids.max", "cpu.max", "cpu.weight", "cgroup.freeze", "cgroup.procs"):
            if name in files:
                with open(f"{path}/{name}") as f:
                    out[f"{path}/{name}"] = f.read()
    return out


def descriptors():
    return len(os.listdir(f"/proc/{DAEMON}/fd"))


def everything():
    return {"status": still(root.call("GetStatus")), "groups": groups(), "descriptors": descriptors()}


@contextlib.contextmanager
def unchanged(text, seconds=10):
    before = everything()
    yield
    end = time.monotonic() + seconds
    while everything() != before and time.monotonic() < end:
        time.sleep(0.1)     # connections that were closed
    after = everything()
    check(f"{text}: nothing has changed", after == before,
          str({k: (before[k], after[k]) for k in before if before[k] != after[k]})[:2000])


def refused(text, wanted, method, fds=(), link=None, **parameters):
    own = link or Link(BOB)
    got = own.error(method, fds, **parameters)
    check(f"{text}: {got or 'taken'}", got in ([wanted] if isinstance(wanted, str) else wanted), f"wanted {wanted}")
    if not link:
        own.close()


def child(uid=0):
    return subprocess.Popen(["sleep", "1000"], user=uid)


def others(call):
    """Each method, on what is another user's."""
    with unchanged("another user's session and call"):
        for method, parameters in (
                ("OpenSession", {"name": "alice", "priority": 1}), ("CloseSession", {"name": "alice"}),
                ("BeginCall", {"session": "alice"}), ("EndCall", {"call": call}), ("EndCall", {"call": call, "kill": True}),
                ("AdjustCall", {"call": call, "intent": {"limits": {"memory": "1Mi"}}}), ("ClaimCall", {"call": call}),
                ("Release", {"call": call}), ("AttachProcess", {"call": call, "pidFd": 0}), ("Reload", {})):
            refused(f"{method} on it", "PermissionDenied" if method != "AttachProcess" else ("PermissionDenied", "InvalidParameter"),
                    method, **parameters)
        refused("SetThreadClass", ("PermissionDenied", "NotSupported"), "SetThreadClass", tid=1, **{"class": "gpu"})
    with unchanged("names that are close to it"):
        for name in (call + " ", call.upper(), call.replace("tool-", "tool-0"), call + "/x", "./" + call, call.replace("/", "//"),
                     call.split("/", 1)[0] + "/agent", "/" + call, "alice/../" + call):
            refused(f"EndCall of {name!r}", "NoSuchCall", "EndCall", call=name)


def pids(call):
    """Forged and recycled ones. Nothing takes a number for a process; what stands for one that died stands for no other."""
    victim = child(ALICE)
    with unchanged("forged pids"):
        for parameters in ({"pid": victim.pid}, {"pidFd": victim.pid}, {"pidFd": 0, "pid": victim.pid}, {"pidFd": -1}, {"pidFd": 1 << 63},
                           {"pidFd": str(victim.pid)}):
            refused(f"AttachProcess with {parameters}", "InvalidParameter", "AttachProcess", link=bob, call=call, **parameters)
        for who, pid in (("another user's process", victim.pid), ("one of root", root_child.pid), ("the daemon itself", DAEMON),
                         ("the first process", 1), ("a thread of the kernel", 2)):
            fd = os.pidfd_open(pid)
            refused(f"a descriptor of {who}", ("PermissionDenied",), "AttachProcess", [fd], bob, call=call, pidFd=0)
            os.close(fd)
    own = child(BOB)
    fd = os.pidfd_open(own.pid)
    own.kill()
    own.wait()
    for _ in range(20):
        with open("/proc/sys/kernel/ns_last_pid", "w") as f:
            f.write(str(own.pid - 1))
        again = child(BOB)
        if again.pid == own.pid:
            break
        again.kill()
        again.wait()
    equal("a pid is used again", again.pid, own.pid)
    with unchanged("a recycled pid"):
        refused("the descriptor of the process that died", ("PermissionDenied", "InvalidParameter", "NoSuchProcess", "System"),
                "AttachProcess", [fd], bob, call=call, pidFd=0)
        with open(f"/proc/{again.pid}/cgroup") as f:
            check("the new process of that pid is where it was", "agentcg.slice" not in f.read())
    os.close(fd)
    for process in (victim, again):
        process.kill()
        process.wait()


def wrong_descriptors(call):
    r, w = os.pipe()
    kinds = {"a pipe": r, "a folder": os.open("/", os.O_RDONLY), "an O_PATH one": os.open("/proc/self", os.O_PATH),
             "a memfd": os.memfd_create("x"), "an eventfd": os.eventfd(0), "a socket": socket.socket(socket.AF_UNIX).detach(),
             "a leaf": os.open(f"{POOL}/session-alice", os.O_RDONLY), "a device": os.open("/dev/null", os.O_RDWR),
             "cgroup.procs": os.open("/sys/fs/cgroup/cgroup.procs", os.O_RDWR), "a file": os.open("/proc/self/stat", os.O_RDONLY)}
    with unchanged("descriptors of the wrong kind"):
        for what, fd in kinds.items():
            refused(f"{what}, for a process", ("InvalidParameter", "PermissionDenied", "System"), "AttachProcess", [fd], bob,
                    call=call, pidFd=0)
        for index in (1, 200, 1 << 31, (1 << 32) + 1, 1 << 62):
            refused(f"descriptor {index} of one", "InvalidParameter", "AttachProcess", [r], bob, call=call, pidFd=index)
        for method in ("GetStatus", "Nonsense", "EndCall"):
            link = Link(BOB)
            link.error(method, [r] * 250)
            link.close()
    for fd in (*kinds.values(), w):
        os.close(fd)


def throw(data, fds=()):
    """Sends and hangs up once the daemon has; what it has said until then."""
    link, got = Link(BOB), b""
    link.socket.settimeout(0.5)
    try:
        link.send(data, fds)
        while chunk := link.socket.recv(65536):
            got += chunk
    except OSError:
        pass
    link.close()
    return got


def message(method, parameters):
    return b'{"method":"io.agentcg.' + method + b'","parameters":' + parameters + b"}\0"


def messages():
    """Each on a connection of its own, which the daemon closes where it cannot know what comes next.

    Not 1e999, nor a number of 10,000 digits: to sd-json these are null, which stands for what is not said.
    """
    name = b'{"name":"%s"}'
    attempts = {
        "half a message": message(b"OpenSession", name % b"x")[:-5],
        "half, and then nothing that fits": message(b"OpenSession", name % b"x")[:-5] + b"\0" + b"\0",
        "no NUL": message(b"OpenSession", name % b"x")[:-1],
        "invalid UTF-8": message(b"OpenSession", name % b"\xff\xfe"), "an overlong slash": message(b"OpenSession", name % b"a\xc0\xaf"),
        "a surrogate": message(b"OpenSession", name % b"\xed\xa0\x80"), "a NUL, escaped": message(b"OpenSession", name % b"a\\u0000b"),
        "a lone surrogate, escaped": message(b"OpenSession", name % b"\\ud800"), "a newline, raw": message(b"OpenSession", name % b"a\nb"),
        "a byte order mark": b"\xef\xbb\xbf" + message(b"OpenSession", name % b"\xff"),
        "single quotes": message(b"OpenSession", b"{'name':'x'}"), "a comment": message(b"OpenSession", b'/* */ {"name":"../x"}'),
        "a comma too many": message(b"OpenSession", b'{"name":"x",}'), "no value": message(b"OpenSession", b'{"name":}'),
        "parameters that are a list": message(b"OpenSession", b'["x"]'), "parameters that are text": message(b"OpenSession", b'"x"'),
        "a name that is a number": message(b"OpenSession", b'{"name":1}'), "no name": message(b"OpenSession", b"{}"),
        "NaN": message(b"OpenSession", b'{"name":"y","priority":NaN}'), "1.5": message(b"OpenSession", b'{"name":"y","priority":1.5}'),
        "brackets, 100,000 deep": message(b"BeginCall", b'{"intent":' + b"[" * 100000 + b"]" * 100000 + b"}"),
        "objects, 20,000 deep": message(b"BeginCall", b'{"intent":' + b'{"a":' * 20000 + b"1" + b"}" * 20000 + b"}"),
        "a name of a megabyte": message(b"OpenSession", name % (b"a" * (1 << 20))),
        "100,000 parameters": message(b"OpenSession", b"{" + b",".join(b'"k%d":1' % i for i in range(100000)) + b"}"),
        "40 MiB without an end": b'{"method":"' + b"a" * (40 << 20),
        "two methods": b'{"method":"io.agentcg.Reload","method":"io.agentcg.Reload","parameters":{}}\0',
        "oneway and more": b'{"method":"io.agentcg.Reload","oneway":true,"more":true}\0',
        "upgrade": b'{"method":"io.agentcg.Reload","upgrade":true}\0', "a reply, unasked": b'{"parameters":{"name":"x"}}\0',
        "an error, unasked": b'{"error":"io.agentcg.NoSuchCall","parameters":{}}\0', "another interface": b'{"method":"io.systemd.Manager.Reload"}\0',
    }
    for text, data in attempts.items():
        with unchanged(text):
            got = throw(data)
        replies = [json.loads(r) for r in got.split(b"\0") if r]
        check(f"{text}: {replies[0]['error'] if replies and 'error' in replies[0] else 'it hangs up' if not replies else 'taken'}",
              all("error" in r for r in replies), got[:200])
    with open(f"/proc/{DAEMON}/statm") as f:
        resident = int(f.read().split()[1]) * 4096
    check("... and it has not grown", resident < 64 << 20, resident)


def held_open():
    """As many as one user may have, half a message in each; others are served meanwhile."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    with unchanged("connections held open"):
        links = []
        with contextlib.suppress(OSError):
            for n in range(1200):
                links.append(Link(BOB))
                links[-1].send(message(b"GetStatus", b"{}")[:n % 30])
        extra = Link(BOB)
        # The one more is closed without a word: there is nobody to say it to.
        check(f"one user gets {len(links)} connections or fewer", extra.error("GetStatus") in ("closed", "") and len(links) <= 1200)
        extra.close()
        equal("another user gets one, and an answer", Link(ALICE).error("GetStatus"), "")
        for link in links:
            link.close()


def flood(call):
    """8 connections of one user that never read: another user's calls begin and end, soon."""
    with unchanged("a flood", 90):    # what it has sent is read first, in its user's part of the time
        pid = os.fork()
        if not pid:
            links = [Link(BOB) for _ in range(8)]
            data = json.dumps({"method": "io.agentcg.GetStatus"}).encode() + b"\0"
            for link in links:
                link.socket.settimeout(0.01)
            while True:
                for n, link in enumerate(links):
                    try:
                        link.send(data * 50)
                    except TimeoutError:
                        pass
                    except OSError:
                        links[n] = Link(BOB)
                        links[n].socket.settimeout(0.01)
        time.sleep(1)
        slowest = 0
        for _ in range(20):
            start = time.monotonic()
            got = alice.call("BeginCall", session="alice")["call"]
            alice.call("EndCall", call=got)
            slowest = max(slowest, time.monotonic() - start)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        check(f"another user's call takes {slowest * 1000:.0f} ms at most", slowest < 2)


alice.call("OpenSession", name="alice")
hers = alice.call("BeginCall", session="alice", command=["hers"], intent={"limits": {"memory": "50Mi"}})["call"]
bob = Link(BOB)
bob.call("OpenSession", name="bob")
his = bob.call("BeginCall", session="bob", command=["his"])["call"]
root_child = child()
end = time.monotonic() + 10     # it comes by itself, with descriptors
while not (ready("alice") and ready("bob")) and time.monotonic() < end:
    time.sleep(0.01)
others(hers)
pids(his)
wrong_descriptors(his)
messages()
held_open()
flood(hers)
# tickets that are stolen, or redeemed twice: here
root_child.kill()
equal("all of it is there", (alice.error("EndCall", call=hers), bob.error("EndCall", call=his)), ("", ""))
root.call("CloseSession", name="alice")
root.call("CloseSession", name="bob")
print("# end of refused.py")
