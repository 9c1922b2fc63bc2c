# SPDX-License-Identifier: GPL-2.0-only
"""terminal.py AGENTCG: agentcg run on a terminal of its own; Ctrl-C is typed once the command runs."""
import os
import pty
import signal
import sys

SCRIPT = "trap 'echo interrupt' INT; echo ready; sleep 30; trap - INT; echo again; sleep 30"

pid, terminal = pty.fork()
if not pid:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in the background
    os.execv(sys.argv[1], [sys.argv[1], "run", "--", "bash", "-c", SCRIPT])
output = b""
typed = 0
while True:
    try:
        data = os.read(terminal, 1024)
    except OSError:
        break
    if not data:
        break
    output += data
    if typed == 0 and b"ready" in output or typed == 1 and b"again" in output:
        typed += 1
        os.write(terminal, b"\x03")
_, status = os.waitpid(pid, 0)
print(f"interrupts: {output.count(b'interrupt')}")
print(f"signal: {os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}")
