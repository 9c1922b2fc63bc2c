# SPDX-License-Identifier: GPL-2.0-only
"""Sessions in engines that hold all of them in one cache, and in LMCache: all of them fakes (fakes.py)."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, "tests/bench")
from varlink import Link, check, done, equal  # noqa: E402
import fakes  # noqa: E402
import workers_cache as wc  # noqa: E402

GPU = "io.agentcg.gpu."
WORK = os.environ["WORK"]
IDS = list(range(1000, 1600))


def worker(name):
    return next(w for w in Link().call(GPU + "GetWorkers")["workers"] if w["name"] == name)


def cache(session, name="v1"):
    return next((c for c in worker(name)["caches"] if c["session"] == session), {})


def eventually(seconds, what):
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.1)
    return what()


def start(name, program, fake):
    """A worker that looks like the engine, and is served by the fake."""
    path = os.path.join(WORK, name, program)
    os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nsleep 10000\n")
    os.chmod(path, 0o755)
    subprocess.Popen([wc.AGENTCG, "gpu", "run", "--name", name, "--cpus", "1", "--url", fake.url, "--", path, "serve"], stderr=subprocess.DEVNULL)
    eventually(30, lambda: any(w["name"] == name and w["engine"] == program for w in Link().call(GPU + "GetWorkers")["workers"]))


def policy(**gpu):
    with open(WORK + "/policy.conf", encoding="utf-8") as f:
        text = f.read().split("[GPU]")[0]
    with open(WORK + "/policy.conf", "w", encoding="utf-8") as f:
        f.write(text + "[GPU]\nLMCache=http://127.0.0.1:9000\n" + "".join(f"{k}={v}\n" for k, v in gpu.items()))
    os.kill(int(os.environ["DAEMON"]), signal.SIGHUP)
    time.sleep(0.5)


class Session:
    def __init__(self, link, events, name):
        self.link, self.events, self.name, self.call = link, events, name, None
        link.call("OpenSession", name=name)

    def bind(self, where="v1", **more):
        self.link.call(GPU + "BindSession", session=self.name, worker=where, **more)

    def pause(self):
        self.call = self.link.call("BeginCall", session=self.name, command=["pytest"])["call"]

    def resume(self):
        self.link.call("EndCall", call=self.call)

    def told(self, *wanted, seconds=15):
        """The next such event of it; {} if there is none."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            event = wc.wait_for(self.events, *wanted, seconds=max(end - time.monotonic(), 0.1))
            if event and event.get("session") == self.name:
                return event
        return {}


def lmcache(vllm, lm, a):
    lm.layout = {"v1": ["LocalCPUBackend", 512], "another": ["LocalCPUBackend", 256]}
    a.bind(tokenIds=IDS)
    a.pause()
    event = a.told("kept")
    equal("LMCache is asked what it has", event.get("text"), "LMCache has 512 of 600 tokens, in LocalCPUBackend")
    equal("... with the session's tokens", lm.posts("/lookup"), [{"tokens": IDS}])
    equal("... and that is shown", (cache("a")["stored"], cache("a")["tokens"], cache("a")["kv"]), (512, 600, "kept"))
    a.resume()
    a.told("resumed")
    time.sleep(1)
    vllm.request(610, 600)
    event = a.told("kept", "recomputed")
    check("back: the next request reused it", event.get("event") == "kept" and "reused 600 of 610 tokens" in event["text"], event)
    a.pause()
    a.told("kept")
    a.resume()
    a.told("resumed")
    time.sleep(1)
    vllm.request(610, 0)
    event = a.told("kept", "recomputed")
    check("... or did not", event.get("event") == "recomputed" and "reused 0 of 610 tokens" in event["text"], event)
    a.pause()
    a.told("kept")
    a.resume()
    a.told("resumed")
    time.sleep(1)
    vllm.request(100, 0)
    equal("... a shorter one is somebody else's", a.told("kept", "recomputed", seconds=4), {})
    for mode, wanted in (("error", "the controller says: a fake error (HTTP status 500)"), ("half", "LMCache: ")):
        lm.mode = mode
        a.pause()
        event = a.told("kept", "recomputed")
        check(f"LMCache, {mode}: said, and the cache is as it was", wanted in event.get("text", "") and cache("a")["kv"] == "kept", event)
        check("... nothing is shown of it", "stored" not in cache("a"), cache("a"))
        a.resume()
    lm.mode = "silent"
    begin = time.monotonic()
    a.pause()
    a.resume()
    check("LMCache, silent: holds up no call", time.monotonic() - begin < 3, time.monotonic() - begin)
    a.pause()
    event = a.told("kept")
    check("... and is given up", "LMCache: the controller does not answer" in event.get("text", ""), event)
    a.resume()
    lm.mode = ""
    equal("... and what it was not told of is not emptied", (vllm.posts("/reset_prefix_cache"), lm.posts("/clear")), ([], []))


def elsewhere(lm, a):
    lm.layout = {"v1": ["LocalCPUBackend", 512]}
    a.bind("v2")
    event = a.told("copied", "recomputed")
    equal("bound to another worker: copied there", (event.get("event"), event.get("text")), ("copied", "512 tokens from v1"))
    equal("... as LMCache is told", lm.posts("/move"), [{"old_position": ["v1", "LocalCPUBackend"], "new_position": ["v2", "LocalCPUBackend"],
                                                       "copy": True, "tokens": IDS}])
    equal("... with what is known of it", cache("a", "v2")["tokens"], 600)
    lm.layout = {"v2": ["LocalCPUBackend", 512]}
    lm.mode = "error"
    a.bind("v1")
    event = a.told("copied", "recomputed")
    check("... it cannot: said", event.get("event") == "recomputed" and "LMCache leaves it with v2: the controller says" in event["text"], event)
    lm.mode = ""


def emptied(vllm, lm, a, b):
    lm.layout = {"v1": ["LocalCPUBackend", 512]}
    a.bind(tokenIds=IDS)
    b.bind()
    policy(Cache="drop")
    a.pause()
    b.pause()
    time.sleep(3)
    equal("Cache=drop alone empties no engine", vllm.posts("/reset_prefix_cache"), [])
    a.resume()
    b.resume()
    policy(Cache="drop", EmptyEngines="yes")
    a.pause()
    time.sleep(3)
    equal("one that is not paused: neither", vllm.posts("/reset_prefix_cache"), [])
    vllm.running = 1
    b.pause()
    time.sleep(3)
    vllm.running, vllm.waiting = 0, 1
    time.sleep(3)
    equal("a request that runs, or waits: neither", vllm.posts("/reset_prefix_cache"), [])
    vllm.waiting, vllm.mode = 0, "busy"
    check("nobody: it is told to", eventually(10, lambda: vllm.posts("/reset_prefix_cache")))
    time.sleep(2)
    equal("... cannot: both are there", (cache("a")["kv"], cache("b")["kv"]), ("kept", "kept"))
    vllm.mode = "word"
    event = b.told("dropped")
    equal("... again, and can", event.get("text"), "the cache of the whole engine was emptied")
    equal("... both are gone", (cache("a")["kv"], cache("b")["kv"]), ("dropped", "dropped"))
    a.resume()
    equal("... and computed anew", a.told("recomputed").get("text"), "its cache was dropped")
    b.resume()
    b.told("recomputed")
    # The last that pauses is the one that asks: LMCache is emptied for it.
    vllm.mode = ""
    b.pause()
    a.pause()
    event = a.told("dropped")
    check("one that does not say whether it did: said", "does not say" in event.get("text", ""), event)
    event = a.told("dropped")
    equal("LMCache's part is emptied, too", (event.get("text"), lm.posts("/clear")),
          ("512 tokens in LocalCPUBackend of LMCache's v1", [{"instance_id": "v1", "location": "LocalCPUBackend"}]))
    a.resume()
    b.resume()
    b.told("recomputed")
    vllm.mode = "old"
    tries = len(vllm.posts("/reset_prefix_cache"))
    b.pause()
    a.pause()
    check("one that cannot be emptied: said", eventually(10, lambda: "VLLM_SERVER_DEV_MODE=1" in worker("v1").get("offloading", "")), worker("v1"))
    a.resume()
    a.pause()
    time.sleep(3)
    equal("... and not asked again", len(vllm.posts("/reset_prefix_cache")), tries + 1)
    a.resume()
    b.resume()


def sglang(engine, a):
    a.bind("s1", tokens=500)
    engine.mode = "busy"
    a.pause()
    check("SGLang refuses while requests run, which we do not see yet", eventually(10, lambda: len(engine.posts("/flush_cache")) > 1))
    equal("... nothing is dropped", cache("a", "s1")["kv"], "kept")
    engine.mode = ""
    equal("... later it does", a.told("dropped").get("text"), "the cache of the whole engine was emptied")
    a.resume()
    a.told("recomputed")
    policy(Cache="auto")
    a.pause()
    a.resume()
    a.told("resumed")
    time.sleep(1)
    engine.request(520, 500)
    check("SGLang: what the next request reused", "reused 500 of 520" in a.told("kept").get("text", ""))


def limits(link):
    equal("too many tokens", link.error(GPU + "BindSession", session="a", worker="v1", tokenIds=[7] * 65537), "LimitExceeded")
    for bad in ([-1], [1 << 31], ["x"], [1.5], [None]):
        equal(f"a token that is none: {bad}", link.error(GPU + "BindSession", session="a", worker="v1", tokenIds=bad), "InvalidParameter")
    equal("... and nothing has changed", cache("a", "s1")["tokens"], 500)
    for i in range(15):
        link.call("OpenSession", name=f"many{i}")
        link.call(GPU + "BindSession", session=f"many{i}", worker="v1", tokenIds=[7] * 65536)
    # The 600 of a are what is too many.
    equal("too many of one user", link.error(GPU + "BindSession", session="b", worker="v1", tokenIds=[7] * 65536), "LimitExceeded")
    link.call("CloseSession", name="many0")
    equal("... until one ends", link.error(GPU + "BindSession", session="b", worker="v1", tokenIds=[7] * 65536), "")


def main():
    vllm, second, engine, lm = fakes.VLLM(8001), fakes.VLLM(8002), fakes.SGLang(8003), fakes.LMCache(9000)
    policy()
    start("v1", "vllm", vllm)
    start("v2", "vllm", second)
    start("s1", "sglang", engine)
    link, events = Link(), wc.watch()
    a, b = Session(link, events, "a"), Session(link, events, "b")
    lmcache(vllm, lm, a)
    elsewhere(lm, a)
    emptied(vllm, lm, a, b)
    sglang(engine, a)
    limits(link)
    lm.stop()
    a.bind(tokenIds=IDS)
    a.pause()
    check("LMCache, dead: said", "LMCache: the controller does not answer" in a.told("kept").get("text", ""))
    a.resume()
    vllm.stop()
    a.pause()
    a.resume()
    equal("an engine that is dead holds up no call", cache("a")["kv"], "kept")
    for name in ("v1", "v2", "s1"):
        subprocess.run([wc.AGENTCG, "gpu", "end", "--kill", name], check=True)
    done()


main()
