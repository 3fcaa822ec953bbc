"""A client that sends more than both sockets hold before it reads a reply: it is read on, up to a limit; commands, messages and logins are what they are without that."""
import base64, itertools, threading
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
    p = subprocess.Popen(arguments({"deliver": deliver, "log": "none", **settings}), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, **more)
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
        heard = b""
        while heard.count(b"\r\n220 ") == 0: heard += c.recv(65536)
        t = client_context().wrap_socket(c, server_hostname=HOST)
        t.sendall(HELLO + many * 2 + b"QUIT\r\n")
        heard = summed(codes(heard + read_all(t)))
        equal(heard, "3001 250 1 220 6001 250 1 221", at + "STARTTLS behind commands, and commands inside")
        t.close(); p.wait(20)
    # The limit, and what is behind it.
    p, c = start({**more, "max_commands": "100000"})
    n, line = most(c)
    ok(AHEAD <= n <= AHEAD + READ + SMALL, at + "so many octets are read ahead", n)
    heard = b""
    while heard.count(b"\r\n") < n // line: heard += c.recv(65536)
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
    def flood():
        try:
            while True: c.sendall(b"NOOP\r\n" * 1000)
        except OSError: pass
    thread = threading.Thread(target=flood); thread.start()
    before, tail = time.monotonic(), b""
    while piece := c.recv(3000): tail = (tail + piece)[-100:]; time.sleep(0.001)
    took = time.monotonic() - before
    ok(1.5 < took < 15 and b"Session too long" in tail, at + "who takes them slowly, until session_timeout", (took, tail))
    c.close(); thread.join(20); p.wait(20)
    p, c = start({**more, "drain_timeout": "1s"})
    most(c); p.send_signal(signal.SIGTERM); before = time.monotonic()
    ok(p.wait(20) == 0 and time.monotonic() - before < 10, at + "a stop: until drain_timeout", time.monotonic() - before)
    c.close()
done()
