# SPDX-License-Identifier: MIT
"""How a command comes to run in its call's group from its first instruction on.

Python can neither clone into a group nor, where there are threads, safely run code between fork and exec
(preexec_fn).  So what subprocess starts is a small program of ours that waits on a socket.  We show its pidfd to the
daemon, which moves it; then it is told to go on and becomes the command (exec), with all that subprocess has set up.
The socket closes with the exec, or brings the reason why there was none.  If we die before, the program sees the end
of the socket and ends.

It costs one start of the interpreter without its modules, some 10 ms.
"""
from __future__ import annotations

import os
import shutil
import socket
import sys
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .types import NotSupported

# Its arguments: descriptor, restore signals, drop LC_CTYPE (which the interpreter may have set itself), oom_score_adj,
# file to execute, arguments of that.
_PROGRAM = """\
import _signal as s, os, sys
fd, restore, drop, adj = map(int, sys.argv[1:5])
s.signal(s.SIGINT, s.SIG_DFL if s.getsignal(s.SIGINT) is s.default_int_handler else s.getsignal(s.SIGINT))
os.set_inheritable(fd, False)
if not os.read(fd, 1):
    os._exit(125)
try:
    with open('/proc/self/oom_score_adj', 'r+') as f:
        if int(f.read()) < adj:
            f.seek(0)
            f.write(str(adj))
except (OSError, ValueError):
    pass
if drop:
    os.environ.pop('LC_CTYPE', None)
os.write(fd, b'+')
if restore:
    s.signal(s.SIGPIPE, s.SIG_DFL)
    s.signal(s.SIGXFSZ, s.SIG_DFL)
try:
    os.execvpe(sys.argv[5], sys.argv[6:], os.environ)
except OSError as e:
    os.write(fd, str(e.errno).encode())
    os._exit(127)
"""


def interpreter() -> str:
    # A frozen application is its own sys.executable.
    python = None if getattr(sys, "frozen", False) else sys.executable
    python = python or shutil.which("python3")
    if not python:
        raise NotSupported("no python3 to start a command with: install one, or put it in PATH")
    return python


def oom_score_adj(priority: int) -> int:
    """As `agentcg run` gives it to a call's processes."""
    return 1000 - priority // 10


class Launch:
    """A command to be started: `argv` and `options` are for Popen or its like."""

    def __init__(self, args: Any, options: Mapping[str, Any], priority: int) -> None:
        opts: Dict[str, Any] = dict(options)
        if opts.get("preexec_fn") is not None:
            raise ValueError("preexec_fn is not safe where threads are, and would run outside the call")
        self.args = args
        command = [args] if isinstance(args, (str, bytes, os.PathLike)) else list(args)
        if not command:
            raise ValueError("say a command that is not empty")
        if opts.pop("shell", False):
            command = ["/bin/sh", "-c", *command]
        self.file = opts.pop("executable", None) or command[0]
        env = opts.get("env")
        env = os.environ if env is None else env
        drop = all(os.fsencode(name) != b"LC_CTYPE" for name in env)
        self._ours, self._theirs = socket.socketpair()
        restore = opts.get("restore_signals", True)
        self.argv: List[Any] = [
            interpreter(), "-I", "-S", "-X", "utf8", "-c", _PROGRAM, str(self._theirs.fileno()), str(int(bool(restore))),
            str(int(drop)), str(oom_score_adj(priority)), self.file, *command]
        opts["pass_fds"] = (*opts.get("pass_fds", ()), self._theirs.fileno())
        opts["close_fds"] = True
        self.options = opts

    def started(self) -> None:
        """The child has its end."""
        self._theirs.close()

    def fileno(self) -> int:
        return self._ours.fileno()

    def go(self) -> None:
        try:
            self._ours.send(b"\0", socket.MSG_NOSIGNAL)
        except OSError:
            pass  # it was killed meanwhile, which its status tells

    def answer(self, said: bytes) -> Tuple[bool, bytes]:
        """Waits for what it says, in which `said` was before.  (True, all): it said the last."""
        data = self._ours.recv(64)
        return not data, said + data

    def setblocking(self, flag: bool) -> None:
        self._ours.setblocking(flag)

    def judge(self, said: bytes) -> Optional[OSError]:
        """What to raise; None: it became the command, or was killed before."""
        number = said[1:].decode() if said.startswith(b"+") else ""
        if not number:
            return None
        return OSError(int(number), os.strerror(int(number)), os.fsdecode(self.file))

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()
