# SPDX-License-Identifier: MIT
"""The plain client.  May be used from many threads: each call has a connection of its own."""
from __future__ import annotations

import os
import select
import selectors
import socket as sockets
import subprocess
import threading
import time
from types import TracebackType
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple, Type, Union

from . import protocol
from .launcher import Launch
from .types import (AgentcgError, Attachment, Closed, Completed, Declared, Event, Finished, Granted, GroupEnded, Intent, Json, KindHistory,
                    NoDaemon, NoSuchCall, NoSuchSession, Priority, ProtocolError, Result, Size, Status, Ticket, Time, parse_time,
                    read)


class _Link:
    """A connection.  One request at a time."""

    def __init__(self, path: str) -> None:
        self.decoder = protocol.Decoder()
        self.socket = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        try:
            self.socket.connect(path)
        except OSError as e:
            self.socket.close()
            raise protocol.no_daemon(path, e) from None
        self.socket.settimeout(protocol.REPLY_SECONDS)

    def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        try:
            sent = sockets.send_fds(self.socket, [data], list(fds)) if fds else self.socket.send(data)
            self.socket.sendall(data[sent:])
        except OSError:
            self.close()
            raise protocol.hung_up() from None

    def receive(self) -> Tuple[Json, List[int]]:
        """TimeoutError: nothing came within the socket's timeout."""
        while True:
            message = self.decoder.next()
            if message:
                return message
            try:
                data, fds = protocol.receive(self.socket)
            except sockets.timeout:
                raise
            except OSError:
                data, fds = b"", []
            self.decoder.feed(data, fds)
            if not data:
                self.close()
                raise protocol.hung_up()

    def call(self, method: str, parameters: Json, fds: Sequence[int] = ()) -> Tuple[Json, List[int]]:
        self.send(protocol.request(method, parameters), fds)
        try:
            message, got = self.receive()
        except sockets.timeout:
            self.close()
            raise protocol.silent() from None
        except BaseException:   # the reply would be taken for that of the next request
            self.close()
            raise
        try:
            return protocol.reply(message), got
        except AgentcgError:
            protocol.close_all(got)
            raise

    def hung_up(self) -> bool:
        try:
            return self.socket.recv(1, sockets.MSG_PEEK | sockets.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self.socket.close()
        self.decoder.close()


class _Keeper:
    """Claims the calls again when the daemon was restarted, whatever their owners do meanwhile.

    A thread that is there as long as calls are.
    """

    def __init__(self) -> None:
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._calls: Set[Call] = set()
        self._thread: Optional[threading.Thread] = None
        self._wake: Optional[Tuple[sockets.socket, sockets.socket]] = None

    def add(self, call: Call) -> None:
        with self._lock:
            self._calls.add(call)
            if not self._wake:
                self._wake = sockets.socketpair()
                self._wake[1].setblocking(False)
            if not self._thread:
                self._thread = threading.Thread(target=self._run, name="agentcg", daemon=True)
                self._thread.start()
            self._wake[0].send(b"\0")

    def remove(self, call: Call) -> None:
        with self._lock:
            self._calls.discard(call)
            if self._wake and not self._calls:
                self._wake[0].send(b"\0")

    def _run(self) -> None:
        while True:
            with self._lock:
                calls = list(self._calls)
                if not calls or not self._wake:
                    self._thread = None
                    return
                wake = self._wake[1]
            poll = select.poll()
            poll.register(wake, select.POLLIN)
            connected = {}
            for call in calls:
                fd = call._link_fd()
                if fd >= 0:
                    poll.register(fd, select.POLLRDHUP)
                    connected[fd] = call
            events = poll.poll(None if len(connected) == len(calls) else protocol.RETRY_SECONDS * 1000)
            try:
                wake.recv(1 << 16)
            except BlockingIOError:
                pass
            lost = [connected[fd] for fd, _ in events if fd in connected]
            busy = False
            for call in lost + [c for c in calls if c not in connected.values()]:
                busy |= not call._look_after()
            if busy:
                time.sleep(0.02)


_keeper = _Keeper()


class Call:
    """A tool call: a group of processes with what was granted to it.  Ends with the `with` block, or end()."""

    def __init__(self, path: str, link: Optional[_Link], begun: Optional[protocol.Begun], intent: Intent,
                 why: str = "") -> None:
        self._path, self._link, self._intent, self._why = path, link, intent, why
        self._lock = threading.RLock()
        self._processes: List["subprocess.Popen[Any]"] = []
        self._orphaned = False
        self._retry = self._give_up = 0.0
        self.name: str = begun.call if begun else ""
        """SESSION/tool-N"""
        self.cgroup: str = begun.cgroup if begun else ""
        """Path below the cgroup mount."""
        self.cgroup_fd: int = begun.cgroup_fd if begun else -1
        """Its directory, until the call ends."""
        self.granted: Optional[Granted] = begun.granted if begun else None
        self.notes: List[str] = begun.notes if begun else []
        """What was not granted as asked, and why; what it has waited for."""
        self.queued_usec: int = begun.queued_usec if begun else 0
        """How long it has waited to begin."""
        self.result: Optional[Result] = None
        self._began = time.monotonic()
        if begun:
            _keeper.add(self)

    @property
    def controlled(self) -> bool:
        """False: there is no daemon (required=False); commands run all the same."""
        return bool(self.name)

    def __enter__(self) -> Call:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        try:
            self.end()
        except AgentcgError:
            if kind is None:
                raise

    def __repr__(self) -> str:
        return f"<agentcg.Call {self.name or 'uncontrolled'}>"

    # ---- what can be done with it

    def popen(self, args: Any, **options: Any) -> "subprocess.Popen[Any]":
        """subprocess.Popen(), and the process is in the call before it executes the command."""
        if not self.controlled:
            process: "subprocess.Popen[Any]" = subprocess.Popen(args, **options)
            self._processes.append(process)
            return process
        launch = Launch(args, options, self.granted.priority if self.granted else 500)
        try:
            process = subprocess.Popen(launch.argv, **launch.options)
            try:
                launch.started()
                self.attach(process.pid)
                launch.go()
                done, said = False, b""
                while not done:
                    done, said = launch.answer(said)
                problem: Optional[Exception] = launch.judge(said)
                if not said and process.wait() > 0:
                    problem = ProtocolError(f"{launch.argv[0]} cannot start commands: it ended with {process.returncode}")
                if problem:
                    raise problem
            except BaseException:
                process.kill()
                with process:
                    pass
                raise
        finally:
            launch.close()
        process.args = args
        self._processes.append(process)
        return process

    def attach(self, pid: int) -> None:
        """Moves a process of ours into the call."""
        pidfd = os.pidfd_open(pid)
        try:
            self._request("AttachProcess", {"call": self.name, "pidFd": 0}, [pidfd])
        finally:
            os.close(pidfd)

    def adjust(self, intent: Optional[Intent] = None, *, priority: Optional[Priority] = None) -> Granted:
        """Asks for something else while it runs; what is not said stays."""
        p = self._request("AdjustCall", protocol.adjust_call(self.name, intent, priority))
        self.granted = Granted.from_json(p.get("granted"))
        self.notes = protocol.notes(p)
        if intent:
            self._intent = protocol.added(self._intent, intent)
        return self.granted

    def release(self) -> int:
        """Lets it go on now if it is held.  How many of its tasks did."""
        return int(self._request("Release", {"call": self.name}).get("woken") or 0)

    def end(self, *, kill: bool = False) -> Result:
        """Kills what is left of it and tells how it went.  Detached, it goes on, unless `kill`."""
        with self._lock:
            if self.result is None:
                self.result = self._end(kill) if self.controlled else self._end_uncontrolled()
            return self.result

    # ---- the connection, with the lock held

    def _end(self, kill: bool) -> Result:
        _keeper.remove(self)
        try:
            p = self._request("EndCall", {"call": self.name, "kill": True if kill else None})
            return protocol.result(p, self._intent, self.granted)
        except NoSuchCall:
            return protocol.uncontrolled(protocol.LOST, self._intent, self.granted)
        except NoDaemon:
            self._kill_by_hand()
            return protocol.uncontrolled(protocol.GONE, self._intent, self.granted)
        finally:
            if self._link:
                self._link.close()
            os.close(self.cgroup_fd)
            self.cgroup_fd = -1

    def _end_uncontrolled(self) -> Result:
        for process in self._processes:
            if process.poll() is None and not self._intent.detach:
                process.kill()
                process.wait()
        return protocol.uncontrolled(f"it ran without control: {self._why}", self._intent)

    def _request(self, method: str, parameters: Json, fds: Sequence[int] = ()) -> Json:
        if not self.controlled:
            raise NoDaemon(self._why)
        with self._lock:
            if self.result:
                raise NoSuchCall(self.name)
            while True:
                while not self._link and not self._orphaned and not self._reclaim():
                    if time.monotonic() >= self._give_up:
                        raise NoDaemon("the daemon is gone")
                    time.sleep(protocol.RETRY_SECONDS)
                if not self._link:
                    raise NoSuchCall(self.name)
                try:
                    p, got = self._link.call(method, parameters, fds)
                    protocol.close_all(got)
                    return p
                except NoDaemon:
                    self._drop()

    def _drop(self) -> None:
        if self._link:
            self._link.close()
        self._link = None
        self._retry = time.monotonic()
        self._give_up = self._retry + protocol.CLAIM_SECONDS

    def _reclaim(self) -> bool:
        if self.result or self._orphaned:
            return False
        now = time.monotonic()
        self._retry = now + (protocol.RETRY_SECONDS if now < self._give_up else protocol.RETRY_SLOW_SECONDS)
        try:
            link = _Link(self._path)
        except NoDaemon:
            return False
        try:
            _, got = link.call("ClaimCall", {"call": self.name})
            protocol.close_all(got)
        except NoDaemon:
            return False
        except AgentcgError:    # it answers, but not for this call: asking again is no use
            link.close()
            self._orphaned = True
            _keeper.remove(self)
            return False
        self._link = link
        return True

    # ---- for the keeper

    def _link_fd(self) -> int:
        link = self._link
        return link.socket.fileno() if link else -1

    def _look_after(self) -> bool:
        """False: somebody is at it just now."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            if self._link and self._link.hung_up():
                self._drop()
            if not self._link and not self._orphaned and time.monotonic() >= self._retry:
                self._reclaim()
            return True
        finally:
            self._lock.release()

    # ---- without the daemon

    def _kill_by_hand(self) -> None:
        if not protocol.kill_group(self.cgroup_fd):
            for process in self._processes:
                if process.poll() is None:
                    process.kill()

    def _left(self) -> Optional[float]:
        return protocol.time_left(self.granted, self._intent, time.monotonic() - self._began)

    def _run(self, args: Any, data: bytes, options: Dict[str, Any]) -> Tuple[int, Any, Any, Result]:
        """The command to its end; what it leaves behind neither holds us up nor survives."""
        if self._intent.timeout is not None and not self.controlled:
            parse_time(self._intent.timeout)
        process = self.popen(args, **options)
        pump = _Pump(process, data)
        try:
            timed_out = False
            while not pump.exited:
                left = self._left() if not timed_out else None
                alone = not self.controlled or not self._link
                pump.step(None if left is None else left if alone and left else 1.0)
                if left == 0 and alone and not pump.exited:
                    timed_out = True
                    if self.controlled:
                        self._kill_by_hand()
                    process.kill()
            result = self.end()
            if timed_out:
                result = self.result = protocol.out_of_time(result, self._intent, self.granted)
            pump.drain(protocol.drain_seconds(result))
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            pump.close()
        return process.wait(), pump.out, pump.err, result


class _Pump:
    """Input and output of a process, and its exit, which does not wait for those who still hold the pipes."""

    def __init__(self, process: "subprocess.Popen[Any]", data: bytes) -> None:
        self.exited = False
        self._process, self._data = process, memoryview(data)
        self._selector = selectors.DefaultSelector()
        self._pidfd = os.pidfd_open(process.pid)
        self._selector.register(self._pidfd, selectors.EVENT_READ)
        self._buffers: Dict[int, bytearray] = {}
        self.out = self._add(process.stdout)
        self.err = self._add(process.stderr)
        if process.stdin:
            os.set_blocking(process.stdin.fileno(), False)
            self._selector.register(process.stdin.fileno(), selectors.EVENT_WRITE)

    def _add(self, pipe: Any) -> Optional[bytearray]:
        if pipe is None:
            return None
        fd = pipe.fileno()
        os.set_blocking(fd, False)
        self._selector.register(fd, selectors.EVENT_READ)
        self._buffers[fd] = bytearray()
        return self._buffers[fd]

    def step(self, timeout: Optional[float]) -> None:
        for key, _ in self._selector.select(timeout):
            if key.fd == self._pidfd:
                self._selector.unregister(key.fd)
                self.exited = True
            elif key.fd in self._buffers:
                self._read(key.fd)
            else:
                self._write(key.fd)

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return
        self._buffers[fd] += data
        if not data:
            self._selector.unregister(fd)

    def _write(self, fd: int) -> None:
        try:
            self._data = self._data[os.write(fd, self._data[:1 << 16]) if self._data else 0:]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._data = self._data[:0]
        if not self._data and self._process.stdin:
            self._selector.unregister(fd)
            self._process.stdin.close()

    def drain(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while any(fd in self._buffers for fd in self._selector.get_map()):
            left = end - time.monotonic()
            if left <= 0:
                return
            self.step(left)

    def close(self) -> None:
        self._selector.close()
        os.close(self._pidfd)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    pass


class Watch:
    """Events as they happen.  NoDaemon when the daemon goes away."""

    def __init__(self, path: str, timeout: Optional[float]) -> None:
        self._link = _Link(path)
        self._link.send(protocol.request("Watch", {}, more=True))
        self._link.socket.settimeout(timeout)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            message, fds = self._link.receive()
        except sockets.timeout:
            raise StopIteration from None
        protocol.close_all(fds)
        return read(Event, protocol.reply(message))

    def close(self) -> None:
        self._link.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Client:
    """Talks to agentcgd.  `required=False`: without a daemon commands run uncontrolled, and their results say so."""

    def __init__(self, socket: Optional[str] = None, *, required: bool = True) -> None:
        self.socket = socket or protocol.default_socket()
        self.required = required

    def session(self, name: str, **options: Any) -> Session:
        """Session(name, client=self, ...)"""
        return Session(name, client=self, **options)

    def begin_call(self, command: Union[str, Sequence[Any], None] = None, *, session: Optional[str] = None,
                   intent: Optional[Intent] = None, priority: Optional[Priority] = None, agent: bool = False,
                   wait: bool = False, group: Optional[str] = None, after: Optional[Sequence[str]] = None,
                   may_control: bool = False) -> Call:
        """A group for a call.  `command` is for those who look at the status only.

        `session`: one that does not exist is made for the call; None: the user's own.
        `agent`: it is for the agent framework itself, which is never held and never killed first.
        `wait`: for room to begin, rather than fail or be held; not for calls that only this thread can end.
        `group`: the parallel calls that it belongs to.  `after`: calls and groups of its session that are to end first.
        `may_control`: what runs in it may speak for its session, rather than get InToolCall.
        """
        parameters = protocol.begin_call(session, command, intent, priority, agent, wait, group, after, may_control)
        intent = intent or Intent()
        try:
            link = _Link(self.socket)
        except NoDaemon as e:
            if self.required:
                raise
            return Call(self.socket, None, None, intent, str(e))
        try:
            if wait or after:
                link, (p, fds) = self._wait_to_begin(link, parameters)
            else:
                p, fds = link.call("BeginCall", parameters)
            try:
                begun = protocol.Begun(p, fds)
            finally:
                protocol.close_all(fds)
        except BaseException:
            link.close()
            raise
        return Call(self.socket, link, begun, intent)

    def _wait_to_begin(self, link: _Link, parameters: Json) -> Tuple[_Link, Tuple[Json, List[int]]]:
        """The reply, however long it takes; a daemon that is restarted meanwhile is asked again."""
        give_up = 0.0
        while True:
            try:
                link.socket.settimeout(None)
                reply = link.call("BeginCall", parameters)
                link.socket.settimeout(protocol.REPLY_SECONDS)
                return link, reply
            except NoDaemon:
                link.close()
                give_up = time.monotonic() + protocol.CLAIM_SECONDS
            while True:
                try:
                    link = _Link(self.socket)
                    break
                except NoDaemon:
                    if time.monotonic() >= give_up:
                        raise
                    time.sleep(protocol.RETRY_SECONDS)

    def run(self, args: Any, *, session: Optional[str] = None, intent: Optional[Intent] = None,
            priority: Optional[Priority] = None, input: Union[str, bytes, None] = None, capture_output: bool = False,
            check: bool = False, wait: bool = True, group: Optional[str] = None, after: Optional[Sequence[str]] = None,
            **options: Any) -> Completed:
        """subprocess.run() as a tool call.  What it leaves behind is killed, unless the intent says detach.

        `wait`, `group`, `after`: as begin_call() has them.
        """
        output = protocol.run_options(options, input, capture_output)
        with self.begin_call(args, session=session, intent=intent, priority=priority, wait=wait, group=group,
                             after=after) as call:
            code, out, err, result = call._run(args, output.encode(input), options)
        done = Completed(args, code, output.decode(out), output.decode(err), result, call.name, call.notes)
        if check:
            done.check_returncode()
        return done

    def status(self) -> Status:
        """The pool, and the sessions: one's own; root sees all."""
        return Status.from_json(self.request("GetStatus"))

    def history(self, command: Union[str, Sequence[Any], None] = None, *, kind: Optional[str] = None,
                limit: Optional[int] = None, uid: Optional[int] = None) -> List[KindHistory]:
        """What earlier calls needed, by kind, those that ran last first; with `command` only its kind.  `uid`: root only."""
        return protocol.history(self.request("GetHistory", **protocol.get_history(command, kind, limit, uid)))

    def watch(self, *, timeout: Optional[float] = None) -> Watch:
        """An iterator over events; ends when none comes for `timeout` seconds."""
        return Watch(self.socket, timeout)

    def open_session(self, name: str, *, priority: Optional[Priority] = None, budget: Optional[Size] = None,
                     reserve: Optional[Size] = None, time_left: Optional[Time] = None,
                     calls_left: Optional[int] = None, pid_fd: Optional[int] = None) -> List[str]:
        """Makes a session, or changes one's own.  What was not granted as asked, and why.

        `time_left`: what its calls have together from now on ("none": no end); `calls_left`: how many are to come;
        `pid_fd`, of os.pidfd_open(): a process of one's own with which the session ends.
        """
        fds = [] if pid_fd is None else [pid_fd]
        p = self._request("OpenSession", protocol.open_session(name, priority, budget, reserve, time_left, calls_left, bool(fds)), fds)
        return protocol.notes(p)

    def declare_intent(self, intent: Intent, command: Union[str, Sequence[Any], None] = None, *,
                       session: Optional[str] = None) -> Declared:
        """For the next call of the session that says itself nothing, within ten minutes; an empty one takes it back.

        `command`: only for a call that does the same.  For those whose calls are begun by somebody else: a model's.
        """
        return Declared.from_json(self.request("DeclareIntent", **protocol.declare_intent(session, intent, command)))

    def attach_session(self, pid_fd: int, name: Optional[str] = None, *, kind: Optional[str] = None) -> Attachment:
        """Gives each call that this process of one's own starts a leaf; `kind`: "shell" or "framework", default: as it looks."""
        return read(Attachment, self._request("AttachSession", {"name": name, "kind": kind, "pidFd": 0}, [pid_fd]))

    def create_ticket(self, command: Union[str, Sequence[Any], None] = None, *, session: Optional[str] = None,
                      intent: Optional[Intent] = None) -> Ticket:
        """Begins a call for a command that cannot ask itself, as in a sandbox without sockets; good once, for a minute."""
        return read(Ticket, self.request("CreateTicket", **protocol.declare_intent(session, intent or Intent(), command)))

    def close_session(self, name: str, *, kill: bool = False) -> Closed:
        """Kills what is left of it; `kill`: also its detached calls."""
        return Closed.from_json(self.request("CloseSession", name=name, kill=True if kill else None))

    def end_group(self, session: str, group: str) -> GroupEnded:
        """Kills its calls, detached ones too; those that wait to begin raise NoSuchCall.  Whoever has a call still ends it."""
        return GroupEnded.from_json(self.request("EndGroup", session=session, group=group))

    def get_results(self, session: str, *, untold: bool = False, failed: bool = False) -> List[Finished]:
        """Its last 16 calls that ended, oldest first.

        `untold`: only those that a model should know of, each once; `failed`: only those for which something may be tried.
        """
        p = self.request("GetResults", session=session, untold=untold or None, failed=failed or None)
        return [Finished.from_json(v) for v in p.get("results") or []]

    def request(self, method: str, **parameters: Any) -> Json:
        """Any method of the interface: `varlinkctl introspect /run/agentcg/io.agentcg` lists them."""
        return self._request(method, parameters)

    def _request(self, method: str, parameters: Json, fds: Sequence[int] = ()) -> Json:
        link = _Link(self.socket)
        try:
            p, got = link.call(method, parameters, fds)
            protocol.close_all(got)
            return p
        finally:
            link.close()


class Session:
    """An agent's session: its calls share a priority and a budget.  Closed with the `with` block, unless `keep`."""

    def __init__(self, name: str, *, priority: Optional[Priority] = None, budget: Optional[Size] = None,
                 reserve: Optional[Size] = None, time_left: Optional[Time] = None, calls_left: Optional[int] = None,
                 keep: bool = False, client: Optional[Client] = None,
                 socket: Optional[str] = None, required: bool = True, pid_fd: Optional[int] = None) -> None:
        self.client = client or Client(socket, required=required)
        self.name = name
        self.notes: List[str] = []
        """What was not granted as asked, and why."""
        self.closed: Optional[Closed] = None
        self._options: Dict[str, Any] = {"priority": priority, "budget": budget, "reserve": reserve,
                                         "time_left": time_left, "calls_left": calls_left, "pid_fd": pid_fd}
        self._keep = keep

    def open(self) -> Session:
        try:
            self.notes = self.client.open_session(self.name, **self._options)
        except NoDaemon:
            if self.client.required:
                raise
        return self

    def close(self, *, kill: bool = False) -> Optional[Closed]:
        """None: it was closed already, or there is no daemon."""
        try:
            self.closed = self.client.close_session(self.name, kill=kill)
        except (NoSuchSession, NoDaemon):
            pass
        return self.closed

    def __enter__(self) -> Session:
        return self.open()

    def __exit__(self, *exception: object) -> None:
        if not self._keep:
            self.close()

    def end_group(self, group: str) -> GroupEnded:
        """Client.end_group() of this session."""
        return self.client.end_group(self.name, group)

    def get_results(self, *, untold: bool = False, failed: bool = False) -> List[Finished]:
        """Client.get_results() of this session."""
        return self.client.get_results(self.name, untold=untold, failed=failed)

    def begin_call(self, command: Union[str, Sequence[Any], None] = None, *, intent: Optional[Intent] = None,
                   priority: Optional[Priority] = None, agent: bool = False, wait: bool = False,
                   group: Optional[str] = None, after: Optional[Sequence[str]] = None,
                   may_control: bool = False) -> Call:
        """Client.begin_call() in this session."""
        return self.client.begin_call(command, session=self.name, intent=intent, priority=priority, agent=agent, wait=wait,
                                      group=group, after=after, may_control=may_control)

    def run(self, args: Any, *, intent: Optional[Intent] = None, priority: Optional[Priority] = None,
            input: Union[str, bytes, None] = None, capture_output: bool = False, check: bool = False,
            wait: bool = True, group: Optional[str] = None, after: Optional[Sequence[str]] = None, **options: Any) -> Completed:
        """Client.run() in this session."""
        return self.client.run(args, session=self.name, intent=intent, priority=priority, input=input,
                               capture_output=capture_output, check=check, wait=wait, group=group, after=after,
                               **options)

    def declare_intent(self, intent: Intent, command: Union[str, Sequence[Any], None] = None) -> Declared:
        """Client.declare_intent() in this session."""
        return self.client.declare_intent(intent, command, session=self.name)


def run(args: Any, **options: Any) -> Completed:
    """Client().run(): as one call of the user's own session."""
    return Client(required=options.pop("required", True)).run(args, **options)
