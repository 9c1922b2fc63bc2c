# SPDX-License-Identifier: GPL-2.0-only
"""hostile.py PID: what breaks the rules of the protocol must not harm the daemon, whose pid is given, nor its other clients."""
import json
import os
import resource
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))
from varlink import Link, check, equal

BOB = 1000
daemon = int(sys.argv[1])
other = Link(65534)
call = other.call("BeginCall")["call"]


def still_serves(text):
    try:
        names = [c["call"] for s in other.call("GetStatus")["sessions"] for c in s["calls"]]
        os.kill(daemon, 0)
        equal(f"{text}: another client is served", names, [call])
    except (OSError, EOFError) as e:
        check(f"{text}: another client is served", False, repr(e))


def fds():
    return len(os.listdir(f"/proc/{daemon}/fd"))


def resident():
    with open(f"/proc/{daemon}/statm") as f:
        return int(f.read().split()[1]) * 4096


def throw(data, linger=0.2):
    """Sends and hangs up, whatever the daemon says."""
    link = Link(BOB)
    link.socket.settimeout(linger)
    try:
        link.send(data)
        while link.socket.recv(65536):
            pass
    except OSError:
        pass
    link.close()


def message(**fields):
    return json.dumps(fields).encode() + b"\0"


def messages():
    throw(b'{"method":"io.agentcg.GetSta')
    still_serves("half a message")
    for garbage in (b"\0", b"\0" * 1000, b"GET / HTTP/1.0\r\n\r\n\0", b"[]\0", b"{}\0", b'{"method":1}\0', b"\xff\xfe\0",
                    b'{"method":"io.agentcg.GetStatus","parameters":[]}\0', b"[" * 100000 + b"\0",
                    b'{"method":"' + b"a" * 100000 + b'"}\0', b'{"method":"io.agentcg."}\0', os.urandom(100000) + b"\0",
                    message(method="io.agentcg.Watch"), message(method="io.agentcg.GetStatus", oneway=True, more=True)):
        throw(garbage)
    still_serves("garbage")
    throw(b'{"method":"' + b"a" * (40 << 20))
    still_serves("a message without an end")
    check("... which it does not keep", resident() < 64 << 20, resident())
    link = Link(BOB)
    equal("an unknown method", link.error("Nonsense"), "MethodNotFound")
    equal("a missing parameter", link.error("EndCall"), "InvalidParameter")
    equal("an unknown parameter", link.error("EndCall", call="a/tool-1", x=1), "InvalidParameter")
    equal("the service describes itself", link.call("org.varlink.service.GetInfo")["interfaces"].count("io.agentcg"), 1)
    link.close()


def descriptors():
    link = Link(BOB)
    mine = link.call("BeginCall")["call"]
    r, w = os.pipe()
    folder = os.open("/", os.O_RDONLY)
    dead = os.fork()
    if not dead:
        os._exit(0)
    pidfd = os.pidfd_open(dead)
    os.waitpid(dead, 0)
    before = fds()
    for what, fd in (("a pipe", r), ("a folder", folder), ("a socket", link.socket.fileno()), ("a dead process", pidfd)):
        check(f"{what} is not attached", link.error("AttachProcess", [fd], call=mine, pidFd=0) not in ("", "closed"))
    for index in (1, 253, 1 << 31, 1 << 62):
        check(f"descriptor {index}, which was not sent", link.error("AttachProcess", [], call=mine, pidFd=index) not in ("", "closed"))
    link.error("GetStatus", [r] * 8)
    equal("descriptors that nobody asked for are closed", fds() - before, 0)
    link.close()
    still_serves("wrong descriptors")
    for fd in (r, w, folder, pidfd):
        os.close(fd)


def crowd():
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    before, links = fds(), []
    try:
        for _ in range(500):
            links.append(Link(BOB))
    except OSError as e:
        print(f"# after {len(links)} connections: {e!r}")
    for link in links[:200]:
        try:
            link.send(message(method="io.agentcg.GetStatus", parameters={}))
        except OSError:
            pass
    still_serves("500 connections")
    check("a third user gets in", Link(2000).error("GetStatus") == "")
    print(f"# {resident() >> 20} MiB of memory with {len(links)} connections", flush=True)
    for link in links:
        link.close()
    for _ in range(100):
        if fds() <= before + 1:
            break
        time.sleep(0.1)
    check("they are closed afterwards", fds() <= before + 1, f"{before} before, {fds()} after")


def flood():
    """Two users' clients that never read what they are told, and one that does its work."""
    stop = threading.Event()

    def shout():
        link = Link(BOB)
        link.socket.settimeout(0.1)
        while not stop.is_set():
            try:
                link.send(message(method="io.agentcg.GetStatus", parameters={}) * 100)
            except TimeoutError:
                pass
            except OSError:
                link.close()
                link = Link(BOB)
                link.socket.settimeout(0.1)

    threads = [threading.Thread(target=shout) for _ in range(2)]
    for t in threads:
        t.start()
    slowest = 0
    for _ in range(20):
        start = time.monotonic()
        other.call("GetStatus")
        slowest = max(slowest, time.monotonic() - start)
    stop.set()
    for t in threads:
        t.join()
    check("one that never reads does not delay the others for long", slowest < 5, slowest)
    check("... nor fill the memory", resident() < 64 << 20, resident())


messages()
descriptors()
crowd()
flood()
still_serves("at the end")
equal("its call is still there", other.error("EndCall", call=call), "")
print("# end of hostile.py")
