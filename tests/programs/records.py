"""Records that nobody reads: each is dropped after a moment and counted; neither a session nor the listening process waits for its reader."""
import fcntl, pty, re, threading, tty
from harness import *

REFUSED = b"RCPT TO:<b@elsewhere.example>\r\n"
PATIENCE = 20  # seconds: forever, where a wait has an end at all
WITHOUT = os.path.join(TMP, "without")
built = have("cc") and subprocess.run(["cc", "-O1", "-o", WITHOUT, os.path.join(SOURCE, "tests", "programs", "without.c")], capture_output=True).returncode == 0


class Pipe:
    """A pipe that is full: a program's stderr that nobody reads."""
    def __init__(self):
        self.ours, self.theirs = os.pipe()
        fcntl.fcntl(self.ours, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(self.ours, False)

    def fill(self):
        os.set_blocking(self.theirs, False)
        try:
            while True: os.write(self.theirs, b"~")
        except BlockingIOError: pass
        os.set_blocking(self.theirs, True)

    def drain(self):
        said = b""
        try:
            while True:
                piece = os.read(self.ours, 65536)
                if not piece: break
                said += piece
        except OSError: pass
        return said.replace(b"~", b"")

    def close(self): os.close(self.ours); os.close(self.theirs)


class Terminal(Pipe):
    """A terminal that nobody looks at."""
    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        tty.setraw(self.theirs)
        os.set_blocking(self.ours, False)


class Stream(Pipe):
    """A stream of the journal's."""
    def __init__(self):
        self.pair = socket.socketpair()
        self.ours, self.theirs = [s.fileno() for s in self.pair]
        os.set_blocking(self.ours, False)

    def close(self): [s.close() for s in self.pair]


def begin(stderr, settings=None, before=(), **more):
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    p = subprocess.Popen([*before, *arguments({"log": "stderr", "max_errors": "1000", **(settings or {})})], stdin=theirs, stdout=theirs, stderr=stderr, **more)
    theirs.close()
    return p, ours


def refused(c, n):
    """So many records, each for a refusal; how long that took."""
    start = time.monotonic()
    try:
        for _ in range(n):
            c.sendall(REFUSED)
            if not read_reply(c).startswith(b"550"): return None
    except (TimeoutError, socket.timeout): return None
    return time.monotonic() - start


def begin_mail(c):
    try: return read_reply(c)[:3] == b"220" and [c.sendall(b"EHLO x\r\n"), read_reply(c), c.sendall(b"MAIL FROM:<a@example.com>\r\n"), read_reply(c)][-1][:3] == b"250"
    except (TimeoutError, socket.timeout): return False


def stop(p, c):
    c.close()
    try: return p.wait(PATIENCE)
    except subprocess.TimeoutExpired: p.kill(); p.wait(); return "did not end"


def lines_are_whole(said): return all(re.match(rb"(smtpin\[\d+\]: |<\d>)[a-z]+ .*\S$", l) for l in said.splitlines() if l)


# A session whose stderr is full.
for name, kind, before in (("a pipe", Pipe, ()), ("a pipe, on an older kernel", Pipe, (WITHOUT, "pwritev2")), ("a socket", Stream, ()), ("a socket, on an older kernel", Stream, (WITHOUT, "pwritev2")), ("a terminal", Terminal, ())):
    if before and not built: skip(name, "no C compiler"); continue
    for sandbox in ("no", "yes"):
        if SANITIZED and before: continue
        out = kind(); out.fill()
        p, c = begin(out.theirs, {"sandbox": sandbox}, before)
        ok(begin_mail(c), f"sandbox = {sandbox}, {name} that nobody reads: the client is greeted")
        took = refused(c, 60)
        # 60 times a moment is six seconds: none but the first is waited for.
        ok(took is not None and took < 5, f"sandbox = {sandbox}, {name} that nobody reads: 60 records are not waited for", took)
        time.sleep(0.3 if sandbox == "yes" else 0)  # in the sandbox, the client is not who waits
        said = out.drain()
        again = refused(c, 3)
        c.sendall(b"QUIT\r\n"); read_reply(c)
        status = stop(p, c)
        said += out.drain()
        counted = [int(n) for n in re.findall(rb" dropped=(\d+)$", said, re.M)]
        # Each refusal, the transaction, the session; as root, a note before them.
        ok(again is not None and len(counted) == 1 and counted[0] + said.count(b"smtpin[") == 65 + (os.geteuid() == 0) and said.count(b"refused ") >= 3 and lines_are_whole(said), f"sandbox = {sandbox}, {name}, read again: the first record that goes through has their number", (said, counted))
        equal(status, 0, f"sandbox = {sandbox}, {name}: and the session ends as ever")
        out.close()

# A reader that is slow, but there: each record comes, none twice, whoever else writes.
out = Pipe(); said = []
many = [begin(out.theirs) for _ in range(4)]
stopped = threading.Event()
def read_slowly():
    while not stopped.is_set():
        piece = out.drain()
        if piece: said.append(piece)
        time.sleep(0.002)
reader = threading.Thread(target=read_slowly); reader.start()
for p, c in many: begin_mail(c)
workers = [threading.Thread(target=refused, args=(c, 100)) for _, c in many]
for w in workers: w.start()
for w in workers: w.join()
for p, c in many: stop(p, c)
stopped.set(); reader.join(); said.append(out.drain())
said = b"".join(said)
dropped = sum(int(n) for n in re.findall(rb" dropped=(\d+)$", said, re.M))
ok(said.count(b"refused ") + dropped >= 400 and lines_are_whole(said), f"four sessions and a slow reader: {said.count(b'refused ')} records, {dropped} dropped, each line whole", [l for l in said.splitlines() if not lines_are_whole(l)][:3])
out.close()

# A line is no longer than a pipe takes at once; a field that does not fit is left out whole.
out = Pipe(); fcntl.fcntl(out.ours, fcntl.F_SETPIPE_SZ, 1 << 20)
long_one = b"a" * 60 + b"@" + b".".join([b"b" * 60] * 3) + b".example"
p, c = begin(out.theirs, {"deliver": "/bin/true", "max_recipients": "100", "relay_clients": "192.0.2.1", "client_address": "192.0.2.1"})
begin_mail(c)
for i in range(30): c.sendall(b"RCPT TO:<%02d%s>\r\n" % (i, long_one)); read_reply(c)
c.sendall(b"DATA\r\n"); read_reply(c); c.sendall(b"x\r\n.\r\n"); heard = read_reply(c)
stop(p, c)
lines = [l for l in out.drain().split(b"\n") if b"transaction " in l]
ok(heard.startswith(b"250") and len(lines) == 1 and 3000 < len(lines[0]) + 1 <= 4096 and all(re.fullmatch(rb"\d\d" + re.escape(long_one), f) for f in re.findall(rb"forward_path=(\S+)", lines[0])), "a record on stderr is no longer than PIPE_BUF", (heard, [len(l) for l in lines]))
out.close()

# An alarm that somebody else has set is none of a record's, nor of the command's.
if built and not SANITIZED:
    out = Pipe()
    script = write("alarm", f"#!{sys.executable}\nimport signal, sys\nsys.stdin.read()\nopen(sys.argv[1], 'w').write(str(signal.getitimer(signal.ITIMER_REAL)) + str(signal.SIGALRM in signal.pthread_sigmask(signal.SIG_BLOCK, [])) + str(signal.getsignal(signal.SIGALRM) == signal.SIG_DFL))\n")
    p, c = begin(out.theirs, {"deliver": f"{script} {TMP}/alarm.out"}, (WITHOUT, "pwritev2"), preexec_fn=lambda: signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05))
    begin_mail(c)
    took = refused(c, 100)
    time.sleep(0.2)
    c.sendall(b"RCPT TO:<b@example.org>\r\n"); read_reply(c); c.sendall(b"DATA\r\n"); read_reply(c); c.sendall(b"x\r\n.\r\n"); heard = read_reply(c)
    status = stop(p, c)
    said = out.drain()
    equal((heard[:3], status, said.count(b"refused "), said.count(b"dropped=")), (b"250", 0, said.count(b"refused "), said.count(b"dropped=")), "an alarm of somebody else's: the session goes on")
    equal(open(TMP + "/alarm.out").read(), "(0.0, 0.0)FalseTrue", "the command has no timer, and SIGALRM as ever")
    out.close()
elif not built: skip("an alarm that somebody else has set", "no C compiler")

# The listening process.
for name, kind, before in (("a pipe", Pipe, ()), ("a terminal", Terminal, ())):
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    out = kind(); out.fill()
    conf = write("listen.conf", "hostname = mx.example.org\ndomains = example.org\nlog = stderr\ndeliver = /bin/true\nmax_connections = 2\n", 0o644)
    pid = os.fork()
    if pid == 0:
        try:
            passed, err = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 100), fcntl.fcntl(out.theirs, fcntl.F_DUPFD, 100)
            null = os.open("/dev/null", os.O_RDWR)
            for fd, to in ((null, 0), (null, 1), (err, 2), (passed, 3)): os.dup2(fd, to, inheritable=True)
            os.execve(SMTPIN, [SMTPIN, "-f", conf, "--listen"], {**os.environ, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
        finally: os._exit(127)
    def call():
        c = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
        try: return c, read_reply(c)[:3]
        except (TimeoutError, socket.timeout): return c, b"silence"
    start = time.monotonic()
    heard = []
    for _ in range(30):
        c, greeting = call(); heard.append(greeting)
        if greeting == b"silence": c.close(); break
        c.sendall(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\n" + REFUSED + b"QUIT\r\n"); read_all(c); c.close()
    ok(set(heard) <= {b"220", b"421"} and len(heard) == 30 and time.monotonic() - start < 15, f"{name} that nobody reads: 30 clients are served", (heard, time.monotonic() - start))
    held = [call() for _ in range(4)]  # two of them refused: records of the parent's
    time.sleep(1.2)
    for c, _ in held: c.close()
    end, said = time.monotonic() + 10, b""
    told = rb"^smtpin\[%d\]: .* dropped=\d\d?$" % pid
    while time.monotonic() < end and not re.search(told, said, re.M):
        said += out.drain(); os.kill(pid, signal.SIGHUP); time.sleep(0.2)
    ok(re.search(told, said, re.M), f"{name}, read again: the parent says how many of its own were dropped", said[-1500:])
    os.kill(pid, signal.SIGTERM)
    end, status = time.monotonic() + PATIENCE, None
    while status is None and time.monotonic() < end:
        got, s = os.waitpid(pid, os.WNOHANG); out.drain(); time.sleep(0.02)
        if got: status = s
    if status is None: os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)
    equal(status, 0, f"{name}: and it ends when it is asked to")
    out.close(); listener.close()

# The journal and syslogd, in a mount namespace of their own: /dev/log and /run/systemd/journal/socket are this program's.
daemon = write("daemon.py", """
import os, re, socket, subprocess, sys, time
where, kind, state, smtpin = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
os.makedirs(os.path.dirname(where), exist_ok=True)
def serve():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if kind == "stream" else socket.SOCK_DGRAM); s.bind(where); os.chmod(where, 0o666)
    if kind == "stream": s.listen(0)
    return s
s, held = serve(), []
if state == "stuck":
    try:
        while True:
            c = socket.socket(socket.AF_UNIX, s.type); c.setblocking(False); held.append(c)
            c.connect(where)
            while kind != "stream": c.send(b"x")
    except BlockingIOError: pass
ours, theirs = socket.socketpair(); ours.settimeout(40)
log = open("/run/stderr", "w"); st = os.fstat(log.fileno())
p = subprocess.Popen(smtpin, stdin=theirs, stdout=theirs, stderr=log, env={**os.environ, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}", "TZ": "XYZ-3"}); theirs.close()
import atexit; atexit.register(p.kill)
def reply():
    d = b""
    while not d.endswith(b"\\n"): d += ours.recv(4096) or b"\\n"
    return d
def say(l): ours.sendall(l + b"\\r\\n"); return reply()
reply(); say(b"EHLO x"); say(b"MAIL FROM:<a@example.com>")
start = time.monotonic()
conns, first = [], []
def drain():
    got = []
    s.setblocking(False)
    try:
        while kind == "stream": conns.append(s.accept()[0])
    except BlockingIOError: pass
    for c in conns if kind == "stream" else [s]:
        c.setblocking(False)
        try:
            while True:
                d = c.recv(70000)
                if not d: break
                got += [m for m in (d.split(b"\\0") if kind == "stream" else [d]) if m]
        except BlockingIOError: pass
    return [m for m in got if m != b"x"]
for _ in range(60):
    if state != "stuck": first += drain()
    say(b"RCPT TO:<b@elsewhere.example>")
print("took", time.monotonic() - start)
first += drain()
if state == "anew":
    for c in [s, *conns]: c.close()
    conns.clear(); os.unlink(where); s = serve()
say(b"RCPT TO:<c@elsewhere.example>"); say(b"RCPT TO:<d@elsewhere.example>"); say(b"QUIT"); p.wait(20)
then = drain()
print("first", len(first)); print("then", len(then))
for m in (then if state != "there" else first)[:1] + then[-1:]: print("record", m)
print("stderr", open("/run/stderr").read().count("refused"))
""", 0o644)
namespace = ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "--mount", "--propagation", "private", "sh", "-c",
             'mount -t tmpfs tmpfs /run && touch /run/null && mount --bind /dev/null /run/null && mount -t tmpfs tmpfs /dev && touch /dev/null && mount --bind /run/null /dev/null && exec "$@"', "sh"]
if subprocess.run([*namespace, "true"], capture_output=True).returncode == 0:
    for target, where, kind, before in (*(("journal", "/run/systemd/journal/socket", "datagram", before) for before in WAYS), ("syslog", "/dev/log", "datagram", ()), ("syslog", "/dev/log", "stream", ())):
        for state in ("there", "stuck", "anew"):
            name = f"{target}, {kind}, {state}" + (f", {WAYS[before]}" if target == "journal" else "")
            try: p = subprocess.run([*namespace, sys.executable, daemon, where, kind, state, *before, *arguments({"log": target, "max_errors": "1000", "sandbox": "no"})], capture_output=True, text=True, timeout=60)
            except subprocess.TimeoutExpired: ok(False, f"{name}: it is not waited for"); continue
            said = dict(l.split(" ", 1) for l in p.stdout.splitlines())
            records = re.findall(r"^record (.*)$", p.stdout, re.M)
            ok(p.returncode == 0 and float(said.get("took", 99)) < 5 and said["stderr"] == "0", f"{name}: 60 records are not waited for", (p.stdout, p.stderr))
            if target == "syslog": ok(records and all(re.match(r"b'<(?:19|2[01])>[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d smtpin\[\d+\]: [a-z]+ ", r) for r in records), f"{name}: as syslog(3) has it", records)
            number = re.search(r"SMTP_DROPPED=(\d+)" if target == "journal" else r" dropped=(\d+)'", records[0]) if records else None
            if state == "stuck": ok(number and 60 <= int(number[1]) <= 63 and int(said["then"]) >= 2, f"{name}: the first that goes through has their number", p.stdout)
            else: ok(number is None and int(said["first"]) >= 60 and int(said["then"]) >= 2, f"{name}: none is lost", p.stdout)
else: skip("journal and syslog", "no mount namespace to be had")
# A file whose file system says EAGAIN to a write that may not wait (XFS, btrfs): the record is written.
if have("strace") and not SANITIZED:
    path = os.path.join(TMP, "file.log")
    with open(path, "w") as f:
        start = time.monotonic()
        p = subprocess.run(["strace", "-f", "-o", "/dev/null", "-e", "trace=pwritev2", "-e", "inject=pwritev2:error=EAGAIN"] + arguments({"deliver": "/bin/true", "log": "stderr"}), input=mail(), stdout=subprocess.PIPE, stderr=f, timeout=60)
    ok(open(path).read().count("result=accepted") == 1 and "session session=" in open(path).read() and b"\r\n250 2.0.0" in p.stdout, "EAGAIN from a file is no stuck reader", (open(path).read(), p.stdout))
# Where the client hears a reply for each recipient, none of them is a command that was refused: the transaction's record has them.
fails = write("fails.sh", '#!/bin/sh\n[ "$RECIPIENT" = b@example.org ] || exit 67\n')
for way, hello, more in (("LMTP", b"LHLO c", {"protocol": "lmtp"}), ("PRDR", b"EHLO c", {})):
    for last, text, results in ((b"b", b"A: b\r\n\r\nx\r\n", ("mixed", 1)), (b"d", b"A: b\r\n\r\nx\r\n", ("refused", 0)), (b"b", b"Received: x\r\n" * 3 + b"\r\n", ("refused", 0))):
        for sandbox in ("yes", "no"):
            data = hello + b"\r\nMAIL FROM:<a@example.com>" + (b" PRDR" if way == "PRDR" else b"") + b"\r\nRCPT TO:<c@example.org>\r\nRCPT TO:<%s@example.org>\r\nRCPT TO:<e@example.org>\r\nDATA\r\n" % last + text + b".\r\nQUIT\r\n"
            out, err, _ = pipe(data, {**more, "deliver": fails, "deliver_per": "recipient", "max_received": "2", "log": "stderr", "sandbox": sandbox})
            transactions = re.findall(r"transaction .*result=(\w+)", err.decode())
            sessions = re.findall(r"messages=(\d+) refusals=(\d+)", err.decode())
            mixed = results[0] == "mixed"
            ok(b" refused " not in err and transactions == [results[0]] and sessions == [(str(results[1]), "0" if mixed and way == "PRDR" else "1")], f"sandbox = {sandbox}, {way}, {results[0]}: one record has the results of three recipients", (out, err))
done()
