# SPDX-License-Identifier: GPL-2.0-only
"""What the benchmarks do in a guest: files, waiting, the daemon."""
import os
import subprocess
import sys
import time

OUT = os.path.abspath("build/out")
AGENTCG = f"{OUT}/agentcg"
CG = "/sys/fs/cgroup"


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


def eventually(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def start_daemon(policy, log, history=""):
    """agentcgd under the text @policy, once it answers; what it says goes to the file @log, what it learns to @history."""
    write("/run/bench-policy.conf", policy)
    proc = subprocess.Popen([f"{OUT}/agentcgd", "--foreground", "--policy", "/run/bench-policy.conf", "--history", history],
                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    if not eventually(60, lambda: subprocess.run([AGENTCG, "status"], capture_output=True).returncode == 0):
        sys.exit(f"bench: agentcgd does not answer: {read(log.name)}")
    return proc
