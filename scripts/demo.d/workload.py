# SPDX-License-Identifier: GPL-2.0-only
"""What the three agents of the demo do, and the data that they do it on.

Measured with these sizes, an agent of 28 MiB and its largest tool call together are 195 MiB for build, 132 for data
and 192 for archive. So each fits alone; build and archive do not fit together, nor do build and data beside an archive
that does anything; and none fits in a third of the cap. data and archive do fit together beside the reserve of the
pool, so with agentcg only build, which goes first, needs something kept for it.
"""
import os
import random
import subprocess

MIB = 1 << 20

CAP = 372 * MIB
POOL_RESERVE = 16 * MIB
AGENT_REQUEST = 36 * MIB  # the framework with its context

INPUT = "/scratch/demo"
HERE = os.path.dirname(os.path.abspath(__file__))

LINES = 126_000  # of the access log: 12 MB
RECORDS = 150_000  # of the JSON file: 12 MB
BLOBS = 6  # versions of a file in the repository, each as large as
BLOB_BYTES = 4_000_000

REPORT = """
import collections, json, sys
key, total = sys.argv[1], collections.Counter()
records = json.load(open("{input}/access.json"))
for record in records: total[record[key]] += record["bytes"]
print(len(records), total.most_common(5))
"""

# zstd's tables (2^24 entries of 4 bytes, two of them) let it find repetitions over the whole of the input
ZSTD = "zstd -q -3 -T1 --zstd=wlog=25,hlog=24,clog=24,strategy=2"

# name, priority, what agentcg keeps for it, and its tool calls: name, what it is expected to need, command
AGENTS = [
    ("build", "high", 198 * MIB, [
        ("git clone", "32Mi", f"git clone -q {INPUT}/repo src"),
        ("gcc", "32Mi", "gcc -O2 -Wall -o index src/index.c"),
        ("index", "172Mi", f"./index {INPUT}/access.log"),
        ("index", "172Mi", f"./index {INPUT}/access.json"),
        ("git commit", "32Mi", "cd src && echo '/* It works. */' >>index.c && git commit -qam 'Say that it works'"),
        ("index", "172Mi", f"./index {INPUT}/access.log"),
        ("git push", "32Mi", f"git -C src push -q {INPUT}/repo HEAD:refs/heads/$$"),
    ]),
    ("data", "normal", 0, [
        ("grep", "16Mi", f"grep -c status=404 {INPUT}/access.log"),
        ("python json", "112Mi", f"python3 {INPUT}/report.py host"),
        ("python json", "112Mi", f"python3 {INPUT}/report.py status"),
        ("awk", "16Mi", f"awk '{{ n[$5]++ }} END {{ for (k in n) print k, n[k] }}' {INPUT}/access.log"),
        ("sort", "48Mi", f"LC_ALL=C sort -S 256M --parallel=1 -k2,2 -k1,1 -o sorted {INPUT}/access.log"),
    ]),
    ("archive", "low", 0, [
        ("git log", "16Mi", f"git -C {INPUT}/blobs log --oneline"),
        ("tar+zstd", "168Mi", f"tar -C {INPUT} -c access.log access.json | {ZSTD} -c >logs.tar.zst"),
        ("git repack", "104Mi", f"cp -r {INPUT}/blobs r && git -C r -c pack.threads=1 repack -adfq --window=20"),
        ("tar+zstd", "168Mi", f"tar -C r --exclude .git -c . | {ZSTD} -c >blobs.tar.zst"),
        ("zstd -d", "48Mi", "zstd -dcq --long=25 logs.tar.zst | tar -t"),
    ]),
]


def write_log(path):
    dice = random.Random(1)
    lines = [f"2026-03-{i % 28 + 1:02}T{i % 24:02}:{i * 7 % 60:02}:{i * 13 % 60:02}.{i * 37 % 1000:03}Z host{i % 17} "
             f"{('GET', 'PUT', 'POST')[i % 3]} /api/v1/items/{i * 31 % 9973}/reviews "
             f"status={(200, 200, 200, 404)[i % 4]} bytes={i * 7919 % 100000} ua=agent/7.1\n" for i in range(20_000)]
    with open(path, "w", encoding="ascii") as file:
        for _ in range(LINES // 2000):
            file.writelines(dice.choices(lines, k=2000))


def write_json(path):
    with open(path, "w", encoding="ascii") as file:
        file.write("[")
        for i in range(0, RECORDS, 1000):
            records = [f'{{"id":{j},"host":"host{j % 17}","status":{200 + j % 4},"bytes":{j * 7919 % 100000},'
                       f'"tags":["a{j % 31}","b{j % 7}","c{j % 5}","d{j % 3}"]}}' for j in range(i, i + 1000)]
            file.write(("," if i else "") + ",".join(records))
        file.write("]")


def git(repo, *arguments):
    subprocess.run(["git", "-C", repo, *arguments], check=True, stdout=subprocess.DEVNULL)


def write_repositories():
    """One with the program to build, and one with large files that git has to find the differences of."""
    with open(f"{HERE}/index.c", encoding="ascii") as file:
        source = file.read()
    for name in "repo", "blobs":
        os.makedirs(f"{INPUT}/{name}")
        git(f"{INPUT}/{name}", "init", "-q", "-b", "main")
    with open(f"{INPUT}/repo/index.c", "w", encoding="ascii") as file:
        file.write(source)
    with open(f"{INPUT}/access.log", "rb") as file:
        log = file.read(BLOB_BYTES + BLOBS * 10_000)
    for i in range(BLOBS):
        with open(f"{INPUT}/blobs/log{i}", "wb") as file:
            file.write(log[i * 10_000:i * 10_000 + BLOB_BYTES])
    for name in "repo", "blobs":
        git(f"{INPUT}/{name}", "add", ".")
        git(f"{INPUT}/{name}", "commit", "-qm", "Data of the demo")


def prepare():
    """Makes the input. It is read into the page cache of no agent, so that it counts for none."""
    os.makedirs(INPUT)
    os.environ.update(HOME=INPUT, GIT_CONFIG_GLOBAL=f"{INPUT}/gitconfig")
    with open(f"{INPUT}/gitconfig", "w", encoding="ascii") as file:
        file.write("[user]\n\tname = demo\n\temail = demo@localhost\n[core]\n\tcompression = 0\n[gc]\n\tauto = 0\n")
    with open(f"{INPUT}/report.py", "w", encoding="ascii") as file:
        file.write(REPORT.replace("{input}", INPUT))
    write_log(f"{INPUT}/access.log")
    child = os.fork()  # both CPUs
    if not child:
        write_json(f"{INPUT}/access.json")
        os._exit(0)
    write_repositories()
    # what the agents run comes from a slow share: read it once
    subprocess.run(["gcc", "-O2", "-o", f"{INPUT}/warm", f"{HERE}/index.c"], check=True)
    for tool in "zstd", "sort", "awk", "grep":
        subprocess.run([tool, "--version"], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("could not make the input of the demo")


def calls_of(agent):
    return [{"tool": tool, "memory": memory, "command": command} for tool, memory, command in agent[3]]
