"""smtpin.service under a real systemd: the life of a listening smtpin, stops, restarts and upgrades in mid-message. $1: build, $2: source."""
import shutil, threading
from manager import *
import document

install()
listening()
run("systemctl", "daemon-reload")
ok("" == run("systemctl", "enable", "--now", "-q", "smtpin.socket", "smtpin-lmtp.socket"), "smtpin.socket and smtpin-lmtp.socket with Accept=no")
equal(show("smtpin.service", "ActiveState"), "inactive", "nothing runs before the first connection")
equal(send("one"), "sent", "mail over IPv4")
equal(send("two", "::1"), "sent", "mail over IPv6")
equal(count(), 2, "two messages")
equal((show("smtpin.service", "ActiveState"), show("smtpin.service", "Type"), show("smtpin.service", "SubState")), ("active", "notify", "running"), "smtpin.service has said that it is ready")
l = Session(path="/run/smtpin/lmtp.sock")
ok("LMTP" in l.greeting, "the same service listens on the unix socket, by its name", l.greeting)
equal(run("stat -c '%U %G %a' /run/smtpin/lmtp.sock").strip(), "smtpin smtpin 660", "and not everybody may connect")
l.say("LHLO x"); l.to_data(); ok(l.say("x\r\n.").startswith("250"), "and mail comes in there"); l.close()
ok("SMTP_SOCKET=lmtp" in run("journalctl", "-q", "-o", "verbose", "SMTP_SOCKET=lmtp", "SMTP_RESULT=accepted"), "journalctl SMTP_SOCKET=lmtp")
pid = show("smtpin.service", "MainPID")
received = "".join(open(f).read() for f in glob.glob(f"{MAIL}/example.org/jane/new/*"))
ok("([127.0.0.1])" in received and "([IPv6:::1])" in received, "Received: has each peer", received)

# Seen by systemctl.
c = Session(); c.say("EHLO client.example.com"); c.say("MAIL FROM:<a@example.com>")
status = until(lambda: (lambda s: s if "1 connections now" in s else "")(run("systemctl", "status", "--no-pager", "smtpin.service")))
ok(re.search(r'Status: "1 connections now, \d+ accepted, 0 refused"', status), "systemctl status: the counts", status)
ok("smtpin: 127.0.0.1 mail, commands 2, messages 0, refusals 0" in status, "systemctl status: each session by its title", status)
c.close()

# Limits, with a word.
conf("max_connections_per_source = 4\n")
equal(run("systemctl", "reload", "smtpin.service"), "", "systemctl reload")
until(lambda: "event=reloaded" in journal("MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f16"))
held = [Session() for _ in range(5)]
equal([h.greeting[:3] for h in held], ["220"] * 4 + ["421"], "max_connections_per_source: 421 with a word")
for h in held: h.close()
conf("nonsense\n"); run("systemctl", "reload", "smtpin.service")
ok(until(lambda: "event=kept" in journal("MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f16")), "systemctl reload with a mistake: kept")
equal(show("smtpin.service", "ActiveState"), "active", "and the service goes on"); equal(send("three"), "sent", "with mail")
ok("see that `smtpin --check`" in run("journalctl --update-catalog; journalctl -q -x SMTP_EVENT=kept"), "journalctl -x says what to do")
conf()

descriptors = lambda: len(os.listdir(f"/proc/{show('smtpin.service', 'MainPID')}/fd"))
conf(); run("systemctl reload smtpin.service"); time.sleep(0.3)
before = descriptors()
for _ in range(30): run("systemctl reload smtpin.service")
time.sleep(0.3)
equal(descriptors(), before, "thirty reloads cost no descriptor")

# Crashes.
c = Session(); child = run(f"pgrep -P {show('smtpin.service', 'MainPID')}").split()[0]
os.kill(int(child), signal.SIGSEGV)
ok(until(lambda: f"crash process={child} signal=11" in journal("MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f15")), "a session's crash is a record")
ok("coredumpctl" in run("journalctl", "-q", "-x", "MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f15"), "journalctl -x says where to look")
equal((show("smtpin.service", "ActiveState"), send("four")), ("active", "sent"), "and the service goes on"); c.close()
os.kill(int(show("smtpin.service", "MainPID")), signal.SIGKILL)
equal(until(lambda: send("five") == "sent", 20), True, "the listening process killed: it is back by itself")
equal(show("smtpin.socket", "ActiveState"), "active", "and the port was never closed")

# The watchdog: signs of life keep it, and one that hangs is started anew. Where memory is short a session goes first.
drop_in("smtpin.service", "[Service]\nWatchdogSec=2s\n", "watchdog.conf"); run("systemctl daemon-reload; systemctl restart smtpin.service")
main = show("smtpin.service", "MainPID"); c = Session(); time.sleep(5)
equal((show("smtpin.service", "MainPID"), show("smtpin.service", "NRestarts")), (main, "0"), "WatchdogSec=2s: it lives on")
score = lambda pid: int(open(f"/proc/{pid}/oom_score_adj").read())
equal([score(child) for child in run(f"pgrep -P {main}").split()], [min(1000, score(main) + 100)], "oom_score_adj of a session: 100 more than the listening process's")
c.close(); os.kill(int(main), signal.SIGSTOP)
ok(until(lambda: show("smtpin.service", "MainPID") not in (main, "0") and send("awake") == "sent", 30), "one that hangs is ended by the watchdog, and is back")
run("rm -f /etc/systemd/system/smtpin.service.d/watchdog.conf; systemctl daemon-reload; systemctl restart smtpin.service"); until(lambda: send("after") == "sent")

# It can't start: the port stays, and it is tried again.
drop_in("smtpin.service", "[Service]\nUser=nobody-of-that-name\nRestartSec=200ms\n"); run("systemctl", "daemon-reload"); run("systemctl", "stop", "smtpin.service")
waiting = socket.create_connection(("127.0.0.1", 25), timeout=30)
time.sleep(3)
ok(show("smtpin.socket", "ActiveState") == "active" and int(show("smtpin.service", "NRestarts")) < 30, "a unit that can't start closes no port, and does not spin", run("systemctl status smtpin.socket smtpin.service"))
run(f"rm {UNITS}/smtpin.service.d/test.conf"); run("systemctl", "daemon-reload")
ok(waiting.recv(100).startswith(b"220"), "mended: the client that waited is served"); waiting.close()

# Idle: it ends, and comes again.
conf("listen_idle = 1s\n"); run("systemctl", "restart", "smtpin.service")
send("six")
equal(until(lambda: show("smtpin.service", "ActiveState") == "inactive"), True, "listen_idle: it ends")
equal(send("seven"), "sent", "and the socket starts it again")
conf()


def in_data(n):
    sessions = [Session() for _ in range(n)]
    for i, c in enumerate(sessions):
        c.to_data(); c.s.sendall(f"Subject: number {i}\r\n".encode())
    return sessions


def finish(sessions, said, delay=0.02):
    for i, c in enumerate(sessions):
        try:
            c.s.sendall(b"\r\nbody\r\n.\r\n"); said[i] = c.reply()
        except OSError as e: said[i] = repr(e)
        time.sleep(delay)


def through(name, command, n=50, prepare=lambda: None):
    """n sessions in DATA while the command runs: each is told 250 and stored once, or is not told and not stored."""
    prepare(); empty()
    conf("max_connections_per_source = 0\nmax_connections = 400\n")
    run("systemctl", "try-reload-or-restart", "smtpin.service")
    sessions, said = in_data(n), [""] * n
    worker = threading.Thread(target=finish, args=(sessions, said)); worker.start()
    start = time.monotonic(); out = run(command, timeout=120); took = time.monotonic() - start
    worker.join(120)
    stored = [re.search(r"^Subject: (number \d+)$", open(f).read(), re.M).group(1) for f in glob.glob(f"{MAIL}/*/*/new/*")]
    good = [f"number {i}" for i, r in enumerate(said) if r.startswith("250")]
    ok(sorted(stored) == sorted(good) and len(set(stored)) == len(stored), f"{name}: no message lost, none doubled", f"{out}\n{said}\n{sorted(stored)}")
    equal(len(good), n, f"{name}: all {n} messages on their way came to their end")
    for c in sessions: c.close()
    return took


took = through("systemctl restart smtpin.service", "systemctl restart smtpin.service")
equal(send("after"), "sent", "and mail goes on")
through("systemctl stop smtpin.socket", "systemctl stop smtpin.socket")
equal(show("smtpin.service", "ActiveState"), "inactive", "which ends the service too")
try: socket.create_connection(("127.0.0.1", 25), timeout=5); closed = False
except ConnectionRefusedError: closed = True
ok(closed, "so that nobody listens any more")
run("systemctl start smtpin.socket")


def upgrade():
    shutil.copy("/usr/sbin/smtpin", "/usr/sbin/smtpin.new")
    os.rename("/usr/sbin/smtpin.new", "/usr/sbin/smtpin")


through("an upgrade of the program", "systemctl restart smtpin.service", prepare=lambda: send("running") and upgrade())
equal(show("smtpin.service", "ActiveState"), "active", "and the new one runs")
exe = os.readlink(f"/proc/{show('smtpin.service', 'MainPID')}/exe")
ok(not exe.endswith("(deleted)"), "from the new file", exe)

# Another socket, as docs/systemd.md has it, with a section of its own; and out of the way again.
for path, text in [f for b in document.blocks(SOURCE, "docs/systemd.md") for f in b.files() if f[0].startswith(UNITS)]: write(path, text)
ok(os.path.exists(f"{UNITS}/smtpin-devices.socket") and os.path.exists(f"{UNITS}/smtpin.service.d/devices.conf"), "docs/systemd.md has a socket for devices")
conf("[devices]\nhelo_required = yes\n")
run("systemctl stop smtpin.socket smtpin-lmtp.socket smtpin.service; systemctl daemon-reload; systemctl start smtpin.socket smtpin-lmtp.socket smtpin-devices.socket")
s = socket.create_connection(("127.0.0.1", 2525), timeout=20); f = s.makefile("rb"); f.readline(); s.sendall(b"MAIL FROM:<>\r\n")
ok(f.readline().startswith(b"503"), "it is served, with its section"); s.close()
c = Session(); ok(c.say("MAIL FROM:<>").startswith("250"), "and so is port 25, with none"); c.close()
run("systemctl stop smtpin-devices.socket")
try: socket.create_connection(("127.0.0.1", 2525), timeout=5); closed = False
except ConnectionRefusedError: closed = True
ok(closed, "stopped, nobody listens there"); equal(send("still"), "sent", "and port 25 goes on")
run(f"rm -f {UNITS}/smtpin-devices.socket {UNITS}/smtpin.service.d/devices.conf; systemctl daemon-reload")

# The slice ends everything.
write("/usr/local/bin/slow", f"#!/bin/sh\ntouch {MAIL}/started\nsleep 2\ncat >{MAIL}/slow.part && mv {MAIL}/slow.part {MAIL}/slow.done\n", 0o755)
empty(); conf("deliver = /usr/local/bin/slow\n"); run("systemctl", "reload-or-restart", "smtpin.service")
until(lambda: "event=reloaded" in journal("MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f16", "--since=-5s"))
idle, busy = Session(), Session()
busy.to_data(); busy.s.sendall(b"x\r\n.\r\n")
until(lambda: os.path.exists(f"{MAIL}/started"))
stop = subprocess.Popen(["systemctl", "stop", "smtpin.slice"])
equal(idle.reply(), "421 mx.example.org Service shutting down; closing connection", "systemctl stop smtpin.slice: 421 between commands")
ok(busy.reply().startswith("250") and os.path.exists(f"{MAIL}/slow.done"), "a delivery whose command runs is not cut")
stop.wait(60)
equal([show(u, "ActiveState") for u in ("smtpin.slice", "smtpin.service", "smtpin.socket", "smtpin-lmtp.socket")], ["inactive"] * 4, "and all of it is stopped")
idle.close(); busy.close()
run("systemctl start smtpin.socket")

# smtpin's sandbox stands within the unit's own: one filter more than outside it.
c = Session()
def children(p): return [int(n) for n in open(f"/proc/{p}/task/{p}/children").read().split()]
def filters(p): return int(re.search(r"^Seccomp_filters:\s+(\d+)", open(f"/proc/{p}/status").read(), re.M)[1])
keeper = children(int(show("smtpin.service", "MainPID")))[0]
equal([filters(p) - filters(keeper) for p in children(keeper)], [1], "sandbox = auto is a filter more within the unit's")
c.close()

# What each kind of unit does for one that is over its memory or its tasks.
controllers = os.environ.get("BOX_CONTROLLERS", "").split()
if "memory" in controllers and "pids" in controllers:
    write("/usr/local/bin/hungry", "#!/usr/bin/python3\nx = []\nwhile True: x.append(bytearray(b'x') * (1 << 20))\n", 0o755)
    drop_in("smtpin.service", "[Service]\nMemoryMax=40M\n"); run("systemctl", "daemon-reload"); run("systemctl", "restart", "smtpin.service")
    conf("deliver = /usr/local/bin/hungry\n"); run("systemctl reload smtpin.service"); time.sleep(0.3)
    c = Session(); other = Session(); c.to_data()
    equal(c.say("x\r\n.")[:3], "451", "MemoryMax=: a command that is over it is ended, 451")
    ok(other.say("NOOP").startswith("250") and show("smtpin.service", "ActiveState") == "active", "OOMPolicy=continue: the other sessions go on")
    c.close(); other.close(); conf()
    # A session is two processes: either may be the one that can't be had.
    for most in (5, 6):
        drop_in("smtpin.service", f"[Service]\nTasksMax={most}\n"); run("systemctl", "daemon-reload"); run("systemctl", "restart", "smtpin.service")
        held = [Session() for _ in range(4)]
        equal([h.greeting[:3] for h in held], ["220", "220", "421", "421"], f"TasksMax={most}: who can't have its processes hears 421")
        for h in held: h.close()
    ok("rule=unavailable" in journal("SMTP_RULE=unavailable"), "and it is in the log", journal())
    without_drop_ins()
else:
    skip("MemoryMax= and TasksMax= of smtpin.service", "no controllers to be had here")

# Away again.
run("systemctl disable --now smtpin.socket smtpin-lmtp.socket")
before = count() + len(glob.glob(f"{MAIL}/slow*"))
out = run("ninja", "-C", BUILD, "uninstall")
ok(not os.path.exists("/usr/sbin/smtpin") and not glob.glob("/usr/lib/systemd/system/smtpin*") and not glob.glob("/usr/share/man/man*/smtpin*"), "ninja uninstall takes away what was installed", out)
ok(os.path.isdir(MAIL) and count() + len(glob.glob(f"{MAIL}/slow*")) == before and os.path.exists("/etc/smtpin/smtpin.conf"), "and leaves mail and configuration alone")
done()
