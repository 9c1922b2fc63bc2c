# SPDX-License-Identifier: GPL-2.0-only
"""A varlink client for the tests: raw, so that it can send what a well-behaved one never would. Also TAP."""
import array
import json
import os
import socket

SOCKET = "/run/agentcg/io.agentcg"


class Error(Exception):
    """An error reply: its name without the interface, and its parameters."""

    def __init__(self, name, parameters):
        super().__init__(f"{name} {parameters}")
        self.name, self.parameters = name, parameters


class Link:
    def __init__(self, uid=0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(30)
        self.rest, self.fds = b"", []
        own = os.geteuid()
        os.seteuid(uid)  # the peer's credentials are those at connect()
        try:
            self.socket.connect(SOCKET)
        finally:
            os.seteuid(own)

    def send(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.socket.sendmsg([data], rights)
        self.socket.sendall(data[sent:])

    def receive(self):
        while b"\0" not in self.rest:
            data, rights, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(64))
            if not data:
                raise EOFError
            self.rest += data
            for _, _, value in rights:
                self.fds += array.array("i", value[:len(value) - len(value) % 4])
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, fds=(), **parameters):
        full = method if "." in method else "io.agentcg." + method
        self.send(json.dumps({"method": full, "parameters": parameters}).encode() + b"\0", fds)
        reply = self.receive()
        if "error" in reply:
            raise Error(reply["error"].rsplit(".", 1)[-1], reply.get("parameters"))
        return reply.get("parameters", {})

    def error(self, method, fds=(), **parameters):
        """The name of the error it gives; "" if none, "closed" if the daemon hangs up."""
        try:
            self.call(method, fds, **parameters)
        except Error as e:
            return e.name
        except (EOFError, ConnectionError):
            return "closed"
        return ""

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)


count = 0


def check(text, passed, why=""):
    global count
    count += 1
    print(f"{'' if passed else 'not '}ok {count} - {text}", flush=True)
    if not passed and why != "":
        print(f"# {why}", flush=True)


def equal(text, got, wanted):
    check(text, got == wanted, f"got {got!r}, wanted {wanted!r}")


def done():
    print(f"1..{count}")
