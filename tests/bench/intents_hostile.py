#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Figure 3.6: how much longer a call takes while another user attacks the daemon.

The guest has one CPU, and what attacks runs only while nothing else wants to: what its own programs cost does not count, for
they would have other CPUs, but all that they make the daemon do does, and it comes first where it was asked for first.
"""
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

SOCKET = "/run/agentcg/io.agentcg"
ATTACKER, VICTIM = 1000, 3000
PAUSE_MS = 10


def message(method, **parameters):
    return json.dumps({"method": method, "parameters": parameters}).encode() + b"\0"


INFO = message("org.varlink.service.GetInfo")
STATUS = message("io.agentcg.GetStatus")


def connect():
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(1)
    link.connect(SOCKET)
    return link


def shout(data):
    """Sends without an end, and never reads."""
    while True:
        link = connect()
        try:
            while True:
                link.sendall(data)
        except OSError:
            link.close()


def shouters(data, n):
    for _ in range(n - 1):
        threading.Thread(target=shout, args=(data,), daemon=True).start()
    shout(data)


def knock():
    while True:
        connect().close()


def hold(n):
    links = []
    while len(links) < n:
        try:
            links.append(connect())
            links[-1].sendall(b'{"method":"io.agentcg.GetSta')
        except OSError:     # so many at once are not accepted soon, to one that runs when nobody else does
            pass
    time.sleep(1000)


def some_calls():
    with connect() as link:
        while True:
            link.sendall(message("io.agentcg.BeginCall", command=["true"]))
            reply = json.loads(link.recv(65536).split(b"\0")[0])
            if "error" in reply:
                time.sleep(0.01)
                continue
            link.sendall(message("io.agentcg.EndCall", call=reply["parameters"]["call"]))
            link.recv(65536)


def calls():
    while True:
        try:
            some_calls()
        except (OSError, ValueError):   # no answer in time, or not all of it at once
            pass


ATTACKS = {
    "info": ("8 connections that ask and never listen", lambda: shouters(INFO * 200, 8)),
    "status": ("... for the status", lambda: shouters(STATUS * 200, 8)),
    "garbage": ("what is not JSON", lambda: shouters(b"\xff{" * 5000 + b"\0", 4)),
    "huge": ("messages without an end", lambda: shouters(b'{"method":"' + b"a" * (1 << 20), 4)),
    "knock": ("connections that are closed at once", knock),
    "hold": ("400 connections held open, half a message in each", lambda: hold(400)),
    "calls": ("calls that begin and end", calls),
}


def attacker(name):
    pid = os.fork()
    if pid:
        return pid
    os.setresgid(ATTACKER, ATTACKER, ATTACKER)
    os.setresuid(ATTACKER, ATTACKER, ATTACKER)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        ATTACKS[name][1]()
    finally:
        os._exit(1)


def took(rounds):
    """What begin and end take together, in each of so many rounds."""
    from intents_cost import PROGRAM
    out = subprocess.run([PROGRAM, "latency", str(rounds), str(VICTIM), str(PAUSE_MS)], check=True, stdout=subprocess.PIPE).stdout
    times = json.loads(out)
    if times["lost"]:
        raise SystemExit("bench: calls were refused")
    return [b + e for b, e in zip(times["begin"], times["end"])]


def under(name, rounds):
    """Of without, beside a daemon that has seen no other attack: what one leaves to be done would slow down what the next is compared with."""
    from intents_cost import whole_daemon
    daemon = whole_daemon("\n[CPU]\nScheduler=none\n")
    took(rounds)    # what it learns takes longer at first
    alone = statistics.median(took(rounds))
    pid = attacker(name)
    time.sleep(5)   # what may be used at once has been
    values = [t / alone for t in took(rounds)]
    if os.waitpid(pid, os.WNOHANG)[0]:
        raise SystemExit(f"bench: the attack {name} ended")
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    daemon.kill()
    daemon.wait()
    return values


def measure(figures, runs):
    worst = []
    for name, (text, _) in ATTACKS.items():
        values = under(name, 20 * runs)
        worst.append(statistics.median(values))
        figures.add(f"3.6-{name}", f"3.6: {text}", values, "x")
    figures.add("3.6", "begin and end under the worst attack, of without", [max(worst)], "x", 1.1)
