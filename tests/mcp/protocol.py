# SPDX-License-Identifier: GPL-2.0-only
"""agentcg mcp over pipes: handshakes, errors, tools; the daemon is a script of replies (Daemon below)."""
import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, "tests/system")
sys.dont_write_bytecode = True
from varlink import check, done, equal  # noqa: E402

AGENTCG = os.environ.get("AGENTCG_OUT", "build/out") + "/agentcg"
MODERN = "2026-07-28"
META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
MIB = 1 << 20


def like(text, got, pattern):
    check(text, re.search(pattern, str(got)), f"got {got!r}, wanted {pattern!r}")


class Daemon:
    """Answers each method by what .replies has for it: parameters, or (error, parameters).  .asked is what came."""

    def __init__(self, path):
        self.path, self.replies, self.asked = path, {}, []
        self.server = None

    def start(self):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(8)
        threading.Thread(target=self.accept, args=(self.server,), daemon=True).start()

    def stop(self):
        os.unlink(self.path)
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

    def accept(self, server):
        while True:
            try:
                link, _ = server.accept()
            except OSError:
                return
            with link:
                self.serve(link)

    def serve(self, link):
        rest = b""
        while True:
            while b"\0" not in rest:
                data = link.recv(65536)
                if not data:
                    return
                rest += data
            raw, rest = rest.split(b"\0", 1)
            request = json.loads(raw)
            method = request["method"].removeprefix("io.agentcg.")
            self.asked.append((method, request.get("parameters") or {}))
            reply = self.replies.get(method, ("org.varlink.service.MethodNotFound", {"method": request["method"]}))
            if reply == "hang up":
                return
            reply = {"error": reply[0], "parameters": reply[1]} if isinstance(reply, tuple) else {"parameters": reply}
            link.sendall(json.dumps(reply).encode() + b"\0")


class Server:
    """agentcg mcp."""

    def __init__(self, *options, version="2025-06-18", **env):
        clean = {k: v for k, v in os.environ.items() if k not in ("AGENTCG_SESSION", "CLAUDE_CODE_SESSION_ID")}
        self.process = subprocess.Popen([AGENTCG, "mcp", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={**clean, **env})
        self.rest, self.id = b"", 0
        if version:
            self.initialized = self.ask("initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "t", "version": "1"})
            self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message):
        self.write(json.dumps(message).encode() + b"\n")

    def line(self, seconds=20):
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], seconds)[0]:
                return None
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                return None
            self.rest += data
        raw, self.rest = self.rest.split(b"\n", 1)
        return json.loads(raw)

    def ask(self, method, **params):
        self.id += 1
        self.send({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params})
        while (reply := self.line()) and reply.get("method") == "notifications/progress":
            pass
        if not reply or reply.get("id") != self.id or reply.get("jsonrpc") != "2.0":
            raise ValueError(f"to {method} it replied {reply}")
        return reply

    def code(self, method, **params):
        return self.ask(method, **params).get("error", {}).get("code", 0)

    def raw(self, data):
        """The code and id of the error that this is answered with."""
        self.write(data + b"\n")
        reply = self.line() or {}
        return reply.get("error", {}).get("code"), reply.get("id", "none")

    def tool(self, name, **arguments):
        return self.ask("tools/call", name=name, arguments=arguments)["result"]

    def end(self):
        """Its exit code after the end of its input; what it wrote since."""
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, self.rest + out, err


# ---- the protocol ------------------------------------------------------------

def handshakes():
    for version in ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"):
        s = Server(version=version)
        result = s.initialized["result"]
        equal(f"{version} is spoken", (result["protocolVersion"], result["capabilities"], result["serverInfo"]["name"]),
              (version, {"tools": {}}, "agentcg"))
        equal("... and its tools are there", [t["name"] for t in s.ask("tools/list")["result"]["tools"]],
              ["declare_intent", "see_budget", "explain_last_failure"])
        equal("... without a word too many", s.end(), (0, b"", b""))
    s = Server(version="2030-01-01")
    equal("an unknown version is answered by the newest", s.initialized["result"]["protocolVersion"], "2025-11-25")
    equal("ping", s.ask("ping")["result"], {})
    s.end()
    s = Server(version=None)
    equal("ping, also before the handshake", s.ask("ping").get("result"), {})
    equal("nothing else before it", s.code("tools/list"), -32600)
    equal("a handshake without a version", s.code("initialize", capabilities={}), -32602)
    equal("... with one that is no text", s.code("initialize", protocolVersion=7), -32602)
    s.end()


def modern():
    s = Server(version=None)
    r = s.ask("server/discover", _meta=META)["result"]
    equal("2026-07-28: discovered", (r["supportedVersions"], r["capabilities"], r["resultType"], r["cacheScope"]),
          ([MODERN], {"tools": {}}, "complete", "public"))
    like("... by name", r["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "agentcg")
    r = s.ask("tools/list", _meta=META)["result"]
    check("... without a handshake, tools and how long they may be kept", len(r["tools"]) == 3 and r["ttlMs"] >= 0, r.keys())
    equal("... what it has no more", [s.code(m, _meta=META) for m in ("ping", "initialize", "logging/setLevel")], [-32601] * 3)
    other = dict(META, **{"io.modelcontextprotocol/protocolVersion": "2031-01-01"})
    equal("another version is refused with those that can be had", s.ask("tools/list", _meta=other)["error"],
          {"code": -32022, "message": "this server does not speak the version that _meta names",
           "data": {"supported": [MODERN], "requested": "2031-01-01"}})
    equal("... a version without capabilities", s.code("tools/list", _meta={"io.modelcontextprotocol/protocolVersion": MODERN}), -32602)
    equal("... a version that is none", s.code("tools/list", _meta={"io.modelcontextprotocol/protocolVersion": 5}), -32602)
    equal("without a version in it, discover is unknown, as to all older servers", s.code("server/discover"), -32601)
    s.end()


def errors():
    s = Server()
    equal("an unknown method", s.code("prompts/list"), -32601)
    equal("an unknown tool", s.code("tools/call", name="rm"), -32602)
    equal("a tool without a name", s.code("tools/call"), -32602)
    equal("arguments that are no object", s.code("tools/call", name="see_budget", arguments=[1]), -32602)
    equal("a page that there is not", s.code("tools/list", cursor="x"), -32602)
    equal("params that are a list", s.raw(b'{"jsonrpc":"2.0","id":70,"method":"ping","params":[]}'), (-32602, 70))
    equal("params that are none", s.raw(b'{"jsonrpc":"2.0","id":71,"method":"ping","params":7}'), (-32600, 71))
    equal("no JSON", s.raw(b"{"), (-32700, None))
    equal("no UTF-8", s.raw(b'{"jsonrpc":"2.0","id":1,"method":"\xff"}'), (-32700, None))
    equal("a NUL", s.raw(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\0'), (-32700, None))
    equal("two messages in a line", s.raw(b'{"jsonrpc":"2.0","id":1,"method":"ping"}{}'), (-32700, None))
    equal("a very deep one", s.raw(b"[" * 100000), (-32700, None))
    equal("no JSON-RPC", s.raw(b'{"id":1,"method":"ping"}'), (-32600, 1))
    equal("a null id", s.raw(b'{"jsonrpc":"2.0","id":null,"method":"ping"}'), (-32600, None))
    equal("a batch, which this version has not", s.raw(b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]'), (-32600, None))
    s.write(b'\n  \n{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}\n'
            b'{"jsonrpc":"2.0","method":"what/ever"}\n{"jsonrpc":"2.0","id":5,"result":{}}\n')
    equal("what needs no reply gets none", s.ask("ping")["result"], {})
    s.write(b'{"jsonrpc":"2.0","id":"\xc3\xa4 1","method":"ping"}\r\n')
    equal("an id that is a text", s.line(), {"jsonrpc": "2.0", "id": "ä 1", "result": {}})
    long = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"' + b"x" * (1 << 20) + b'"}}'
    equal("a line that is too long", s.raw(long), (-32600, None))
    s.write(b"y" * (3 << 20))
    equal("... is refused before its end", (s.line() or {}).get("error", {}).get("code"), -32600)
    s.write(b"\n")
    equal("... and the next is read", s.ask("ping")["result"], {})
    fits = b'{"jsonrpc":"2.0","id":81,"method":"ping","params":{"x":"'
    fits += b"x" * ((1 << 20) - len(fits) - 3) + b'"}}'
    s.write(fits + b"\n")
    equal("one of 1 MiB is read", s.line(), {"jsonrpc": "2.0", "id": 81, "result": {}})
    for c in b'{"jsonrpc":"2.0","id":82,"method":"ping"}\n':
        s.write(bytes([c]))
    equal("one that comes in pieces, too", s.line(), {"jsonrpc": "2.0", "id": 82, "result": {}})
    s.write(b'{"jsonrpc":"2.0","id":83,"method":"ping"}')
    equal("one without an end is none", s.end(), (0, b"", b""))
    s = Server()
    s.process.stdout.close()
    s.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    equal("when nobody reads any more it ends, in silence", (s.process.wait(20), s.process.stderr.read()), (0, b""))
    s.process.stdin.close()
    s.process.stderr.close()


def batches():
    s = Server(version="2025-03-26")
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    s.send([ping, {"jsonrpc": "2.0", "method": "x"}, dict(ping, id=2, method="nope"), 5, dict(ping, id=3, method="initialize")])
    got = s.line()
    equal("2025-03-26: a batch", [(r.get("id"), r.get("error", {}).get("code")) for r in got],
          [(1, None), (2, -32601), (None, -32600), (3, -32600)])
    equal("... an empty one", s.raw(b"[]"), (-32600, None))
    equal("... too many", s.raw(json.dumps([ping] * 65).encode()), (-32600, None))
    s.send([{"jsonrpc": "2.0", "method": "x"}] * 3)
    equal("... of notifications, no reply", s.ask("ping")["result"], {})
    s.end()


# ---- the tools ---------------------------------------------------------------

def schema_of(server, tool):
    return next(t for t in server.ask("tools/list")["result"]["tools"] if t["name"] == tool)


GRANTED = {"priority": 500, "requests": {"milliCPU": 1000, "memory": 512 * MIB}, "limits": {"memory": 1024 * MIB, "pids": 100},
           "timeoutUSec": 300000000, "onPressure": "freeze", "detach": False}


def declare(daemon):
    s = Server("--socket", daemon.path, "--session", "x")
    daemon.replies["DeclareIntent"] = {"granted": GRANTED, "notes": ["limits.memory 8Gi is above the policy's limit for one call: 1Gi granted"]}
    daemon.asked.clear()
    r = s.tool("declare_intent", command="make -j8", requests={"memory": "512Mi"}, limits={"memory": "8Gi"}, timeout="5m")
    equal("what it says goes to the daemon", daemon.asked, [("DeclareIntent", {
        "session": "x", "intent": {"requests": {"memory": "512Mi"}, "limits": {"memory": "8Gi"}, "timeout": "5m"},
        "command": ["sh", "-c", "make -j8"]})])
    equal("... what was granted comes back", (r["isError"], r["structuredContent"]["granted"], r["structuredContent"]["session"]),
          (False, GRANTED, "x"))
    like("... and in words", r["content"][0]["text"], r"that does the same of session x, within 10m\. Granted: 512 MiB of memory, "
         r"killed beyond 1 GiB, at most 100 processes and threads, killed after 5m\. Note: limits.memory 8Gi .* 1Gi granted\.$")
    equal("a long command is told as the launcher tells it", (s.tool("declare_intent", command="é" * 300, detach=True)["isError"],
          daemon.asked[-1][1]["command"][2]), (False, "é" * 125))
    s.tool("declare_intent", latency="batch")
    check("none is none", "command" not in daemon.asked[-1][1], daemon.asked[-1])
    daemon.replies["DeclareIntent"] = ("io.agentcg.InvalidIntent", {"field": "requests.memory", "reason": "\"2G\" is ambiguous: say 2Gi"})
    r = s.tool("declare_intent", requests={"memory": "2G"})
    equal("what is wrong with it is an error of the tool", (r["isError"], "structuredContent" in r), (True, False))
    like("... that says what to say", r["content"][0]["text"], "requests.memory: \"2G\" is ambiguous: say 2Gi")
    asked = len(daemon.asked)
    check("nothing said", s.tool("declare_intent")["isError"] and s.tool("declare_intent", command="x")["isError"])
    check("a command that is no text", s.tool("declare_intent", command=["x"], detach=True)["isError"])
    equal("... is not asked", len(daemon.asked), asked)
    s.end()


def budget(daemon):
    pool = {"cgroup": "/x", "memoryMax": 2048 * MIB, "memoryCurrent": 512 * MIB, "reserve": 64 * MIB, "headroom": 1536 * MIB,
            "enforcement": "kernel", "counters": {"holds": 1}, "scheduler": "weights"}
    call = {"call": "x/tool-1", "cgroup": "/x/tool-1", "command": ["make"], "priority": 500, "request": MIB, "memoryCurrent": 5,
            "memoryPeak": 6, "phase": "held", "heldUSec": 7, "holds": 1, "ageUSec": 8}
    mine = {"name": "x", "cgroup": "/x", "uid": 0, "priority": 500, "budget": 1024 * MIB, "reserve": 0, "memoryCurrent": 256 * MIB,
            "timeLeftUSec": 90000000, "calls": [call]}
    daemon.replies["GetStatus"] = {"pool": pool, "sessions": [dict(mine, name="y"), mine],
                                   "allowed": {"memory": 512 * MIB, "pids": 99, "callsPerSession": 10, "detachedCalls": 2}}
    s = Server("--socket", daemon.path, "--session", "x")
    r = s.tool("see_budget")
    got = r["structuredContent"]
    equal("its own session", (got["session"]["name"], got["session"]["open"], got["session"]["budget"], got["session"]["timeLeftUSec"]),
          ("x", True, 1024 * MIB, 90000000))
    equal("... its running commands", [(c["call"], c["phase"]) for c in got["running"]], [("x/tool-1", "held")])
    equal("... the pool, and what one may have", (got["pool"]["headroom"], got["allowed"]["memory"]), (1536 * MIB, 512 * MIB))
    like("... in words", r["content"][0]["text"], r"^Session x uses 256 MiB of 1 GiB; 1 of its commands run\. It has 1m30s|90s left\. "
         r"x/tool-1 is held: it waits for memory\. All sessions together use 512 MiB of 2 GiB; 1\.5 GiB are free\. "
         r"One command may have at most 512 MiB of memory, 99 processes and threads\.$")
    s.end()
    s = Server("--socket", daemon.path, "--session", "z")
    r = s.tool("see_budget")
    equal("a session that is not there yet", (r["structuredContent"]["session"], r["structuredContent"]["running"]), ({"name": "z", "open": False}, []))
    like("... in words", r["content"][0]["text"], "^Session z begins with its next command")
    s.end()


def waits(daemon):
    """A tool that waits: told how far it is, cancelled, and others are answered meanwhile."""
    def status(used):
        daemon.replies["GetStatus"] = {"pool": {"memoryMax": 2048 * MIB, "memoryCurrent": used * MIB, "reserve": 64 * MIB,
                                                "headroom": (2048 - used) * MIB}, "sessions": []}

    def wait(id, **arguments):
        s.send({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": "see_budget", "arguments": arguments, "_meta": {"progressToken": f"token {id}"}}})

    s = Server("--socket", daemon.path, "--session", "x")
    status(1500)
    wait("w", until_free="1Gi")
    equal("while a tool waits others are answered", s.ask("ping")["result"], {})
    told = [s.line(), s.line()]
    equal("how far it is is told by the client's token", [t["method"] for t in told], ["notifications/progress"] * 2)
    p = [t["params"] for t in told]
    check("... ever more", p[0]["progress"] < p[1]["progress"] <= 60 and p[0]["progressToken"] == p[1]["progressToken"] == "token w"
          and p[0]["total"] == 60, p)
    equal("... in words", p[0]["message"], "484 MiB of 1 GiB are free")
    status(900)
    while (got := s.line()) and "method" in got:
        pass
    equal("it is answered when there is enough", (got["id"], got["result"]["isError"], got["result"]["structuredContent"]["free"]),
          ("w", False, 1084 * MIB))
    like("... in words", got["result"]["content"][0]["text"], r"^Waited \d+s: 1\.1 GiB are free now\. Session x begins")
    status(1500)
    wait(700, until_free="1Gi")
    wait(701, until_free="1Gi", within="600s")
    s.ask("ping")
    s.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 700, "reason": "x"}})
    s.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "unknown"}})
    s.send({"jsonrpc": "2.0", "method": "notifications/cancelled"})
    status(0)
    while (got := s.line()) and "method" in got:
        pass
    equal("a cancelled one is not answered, others are", got["id"], 701)
    check("... nor told any more", s.ask("ping")["result"] == {} and not select.select([s.process.stdout], [], [], 1.5)[0])
    status(1500)
    started = time.monotonic()
    r = s.tool("see_budget", until_free="1Gi", within="1s")
    check("it waits no longer than it is to", 0.9 < time.monotonic() - started < 15 and not r["isError"], r)
    like("... and says what there is", r["content"][0]["text"], r"^Waited 1s: only 484 MiB of 1 GiB are free: do it with less, or wait again\.")
    r = s.tool("see_budget", until_free="400Mi")
    like("what is there is not waited for", r["content"][0]["text"], "^484 MiB are free now")
    like("what can never be is refused", s.tool("see_budget", until_free="2Gi"), "can ever have: say 1984Mi or less")
    like("a bare G", s.tool("see_budget", until_free="2G"), "until_free: .*say 2Gi")
    like("... a wrong time", s.tool("see_budget", until_free="1Gi", within="soon"), "within: ")
    like("... too long", s.tool("see_budget", until_free="1Gi", within="1h"), "within: say 10m or less")
    like("... a time for nothing", s.tool("see_budget", within="1s"), "within: say with until_free")
    like("... no text", s.tool("see_budget", until_free=5), "until_free: say a text")
    wait("last", until_free="1Gi")
    equal("the end of its input ends it, whatever waits", s.end()[0], 0)


def failures(daemon):
    s = Server("--socket", daemon.path, "--session", "x")
    r = s.tool("explain_last_failure")
    like("a daemon that cannot tell", (r["isError"], r["content"][0]["text"]), r"True, .This daemon cannot tell")
    daemon.replies["GetResults"] = ("io.agentcg.NoSuchSession", {"name": "x"})
    equal("no session, no failure", s.tool("explain_last_failure")["structuredContent"], {"failed": False})
    daemon.replies["GetResults"] = {"results": []}
    r = s.tool("explain_last_failure")
    equal("nothing failed", (r["isError"], r["structuredContent"]), (False, {"failed": False}))
    equal("... is what it asked", daemon.asked[-1], ("GetResults", {"session": "x", "failed": True}))
    result = {"outcome": "oom_killed", "text": "killed: out of memory. peak 64 MiB of limit 64 MiB.", "retry": "larger", "request": MIB,
              "memoryPeak": 64 * MIB, "memoryMax": 64 * MIB, "suggestedRequest": 77 * MIB, "heldUSec": 0, "holds": 0, "throttles": 0,
              "oomKills": 1, "pidsExceeded": 0}
    old = {"seq": 1, "call": "x/tool-1", "command": ["old"], "result": dict(result, text="old")}
    last = {"seq": 2, "call": "x/tool-2", "command": ["sh", "-c", "pytest"], "exitUSec": int(time.time() - 90) * 1000000, "result": result}
    daemon.replies["GetResults"] = {"results": [old, last]}
    r = s.tool("explain_last_failure")
    equal("the last one", (r["structuredContent"]["call"], r["structuredContent"]["result"]["oomKills"]), ("x/tool-2", 1))
    equal("... what to declare", r["structuredContent"]["declare"], {"requests": {"memory": "77Mi"}, "limits": {"memory": "77Mi"}})
    like("... in words", r["content"][0]["text"], r'^"sh -c pytest" \(x/tool-2, (1m30s|9[0-9]s|1\.5m).* ago\): killed: out of memory.*'
         r'call declare_intent with {"requests":{"memory":"77Mi"},"limits":{"memory":"77Mi"}}\.$')
    daemon.replies["GetResults"] = {"results": [dict(last, result=dict(result, retry="smaller"))]}
    r = s.tool("explain_last_failure")
    check("where only less helps, nothing is to be declared", "declare" not in r["structuredContent"], r)
    like("... in words", r["content"][0]["text"], "do less at once")
    s.end()


def daemons(daemon):
    s = Server("--socket", daemon.path, "--session", "x")
    daemon.replies["GetStatus"] = "hang up"
    like("a daemon that hangs up", s.tool("see_budget"), "'isError': True")
    daemon.stop()
    r = s.tool("see_budget")
    check("without a daemon, an error of the tool", r["isError"])
    like("... that says how to start it", r["content"][0]["text"], "start it: systemctl start agentcgd.*tell the user")
    equal("the protocol goes on", s.ask("ping")["result"], {})
    daemon.replies["GetStatus"] = {"pool": {"memoryMax": 1, "memoryCurrent": 0, "headroom": 1}, "sessions": []}
    daemon.start()
    check("when it is back, so are the tools", not s.tool("see_budget")["isError"])
    daemon.replies["DeclareIntent"] = {}
    check("an answer that is none", s.tool("declare_intent", detach=True)["isError"])
    s.end()


def sessions(daemon):
    def session(*options, **env):
        s = Server("--socket", daemon.path, *options, **env)
        name = s.tool("see_budget")["structuredContent"]["session"]["name"]
        s.end()
        return name

    equal("the session is what --session says", session("--session", "a", AGENTCG_SESSION="b"), "a")
    equal("... what $AGENTCG_SESSION says", session(AGENTCG_SESSION="b", CLAUDE_CODE_SESSION_ID="c"), "b")
    equal("... that of the tool", session(CLAUDE_CODE_SESSION_ID="c"), "claude-c")
    daemon.replies["GetStatus"]["sessions"] = [{"name": "other", "calls": [], "pid": 1}, {"name": "mine", "calls": [], "pid": os.getpid()}]
    equal("... the one that ends with a process above", session(), "mine")
    daemon.replies["GetStatus"]["sessions"] = [{"name": "other", "calls": [], "pid": 1}, {"name": "old", "calls": []}]
    equal("... the user's own", session(), f"uid-{os.getuid()}")


def command():
    done = subprocess.run([AGENTCG, "mcp", "--help"], capture_output=True, text=True)
    like("the help says how to add it", done.stdout, "claude mcp add agentcg -- agentcg mcp")
    equal("unknown options are refused", subprocess.run([AGENTCG, "mcp", "--nope"], capture_output=True).returncode, 2)
    equal("arguments, too", subprocess.run([AGENTCG, "mcp", "x"], capture_output=True).returncode, 2)


def schemas():
    """What models are told must be what the daemon takes; and nothing that some models' interfaces cannot."""
    s = Server()
    tools = s.ask("tools/list")["result"]["tools"]
    s.end()
    intent = tools[0]["inputSchema"]["properties"]
    equal("declare_intent has the fields of an intent", sorted(set(intent) - {"command"}),
          sorted(["requests", "limits", "timeout", "deadline", "duration", "latency", "on_pressure", "detach"]))
    equal("... in requests and limits, too", (sorted(intent["requests"]["properties"]), sorted(intent["limits"]["properties"])),
          (["cpu", "memory"], ["cpu", "memory", "pids"]))
    check("every field of it is explained", all(p.get("description") for p in intent.values()))
    unions = [t for t in re.findall(r'"type": (\[[^]]*\])', json.dumps([t["inputSchema"] for t in tools]))]
    equal("no field is of two types", unions, [])
    equal("what only looks says so", [t["annotations"]["readOnlyHint"] for t in tools], [False, True, True])


def main():
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(f"{folder}/socket")
        daemon.start()
        for part in (handshakes, modern, errors, batches, schemas, command):
            part()
        for part in (declare, budget, waits, failures, daemons, sessions):
            part(daemon)
        daemon.stop()
    done()


try:
    main()
except BaseException:
    traceback.print_exc(file=sys.stdout)
    sys.exit(1)
