# SPDX-License-Identifier: GPL-2.0-only
"""Calls that wait to begin: for memory, a budget, a quota; their order, whom they let pass, and how waiting ends.

With the policy of test-queue.sh: a pool of 400 MiB of which 32 are kept, three calls a session, QueueTimeout of 6 s.
"""
import json
import os
import select
import subprocess
import time

from varlink import Error, Link, check, done, equal

MIB = 1 << 20


class Begun:
    """A BeginCall on a connection of its own, whose reply may come later."""

    def __init__(self, session, mib, wait=True, uid=0, **more):
        self.link, self.reply, self.error = Link(uid), None, None
        intent = {"requests": {"memory": f"{mib}Mi"}, **more.pop("intent", {})}
        parameters = {"session": session, "command": [f"{mib}"], "intent": intent, "wait": wait, **more}
        self.link.send(json.dumps({"method": "io.agentcg.BeginCall", "parameters": parameters}).encode() + b"\0")

    def ready(self, seconds=0.0):
        """Whether the reply is there, within so long."""
        if self.reply is None and self.error is None and select.select([self.link.socket], [], [], seconds)[0]:
            message = self.link.receive()
            if "error" in message:
                self.error = Error(message["error"].rsplit(".", 1)[-1], message.get("parameters"))
            else:
                self.reply = message["parameters"]
        return self.reply is not None or self.error is not None

    def begins(self, seconds=5.0):
        return self.ready(seconds) and self.error is None

    def note(self):
        return self.reply["notes"][0] if self.reply and self.reply["notes"] else ""

    def end(self):
        self.link.call("EndCall", call=self.reply["call"])
        self.link.close()


root = Link()


def waiting():
    return [w["command"][0] for w in root.call("GetStatus")["waiting"]]


def waits(b):
    """It does not begin at once; its place and what it lacks are in the status when this returns."""
    return not b.ready(0.5)


def memory():
    a = Begun("s", 300)
    check("a call with room begins at once", a.begins())
    check("... and has not waited", "queuedUSec" not in a.reply)
    b = Begun("s", 200)
    check("one without waits", waits(b))
    w = root.call("GetStatus")["waiting"]
    equal("... as the status shows", [(x["session"], x["lacks"], x["position"], x["request"]) for x in w],
          [("s", "memory", 1, 200 * MIB)])
    c = Begun("s", 60)
    check("a small one passes it", c.begins())
    n = Begun("s", 200, wait=False)
    check("who does not wait begins at once", n.begins(1))
    n.end()
    c.end()
    check("... and still it waits", waits(b))
    a.end()
    check("when there is room it begins", b.begins())
    equal("... and knows why it had to wait", b.note().split(" for ")[1], "memory: 1 call with 300 MiB was before it")
    check("... and how long", b.reply["queuedUSec"] > 1000000, b.reply)
    b.end()
    equal("nobody waits any more", waiting(), [])


def order():
    root.call("OpenSession", name="high", priority=750)
    a = Begun("s", 340)
    a.begins()
    low = Begun("s", 341, priority=100)
    late = Begun("s", 342, intent={"deadline": "10m", "duration": "1s"})
    soon = Begun("s", 343, intent={"deadline": "10m", "duration": "5m"})
    plain = Begun("s", 344)
    check("four wait", all(waits(b) for b in (low, late, soon, plain)))
    equal("by priority and slack, then arrival", waiting(), ["343", "342", "344", "341"])
    high = Begun("high", 345)
    check("one that nothing of higher priority runs before does not wait", high.begins())
    high.end()
    begun = []
    a.end()
    while len(begun) < 4:
        ready = [b for b in (low, late, soon, plain) if b not in begun and b.ready(0.1)]
        begun += ready
        for b in ready:
            b.end()
    equal("so they begin, one after the other", [b.reply["granted"]["requests"]["memory"] // MIB for b in begun],
          [343, 342, 344, 341])


def budget():
    root.call("OpenSession", name="budget", budget=100 * MIB)
    a = Begun("budget", 60)
    a.begins()
    b = Begun("budget", 50)
    check("one without room in its session's budget waits", waits(b))
    equal("... for that", root.call("GetStatus")["waiting"][0]["lacks"], "budget")
    other = Begun("s", 200)
    check("... and others not for it", other.begins())
    other.end()
    a.end()
    check("it begins when its session has room", b.begins())
    b.end()


def timeout():
    a = Begun("s", 300)
    a.begins()
    start = time.monotonic()
    b = Begun("s", 200)
    check("after QueueTimeout it begins all the same", b.begins(12))
    check("... not before, and not long after", 5.9 < time.monotonic() - start < 8, time.monotonic() - start)
    check("... and is told", "begins without" in b.note(), b.note())
    b.end()
    a.end()


def quota():
    calls = [Begun("s", 16) for _ in range(3)]
    check("as many calls as may be", all(b.begins() for b in calls))
    refused = Begun("s", 16, wait=False)
    refused.ready(5)
    equal("one more is refused", (refused.error.name, refused.error.parameters),
          ("LimitExceeded", {"what": "calls of one session", "limit": 3}))
    unsaid = Link()
    equal("... also if it says nothing of waiting", unsaid.error("BeginCall", session="s"), "LimitExceeded")
    b = Begun("s", 17)
    check("or it waits", waits(b))
    equal("... for that", root.call("GetStatus")["waiting"][0]["lacks"], "calls")
    c = Begun("other", 16)
    check("... and others not for it", c.begins())
    c.end()
    calls.pop().end()
    check("until one ends", b.begins())
    check("... and is told", "calls of one session are limited to 3" in b.note(), b.note())
    calls.append(b)
    late = Begun("s", 16)
    late.ready(12)
    equal("or it is refused after QueueTimeout", late.error and late.error.name, "LimitExceeded")
    for b in calls:
        b.end()


def leaving():
    watch = Link()
    watch.send(b'{"method":"io.agentcg.Watch","more":true}\0')
    a = Begun("s", 300)
    a.begins()
    b, c, d = Begun("s", 200), Begun("new", 201, priority=100), Begun("s", 202)
    check("three wait", all(waits(x) for x in (b, c, d)))
    event = watch.receive()["parameters"]
    equal("that one waits is an event", (event["event"], event["call"], event["text"]),
          ("queued", "s", "waits for memory of the pool, as number 1"))
    b.link.close()
    time.sleep(0.5)
    equal("who hangs up is gone", waiting(), ["202", "201"])
    root.call("CloseSession", name="new", kill=True)
    c.ready(5)
    equal("who waits in a session that closes is told", (c.error and c.error.name), "NoSuchSession")
    a.end()
    check("the other begins", d.begins())
    while event["event"] != "admitted":
        event = watch.receive()["parameters"]
    equal("... which is an event, too", event["call"], d.reply["call"])
    d.end()
    equal("a session that was made for one that hung up is gone",
          [s["name"] for s in root.call("GetStatus")["sessions"] if s["name"] == "new"], [])


def others():
    a = Begun("s", 300)
    a.begins()
    b = Begun("theirs", 200, uid=1000, priority=100)
    check("a user's call waits for root's", waits(b))
    mine, theirs = Link(1000), Link(1001)
    equal("who waits sees it", len(mine.call("GetStatus")["waiting"]), 1)
    equal("others do not", theirs.call("GetStatus")["waiting"], [])
    flood = [Begun("theirs", 200, uid=1000, priority=100) for _ in range(256)]
    time.sleep(2)
    refused = [f for f in flood if f.ready()]
    equal("no user has more than 256 that wait", [(f.error and f.error.parameters["what"]) for f in refused],
          ["calls of one user that wait"])
    start = time.monotonic()
    small = Begun("small", 20)
    check("others pass them", small.begins(2), time.monotonic() - start)
    small.end()
    for f in flood:
        f.link.close()
    b.link.close()
    a.end()
    time.sleep(0.5)
    equal("they are gone with their connections", waiting(), [])


def groups():
    a, b = Begun("s", 16, group="g"), Begun("s", 16, group="g")
    check("two calls of a group", a.begins() and b.begins())
    equal("... as the status shows", [c["group"] for s in root.call("GetStatus")["sessions"] for c in s["calls"]], ["g", "g"])
    c = Begun("s", 16, wait=False, group="h", after=["g"])
    check("one that comes after them waits", waits(c))
    equal("... for that", [(w["lacks"], w["group"]) for w in root.call("GetStatus")["waiting"]], [("after", "h")])
    late = Begun("s", 16, group="g")
    check("another of the group", late.begins())
    back = Begun("s", 16, group="g", after=["h"])
    check("one that comes after the one that waits", waits(back))
    a.end()
    check("one of them ends: it waits", waits(c))
    b.end()
    check("both have ended: it begins, though the group has others by now", c.begins())
    check("... and is told", "for others to end" in c.note(), c.note())
    check("what comes after it still waits", waits(back))
    d = Begun("s", 16, after=[late.reply["call"]])
    check("one comes after a call", waits(d))
    late.link.close()
    check("whose client goes away: it begins", d.begins())
    check("... and is told that, too", any("did not end well: its client went away" in n for n in d.reply["notes"]), d.reply)
    c.end()
    check("no circle", back.begins())
    e = Begun("s", 16, after=["g", "h", d.reply["call"].replace(d.reply["call"].split("-")[-1], "1")])
    check("a group is remembered while one of it runs, a call for good", waits(e))
    back.end()
    check("... until it ends", e.begins())
    e.end()
    d.end()
    for name in ("nothing", "s/tool-99999", "s/agent", "budget/tool-1", "s/tool-1x"):
        x = Begun("s", 16, after=[name])
        x.ready(5)
        equal(f"after {name}: there is no such", x.error and (x.error.name, x.error.parameters), ("NoSuchCall", {"call": name}))
    for wrong in ("g", [1], ["g"] * 17):
        x = Begun("s", 16, after=wrong)
        x.ready(5)
        equal("a wrong list is refused", x.error and x.error.name, "InvalidParameter")
    x = Begun("s", 16, group="a/b")
    x.ready(5)
    equal("... so is a wrong name", x.error and x.error.name, "InvalidParameter")


def timeout_of(session, **intent):
    """What a call is granted, and its notes."""
    b = Begun(session, 16, intent=intent)
    b.begins()
    got = b.reply["granted"]["timeoutUSec"] / 1e6, b.reply["notes"]
    b.end()
    return got


def time_left():
    left = root.call("OpenSession", name="time", timeLeft="20s")["session"]["timeLeftUSec"] / 1e6
    check("a session has time", 19 < left <= 20, left)
    got, notes = timeout_of("time")
    check("a call has what is left", got <= left and not notes, (got, notes))
    got, notes = timeout_of("time", duration="5m")
    check("one that cannot finish is told before it begins", got <= left and "it is said to take 5m: it will be stopped after" in notes[-1], notes)
    got, notes = timeout_of("time", timeout="5m")
    check("no timeout is longer", got <= left and "timeout 5m is more than the session has left" in notes[-1], (got, notes))
    check("a shorter one is granted", timeout_of("time", timeout="2s") == (2, []))
    root.call("OpenSession", name="shared", timeLeft="20s", callsLeft=4)
    got, notes = timeout_of("shared", duration="1s")
    check("one of four has a quarter", 4 < got <= 5 and not notes, (got, notes))
    equal("... then three are to come", [s["callsLeft"] for s in root.call("GetStatus")["sessions"] if s["name"] == "shared"], [3])
    root.call("OpenSession", name="time", timeLeft="500ms")
    time.sleep(0.6)
    equal("when the time is over nothing begins", Link().error("BeginCall", session="time"), "LimitExceeded")
    root.call("OpenSession", name="time", timeLeft="none")
    equal("... until it is given more", Link().error("BeginCall", session="time"), "")
    for wrong in ("5", "0s", 5, "2d", "1000000h"):
        equal(f"{wrong!r} is no time", root.error("OpenSession", name="time", timeLeft=wrong), "InvalidParameter")


root.call("OpenSession", name="s")
def end_group():
    a, b, alone = Begun("s", 16, group="g"), Begun("s", 16, group="g"), Begun("s", 16)
    check("two of a group and another", a.begins() and b.begins() and alone.begins())
    c, d, after = Begun("t", 16), Begun("s", 17, group="g"), Begun("s", 18, wait=False, after=["g"])
    check("one of it waits, one after it", c.begins() and waits(d) and waits(after))
    for who, error in ((Link(1000), "PermissionDenied"), (root, "NoSuchCall")):
        equal("not by another user, no group that is not there", who.error("EndGroup", session="s", group="g" if who is not root else "f"), error)
    equal("nor one of another session", (root.error("EndGroup", session="t", group="g"), root.error("EndGroup", session="u", group="g"),
                                         root.error("EndGroup", session="s", group="a/b")), ("NoSuchCall", "NoSuchSession", "InvalidParameter"))
    process = subprocess.Popen(["sleep", "600"])
    root.call("AttachProcess", [os.pidfd_open(process.pid)], call=a.reply["call"], pidFd=0)
    ended = root.call("EndGroup", session="s", group="g")
    equal("a group is ended: who ran is told, and how many waited", ended, {"killed": [{"call": a.reply["call"], "command": ["16"]}], "cancelled": 1})
    equal("... what ran is killed", process.wait(10), -9)
    d.ready(5)
    equal("... what waited is told", d.error and (d.error.name, d.error.parameters), ("NoSuchCall", {"call": "g"}))
    result = a.link.call("EndCall", call=a.reply["call"])["result"]
    check("... its client gets the result", result["text"].startswith("ended on request"), result)
    b.end()
    check("... who comes after it begins", after.begins())
    check("others are left alone", root.call("GetStatus")["sessions"] and alone.end() is None)
    equal("ended once more there is nothing", root.call("EndGroup", session="s", group="g"), {"killed": [], "cancelled": 0})
    after.end()
    c.end()


for part in (memory, order, budget, timeout, quota, leaving, others, groups, end_group, time_left):
    print(f"# {part.__name__}", flush=True)
    part()
print("# end of queue-of-calls.py")
done()
