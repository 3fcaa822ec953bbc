"""A session that is asked to end (SIGTERM), and what the service manager sees of one."""
import concurrent.futures
from harness import *

directory, deliver = taker()


def begin(settings=None, **more):
    clear(directory)
    p, ours = session({"deliver": deliver, "log": "none", **(settings or {})}, **more)
    read_one(ours)
    return p, ours


def in_data(c):
    c.sendall(ENVELOPE)
    return [read_one(c) for _ in range(4)][-1]


p, ours = begin()
ours.sendall(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\n"); read_one(ours); read_one(ours)
p.terminate()
equal(read_one(ours), "421 4.3.2 mx.example.org Service shutting down; closing connection", "SIGTERM between commands: 421 (RFC 5321 3.8)")
equal((ours.recv(10), p.wait(20)), (b"", 0), "and the session ends, with exit status 0"); ours.close()

p, ours = begin()
ours.sendall(b"NOO"); time.sleep(0.2); p.terminate()
ok(read_one(ours).startswith("421"), "in the middle of a command line: 421"); equal(p.wait(20), 0, "and it ends"); ours.close()

p, ours = begin()
in_data(ours); ours.sendall(b"Subject: half\r\n"); time.sleep(0.2); p.terminate(); time.sleep(0.2)
ours.sendall(b"\r\nrest\r\n.\r\nNOOP\r\n")
ok(read_one(ours).startswith("250"), "in the middle of a message: it may come to its end, 250")
equal(read_one(ours)[:3], "421", "then the command behind it hears 421")
p.wait(20); equal(len(messages(directory)), 1, "the message is there once"); ours.close()

p, ours = begin({"drain_timeout": "500ms"})
in_data(ours); ours.sendall(b"half\r\n"); p.terminate(); start = time.monotonic()
ok(read_one(ours).startswith("421"), "a message that does not come to its end: 421 after drain_timeout")
ok(0.3 < time.monotonic() - start < 10 and p.wait(20) == 0 and not messages(directory), "and nothing is delivered"); ours.close()

slow = write("slow", f"#!/bin/sh\ntouch {directory}/started; sleep 1; cat >{directory}/s.part && mv {directory}/s.part {directory}/s.msg\n")
for name, data, count in (("one", b".\r\n", 1), ("with the next message behind it", b".\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<b@example.org>\r\n", 1)):
    p, ours = begin({"deliver": slow})
    in_data(ours); ours.sendall(data)
    end = time.monotonic() + 10
    while not os.path.exists(directory + "/started") and time.monotonic() < end: time.sleep(0.02)
    for _ in range(3): p.terminate(); time.sleep(0.05)
    ok(read_one(ours).startswith("250"), f"while the command runs ({name}): it is not cut, 250")
    p.wait(20); equal(len(messages(directory)), count, f"and stored once ({name})"); ours.close()

p = subprocess.Popen(arguments({"deliver": deliver, "log": "none"}), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
p.stdout.readline(); p.terminate()
ok(p.stdout.readline().startswith(b"421 ") and p.wait(20) == 0, "on a pipe: 421 too"); p.stdin.close(); p.stdout.close()

p, ours = begin({"log": "stderr"}, stderr=subprocess.PIPE)
p.terminate(); read_one(ours); err = p.communicate(timeout=20)[1]
ok(b"rule=shutdown" in err and b"end=shutdown" in err, "the log says why", err); ours.close()

# Beside the message's end, a SIGTERM at any moment: never more than one copy, never a 250 without one.
wrong = []
for i in range(40):
    p, ours = begin()
    in_data(ours); ours.sendall(b"x\r\n.\r\n"); time.sleep(i * 0.0004); p.terminate()
    said = read_all(ours).decode(); ours.close(); p.wait(20)
    if (said.startswith("250"), len(messages(directory))) not in ((True, 1), (False, 0)): wrong.append((i, said, messages(directory)))
equal(wrong, [], "SIGTERM around the end of a message: 250 where it is stored, once")

# A client that never makes it wait hears of it too.
for sandbox in ("yes", "no"):
    p, ours = begin({"sandbox": sandbox})
    said, after = "", 0
    for i in range(100000):
        if i == 30: p.terminate()
        ours.sendall(b"NOOP\r\n"); said = read_one(ours)
        if not said.startswith("250"): break
        after += i >= 30
    ok(said.startswith("421") and (sandbox == "yes" or after <= 11), f"SIGTERM, and a client that is busy, sandbox = {sandbox}: 421", (said, after))
    ours.close(); p.wait(20)

# One that asks and does not read.
for sandbox in ("yes", "no"):
    p, ours = begin({"sandbox": sandbox, "drain_timeout": "1s", "command_timeout": "60s", "max_commands": "100000000"})
    ours.settimeout(1)
    try:
        for _ in range(100000): ours.sendall(b"HELP\r\n" * 100)
    except TimeoutError: pass
    start = time.monotonic(); p.terminate()
    try: p.wait(30)
    except subprocess.TimeoutExpired: p.kill()
    ok(time.monotonic() - start < 20, f"SIGTERM, and a client that reads nothing, sandbox = {sandbox}: drain_timeout, not command_timeout", time.monotonic() - start)
    ours.close(); p.wait(20)

# Commands that came in one piece, each of which waits for a decision, get no more time than others: neither after SIGTERM
# nor at the session's end.
asked = write("asked", "#!/bin/sh\nsleep 1\n")
many = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\n" + b"RCPT TO:<b@example.org>\r\n" * 60
for sandbox in ("yes", "no"):
    for what, limit in (("SIGTERM", {"drain_timeout": "1s"}), ("session_timeout", {"session_timeout": "2s"})):
        p, ours = begin({"sandbox": sandbox, "check_recipient": asked, "log": "stderr", **limit}, stderr=subprocess.PIPE)
        ours.settimeout(60); start = time.monotonic()
        ours.sendall(many); said = ours.recv(65536); first = time.monotonic() - start
        if what == "SIGTERM": p.terminate()
        said += read_all(ours); took = time.monotonic() - start; ours.close(); err = p.communicate(timeout=60)[1].decode()
        ok(b"Recipient ok" in said and first < 5, f"{what}, sandbox = {sandbox}: the client hears of the first decision before the others are made", (first, said[:200]))
        ok(said.splitlines()[-1].startswith(b"421 ") and took < 15 and p.returncode == 0 and "crash" not in err, f"{what}, and sixty decisions of a second each, sandbox = {sandbox}: 421", (said[-200:], took, p.returncode, err[-500:]))

# What the manager sees.
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(TMP + "/notify"); manager.settimeout(10)
def told(wanted):
    """What the manager has heard last: this, or another thing for the fifth time."""
    for _ in range(5):
        said = manager.recv(4096)
        if said == wanted: break
    return said


env = {**os.environ, "NOTIFY_SOCKET": TMP + "/notify", "REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "4000"}
p, ours = begin({"deliver": '/bin/sh -c "cat >/dev/null; sleep 0.2"'}, env=env)
ours.sendall(b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<x@elsewhere.example>\r\nRCPT TO:<b@example.org>\r\n"); [read_one(ours) for _ in range(4)]
heard = b"STATUS=192.0.2.1 rcpt, commands 4, messages 0, refusals 1"
equal(told(heard), heard, "STATUS= of a client that keeps us waiting: who, how far, counts")
ours.sendall(b"DATA\r\nx\r\n"); read_one(ours)
heard = b"STATUS=192.0.2.1 data, commands 5, messages 0, refusals 1"
equal(told(heard), heard, "in the middle of a message")
ours.sendall(b".\r\n"); read_one(ours)
said = [manager.recv(4096)]
while b"delivering" not in said[-1] and len(said) < 5: said.append(manager.recv(4096))
ok(b"192.0.2.1 delivering, commands 5, messages 0, refusals 1" in said[-1], "while a command runs that takes its time", said)
ours.close(); p.wait(20)
manager.settimeout(0.3)
try:
    while True: manager.recv(4096)
except TimeoutError: pass
pipe(b"EHLO x\r\nQUIT\r\n", {"log": "none"}, env=env)
try: said = manager.recv(4096)
except TimeoutError: said = None
equal(said, None, "a session that is over at once says nothing to the manager")
for sandbox in ("yes", "no"):
    out, err, status = pipe(mail(), {"deliver": "/bin/true", "deliver_per": "recipient", "log": "none", "sandbox": sandbox}, env=env)
    try: said = manager.recv(4096)
    except TimeoutError: said = None
    equal((said, final_reply(out)[:3]), (None, "250"), f"nor does a delivery for each recipient, sandbox = {sandbox}")
ours, theirs = socket.socketpair(); theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
p = subprocess.Popen(arguments({"log": "none"}), stdin=theirs, stdout=theirs, env=env); theirs.close(); ours.settimeout(20)
ours.sendall(b"HELP\r\n" * 400 + b"QUIT\r\n")
time.sleep(2.5)
said = read_all(ours); ours.close(); p.wait(20)
equal((said.count(b"\r\n214 "), said.count(b"221 ")), (400, 1), "a client that reads nothing for two seconds loses no reply for the manager's sake")
for bad in ("", "x", "/nonexistent", "@", "/" + "x" * 200):
    out, err, status = pipe(mail(), {"deliver": deliver, "log": "none"}, env={**os.environ, "NOTIFY_SOCKET": bad})
    if not ok(final_reply(out).startswith("250") and status == 0, f"NOTIFY_SOCKET={bad[:20]}: no harm", (out, err)): break
manager.close()

# Messages that wait behind one that is being delivered are no way round the stop.
slow = write("slow", f'#!/bin/sh\n{deliver.split()[0]} {directory} x y && sleep 1\n')
for sandbox in ("no", "yes"):
    p, ours = begin({"deliver": slow, "sandbox": sandbox})
    ours.sendall(b"EHLO x\r\n" + b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nx\r\n.\r\n" * 4)
    end = time.monotonic() + 20
    while not messages(directory) and time.monotonic() < end: time.sleep(0.02)
    time.sleep(0.3); p.terminate()
    said = read_all(ours); ours.close()
    ok(p.wait(20) == 0 and len(messages(directory)) == 1 and said.count(b"250 2.0.0 OK") == 1 and b"421 4.3.2" in said, f"sandbox = {sandbox}, SIGTERM during a delivery: 250, then 421, and no other message begins", said)

# Replies that are late because there are many: a client that reads slowly hears them all.
says = write("says", '#!/bin/sh\ncat >/dev/null; sleep 2\necho ' + "r" * 390 + "\n")
def many_late(sandbox):
    ours, theirs = socket.socketpair(); theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096); ours.settimeout(30)
    p = subprocess.Popen(arguments({"log": "none", "protocol": "lmtp", "deliver": says, "session_timeout": "1", "max_recipients": "2000", "sandbox": sandbox}), stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL); theirs.close()
    ours.sendall(b"LHLO x\r\nMAIL FROM:<a@example.com>\r\n" + b"RCPT TO:<b@example.org>\r\n" * 1500 + b"DATA\r\nx\r\n.\r\n")
    heard = b""
    while True:
        piece = ours.recv(8192)
        if not piece: break
        heard += piece
        if heard.count(b"\r\n250 2.0.0 r"): time.sleep(0.06)
    ours.close()
    return sandbox, p.wait(20), heard
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    for sandbox, status, heard in pool.map(many_late, ("no", "yes")): ok(status == 0 and heard.count(b"\r\n250 2.0.0 r") == 1500, f"sandbox = {sandbox}, 1500 late replies, read slowly: all are heard", (heard.count(b"\r\n250 2.0.0 r"), heard[-200:]))
done()
