# SPDX-License-Identifier: MIT
"""Tool calls of AI agents, each in a group of its own: says what it needs, is told what became of it.

    import agentcg

    with agentcg.Session("work") as s:
        r = s.run(["pytest", "-q"], intent=agentcg.Intent(memory="512Mi", timeout="5m"), capture_output=True)
        print(r.returncode, r.result.outcome, r.result.text)

The same for asyncio is agentcg.aio.
"""
from .client import Call, Client, Session, Watch, run
from .types import (AgentcgError, Allowed, Attachment, CallFailed, CallStatus, Closed, Completed, Declared, Event, Finished, Granted, GroupEnded, Intent,
                    InToolCall, InvalidIntent, InvalidParameter, Killed, KindHistory, LimitExceeded, NoDaemon, NoSuchCall,
                    NoSuchSession, NotSupported, PermissionDenied, Pool, ProtocolError, Result, SessionStatus, Status, Ticket, Waiting)

__version__ = "0.1.0"
__all__ = [
    "AgentcgError", "Allowed", "Attachment", "Call", "CallFailed", "CallStatus", "Client", "Closed", "Completed", "Declared", "Event",
    "Finished", "Granted", "GroupEnded", "InToolCall", "Intent", "InvalidIntent", "InvalidParameter", "Killed", "KindHistory", "LimitExceeded", "NoDaemon",
    "NoSuchCall", "NoSuchSession", "NotSupported", "PermissionDenied", "Pool", "ProtocolError", "Result", "Session",
    "SessionStatus", "Status", "Ticket", "Waiting", "Watch", "run",
]
