"""What the units promise, tried from inside the delivery command, for both kinds of service and for each drop-in. $1: build, $2: source."""
import ctypes, json
from manager import *

install()
controllers = os.environ.get("BOX_CONTROLLERS", "").split()
os.makedirs("/home/someone", exist_ok=True); write("/root/secret", "x"); write("/etc/smtpin/token", "s3cret", 0o600)
write("/tmp/of-the-host", "x")
run(f"cp {SOURCE}/tests/systemd/probe.py /usr/local/bin/probe; chmod 755 /usr/local/bin/probe")


# What a command could reach outside: a segment of memory, and an abstract socket, for everybody.
run("ipcrm -M 0x736d7470")
libc = ctypes.CDLL(None)
segment = libc.shmget(0x736d7470, 4096, 0o1666)
open_to_all = socket.socket(socket.AF_UNIX); open_to_all.bind("\0smtpin-probe"); open_to_all.listen(9)


def probe(where=f"{MAIL}/probe", more=""):
    if os.path.exists(where): os.unlink(where)
    write("/etc/smtpin/smtpin.conf", f"domains = example.org\ndeliver = /usr/local/bin/probe {where}\n{more}")
    run("systemctl try-restart smtpin.service")
    said = send()
    return json.load(open(where)) if os.path.exists(where) else {"said": said, "journal": journal("-t", "smtpin")[-1200:]}


EXPECTED = {
    "user": "smtpin", "groups": ["smtpin"], "umask": "0077",
    "CapEff": "0" * 16, "CapBnd": "0" * 16, "CapAmb": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2",
    "write /usr": "EROFS", "write /etc": "EROFS", "write /var/lib": "EROFS", "write /root": "EACCES", "write /home": "EACCES",
    "write /sys": "EROFS", "write /proc/sys/kernel/hostname": "ENOENT", "write /sys/fs/cgroup": "EROFS",
    "read /home/someone": "EACCES", "read /root": "EACCES", "read /run/user": "ENOENT", "read /etc/smtpin/token": "EACCES",
    "mail": True, "tmp": [], "devices": ["null", "tty", "urandom", "zero"], "processes": [], "proc": [], "interfaces": ["lo"],
    "socket INET": "EAFNOSUPPORT", "socket INET6": "EAFNOSUPPORT", "socket NETLINK": "EAFNOSUPPORT", "socket PACKET": "EAFNOSUPPORT", "socket UNIX": "done",
    "abstract socket": "ECONNREFUSED", "shared memory": "ENOENT", "signal smtpin": "done",
    "unshare": "EPERM", "mount": "EPERM", "setuid 0": "EPERM", "personality": "EPERM", "realtime": "EPERM", "wx memory": "EPERM",
    "keyctl": "EPERM", "ptrace": "EPERM", "bpf": "EPERM", "io_uring": "EPERM", "clock": "EPERM", "hostname": "EPERM", "kernel log": "EPERM",
    "module": "EPERM", "suid": "EPERM", "nofile": 256, "core": 0, "credentials": "KeyError", "descriptors": [0, 1, 2],
}
# One process is left out of the tests: /proc/sys is not there at all with ProcSubset=pid.


def compare(got, kind, **changed):
    expected = {**EXPECTED, **changed}
    wrong = {k: (v, got.get(k)) for k, v in expected.items() if got.get(k) != v}
    ok(not wrong, f"{kind}: {len(expected)} things that the unit forbids or sets are so, seen from the delivery command", got.get("journal") or wrong)


run("systemctl start smtpin.socket")
got = probe(); compare(got, "smtpin@.service")
ok("/smtpin.slice/" in (got.get("cgroup") or [""])[0] and "smtpin@" in got["cgroup"][0], "smtpin@.service: an instance has a cgroup of its own in smtpin.slice", got.get("cgroup"))
drop_in("smtpin.socket", "listen-smtpin.conf"); run("systemctl daemon-reload; systemctl restart smtpin.socket")
got = probe(); compare(got, "smtpin.service")
ok((got.get("cgroup") or [""])[0].endswith("/smtpin.slice/smtpin.service"), "smtpin.service: in smtpin.slice", got.get("cgroup"))

# The lighter instance, with confine: what is otherwise than in the installed unit. Without confine, files are as for any process of that user.
run(f"systemctl stop smtpin.socket smtpin.service; rm -rf {UNITS}/smtpin.socket.d")
run(f"ln -s /usr/lib/smtpin/light/smtpin@.service {UNITS}/; systemctl daemon-reload; systemctl restart smtpin.socket")
scoped = "signals and abstract sockets" not in run("smtpin --check -o deliver=/bin/true -o confine=auto")  # Landlock from version 6 on
LIGHT = {
    **{f"write {place}": "EACCES" for place in ("/usr", "/etc", "/var/lib", "/proc/sys/kernel/hostname")},
    "tmp": "EACCES", "devices": "EACCES", "interfaces": "EACCES",
    "suid": "EACCES", "processes": ["1"], "proc": ["kallsyms", "kmsg", "meminfo"],
    "shared memory": "EPERM", "module": "EPERM" if os.path.exists("/proc/modules") else "ENOSYS",
    **({"abstract socket": "EPERM", "signal smtpin": "EPERM"} if scoped else {}),
}
got = probe(more=f"confine = auto rw:{MAIL}\n"); compare(got, "a lighter smtpin@.service, with confine", **LIGHT)


def shown(value):
    if value == "KeyError": return "none"
    if isinstance(value, list): return ", ".join(str(v) for v in value) or "none"
    return "can be written" if value is True else str(value).replace("0" * 16, "0")


NEWEST = {"module": "EPERM", "abstract socket": "EPERM", "signal smtpin": "EPERM"}  # with modules, and with scopes
rows = [f"| {k} | {shown(v)} | {shown({**LIGHT, **NEWEST}.get(k, v))} |" for k, v in EXPECTED.items()]
listed = [l for l in open(f"{SOURCE}/docs/systemd.md").read().split("\n") if l.count("|") == 4 and l.split("|")[1].strip() in EXPECTED]
equal(listed, rows, "docs/systemd.md has the two columns, attempt by attempt")
conf(); empty(); equal((send("light"), count()), ("sent", 1), "a lighter smtpin@.service: mail")
run(f"rm {UNITS}/smtpin@.service; systemctl stop smtpin.socket"); drop_in("smtpin.socket", "listen-smtpin.conf")

# The drop-ins, each with both kinds.
run("useradd -r -d /var/vmail -s /usr/sbin/nologin vmail; install -d -o vmail -m 700 /var/vmail; useradd -m jane; useradd -m bob")
for kind in ("smtpin.service", "smtpin@.service"):
    run(f"rm -rf {UNITS}/smtpin*.service.d")
    if kind == "smtpin@.service":
        run(f"systemctl stop smtpin.socket; rm -rf {UNITS}/smtpin.socket.d")
    drop_in(kind, "virtual-mail.conf"); run("systemctl daemon-reload; systemctl restart smtpin.socket")
    compare(probe("/var/vmail/probe"), f"{kind}, virtual-mail.conf", user="vmail", groups=["vmail", "nogroup"], mail=False)
    conf("maildir = /var/vmail\n"); run("systemctl try-restart smtpin.service")
    equal(send("virtual"), "sent", f"{kind}, virtual-mail.conf: mail")
    equal(run("stat -c %U /var/vmail/example.org/jane/new/* | tail -n 1").strip(), "vmail", "belongs to that user")

    drop_in(kind, "network-program.conf"); run("systemctl daemon-reload; systemctl restart smtpin.socket")
    compare(probe(), f"{kind}, network-program.conf", **{"socket INET": "done", "socket INET6": "done", "abstract socket": "done", "credentials": "s3cret"})
    run(f"rm -f {MAIL}/token")
    conf("deliver = /bin/cp ${credentials_directory}/token " + MAIL + "/token\n"); run("systemctl try-restart smtpin.service")
    equal((send(), open(f"{MAIL}/token").read() if os.path.exists(f"{MAIL}/token") else ""), ("sent", "s3cret"), f"{kind}, network-program.conf: a secret that only the command's unit can read")
    web = subprocess.Popen(["python3", "-c", "import http.server\nclass H(http.server.BaseHTTPRequestHandler):\n def do_POST(s):\n  open('/tmp/posted', 'ab').write(s.rfile.read(int(s.headers['Content-Length'])))\n  s.send_response(204); s.end_headers()\n def log_message(s, *a): pass\nhttp.server.HTTPServer(('0.0.0.0', 8025), H).serve_forever()"])
    until(lambda: socket.socket().connect_ex(("127.0.0.1", 8025)) == 0)
    conf("deliver = /usr/bin/curl -fsS --data-binary @- http://127.0.0.1:8025/\n"); run("systemctl try-restart smtpin.service")
    equal(send("over the network"), "sent", f"{kind}, network-program.conf: curl delivers to a program on the network")
    ok("over the network" in (open("/tmp/posted").read() if os.path.exists("/tmp/posted") else ""), "and there it is"); run("rm -f /tmp/posted")
    run("ip addr add 192.0.2.9/32 dev lo")
    conf("deliver = /usr/bin/curl -fsS -m 5 --data-binary @- http://192.0.2.9:8025/\n"); run("systemctl try-restart smtpin.service")
    ok("192.0.2.9" in run("ip addr") and "451" in send(), f"{kind}, network-program.conf: and to no other address (IPAddressAllow=)", run("ip addr"))
    web.terminate(); web.wait(10)

    drop_in(kind, "system-users.conf"); run("systemctl daemon-reload; systemctl restart smtpin.socket")
    compare(probe("/home/probe") if run("install -d -m 777 /home") == "" else {}, f"{kind}, system-users.conf", user="root", groups=["root"], mail=False,
            CapEff="00000000000000c0", CapBnd="00000000000000c0", **{"read /home/someone": "done", "write /home": "done", "setuid 0": "done", "read /etc/smtpin/token": "done", "processes": ["1"]})
    run("rm -f /home/probe; chmod 755 /home")
    write("/etc/maildroprc", 'DEFAULT="$HOME/Maildir"\n')
    run("rm -rf /home/jane/Maildir /home/bob/Maildir; for u in jane bob; do runuser -u $u -- maildirmake.maildrop /home/$u/Maildir || runuser -u $u -- maildirmake /home/$u/Maildir; done")
    conf("deliver = /usr/bin/maildrop -d ${user}\ndeliver_per = recipient\n"); run("systemctl try-restart smtpin.service")
    equal((send("home"), send("home", to="bob@example.org")), ("sent", "sent"), f"{kind}, system-users.conf: maildrop becomes each recipient")
    equal(run("stat -c '%U %a' /home/*/Maildir/new/*").split("\n")[:-1], ["bob 600", "jane 600"], "and the mail is theirs")
    ok("5.1.1" in send(to="nobody-here@example.org"), "who is no user of the system gets 550 5.1.1")
without_drop_ins(); run("systemctl restart smtpin.socket"); conf()

# Accept=yes: limits of the socket and of an instance.
drop_in("smtpin.socket", "[Socket]\nMaxConnections=3\nMaxConnectionsPerSource=3\n"); run("systemctl daemon-reload; systemctl restart smtpin.socket")
held = [Session() for _ in range(3)]
more = socket.create_connection(("127.0.0.1", 25), timeout=20)
try: said = more.recv(10)
except ConnectionResetError: said = b""
equal(said, b"", "MaxConnections=3: the fourth is closed without a word"); more.close()
c = held[0]; c.say("EHLO x"); c.say("MAIL FROM:<a@example.com>"); c.say("RCPT TO:<x@elsewhere.example>")
status = until(lambda: (lambda s: s if "mail, commands 3" in s else "")(run("systemctl", "status", "--no-pager", "smtpin@*")))
ok('Status: "127.0.0.1 mail, commands 3, messages 0, refusals 1"' in status, "systemctl status 'smtpin@*': the client, the phase, the counts", status)
ok(status.count("Status: \"127.0.0.1 connected") == 2, "of each live connection", status)
for h in held: h.close()
without_drop_ins()
drop_in("smtpin@.service", "[Service]\nRuntimeMaxSec=1\n"); run("systemctl daemon-reload; systemctl restart smtpin.socket")
c = Session(); equal(c.reply()[:3], "421", "RuntimeMaxSec=: a session past it is told 421"); c.close()
drop_in("smtpin@.service", "[Service]\nRuntimeMaxSec=1h\n"); run("systemctl daemon-reload")
time.sleep(0.5)
c = Session(); pid = until(lambda: run("systemctl show -P MainPID 'smtpin@*'").split()); os.kill(int(pid[0]), signal.SIGSEGV); c.close()
until(lambda: "SEGV" in journal("-t", "systemd"))
ok("SEGV" in journal("-t", "systemd"), "a crash is in the manager's journal", journal("-t", "systemd"))
time.sleep(0.3)
equal(run("systemctl list-units --all --no-legend 'smtpin@*'"), "", "CollectMode=: neither it nor the time-out leaves a failed instance")
without_drop_ins(); run("systemctl restart smtpin.socket")
if "memory" in controllers and "pids" in controllers:
    write("/usr/local/bin/hungry", "#!/usr/bin/python3\nx = []\nwhile True: x.append(bytearray(b'x') * (1 << 20))\n", 0o755)
    write("/usr/local/bin/bomb", f"#!/usr/bin/python3\nimport os, time\nn = 0\ntry:\n  while n < 100:\n    if os.fork() == 0: time.sleep(5); os._exit(0)\n    n += 1\nexcept OSError: pass\nopen('{MAIL}/forks', 'w').write(str(n))\n", 0o755)
    conf("deliver = /usr/local/bin/hungry\n"); other = Session(); c = Session(); c.to_data()
    said = c.say("x\r\n."); ok(not said.startswith("250"), "MemoryMax=64M of an instance: a command that wants more is ended, no 250", said)
    ok(other.say("NOOP").startswith("250"), "and no other session suffers"); other.close(); c.close()
    conf("deliver = /usr/local/bin/bomb\n"); send()
    equal(open(f"{MAIL}/forks").read(), "13", "TasksMax=16 of an instance: the two of smtpin, its command, and 13 more")
    conf()
    path = run("systemctl show -P ControlGroup smtpin.slice").strip()
    limits = [open(f"/sys/fs/cgroup/{c}{path}/{f}").read().strip() for c, f in (("pids", "pids.max"), ("memory", "memory.limit_in_bytes")) if os.path.exists(f"/sys/fs/cgroup/{c}{path}")] or [open(f"/sys/fs/cgroup{path}/{f}").read().strip() for f in ("pids.max", "memory.max")]
    equal(limits, ["3200", str(1 << 30)], "smtpin.slice: the total of all sessions is limited")
else:
    skip("MemoryMax= and TasksMax= of smtpin@.service", "no controllers to be had here")

# Fifty in DATA, each an instance.
conf(); drop_in("smtpin.socket", "[Socket]\nMaxConnectionsPerSource=100\n"); run("systemctl daemon-reload; systemctl restart smtpin.socket"); empty()
sessions = [Session() for _ in range(50)]
for i, s in enumerate(sessions): s.to_data(); s.s.sendall(b"Subject: x\r\n")
run("systemctl restart smtpin.socket")
run("cp /usr/sbin/smtpin /usr/sbin/smtpin.new && mv /usr/sbin/smtpin.new /usr/sbin/smtpin")
stop = subprocess.Popen(["systemctl", "stop", "smtpin.slice"])
time.sleep(0.5)
said = [s.say("\r\nx\r\n.") for s in sessions]
equal(([r[:3] for r in said].count("250"), count()), (50, 50), "a restart of the socket, an upgrade and a stop of the slice with 50 instances in DATA: 50 times 250, 50 messages")
equal(sessions[0].reply()[:3], "421", "then 421")
for s in sessions: s.close()
stop.wait(60); without_drop_ins()

# The figures in docs/systemd.md.
os.makedirs("/tmp/units")
table = {l.split("|")[1].strip(): l.split("|")[2].strip() for l in open(f"{SOURCE}/docs/systemd.md") if re.match(r"\| `smtpin", l)}
for unit in ("smtpin@.service", "smtpin-lmtp@.service", "smtpin-submission@.service", "smtpin-submissions@.service", "smtpin.service", "smtpin-tls.service", "smtpin-tls-renew.service", "smtpin-report.service"):
    drop_ins = () if re.search("submission|tls|report", unit) else ("virtual-mail.conf", "network-program.conf", "system-users.conf")
    for extra in (None, *drop_ins, *(("light",) if "@" in unit else ())):
        file = unit.replace("@", "@0")
        run(f"rm -rf /tmp/units/*; cp /usr/lib/systemd/system/{unit} /tmp/units/{file}")
        if extra == "light": run(f"cp /usr/lib/smtpin/light/{unit} /tmp/units/{file}")
        elif extra: run(f"mkdir /tmp/units/{file}.d; cp {DROP_INS}/{extra} /tmp/units/{file}.d/")
        out = run("env", "SYSTEMD_UNIT_PATH=/tmp/units:", "systemd-analyze", "security", "--offline=true", f"/tmp/units/{file}")
        score = (re.search(r"exposure level for .*: ([\d.]+)", out) or [None, out])[1]
        name = f"`{unit}`" + ("" if not extra else ", lighter" if extra == "light" else f" with `{extra}`")
        equal(score, table.get(name), f"systemd-analyze security {name}: as docs/systemd.md says")
done()
