# SPDX-License-Identifier: MIT
"""The protocol: what to send, and what was received means (https://varlink.org, interface io.agentcg).

Nothing here waits. Both clients, the plain one and that for asyncio, differ only in how they wait.
"""
from __future__ import annotations

import array
import json
import locale
import os
import socket as sockets
import subprocess
from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from .types import (AgentcgError, Granted, InToolCall, Intent, InvalidIntent, InvalidParameter, Json, KindHistory, LimitExceeded,
                    NoDaemon, NoSuchCall, NoSuchSession, NotSupported, PermissionDenied, Priority, ProtocolError, Result, Size,
                    Time, parse_priority, parse_size, parse_time, read, time_text)

SOCKET = "/run/agentcg/io.agentcg"
INTERFACE = "io.agentcg."
SERVICE = "org.varlink.service."
MESSAGE_MAX = 16 << 20          # as the daemon's library has it
COMMAND_MAX = 256               # as much of a command line as the daemon keeps
FDS_MAX = 16
REPLY_SECONDS = 45.0            # an end takes 10 s at most; who waits to begin waits as long as the daemon lets it
CLAIM_SECONDS = 10.0            # so long does a daemon that was restarted wait for us
RETRY_SECONDS = 0.1
RETRY_SLOW_SECONDS = 1.0

LOST = "the daemon does not know the call any more (it was restarted, or the session closed), so there is no result"
GONE = "the daemon is gone, so there is no result; what the call left running was killed if that was allowed"


def default_socket() -> str:
    return os.environ.get("AGENTCG_SOCKET") or SOCKET


class Decoder:
    """Bytes and descriptors in, whole messages out."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._fds: List[int] = []

    def feed(self, data: bytes, fds: Sequence[int] = ()) -> None:
        self._fds += fds
        self._rest += data
        if len(self._rest) > MESSAGE_MAX:
            raise ProtocolError("the daemon's message is too long")

    def next(self) -> Optional[Tuple[Json, List[int]]]:
        """A message, and the descriptors that came with it (now the caller's); None: it is not all there yet."""
        end = self._rest.find(b"\0")
        if end < 0:
            return None
        raw = bytes(self._rest[:end])
        del self._rest[:end + 1]
        try:
            message = json.loads(raw)
        except ValueError:
            raise ProtocolError("the daemon's message is no JSON") from None
        if not isinstance(message, dict):
            raise ProtocolError("the daemon's message is no object")
        fds, self._fds = self._fds, []
        return message, fds

    def close(self) -> None:
        close_all(self._fds)
        self._fds = []


def receive(socket: sockets.socket) -> Tuple[bytes, List[int]]:
    """What is there, and its descriptors (recv_fds() of older Pythons forgets the flag)."""
    data, ancillary, _, _ = socket.recvmsg(1 << 16, sockets.CMSG_SPACE(FDS_MAX * 4), sockets.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for level, kind, value in ancillary:
        if (level, kind) == (sockets.SOL_SOCKET, sockets.SCM_RIGHTS):
            fds.frombytes(value[:len(value) - len(value) % fds.itemsize])
    return data, list(fds)


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def request(method: str, parameters: Json, more: bool = False) -> bytes:
    message: Json = {"method": INTERFACE + method,
                     "parameters": {k: v for k, v in parameters.items() if v is not None}}
    if more:
        message["more"] = True
    # Lone surrogates stand for bytes that are no UTF-8, which the daemon refuses.
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\0"


def reply(message: Mapping[str, Any]) -> Json:
    """Its parameters, or the error that it is."""
    parameters = message.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ProtocolError("the daemon's parameters are no object")
    if message.get("error"):
        raise error(str(message["error"]), parameters)
    return parameters


def error(name: str, p: Mapping[str, Any]) -> AgentcgError:
    reason = str(p.get("reason") or "the daemon gave no reason")
    if name == INTERFACE + "NoSuchSession":
        return NoSuchSession(str(p.get("name", "")))
    if name == INTERFACE + "NoSuchCall":
        return NoSuchCall(str(p.get("call", "")))
    if name == INTERFACE + "InvalidIntent":
        return InvalidIntent(str(p.get("field", "")), reason)
    if name in (INTERFACE + "PermissionDenied", SERVICE + "PermissionDenied"):
        return PermissionDenied(reason)
    if name == INTERFACE + "InToolCall":
        return InToolCall(str(p.get("call", "")))
    if name == INTERFACE + "LimitExceeded":
        return LimitExceeded(str(p.get("what", "this")), int(p.get("limit") or 0))
    if name == INTERFACE + "NotSupported":
        return NotSupported(f"not possible here: {reason}")
    if name == SERVICE + "InvalidParameter":
        return InvalidParameter(str(p.get("parameter", "?")))
    if name in (SERVICE + "MethodNotFound", SERVICE + "MethodNotImplemented"):
        return NotSupported("the daemon is older than this package: update it")
    return ProtocolError(f"the daemon says {name} {dict(p) or ''}".rstrip())


def no_daemon(socket: str, e: OSError) -> NoDaemon:
    if isinstance(e, (FileNotFoundError, ConnectionRefusedError)):
        return NoDaemon(f"no daemon at {socket}; start it: systemctl start agentcgd, or, as root: agentcgd")
    return NoDaemon(f"cannot connect to the daemon at {socket}: {e.strerror or e}")


def hung_up() -> NoDaemon:
    return NoDaemon("the daemon hung up: it was stopped or restarted, or this user has too many connections")


def silent() -> NoDaemon:
    return NoDaemon("the daemon does not answer")


# ---- parameters --------------------------------------------------------------

def describe(command: Union[str, bytes, "os.PathLike[Any]", Sequence[Any], None]) -> Optional[List[str]]:
    """For those who look at the status, not to run it: the beginning will do."""
    if command is None:
        return None
    words: List[Any] = [command] if isinstance(command, (str, bytes, os.PathLike)) else list(command)
    out: List[str] = []
    left = COMMAND_MAX
    for word in words:
        text = os.fsencode(word).decode("utf-8", "replace").replace("\0", "?")[:left]
        out.append(text)
        left -= len(text) + 1
        if left <= 0:
            break
    return out or None


def open_session(name: str, priority: Optional[Priority], budget: Optional[Size], reserve: Optional[Size],
                 time_left: Optional[Time] = None, calls_left: Optional[int] = None, tied: bool = False) -> Json:
    """@tied: to the process of the descriptor that goes with it."""
    return {"name": name, "timeLeft": None if time_left is None else time_text(time_left), "callsLeft": calls_left,
            "priority": None if priority is None else parse_priority(priority),
            "budget": None if budget is None else parse_size(budget),
            "reserve": None if reserve is None else parse_size(reserve),
            "pidFd": 0 if tied else None}


def begin_call(session: Optional[str], command: Any, intent: Optional[Intent], priority: Optional[Priority],
               agent: bool, wait: bool = False, group: Optional[str] = None, after: Optional[Sequence[str]] = None,
               may_control: bool = False) -> Json:
    return {"session": session, "command": describe(command), "agent": True if agent else None,
            "mayControl": True if may_control else None,
            "wait": True if wait else None, "group": group, "after": None if after is None else list(after),
            "priority": None if priority is None else parse_priority(priority),
            "intent": intent.to_json() if intent else None}


def adjust_call(call: str, intent: Optional[Intent], priority: Optional[Priority]) -> Json:
    return {"call": call, "intent": intent.to_json() if intent else None,
            "priority": None if priority is None else parse_priority(priority)}


def get_history(command: Any, kind: Optional[str], limit: Optional[int], uid: Optional[int]) -> Json:
    return {"command": describe(command), "kind": kind, "limit": limit, "uid": uid}


def declare_intent(session: Optional[str], intent: Intent, command: Any) -> Json:
    return {"session": session, "intent": intent.to_json(), "command": describe(command)}


# ---- replies -----------------------------------------------------------------

def notes(p: Mapping[str, Any]) -> List[str]:
    """What was not granted as asked, and why."""
    return [str(n) for n in p.get("notes") or []]


class Begun:
    """The reply of BeginCall."""

    def __init__(self, p: Mapping[str, Any], fds: List[int]) -> None:
        try:
            self.call, self.cgroup, index = str(p["call"]), str(p["cgroup"]), p["cgroupFd"]
            self.granted = Granted.from_json(p.get("granted"))
            self.notes = notes(p)
            self.queued_usec = int(p.get("queuedUSec") or 0)
            if not isinstance(index, int) or not 0 <= index < len(fds):
                raise ProtocolError("the daemon sent no descriptor of the call's group")
        except KeyError as e:
            raise ProtocolError(f"the daemon's reply lacks {e}") from None
        self.cgroup_fd = fds.pop(index)


def result(p: Mapping[str, Any], intent: Intent, granted: Optional[Granted]) -> Result:
    r = read(Result, p.get("result"))
    return replace(r, running=bool(p.get("running")), intent=intent, granted=granted)


def history(p: Mapping[str, Any]) -> List[KindHistory]:
    return [read(KindHistory, k) for k in p.get("kinds") or []]


def uncontrolled(text: str, intent: Intent, granted: Optional[Granted] = None, outcome: str = "uncontrolled") -> Result:
    return Result(outcome, text, controlled=False, intent=intent, granted=granted)


def overdue(intent: Intent) -> str:
    return f"killed: timeout after {intent.to_json().get('timeout')}."


# ---- without the daemon ------------------------------------------------------

def added(intent: Intent, more: Intent) -> Intent:
    """What holds after an adjustment: what is not said stays."""
    return replace(intent, **{k: v for k, v in vars(more).items() if v is not None})


def time_left(granted: Optional[Granted], intent: Intent, elapsed: float) -> Optional[float]:
    """Seconds until a call's timeout, which the daemon enforces unless it is away."""
    if granted:
        if granted.timeout_usec is None:
            return None
        limit = granted.timeout_usec / 1e6
    elif intent.timeout is not None:
        limit = parse_time(intent.timeout)
    else:
        return None
    return max(0.0, limit - elapsed)


def kill_group(cgroup_fd: int) -> bool:
    """False: we may not."""
    try:
        fd = os.open("cgroup.kill", os.O_WRONLY, dir_fd=cgroup_fd)
    except OSError:
        return False
    try:
        os.write(fd, b"1")
    except OSError:
        pass
    finally:
        os.close(fd)
    return True


def out_of_time(result: Result, intent: Intent, granted: Optional[Granted]) -> Result:
    """Of a call that we killed ourselves."""
    if result.controlled:
        return result
    return uncontrolled(f"{overdue(intent)} {result.text}", intent, granted, "timeout")


# ---- input and output of run() -----------------------------------------------

class Output:
    """Bytes or text, as subprocess.run() has it."""

    def __init__(self, options: Dict[str, Any]) -> None:
        """Takes its own out of @options."""
        self.encoding: Optional[str] = options.pop("encoding", None)
        self.errors: Optional[str] = options.pop("errors", None)
        text = options.pop("text", None) or options.pop("universal_newlines", None)
        options.pop("universal_newlines", None)
        self.text = bool(text or self.encoding or self.errors)

    def encode(self, data: Union[str, bytes, None]) -> bytes:
        if isinstance(data, str):
            return data.encode(self._name(), self.errors or "strict")
        return data or b""

    def decode(self, data: Optional[bytearray]) -> Union[str, bytes, None]:
        if data is None:
            return None
        if not self.text:
            return bytes(data)
        return data.decode(self._name(), self.errors or "strict").replace("\r\n", "\n").replace("\r", "\n")

    def _name(self) -> str:
        return self.encoding or locale.getpreferredencoding(False)


def run_options(options: Dict[str, Any], data: Any, capture_output: bool) -> Output:
    """Makes of what run() was given what Popen takes."""
    if data is not None:
        if options.get("stdin") is not None:
            raise ValueError("say input or stdin, not both")
        options["stdin"] = subprocess.PIPE
    if capture_output:
        if options.get("stdout") is not None or options.get("stderr") is not None:
            raise ValueError("say capture_output, or stdout and stderr, not both")
        options["stdout"] = options["stderr"] = subprocess.PIPE
    if "timeout" in options:
        raise ValueError('say intent=Intent(timeout="30s"): it holds for all processes of the call')
    return Output(options)


def drain_seconds(result: Result) -> float:
    """So long after the end may output still come: of a call that was killed its last; else others may hold the pipe."""
    return 5.0 if result.controlled and not result.running else 0.2
