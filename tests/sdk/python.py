# SPDX-License-Identifier: GPL-2.0-only
"""Every public function of the Python SDK, plain and with asyncio, for the user that this runs as; see test-python.sh.

Prints "ok - TEXT" or "not ok - TEXT" for each result.
"""
import asyncio
import concurrent.futures
import contextlib
import datetime
import os
import re
import subprocess
import sys
import threading
import time
import traceback

import agentcg
import agentcg.aio
from agentcg import Intent

MIB = 1 << 20
ROOT = os.getuid() == 0
ASK = os.environ["ASK"]
NAME = sys.argv[1]
HOG = [sys.executable, "-c", "x = bytearray(200 << 20); print(len(x))"]
STORM = [sys.executable, "-c", """
import os, sys, time
try:
    for _ in range(8):
        if not os.fork():
            time.sleep(60)
            os._exit(0)
except BlockingIOError:
    sys.exit(3)"""]


def check(text, passed, why=""):
    print(f"{'' if passed else 'not '}ok - {text}", flush=True)
    if not passed and why != "":
        print(why, flush=True)


def equal(text, got, wanted):
    check(text, got == wanted, f"got {got!r}, wanted {wanted!r}")


def like(text, got, pattern):
    check(text, re.search(pattern, str(got)), f"got {got!r}, wanted {pattern!r}")


@contextlib.contextmanager
def raises(text, kind, pattern=""):
    try:
        yield
    except kind as e:
        like(text, e, pattern)
    except BaseException as e:
        check(text, False, f"got {e!r}")
    else:
        check(text, False, "nothing was raised")


def ask(what):
    """Of test-python.sh: restart, stop or start the daemon.  Comes back when it is done."""
    path = f"{ASK}/{what}"
    with open(path, "w"):
        pass
    while os.path.exists(path):
        time.sleep(0.05)


def eventually(condition, seconds=15):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def file_of(call, name):
    fd = os.open(name, os.O_RDONLY, dir_fd=call.cgroup_fd)
    with os.fdopen(fd) as f:
        return f.read().strip()


def group_of(pid):
    with open(f"/proc/{pid}/cgroup") as f:
        return f.read().strip()[3:]


def sleeping(seconds):
    return subprocess.run(["pgrep", "-fx", f"sleep {seconds}"], capture_output=True).returncode == 0


# ---- what needs no daemon ----------------------------------------------------

def pure():
    i = Intent(cpu="500m", cpu_max=2, memory="32Mi", memory_max=1 << 30, pids_max=9, timeout=datetime.timedelta(seconds=3),
               deadline="1m", duration="5s", latency="batch", on_pressure="kill", detach=False)
    equal("an intent as the protocol has it", i.to_json(), {
        "requests": {"cpu": "500m", "memory": "32Mi"}, "limits": {"cpu": 2, "memory": 1 << 30, "pids": 9},
        "timeout": "3000ms", "deadline": "1m", "duration": "5s", "latency": "batch", "on_pressure": "kill", "detach": False})
    equal("... and back", Intent.from_json(i.to_json()).to_json(), i.to_json())
    equal("one that says nothing is empty", Intent().to_json(), {})
    with raises("an unknown field is refused by name", agentcg.InvalidIntent, "limits.memroy"):
        Intent.from_json({"limits": {"memroy": 1}})
    equal("MCP: read-only can be run again", Intent.from_mcp({"readOnlyHint": True}).on_pressure, "kill")
    equal("MCP: idempotent, too", Intent.from_mcp({"idempotentHint": True, "destructiveHint": True}).on_pressure, "kill")
    equal("MCP: what destroys is not stopped half-way", Intent.from_mcp({"destructiveHint": True}).on_pressure, "throttle")
    equal("MCP: _meta is heard first", Intent.from_mcp({"readOnlyHint": True}, {
        "io.agentcg/intent": {"requests": {"memory": "1Gi"}, "on_pressure": "freeze"}}), Intent(memory="1Gi", on_pressure="freeze"))
    equal("MCP: nothing said", Intent.from_mcp(None, None), Intent())


def without():
    nowhere = agentcg.Client("/run/agentcg/nowhere")
    with raises("without a daemon: NoDaemon, with words what to do", agentcg.NoDaemon, "start it: systemctl start agentcgd"):
        nowhere.run(["true"])
    with agentcg.Session("x", socket="/run/agentcg/nowhere", required=False) as s:
        done = s.run("echo x; exit 3", shell=True, capture_output=True, text=True)
        equal("not required, it runs", (done.returncode, done.stdout), (3, "x\n"))
        equal("... and says so", (done.result.outcome, done.result.controlled), ("uncontrolled", False))
        like("... with the reason", done.result.text, "without control: no daemon at /run/agentcg/nowhere")
        done = s.run(["sleep", "600"], intent=Intent(timeout="300ms"))
        equal("its timeout is kept", (done.returncode, done.result.outcome), (-9, "timeout"))
        with s.begin_call() as call:
            process = call.popen(["sleep", "601"])
            with raises("nothing to adjust", agentcg.NoDaemon):
                call.adjust(Intent(memory="1Mi"))
        equal("what was started ends with it", process.wait(), -9)
    check("a session without a daemon closes", s.closed is None)


# ---- running commands --------------------------------------------------------

def commands(s):
    done = s.run(["cat", "/proc/self/cgroup"], capture_output=True, text=True)
    like("a command runs in its leaf", done.stdout, rf"^0::/agentcg.slice/session-{s.name}/tool-\d+$")
    equal("... as the call is named", done.stdout.strip().rsplit("/", 1)[1], done.call.split("/")[1])
    equal("its result", (done.returncode, done.result.outcome, done.result.controlled), (0, "ok", True))
    check("... with the kernel's counters", 0 < done.result.memory_peak < 100 * MIB, done.result)
    check("... and nothing to try again", done.result.retry_intent() is None)
    with raises("not found", FileNotFoundError, "no-such-program"):
        s.run(["no-such-program"])
    with raises("not executable", PermissionError):
        s.run(["/etc/passwd"])
    with raises("check=True", subprocess.CalledProcessError, "status 3.*peak"):
        s.run(["sh", "-c", "exit 3"], check=True)
    equal("a signal is told as by subprocess", s.run("kill -USR1 $$", shell=True).returncode, -10)
    big = os.urandom(3 << 20)
    check("input and output are the same bytes", s.run(["cat"], input=big, capture_output=True).stdout == big)
    equal("text is text", s.run(["cat"], input="gr\u00fcn\r\n", capture_output=True, encoding="utf-8").stdout, "gr\u00fcn\n")
    equal("a reader that goes away early", s.run(["true"], input=big).returncode, 0)
    env = {"PATH": "/usr/bin:/bin", "a.b": "1", "LANG": "C"}
    equal("the environment is the one that was given",
          s.run(["env"], env=env, capture_output=True).stdout, subprocess.run(["env"], env=env, capture_output=True).stdout)
    probe = ["sh", "-c", "ls /proc/self/fd | wc -l; pwd; grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"]
    equal("descriptors, folder and signals are those of a plain child", s.run(probe, cwd="/tmp", capture_output=True).stdout,
          subprocess.run(probe, cwd="/tmp", capture_output=True).stdout)
    equal("no module is looked for in its folder", s.run(["true"], cwd=ASK).returncode, 0)
    started = time.monotonic()
    done = s.run("sleep 602 & echo x", shell=True, capture_output=True)
    check("what it leaves behind does not hold it up", done.stdout == b"x\n" and time.monotonic() - started < 30)
    check("... and is killed", eventually(lambda: not sleeping(602)))
    equal("no call is left", agentcg.Client().status().calls, [])


def outcomes(s):
    with agentcg.Client().watch(timeout=20) as events:
        done = s.run(HOG, intent=Intent(memory="16Mi", memory_max="64Mi"))
        first = next(e for e in events if e.event != "pressure")
        equal("the event says so", (first.event, first.call), ("oom", done.call))
        slow = s.run(["sleep", "603"], intent=Intent(timeout="500ms"))
        second = next(e for e in events if e.event != "pressure")
        equal("a timeout is an event, too", (second.event, second.call), ("timeout", slow.call))
    equal("over its limit it is killed", (done.returncode, done.result.outcome, done.result.retry), (-9, "oom_killed", "larger"))
    like("... and told in words", done.result.text, "out of memory. peak .* of limit 64 MiB")
    equal("the granted limit is in the result", done.result.memory_max, 64 * MIB)
    again = done.result.retry_intent()
    check("what to try: more of both", agentcg.types.parse_size(again.memory_max) > 64 * MIB and
          again.memory == f"{done.result.suggested_request // MIB}Mi", again)
    equal("a timeout", (slow.returncode, slow.result.outcome), (-9, "timeout"))
    equal("... what to try: twice as long", slow.result.retry_intent(), Intent(timeout="1000ms"))
    done = s.run(STORM, intent=Intent(pids_max=5))
    equal("a fork storm", (done.returncode, done.result.outcome), (3, "pids_exceeded"))
    equal("... what to try: twice as many", done.result.retry_intent(), Intent(pids_max=10))
    done = s.run("sleep 604 & echo $!", shell=True, intent=Intent(detach=True), capture_output=True)
    check("detached, it goes on", done.result.running and sleeping(604), done)
    check("... with its output so far", re.fullmatch(rb"\d+\n", done.stdout), done.stdout)


# ---- refusals ----------------------------------------------------------------

def refusals(s, client):
    with raises("2G is refused in words", agentcg.InvalidIntent, "requests.memory: .*say 2Gi"):
        s.run(["true"], intent=Intent(memory="2G"))
    try:
        s.run(["true"], intent=Intent(memory_max=1))
    except agentcg.InvalidIntent as e:
        equal("... with field and reason", (e.field, e.reason), ("limits.memory", "with less than 1Mi no program starts"))
    with raises("a time without a unit, too", agentcg.InvalidIntent, "timeout"):
        s.run(["true"], intent=Intent(timeout="30"))
    with raises("a name that is none", agentcg.InvalidParameter, "session"):
        client.run(["true"], session="a/b")
    with raises("a priority that is none", ValueError, "low, normal, high"):
        client.open_session("x", priority="urgent")
    with raises("an ambiguous budget", ValueError, "512Mi"):
        client.open_session("x", budget="5M")
    with raises("no such session", agentcg.NoSuchSession, "nothing"):
        client.close_session("nothing")
    with raises("no such call", agentcg.NoSuchCall, "nothing/tool-1"):
        client.request("EndCall", call="nothing/tool-1")
    with raises("no such method", agentcg.NotSupported, "update it"):
        client.request("Nonsense")
    if not ROOT:
        with raises("another user's session", agentcg.PermissionDenied, "another user"):
            client.run(["true"], session="rooted")
        with raises("what only root may", agentcg.PermissionDenied, "only root"):
            client.request("Reload")
        like("a priority above the policy's is cut, and told", client.open_session(s.name, priority="high"), "priority")
    calls = []
    with raises("too many calls", agentcg.LimitExceeded, "60 for calls of one session"):
        while len(calls) < 70:
            calls.append(s.begin_call())
    equal("... not one too few, beside the one that goes on", len(calls), 59)
    for call in calls:
        call.end()


# ---- declared for another's call ----------------------------------------------

def declared(s, client):
    d = s.declare_intent(Intent(memory="44Mi", memory_max="9000Gi"))
    equal("declared: what would be granted", d.granted.memory, 44 * MIB)
    like("... and why not all", d.notes, "limits.memory" if client.status().allowed.memory else r"\[\]")
    done = s.run(["true"])
    equal("the next call gets it", done.result.request, 44 * MIB)
    like("... and is told", done.notes, "as declared before")
    s.declare_intent(Intent(memory="43Mi"), ["make", "-j8"])
    check("declared for a command, another does not get it", s.run(["true"]).result.request != 43 * MIB)
    equal("... it does", s.begin_call(["make"]).end().request, 43 * MIB)
    with raises("a wrong one is refused in words", agentcg.InvalidIntent, "say 2Gi"):
        s.declare_intent(Intent(memory="2G"))
    equal("what a call may have", (client.status().allowed.calls_per_session, client.status().allowed.pids), (60, 1000))


# ---- a call by hand ----------------------------------------------------------

def by_hand(s, client):
    with s.begin_call(["a", "b" * 1000], intent=Intent(memory="20Mi", memory_max="100Mi", cpu="500m")) as call:
        equal("what was granted", (call.granted.memory, call.granted.memory_max, call.granted.milli_cpu), (20 * MIB, 100 * MIB, 500))
        equal("its group is there", file_of(call, "memory.max"), str(100 * MIB))
        check("... and its descriptor goes to no child", not os.get_inheritable(call.cgroup_fd))
        g = call.adjust(Intent(memory_max="120Mi", pids_max=50), priority="low")
        equal("adjusted", (g.memory, g.memory_max, g.pids_max, g.priority), (20 * MIB, 120 * MIB, 50, 250))
        equal("... in its group, too", file_of(call, "memory.max"), str(120 * MIB))
        process = call.popen(["sleep", "605"], stdout=subprocess.PIPE)
        equal("a process of it", group_of(process.pid), call.cgroup)
        with subprocess.Popen(["sleep", "606"]) as other:
            call.attach(other.pid)
            equal("one that is moved there", group_of(other.pid), call.cgroup)
            equal("nothing waits that could be let go", call.release(), 0)
            listed = [c for c in client.status().calls if c.call == call.name]
            equal("the status shows it", [(c.request, c.memory_max, c.phase, c.detached) for c in listed],
                  [(20 * MIB, 120 * MIB, "running", False)])
            equal("... with the beginning of its command", listed[0].command[0], "a")
            result = call.end()
            equal("its end takes all with it", (process.wait(), other.wait()), (-9, -9))
        process.stdout.close()
    check("the end is told once and kept", call.result is result and call.end() is result)
    with raises("afterwards it is not there", agentcg.NoSuchCall):
        call.adjust(Intent(pids_max=5))
    with s.begin_call(intent=Intent(detach=True)) as call:
        process = call.popen(["sleep", "607"])
        equal("detached but killed on purpose", (call.end(kill=True).running, process.wait()), (False, -9))
    check("... it is", eventually(lambda: not sleeping(607)))
    status = client.status()
    equal("the pool", (status.pool.cgroup, status.pool.memory_max), ("/agentcg.slice", 900 * MIB))
    check("the session", s.name in [x.name for x in status.sessions])


def results(s, client):
    done = s.run(HOG, intent=Intent(memory_max="64Mi"))
    s.run(["true"])
    last = s.get_results()[-2:]
    equal("the results of the last calls", [(f.call, f.command[0], f.result.outcome) for f in last],
          [(done.call, sys.executable, "oom_killed"), (last[1].call, "true", "ok")])
    check("... in the order of their ends", last[0].seq + 1 == last[1].seq and last[0].exit_usec <= last[1].exit_usec)
    equal("those that failed", s.get_results(failed=True)[-1].result.text, done.result.text)
    equal("those that were not told", s.get_results(untold=True)[-1].call, done.call)
    equal("... they are told once", s.get_results(untold=True), [])
    with raises("of no session", agentcg.NoSuchSession):
        client.get_results("nothing")
    with subprocess.Popen(["sleep", "610"]) as process:
        pid_fd = os.pidfd_open(process.pid)
        client.open_session(f"{NAME}-tied", pid_fd=pid_fd)
        os.close(pid_fd)
        check("a session that is tied to a process", f"{NAME}-tied" in [x.name for x in client.status().sessions])
        process.kill()
    check("... ends with it", eventually(lambda: f"{NAME}-tied" not in [x.name for x in client.status().sessions]))


def placed(s, client):
    with subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        pid_fd = os.pidfd_open(shell.pid)
        name = f"{NAME}-attached"
        try:
            attached = client.attach_session(pid_fd, name)
        except agentcg.NotSupported as e:
            check("no kernel to attach by: in words", "kernel" in str(e), e)
            return
        finally:
            os.close(pid_fd)
        equal("a shell is attached", (attached.session, attached.call, attached.kind), (name, f"{name}/agent", "shell"))
        shell.stdin.write("cat /proc/self/cgroup\n")
        shell.stdin.flush()
        like("... its command has a leaf", shell.stdout.readline(), f"session-{name}/tool-")
        bought = client.create_ticket(["make"], session=name, intent=Intent(memory="44Mi"))
        check("a ticket", len(bought.ticket) == 32 and bought.call.startswith(f"{name}/tool-") and bought.expires_usec > 0, bought)
        client.close_session(name, kill=True)


def ended_group(s, client):
    with s.begin_call(["sleep"], group="end") as call:
        process = call.popen(["sleep", "631"])
        ended = s.end_group("end")
        equal("a group is ended", ([k.call for k in ended.killed], ended.cancelled), ([call.name], 0))
        equal("... what ran in it", process.wait(), -9)
    try:
        client.end_group(s.name, "nothing")
    except agentcg.NoSuchCall as e:
        equal("a group that is not there", e.call, "nothing")


def waiting(s, client):
    first = s.begin_call(["first"], group="g")
    equal("a call of a group", [c.group for c in client.status().calls if c.call == first.name], ["g"])
    results = []
    thread = threading.Thread(target=lambda: results.append(s.run(["true"], after=["g"])))
    thread.start()
    check("one that comes after it waits", eventually(lambda: len(client.status().waiting) == 1))
    equal("... as the status shows", [(w.lacks, w.command) for w in client.status().waiting], [("after", ["true"])])
    ask("restart")
    check("... also for a daemon that was restarted", eventually(lambda: len(client.status().waiting) == 1))
    first.end()
    thread.join()
    equal("then it runs", (results[0].returncode, results[0].result.outcome), (0, "ok"))
    like("... and is told", results[0].notes, "waited .* for others to end")
    with s.begin_call(after=[first.name]) as call:
        equal("what has ended is not waited for", call.queued_usec, 0)
    with raises("after what never was", agentcg.NoSuchCall, "nothing"):
        s.begin_call(after=["nothing"])
    with agentcg.Session(f"{NAME}-time", time_left="10m", calls_left=2) as timed:
        with timed.begin_call() as call:
            check("a call has its share of the session's time", 0 < call.granted.timeout_usec <= 300 * 1000000, call.granted)
        status = [x for x in client.status().sessions if x.name == timed.name][0]
        check("... of what is left", status.time_left_usec > 500 * 1000000 and status.calls_left == 1, status)


def history(client):
    kinds = client.history()
    check("the history knows the kinds that ran", {"cat", "sleep"} <= {k.kind for k in kinds}, kinds)
    check("... the newest first", all(a.last_usec >= b.last_usec for a, b in zip(kinds, kinds[1:])), kinds)
    slept = client.history(["/bin/sleep", "1"])
    check("of one command: its kind", [k.kind for k in slept] == ["sleep"] and slept[0].failures >= 1 and
          0 < slept[0].peak_p50 <= slept[0].peak_p95 <= slept[0].peak_max and slept[0].duration_p95_usec >= 500000, slept)
    equal("by its name, the same", client.history(kind="sleep"), slept)
    equal("no more than wanted", len(client.history(limit=1)), 1)
    equal("what never ran has none", client.history("cobc"), [])
    if not ROOT:
        with raises("another user's history", agentcg.PermissionDenied, "another user"):
            client.history(uid=0)


def parallel(s):
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        done = list(pool.map(lambda i: s.run(["echo", str(i)], capture_output=True, text=True), range(50)))
    equal("50 calls from as many threads", [d.stdout for d in done], [f"{i}\n" for i in range(50)])
    check("... each ok, in a leaf of its own", len({d.call for d in done}) == 50 and all(d.result.controlled for d in done))


def restarts(s):
    kept = s.begin_call()
    process = kept.popen(["sleep", "608"])
    results = []
    thread = threading.Thread(target=lambda: results.append(s.run("echo a; sleep 3; echo b", shell=True, capture_output=True)))
    thread.start()
    eventually(lambda: len(agentcg.Client().status().calls) == 2)
    ask("restart")
    thread.join()
    equal("a restart goes unnoticed", [(r.returncode, r.stdout, r.result.outcome) for r in results], [(0, b"a\nb\n", "ok")])
    time.sleep(11)
    check("a call is claimed though nobody waits for it", process.poll() is None)
    equal("... and ends as ever", (kept.end().outcome, process.wait()), ("ok", -9))
    with agentcg.Client().watch() as events:
        ask("restart")
        with raises("a watcher is told that the daemon went", agentcg.NoDaemon, "hung up"):
            next(events)
    thread = threading.Thread(target=lambda: results.append(s.run(["sleep", "609"], intent=Intent(timeout="2s"))))
    thread.start()
    eventually(lambda: sleeping(609))
    ask("stop")
    thread.join()
    equal("without the daemon a timeout is kept all the same", (results[1].returncode, results[1].result.outcome), (-9, "timeout"))
    like("... and said", results[1].result.text, "timeout after 2s.*the daemon is gone")
    ask("start")


# ---- asyncio -----------------------------------------------------------------

async def aio_commands(s, client):
    done = await s.run(["cat", "/proc/self/cgroup"], capture_output=True, text=True)
    like("a command runs in its leaf", done.stdout, rf"^0::/agentcg.slice/session-{s.name}/tool-\d+$")
    equal("its result", (done.returncode, done.result.outcome), (0, "ok"))
    with raises("not found", FileNotFoundError, "no-such-program"):
        await s.run(["no-such-program"])
    with raises("check=True", agentcg.CallFailed, "status 3"):
        await s.run("exit 3", shell=True, check=True)
    big = os.urandom(3 << 20)
    check("input and output are the same bytes", (await s.run(["cat"], input=big, capture_output=True)).stdout == big)
    done = await s.run("sleep 620 & echo x", shell=True, capture_output=True)
    check("what it leaves behind does not hold it up, and is killed", done.stdout == b"x\n" and eventually(lambda: not sleeping(620)))
    async with client.watch(timeout=20) as events:
        done = await s.run(HOG, intent=Intent(memory_max="64Mi"))
        event = await events.__anext__()
        while event.event == "pressure":
            event = await events.__anext__()
        equal("an event", (event.event, event.call), ("oom", done.call))
    equal("over its limit it is killed", (done.returncode, done.result.outcome), (-9, "oom_killed"))
    done = await s.run(["sleep", "621"], intent=Intent(timeout="500ms"))
    equal("a timeout", (done.returncode, done.result.outcome), (-9, "timeout"))
    done = await s.run("sleep 622 & echo $!", shell=True, intent=Intent(detach=True), capture_output=True)
    check("detached, it goes on", done.result.running and sleeping(622), done)
    with raises("2G is refused in words", agentcg.InvalidIntent, "say 2Gi"):
        await s.run(["true"], intent=Intent(memory="2G"))
    with raises("no such session", agentcg.NoSuchSession):
        await client.close_session("nothing")
    with raises("without a daemon", agentcg.NoDaemon, "start it"):
        await agentcg.aio.Client("/run/agentcg/nowhere").status()
    done = await agentcg.aio.Client("/run/agentcg/nowhere", required=False).run("echo x", shell=True, capture_output=True)
    equal("not required, it runs and says so", (done.stdout, done.result.controlled), (b"x\n", False))


async def aio_by_hand(s, client):
    equal("declared", (await s.declare_intent(Intent(memory="42Mi"))).granted.memory, 42 * MIB)
    equal("... the next call gets it", (await s.run(["true"])).result.request, 42 * MIB)
    async with await s.begin_call(["a"], intent=Intent(memory="20Mi")) as call:
        equal("what was granted", call.granted.memory, 20 * MIB)
        g = await call.adjust(Intent(memory_max="120Mi"))
        equal("adjusted", (g.memory_max, file_of(call, "memory.max")), (120 * MIB, str(120 * MIB)))
        process = await call.popen(["sleep", "623"])
        equal("a process of it", group_of(process.pid), call.cgroup)
        equal("nothing waits that could be let go", await call.release(), 0)
        check("the status shows it", call.name in [c.call for c in (await client.status()).calls])
    equal("its end takes all with it", (await process.wait(), call.result.outcome), (-9, "ok"))
    equal("the history, too", [k.kind for k in await client.history(kind="sleep", limit=5)], ["sleep"])
    task = asyncio.create_task(s.run(["sleep", "624"]))
    while not sleeping(624):
        await asyncio.sleep(0.1)
    task.cancel()
    with raises("a cancelled call", asyncio.CancelledError):
        await task
    check("... is killed", eventually(lambda: not sleeping(624)))


async def aio_results(s, client):
    done = await s.run(HOG, intent=Intent(memory_max="64Mi"))
    last = (await s.get_results(failed=True))[-1]
    equal("the result of a call that ended", (last.call, last.result.text), (done.call, done.result.text))
    check("... is told once", await s.get_results(untold=True) and not await s.get_results(untold=True))
    process = await asyncio.create_subprocess_exec("sleep", "626")
    pid_fd = os.pidfd_open(process.pid)
    await client.open_session(f"{NAME}-tied-aio", pid_fd=pid_fd)
    os.close(pid_fd)
    process.kill()
    await process.wait()
    while f"{NAME}-tied-aio" in [x.name for x in (await client.status()).sessions]:
        await asyncio.sleep(0.1)
    check("a session that is tied to a process ends with it", True)


async def aio_placed(s, client):
    process = await asyncio.create_subprocess_exec("sleep", "627")
    pid_fd = os.pidfd_open(process.pid)
    name = f"{NAME}-attached-aio"
    try:
        equal("a process is attached", (await client.attach_session(pid_fd, name, kind="framework")).kind, "framework")
        like("a ticket", (await client.create_ticket(session=name)).ticket, "^[0-9a-f]{32}$")
        await client.close_session(name, kill=True)
    except agentcg.NotSupported as e:
        check("no kernel to attach by: in words", "kernel" in str(e), e)
    finally:
        os.close(pid_fd)
        if process.returncode is None:
            process.kill()
        await process.wait()


async def aio_ended_group(s, client):
    async with await s.begin_call(["sleep"], group="end") as call:
        process = await call.popen(["sleep", "632"])
        ended = await s.end_group("end")
        equal("a group is ended", ([k.call for k in ended.killed], await process.wait()), ([call.name], -9))


async def aio_waiting(s, client):
    first = await s.begin_call(["first"], group="g")
    task = asyncio.create_task(s.run(["true"], after=["g"]))
    while not (await client.status()).waiting:
        await asyncio.sleep(0.05)
    gone = asyncio.create_task(s.begin_call(after=["g"]))
    while len((await client.status()).waiting) < 2:
        await asyncio.sleep(0.05)
    gone.cancel()
    with raises("who gives up", asyncio.CancelledError):
        await gone
    await first.end()
    like("who waits runs in the end, and is told", (await task).notes, "waited .* for others to end")
    equal("nobody waits any more", (await client.status()).waiting, [])


async def aio_parallel(s):
    done = await asyncio.gather(*(s.run(["echo", str(i)], capture_output=True, text=True) for i in range(50)))
    equal("50 calls at once", [d.stdout for d in done], [f"{i}\n" for i in range(50)])
    check("... each ok, in a leaf of its own", len({d.call for d in done}) == 50 and all(d.result.controlled for d in done))


async def aio_restarts(s):
    kept = await s.begin_call()
    process = await kept.popen(["sleep", "625"])
    task = asyncio.create_task(s.run("echo a; sleep 3; echo b", shell=True, capture_output=True))
    await asyncio.sleep(1)
    await asyncio.to_thread(ask, "restart")
    done = await task
    equal("a restart goes unnoticed", (done.returncode, done.stdout, done.result.outcome), (0, b"a\nb\n", "ok"))
    await asyncio.sleep(11)
    check("a call is claimed though nobody waits for it", process.returncode is None)
    equal("... and ends as ever", ((await kept.end()).outcome, await process.wait()), ("ok", -9))


async def aio():
    async with agentcg.aio.Session(f"{NAME}-aio", priority="normal") as s:
        client = s.client
        for part in (aio_commands(s, client), aio_by_hand(s, client), aio_results(s, client), aio_placed(s, client), aio_ended_group(s, client), aio_waiting(s, client),
                     aio_parallel(s), aio_restarts(s)):
            await part
            print(f"at {time.monotonic():.0f} s", flush=True)
    equal("closing leaves what is detached", s.closed and s.closed.detached, 1)
    killed = (await client.close_session(s.name, kill=True)).killed
    like("... and told to, tells whom it killed", killed, r"sleep 622")
    equal("the user's own session", (await agentcg.aio.run(["true"])).call.split("/")[0], f"uid-{os.getuid()}")


def main():
    pure()
    without()
    with agentcg.Session(NAME, priority="normal") as s:
        client = s.client
        for part in (lambda: commands(s), lambda: outcomes(s), lambda: refusals(s, client), lambda: declared(s, client),
                     lambda: by_hand(s, client), lambda: results(s, client), lambda: placed(s, client), lambda: ended_group(s, client), lambda: waiting(s, client),
                     lambda: history(client), lambda: parallel(s), lambda: restarts(s)):
            part()
            print(f"at {time.monotonic():.0f} s", flush=True)
    equal("closing leaves what is detached", s.closed and s.closed.detached, 1)
    killed = client.close_session(s.name, kill=True).killed
    like("... and told to, tells whom it killed", killed, r"sleep 604")
    equal("the user's own session", agentcg.run(["true"]).call.split("/")[0], f"uid-{os.getuid()}")
    print("with asyncio:", flush=True)
    asyncio.run(aio())


try:
    main()
except BaseException:
    traceback.print_exc(file=sys.stdout)
    sys.exit(1)
