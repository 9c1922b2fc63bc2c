# SPDX-License-Identifier: GPL-2.0-only
"""Sessions that pause for tool calls, and the caches of a real llama-server; says what the daemon must do to test-gpu-pause.sh."""
import http.server
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, "tests/bench")
from varlink import Link, check, done, equal  # noqa: E402
import workers_cache as wc  # noqa: E402

GPU = "io.agentcg.gpu."
NOBODY = 65534
WORK = os.environ["WORK"]
PROMPT = "a" * 200


def worker(name):
    return next((w for w in Link().call(GPU + "GetWorkers")["workers"] if w["name"] == name), None)


def cache(name="llm", session="agent"):
    return next((c for c in worker(name)["caches"] if c["session"] == session), {})


def kv(name="llm", session="agent"):
    return cache(name, session).get("kv")


class Daemon:
    """The one that the suite has started, and those that come after it."""

    def __init__(self):
        self.pid, self.process = int(os.environ["DAEMON"]), None

    def kill(self):
        """Until it is gone: the next one is refused while the group is its."""
        fd = os.pidfd_open(self.pid)
        os.kill(self.pid, signal.SIGKILL)
        select.select([fd], [], [])
        os.close(fd)
        if self.process:
            self.process.wait()

    def start(self):
        """What watches it now, once it answers and knows the worker's engine."""
        self.process = subprocess.Popen([wc.AGENTCG + "d", "--foreground", "--policy", WORK + "/policy.conf", "--history", ""],
                                        stdin=subprocess.DEVNULL, stdout=open(WORK + "/daemon.log", "a"), stderr=subprocess.STDOUT)
        self.pid = self.process.pid
        end = time.monotonic() + 60
        while True:
            try:
                events = wc.watch()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        while worker("llm")["engine"] == "unknown" and time.monotonic() < end:
            time.sleep(0.1)
        return events

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


class Hook(http.server.BaseHTTPRequestHandler):
    got = []

    def do_POST(self):
        Hook.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


class Between(http.server.BaseHTTPRequestHandler):
    """Between daemon and engine."""
    engine = None

    def answer(self, body):
        request = urllib.request.Request(Between.engine + self.path, body, {"Content-Type": "application/json"})
        return urllib.request.urlopen(request, timeout=60).read()

    def forward(self, body=None):
        answer = self.answer(body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self):
        self.forward()

    def do_POST(self):
        self.forward(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *args):
        pass


class Liar(Between):
    """Says of every restore that it was done, and does not do it. Counts what was asked for."""
    restores, saves = 0, 0

    def answer(self, body):
        if "action=save" in self.path:
            Liar.saves += 1
        if "action=restore" in self.path:
            Liar.restores += 1
            return json.dumps({"id_slot": 0, "filename": "x", "n_restored": 10000, "n_read": 1, "timings": {"restore_ms": 1}}).encode()
        return super().answer(body)


class Slow(Between):
    """Says of every restore that it took long, for the little that it read."""

    def answer(self, body):
        answer = super().answer(body)
        if "action=restore" in self.path:
            answer = json.dumps({**json.loads(answer), "timings": {"restore_ms": 300}}).encode()
        return answer


def serve(handler, port):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def stand_in(name, url):
    """A worker that looks like llama-server and is served by another: adapters are per worker."""
    program = os.path.join(WORK, name, "llama-server")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    shutil.copy("/usr/bin/sleep", program)
    process = subprocess.Popen([wc.AGENTCG, "gpu", "run", "--name", name, "--cpus", "1", "--url", url, "--", program, "1000"],
                               stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while time.monotonic() < end and not (worker(name) and worker(name)["state"] == "running" and worker(name)["engine"] == "llama-server"):
        time.sleep(0.2)
    return process


def pause(link, events, seconds=20):
    """A call until its cache is away, or so long; the call, and the event."""
    call = link.call("BeginCall", session="agent", command=["pytest"])["call"]
    return call, wc.wait_for(events, "offloaded", "kept", seconds=seconds)


def may(link):
    other = Link(NOBODY)
    equal("another user binds nothing", other.error(GPU + "BindSession", session="agent", worker="llm"), "PermissionDenied")
    equal("... and unbinds nothing", other.error(GPU + "UnbindSession", session="agent"), "PermissionDenied")
    equal("a session that is not there", link.error(GPU + "BindSession", session="none", worker="llm"), "NoSuchSession")
    equal("a worker that is not there", link.error(GPU + "BindSession", session="agent", worker="none"), "NoSuchWorker")
    equal("a slot that cannot be", link.error(GPU + "BindSession", session="agent", worker="llm", slot=1 << 40), "InvalidParameter")
    told = subprocess.run([wc.AGENTCG, "run", "--session", "agent", "--", sys.executable, "-c",
                           "import sys; sys.path.insert(0, 'tests/system'); from varlink import Link; "
                           f"print(Link().error('{GPU}BindSession', session='agent', worker='llm', slot=1))"],
                          capture_output=True, text=True).stdout.strip()
    equal("a tool call does not say where its session's cache is", told, "InToolCall")
    mine = Link(NOBODY)
    mine.call("OpenSession", name="theirs")
    mine.call(GPU + "BindSession", session="theirs", worker="llm", slot=1)
    equal("an owner binds", kv(session="theirs"), "kept")
    seen = [[c["session"] for w in Link(uid).call(GPU + "GetWorkers")["workers"] for c in w["caches"]] for uid in (0, NOBODY, 1000)]
    equal("root and the owner see that, another user does not", seen, [["theirs"], ["theirs"], []])
    mine.call("CloseSession", name="theirs")
    equal("... until the session ends", kv(session="theirs"), None)


def gpu(*args, uid=0):
    """agentcg gpu: its exit code, and what it printed."""
    done = subprocess.run([wc.AGENTCG, "gpu", *args], capture_output=True, text=True, user=uid)
    return done.returncode, done.stdout + done.stderr


def command(link):
    equal("agentcg gpu bind", gpu("bind", "agent", "llm", "--slot", "1", "--tokens", "77"), (0, ""))
    bound = cache()
    equal("... binds", (bound["slot"], bound["tokens"], bound["kv"]), (1, 77, "kept"))
    text = gpu("status")[1]
    check("agentcg gpu status shows who holds whom", re.search(r"SESSION +WORKER +SLOT +TOKENS.*\nagent +llm +1 +77 +kept +-\n", text), text)
    call = link.call("BeginCall", session="agent", command=["pytest"])["call"]
    text = gpu("status")[1]
    check("... and that it is in a tool call", re.search(r"\nagent +llm +1 +\S+ +kept +\d+ s\n", text), text)
    link.call("EndCall", call=call)
    equal("bound anew, to no slot that is known", gpu("bind", "agent", "llm"), (0, ""))
    check("... is shown", re.search(r"\nagent +llm +- +- +kept", gpu("status")[1]), gpu("status")[1])
    code, text = gpu("bind", "agent", "llm", "--slot", "0", uid=NOBODY)
    check("others are told that they may not", code == 1 and "belongs to another user" in text, text)
    for args, wanted in ((["agent"], "say which session, and which worker"), (["agent", "none"], "no worker 'none'; agentcg gpu status"),
                         (["none", "llm"], "no session 'none'; agentcg status"), (["agent", "llm", "--slot", "x"], "no number from 0"),
                         (["agent", "llm", "--slot", "65536"], "no number from 0"), (["agent", "llm", "--cpus", "1"], "--cpus does not go with bind")):
        code, text = gpu("bind", *args)
        check(f"gpu bind {' '.join(args)}: refused, and what to do", code in (1, 2) and wanted in text, text)
    equal("... and nothing has changed", "slot" in cache(), False)
    equal("agentcg gpu unbind", gpu("unbind", "agent"), (0, ""))
    equal("... unbinds", cache(), {})
    check("... and is shown", "SESSION" not in gpu("status")[1], gpu("status")[1])
    equal("... also if it was not bound", gpu("unbind", "agent"), (0, ""))
    check("... but not one that is not there", "no session 'none'" in gpu("unbind", "none")[1])


def works(engine, link, events):
    part = wc.reuse(engine, events, link, "agent", PROMPT)
    check("4.3b: a session that comes back: at most 5 % of what it held is computed anew", part <= 0.05, part)
    call, event = pause(link, events)
    equal("paused again: offloaded", event and event["event"], "offloaded")
    cache = next(c for c in worker("llm")["caches"] if c["session"] == "agent")
    check("... and shown", cache["kv"] == "offloaded" and cache["slot"] == 0 and cache["pausedUSec"] > 0 and cache["tokens"] > 200, cache)
    equal("... its slot is empty", engine.tokens(0), 0)
    link.call("EndCall", call=call)
    equal("... and restored", wc.wait_for(events, "restored", "recomputed")["event"], "restored")
    equal("there is one file for it", os.listdir(engine.slots), ["agentcg-0.bin"])


def webhook():
    end = time.monotonic() + 75   # it is tried again every 30 s at least
    while time.monotonic() < end and not any(e["event"] == "restored" for e in Hook.got):
        time.sleep(0.5)
    names = [e["event"] for e in Hook.got]
    check("a webhook that was dead gets what it missed", "paused" in names and "offloaded" in names and "restored" in names, names)
    e = next((e for e in Hook.got if e["event"] == "paused"), {})
    check("... as the watchers do", e.get("worker") == "llm" and e.get("session") == "agent" and e.get("timeUSec"), e)


def lies(engine, daemon, link, events):
    Between.engine = engine.url
    serve(Liar, 8081)
    stand_in("liar", "http://127.0.0.1:8081")
    link.call(GPU + "BindSession", session="agent", worker="liar", slot=0)
    engine.complete(PROMPT, 0)
    call, event = pause(link, events)
    equal("an engine that lies: offloaded", event and event["event"], "offloaded")
    link.call("EndCall", call=call)
    event = wc.wait_for(events, "restored", "recomputed")
    check("its restore is not believed", event["event"] == "recomputed" and "are there" in event["text"], event)
    check("... which is shown", "nothing is offloaded any more" in worker("liar").get("offloading", ""), worker("liar"))
    engine.complete(PROMPT, 0)
    call, event = pause(link, events, seconds=8)
    link.call("EndCall", call=call)
    check("... and not tried again", event is None and Liar.saves == 1 and Liar.restores == 1, (event, Liar.saves, Liar.restores))
    equal("... the cache is kept", kv("liar"), "kept")
    daemon.kill()
    daemon.start()
    check("... nor after the daemon was killed", "nothing is offloaded any more" in worker("liar").get("offloading", ""), worker("liar"))
    subprocess.run([wc.AGENTCG, "gpu", "end", "--kill", "liar"], check=True)


def slow(engine, daemon, link, events):
    """Restores are slow for their size: the size must have been seen, too, also by a daemon that never saved anything there."""
    serve(Slow, 8083)
    stand_in("slow", "http://127.0.0.1:8083")
    link.call(GPU + "BindSession", session="agent", worker="slow", slot=0)
    engine.complete(PROMPT, 0)
    call, event = pause(link, events)
    equal("a slow engine: offloaded", event and event["event"], "offloaded")
    daemon.kill()
    events, link = daemon.start(), Link()
    link.call("EndCall", call=call)
    event = wc.wait_for(events, "restored", "recomputed")
    equal("... restored by the next daemon", event and event["event"], "restored")
    engine.complete(PROMPT, 0)
    call, event = pause(link, events)
    equal("... and worth it again", event and event["event"], "offloaded")
    link.call("EndCall", call=call)
    wc.wait_for(events, "restored", "recomputed")
    subprocess.run([wc.AGENTCG, "gpu", "end", "--kill", "slow"], check=True)
    return link, events


def truncated(engine, link, events):
    stand_in("short", engine.url)
    link.call(GPU + "BindSession", session="agent", worker="short", slot=0)
    engine.complete(PROMPT, 0)
    call, event = pause(link, events)
    equal("another worker: offloaded", event and event["event"], "offloaded")
    for name in os.listdir(engine.slots):
        os.truncate(os.path.join(engine.slots, name), 100)
    link.call("EndCall", call=call)
    event = wc.wait_for(events, "restored", "recomputed")
    check("a file that is cut off is not restored", event["event"] == "recomputed" and "restore" in event["text"], event)
    check("... and nothing is offloaded there any more", worker("short").get("offloading"), worker("short"))
    subprocess.run([wc.AGENTCG, "gpu", "end", "--kill", "short"], check=True)


def killed(engine, daemon, link, events):
    """kill -9 of the daemon while caches are where they are."""
    engine.complete(PROMPT, 0)
    call, event = pause(link, events)
    equal("offloaded, and the daemon is killed", event and event["event"], "offloaded")
    before = cache()
    daemon.kill()
    events, link = daemon.start(), Link()
    now = cache()
    check("the next one knows who is bound where, and that its cache is away",
          (now.get("slot"), now.get("kv"), now.get("tokens")) == (0, "offloaded", before["tokens"]) and
          now.get("pausedUSec", 0) > before["pausedUSec"], (before, now))
    link.call("EndCall", call=call)
    event = wc.wait_for(events, "restored", "recomputed")
    equal("... and restores it", event["event"], "restored")
    held = engine.tokens(0)
    computed, reused = engine.complete(PROMPT + "and on", 0)
    check("... really", reused >= held - 1 > 100, (held, computed, reused))

    daemon.kill()
    events, link = daemon.start(), Link()
    equal("killed while nothing is paused: it is bound", (cache().get("slot"), kv()), (0, "kept"))
    call, event = pause(link, events)
    equal("... and paused as before", event and event["event"], "offloaded")

    # The last that it does is to ask an engine that does not answer.
    pid = worker("llm")["pid"]
    for text, meanwhile in (("and nobody was in its slot since: restored", "restored"), ("and its slot was used since: not put over that", "recomputed")):
        os.kill(pid, signal.SIGSTOP)
        link.call("EndCall", call=call)
        wc.wait_for(events, "resumed", seconds=10)
        daemon.kill()
        os.kill(pid, signal.SIGCONT)
        if meanwhile == "recomputed":
            engine.complete("somebody else", 0)
        events, link = daemon.start(), Link()
        # What it tells may come before anybody can watch it; what it did is in the slot.
        end = time.monotonic() + 30
        while kv() != "kept" and time.monotonic() < end:
            time.sleep(0.1)
        tokens = engine.tokens(0)
        check("killed between the end of a call and its restore " + text,
              kv() == "kept" and (tokens > 100) == (meanwhile == "restored"), (kv(), tokens))
        engine.complete(PROMPT, 0)
        if meanwhile == "restored":
            call, event = pause(link, events)
            equal("... and away once more", event and event["event"], "offloaded")

    # What was in its slot when it was paused, nobody has seen.
    os.kill(pid, signal.SIGSTOP)
    call = link.call("BeginCall", session="agent", command=["pytest"])["call"]
    daemon.kill()
    os.kill(pid, signal.SIGCONT)
    events, link = daemon.start(), Link()
    check("killed before its slot was looked at: paused, and left alone", cache().get("pausedUSec") and not wc.wait_for(events, "offloaded", seconds=6), cache())
    link.call("EndCall", call=call)
    wc.wait_for(events, "resumed", seconds=10)

    process = stand_in("short-lived", engine.url)
    link.call("OpenSession", name="other")
    link.call(GPU + "BindSession", session="other", worker="short-lived", slot=1)
    daemon.kill()
    process.kill()
    process.wait()
    events, link = daemon.start(), Link()
    process = stand_in("short-lived", engine.url)
    equal("a worker that ended meanwhile: nobody is bound to the next of that name", worker("short-lived")["caches"], [])
    link.call("CloseSession", name="other")
    subprocess.run([wc.AGENTCG, "gpu", "end", "--kill", "short-lived"], check=True)
    link.call(GPU + "UnbindSession", session="agent")
    daemon.kill()
    events, link = daemon.start(), Link()
    equal("what was unbound stays so", worker("llm")["caches"], [])
    return link, events


def hung(engine, link, events):
    link.call(GPU + "BindSession", session="agent", worker="llm", slot=0)
    pid = worker("llm")["pid"]
    os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    call = link.call("BeginCall", session="agent", command=["pytest"])["call"]
    time.sleep(7)   # its requests time out
    link.call("EndCall", call=call)
    took = time.monotonic() - begin - 7
    check("an engine that hangs holds up no call", took < 5, took)
    equal("... and its cache is as it was", kv(), "kept")
    os.kill(pid, signal.SIGCONT)
    # What was asked for meanwhile ends.
    wc.wait_for(events, "resumed", seconds=10)
    part = wc.reuse(engine, events, link, "agent", PROMPT)
    check("it goes on: offloaded and restored as before", part <= 0.05, part)


def main():
    engine, link, events, daemon = wc.Engine(WORK), Link(), wc.watch(), Daemon()
    engine.wait()
    link.call("OpenSession", name="agent")
    may(link)
    command(link)
    link.call(GPU + "BindSession", session="agent", worker="llm", slot=0)
    works(engine, link, events)
    serve(Hook, 8082)
    webhook()
    link, events = killed(engine, daemon, link, events)
    lies(engine, daemon, link, events)
    link, events = slow(engine, daemon, Link(), wc.watch())
    truncated(engine, link, events)
    hung(engine, link, events)
    equal("the daemon's files are one for each session", os.listdir(engine.slots), ["agentcg-0.bin"])
    engine.process.kill()    # it is the worker's first
    end = time.monotonic() + 20
    while worker("llm") and time.monotonic() < end:
        time.sleep(0.2)
    check("an engine that crashes: nobody is bound any more", worker("llm") is None)
    call = link.call("BeginCall", session="agent", command=["true"])["call"]
    link.call("EndCall", call=call)
    equal("... and calls go on", link.error("CloseSession", name="agent"), "")
    daemon.stop()
    done()


main()
