"""Abuse over a real socket, of a listening smtpin with its sandbox: floods, trickles, crowds; replies, memory and descriptors are looked at."""
import re, resource, threading
from harness import *

directory, deliver = taker()
CONF = write("abuse.conf", f"""hostname = mx.example.org
domains = example.org
deliver = {deliver}
log = stderr
spool_dir = {TMP}
max_connections = 600
max_connections_per_source = 0
max_errors = 20
max_commands = 10000
command_timeout = 3
data_timeout = 3
min_data_rate = 500
max_message_size = 1M
listen_idle = 0
drain_timeout = 1
""", 0o644)
s = socket.create_server(("127.0.0.1", 0), backlog=1024)
log = open(os.path.join(TMP, "log"), "w+b")
pid = os.fork()
if pid == 0:
    os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
    os.dup2(os.open("/dev/null", os.O_RDWR), 0); os.dup2(0, 1); os.dup2(log.fileno(), 2)
    os.execve(SMTPIN, [SMTPIN, "-f", CONF, "--listen"], {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "PATH": os.environ["PATH"], "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")})
address = s.getsockname()
s.close()


def family(root):
    found = [root]
    for p in found:
        try: found += map(int, open(f"/proc/{p}/task/{p}/children").read().split())
        except (FileNotFoundError, ProcessLookupError): pass
    return found


def peaks():
    """KiB at the most, of each process under the listening one."""
    out = []
    for p in family(pid)[1:]:
        try: out += [int(l.split()[1]) for l in open(f"/proc/{p}/status") if l.startswith("VmHWM")]
        except (FileNotFoundError, ProcessLookupError): pass
    return out


def descriptors(p): return len(os.listdir(f"/proc/{p}/fd"))


def connect():
    c = socket.create_connection(address)
    c.settimeout(60)
    greeting = read_one(c)
    return c, greeting


c, _ = connect(); c.close()
time.sleep(0.2)
before = descriptors(pid)
MOST = 4000 if not SANITIZED else 10 ** 6  # KiB: the program and its buffers


def flood(c, piece, count):
    """As fast as it is taken; what was heard meanwhile is read, or the server would stop reading."""
    heard, peak = [b""], [0]
    def listen():
        try:
            while True:
                data = c.recv(1 << 16)
                if not data: return
                heard[0] = (heard[0] + data)[-4000:]; heard.append(data.count(b"\r\n"))
        except (ConnectionResetError, TimeoutError, socket.timeout): pass
    t = threading.Thread(target=listen); t.start()
    try:
        for i in range(count):
            c.sendall(piece)
            if i % 200 == 0: peak[0] = max([peak[0], *peaks()])
    except (BrokenPipeError, ConnectionResetError): pass
    return t, heard, peak


def flooded(name, piece, count, last, lines=None, prepare=(), end=b""):
    c, _ = connect()
    for line in prepare: c.sendall(line); read_one(c)
    start = time.monotonic()
    t, heard, peak = flood(c, piece, count)
    peak[0] = max([peak[0], *peaks()])
    try: c.sendall(end)
    except OSError: pass
    try: c.shutdown(socket.SHUT_WR)
    except OSError: pass
    t.join(60); c.close()
    n = sum(heard[1:])
    ok(re.search(last, heard[0]) and (lines is None or n == lines) and peak[0] < MOST, f"{name}: {n} lines of replies, {peak[0]} KiB, {time.monotonic() - start:.1f} s", (heard[0][-300:], n, peak))


flooded("10,000 NOOPs", b"NOOP\r\n" * 100, 101, rb"421 mx.example.org Too many commands; closing connection\r\n$", 10001)
flooded("10,000 bad commands", b"BAD\r\n" * 100, 100, rb"421 mx.example.org Too many errors; closing connection\r\n$", 21)
flooded("10,000 empty lines", b"\r\n" * 100, 100, rb"Too many errors", 21)
flooded("100,000 RCPT", b"RCPT TO:<a@example.org>\r\n" * 100, 1000, rb"Too many commands", None, [b"EHLO c.example.com\r\n", b"MAIL FROM:<a@example.com>\r\n"])
ok(not messages(directory), "nothing came of it")
GIB = 1 << 30 if not SANITIZED else 1 << 26
flooded("a line of 1 GiB", b"x" * (1 << 20), GIB >> 20, rb"500 Line too long\r\n$", 1, end=b"\r\n")
c, _ = connect()
for line in (b"EHLO c.example.com\r\n", b"MAIL FROM:<a@example.com>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n"): c.sendall(line); read_one(c)
block, peak = (b"x" * 70 + b"\r\n") * 10000, 0
for i in range(GIB // len(block)):
    c.sendall(block)
    if i % 100 == 0: peak = max([peak, *peaks()])
c.sendall(b".\r\n")
ok(read_one(c).startswith("552 5.3.4") and peak < MOST, f"a message of 1 GiB where 1 MiB may be: 552, {peak} KiB")
c.sendall(b"NOOP\r\n")
ok(read_one(c).startswith("250"), "and the session goes on")
c.close()

# A byte now and then buys no time: neither in a command nor in a message.
def trickle(c, pause):
    start = time.monotonic()
    try:
        while time.monotonic() - start < 30:
            c.sendall(b"x"); c.settimeout(pause)
            try:
                if c.recv(4096): break
            except (TimeoutError, socket.timeout): pass
    except (BrokenPipeError, ConnectionResetError): pass
    return time.monotonic() - start
c, _ = connect()
took = trickle(c, 0.5)
ok(2 < took < 8, f"a byte each half second, as a command: ended after {took:.1f} s")
c.close()
c, _ = connect()
for line in (b"EHLO c.example.com\r\n", b"MAIL FROM:<a@example.com>\r\n", b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n"): c.sendall(line); read_one(c)
took = trickle(c, 0.5)
ok(2 < took < 8, f"as a message: ended after {took:.1f} s")
c.close()

# A crowd that says nothing: all are greeted, the 421 of others comes at once, and all is as before.
crowd = [connect() for _ in range(500 if not SANITIZED else 100)]
ok(all(g.startswith("220") for _, g in crowd), f"{len(crowd)} connections are greeted")
if not SANITIZED:
    dirty = {}
    for p in family(pid)[1:]:
        try: dirty[p] = sum(int(l.split()[1]) for l in open(f"/proc/{p}/smaps_rollup") if l.startswith("Pss_Dirty"))
        except (FileNotFoundError, ProcessLookupError, PermissionError): pass
    each = sum(dirty.values()) / len(crowd)
    ok(each < 300, f"each of them, both processes: {each:.0f} KiB of its own")
    ok(descriptors(pid) <= before + 2, "and no descriptor more in the listening process", (before, descriptors(pid)))
c, g = connect(); c.close()
ok(g.startswith("220"), "another one is served meanwhile")
end = time.monotonic() + 30
while len(family(pid)) > 1 and time.monotonic() < end: time.sleep(0.1)
equal(len(family(pid)), 1, "when their time is over they are gone")
for c, _ in crowd: c.close()
time.sleep(0.2)
equal(descriptors(pid), before, "descriptors are as before")
c, g = connect(); c.close()
ok(g.startswith("220"), "and it serves")
os.kill(pid, signal.SIGTERM)
_, status = os.waitpid(pid, 0)
equal(status, 0, "and ends")
records = open(log.name, "rb").read().decode(errors="replace")
ok("crash" not in records and "violation" not in records, "no crash in the log", [l for l in records.splitlines() if "crash" in l][:3])
ok(all(l.startswith("smtpin[") for l in records.splitlines()), "whose lines are all smtpin's")
done()
