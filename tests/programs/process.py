"""Starting it: whatever the super-server leaves in the process; --check, user, logs, memory."""
import pty, resource, struct
import collections
from harness import *

directory, deliver = taker()
ROOT = os.geteuid() == 0

# Descriptors.
def run(preexec=None, close_fds=True, settings=None, stderr=None, env=None):
    clear(directory)
    ours, theirs = socket.socketpair()
    p = subprocess.Popen(arguments({"deliver": deliver, **(settings or {})}), stdin=theirs, stdout=theirs,
                         stderr=theirs if stderr == "client" else stderr, preexec_fn=preexec, close_fds=close_fds, env=env)
    theirs.close()
    ours.settimeout(30)
    ours.sendall(mail())
    ours.shutdown(socket.SHUT_WR)
    out = read_all(ours)
    ours.close()
    return out, p.wait(30)

out, status = run(stderr="client")
ok(codes(out)[-2:] == ["250", "221"] and b"smtpin[" not in out and status == 0, "stderr is the client: no log reaches it", out)
out, status = run(preexec=lambda: os.close(2))
ok(codes(out)[-2:] == ["250", "221"] and b"smtpin[" not in out, "descriptor 2 is closed", out)
out, status = run(preexec=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN), stderr=subprocess.DEVNULL)
ok(codes(out)[-2:] == ["250", "221"], "SIGCHLD is ignored", out)
def ignore_all():
    for s in (signal.SIGPIPE, signal.SIGALRM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(s, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD])
out, status = run(preexec=ignore_all, stderr=subprocess.DEVNULL)
ok(codes(out)[-2:] == ["250", "221"], "signals are ignored and blocked", out)
out, status = run(env={}, stderr=subprocess.DEVNULL)
ok(codes(out)[-2:] == ["250", "221"], "the environment is empty", out)
p = subprocess.run(arguments({}), stdin=None, stdout=subprocess.PIPE, preexec_fn=lambda: (os.close(0), os.close(2)), timeout=30)
equal(p.returncode, 0, "descriptor 0 is closed: it ends quietly")
clear(directory)
path = os.path.join(TMP, "session")
open(path, "wb").write(mail())
with open(path) as f:
    p = subprocess.run(arguments({"deliver": deliver}), stdin=f, capture_output=True, timeout=30)
ok(codes(p.stdout)[-2:] == ["250", "221"] and len(messages(directory)) == 1, "a file of a session on stdin", p.stdout)

# systemd's socket, as sd_listen_fds(3) has it.
ours, theirs = socket.socketpair()
def as_systemd(fd=theirs.fileno()):
    os.dup2(fd, 3, inheritable=True)
    os.environ["LISTEN_FDS"] = "1"
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.execv(SMTPIN, arguments({"deliver": deliver}))
pid = os.fork()
if pid == 0:
    null = os.open("/dev/null", os.O_RDWR)
    for n in (0, 1, 2): os.dup2(null, n)
    as_systemd()
theirs.close()
ours.sendall(mail()); ours.shutdown(socket.SHUT_WR)
out = read_all(ours); os.waitpid(pid, 0); ours.close()
ok(codes(out)[-2:] == ["250", "221"], "the connection on descriptor 3 (LISTEN_FDS)", out)

# A terminal.
pid, fd = pty.fork()
if pid == 0:
    os.execv(SMTPIN, arguments({"log": "none"}))
import termios, tty
tty.setraw(fd)
out = b""
try:
    while not out.endswith(b"\n"): out += os.read(fd, 1000)
    os.write(fd, b"QUIT\r\n")
    while True:
        piece = os.read(fd, 1000)
        if not piece: break
        out += piece
except OSError:
    pass
_, status = os.waitpid(pid, 0)
os.close(fd)
ok(b"220 " in out and b"221 " in out and status == 0, "a terminal", out)

# The peer.
def received(env, settings=None):
    clear(directory)
    pipe(mail(), {"deliver": deliver, "log": "none", **(settings or {})}, env={"PATH": os.environ["PATH"], **env})
    m = messages(directory)
    return m[0].decode().split("\n")[2] if m else ""
equal(received({"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "4000"}), "Received: from client.example.com ([192.0.2.7])", "systemd's REMOTE_ADDR")
equal(received({"TCPREMOTEIP": "192.0.2.8", "TCPREMOTEHOST": "h.example", "PROTO": "TCP"}), "Received: from client.example.com (h.example [192.0.2.8])", "tcpserver's TCPREMOTEIP, TCPREMOTEHOST")
equal(received({"TCPREMOTEIP": "::ffff:192.0.2.9"}), "Received: from client.example.com ([192.0.2.9])", "IPv4 mapped into IPv6")
equal(received({"SOCAT_PEERADDR": "[2001:0db8::1]"}), "Received: from client.example.com ([IPv6:2001:db8::1])", "socat's SOCAT_PEERADDR")
equal(received({"SOCAT_PEERADDR": "[0000:0000:0000:0000:0000:ffff:c000:0207]"}), "Received: from client.example.com ([192.0.2.7])", "IPv4 mapped, in full")
equal(received({"REMOTE_HOST": "192.0.2.10"}), "Received: from client.example.com ([192.0.2.10])", "xinetd's REMOTE_HOST")
equal(received({"TCPREMOTEIP": "x\n192.0.2.8", "TCPREMOTEHOST": "a b"}), "Received: from client.example.com", "nonsense in the environment")
equal(received({}, {"client_address": "192.0.2.11", "client_name": "n.example"}), "Received: from client.example.com (n.example [192.0.2.11])", "-o client_address, client_name")
for family, address, shown in ((socket.AF_INET, "127.0.0.1", "[127.0.0.1]"), (socket.AF_INET6, "::1", "[IPv6:::1]")):
    clear(directory)
    try:
        server = socket.create_server((address, 0), family=family)
    except OSError:
        skip(f"getpeername {address}", "no such address here")
        continue
    ours = socket.create_connection(server.getsockname()[:2])
    theirs, _ = server.accept()
    p = subprocess.Popen(arguments({"deliver": deliver, "log": "none"}), stdin=theirs, stdout=theirs, env={})
    theirs.close(); server.close()
    ours.sendall(mail()); ours.shutdown(socket.SHUT_WR); read_all(ours); ours.close(); p.wait(30)
    equal(messages(directory)[0].decode().split("\n")[2], f"Received: from client.example.com ({shown})", f"getpeername {address}")
server = socket.create_server(("127.0.0.1", 0))
ours = socket.create_connection(server.getsockname())
theirs, _ = server.accept()
ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
ours.close(); time.sleep(0.05)
p = subprocess.run(arguments({}), stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env={}, timeout=30)
ok(p.returncode == 0 and p.stderr == b"", "a client that has left before (ENOTCONN): quiet", p.stderr)
theirs.close(); server.close()

# A client that does not read, a client that goes while we write.
p, ours = session({"command_timeout": "500ms", "max_commands": "1000000"})
ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
ours.setblocking(False)
end = time.monotonic() + 10
while p.poll() is None and time.monotonic() < end:
    try: ours.send(b"HELP\r\n" * 100)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError): time.sleep(0.05)
ok(p.poll() == 0, "a client that does not read its replies is shown out", p.poll())
ours.close()

# A line and a message without end: memory stays.
def peak(p):
    for l in open(f"/proc/{p.pid}/status"):
        if l.startswith("VmHWM"): return int(l.split()[1])
p, ours = session({"deliver": deliver})
read_reply(ours)
before = peak(p)
for _ in range(64): ours.sendall(b"x" * 65536)
ours.sendall(b"\r\n")
equal(read_reply(ours), b"500 Line too long\r\n", "a line of 4 MiB is refused")
ok(peak(p) - before < 256 + SANITIZED * 10000, "and costs no memory", (before, peak(p)))
ours.sendall(ENVELOPE); [read_reply(ours) for _ in range(1)]
for _ in range(15): ours.sendall((b"y" * 70 + b"\r\n") * 1000)
time.sleep(0.3); middle = peak(p)
for _ in range(400): ours.sendall((b"y" * 70 + b"\r\n") * 1000)
time.sleep(0.3)
ok(peak(p) - middle < 512 + SANITIZED * 10000, "a message of 29 MB costs no more memory than one of 1 MB", (middle, peak(p)))
ours.close(); p.wait(30)

# A client that always has bytes ready: deadlines hold all the same.
with open("/dev/zero") as zero:
    start = time.monotonic()
    p = subprocess.run(arguments({"session_timeout": "1s", "log": "none"}), stdin=zero, capture_output=True, timeout=60)
    ok(p.stdout.endswith(b"421 mx.example.org Session too long; closing connection\r\n") and time.monotonic() - start < 20,
       "an endless line from a file ends with session_timeout", p.stdout)
p, ours = session({"session_timeout": "1s", "max_message_size": "64K", "deliver": deliver})
ours.sendall(ENVELOPE)
end = time.monotonic() + 20
try:
    while p.poll() is None and time.monotonic() < end: ours.send(b"x\r\n" * 20000)
except OSError: pass
ok(p.wait(20) == 0, "a flood of message text ends with session_timeout")
ours.close()
big = mail(b"x" * 70 + b"\r\n" * 1 + (b"y" * 70 + b"\r\n") * 20000)
out, err, status = pipe(big, {"spool_memory": "0", "spool_dir": TMP, "deliver": deliver}, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)))
ok(final_reply(out).startswith("452 4.3.1") and status == 0, "a file-size limit: 452, no death by signal", (out, status))

# Root is dropped for good.
if ROOT:
    clear(directory)
    os.chmod(TMP, 0o755)
    who = write("who", f"#!/bin/sh\nid -u >{directory}/uid; id -G >{directory}/gids\n")
    for user in ("nobody", "65534:65534"):
        clear(directory)
        out, err, status = pipe(mail(), {"deliver": who, "user": user})
        equal(open(directory + "/uid").read().strip() if os.path.exists(directory + "/uid") else out, "65534", f"user = {user}")
        equal(open(directory + "/gids").read().split(), ["65534"], f"user = {user}: no groups are left")
    out, err, status = pipe(mail(), {"deliver": who, "user": "no-such-user"})
    ok(out.startswith(b"421 ") and b"key=user" in err, "a user that does not exist: 421, and why in the log", (out, err))
    out, err, status = pipe(mail(), {"deliver": who, "user": "root"})
    ok(out.startswith(b"421 "), "user = root: 421", out)
    out, err, status = pipe(b"QUIT\r\n", {"deliver": who})
    ok(b"key=user" in err and out.startswith(b"220 "), "started as root without it: the log says so", (out, err))
else:
    skip("user =", "needs root")

# The embedded delivery takes its settings literally.
for settings in ({"recipient_delimiter": "$"}, {"maildir": TMP + "/${user}"}):
    out, err, status = pipe(mail(), {"log": "none", **settings}, timeout=20)
    ok(final_reply(out)[:3] in ("250", "451") and status == 0, f"{settings}: no macro", out)
out, err, status = pipe(ENVELOPE.replace(b"DATA", b'RCPT TO:<"a/b"@example.org>\r\nRCPT TO:<".x"@example.org>\r\nQUIT'), {"log": "none"})
equal(codes(out)[-3:], ["550", "550", "221"], "a local-part that is no file name is refused alone")

# Each program says what it is, and what it takes.
for program in ("smtpin", "smtpin-maildir", "smtpin-lmtp", "smtpin-replay", "smtpin-report"):
    said = [subprocess.run([os.path.join(BUILD, program), o], stdin=subprocess.DEVNULL, capture_output=True, text=True) for o in ("--help", "--version")]
    ok([p.returncode for p in said] == [0, 0] and said[0].stdout.startswith(f"usage: {program} ") and re.fullmatch(program + r" [0-9.]+\n", said[1].stdout), f"{program}: --help and --version", said)
p = subprocess.run([SMTPIN, "--bogus"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
ok(p.returncode == 64 and p.stderr.startswith("smtpin: --bogus: no such option"), "an option that there is not", p.stderr)

# --check and the rest of the command line.
def check(text):
    path = write("c.conf", text, 0o644)
    p = subprocess.run([SMTPIN, "-f", path, "--check"], capture_output=True, timeout=30)
    return p.returncode, p.stdout.decode().replace(path, "F")
status, out = check("hostname = mx.example.org\nno_such = 1\n\nmax_errors = x\n")
ok(status == 78 and "F:2: no_such: no such key\n" in out and "F:4: max_errors: " in out, "--check: file, line, key", out)
status, out = check(f"deliver = /bin/true\nspool_dir = {TMP}\n")
ok(status == 0 and "is good" in out, "--check: a good one", out)
status, out = check("deliver = /bin/true\n[submission]\nmax_errors = 5\n[lmtp]\ndeliver = /nonexistent\n")
ok(status == 78 and out.count("deliver: its program") == 1, "--check: each section, as its own connections have it", out)
status, out = check("deliver = /bin/true\n[submission]\nnonsense = 5\n")
ok(status == 78 and out.startswith("F:3: nonsense: no such key\n") and out.count("nonsense") == 1, "--check: a mistake in a section, once", out)
status, out = check(f"deliver = /bin/true\nspool_dir = {TMP}\n[submission]\nmax_errors = 5\n")
ok(status == 0, "--check: sections without a mistake", out)
out, err, status = pipe(b"EHLO x\r\nQUIT\r\n", {"log": "stderr", "socket": "submission"})
ok(b"socket=submission" in err, "-o socket: the records have it", err)
p = subprocess.run([SMTPIN, "-f", write("s.conf", "hostname = a.example\n[b]\nhostname = b.example\n", 0o644), "-o", "socket = b"], input=b"", capture_output=True, timeout=30)
ok(p.stdout.startswith(b"220 b.example"), "-o socket: its section counts", p.stdout)
status, out = check("deliver = /nonexistent\n")
ok(status == 78 and "\nF:1: deliver: its program is missing, or can't be executed: /nonexistent\n" in "\n" + out, "--check: a program that is not there", out)
status, out = check("spool_dir = /nonexistent\ndeliver = /bin/true\n")
ok(status == 78 and "spool_dir" in out, "--check: a spool that is not there", out)
p = subprocess.run([SMTPIN, "-f", "/nonexistent/smtpin.conf", "--check"], capture_output=True, timeout=30)
ok(p.returncode == 78 and p.stdout.startswith(b"/nonexistent/smtpin.conf: No such file or directory\n"), "--check: a file that is not there", p.stdout)
p = subprocess.run([SMTPIN, "-f", "/nonexistent/smtpin.conf"], input=b"QUIT\r\n", capture_output=True, timeout=30)
ok(p.stdout.startswith(b"421 ") and b"No such file" in p.stderr, "a file that is not there: 421, and why", (p.stdout, p.stderr))
status, out = check("maildir = /nonexistent\n")
ok(status == 78 and "maildir" in out, "--check: a maildir that is not there", out)
status, out = check(f"deliver = {TMP}\n")
ok(status == 78 and "deliver" in out, "--check: a directory for a program", out)
fifo = os.path.join(TMP, "fifo"); os.mkfifo(fifo)
p = subprocess.Popen([SMTPIN, "-f", fifo, "--check"], stdout=subprocess.PIPE)
open(fifo, "w").write("nonsense\n")
ok(b"nonsense" in p.communicate(timeout=30)[0] and p.returncode == 78, "--check: a pipe as file is read to its end")
ours, theirs = socket.socketpair()
p = subprocess.run([SMTPIN, "-o", "log=none", "--nonsense"], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, timeout=30); theirs.close()
ok(b'configuration file="command line" line=0 key=--nonsense mistake="no such option, or without its value"' in p.stderr, "a wrong option: the log says which", p.stderr)
ok(read_all(ours).startswith(b"421 "), "a wrong option: the client hears 421, not our usage"); ours.close()
for a, status in (("--version", 0), ("--help", 0), ("--nonsense", 64), ("-f", 64)):
    p = subprocess.run([SMTPIN, a], capture_output=True, timeout=30, stdin=subprocess.DEVNULL)
    equal(p.returncode, status, f"smtpin {a}: {status}")

# Records.
out, err, status = pipe(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@elsewhere.example>\r\nRCPT TO:<b@example.org>\r\n"
                        b"NO\x1b[31mOP\r\nDATA\r\nx\r\n.\r\nMAIL FROM:<a@example.com>\r\nRSET\r\nGET / HTTP/1.0\r\n",
                        {"deliver": "/bin/sh -c \"printf 'evil\\033]0;\\n' >&2; exit 67\"", "client_address": "192.0.2.1", "log": "stderr"})
lines = err.decode().split("\n")
ok(any("refused" in l and "rule=relay" in l and "forward_path=b@elsewhere.example" in l for l in lines), "a refusal has its rule", err)
ok(any("transaction result=refused" in l and "command_status=67" in l and 'reply="550 5.1.1 User unknown"' in l
       and "reverse_path=a@example.com" in l and "client_address=192.0.2.1" in l for l in lines), "a transaction has its record", err)
ok(any("result=abandoned" in l for l in lines), "an abandoned one too", err)
ok(any("session " in l and "end=not_smtp" in l and "commands=9" in l for l in lines), "a session has its record", err)
ok(b"\x1b" not in err and b"\\x1b" in err, "bytes from outside are escaped", err)
for kind, body, rule in (("bare LF", b"a\nb\r\n.\r\n", "bare_lf"), ("bare CR", b"a\rb\r\n.\r\n", "bare_cr")):
    out, err, status = pipe(ENVELOPE + body, {"log": "stderr"})
    ok(f"rule={rule}".encode() in err, f"{kind} in a message is recorded", err)
out, err, status = pipe(b"", {"log": "stderr"})
ok(status == 0 and out.startswith(b"220") and b"end=eof" in err, "end of file: it ends by itself", (out, err))
out, err, status = pipe(mail(), {"log": "none", "deliver": "/bin/true"})
equal(err, b"", "log = none")

# The journal's own socket, in a mount namespace where nobody else has it.
listener = write("journal.py", """
import os, socket, subprocess, sys
os.makedirs("/run/systemd/journal")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("/run/systemd/journal/socket"); s.setblocking(False); os.chmod("/run/systemd/journal/socket", 0o666)
log = open(sys.argv[1], "w"); st = os.fstat(log.fileno())
env = {**os.environ, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}
p = subprocess.run(sys.argv[2:], stdin=0, stdout=subprocess.DEVNULL, stderr=log, env=env)
while True:
    try: sys.stdout.write(s.recv(70000).decode() + "--\\n")
    except BlockingIOError: break
""", 0o644)
inside = ["unshare", *([] if ROOT else ["-r"]), "--mount", "--propagation", "private", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"]
if subprocess.run([*inside, "true"], capture_output=True).returncode == 0:
    for before in WAYS:
        p = subprocess.run([*inside, sys.executable, listener, TMP + "/stream", *before, *arguments({"deliver": "/bin/true", "client_address": "192.0.2.1"})],
                           input=mail(), capture_output=True, timeout=60)
        text = p.stdout.decode()
        for field in ("MESSAGE=transaction result=accepted", "MESSAGE_ID=5f8a3c0d7f1e4b6c9d2a7e41c3b80f12", "PRIORITY=5",
                      "SMTP_CLIENT_ADDRESS=192.0.2.1", "SMTP_REVERSE_PATH=a@example.com", "SMTP_FORWARD_PATH=b@example.org",
                      "SMTP_REPLY=250 2.0.0 OK id=", "SMTP_RESULT=accepted", "SYSLOG_IDENTIFIER=smtpin"):
            ok(any(l.startswith(field) for l in text.split("\n")), f"journal, {WAYS[before]}: {field.split('=')[0]}", text + p.stderr.decode())
        equal(open(TMP + "/stream").read(), "", "and nothing goes to stderr besides")
        p = subprocess.run([*inside, sys.executable, listener, TMP + "/stream", *before, *arguments({"client_address": "192.0.2.1"})],
                           input=b"EHLO x\r\n" + b'MAIL FROM:<"PRIORITY=0\\=a"@example.com>\r\nRCPT TO:<x\xff@elsewhere.example>\r\nNO\x00OP\r\nMESSAGE_ID=1\r\n', capture_output=True, timeout=60)
        names = {l.split("=")[0] for l in p.stdout.decode().split("\n") if "=" in l}
        ok(names <= {"SYSLOG_IDENTIFIER", "MESSAGE_ID", "PRIORITY", "MESSAGE"} | {n for n in names if n.startswith("SMTP_")}, f"journal, {WAYS[before]}: no field is of the client's making", names)
    stuck = write("stuck.py", """
import os, socket, subprocess, sys, time
os.makedirs("/run/systemd/journal")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("/run/systemd/journal/socket"); os.chmod("/run/systemd/journal/socket", 0o666)
c = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); c.setblocking(False)
try:
    while True: c.sendto(b"x", "/run/systemd/journal/socket")
except BlockingIOError: pass
log = open(sys.argv[1], "w"); st = os.fstat(log.fileno())
start = time.monotonic()
subprocess.run(sys.argv[2:], stdin=0, stderr=log, env={**os.environ, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}, timeout=50)
print("took", time.monotonic() - start)
""", 0o644)
    for before in WAYS:
        p = subprocess.run([*inside, sys.executable, stuck, TMP + "/stream", *before, *arguments({"deliver": "/bin/true", "client_address": "192.0.2.1"})], input=mail(), capture_output=True, timeout=60)
        ok(b"\r\n250 2.0.0 OK" in p.stdout and b"\r\n221 " in p.stdout and float(p.stdout.split()[-1]) < 20, f"{WAYS[before]}: a journald that takes nothing costs records, not the session", (p.stdout, p.stderr))
else:
    skip("journal fields", "no mount namespace to be had")
log = open(TMP + "/stream", "w"); st = os.fstat(log.fileno())
if not os.path.exists("/run/systemd/journal/socket"):
    subprocess.run(arguments({"deliver": "/bin/true"}), input=mail(), stdout=subprocess.DEVNULL, stderr=log, env={**os.environ, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"}, timeout=30)
    ok("<5>transaction result=accepted" in open(TMP + "/stream").read(), "no journald: lines with a level, on its stream")

# A client that has left before it was looked at: nothing is said of one that nobody has named.
import struct
for env, said in (({}, False), ({"TCPREMOTEIP": "192.0.2.7"}, True)):
    listener = socket.create_server(("127.0.0.1", 0)); client = socket.create_connection(listener.getsockname()); server, _ = listener.accept()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); client.close(); time.sleep(0.1)
    p = subprocess.run(arguments({"deliver": "/bin/true", "log": "stderr"}), stdin=server, stdout=server, stderr=subprocess.PIPE, env=env, timeout=30)
    equal((p.returncode, b"client_address=192.0.2.7" in p.stderr, p.stderr.count(b"session ")), (0, said, int(said)), f"a client that is gone, {'named' if said else 'not named'} by a super-server")
    server.close(); listener.close()
# A link-local address with its zone (RFC 4007 11) is an address.
for text, address in (("fe80::1%eth0", "fe80::1"), ("[fe80::1%3]", "fe80::1"), ("%eth0", None), ("fe80::1/64%x", None)):
    out, err, _ = pipe(mail(), {"deliver": "/bin/true", "log": "stderr"}, env={**os.environ, "TCPREMOTEIP": text})
    ok((f"client_address={address} " if address else "transaction result=accepted").encode() in err and (address is not None or b"client_address" not in err), f"TCPREMOTEIP={text}: {address}", err)

# While the configuration is written over in its place, nobody is refused for good.
conf = write("rewritten.conf", "", 0o644)
whole = "hostname = mx.example.org\n" + "# a comment that makes it longer\n" * 400 + "domains = example.org\nsandbox = no\ndeliver = /bin/true\nlog = none\n"
def rewrite():
    while not stop.is_set():
        with open(conf, "w") as f:
            for i in range(0, len(whole), 4096): f.write(whole[i:i + 4096]); f.flush()
        stop.wait(0.001)
import threading
stop = threading.Event(); writer = threading.Thread(target=rewrite); writer.start()
heard = collections.Counter()
for _ in range(300):
    p = subprocess.run([SMTPIN, "-f", conf], input=b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<jane@example.org>\r\nQUIT\r\n", capture_output=True, timeout=30)
    heard[[l[:3].decode() for l in p.stdout.split(b"\r\n") if l[3:4] == b" "][3:4][0] if p.stdout[:3] == b"220" else p.stdout[:3].decode()] += 1
stop.set(); writer.join()
ok(set(heard) <= {"250", "451", "421"} and heard["250"] > 0, f"a configuration that is written over: {dict(heard)}", heard)
# What relocation has written can't be written again: glibc sees to that, or src/io/relro.c. (The static build is not relocated.)
if not os.environ.get("SMTPIN_STATIC"):
    p, c = session({"sandbox": "no"})
    read_reply(c)
    maps = [l.split() for l in open(f"/proc/{p.pid}/maps") if l.rstrip().endswith("/" + os.path.basename(os.path.realpath(SMTPIN)))]
    size = lambda mode: sum(int(l[0].split("-")[1], 16) - int(l[0].split("-")[0], 16) for l in maps if l[1] == mode)
    ok(size("rwxp") == 0 and size("r--p") >= 8192 and (SANITIZED or size("rw-p") <= 4096), "the program's pages that are written at its start are read-only then", maps)
    c.close(); p.wait(30)
# As many groups as a user may have, not musl's 32 alone.
if ROOT and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0:
    groups = os.path.join(TMP, "group")
    with open(groups, "w") as f: f.write(open("/etc/group").read() + "".join(f"g{n}:x:{70000 + n}:nobody\n" for n in range(60)))
    show = write("groups.sh", f"#!/bin/sh\nid -G >{directory}/groups\n")
    p = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", f'mount --bind {groups} /etc/group && exec "$@"', "sh", *arguments({"deliver": show, "user": "nobody", "log": "none"})], input=mail(), capture_output=True, timeout=60)
    n = len(open(f"{directory}/groups").read().split()) if os.path.exists(f"{directory}/groups") else 0
    ok(b"\r\n250 2.0.0" in p.stdout and n >= 61, "user: all of its 60 groups", (p.stdout, p.stderr, n))
done()
