# SPDX-License-Identifier: MIT
"""What is said and what is told back, and the errors.  Sizes are bytes, times microseconds."""
from __future__ import annotations

import dataclasses
import datetime
import re
import subprocess
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Type, TypeVar, Union

Size = Union[int, str]
Cpus = Union[int, float, str]
Time = Union[str, datetime.timedelta]
Priority = Union[int, str]
Json = Dict[str, Any]
T = TypeVar("T")

MIB = 1 << 20
_SIZES = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_TIMES = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PRIORITIES = {"low": 250, "normal": 500, "high": 750}


# ---- errors ------------------------------------------------------------------

class AgentcgError(Exception):
    """All errors of this package."""


class NoDaemon(AgentcgError):
    """No daemon answers; the text says what to do."""


class PermissionDenied(AgentcgError):
    """It belongs to another user, or only root may."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not allowed: {reason}")
        self.reason = reason


class InToolCall(PermissionDenied):
    """This process is part of the tool call `call`, which may not speak for its session: just start the command, or begin
    the call with `may_control`."""

    def __init__(self, call: str) -> None:
        super().__init__(f"this is part of the tool call {call}, which may not speak for its session")
        self.call = call


class InvalidIntent(AgentcgError, ValueError):
    """The intent cannot be understood: `field` is wrong, `reason` tells what to say instead."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field or 'the intent'}: {reason}")
        self.field, self.reason = field, reason


class InvalidParameter(AgentcgError, ValueError):
    """The daemon refuses the value of `parameter`."""

    def __init__(self, parameter: str) -> None:
        super().__init__(f"the daemon refuses the value of '{parameter}'")
        self.parameter = parameter


class LimitExceeded(AgentcgError):
    """The policy allows no more than `limit` of `what`: end some first."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"too much: the policy allows {limit} for {what}")
        self.what, self.limit = what, limit


class NoSuchCall(AgentcgError):
    def __init__(self, call: str) -> None:
        super().__init__(f"there is no call '{call}', or it has ended")
        self.call = call


class NoSuchSession(AgentcgError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no session '{name}', or it is being closed")
        self.name = name


class NotSupported(AgentcgError):
    """Not possible on this machine, or with this version of the daemon."""


class ProtocolError(AgentcgError):
    """The other side does not speak as it should."""


# ---- units -------------------------------------------------------------------

def parse_size(size: Size) -> int:
    """512, "512Mi" → bytes."""
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        return size
    match = re.fullmatch(r"([0-9]+)(|Ki|Mi|Gi|Ti)", size) if isinstance(size, str) else None
    if not match:
        raise ValueError(f"{size!r} is no size: say bytes, or 512Ki, 512Mi, 2Gi (a bare M or G is ambiguous)")
    return int(match[1]) * _SIZES[match[2]]


def parse_time(time: Time) -> float:
    """"5m" → seconds."""
    if isinstance(time, datetime.timedelta):
        return time.total_seconds()
    match = re.fullmatch(r"([0-9]+)(ms|s|m|h)", time) if isinstance(time, str) else None
    if not match:
        raise ValueError(f"{time!r} is no time: say 500ms, 30s, 5m or 2h, or a timedelta")
    return int(match[1]) * _TIMES[match[2]]


def format_size(size: int) -> str:
    """In whole MiB where it is that."""
    return f"{size // MIB}Mi" if size and size % MIB == 0 else str(size)


def parse_priority(priority: Priority) -> int:
    if isinstance(priority, str):
        if priority not in _PRIORITIES:
            raise ValueError(f"{priority!r} is no priority: say low, normal, high, or 0 to 1000")
        return _PRIORITIES[priority]
    return priority


def time_text(time: Time) -> str:
    if isinstance(time, datetime.timedelta):
        return f"{round(time.total_seconds() * 1000)}ms"
    return time


# ---- an intent ---------------------------------------------------------------

@dataclass(frozen=True)
class Intent:
    """What a call is about to need.  A wish: the owner's policy grants it, or cuts it and says so."""

    cpu: Optional[Cpus] = None
    """CPUs, 2 or "500m": its share beside others of its priority."""
    cpu_max: Optional[Cpus] = None
    """CPUs that it never gets more of."""
    memory: Optional[Size] = None
    """What it will probably need, such as "512Mi"; kept free for it, no limit."""
    memory_max: Optional[Size] = None
    """Above this the call is killed, and only the call."""
    pids_max: Optional[int] = None
    """Processes and threads at once."""
    timeout: Optional[Time] = None
    """Such as "5m": then all of it is killed."""
    deadline: Optional[Time] = None
    """When it should be done: as this comes closer it goes first among equals."""
    duration: Optional[Time] = None
    """How long it will probably take."""
    latency: Optional[str] = None
    """"interactive" or "batch"."""
    on_pressure: Optional[str] = None
    """If memory stays short: "throttle", "freeze" or "kill" (it can be run again)."""
    detach: Optional[bool] = None
    """Its processes may outlive the call: a server, say."""

    def to_json(self) -> Json:
        """As the protocol has it."""
        out: Json = {}
        requests = {"cpu": self.cpu, "memory": self.memory}
        limits = {"cpu": self.cpu_max, "memory": self.memory_max, "pids": self.pids_max}
        for name, part in (("requests", requests), ("limits", limits)):
            said = {k: v for k, v in part.items() if v is not None}
            if said:
                out[name] = said
        for name in ("timeout", "deadline", "duration"):
            if getattr(self, name) is not None:
                out[name] = time_text(getattr(self, name))
        for name in ("latency", "on_pressure", "detach"):
            if getattr(self, name) is not None:
                out[name] = getattr(self, name)
        return out

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Intent:
        """The reverse.  InvalidIntent: a field is not known."""
        said: Json = {}
        known = {
            "requests": {"cpu": "cpu", "memory": "memory"},
            "limits": {"cpu": "cpu_max", "memory": "memory_max", "pids": "pids_max"},
        }
        for name, v in value.items():
            if v is None:
                continue
            if name in known:
                if not isinstance(v, Mapping):
                    raise InvalidIntent(name, 'say an object, such as {"memory": "512Mi"}')
                for inner, w in v.items():
                    if inner in ("gpu_memory", "io"):
                        continue  # reserved
                    if inner not in known[name]:
                        raise InvalidIntent(f"{name}.{inner}", f"there is no such field; {name} has {', '.join(known[name])}")
                    said[known[name][inner]] = w
            elif name in ("timeout", "deadline", "duration", "latency", "on_pressure", "detach"):
                said[name] = v
            else:
                raise InvalidIntent(str(name), "there is no such field; an intent has requests, limits, timeout, "
                                    "deadline, duration, latency, on_pressure, detach")
        return cls(**said)

    @classmethod
    def from_mcp(cls, annotations: Optional[Mapping[str, Any]] = None,
                 meta: Optional[Mapping[str, Any]] = None) -> Intent:
        """Of an MCP tool's annotations and the _meta of the tool, or of the request.

        - `_meta["io.agentcg/intent"]` is an intent as the protocol has it, and is heard first.
        - `readOnlyHint` or `idempotentHint`: it can be run again, so `on_pressure="kill"`.
        - `destructiveHint` (said, and not read-only or idempotent): never stop it half-way, so
          `on_pressure="throttle"`.

        Annotations are hints of a server that may be wrong; none of these can raise what the policy allows.
        """
        said = (meta or {}).get("io.agentcg/intent")
        if said is not None and not isinstance(said, Mapping):
            raise InvalidIntent("io.agentcg/intent", "say an object, such as {\"requests\": {\"memory\": \"512Mi\"}}")
        intent = cls.from_json(said or {})
        hints = annotations or {}
        if intent.on_pressure is None:
            if hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True:
                intent = dataclasses.replace(intent, on_pressure="kill")
            elif hints.get("destructiveHint") is True:
                intent = dataclasses.replace(intent, on_pressure="throttle")
        return intent


# ---- what is told back -------------------------------------------------------

def _snake(name: str) -> str:
    name = name.replace("USec", "Usec").replace("NSec", "Nsec").replace("CPU", "Cpu")
    return re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), name)


def read(cls: Type[T], value: Any) -> T:
    """A reply's object as a dataclass.  What a newer daemon adds is left out; what is missing keeps its default."""
    if not isinstance(value, Mapping):
        raise ProtocolError(f"{cls.__name__}: the daemon sent no object")
    names = {f.name for f in dataclasses.fields(cls)}
    said = {_snake(k): v for k, v in value.items() if v is not None}
    try:
        return cls(**{k: v for k, v in said.items() if k in names})
    except TypeError as e:
        raise ProtocolError(f"{cls.__name__}: {e}") from None


@dataclass(frozen=True)
class Granted:
    """What a call got of its intent; None: limited by its session and the pool alone."""

    priority: int
    milli_cpu: int
    memory: int
    milli_cpu_max: Optional[int] = None
    memory_max: Optional[int] = None
    pids_max: Optional[int] = None
    timeout_usec: Optional[int] = None
    deadline_usec: Optional[int] = None
    latency: Optional[str] = None
    on_pressure: str = "freeze"
    detach: bool = False

    @classmethod
    def from_json(cls, value: Any) -> Granted:
        try:
            requests, limits = value["requests"], value["limits"]
            flat = dict(value, milliCPU=requests["milliCPU"], memory=requests["memory"])
            for ours, theirs in (("milliCPUMax", "milliCPU"), ("memoryMax", "memory"), ("pidsMax", "pids")):
                flat[ours] = limits.get(theirs)
        except (KeyError, TypeError) as e:
            raise ProtocolError(f"Granted: the daemon's reply lacks {e}") from None
        return read(cls, flat)


@dataclass(frozen=True)
class Result:
    """What became of a call.  `text` is for the model to act on."""

    outcome: str
    """ok, held, throttled, oom_killed, timeout, killed_by_policy, pids_exceeded;
    uncontrolled: no daemon saw it, `text` says why."""
    text: str
    memory_peak: int = 0
    memory_max: Optional[int] = None
    request: int = 0
    held_usec: int = 0
    holds: int = 0
    throttles: int = 0
    oom_kills: int = 0
    pids_exceeded: int = 0
    retry: Optional[str] = None
    """What may help: later, larger, smaller; None: nothing failed."""
    suggested_request: Optional[int] = None
    """What to request the next time, in bytes."""
    running: bool = False
    """It is detached and goes on."""
    controlled: bool = True
    """Whether the daemon was there to see it."""
    intent: Intent = field(default=Intent(), repr=False)
    granted: Optional[Granted] = field(default=None, repr=False)

    def retry_intent(self) -> Optional[Intent]:
        """What to say when the same is tried again; None: nothing failed, or the same again cannot help."""
        if self.retry not in ("later", "larger"):
            return None
        changes: Dict[str, Any] = {}
        if self.suggested_request:
            changes["memory"] = format_size(self.suggested_request)
        if self.retry == "larger":
            changes.update(self._larger())
        return dataclasses.replace(self.intent, **changes)

    def _larger(self) -> Dict[str, Any]:
        g = self.granted
        if self.outcome == "oom_killed" and self.memory_max:
            fifth_more = (self.memory_max * 6 // 5 + MIB - 1) // MIB * MIB
            return {"memory_max": format_size(max(fifth_more, self.suggested_request or 0))}
        if self.outcome == "timeout" and g and g.timeout_usec:
            return {"timeout": f"{g.timeout_usec * 2 // 1000}ms"}
        if self.outcome == "pids_exceeded" and g and g.pids_max:
            return {"pids_max": g.pids_max * 2}
        return {}


@dataclass(frozen=True)
class Finished:
    """A call that has ended."""

    seq: int
    """Counts the session's calls that ended, anew with each start of the daemon."""
    call: str
    command: List[str]
    result: Result
    exit_usec: Optional[int] = None
    """CLOCK_REALTIME"""

    @classmethod
    def from_json(cls, value: Any) -> Finished:
        result = value.get("result") if isinstance(value, Mapping) else None
        return read(cls, dict(value, result=read(Result, result)))


@dataclass(frozen=True)
class Pool:
    """The memory that all sessions share."""

    cgroup: str
    memory_max: int
    memory_current: int
    reserve: int
    headroom: int
    enforcement: str
    reason: Optional[str] = None
    counters: Dict[str, int] = field(default_factory=dict)
    scheduler: str = "weights"
    scheduler_since_usec: Optional[int] = None
    scheduler_reason: Optional[str] = None


@dataclass(frozen=True)
class CallStatus:
    call: str
    cgroup: str
    command: List[str]
    priority: int
    request: int
    memory_current: int
    memory_peak: int
    phase: str
    held_usec: int
    holds: int
    age_usec: int
    memory_max: Optional[int] = None
    timeout_usec: Optional[int] = None
    latency: Optional[str] = None
    deadline_usec: Optional[int] = None
    detached: bool = False
    group: Optional[str] = None


@dataclass(frozen=True)
class Waiting:
    """A call that waits to begin."""

    session: str
    command: List[str]
    position: int
    priority: int
    request: int
    lacks: str
    """memory, budget, calls (there are too many), after (others are to end first), turn"""
    waiting_usec: int
    group: Optional[str] = None


@dataclass(frozen=True)
class SessionStatus:
    name: str
    cgroup: str
    uid: int
    priority: int
    reserve: int
    memory_current: int
    calls: List[CallStatus]
    budget: Optional[int] = None
    time_left_usec: Optional[int] = None
    calls_left: Optional[int] = None

    @classmethod
    def from_json(cls, value: Any) -> SessionStatus:
        calls = value.get("calls") if isinstance(value, Mapping) else None
        return read(cls, dict(value, calls=[read(CallStatus, c) for c in calls or []]))


@dataclass(frozen=True)
class Allowed:
    """What the policy allows this user at most; None: as much as there is."""

    calls_per_session: int = 0
    detached_calls: int = 0
    """Of one session, that may outlive their clients."""
    memory: Optional[int] = None
    """Of one call, as are milli_cpu, pids and timeout_usec."""
    milli_cpu: Optional[int] = None
    pids: Optional[int] = None
    timeout_usec: Optional[int] = None
    sessions: Optional[int] = None
    calls: Optional[int] = None
    """In all sessions together."""
    budget: Optional[int] = None
    """Bytes that all sessions may use together."""


@dataclass(frozen=True)
class Status:
    pool: Pool
    sessions: List[SessionStatus]
    waiting: List[Waiting] = field(default_factory=list)
    """Calls that are to begin, in their order."""
    allowed: Optional[Allowed] = None
    """None: the daemon is older than this."""

    @property
    def calls(self) -> List[CallStatus]:
        return [c for s in self.sessions for c in s.calls]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Status:
        allowed = value.get("allowed")
        return cls(read(Pool, value.get("pool")), [SessionStatus.from_json(s) for s in value.get("sessions") or []],
                   [read(Waiting, w) for w in value.get("waiting") or []], read(Allowed, allowed) if allowed else None)


@dataclass(frozen=True)
class Event:
    """hold, release, expired, frozen, thawed, killed, timeout, oom, queued (`call` is the session), admitted, retry, pressure, budget."""

    event: str
    call: str
    """SESSION/tool-N; of pressure and budget: SESSION, or empty for the pool."""
    text: str
    memory_current: int
    headroom: int
    time_usec: int
    """CLOCK_REALTIME"""
    lost: int = 0
    """Events skipped before this one: we read too slowly."""


@dataclass(frozen=True)
class Killed:
    """A call that was killed with its session or group."""

    call: str
    command: List[str]


@dataclass(frozen=True)
class Closed:
    """What closing a session did: whom it killed, how many detached calls go on."""

    killed: List[Killed]
    detached: int

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Closed:
        return cls([read(Killed, k) for k in value.get("killed") or []], value.get("detached") or 0)


@dataclass(frozen=True)
class GroupEnded:
    """What ending a group did: whom it killed, how many calls that waited will not begin."""

    killed: List[Killed]
    cancelled: int

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> GroupEnded:
        return cls([read(Killed, k) for k in value.get("killed") or []], value.get("cancelled") or 0)


@dataclass(frozen=True)
class KindHistory:
    """What the earlier calls of one kind needed, the newest 64."""

    kind: str
    """What such commands do, however they are spelt: pytest, git status."""
    runs: int
    failures: int
    """Killed, or could not start all of their processes."""
    peak_p50: int
    peak_p95: int
    peak_max: int
    duration_p50_usec: int
    duration_p95_usec: int
    last_usec: int
    """When the last one began, CLOCK_REALTIME."""


@dataclass(frozen=True)
class Declared:
    """What the next call would be granted of what was declared for it."""

    granted: Granted
    notes: List[str]
    """What would not be granted as asked, and why."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Declared:
        return cls(Granted.from_json(value.get("granted")), [str(n) for n in value.get("notes") or []])


@dataclass(frozen=True)
class Attachment:
    """A shell or framework whose calls get leaves without its doing."""

    session: str
    call: str
    """That the process itself is in now."""
    kind: str
    """shell or framework"""
    notes: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ticket:
    """For one command that cannot ask itself; "agentcg enter TICKET" moves who starts that into the call."""

    ticket: str
    call: str
    expires_usec: int
    notes: List[str] = field(default_factory=list)


class Completed(subprocess.CompletedProcess):  # type: ignore[type-arg]
    """As subprocess.run() returns it, and the call's result."""

    result: Result
    call: str
    """SESSION/tool-N; empty if it ran without control."""
    notes: List[str]
    """What was not granted as asked, and why."""

    def __init__(self, args: Any, returncode: int, stdout: Any, stderr: Any,
                 result: Result, call: str, notes: List[str]) -> None:
        super().__init__(args, returncode, stdout, stderr)
        self.result, self.call, self.notes = result, call, notes

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, result={self.result!r})"

    def check_returncode(self) -> None:
        if self.returncode:
            raise CallFailed(self)


class CallFailed(AgentcgError, subprocess.CalledProcessError):
    """check=True, and the command failed."""

    def __init__(self, completed: Completed) -> None:
        subprocess.CalledProcessError.__init__(
            self, completed.returncode, completed.args, completed.stdout, completed.stderr)
        self.result = completed.result

    def __str__(self) -> str:
        return f"{subprocess.CalledProcessError.__str__(self)} {self.result.text}"
