# SPDX-License-Identifier: GPL-2.0-only
"""kill.py DAEMON FOLDER: kills the daemon with SIGKILL before each system call of a call's begin and end, by ptrace.

One pass is one kind of call, done again and again: the n-th time the daemon dies before its n-th system call, and the next
daemon must have the call, or there must be nothing of it. A pass ends with the call that the daemon lives through.
"""
import ctypes
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
from varlink import Error, Link, SOCKET, check, equal

DAEMON, FOLDER = sys.argv[1:]
HISTORY = f"{FOLDER}/history.db"
MADE = ["made"]     # sessions that are made for a call and go with it: those have no leaf for the next
POOL = "/sys/fs/cgroup/agentcg.slice"
PINS = "/sys/fs/bpf/agentcg"
PTRACE_SYSCALL, PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_GET_SYSCALL_INFO = 24, 0x4206, 0x4207, 0x420e
TRACESYSGOOD, WALL, ENTRY, EPOLL_WAIT = 1, 0x40000000, 1, 232
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
info = ctypes.create_string_buffer(88)


class Killed(Exception):
    """It was killed before this system call."""


def ptrace(request, pid, address=0, data=0):
    result = libc.ptrace(request, pid, address, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return result


class Daemon:
    """A daemon that waits for something to do."""

    def __init__(self):
        log = os.open(f"{FOLDER}/daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        argv = [DAEMON, "--foreground", "--policy", f"{FOLDER}/policy.conf", "--history", HISTORY]
        self.pid = os.posix_spawn(DAEMON, argv, os.environ,
                                  file_actions=[(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)])
        os.close(log)
        self.left = None
        end = time.monotonic() + 60
        while True:
            try:
                Link().close()
                return
            except OSError:
                if time.monotonic() > end or os.waitpid(self.pid, os.WNOHANG)[0]:
                    sys.exit("Bail out! the daemon does not answer")
                time.sleep(0.01)

    def die_at(self, n):
        """From now on it is traced; to be called before anything is sent to it."""
        ptrace(PTRACE_SEIZE, self.pid, 0, TRACESYSGOOD)
        ptrace(PTRACE_INTERRUPT, self.pid)
        self.run(lambda: True)
        self.left, self.last = n, 0

    def run(self, until):
        """Lets it run until it waits, and @until is true."""
        while True:
            status = os.waitpid(self.pid, WALL)[1]
            if not os.WIFSTOPPED(status):
                sys.exit(f"Bail out! the daemon died by itself: {status:#x}")
            stop, deliver, waits = os.WSTOPSIG(status), 0, False
            if stop == signal.SIGTRAP | 0x80:
                ptrace(PTRACE_GET_SYSCALL_INFO, self.pid, len(info), ctypes.addressof(info))
                if info.raw[0] == ENTRY:
                    waits = self.enter(int.from_bytes(info.raw[24:32], "little"))
            elif not status >> 16:
                deliver = stop
            ptrace(PTRACE_SYSCALL, self.pid, 0, deliver)
            if waits and until():
                return

    def enter(self, number):
        """Counts a system call that is about to be made; whether it is the one that waits."""
        if self.left is not None:
            self.left -= 1
            self.last = number
            if not self.left:
                self.kill()
                raise Killed
        return number == EPOLL_WAIT

    def kill(self, how=signal.SIGKILL):
        os.kill(self.pid, how)
        while os.WIFSTOPPED(os.waitpid(self.pid, WALL)[1]):
            pass


def answered(link):
    return lambda: bool(select.select([link.socket], [], [], 0)[0])


def ask(daemon, link, method, **parameters):
    link.send(json.dumps({"method": "io.agentcg." + method, "parameters": parameters}).encode() + b"\0")
    daemon.run(answered(link))
    return link.receive()["parameters"]


def folded():
    try:
        return os.stat(HISTORY + ".new").st_size == 0
    except FileNotFoundError:
        return True


def start_child(group, sleeps):
    """In the leaf; one that sleeps, or is gone at once."""
    pid = os.fork()
    if not pid:
        with open(f"{group}/cgroup.procs", "w") as f:
            f.write("0")
        if sleeps:
            time.sleep(1000)
        os._exit(0)
    if not sleeps:
        os.waitpid(pid, 0)
        return None
    procs = f"{group}/cgroup.procs"
    while str(pid) not in open(procs).read().split():
        time.sleep(0.002)
    return pid


def leaves():
    return {f"{s[len('session-'):]}/{c}" for s in os.listdir(POOL) if s.startswith("session-")
            for c in os.listdir(f"{POOL}/{s}") if os.path.isdir(f"{POOL}/{s}/{c}")}


class Case:
    """One call, whose daemon dies."""

    def __init__(self, daemon, n, name, session, sleeps):
        self.kind, self.session, self.sleeps = f"{name}{n}", session, sleeps
        self.call = self.child = None
        self.ending = self.result = False
        self.daemon = daemon
        self.link = Link()
        daemon.die_at(n)

    def go(self):
        daemon, link = self.daemon, self.link
        reply = ask(daemon, link, "BeginCall", session=self.session, command=[self.kind])
        self.call, group = reply["call"], "/sys/fs/cgroup" + reply["cgroup"]
        self.child = start_child(group, self.sleeps)
        self.ending = True
        self.result = "result" in ask(daemon, link, "EndCall", call=self.call)
        daemon.run(lambda: self.removed() and folded())
        link.close()
        self.link = None
        daemon.run(lambda: True)

    def removed(self):
        """What is done when the client has its answer: its leaf is gone, the one for the next call is made."""
        here = leaves()
        return self.call not in here and (self.session in MADE or any(leaf.startswith(self.session + "/") for leaf in here))

    def settle(self):
        """With the next daemon: what its client does then. Whether all is as it should be."""
        if self.link:
            self.link.close()
        link = Link()
        known = {c["call"] for s in link.call("GetStatus")["sessions"] for c in s["calls"]}
        here = leaves()
        wrong = [f"leaves {here}, calls {known}"] if known != here else []
        if self.call and not self.ending and self.call not in known:
            wrong.append("the call was lost")
        if self.child and not self.ending and os.waitpid(self.child, os.WNOHANG)[0]:
            wrong.append("its process was lost")
        if self.call in known:
            if self.result:
                wrong.append("it was ended, and is there")
            link.call("ClaimCall", call=self.call)
            if "result" not in link.call("EndCall", call=self.call):
                wrong.append("no result")
            self.ending = True
        if self.child:
            os.waitpid(self.child, 0)   # hangs if it lives
        link.call("GetStatus")      # what has ended is gone for who looks
        if self.call in leaves():
            wrong.append("its leaf is left")
        link.close()
        return wrong

    def rows(self):
        """How many there must be of its kind in the history."""
        return 1 if self.ending else 0


def slots(name):
    out = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", f"{PINS}/{name}"], capture_output=True, check=True).stdout
    entries = json.loads(out)
    return entries if name == "call_slots" else [e for e in entries if e["formatted"]["value"]["cgroup_id"]]


def one_pass(name, session, sleeps):
    daemon, cases, wrong, n = Daemon(), [], [], 0
    while True:
        n += 1
        case = Case(daemon, n, name, session, sleeps)
        cases.append(case)
        try:
            case.go()
            break
        except (Killed, EOFError):
            pass
        last = daemon.last
        daemon = Daemon()
        wrong += [f"before system call {n} ({last}): {w}" for w in case.settle()]
    print(f"# {name}: {n} system calls", flush=True)
    daemon.kill()
    check(f"{name}: killed before each of {n - 1} system calls, it forgets no call and no leaf", not wrong and n > 60,
          "\n# ".join(wrong[:10]) or n)
    return cases


def main():
    first = Daemon()
    link = Link()
    link.call("OpenSession", name="steps")
    link.close()
    first.kill()
    cases = one_pass("alive", "steps", True) + one_pass("exited", "made", False)
    daemon = Daemon()
    # Those whose client never heard of them are not claimed, and end by themselves.
    end = time.monotonic() + 30
    while leaves() and time.monotonic() < end:
        time.sleep(0.2)
    equal("no leaf is left", leaves(), set())
    link = Link()
    try:
        link.call("CloseSession", name="steps")
    except Error as e:
        check("the session was kept", False, e)
    equal("no session is left", os.path.exists(f"{POOL}/session-steps") or link.call("GetStatus")["sessions"], [])
    equal("no slot is left", [slots(m) for m in ("calls", "sessions", "call_slots")], [[], [], []])
    link.close()
    daemon.kill(signal.SIGTERM)
    db = sqlite3.connect(HISTORY)
    rows = dict(db.execute("SELECT kind, count(*) FROM runs GROUP BY kind"))
    wrong = [(c.kind, rows.get(c.kind, 0)) for c in cases if rows.get(c.kind, 0) != c.rows()]
    check(f"each of {sum(c.rows() for c in cases)} calls that ended has one row in the history, the others none", not wrong, wrong)
    print("# end of kill.py")


main()
