# SPDX-License-Identifier: MIT
"""The client for asyncio: the same names as in agentcg, to be awaited.

    import agentcg.aio

    async with agentcg.aio.Session("work") as s:
        r = await s.run(["pytest", "-q"], intent=agentcg.Intent(memory="512Mi"), capture_output=True)
"""
from __future__ import annotations

import asyncio
import os
import socket as sockets
from asyncio.subprocess import Process
from typing import Any, AsyncIterator, Dict, List, Optional, Sequence, Set, Tuple, Union

from . import protocol
from .launcher import Launch
from .types import (AgentcgError, Attachment, Closed, Completed, Declared, Event, Finished, Granted, GroupEnded, Intent, Json, KindHistory,
                    NoDaemon, NoSuchCall, NoSuchSession, Priority, ProtocolError, Result, Size, Status, Ticket, Time, parse_time,
                    read)

_Message = Tuple[Json, List[int]]


class _Link:
    """A connection.  One request at a time; reads whenever there is something, so it knows when the daemon goes."""

    def __init__(self, socket: sockets.socket) -> None:
        self.lost = asyncio.Event()
        self._socket = socket
        self._decoder = protocol.Decoder()
        self._messages: "asyncio.Queue[Union[_Message, AgentcgError]]" = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(socket.fileno(), self._read)

    @classmethod
    async def connect(cls, path: str) -> _Link:
        socket = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM | sockets.SOCK_NONBLOCK)
        socket.setblocking(False)
        try:
            while True:
                try:
                    socket.connect(path)
                    return cls(socket)
                except BlockingIOError:     # more wait to be accepted than may; nobody tells when there is room
                    await asyncio.sleep(0.01)
        except OSError as e:
            socket.close()
            raise protocol.no_daemon(path, e) from None
        except BaseException:
            socket.close()
            raise

    def _read(self) -> None:
        try:
            data, fds = protocol.receive(self._socket)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if not data:
            self._fail(protocol.hung_up())
            return
        try:
            self._decoder.feed(data, fds)
            message = self._decoder.next()
            while message:
                self._messages.put_nowait(message)
                message = self._decoder.next()
        except ProtocolError as e:
            self._fail(e)

    def _fail(self, e: AgentcgError) -> None:
        self._messages.put_nowait(e)
        self.close()

    async def send(self, data: bytes, fds: Sequence[int] = ()) -> None:
        while data:
            try:
                sent = sockets.send_fds(self._socket, [data], list(fds)) if fds else self._socket.send(data)
            except BlockingIOError:
                await asyncio.sleep(0.01)
                continue
            except OSError:
                self.close()
                raise protocol.hung_up() from None
            data, fds = data[sent:], ()

    async def receive(self, timeout: Optional[float]) -> _Message:
        if self.lost.is_set() and self._messages.empty():
            raise protocol.hung_up()
        message = await asyncio.wait_for(self._messages.get(), timeout)
        if isinstance(message, AgentcgError):
            raise message
        return message

    async def call(self, method: str, parameters: Json, fds: Sequence[int] = (),
                   timeout: Optional[float] = protocol.REPLY_SECONDS) -> _Message:
        try:
            await self.send(protocol.request(method, parameters), fds)
            message, got = await self.receive(timeout)
        except asyncio.TimeoutError:
            self.close()
            raise protocol.silent() from None
        except BaseException:       # the reply would be taken for that of the next request
            self.close()
            raise
        try:
            return protocol.reply(message), got
        except AgentcgError:
            protocol.close_all(got)
            raise

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._decoder.close()
        self.lost.set()


class Call:
    """A tool call: a group of processes with what was granted to it.  Ends with the `async with` block, or end()."""

    def __init__(self, path: str, link: Optional[_Link], begun: Optional[protocol.Begun], intent: Intent,
                 why: str = "") -> None:
        self._path, self._link, self._intent, self._why = path, link, intent, why
        self._lock = asyncio.Lock()
        self._processes: List[Process] = []
        self._tasks: Set["asyncio.Task[Any]"] = set()
        self._orphaned = False
        self._give_up = 0.0
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
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._keeper = self._loop.create_task(self._keep()) if begun else None

    @property
    def controlled(self) -> bool:
        """False: there is no daemon (required=False); commands run all the same."""
        return bool(self.name)

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(self, kind: Any, value: Any, traceback: Any) -> None:
        try:
            await self.end()
        except AgentcgError:
            if kind is None:
                raise

    def __repr__(self) -> str:
        return f"<agentcg.aio.Call {self.name or 'uncontrolled'}>"

    # ---- what can be done with it

    async def popen(self, args: Any, **options: Any) -> Process:
        """As agentcg.Call.popen(), with asyncio's Process."""
        if not self.controlled:
            if options.pop("shell", False):
                args = ["/bin/sh", "-c", args]
            words = [args] if isinstance(args, (str, bytes, os.PathLike)) else list(args)
            process = await asyncio.create_subprocess_exec(*words, **options)
            self._processes.append(process)
            return process
        launch = Launch(args, options, self.granted.priority if self.granted else 500)
        launch.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(*launch.argv, **launch.options)
            try:
                launch.started()
                await self.attach(process.pid)
                launch.go()
                done, said = False, b""
                while not done:
                    done, said = await self._answer(launch, said)
                problem: Optional[Exception] = launch.judge(said)
                if not said and await process.wait() > 0:
                    problem = ProtocolError(f"{launch.argv[0]} cannot start commands: it ended with {process.returncode}")
                if problem:
                    raise problem
            except BaseException:
                _kill(process)
                await _reap(process)
                raise
        finally:
            launch.close()
        self._processes.append(process)
        return process

    async def _answer(self, launch: Launch, said: bytes) -> Tuple[bool, bytes]:
        await _readable(launch.fileno())
        return launch.answer(said)

    async def attach(self, pid: int) -> None:
        """Moves a process of ours into the call."""
        pidfd = os.pidfd_open(pid)
        await self._request("AttachProcess", {"call": self.name, "pidFd": 0}, pidfd)

    async def adjust(self, intent: Optional[Intent] = None, *, priority: Optional[Priority] = None) -> Granted:
        """Asks for something else while it runs; what is not said stays."""
        p = await self._request("AdjustCall", protocol.adjust_call(self.name, intent, priority))
        self.granted = Granted.from_json(p.get("granted"))
        self.notes = protocol.notes(p)
        if intent:
            self._intent = protocol.added(self._intent, intent)
        return self.granted

    async def release(self) -> int:
        """Lets it go on now if it is held.  How many of its tasks did."""
        return int((await self._request("Release", {"call": self.name})).get("woken") or 0)

    async def end(self, *, kill: bool = False) -> Result:
        """Kills what is left of it and tells how it went.  Detached, it goes on, unless `kill`."""
        return await self._shield(self._end(kill))  # type: ignore[no-any-return]

    # ---- the connection

    async def _shield(self, what: Any) -> Any:
        """Goes on though its caller is cancelled: half a request would be the end of the connection."""
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _end(self, kill: bool) -> Result:
        async with self._lock:
            if self.result is not None:
                return self.result
            if not self.controlled:
                self.result = self._end_uncontrolled()
                return self.result
            if self._keeper:
                self._keeper.cancel()
            try:
                p = await self._locked_request("EndCall", {"call": self.name, "kill": True if kill else None})
                self.result = protocol.result(p, self._intent, self.granted)
            except NoSuchCall:
                self.result = protocol.uncontrolled(protocol.LOST, self._intent, self.granted)
            except NoDaemon:
                self._kill_by_hand()
                self.result = protocol.uncontrolled(protocol.GONE, self._intent, self.granted)
            finally:
                if self._link:
                    self._link.close()
                os.close(self.cgroup_fd)
                self.cgroup_fd = -1
            return self.result

    def _end_uncontrolled(self) -> Result:
        for process in self._processes:
            if not self._intent.detach:
                _kill(process)
        return protocol.uncontrolled(f"it ran without control: {self._why}", self._intent)

    async def _request(self, method: str, parameters: Json, fd: int = -1) -> Json:
        return await self._shield(self._owning_request(method, parameters, fd))  # type: ignore[no-any-return]

    async def _owning_request(self, method: str, parameters: Json, fd: int) -> Json:
        try:
            if not self.controlled:
                raise NoDaemon(self._why)
            async with self._lock:
                if self.result:
                    raise NoSuchCall(self.name)
                return await self._locked_request(method, parameters, [fd] if fd >= 0 else [])
        finally:
            if fd >= 0:
                os.close(fd)

    async def _locked_request(self, method: str, parameters: Json, fds: Sequence[int] = ()) -> Json:
        while True:
            while (not self._link or self._link.lost.is_set()) and not await self._reclaim():
                if self._orphaned:
                    raise NoSuchCall(self.name)
                if self._loop.time() >= self._give_up:
                    raise NoDaemon("the daemon is gone")
                await asyncio.sleep(protocol.RETRY_SECONDS)
            assert self._link
            try:
                p, got = await self._link.call(method, parameters, fds)
                protocol.close_all(got)
                return p
            except NoDaemon:
                pass    # claimed again above

    async def _reclaim(self) -> bool:
        """With the lock held."""
        if self._orphaned:
            return False
        if self._link:
            self._link = None
            self._give_up = self._loop.time() + protocol.CLAIM_SECONDS
        try:
            link = await _Link.connect(self._path)
        except NoDaemon:
            return False
        try:
            _, got = await link.call("ClaimCall", {"call": self.name})
            protocol.close_all(got)
        except NoDaemon:
            return False
        except AgentcgError:    # it answers, but not for this call: asking again is no use
            link.close()
            self._orphaned = True
            return False
        self._link = link
        return True

    async def _keep(self) -> None:
        """Claims the call again when the daemon was restarted, whatever its owner does meanwhile."""
        while not self._orphaned:
            if self._link:
                await self._link.lost.wait()
            async with self._lock:
                if (not self._link or self._link.lost.is_set()) and not self.result:
                    await self._reclaim()
            if not self._link and not self._orphaned:
                slow = self._loop.time() >= self._give_up
                await asyncio.sleep(protocol.RETRY_SLOW_SECONDS if slow else protocol.RETRY_SECONDS)

    # ---- without the daemon

    def _kill_by_hand(self) -> None:
        if not protocol.kill_group(self.cgroup_fd):
            for process in self._processes:
                _kill(process)

    def _left(self) -> Optional[float]:
        return protocol.time_left(self.granted, self._intent, self._loop.time() - self._began)

    async def _until_exit(self, process: Process) -> bool:
        """Whether it ran out of time while there was no daemon to see to that."""
        exited = asyncio.ensure_future(_exit(process))
        timed_out = False
        try:
            while not exited.done():
                left = None if timed_out else self._left()
                alone = not self._link or self._link.lost.is_set()
                await asyncio.wait([exited], timeout=None if left is None else left if alone and left else 1.0)
                if left == 0 and alone and not exited.done():
                    timed_out = True
                    if self.controlled:
                        self._kill_by_hand()
                    _kill(process)
        finally:
            exited.cancel()
        return timed_out

    async def _run(self, args: Any, data: bytes, options: Dict[str, Any]) -> Tuple[int, Any, Any, Result]:
        """The command to its end; what it leaves behind neither holds us up nor survives."""
        if self._intent.timeout is not None and not self.controlled:
            parse_time(self._intent.timeout)
        process = await self.popen(args, **options)
        out = None if process.stdout is None else bytearray()
        err = None if process.stderr is None else bytearray()
        pumps = [asyncio.ensure_future(p) for p in (
            _read_all(process.stdout, out), _read_all(process.stderr, err), _write_all(process.stdin, data))]
        try:
            timed_out = await self._until_exit(process)
            result = await self.end()
            if timed_out:
                result = self.result = protocol.out_of_time(result, self._intent, self.granted)
            await asyncio.wait(pumps, timeout=protocol.drain_seconds(result))
        except BaseException:
            _kill(process)
            raise
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            if process.returncode is None:
                await _reap(process)
            process._transport.close()  # type: ignore[attr-defined] # there is no other way to close the pipes
        return process.returncode or 0, out, err, result


def _kill(process: Process) -> None:
    if process.returncode is None:
        try:
            process.kill()
        except ProcessLookupError:
            pass


async def _reap(process: Process) -> None:
    """Not wait(), which in some versions of Python waits for those who hold the pipes."""
    for _ in range(500):
        if process.returncode is not None:
            return
        await asyncio.sleep(0.01)


async def _readable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: "asyncio.Future[None]" = loop.create_future()
    loop.add_reader(fd, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def _exit(process: Process) -> None:
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        await _readable(pidfd)
    finally:
        os.close(pidfd)


async def _read_all(stream: Optional[asyncio.StreamReader], to: Optional[bytearray]) -> None:
    while stream is not None and to is not None:
        data = await stream.read(1 << 16)
        if not data:
            return
        to += data


async def _write_all(stream: Optional[asyncio.StreamWriter], data: bytes) -> None:
    if stream is None:
        return
    try:
        stream.write(data)
        await stream.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass
    stream.close()


class Watch:
    """Events as they happen: `async for event in client.watch()`.  NoDaemon when the daemon goes away."""

    def __init__(self, path: str, timeout: Optional[float]) -> None:
        self._path, self._timeout = path, timeout
        self._link: Optional[_Link] = None

    async def open(self) -> Watch:
        if not self._link:
            self._link = await _Link.connect(self._path)
            await self._link.send(protocol.request("Watch", {}, more=True))
        return self

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        await self.open()
        assert self._link
        try:
            message, fds = await self._link.receive(self._timeout)
        except asyncio.TimeoutError:
            raise StopAsyncIteration from None
        protocol.close_all(fds)
        return read(Event, protocol.reply(message))

    def close(self) -> None:
        if self._link:
            self._link.close()

    async def __aenter__(self) -> Watch:
        return await self.open()

    async def __aexit__(self, *exception: object) -> None:
        self.close()


class Client:
    """Talks to agentcgd.  `required=False`: without a daemon commands run uncontrolled, and their results say so."""

    def __init__(self, socket: Optional[str] = None, *, required: bool = True) -> None:
        self.socket = socket or protocol.default_socket()
        self.required = required

    def session(self, name: str, **options: Any) -> Session:
        """Session(name, client=self, ...)"""
        return Session(name, client=self, **options)

    async def begin_call(self, command: Union[str, Sequence[Any], None] = None, *, session: Optional[str] = None,
                         intent: Optional[Intent] = None, priority: Optional[Priority] = None,
                         agent: bool = False, wait: bool = False, group: Optional[str] = None,
                         after: Optional[Sequence[str]] = None,
                         may_control: bool = False) -> Call:
        """As agentcg.Client.begin_call()."""
        parameters = protocol.begin_call(session, command, intent, priority, agent, wait, group, after, may_control)
        intent = intent or Intent()
        try:
            link = await _Link.connect(self.socket)
        except NoDaemon as e:
            if self.required:
                raise
            return Call(self.socket, None, None, intent, str(e))
        try:
            if wait or after:
                link, (p, fds) = await self._wait_to_begin(link, parameters)
            else:
                p, fds = await link.call("BeginCall", parameters)
            try:
                begun = protocol.Begun(p, fds)
            finally:
                protocol.close_all(fds)
        except BaseException:
            link.close()
            raise
        return Call(self.socket, link, begun, intent)

    async def _wait_to_begin(self, link: _Link, parameters: Json) -> Tuple[_Link, _Message]:
        """The reply, however long it takes; a daemon that is restarted meanwhile is asked again."""
        give_up = 0.0
        while True:
            try:
                return link, await link.call("BeginCall", parameters, timeout=None)
            except NoDaemon:
                link.close()
                give_up = time.monotonic() + protocol.CLAIM_SECONDS
            while True:
                try:
                    link = await _Link.connect(self.socket)
                    break
                except NoDaemon:
                    if time.monotonic() >= give_up:
                        raise
                    await asyncio.sleep(protocol.RETRY_SECONDS)

    async def run(self, args: Any, *, session: Optional[str] = None, intent: Optional[Intent] = None,
                  priority: Optional[Priority] = None, input: Union[str, bytes, None] = None,
                  capture_output: bool = False, check: bool = False, wait: bool = True, group: Optional[str] = None,
                  after: Optional[Sequence[str]] = None, **options: Any) -> Completed:
        """subprocess.run() as a tool call.  What it leaves behind is killed, unless the intent says detach.

        `wait`, `group`, `after`: as begin_call() has them.
        """
        output = protocol.run_options(options, input, capture_output)
        async with await self.begin_call(args, session=session, intent=intent, priority=priority, wait=wait, group=group,
                                         after=after) as call:
            code, out, err, result = await call._run(args, output.encode(input), options)
        done = Completed(args, code, output.decode(out), output.decode(err), result, call.name, call.notes)
        if check:
            done.check_returncode()
        return done

    async def status(self) -> Status:
        """The pool, and the sessions: one's own; root sees all."""
        return Status.from_json(await self.request("GetStatus"))

    async def history(self, command: Union[str, Sequence[Any], None] = None, *, kind: Optional[str] = None,
                limit: Optional[int] = None, uid: Optional[int] = None) -> List[KindHistory]:
        """As agentcg.Client.history()."""
        return protocol.history(await self.request("GetHistory", **protocol.get_history(command, kind, limit, uid)))

    def watch(self, *, timeout: Optional[float] = None) -> Watch:
        """An asynchronous iterator over events; ends when none comes for `timeout` seconds."""
        return Watch(self.socket, timeout)

    async def open_session(self, name: str, *, priority: Optional[Priority] = None, budget: Optional[Size] = None,
                           reserve: Optional[Size] = None, time_left: Optional[Time] = None,
                           calls_left: Optional[int] = None, pid_fd: Optional[int] = None) -> List[str]:
        """Makes a session, or changes one's own.  What was not granted as asked, and why.

        `time_left`: what its calls have together from now on ("none": no end); `calls_left`: how many are to come;
        `pid_fd`, of os.pidfd_open(): a process of one's own with which the session ends.
        """
        fds = [] if pid_fd is None else [pid_fd]
        p = await self._request("OpenSession", protocol.open_session(name, priority, budget, reserve, time_left, calls_left, bool(fds)), fds)
        return protocol.notes(p)

    async def declare_intent(self, intent: Intent, command: Union[str, Sequence[Any], None] = None, *,
                       session: Optional[str] = None) -> Declared:
        """For the next call of the session that says itself nothing, within ten minutes; an empty one takes it back.

        `command`: only for a call that does the same.  For those whose calls are begun by somebody else: a model's.
        """
        return Declared.from_json(await self.request("DeclareIntent", **protocol.declare_intent(session, intent, command)))

    async def attach_session(self, pid_fd: int, name: Optional[str] = None, *, kind: Optional[str] = None) -> Attachment:
        """Gives each call that this process of one's own starts a leaf; `kind`: "shell" or "framework", default: as it looks."""
        return read(Attachment, await self._request("AttachSession", {"name": name, "kind": kind, "pidFd": 0}, [pid_fd]))

    async def create_ticket(self, command: Union[str, Sequence[Any], None] = None, *, session: Optional[str] = None,
                      intent: Optional[Intent] = None) -> Ticket:
        """Begins a call for a command that cannot ask itself, as in a sandbox without sockets; good once, for a minute."""
        return read(Ticket, await self.request("CreateTicket", **protocol.declare_intent(session, intent or Intent(), command)))

    async def close_session(self, name: str, *, kill: bool = False) -> Closed:
        """Kills what is left of it; `kill`: also its detached calls."""
        return Closed.from_json(await self.request("CloseSession", name=name, kill=True if kill else None))

    async def end_group(self, session: str, group: str) -> GroupEnded:
        """Kills its calls, detached ones too; those that wait to begin raise NoSuchCall.  Whoever has a call still ends it."""
        return GroupEnded.from_json(await self.request("EndGroup", session=session, group=group))

    async def get_results(self, session: str, *, untold: bool = False, failed: bool = False) -> List[Finished]:
        """Its last 16 calls that ended, oldest first.

        `untold`: only those that a model should know of, each once; `failed`: only those for which something may be tried.
        """
        p = await self.request("GetResults", session=session, untold=untold or None, failed=failed or None)
        return [Finished.from_json(v) for v in p.get("results") or []]

    async def request(self, method: str, **parameters: Any) -> Json:
        """Any method of the interface: `varlinkctl introspect /run/agentcg/io.agentcg` lists them."""
        return await self._request(method, parameters)

    async def _request(self, method: str, parameters: Json, fds: Sequence[int] = ()) -> Json:
        link = await _Link.connect(self.socket)
        try:
            p, got = await link.call(method, parameters, fds)
            protocol.close_all(got)
            return p
        finally:
            link.close()


class Session:
    """An agent's session: its calls share a priority and a budget.  Closed with the `async with` block, unless `keep`."""

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

    async def open(self) -> Session:
        try:
            self.notes = await self.client.open_session(self.name, **self._options)
        except NoDaemon:
            if self.client.required:
                raise
        return self

    async def close(self, *, kill: bool = False) -> Optional[Closed]:
        """None: it was closed already, or there is no daemon."""
        try:
            self.closed = await self.client.close_session(self.name, kill=kill)
        except (NoSuchSession, NoDaemon):
            pass
        return self.closed

    async def __aenter__(self) -> Session:
        return await self.open()

    async def __aexit__(self, *exception: object) -> None:
        if not self._keep:
            await self.close()

    async def end_group(self, group: str) -> GroupEnded:
        """Client.end_group() of this session."""
        return await self.client.end_group(self.name, group)

    async def get_results(self, *, untold: bool = False, failed: bool = False) -> List[Finished]:
        """Client.get_results() of this session."""
        return await self.client.get_results(self.name, untold=untold, failed=failed)

    async def begin_call(self, command: Union[str, Sequence[Any], None] = None, *, intent: Optional[Intent] = None,
                         priority: Optional[Priority] = None, agent: bool = False, wait: bool = False,
                         group: Optional[str] = None, after: Optional[Sequence[str]] = None,
                         may_control: bool = False) -> Call:
        """Client.begin_call() in this session."""
        return await self.client.begin_call(command, session=self.name, intent=intent, priority=priority, agent=agent,
                                            wait=wait, group=group, after=after, may_control=may_control)

    async def run(self, args: Any, *, intent: Optional[Intent] = None, priority: Optional[Priority] = None,
                  input: Union[str, bytes, None] = None, capture_output: bool = False, check: bool = False,
                  wait: bool = True, group: Optional[str] = None, after: Optional[Sequence[str]] = None, **options: Any) -> Completed:
        """Client.run() in this session."""
        return await self.client.run(args, session=self.name, intent=intent, priority=priority, input=input,
                                     capture_output=capture_output, check=check, wait=wait, group=group, after=after,
                                     **options)

    async def declare_intent(self, intent: Intent, command: Union[str, Sequence[Any], None] = None) -> Declared:
        """Client.declare_intent() in this session."""
        return await self.client.declare_intent(intent, command, session=self.name)


async def run(args: Any, **options: Any) -> Completed:
    """Client().run(): as one call of the user's own session."""
    return await Client(required=options.pop("required", True)).run(args, **options)
