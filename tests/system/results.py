# SPDX-License-Identifier: GPL-2.0-only
"""OpenSession's pidFd and GetResults over raw varlink; says "kill" and "start" to test-results.sh, which does it to the daemon."""
import os
import subprocess
import time

from varlink import Link, check, done, equal

AGENTCG = os.environ["AGENTCG"]
NOBODY, OTHER = 65534, 1234


def daemon(what):
    print(what, flush=True)
    input()


def sessions():
    link = Link()
    found = {s["name"]: s for s in link.call("GetStatus")["sessions"]}
    link.close()
    return found


def eventually(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


class Framework:
    """A process that a session is tied to."""

    def __init__(self, uid=0):
        self.process = subprocess.Popen(["sleep", "1000"], user=uid)
        self.pidfd = os.pidfd_open(self.process.pid)

    def end(self):
        self.process.kill()
        self.process.wait()


def run(session, *command, options=()):
    return subprocess.run([AGENTCG, "run", "--session", session, *options, "--", *command], stderr=subprocess.DEVNULL).returncode


def tied():
    link, f, g = Link(), Framework(), Framework()
    link.call("OpenSession", [f.pidfd], name="a", pidFd=0)
    link.call("OpenSession", name="a", priority=300)
    link.call("OpenSession", [f.pidfd], name="a", pidFd=0)
    call = subprocess.Popen([AGENTCG, "run", "--session", "a", "--", "sleep", "700"], stderr=subprocess.DEVNULL)
    kept = subprocess.run([AGENTCG, "run", "--session", "a", "--detach", "--", "sh", "-c", "sleep 701 & exit 0"]).returncode
    equal("a call that is detached", kept, 0)
    check("a session is tied to a process", eventually(lambda: "a" in sessions() and len(sessions()["a"]["calls"]) == 2))
    f.end()
    equal("when that ends, its calls are killed", call.wait(timeout=20), 137)
    check("... but for what is detached", eventually(lambda: [c.get("detached") for c in sessions()["a"]["calls"]] == [True]))
    subprocess.run(["pkill", "-fx", "sleep 701"], check=True)
    check("... which is the last of it", eventually(lambda: "a" not in sessions()))

    link.call("OpenSession", [g.pidfd], name="b", pidFd=0)
    h = Framework()
    link.call("OpenSession", [h.pidfd], name="b", pidFd=0)
    g.end()
    time.sleep(0.5)
    check("tied to another one, the first means nothing", "b" in sessions())
    link.call("CloseSession", name="b")
    h.end()
    check("... and it closes by hand as ever", "b" not in sessions())


def refused():
    link, mine, theirs = Link(NOBODY), Framework(NOBODY), Framework(OTHER)
    equal("another user's process", link.error("OpenSession", [theirs.pidfd], name="c", pidFd=0), "PermissionDenied")
    equal("root's", link.error("OpenSession", [os.pidfd_open(1)], name="c", pidFd=0), "PermissionDenied")
    with open("/dev/null") as f:
        equal("what is no pidfd", link.error("OpenSession", [f.fileno()], name="c", pidFd=0), "PermissionDenied")
    equal("no descriptor at all", link.error("OpenSession", name="c", pidFd=0), "InvalidParameter")
    gone = Framework(NOBODY)
    gone.end()
    equal("one that is gone", link.error("OpenSession", [gone.pidfd], name="c", pidFd=0), "InvalidParameter")
    check("none of them made a session", "c" not in sessions())
    link.call("OpenSession", [mine.pidfd], name="c", pidFd=0)
    stranger = Link(OTHER)
    equal("another user cannot tie it to his own", stranger.error("OpenSession", [theirs.pidfd], name="c", pidFd=0), "PermissionDenied")
    equal("... nor read its results", stranger.error("GetResults", session="c"), "PermissionDenied")
    equal("root can", Link().error("GetResults", session="c"), "")
    theirs.end()
    check("... his end is nothing to it", "c" in sessions())
    mine.end()
    check("its own is", eventually(lambda: "c" not in sessions()))
    equal("results of no session", link.error("GetResults", session="c"), "NoSuchSession")


def restarted():
    link, stays, goes = Link(), Framework(), Framework()
    link.call("OpenSession", [stays.pidfd], name="stays", pidFd=0)
    link.call("OpenSession", [goes.pidfd], name="goes", pidFd=0)
    run("stays", "true")
    equal("a result", len(link.call("GetResults", session="stays")["results"]), 1)
    daemon("kill")
    goes.end()
    daemon("start")
    check("a process that ended without a daemon: its session is closed", eventually(lambda: "goes" not in sessions()))
    check("the other is there", "stays" in sessions())
    link = Link()
    equal("... its results are gone with the daemon", link.call("GetResults", session="stays")["results"], [])
    run("stays", "true")
    equal("... the next begin anew", [f["seq"] for f in link.call("GetResults", session="stays")["results"]], [1])
    stays.end()
    check("... and it ends with its process still", eventually(lambda: "stays" not in sessions()))


def results():
    link = Link()
    link.call("OpenSession", name="d")
    for i in range(20):
        run("d", "sh", "-c", f"exit {i}")
    found = link.call("GetResults", session="d")["results"]
    equal("the last 16, oldest first", [f["seq"] for f in found], list(range(5, 21)))
    equal("... with their commands", found[-1]["command"], ["sh", "-c", "exit 19"])
    equal("what went well is not told", link.call("GetResults", session="d", untold=True)["results"], [])
    run("d", "python3", "-c", "x = bytearray(60 << 20)", options=["--memory-max", "30Mi"])
    run("d", "sleep", "700", options=["--timeout", "300ms"])
    run("d", "sh", "-c", "sleep 702 & exit 0", options=["--detach", "--timeout", "2s"])
    untold = link.call("GetResults", session="d", untold=True)["results"]
    equal("what did not is", [f["result"]["outcome"] for f in untold], ["oom_killed", "timeout"])
    check("... with the kernel's numbers", untold[0]["result"]["memoryPeak"] > 20 << 20 and untold[0]["result"]["retry"] == "larger")
    equal("... once", link.call("GetResults", session="d", untold=True)["results"], [])
    equal("what failed, told or not", len(link.call("GetResults", session="d", failed=True)["results"]), 2)
    late = []
    check("a detached call that ends later is told then",
          eventually(lambda: late.extend(link.call("GetResults", session="d", untold=True)["results"]) or late))
    equal("... as what it was", [f["result"]["outcome"] for f in late], ["timeout"])
    equal("what is no boolean", link.error("GetResults", session="d", untold=1), "InvalidParameter")
    link.call("CloseSession", name="d")


for part in (tied, refused, restarted, results):
    part()
done()
