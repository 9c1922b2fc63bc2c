# SPDX-License-Identifier: GPL-2.0-only
"""odd.py PROGRAM: runs it (odd.c) against servers whose answers make no sense, one after another.

A client must stand that: whatever comes, an error is returned, nothing crashes, leaks or hangs.
"""
import array
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading

RESULT = {"outcome": "ok", "text": "fine", "memoryPeak": 1}
GRANTED = {"priority": 500, "requests": {"memory": 1, "milliCPU": 1000}, "limits": {}, "onPressure": "freeze", "detach": True}
BEGUN = {"call": "a/tool-1", "cgroup": "/a", "cgroupFd": 0, "granted": GRANTED, "notes": ["one", "two"]}
GOOD = {**BEGUN, "result": RESULT, "results": [{"seq": 1, "call": "a", "command": ["b"], "result": RESULT}],
        "killed": [{"call": "a", "command": ["x", "y"]}], "detached": 2, "woken": 3,
        "event": "oom", "text": "x", "lost": 1}


def reply(parameters):
    return json.dumps({"parameters": parameters}).encode() + b"\0"


def error(name, parameters=None):
    return json.dumps({"error": name, "parameters": parameters or {}}).encode() + b"\0"


LONG = "x" * 5000
# What is said to every request; None: hang up.  With what the program is to see: the number of errors, at least.
ODD = {
    "good answers": (reply(GOOD), 0),
    "nothing": (None, 5),
    "an empty object": (reply({}), 2),
    "no parameters": (b'{}\0', 2),
    "null": (reply({k: None for k in GOOD}), 2),
    "numbers": (reply({k: -1 for k in GOOD}), 2),
    "texts": (reply({k: LONG for k in GOOD}), 2),
    "lists": (reply({k: [[], {}, 1, None, LONG] for k in GOOD}), 2),
    "objects": (reply({k: {"requests": 1, "limits": [], "outcome": {}} for k in GOOD}), 2),
    "a descriptor that did not come": (reply({**GOOD, "cgroupFd": 7}), 1),
    "a huge index of one": (reply({**GOOD, "cgroupFd": 1 << 63}), 1),
    "no JSON": (b"hello\0", 5),
    "half a message": (b'{"parameters"', 5),
    "no object": (b"[]\0", 5),
    "an unknown error": (error("com.example.What", {"reason": LONG}), 5),
    "a long error": (error("com.example." + LONG, {"reason": LONG}), 5),
    "an error with the wrong fields": (error("io.agentcg.InvalidIntent", {"field": 1, "reason": []}), 5),
    "another": (error("io.agentcg.LimitExceeded", {"limit": "many", "what": {}}), 5),
    "and another": (error("org.varlink.service.InvalidParameter", {"parameter": LONG}), 5),
}


def serve(listener, answer):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=talk, args=(connection, answer), daemon=True).start()


def talk(connection, answer):
    with connection:
        while True:
            data = connection.recv(1 << 16)
            while data and not data.endswith(b"\0"):
                more = connection.recv(1 << 16)
                data = data + more if more else b""
            if not data or answer is None:
                return
            try:
                if b"BeginCall" in data:
                    fd = os.open("/", os.O_RDONLY)
                    connection.sendmsg([answer], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
                    os.close(fd)
                else:
                    connection.sendall(answer)
            except OSError:
                return
            if not answer.endswith(b"\0"):
                return


with tempfile.TemporaryDirectory() as folder:
    for n, (what, (answer, errors)) in enumerate(ODD.items(), 1):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/{n}")
            listener.listen()
            threading.Thread(target=serve, args=(listener, answer), daemon=True).start()
            done = subprocess.run([sys.argv[1], f"{folder}/{n}"], capture_output=True, text=True, timeout=60)
            told = [line for line in done.stdout.splitlines() if line.startswith("error ")]
            good = done.returncode == 0 and len(told) >= errors and (errors or not told)
            print(f"{'' if good else 'not '}ok {n} - an answer that makes no sense: {what}")
            if not good:
                print("# exit code", done.returncode, (done.stdout + done.stderr)[-3000:].replace("\n", "\n# "))
print(f"1..{len(ODD)}")
