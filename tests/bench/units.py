"""Inside the box: CPU of everything in it, connections a second and the memory of an idle session, for each kind of unit. In rounds, so that a noisy machine is noisy for all."""
import statistics, sys, threading
sys.path.insert(0, sys.argv[2] + "/tests/systemd")
from manager import *

NOOP, N = sys.argv[3], int(sys.argv[4])
ROUNDS = 5
install()
conf("max_connections_per_source = 0\nlisten_idle = 0\ndeliver = /bin/true\n")
run(f"cp {NOOP} /usr/local/bin/noop")
USAGE = next(p for p in ("/sys/fs/cgroup/cpuacct/cpuacct.usage", "/sys/fs/cgroup/cpu.stat") if os.path.exists(p))


def cpu():
    text = open(USAGE).read()
    return int(text) / 1000 if text[0].isdigit() else int(text.split()[1])


def one():
    with socket.create_connection(("127.0.0.1", 25), timeout=60) as s:
        s.recv(600); s.sendall(b"QUIT\r\n"); s.recv(600); s.recv(1)


def load(n, at_once):
    def some():
        for _ in range(n // at_once): one()
    threads = [threading.Thread(target=some) for _ in range(at_once)]
    start = time.monotonic()
    for t in threads: t.start()
    for t in threads: t.join()
    return time.monotonic() - start


BARE = ("[Unit]\nCollectMode=inactive-or-failed\n[Service]\nExecStart={}\nUser=smtpin\nStandardInput=socket\nStandardError=journal\nLogLevelMax=notice\n")
LIGHT = open("/usr/lib/smtpin/light/smtpin@.service").read()
SOCKET = "[Socket]\nMaxConnectionsPerSource=1000\nMaxConnections=1000\n"
KINDS = [  # name, an instance unit of its own, whether smtpin.service listens, drop-ins
    ("Accept=yes, bare, no-op", BARE.format("/usr/local/bin/noop"), None, []),
    ("Accept=yes, bare, smtpin", BARE.format("/usr/sbin/smtpin"), None, []),
    ("`smtpin@.service`, no-op", None, None, [("smtpin@.service", "[Service]\nExecStart=\nExecStart=/usr/local/bin/noop\n")]),
    ("`smtpin@.service`, smtpin", None, None, []),
    ("`smtpin@.service`, smtpin without libsystemd", None, None, [("smtpin@.service", "[Service]\nUnsetEnvironment=SYSTEMD_EXEC_PID\n")]),
    ("lighter `smtpin@.service`, no-op", re.sub("ExecStart=.*", "ExecStart=/usr/local/bin/noop", LIGHT), None, []),
    ("lighter `smtpin@.service`, smtpin", LIGHT, None, []),
    ("`smtpin.service`, no-op", None, "yes", [("smtpin.service", "[Service]\nType=simple\nExecStart=\nExecStart=/usr/local/bin/noop\n")]),
    ("`smtpin.service`, smtpin", None, "yes", []),
]


def prepare(kind):
    name, instance, listening_unit, extra = kind
    run("systemctl stop smtpin.slice smtpin.socket smtpin.service 2>&1"); without_drop_ins()
    run(f"rm -f {UNITS}/smtpin@.service")
    drop_in("smtpin.socket", SOCKET)
    if instance: write(f"{UNITS}/smtpin@.service", instance)
    if listening_unit: drop_in("smtpin.socket", "listen-smtpin.conf", "listen.conf")
    for u, text in extra: drop_in(u, text, "bench.conf")
    run("systemctl daemon-reload; systemctl start smtpin.socket")
    one(); one(); time.sleep(0.3)


def idle_memory():
    """Private dirty memory of one more process that has greeted and waits, KiB."""
    s = socket.create_connection(("127.0.0.1", 25), timeout=20); s.recv(100); time.sleep(0.3)
    pids = [int(p) for p in run("pgrep -x 'smtpin|noop'").split()]
    newest = max(pids)
    total = sum(int(l.split()[1]) for l in open(f"/proc/{newest}/smaps_rollup") if l.startswith("Private_Dirty"))
    s.close()
    return total


results = {k[0]: {"serial": [], "conc": [], "rate": [], "mem": []} for k in KINDS}
for _ in range(ROUNDS):
    for k in KINDS:
        prepare(k)
        n = N if k[2] is None else N * 4
        r = results[k[0]]
        before = cpu(); load(n, 1); time.sleep(0.2); r["serial"].append((cpu() - before) / n)
        before = cpu(); took = load(n, 16); r["rate"].append(n / took)
        time.sleep(0.2); r["conc"].append((cpu() - before) / n)
        r["mem"].append(idle_memory())
median = statistics.median
print("| unit, program | CPU ms a connection, one by one | 16 at once | connections a second, 16 at once | private dirty KiB of an idle session |\n|---|---|---|---|---|")
for name, r in results.items():
    print(f"| {name} | {median(r['serial']) / 1000:.2f} | {median(r['conc']) / 1000:.2f} | {median(r['rate']):.0f} | {median(r['mem']):.0f} |")
print(f"\nMedians of {ROUNDS} rounds; the client's own CPU (about the same for each row) is in them. The memory of an instance has the program's own pages in it, which lie on a tmpfs here.")
