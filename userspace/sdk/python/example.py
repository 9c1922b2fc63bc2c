#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A tool call that needs more memory than it said, told why it died, and tried again with what was suggested.

    PYTHONPATH=userspace/sdk/python python3 userspace/sdk/python/example.py
"""
from typing import Optional

import agentcg

COMMAND = ["python3", "-c", "data = b'x' * (80 << 20); print(len(data))"]

with agentcg.Session("example", priority="normal") as session:
    intent: Optional[agentcg.Intent] = agentcg.Intent(memory="32Mi", memory_max="64Mi", timeout="1m")
    while intent:
        done = session.run(COMMAND, intent=intent, capture_output=True, text=True)
        print(f"exit code {done.returncode}, {done.result.outcome}: {done.result.text}")
        intent = done.result.retry_intent()
    print(done.stdout, end="")
