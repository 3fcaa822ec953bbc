"""A client that sends more than both sockets hold before it reads a reply: it is read on, up to a limit; commands, messages and logins are what they are without that."""
import base64, itertools, pty, threading, tty
from harness import *
from tls_peers import HOST, SERVER, TLS, client_context

directory, deliver = taker()
HELLO = b"EHLO client.example.com\r\n"
AHEAD, READ = (int(re.search(rf"{name} = (\d+) \* 1024,", open(os.path.join(SOURCE, "src/serve_wire.h")).read())[1]) * 1024 for name in ("SERVE_AHEAD_MAX", "SERVE_READ_MAX"))
SMALL = 30000  # at most what two sockets hold that are as small as they can be, with what the kernel adds


CHECK = write("check.py", f"#!{sys.executable}\nimport os, sys\nif os.read(3, 512).split(b'\\0')[:2] != [b'jane', b'word']: sys.exit(1)\nos.execv(sys.argv[1], sys.argv[1:])\n")


def start(settings, **more):
    """A session on sockets as small as they can be: (process, our end), behind its greeting."""
    ours, theirs = socket.socketpair()
    for s in (ours, theirs): s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    p = subprocess.Popen(arguments({"deliver": deliver, "log": "none", **settings}), stdin=theirs, stdout=theirs, **{"stderr": subprocess.DEVNULL, **more})
    theirs.close(); ours.settimeout(20); read_reply(ours)
    return p, ours


def summed(codes): return " ".join(f"{sum(1 for _ in same)} {code}" for code, same in itertools.groupby(codes))


def blindly(settings, data, half_close=False):
    """The codes that a client hears that sends all of this before it reads anything; or what went wrong."""
    p, ours = start(settings)
    try:
        ours.sendall(data)
        if half_close: ours.shutdown(socket.SHUT_WR)
        heard = summed(codes(read_all(ours)))
    except OSError as e: heard = repr(e)
    ours.close()
    return heard if p.wait(20) == 0 else f"exit {p.returncode}"


def until(c, is_enough, heard=b""):
    """What is heard, until it is enough."""
    while not is_enough(heard):
        piece = c.recv(65536)
        if not piece: break
        heard += piece
    return heard


def flood(c, lines):
    """Sends them again and again, until the connection ends."""
    def send():
        try:
            while True: c.sendall(lines)
        except OSError: pass
    thread = threading.Thread(target=send); thread.start()
    return thread


def most(c):
    """How many octets of commands are taken while no reply is, until no more are for half a second."""
    line, n = b"NOOP " + b"x" * 493 + b"\r\n", 0
    c.settimeout(0.5)
    try:
        while n < 4 * AHEAD: n += c.send(line[n % len(line):])
    except TimeoutError: pass
    c.settimeout(20)
    return n, len(line)


for sandbox in ("yes", "no"):
    at, more = f"sandbox = {sandbox}: ", {"sandbox": sandbox}
    equal(blindly(more, HELLO + b"NOOP\r\n" * 9000 + b"QUIT\r\n"), "9001 250 1 221", at + "9,000 commands before the first reply is taken")
    equal(blindly(more, HELLO + b"NOOP\r\n" * 9000, half_close=True), "9001 250", at + "and the sending side closed")
    clear(directory)
    body = b"Subject: x\r\n\r\n" + b"text of the message\r\n" * 300
    group = b"MAIL FROM:<a@example.com>\r\n" + b"".join(b"RCPT TO:<user%d@example.org>\r\n" % i for i in range(500)) + b"RCPT TO:<a@elsewhere.example>\r\nBDAT %d\r\n%sBDAT %d LAST\r\n%s" % (len(body), body, len(body), body)
    equal(blindly(more, HELLO + group * 12 + b"QUIT\r\n"), "502 250 1 550" + 11 * " 503 250 1 550" + " 2 250 1 221", at + "twelve messages to 500 recipients in chunks")
    equal([without_trace(m) for m in messages(directory)], 12 * [(body + body).replace(b"\r\n", b"\n")], at + "each of them whole")
    # What goes straight into the spool is read ahead there.
    big = b"Subject: x\r\n\r\n" + os.urandom(300000)
    clear(directory)
    equal(blindly({**more, "binarymime": "yes"}, HELLO + b"NOOP\r\n" * 3000 + b"MAIL FROM:<a@example.com> BODY=BINARYMIME\r\nRCPT TO:<b@example.org>\r\nBDAT %d LAST\r\n" % len(big) + big + b"NOOP\r\n" * 3000 + b"QUIT\r\n"), "6004 250 1 221", at + "a binary chunk among commands")
    ok([m[-len(big):] for m in messages(directory)] == [big], at + "each of its octets is there", [len(m) for m in messages(directory)])
    # The response to a login stands in the buffer while the replies before it are sent.
    login, many = b"AUTH PLAIN " + base64.b64encode(b"\0jane\0word") + b"\r\n", b"NOOP\r\n" * 3000
    equal(blindly({**more, "auth": "checkpassword:" + CHECK, "auth_plaintext": "yes"}, HELLO + many + login + many + b"QUIT\r\n"), "3001 250 1 235 3000 250 1 221", at + "a login among commands")
    # RFC 3207 4.2, 5: what stands behind STARTTLS is nobody's.
    if os.path.exists(TLS):
        secure = {**more, "tls": "may", "tls_certificate": " ".join(SERVER), "tls_command": TLS, "tls_service": "no"}
        equal(blindly(secure, HELLO + many + b"STARTTLS\r\n" + many), "3001 250 1 554", at + "commands behind a STARTTLS: 554, and the end")
        p, c = start(secure)
        c.sendall(HELLO + many + b"STARTTLS\r\n")
        heard = until(c, lambda heard: b"\r\n220 " in heard)
        t = client_context().wrap_socket(c, server_hostname=HOST)
        t.sendall(HELLO + many * 2 + b"QUIT\r\n")
        heard = summed(codes(heard + read_all(t)))
        equal(heard, "3001 250 1 220 6001 250 1 221", at + "STARTTLS behind commands, and commands inside")
        t.close(); p.wait(20)
    # The limit, and what is behind it.
    p, c = start({**more, "max_commands": "100000"})
    n, line = most(c)
    ok(AHEAD <= n <= AHEAD + READ + SMALL, at + "so many octets are read ahead", n)
    heard = until(c, lambda heard: heard.count(b"\r\n") >= n // line)
    c.sendall(b"x\r\n" + b"QUIT\r\n" if n % line else b"QUIT\r\n")
    rest = codes(heard + read_all(c))
    ok(set(rest[:-1]) == {"250"} and rest[-1] == "221" and len(rest) == n // line + bool(n % line) + 1, at + "once they are taken, each of them has its reply", (len(rest), n / line, rest[-3:]))
    c.close(); p.wait(20)
    # Its time: that of the reply; that of the session, whatever is there to be read.
    p, c = start({**more, "command_timeout": "1s"})
    before = time.monotonic(); most(c)
    status = p.wait(20)
    ok(status == 0 and 0.9 < time.monotonic() - before < 10, at + "who takes no reply is waited for until command_timeout", time.monotonic() - before)
    c.close()
    p, c = start({**more, "session_timeout": "2s", "max_commands": "100000000"})
    thread = flood(c, b"NOOP\r\n" * 1000)
    before, tail = time.monotonic(), b""
    try:
        while piece := c.recv(3000): tail = (tail + piece)[-100:]; time.sleep(0.001)
    except ConnectionResetError: pass
    took = time.monotonic() - before
    ok(1.5 < took < 15 and b"Session too long" in tail, at + "who takes them slowly, until session_timeout", (took, tail))
    c.close(); thread.join(20); p.wait(20)
    p, c = start({**more, "drain_timeout": "1s"})
    most(c); p.send_signal(signal.SIGTERM); before = time.monotonic()
    ok(p.wait(20) == 0 and time.monotonic() - before < 10, at + "a stop: until drain_timeout", time.monotonic() - before)
    c.close()
    # The stop and the session's end are seen although replies are always waiting: a client that reads slowly, and sends all the time.
    for what, settings, last in (("a stop", {"drain_timeout": "2s"}, b"421 4.3.2"), ("the session's end", {"session_timeout": "2s"}, b"421 4.4.2")):
        log = open(os.path.join(TMP, f"slow-{sandbox}-{len(what)}.log"), "w+b")
        p, c = start({**more, **settings, "max_commands": "100000000", "log": "stderr"}, stderr=log)
        thread = flood(c, b"EHLO x.example.com\r\n" * 50)
        heard, began = b"", time.monotonic()
        while time.monotonic() - began < 30:
            try: piece = c.recv(512)
            except ConnectionResetError: break  # it goes on sending
            if not piece: break
            heard = (heard + piece)[-200:]
            if what == "a stop" and time.monotonic() - began > 0.5: p.send_signal(signal.SIGTERM)
            time.sleep(0.05)
        took = time.monotonic() - began
        c.close(); thread.join(20); p.wait(20); log.seek(0); said = log.read()
        ok(took < 12 and last in heard and b"crash" not in said, at + f"{what} is seen while replies wait", (took, heard, said[-500:]))
    # In the recording is what was answered, and no more: what was read and not looked at may be a password, or a message.
    for way in ("late", "gone"):
        traces = os.path.join(TMP, f"traces{sandbox}{way}"); os.mkdir(traces)
        p, c = start({**more, "trace": traces, "command_timeout": "1s", "auth": "checkpassword:" + CHECK, "auth_plaintext": "yes"})
        c.sendall(HELLO)
        for _ in range(400): c.sendall(b"NOOP\r\n"); time.sleep(0.0005)
        time.sleep(0.2)
        c.sendall(b"NOOP\r\n" + login + b"AUTH LOGIN\r\namFuZQ==\r\nd29yZA==\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: private\r\n\r\nsecret text\r\n.\r\n")
        if way == "gone": time.sleep(0.2); c.close()
        p.wait(20); c.close()
        recorded = b"".join(open(os.path.join(traces, f), "rb").read() for f in os.listdir(traces))
        ok(b"C: NOOP" in recorded and not any(w in recorded for w in (login.split()[2], b"amFuZQ", b"d29yZA", b"private", b"secret")), at + f"a recording has no octet that was not looked at ({way})", recorded[-600:])
    # The limit is what is unread, however much has been read before: two groups of commands are never all answered.
    for octets in (12000, 48000, 240000):
        p, c = start({**more, "max_commands": "1000000", "command_timeout": "5s"})
        group, heard = octets // 6, 0
        try:
            c.sendall(b"NOOP\r\n" * group)
            for _ in range(2000000 // octets):
                c.sendall(b"NOOP\r\n" * group)
                wanted = heard + group
                while heard < wanted:
                    piece = c.recv(65536)
                    if not piece: raise EOFError
                    heard += piece.count(b"\n")
            c.sendall(b"QUIT\r\n"); rest = read_all(c)
        except (OSError, EOFError) as e: rest = repr(e).encode()
        ok(rest.endswith(b"221 mx.example.org closing connection\r\n"), at + f"two megabytes, groups of {octets} octets", (heard, rest[-200:]))
        c.close(); p.wait(20)
    # A chunk that goes straight into the spool, whichever reply has to wait.
    for n in range(2, 10):
        clear(directory)
        p, c = start({**more, "binarymime": "yes", "command_timeout": "3s", "data_timeout": "3s", "min_data_rate": "0" if n % 2 else "500"})
        c.sendall(HELLO); read_reply(c)
        for _ in range(n): c.sendall(b"NOOP\r\n"); time.sleep(0.01)
        octets = b"Subject: x\r\n\r\n" + os.urandom(400000)
        try:
            c.sendall(b"MAIL FROM:<a@example.com> BODY=BINARYMIME\r\nRCPT TO:<b@example.org>\r\nBDAT %d LAST\r\n" % len(octets) + octets + b"QUIT\r\n")
            heard = summed(codes(read_all(c)))
        except OSError as e: heard = repr(e)
        c.close(); p.wait(20)
        ok(heard == f"{n + 3} 250 1 221" and [m[-len(octets):] for m in messages(directory)] == [octets], at + f"a large chunk behind {n} replies that wait", heard)
# A terminal takes a write only in part, and blocks for the rest: behind a login, replies are gathered in a larger buffer.
for words in (b"", login):
    ours, theirs = pty.openpty(); tty.setraw(theirs); os.set_blocking(ours, False)
    p = subprocess.Popen(arguments({"auth": "checkpassword:" + CHECK, "auth_plaintext": "yes", "log": "none", "command_timeout": "10s"}), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL); os.close(theirs)
    left, heard, end = HELLO + words + b"NOOP\r\n" * 9000 + b"QUIT\r\n", b"", time.monotonic() + 20
    while left and time.monotonic() < end:
        try: left = left[os.write(ours, left[:4096]):]
        except BlockingIOError: time.sleep(0.01)
    while not heard.endswith(b"closing connection\r\n") and time.monotonic() < end:
        try: heard += os.read(ours, 65536)
        except BlockingIOError: time.sleep(0.01)
        except OSError: break
    os.close(ours); p.wait(20)
    equal(summed(codes(heard)), "1 220 1 250 1 235 9000 250 1 221" if words else "1 220 9001 250 1 221", f"a terminal{', behind a login' if words else ''}: 9,000 commands before the first reply is taken")
# A connection that is reset while a reply waits is lost, not at its end.
server = socket.create_server(("127.0.0.1", 0)); ours = socket.create_connection(server.getsockname()); theirs, _ = server.accept()
out, into = os.pipe()
with open(os.path.join(TMP, "reset.log"), "w+b") as log:
    p = subprocess.Popen(arguments({"sandbox": "no", "log": "stderr"}), stdin=theirs, stdout=into, stderr=log); theirs.close(); os.close(into)
    ours.sendall(b"NOOP\r\n" * 8000); time.sleep(0.5)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"); ours.close(); time.sleep(0.3)
    while os.read(out, 65536): pass
    os.close(out); server.close(); p.wait(20); log.seek(0); said = log.read()
    ok(b"end=lost" in said, "a reset while a reply waits: end=lost", said[-300:])
done()
