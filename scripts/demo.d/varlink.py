# SPDX-License-Identifier: GPL-2.0-only
"""The little of varlink that it takes to talk to agentcgd: JSON objects that end with a NUL, over a Unix socket."""
import json
import socket

SOCKET = "/run/agentcg/io.agentcg"


class Refused(Exception):
    """What the daemon answered instead of a reply."""


class Varlink:
    """One connection. A tool call, or an agent's leaf, lives as long as the connection that began it."""

    def __init__(self, path=SOCKET):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.rest = b""

    def call(self, method, **parameters):
        message = {"method": "io.agentcg." + method, "parameters": parameters}
        self.socket.sendall(json.dumps(message).encode() + b"\0")
        while b"\0" not in self.rest:
            data = self.socket.recv(65536)
            if not data:
                raise Refused("the daemon closed the connection")
            self.rest += data
        line, self.rest = self.rest.split(b"\0", 1)
        reply = json.loads(line)
        if "error" in reply:
            raise Refused(f"{method}: {reply['error']} {reply.get('parameters', {})}")
        return reply["parameters"]
