"""Listening mode: sockets passed as sd_listen_fds(3) has them or as inetd's "wait", a process for each connection."""
import contextlib, fcntl, re, resource, smtplib, struct, threading
from harness import *
from parent import Parent, connect, hello, say, tcp

directory, deliver = taker()
ROOT = os.geteuid() == 0


def in_data(c):
    c.sendall(ENVELOPE.split(b"DATA")[0])
    [read_one(c) for _ in range(3)]
    return say(c, "DATA")


# Several sockets, each with its settings.
unix = socket.socket(socket.AF_UNIX); unix.bind(os.path.join(TMP, "lmtp.sock")); unix.listen(64)
os.chmod(os.path.join(TMP, "lmtp.sock"), 0o777)
smtp, other = tcp("::", socket.AF_INET6, dual=True), tcp()
p = Parent([("smtp", smtp), ("submission", other), ("lmtp", unix)], {"deliver": deliver},
           "[submission]\nhostname = submit.example.org\nhelo_required = yes\n[lmtp]\nmax_message_size = 64K\n")
c, greeting = hello(smtp); equal(greeting, "220 mx.example.org ESMTP smtpin\r\n", "a socket without a section")
ok(say(c, "MAIL FROM:<a@example.com>").startswith("250"), "and its settings"); c.close()
c, greeting = hello(other); equal(greeting, "220 submit.example.org ESMTP smtpin\r\n", "a socket with a section")
ok(say(c, "MAIL FROM:<a@example.com>").startswith("503"), "and its settings"); c.close()
c, greeting = hello(unix); equal(greeting, "220 mx.example.org LMTP smtpin\r\n", "a unix socket named lmtp speaks LMTP")
ok("SIZE 65536" in say(c, "LHLO x"), "and has its own section"); c.close()
clear(directory)
with smtplib.SMTP("127.0.0.1", smtp.getsockname()[1], timeout=20) as s:
    for i in range(3): s.sendmail("a@example.com", ["b@example.org"], b"Subject: x\r\n\r\ny\r\n")
ok(len(messages(directory)) == 3 and all(b"([127.0.0.1])" in m for m in messages(directory)), "mail by smtplib; a mapped IPv4 peer is shown as IPv4", messages(directory))
clear(directory)
with smtplib.SMTP("::1", smtp.getsockname()[1], timeout=20) as s: s.sendmail("a@example.com", ["b@example.org"], b"x\r\n")
ok(b"([IPv6:::1])" in (messages(directory) or [b""])[0], "an IPv6 peer", messages(directory))
clear(directory)
class Local(smtplib.LMTP):
    def _get_socket(self, host, port, timeout): return connect(unix)
with Local("lmtp") as s: s.sendmail("a@example.com", ["b@example.org"], b"x\r\n")
ok(b"with LMTP" in (messages(directory) or [b""])[0], "mail over the unix socket", messages(directory))
env = [n for n in os.listdir(directory) if n.endswith(".env")]
ok("LISTEN_" not in open(os.path.join(directory, env[0])).read(), "the command hears nothing of the listeners")
ok(p.wait_said("session ") and "socket=smtp" in p.said() and "socket=lmtp" in p.said(), "records name the socket", p.said())

# What a child holds.
c, _ = hello(smtp)
child = p.children()[0][0]
fds = os.listdir(f"/proc/{child}/fd")
listening = {l.split()[9] for n in ("tcp", "tcp6") for l in open(f"/proc/net/{n}").read().splitlines()[1:] if l.split()[3] == "0A"}
held = [os.readlink(f"/proc/{child}/fd/{n}") for n in fds] if os.access(f"/proc/{child}/fd/0", os.R_OK) else []
ok(not any(h.startswith("socket:[") and h[8:-1] in listening for h in held), "a child holds no listening socket", held)
ok(len(held) <= 6, "and little else", held)
def title(pid): return open(f"/proc/{pid}/cmdline").read().split("\0")[0]
worker = int(open(f"/proc/{child}/task/{child}/children").read())
def until_title(wanted):
    """The worker's title, when it is this one, or has not become it."""
    end = time.monotonic() + 20
    while title(worker) != wanted and time.monotonic() < end: time.sleep(0.05)
    return title(worker)
shown = "smtpin: 127.0.0.1 connected, commands 0, messages 0, refusals 0"
equal(until_title(shown), shown, "its title says whose session it is")
equal(title(child), "smtpin: for 127.0.0.1", "and its monitor's, whom it is for")
held = [os.readlink(f"/proc/{worker}/fd/{n}") for n in os.listdir(f"/proc/{worker}/fd")] if os.access(f"/proc/{worker}/fd/0", os.R_OK) else []
ok(len(held) <= 3, "in the sandbox: the connection, the stop, the way to ask", held)
say(c, "EHLO x"); say(c, "MAIL FROM:<a@example.com>"); say(c, "RCPT TO:<b@elsewhere.example>"); say(c, "RCPT TO:<b@example.org>")
shown = "smtpin: 127.0.0.1 rcpt, commands 4, messages 0, refusals 1"
equal(until_title(shown), shown, "and how far it has come")

# A crash is a record and nothing more.
os.kill(child, signal.SIGABRT)
ok(p.wait_said("crash process=%d signal=6" % child) and "client_address=127.0.0.1" in p.said().split("crash")[1].split("\n")[0], "a child's crash is a record", p.said())
ok(gone(worker, 5), "and takes what it kept with it")
c.close()
c, _ = hello(smtp)
child = p.children()[-1][0]
os.kill(int(open(f"/proc/{child}/task/{child}/children").read()), signal.SIGABRT)
ok(p.wait_said("client_address=127.0.0.1 signal=6") and re.search(r"crash process=\d+ session=\S+ socket=smtp client_address=127.0.0.1 signal=6", p.said()), "a crash in the sandbox is a record too", p.said())
equal(c.recv(10), b"", "and the end of the connection")
ok(gone(child, 5) and "status=70" not in p.said(), "once", p.said())
c.close()
c, greeting = hello(smtp); ok(greeting.startswith("220"), "and nothing more"); c.close()

# Many, one after the other: none is left.
for i in range(200):
    c, greeting = hello(other)
    if not greeting.startswith("220"): break
    if i % 2: c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
end = time.monotonic() + 10
while p.children() and time.monotonic() < end: time.sleep(0.05)
equal(p.children(), [], "200 connections: no process is left, no zombie")

# The parent reads nothing of the client's.
if have("strace") and not SANITIZED:
    trace = os.path.join(TMP, "parent.strace")
    st = subprocess.Popen(["strace", "-o", trace, "-p", str(p.pid)], stderr=subprocess.PIPE)
    st.stderr.readline()
    with smtplib.SMTP("127.0.0.1", other.getsockname()[1], timeout=20) as s: s.helo("x"); s.sendmail("a@example.com", ["b@example.org"], b"x\r\n")
    time.sleep(0.3); st.terminate(); st.wait(10)
    own = [n for n in os.listdir(f"/proc/{p.pid}/fd") if os.readlink(f"/proc/{p.pid}/fd/{n}") == "anon_inode:[signalfd]"]
    calls = [l for l in open(trace) if l.split("(")[0] in ("read", "recvfrom", "recvmsg", "readv", "recvmmsg")]
    text = open(trace).read()
    ok("accept4(" in text and calls and all(l.split("(")[1].split(",")[0] in own for l in calls), "the parent reads only its own signals", text)
elif not SANITIZED:
    skip("the parent reads only its own signals", "no strace")
equal(p.end(), 0, "SIGTERM without sessions: it ends at once")

# Limits.
p = Parent([("smtp", smtp), ("submission", other)], {"deliver": deliver},
           "max_connections = 6\nmax_connections_per_source = 3\n[submission]\nmax_connections = 20\nmax_connections_per_source = 0\n")
held = [hello(smtp) for _ in range(3)]
ok(all(g.startswith("220") for _, g in held), "three of a source are served")
start = time.monotonic()
c, greeting = hello(smtp)
equal(greeting, "421 mx.example.org Too many connections from your network, try later\r\n", "max_connections_per_source: 421")
ok(time.monotonic() - start < 5 and c.recv(10) == b"", "at once, and the connection is closed")
held += [hello(smtp, "127.0.0.2") for _ in range(3)]
ok(all(g.startswith("220") for _, g in held), "another source is served")
equal(hello(smtp, "127.0.0.3")[1], "421 mx.example.org Too many connections, try later\r\n", "max_connections: 421")
more = [hello(other) for _ in range(12)]
ok(all(g.startswith("220") for _, g in more), "another socket has limits of its own")
ok(p.wait_said("rule=max_connections_per_source") and p.wait_said("rule=max_connections "), "each refusal has its rule in the log", p.said())
for _ in range(50): hello(smtp, "127.0.0.3")[0].close()
def refusals():
    lines = [l for l in p.said().splitlines() if "rule=max_connections " in l]
    return lines, sum(int(l.split("count=")[1].split()[0]) for l in lines)
time.sleep(1.2)
end = time.monotonic() + 20
while refusals()[1] < 51 and time.monotonic() < end: time.sleep(0.1)
lines, counted = refusals()
ok(counted == 51 and len(lines) < 10, "a flood of refusals is counted, not written one by one", lines)
held[0][0].close()
end = time.monotonic() + 5
greeting = ""
while not greeting.startswith("220") and time.monotonic() < end: time.sleep(0.05); c, greeting = hello(smtp)
ok(greeting.startswith("220"), "who leaves makes room")
for c, _ in held + more: c.close()
p.end()

# SIGHUP.
p = Parent([("smtp", smtp)], {}, f"deliver = {deliver}\n", notify=True)
news = lambda: p.notified.recv(4096).decode()
first = news()
ok(first.startswith("READY=1\nSTATUS=0 connections"), "sd_notify: READY=1 and a status", first)
old, _ = hello(smtp)
status = news()
ok(status.startswith("STATUS=1 connections now, 1 accepted, 0 refused"), "sd_notify: status", status)
p.configure(f"hostname = new.example.org\ndeliver = {deliver}\n"); p.hup()
ok(p.wait_said("service event=reloaded"), "SIGHUP: the configuration is read anew", p.said())
said = [news(), news()]
ok(said[0].startswith("RELOADING=1\nMONOTONIC_USEC=") and said[1].startswith("READY=1"), "sd_notify: RELOADING, READY", said)
c, greeting = hello(smtp); ok("new.example.org" in greeting, "new connections have it", greeting); c.close()
ok("mx.example.org" in say(old, "EHLO x"), "a session that runs keeps the one it has")
for what, text in (("a mistake", "nonsense\n"), ("a program that is not there", "deliver = /nonexistent/program\n"), ("a mistake in another section", "[x]\nmax_errors = 0\n")):
    before = p.said().count("event=kept")
    p.configure("hostname = wrong.example.org\n" + text)
    p.hup()
    ok(p.wait_said("event=kept", times=before + 1), f"SIGHUP with {what}: kept", p.said())
    c, greeting = hello(smtp); ok("new.example.org" in greeting, "the old one stays in force", greeting); c.close()
os.unlink(p.conf); before = p.said().count("event=kept"); p.hup()
ok(p.wait_said("event=kept", times=before + 1), "SIGHUP with no file: kept", p.said())

# SIGTERM.
idle, _ = hello(smtp); say(idle, "EHLO x")
sending, _ = hello(smtp)
ok(in_data(sending).startswith("354"), "a client in DATA")
sending.sendall(b"Subject: half\r\n")
clear(directory)
time.sleep(0.2)
os.kill(p.pid, signal.SIGTERM)
equal(read_reply(idle), b"421 4.3.2 new.example.org Service shutting down; closing connection\r\n", "SIGTERM between commands: 421")
equal(idle.recv(10), b"", "and the end")
time.sleep(0.3)
sending.sendall(b"\r\nrest\r\n.\r\n")
ok(read_one(sending).startswith("250"), "a message that was being sent comes to its end: 250")
ok(read_one(sending).startswith("421"), "then 421")
old.close(); sending.close()
equal(p.wait(), 0, "the parent ends after its sessions")
equal(len(messages(directory)), 1, "the message is there once")
ok(p.wait_said("event=stopping") and p.wait_said("event=stopped"), "both are in the log", p.said())

# A delivery that runs is never cut; a message that never ends is.
slow = write("slow", f"#!/bin/sh\ntouch {directory}/started\nsleep 2\ncat >{directory}/slow.part && mv {directory}/slow.part {directory}/slow.msg\n")
p = Parent([("smtp", smtp)], {"deliver": slow}, "drain_timeout = 1s\n")
clear(directory)
c, _ = hello(smtp); in_data(c); c.sendall(b"x\r\n.\r\n")
never, _ = hello(smtp); in_data(never); never.sendall(b"x\r\n")
end = time.monotonic() + 10
while not os.path.exists(directory + "/started") and time.monotonic() < end: time.sleep(0.02)
start = time.monotonic()
os.kill(p.pid, signal.SIGTERM)
ok(read_one(c).startswith("250"), "SIGTERM while the command runs: it runs to its end, 250")
ok(read_one(never).startswith("421"), "drain_timeout: a message that does not come to its end is given up")
equal(p.wait(), 0, "then the parent ends")
ok(1 < time.monotonic() - start < 30, "in time")
equal(len(messages(directory)), 1, "one message, not two")
c.close(); never.close()
spare = tcp(); port = spare.getsockname()[1]
p = Parent([("smtp", spare)], {"deliver": deliver}); spare.close()
c = socket.create_connection(("127.0.0.1", port), timeout=20); read_reply(c); in_data(c)
os.kill(p.pid, signal.SIGTERM); p.wait_said("event=stopping")
refused = False
try: socket.create_connection(("127.0.0.1", port), timeout=5).close()
except ConnectionRefusedError: refused = True
ok(refused, "while it ends, nobody listens")
c.sendall(b".\r\n"); ok(read_one(c).startswith("250"), "and the last session is served"); c.close(); p.wait()

# Idle.
p = Parent([("smtp", smtp)], {"deliver": deliver, "listen_idle": "500ms"})
c, _ = hello(smtp); time.sleep(0.8)
ok(say(c, "NOOP").startswith("250"), "a session keeps it from being idle"); c.close()
start = time.monotonic()
equal(p.wait(), 0, "listen_idle: it ends by itself")
ok("event=idle" in p.said(), "and says so", p.said())

# A configuration that is wrong at the start.
p = Parent([("smtp", smtp)], {"deliver": deliver}, "nonsense\n")
equal(hello(smtp)[1], "421 mx.example.org Service not available; closing connection\r\n", "a mistake at the start: 421")
equal(p.said().count("has no '=' after the key"), 1, "and why, once")
p.configure(""); p.hup(); p.wait_said("event=reloaded")
ok(hello(smtp)[1].startswith("220"), "SIGHUP with the mistake mended")
p.end()

# What is passed beside listeners.
one, two = socket.socketpair()
p = Parent([("smtp", smtp), ("submission", other)], {"deliver": deliver}, wrong=[one])
ok(hello(smtp)[1].startswith("220") and hello(other)[1].startswith("220"), "a socket that does not listen among others: they are served")
ok("does not listen" in p.said(), "and it is in the log", p.said())
p.end()
one.close(); two.close()

r = subprocess.run([SMTPIN, "-f", "/dev/null", "--listen"], capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
ok(r.returncode == 69 and b"no listening socket was passed" in r.stderr and r.stdout == b"", "--listen without one: 69, and why", r)

def given(fds, environment, wait=60, limit=None, until=None):
    """Started with these descriptors from 3 on, for so many seconds, or until it has said that and for half a second more: (exit status or None, CPU seconds, what it said)."""
    log = open(os.path.join(TMP, "given.log"), "w+b")
    pid = os.fork()
    if pid == 0:
        try:
            err = fcntl.fcntl(log.fileno(), fcntl.F_DUPFD, 200)
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 200) for fd in fds]
            for i, fd in enumerate(high): os.dup2(fd, 3 + i, inheritable=True)
            os.dup2(err, 2); null = os.open("/dev/null", os.O_RDWR); os.dup2(null, 0); os.dup2(null, 1)
            os.closerange(3 + len(high), 300)
            if limit: resource.setrlimit(*limit)
            os.execve(SMTPIN, [SMTPIN, "-f", "/dev/null", "-o", "log=stderr", "-o", "command_timeout=2s"], {**{k: v for k, v in os.environ.items() if "SAN" in k}, "LISTEN_PID": str(os.getpid()), **environment})
        finally: os._exit(127)
    end = time.monotonic() + wait
    while time.monotonic() < end:
        if until and until in open(log.name, "rb").read(): end, until = time.monotonic() + 0.5, None
        p, status, usage = os.wait4(pid, os.WNOHANG)
        if p: return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, open(log.name, "rb").read()
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL); _, _, usage = os.wait4(pid, 0)
    return None, usage.ru_utime + usage.ru_stime, open(log.name, "rb").read()


datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
status, cpu, said = given([datagram.fileno()] * 2, {"LISTEN_FDS": "2"})
ok(status == 69 and b"does not listen" in said, "sockets of which none listens: 69, and why", (status, said))
# What was passed is not there, or is nothing that a client could speak to: no session, whatever else is open.
plain = open(os.path.join(TMP, "plain"), "w+b"); plain.write(mail()); plain.flush(); plain.seek(0)
fifo = os.pipe()
for what, fds, says in (("is closed", [], b"is not open"), ("is a file", [plain.fileno()], b"is no socket"), ("is a pipe", [fifo[0]], b"is no socket"), ("is for datagrams", [datagram.fileno()], b"is for datagrams")):
    status, cpu, said = given(fds, {"LISTEN_FDS": "1"})
    ok(status == 69 and says in said and b"no listening socket" not in said and b"session " not in said and said.count(b"mistake=") == 1, f"the one descriptor that was passed {what}: 69, and why", (status, said))
for what, fds, says in (("closed", [smtp.fileno()], b"is not open"), ("a file", [plain.fileno(), smtp.fileno()], b"is no socket"), ("for datagrams", [datagram.fileno(), smtp.fileno()], b"is for datagrams")):
    status, cpu, said = given(fds, {"LISTEN_FDS": "2"}, until=b"event=listening sockets=1 ")
    ok(status is None and says in said and b"event=listening sockets=1 " in said, f"one of two is {what}: the other one is served, and the log says so", (status, said))
ours, theirs = socket.socketpair()
pid = os.fork()
if pid == 0:
    try:
        for fd in (0, 1, 2): os.dup2(theirs.fileno(), fd)
        os.closerange(3, 300)
        os.execve(SMTPIN, [SMTPIN, "-f", "/dev/null", "-o", "log=stderr"], {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", **{k: v for k, v in os.environ.items() if "SAN" in k}})
    finally: os._exit(127)
theirs.close(); ours.settimeout(20)
equal((read_all(ours), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])), (b"", 69), "and a client on descriptors 0 to 2 hears nothing of it"); ours.close()
os.close(fifo[0]); os.close(fifo[1]); plain.close()
status, cpu, said = given([smtp.fileno()], {"LISTEN_FDS": "1073741823"}, until=b"event=listening")
ok(status is None and cpu < 1 + SANITIZED and b"event=listening" in said, "an absurd LISTEN_FDS: what is there is served", (status, cpu, said))
status, cpu, said = given([smtp.fileno()] * 17, {"LISTEN_FDS": "17"}, until=b"event=listening sockets=16")
ok(status is None and b"too many sockets" in said and b"event=listening sockets=16" in said, "seventeen sockets: sixteen are served, and the log says so", (status, said))
if not SANITIZED:
    status, cpu, said = given([smtp.fileno()], {"LISTEN_FDS": "1"}, limit=(resource.RLIMIT_AS, (16 << 20, 16 << 20)))
    equal(status, 71, "no memory for the configuration: 71, not a service that can serve nobody")
status, cpu, said = given([smtp.fileno()], {"LISTEN_FDS": "1"}, limit=(resource.RLIMIT_NOFILE, (5, 5)))
equal(status, 71, "no descriptors: 71")
dead = tcp(); holder = dead.dup(); dead.shutdown(socket.SHUT_RDWR)
p = Parent([("smtp", dead), ("submission", other)], {"deliver": deliver}); time.sleep(1)
usage = sum(int(n) for n in open(f"/proc/{p.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]) / os.sysconf("SC_CLK_TCK")
ok(usage < 0.5 and p.said().count("file=accept") <= 1, "a socket that can't accept any more: no spin", (usage, p.said()))
ok(hello(other)[1].startswith("220"), "and the other one is served"); p.end(); dead.close(); holder.close()

# What waits in the buffer, and who does not read, is no way round SIGTERM.
steady = write("steady", "#!/bin/sh\nsleep 0.3\n")
p = Parent([("smtp", smtp)], {"deliver": steady}, "drain_timeout = 500ms\n")
c, _ = hello(smtp)
c.sendall(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nx\r\n.\r\n" * 60)
[read_one(c) for _ in range(5)]
start = time.monotonic()
equal(p.end(), 0, "SIGTERM with sixty messages in the buffer: the parent ends")
ok(time.monotonic() - start < 9, "after the one that is being delivered", time.monotonic() - start); c.close()
p = Parent([("smtp", smtp)], {"deliver": deliver, "max_commands": "1000000"}, "drain_timeout = 500ms\ncommand_timeout = 20s\n")
c, _ = hello(smtp); c.setblocking(False)
end = time.monotonic() + 1
while time.monotonic() < end:
    try: c.send(b"HELP\r\n" * 1000)
    except BlockingIOError: time.sleep(0.05)
start = time.monotonic()
equal(p.end(), 0, "SIGTERM with a client that does not read"); ok(time.monotonic() - start < 15, "it is not waited for", time.monotonic() - start); c.close()

# inetd's "wait".
for stderr in (True, "stderr"):
    p = Parent([("", smtp)], {"deliver": deliver, "listen_idle": "1s", "log": "auto" if stderr == "stderr" else "stderr", "socket": "lmtp"}, wait=stderr)
    clear(directory)
    c, greeting = hello(smtp)
    ok("LMTP" in greeting, "inetd's wait: -o socket names it", greeting); say(c, "QUIT"); c.close()
    equal(p.wait(), 0, "it ends when idle")
if ROOT:
    who = write("who", f"#!/bin/sh\nid -u >{directory}/uid\n")
    p = Parent([("smtp", smtp)], {"deliver": who, "user": "nobody"})
    clear(directory)
    c, _ = hello(smtp); in_data(c); c.sendall(b".\r\n"); read_one(c); c.close()
    equal(open(directory + "/uid").read().strip(), "65534", "user =, in listening mode")
    ok("\nUid:\t65534\t65534\t65534" in open(f"/proc/{p.pid}/status").read(), "the parent too has dropped root")
    for n in (1, 2):  # without root, and the same user in it
        p.configure(f"hostname = again{n}.example.org\n"); p.hup()
        ok(p.wait_said("event=reloaded", times=n) and f" again{n}.example.org " in hello(smtp)[1], f"SIGHUP {n} with the same user: the new configuration is taken", p.said())
    p.end()
    for first in ("user = no-such-user\n", "", "nonsense\n"):
        p = Parent([("smtp", smtp)], {"deliver": who}, first)
        greeting = hello(smtp)[1]
        p.configure("user = nobody\n"); p.hup(); p.wait_said("event=reloaded")
        clear(directory); c, said = hello(smtp)
        if said.startswith("220"): in_data(c); c.sendall(b".\r\n"); read_one(c)
        c.close()
        ok(os.path.exists(directory + "/uid") and open(directory + "/uid").read().strip() == "65534" and "\nUid:\t65534" in open(f"/proc/{p.pid}/status").read(),
           f"started with {first.strip() or 'no user'!r}, SIGHUP with a user: root is dropped then", (greeting, said, p.said()))
        before = p.said().count("event=kept"); p.configure("user = daemon\n"); p.hup()
        ok(p.wait_said("event=kept", times=before + 1) and "another user takes a restart" in p.said(), "and another user is not taken for done", p.said())
        p.end()
    p = Parent([("smtp", smtp), ("submission", other)], {"deliver": who}, "[submission]\nuser = nobody\n")
    ok(hello(smtp)[1].startswith("421") and "one process has one user" in p.said(), "a user of one section alone: a mistake", p.said()); p.end()
else:
    skip("user =, in listening mode", "needs root")
p = Parent([("smtp", smtp), ("submission", other)], {"deliver": deliver, "max_connections": "1"}, "")
held = hello(smtp); [hello(smtp)[0].close() for _ in range(5)]; p.end()
counted = sum(int(l.split("count=")[1].split()[0]) for l in p.said().splitlines() if "rule=max_connections" in l)
equal(counted, 5, "refusals are all counted in the log at the end"); held[0].close()

# Many at once.
p = Parent([("smtp", smtp)], {"deliver": deliver, "max_connections_per_source": "0"})
clear(directory)
results = []
def many():
    for _ in range(5):
        with smtplib.SMTP("127.0.0.1", smtp.getsockname()[1], timeout=60) as s: s.sendmail("a@example.com", ["b@example.org"], b"x\r\n")
        results.append(1)
threads = [threading.Thread(target=many) for _ in range(20)]
for t in threads: t.start()
for t in threads: t.join(120)
equal((len(results), len(messages(directory))), (100, 100), "twenty clients at once, a hundred messages")
p.end()
done()
