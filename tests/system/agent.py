# SPDX-License-Identifier: GPL-2.0-only
"""agent.py SESSION FILE [MIB]: an agent's own process in the agent leaf of a session; its pid is written to FILE.

With MIB it allocates so much as soon as there is FILE.go, and then writes FILE.done.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(__file__))
import varlink

link = varlink.Link()
call = link.call("BeginCall", session=sys.argv[1], agent=True, command=["agent"])["call"]
link.call("AttachProcess", [os.pidfd_open(os.getpid())], call=call, pidFd=0)
with open(sys.argv[2], "w") as f:
    f.write(f"{os.getpid()}\n")
while not os.path.exists(sys.argv[2] + ".go"):
    time.sleep(0.05)
memory = bytearray(int(sys.argv[3]) << 20)
for i in range(0, len(memory), 4096):
    memory[i] = 1
with open(sys.argv[2] + ".done", "w") as f:
    f.write("done\n")
time.sleep(1000)
