# SPDX-License-Identifier: GPL-2.0-only
"""attach.py AGENTCG: a persistent shell as agents drive it, attached; prints TAP lines without numbers.

The shell is driven as SWE-agent does it (pexpect: a terminal, a prompt of its own, read until that comes), another one
by a pipe as some sandboxes do, and one in a pane of tmux as OpenHands does it, by a framework that is attached.
"""
import json
import os
import pty
import re
import select
import subprocess
import sys
import time

AGENTCG = sys.argv[1]
PROMPT = "[[READY]] "
OWN = "cat /proc/self/cgroup"


def say(good, text, got=None):
    print(f"{'ok' if good else 'not ok'} - {text}")
    if not good:
        print(f"# got: {got!r}")
    sys.stdout.flush()


def agentcg(*args):
    return subprocess.run([AGENTCG, *map(str, args)], capture_output=True, text=True)


def status():
    return json.loads(agentcg("status", "--json").stdout)


def calls(session):
    return {c["call"]: c for s in status()["sessions"] if s["name"] == session for c in s["calls"]}


def eventually(check, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return True
        time.sleep(0.1)
    return bool(check())


def leaves(text):
    return re.findall(r"session-[^/\s]+/[a-z0-9-]+", text)


# Each one is where the first one was, or says so.
BULK = """here=$(cat /proc/self/cgroup); echo $here
for ((i = 0; i < 300; i++)); do /bin/true; done
for ((i = 0; i < 50; i++)); do
	bash -c '(/bin/true; setsid /bin/true) & [[ $(</proc/self/cgroup) == "$1" ]] || echo MISSED; wait' x "$here"
	(setsid bash -c '[[ $(</proc/self/cgroup) == "$1" ]] || echo MISSED' x "$here" &)
	[[ $(< <(cat /proc/self/cgroup)) == "$here" ]] || echo MISSED
done
sleep 1
echo did $((i + 350))
"""


class Shell:
    def __init__(self, *argv):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.update(PS1=PROMPT, TERM="dumb")
            os.execvp(argv[0], argv)
        self.output = ""
        self.until(PROMPT)

    def until(self, mark, seconds=120):
        end = time.monotonic() + seconds
        while mark not in self.output:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise TimeoutError(f"no {mark!r} in {self.output!r}")
            self.output += os.read(self.fd, 65536).decode(errors="replace")
        head, self.output = self.output.split(mark, 1)
        return head

    def run(self, command, seconds=120):
        os.write(self.fd, command.encode() + b"\n")
        return self.until(PROMPT, seconds)


def shells():
    s = Shell("bash", "--norc", "-i")
    own = os.read(os.open(f"/proc/{s.pid}/cgroup", os.O_RDONLY), 100)
    name = f"attach-{s.pid}"
    said = agentcg("session", "attach", s.pid)
    say(said.returncode == 0 and "attached as a shell" in said.stdout, "a shell is attached", said)
    again = agentcg("session", "attach", s.pid)
    say(again.returncode != 0 and "attached already" in again.stderr, "... not twice", again)
    say("/agent" in s.run("echo; cat /proc/$$/cgroup"), "it is in the agent's leaf", own)
    first = leaves(s.run(f"{OWN}; {OWN}; ({OWN}); {OWN} | cat; x=$({OWN}); echo $x; bash -c '{OWN}; {OWN}'"))
    say(len(first) == 7 and len(set(first)) == 1 and "/tool-" in first[0], "a line of commands is one call, however it is made", first)
    adj = s.run("cat /proc/$$/oom_score_adj /proc/self/oom_score_adj; setpriv --reuid 65534 sh -c 'echo 0 >/proc/self/oom_score_adj || echo refused'")
    say(re.findall(r"(?m)^(\d+|refused)\s*$", adj) == ["0", "950", "refused"],
        "the kernel's OOM killer takes a call before the shell, and a call cannot change that", adj)
    second = leaves(s.run(OWN))
    say(len(second) == 1 and second[0] != first[0], "the next line is another one", second)
    third = leaves(s.run(f"setsid {OWN}; (setsid sh -c '(sleep 1; {OWN}) & :' &); sleep 2"))
    say(len(third) == 2 and len(set(third)) == 1, "sessions and orphans of its own do not leave it", third)
    s.run("sleep 700 >/dev/null 2>&1 &")
    fourth = leaves(s.run(OWN))
    say(eventually(lambda: any("sleep" in c["command"] for c in calls(name).values())), "what goes on in the background keeps its call", calls(name))
    say(fourth and not [c for c in calls(name) if c.endswith(fourth[0].split("/")[1]) and calls(name)[c]["memoryCurrent"] is None],
        "... and later calls are others", fourth)
    with open("/tmp/bulk", "w") as f:
        f.write(BULK)
    bulk = s.run(". /tmp/bulk", 300)
    say(bulk.count("MISSED") == 0 and len(set(leaves(bulk))) == 1 and "did 400" in bulk,
        "hundreds of forks, short and long, nested, are all in it", bulk[-300:])
    attached = [a for x in status()["sessions"] if x["name"] == name for a in x.get("attached", [])]
    say([(a["pid"], a["kind"], a["unplaced"]) for a in attached] == [(s.pid, "shell", 0)], "none was missed", attached)
    return s, name


def piped():
    p = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    agentcg("session", "attach", p.pid)
    out = []
    for i in range(6):
        p.stdin.write(f"{OWN}; {OWN}; echo done\n")
        p.stdin.flush()
        lines = [p.stdout.readline() for _ in range(3)]
        out.append(leaves("".join(lines)))
    say(all(len(o) == 2 and o[0] == o[1] for o in out) and len({o[0] for o in out}) == 6,
        "of a shell on a pipe each line is a call, too", out)
    p.stdin.write(f"{OWN}\n" * 40)
    p.stdin.close()
    burst = leaves(p.stdout.read())
    say(len(burst) == 40 and all("/tool-" in x for x in burst) and len(set(burst)) == 40,
        "forty at once: each waits for its leaf rather than miss it", (len(burst), len(set(burst)), burst[:3]))
    p.wait()
    say(eventually(lambda: not calls(f"attach-{p.pid}")), "with the shell its session goes", calls(f"attach-{p.pid}"))


def flood(s, name):
    tell = agentcg("session", "close", name)
    say(tell.returncode == 0 and "1 detached" in tell.stdout, "closing the session lets the shell go, alive", tell)
    said = s.run("echo $((6 * 7))") # and perhaps what bash has to say of its killed job
    say("42" in said.split(), "... it works", said)
    tell = agentcg("session", "attach", "--tell", s.pid)
    said = s.run("python3 -c 'b = []\nwhile True: b.append(b\"x\" * (4 << 20))'; sleep 1", 300)
    say("Killed" in said, "a flood is killed", said)
    say(re.search(r"agentcg: attach-\d+/tool-\d+: killed: out of memory\. peak .* of limit", said), "... and the shell's terminal told why", said)
    say(s.run("echo $((6 * 7))").strip().endswith("42"), "... the shell is alive", s.output)
    say(eventually(lambda: len(calls(name)) <= 2), "... and its leaf is gone", calls(name))


FRAMEWORK = r'''
import os, subprocess, sys
def run(*argv): return subprocess.run(argv, stdout=subprocess.PIPE, text=True).stdout.strip()
for line in sys.stdin:
    if line == "two\n":
        a = subprocess.Popen(["sh", "-c", "sleep 1; cat /proc/self/cgroup"], stdout=subprocess.PIPE, text=True)
        b = subprocess.Popen(["sh", "-c", "cat /proc/self/cgroup; cat /proc/self/cgroup"], stdout=subprocess.PIPE, text=True)
        print(" ".join((a.communicate()[0] + b.communicate()[0]).split()), flush=True)
    elif line == "own\n":
        print(open("/proc/self/cgroup").read().strip(), flush=True)
    elif line == "agentcg\n":
        print(run(sys.argv[1], "--version"), flush=True)
    else:
        print(run("bash", "-c", line.strip()), flush=True)
'''


def frameworks():
    f = subprocess.Popen([sys.executable, "-c", FRAMEWORK, AGENTCG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(line):
        f.stdin.write(line + "\n")
        f.stdin.flush()
        return f.stdout.readline()

    ask("own")
    said = agentcg("session", "attach", "--session", "frame", f.pid)
    say("attached as a framework" in said.stdout, "what is no shell is a framework", said)
    say(leaves(ask("own")) == ["session-frame/agent"], "it is in the agent's leaf")
    two = leaves(ask("two"))
    say(len(two) == 3 and two[1] == two[2] != two[0], "programs that run at once are a call each", two)
    got = leaves(ask(OWN))
    say(len(got) == 1 and got[0] not in two, "so is the next", got)
    say(leaves(ask(f"bash -c '{OWN}' | cat; {OWN} >&2; :")) != [], "... with all that it starts", got)
    escape = leaves(ask(f"echo 'exec {OWN}' | bash; {OWN}").replace("0::", " 0::"))
    say(len(set(escape)) <= 1, "a shell that a call starts does not leave its leaf", escape)
    before = set(calls("frame"))
    ask("agentcg")
    say(set(calls("frame")) - before == set(), "agentcg itself is no call", calls("frame"))
    f.stdin.close()
    f.wait()
    say(eventually(lambda: "frame" not in [x["name"] for x in status()["sessions"]]), "with the framework its session goes")


# OpenHands' way: tmux by its command, one pane with one bash for the whole session, lines sent as keys, and a prompt that
# tells what became of the last one, for which the shell itself starts programs.
HANDS = r'''
import json, subprocess, sys
for line in sys.stdin:
    print(json.dumps(subprocess.run(json.loads(line), capture_output=True, text=True).stdout), flush=True)
'''
METADATA = r'''export PROMPT_COMMAND='export PS1="\n###PS1JSON###\n{\"exit_code\": \"$?\", \"working_dir\": \"$(pwd)\", \"python\": \"$(which python3)\"}\n###PS1END###\n"'; export PS2=""'''


class Hands:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-c", HANDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        agentcg("session", "attach", "--session", "hands", self.process.pid)
        self.ask("tmux", "-L", "hands", "-f", "/dev/null", "new-session", "-d", "-s", "root", "-x", "200", "-y", "200", "bash --norc")
        self.prompts = 0
        self.run(METADATA)

    def ask(self, *argv):
        self.process.stdin.write(json.dumps(argv) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def tmux(self, *argv):
        return self.ask("tmux", "-L", "hands", *argv)

    def run(self, line, seconds=120):
        """What it wrote, and what the prompt after it tells."""
        self.tmux("send-keys", "-t", "root", "-l", line, ";", "send-keys", "-t", "root", "Enter")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            screen = self.tmux("capture-pane", "-J", "-p", "-S", "-", "-t", "root")
            found = re.findall(r"(.*?)###PS1JSON###\n(.*?)\n###PS1END###", screen, re.DOTALL)
            if len(found) > self.prompts:
                self.prompts = len(found)
                return found[-1][0], json.loads(found[-1][1])
            time.sleep(1)
        raise TimeoutError(f"no prompt after {line!r} in {screen!r}")


def hands():
    h = Hands()
    pane = int(h.tmux("display-message", "-p", "-t", "root", "#{pane_pid}"))
    attached = [a for x in status()["sessions"] if x["name"] == "hands" for a in x["attached"]]
    say([(a["pid"], a["kind"]) for a in attached] == [(h.process.pid, "framework"), (pane, "shell")],
        "the shell in a pane of tmux is attached with the framework", attached)
    got = [leaves(h.run(f"{OWN}; ({OWN})")[0]) for _ in range(2)]
    home = leaves(open(f"/proc/{pane}/cgroup").read())
    say(all(len(x) == 2 and x[0] == x[1] for x in got) and len({x[0] for x in got} | set(home)) == 3,
        "... each line that is sent as keys is a call, none is where the shell is", (got, home))
    out, told = h.run("cd /tmp; python3 -c 'b = []\nwhile True: b.append(b\"x\" * (4 << 20))'", 300)
    say(told["exit_code"] == "137" and "Killed" in out, "... a flood is killed", (out, told))
    out, told = h.run("echo $((6 * 7))")
    say("42" in out.split() and told == {"exit_code": "0", "working_dir": "/tmp", "python": told["python"]} and told["python"].endswith("python3"),
        "... alone: the shell and what it knows are there", (out, told))
    say(leaves(h.ask("nsenter", "-t", str(os.getpid()), "-m", "-u", "-i", "cat", "/proc/self/cgroup")) != [],
        "a program that enters other namespaces is a call like any other")
    h.tmux("kill-server")
    h.process.stdin.close()
    h.process.wait()
    say(eventually(lambda: "hands" not in [x["name"] for x in status()["sessions"]]), "with both its session goes", calls("hands"))


def homeless():
    p = subprocess.Popen(["sleep", "628"])
    agentcg("session", "attach", "--session", "gone", p.pid)
    ended = subprocess.run(["varlinkctl", "call", "unix:/run/agentcg/io.agentcg", "io.agentcg.EndCall", '{"call":"gone/agent","kill":true}'],
                           capture_output=True, text=True)
    say(p.wait(30) == -9, "a framework whose leaf is ended ends", ended)
    left = [x for x in status()["sessions"] if x["name"] == "gone"]
    say(not any(x.get("attached") for x in left), "... and is not attached any more", left)


def tickets():
    def enter(ticket, more=OWN):
        return subprocess.run(["bash", "-c", f"{AGENTCG} enter {ticket}; {more}"], capture_output=True, text=True).stdout

    bought = json.loads(agentcg("ticket", "--json", "--session", "tick", "--", "make").stdout)
    say(re.fullmatch("[0-9a-f]{32}", bought["ticket"]), "a ticket is 32 characters", bought)
    got = enter(bought["ticket"])
    say(leaves(got) == ["session-" + bought["call"]], "who enters with it is in its call", got)
    say("tick" not in enter(bought["ticket"]), "it is good once")
    say("tick" not in enter("0" * 32), "one that was never sold is good for nothing")
    bought = json.loads(agentcg("ticket", "--json", "--session", "tick").stdout)["ticket"]
    stolen = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "bash", "-c",
                             f"{AGENTCG} enter {bought}; {OWN}"], capture_output=True, text=True).stdout
    say("tick" not in stolen, "in another user's hands it is good for nothing", stolen)
    say("session-tick" in enter(bought), "... and not used up by that")
    many = [agentcg("ticket", "--session", "tick") for _ in range(17)]
    say(many[-1].returncode != 0 and "16" in many[-1].stderr, "sixteen at once, no more", many[-1])
    agentcg("session", "close", "--kill", "tick")


def restart(s, name):
    s.run("sleep 600 >/dev/null &")
    eventually(lambda: any("600" in c["command"] for c in calls(name).values()))
    before = leaves(s.run(OWN))
    print("restart", flush=True)
    sys.stdin.readline()
    after = leaves(s.run(OWN))
    say(len(after) == 1 and "/tool-" in after[0] and after != before, "a daemon that was killed and started again goes on with it", (before, after))
    say(any("600" in c["command"] for c in calls(name).values()), "... and knows what went on meanwhile", calls(name))


def refusals():
    say("there is no process" in agentcg("session", "attach", 4194303).stderr, "a process that is not there")
    other = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", AGENTCG, "session", "attach",
                            str(os.getpid())], capture_output=True, text=True)
    say(other.returncode and "another user" in other.stderr, "another user's process", other)
    say(agentcg("session", "attach", "--as", "tool", 1).returncode == 2, "what is neither shell nor framework")


def main():
    refusals()
    s, name = shells()
    piped()
    frameworks()
    hands()
    homeless()
    tickets()
    flood(s, name)
    restart(s, name)
    os.write(s.fd, b"exit\n")
    say(eventually(lambda: not any(c.endswith("/agent") for c in calls(name))), "the shell's end ends its leaf", calls(name))


main()
