# SPDX-License-Identifier: GPL-2.0-only
"""Figure 3.4: what it costs a shell that its commands are followed (agentcg session attach)."""
import json
import os
import shutil
import statistics
import subprocess

from guest import AGENTCG
from intents_cost import whole_daemon

PER_ROUND = 500
ROUND = """round() {
	local here from=${EPOCHREALTIME/./} i
	here=$(cat /proc/self/cgroup)
	for ((i = 0; i < 200; i++)); do /bin/true; done
	for ((i = 0; i < 40; i++)); do awk 'BEGIN { for (i = 0; i < 3000; i++) s += i }'; done
	for ((i = 0; i < 20; i++)); do
		bash -c '/bin/true; (/bin/true; setsid /bin/true; /bin/true) & /bin/true | /bin/true
			[[ $(</proc/self/cgroup) == "$1" ]] || echo missed; wait' x "$here"
		(setsid bash -c '/bin/true; [[ $(</proc/self/cgroup) == "$1" ]] || echo missed' x "$here" &)
	done
	echo took $((${EPOCHREALTIME/./} - from)) "$here"
}
"""


# The guest's files are the machine's: what is executed from there takes as long as the machine lets it.
HERE = "/run/bench-root"


def move_to_memory():
    """The programs that run, and what they need, in a folder to chroot to."""
    for name in ("bash", "cat", "true", "awk", "setsid"):
        path = shutil.which(name)
        libraries = subprocess.run(["ldd", os.path.realpath(path)], check=True, capture_output=True, text=True).stdout
        wanted = {f"/bin/{name}": path}
        wanted.update((word, word) for word in libraries.split() if word.startswith("/"))
        for to, source in wanted.items():
            os.makedirs(os.path.dirname(HERE + to), exist_ok=True)
            shutil.copy(os.path.realpath(source), HERE + to)
    for folder in ("/proc", "/dev"):
        os.makedirs(HERE + folder)
        subprocess.run(["mount", "--bind", folder, HERE + folder], check=True)


class Shell:
    def __init__(self):
        self.process = subprocess.Popen([shutil.which("chroot"), HERE, "/bin/bash"], env={"PATH": "/bin"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.say(ROUND)

    def say(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def round(self):
        """Seconds, how many were somewhere else, and where."""
        self.say("round\n")
        missed = 0
        for line in self.process.stdout:
            missed += line == "missed\n"
            if line.startswith("took"):
                return int(line.split()[1]) / 1e6, missed, line.split()[2]
        raise SystemExit("bench: the shell is gone")


def attach(figures, runs):
    daemon = whole_daemon("[CPU]\nScheduler=none\n")
    move_to_memory()
    alone, followed = Shell(), Shell()
    subprocess.run([AGENTCG, "session", "attach", "--session", "bench", str(followed.process.pid)], check=True, stdout=subprocess.DEVNULL)
    alone.round()
    followed.round()
    took, missed, leaves = {alone: [], followed: []}, 0, set()
    for _ in range(runs):
        for shell in (alone, followed):
            seconds, more, leaf = shell.round()
            took[shell].append(seconds)
            if shell is followed:
                missed += more
                leaves.add(leaf)
    status = json.loads(subprocess.run([AGENTCG, "status", "--json"], check=True, capture_output=True).stdout)
    missed += sum(a["unplaced"] for s in status["sessions"] for a in s.get("attached", []))
    base = statistics.median(took[alone])
    figures.add("3.4", f"{PER_ROUND} forks and execs below a shell: attached, of unattached", [s / base for s in took[followed]], "x", 1.1)
    figures.add("3.4-missed", f"... of {PER_ROUND * runs}, not in the leaf of their line", [missed + runs - len(leaves)], "tasks", 0)
    figures.add("3.4-alone", "... unattached, of their median", [s / base for s in took[alone]], "x")
    for shell in (alone, followed):
        shell.process.stdin.close()
        shell.process.wait()
    daemon.kill()
    daemon.wait()
