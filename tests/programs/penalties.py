"""Penalties, where smtpin listens: who behaves badly costs its address, or IPv6 network, seconds in which it hears 421."""
import base64, contextlib, ctypes, struct
from harness import *
from parent import Parent, connect, hello, say, tcp

directory, deliver = taker()
ROOT = os.geteuid() == 0
TURNED_AWAY = "421 mx.example.org Too many offences from your network, try later\r\n"
MINE, OTHER = "127.0.0.5", "127.0.0.6"
ANY = "penalty_exempt = 192.0.2.0/24\n"  # loopback counts too
# A checkpassword program: jane's password is right.
check = write("check", "#!/bin/sh\nread -r said <&3\ncase $said in jane*right*) exec \"$@\" ;; esac\nexit 1\n")
LOGINS = f"auth = checkpassword:{check}\nauth_plaintext = yes\nauth_failure_delay = 0\n"
listener = tcp()


def run(conf, settings=None, sockets=None):
    return Parent(sockets or [("smtp", listener)], {"deliver": deliver, **(settings or {})}, conf)


def settle(p):
    """No session is left, and each has been judged."""
    end = time.monotonic() + 30
    while p.children() and time.monotonic() < end: time.sleep(0.02)


def over(p, c):
    """The end of a session that has had its last word."""
    with contextlib.suppress(ConnectionError): read_all(c)
    c.close()
    settle(p)


def password(word):
    return "AUTH PLAIN " + base64.b64encode(b"\0jane\0" + word.encode()).decode()


def guess(p, source=MINE, then=()):
    """A login that fails; returns the last reply."""
    c, greeting = hello(listener, source)
    said = [say(c, line) for line in ("EHLO x", password("wrong"), *then, "QUIT")] if greeting.startswith("220") else [greeting]
    over(p, c)
    return said[1 if not then else -2] if len(said) > 1 else greeting


def speak(p, octets, source=MINE, at=None):
    c, greeting = hello(at or listener, source)
    if greeting.startswith("220"): c.sendall(octets)
    over(p, c)
    return greeting


def http(p, source=MINE, at=None):
    return speak(p, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", source, at)


def worker_of(p):
    child = p.children()[-1][0]
    return int(open(f"/proc/{child}/task/{child}/children").read().split()[0])


def crash(p, source=MINE):
    c, greeting = hello(listener, source)
    if greeting.startswith("220"): os.kill(worker_of(p), signal.SIGABRT)
    over(p, c)


def turned_away(source=MINE, at=None):
    c, greeting = hello(at or listener, source)
    c.close()
    return greeting == TURNED_AWAY


def records(p):
    return [l for l in p.said().splitlines() if "event=penalty" in l]


# Each kind of offence, in both ways to serve.
for sandbox in ("yes", "no"):
    at = f"sandbox = {sandbox}: "
    for what, offend, cause, conf in (
            ("a failed login", guess, "login", "penalty_login = 2h\npenalty_abuse = 0\npenalty_crash = 0\n"),
            ("HTTP", http, "abuse", "penalty_login = 0\npenalty_abuse = 2h\npenalty_crash = 0\n"),
            ("max_errors", lambda p: speak(p, b"NONSENSE\r\n" * 9), "abuse", "max_errors = 3\npenalty_abuse = 2h\n"),
            ("max_commands", lambda p: speak(p, b"NOOP\r\n" * 9), "abuse", "max_commands = 5\npenalty_abuse = 2h\n"),
            ("max_refused_recipients", lambda p: speak(p, b"EHLO x\r\nMAIL FROM:<a@example.com>\r\n" + b"RCPT TO:<b@elsewhere.example>\r\n" * 9), "abuse", "max_refused_recipients = 3\npenalty_abuse = 2h\n"),
            ("a crash", crash, "crash", "penalty_login = 0\npenalty_abuse = 0\npenalty_crash = 2h\n")):
        if what == "a crash" and sandbox == "no":
            continue
        p = run(ANY + LOGINS + conf + f"sandbox = {sandbox}\npenalty_min = 5h\npenalty_max = 1d\n")
        offend(p); offend(p)
        ok(not turned_away() and not records(p), f"{at}{what}, twice: less than penalty_min turns nobody away", p.said())
        settle(p)
        offend(p)
        ok(turned_away(), f"{at}{what}, three times: 421", p.said())
        lines = records(p)
        ok(len(lines) == 1 and f"cause={cause}" in lines[0] and f"client_address={MINE}" in lines[0] and "socket=smtp" in lines[0] and 18000 < int(re.search(r"seconds=(\d+)", lines[0])[1]) <= 21600, f"{at}a record when it begins", lines)
        for _ in range(3): turned_away()
        equal(len(records(p)), 1, f"{at}one")
        ok(not turned_away(OTHER), f"{at}another address is served")
        equal(p.end(), 0, f"{at}the end")
        counted = sum(int(l.split("count=")[1].split()[0]) for l in p.said().splitlines() if "rule=penalty" in l)
        equal(counted, 4, f"{at}each connection that was turned away is counted in the log")

# What is no offence.
p = run(ANY + LOGINS + "penalty_login = 1h\npenalty_abuse = 1h\npenalty_crash = 1h\nmax_message_size = 100K\n")
ok(guess(p, then=[password("right")]).startswith("235"), "a wrong password, and then the right one")
ok(speak(p, b"NONSENSE\r\nQUIT\r\n").startswith("220"), "an unknown command"); speak(p, mail(), MINE); speak(p, b"QUIT\r\n")
c, _ = hello(listener, MINE); c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close(); settle(p)
speak(p, mail(b"x" * 900 + b"\r\n" + b"y\r\n" * 60000))
c, _ = hello(listener, MINE); say(c, "EHLO x"); say(c, "AUTH PLAIN"); equal(say(c, "*")[:3], "501", "a login that is cancelled"); say(c, "QUIT"); over(p, c)
ok(not turned_away() and not records(p), "none of these is an offence", p.said())
settle(p)

# Somebody who is there already is not cut, nor anybody else.
c, _ = hello(listener, MINE); say(c, "EHLO x")
other, _ = hello(listener, OTHER); say(other, "EHLO x")
http_c, _ = hello(listener, MINE); http_c.sendall(b"GET / HTTP/1.1\r\n\r\n"); read_all(http_c); http_c.close()
ok(p.wait_said("event=penalty"), "an offence of one of two sessions", p.said())
ok(turned_away(), "the next one is turned away")
ok(say(c, "MAIL FROM:<a@example.com>").startswith("250"), "that which is open goes on")
clear(directory); say(c, "RCPT TO:<b@example.org>"); say(c, "DATA"); ok(say(c, b"Subject: x\r\n\r\nx\r\n.\r\n").startswith("250"), "to its end"); c.close()
ok(say(other, "MAIL FROM:<a@example.com>").startswith("250"), "and that of somebody else"); other.close()
equal(len(messages(directory)), 1, "with its message")
settle(p)
p.configure(ANY + LOGINS + "penalty_abuse = 1h\nmax_errors = 7\n"); p.hup(); p.wait_said("event=reloaded")
ok(turned_away() and not turned_away(OTHER), "SIGHUP keeps penalties", p.said())
p.configure(LOGINS + f"penalty_abuse = 1h\npenalty_exempt = {MINE} 192.0.2.0/24\n"); p.hup(); p.wait_said("event=reloaded", times=2)
ok(not turned_away(), "SIGHUP with its address in penalty_exempt: it is served at once", p.said())
p.end()

# It passes.
p = run(ANY + "penalty_abuse = 4s\npenalty_min = 4s\n")
start = time.monotonic(); http(p)
first = turned_away(), time.monotonic() - start
while turned_away() and time.monotonic() < start + 30: time.sleep(0.1)
took = time.monotonic() - start
ok((first[0] or first[1] > 4) and 4 <= took < 25, "a penalty passes", (first, took))
settle(p); http(p)
ok(p.wait_said("event=penalty", times=2), "and the next one has a record again", p.said())
p.end()
p = run(ANY + "penalty_abuse = 1d\npenalty_max = 3s\n")
start = time.monotonic(); http(p)
ok(p.wait_said("event=penalty", 5) and re.search(r"seconds=[23]$", records(p)[0]), "penalty_max, though it is less than penalty_min", p.said())
while turned_away() and time.monotonic() < start + 30: time.sleep(0.1)
ok(3 <= time.monotonic() - start < 25, "is the most", p.said())
p.end()

# Whom it is not for.
HARD = "penalty_login = 1h\npenalty_abuse = 1h\npenalty_crash = 1h\npenalty_min = 0\n"
p = run(LOGINS + HARD)
for offend in (guess, http, crash): offend(p); offend(p, "127.9.9.9")
ok(not turned_away() and not turned_away("127.9.9.9") and not records(p), "penalty_exempt: the machine itself, unless it is set", p.said())
p.end()
p = run(LOGINS + f"penalty_exempt = {MINE}\n" + HARD)
http(p); http(p, OTHER)
ok(not turned_away() and turned_away(OTHER), "penalty_exempt: one address", p.said())
p.end()
p = run(ANY + LOGINS + "penalty_login = 0\npenalty_abuse = 0\npenalty_crash = 0\npenalty_min = 0\n")
for _ in range(5):
    for offend in (guess, http, crash): offend(p)
ok(not turned_away() and not records(p), "0 switches each off", p.said())
p.end()

# Several sockets; those for TLS hear nothing.
second = tcp()
p = run(ANY + HARD + f"[second]\npenalty_exempt = {MINE}\n", sockets=[("smtp", listener), ("second", second)])
http(p)
ok(turned_away() and not turned_away(at=second), "a section has its own penalty_exempt", p.said()); settle(p)
http(p, OTHER, second)
ok("socket=second" in records(p)[-1], "an offence on one socket", records(p))
ok(turned_away(OTHER) and turned_away(OTHER, second), "counts on all")
p.end()
path = os.path.join(TMP, "lmtp.sock"); unix = socket.socket(socket.AF_UNIX); unix.bind(path); unix.listen(64); os.chmod(path, 0o777)
p = run(ANY + HARD, sockets=[("lmtp", unix)])
http(p, None, unix)
ok(hello(unix)[1].startswith("220") and not records(p), "a client without an address has none", p.said())
p.end(); unix.close()

# Beside max_connections, which does not count those that are turned away.
p = run(ANY + HARD + "max_connections = 2\nmax_connections_per_source = 0\n")
http(p)
held = [connect(listener, MINE) for _ in range(5)]
ok(all(read_reply(c).decode() == TURNED_AWAY for c in held), "turned away, and the connection kept open")
served = [hello(listener, OTHER) for _ in range(3)]
equal([g[:3] for _, g in served], ["220", "220", "421"], "takes no place of max_connections")
ok("Too many connections" in served[2][1], "whose own limit holds as ever", served[2])
for c in (*held, *(c for c, _ in served)): c.close()
p.end()

# inetd's "wait" is listening too; a super-server that starts each session has an exit status of 0, and no penalty.
p = Parent([("", listener)], {"deliver": deliver, "listen_idle": "20s"}, ANY + HARD, wait=True)
http(p)
ok(turned_away(), "inetd's wait: a penalty", p.said()); p.end()
for sandbox in ("yes", "no"):
    for what, octets in (("HTTP", b"GET / HTTP/1.1\r\n\r\n"), ("max_errors", b"NONSENSE\r\n" * 30), ("failed logins", b"EHLO x\r\n" + (password("wrong") + "\r\n").encode() * 3)):
        more = dict(zip(("auth", "auth_plaintext", "auth_failure_delay"), (f"checkpassword:{check}", "yes", "0")))
        proc, c = session({"deliver": deliver, "sandbox": sandbox, "penalty_exempt": "192.0.2.0/24", "penalty_login": "1h", "penalty_abuse": "1h", **more})
        c.sendall(octets); read_all(c); c.close()
        equal(proc.wait(30), 0, f"one session, sandbox = {sandbox}, {what}: exit status 0")
served, theirs = connect(listener, MINE), listener.accept()[0]
proc = subprocess.Popen(arguments({"deliver": deliver, "penalty_exempt": "192.0.2.0/24"}), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
theirs.close(); read_reply(served); served.sendall(b"GET / HTTP/1.1\r\n\r\n"); read_all(served); served.close()
equal(proc.wait(30), 0, "a connection of a super-server's: exit status 0")

# Many sources.
p = run(ANY + HARD)
def memory():
    return [l for l in open(f"/proc/{p.pid}/status").read().splitlines() if l.split(":")[0] in ("VmSize", "VmData")]
http(p)
before, files = memory(), len(os.listdir(f"/proc/{p.pid}/fd"))
SOURCES = 40 if SANITIZED else 150
for i in range(SOURCES):
    c, _ = hello(listener, f"127.1.{i}.1"); c.sendall(b"GET / HTTP/1.1\r\n\r\n"); read_all(c); c.close()
settle(p)
ok(all(turned_away(f"127.1.{i}.1") for i in (0, SOURCES // 2, SOURCES - 1)) and turned_away(), "each of many sources has its own", p.said()[-2000:])
equal(len(records(p)), SOURCES + 1, "and its record")
ok(SANITIZED or memory() == before, "and takes no more memory", (before, memory()))
for _ in range(200):  # the last one that was turned away may still be on its way out
    if len(os.listdir(f"/proc/{p.pid}/fd")) == files: break
    time.sleep(0.05)
equal(len(os.listdir(f"/proc/{p.pid}/fd")), files, "nor a descriptor")
p.end()


# IPv6: the /64. In a network of the test's own.
def own_network():
    if not ROOT: return "needs root"
    if not have("ip"): return "no ip (iproute2)"
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0: return "no network namespace: " + os.strerror(ctypes.get_errno())
    for words in ("link set lo up", *(f"-6 addr add {a}/128 dev lo nodad" for a in NETWORK)):
        if subprocess.run(["ip", *words.split()], capture_output=True, timeout=20).returncode != 0: return "ip: " + words
    return None


NETWORK = "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"
why = own_network()
if why:
    skip("IPv6 networks", why)
else:
    six, four = tcp("::", socket.AF_INET6), tcp()
    def away6(source):
        with socket.socket(socket.AF_INET6) as c:
            c.settimeout(20); c.bind((source, 0)); c.connect(("::1", six.getsockname()[1]))
            return read_reply(c).decode() == TURNED_AWAY
    def http6(p, source):
        with socket.socket(socket.AF_INET6) as c:
            c.settimeout(20); c.bind((source, 0)); c.connect(("::1", six.getsockname()[1])); read_reply(c)
            c.sendall(b"GET / HTTP/1.1\r\n\r\n"); over(p, c)
    p = run(HARD, sockets=[("smtp", six), ("four", four)])
    http6(p, "::1")
    ok(not away6("::1") and not records(p), "::1 is exempt", p.said())
    settle(p); http6(p, NETWORK[0])
    ok(away6(NETWORK[0]) and away6(NETWORK[1]), "IPv6: all of the /64 are turned away", p.said())
    ok(not away6(NETWORK[2]), "and no other network")
    ok("client_address=" + NETWORK[0] in (records(p) or [""])[0], "the record has the address", records(p))
    p.configure(HARD + f"penalty_exempt = {NETWORK[1]}\n"); p.hup(); p.wait_said("event=reloaded")
    ok(away6(NETWORK[0]) and not away6(NETWORK[1]), "penalty_exempt: one address of a network that has a penalty", p.said())
    p.end()
    # A mapped IPv4 address is that IPv4 address.
    dual = tcp("::", socket.AF_INET6, dual=True)
    p = run(ANY + HARD, sockets=[("smtp", dual), ("four", four)])
    http(p, MINE, dual)
    ok(turned_away(at=dual) and turned_away(at=four) and not turned_away(OTHER, dual), "an IPv4 client of an IPv6 socket: its address alone, on all sockets", p.said())
    p.end()
done()
