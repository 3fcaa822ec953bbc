"""Messages in chunks (BDAT, RFC 3030): what the command gets, at what cost, and with Exim as the client."""
import calendar, random, threading
from harness import *
from tls_peers import PEERS, ROOT, own_exim

directory, deliver = taker()
HELLO = b"EHLO client.example.com\r\n"
START = b"MAIL FROM:<a@example.com>%s\r\nRCPT TO:<b@example.org>\r\n"
chance = random.Random(21)


def chunks(octets, sizes, last=True):
    out, at = b"", 0
    for size in sizes:
        out += b"BDAT %d%s\r\n" % (size, b" LAST" if last and at + size == len(octets) else b"") + octets[at:at + size]; at += size
    return out


def cut(n, most):
    sizes = []
    while sum(sizes) < n: sizes.append(min(n - sum(sizes), chance.randint(1, most)))
    return sizes


def delivered():
    got = messages(directory); clear(directory)
    return got


# What the command gets: of text the same as after DATA, of a binary message each octet.
TEXT = b"Subject: x\r\n\r\n" + b"".join(b"." * (i % 3) + b"line %d \xc3\xa9\r\n" % i for i in range(9000))
for sandbox in ("yes", "no"):
    for ending, eol in (("lf", b"\n"), ("crlf", b"\r\n")):
        settings = {"deliver": deliver, "sandbox": sandbox, "line_ending": ending, "log": "none", "fixed_time": "1795460000", "fixed_id": "T"}
        pipe(HELLO + START % b"" + b"DATA\r\n" + re.sub(rb"(?m)^\.", b"..", TEXT) + b".\r\nQUIT\r\n", settings)
        data = delivered()
        for most in (3, 700, 100000, len(TEXT)):
            sizes = cut(len(TEXT), most) if most > 3 else cut(500, 3) + [len(TEXT) - 500]
            pipe(HELLO + START % b"" + chunks(TEXT, sizes) + b"QUIT\r\n", settings)
            equal([m == data[0] for m in delivered()], [True], f"text, chunks of up to {most} octets: the same message as after DATA (sandbox = {sandbox}, line_ending = {ending})")
        for size in (0, 1, 4095, 4096, 65535, 65536, 65537, 262144, 700000):
            octets = b"Subject: x\r\n\r\n" + chance.randbytes(size)
            for sizes in ([len(octets)], cut(len(octets), 1 + len(octets) // 3)):
                out, _, _ = pipe(HELLO + START % b" BODY=BINARYMIME" + chunks(octets, sizes) + b"QUIT\r\n", {**settings, "binarymime": "yes"})
                got = delivered()
                if len(got) != 1 or without_trace(got[0], b"\r\n") != octets: ok(False, f"binary, {size} octets: each is there (sandbox = {sandbox})", (len(got), out[-300:])); break
            else: ok(True, f"binary, {size} octets: each is there (sandbox = {sandbox}, line_ending = {ending})")

# Each group that a client may send at once is answered in one write: a packet, on a socket that has them.
GROUPS = ((HELLO, 1), (START % b"" + b"RCPT TO:<c@example.org>\r\nRCPT TO:<nobody@elsewhere.example>\r\nDATA\r\n", 5), (b"Subject: x\r\n\r\nx\r\n.\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n" + chunks(b"Subject: x\r\n\r\ntext\r\n", [14, 6]) + START % b"" + b"RSET\r\nNOOP\r\n", 9),
          (START % b"" + chunks(b"Subject: x\r\n\r\n", [14]) + b"RSET\r\n" + START % b"" + b"BDAT 3\r\na\nbBDAT 2 LAST\r\n\r\nVRFY x\r\n", 9), (b"RSET\r\nQUIT\r\n", 2))
for sandbox in ("yes", "no"):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET); ours.settimeout(20)
    p = subprocess.Popen(arguments({"deliver": deliver, "sandbox": sandbox, "log": "none"}), stdin=theirs, stdout=theirs); theirs.close()
    ours.recv(4096)
    got = []
    for group, _ in GROUPS: ours.sendall(group); got.append(len(codes(ours.recv(1 << 16))))
    rest = ours.recv(4096); ours.close(); p.wait(20); clear(directory)
    equal((got, rest), ([n for _, n in GROUPS], b""), f"each pipelined group is answered in one write (sandbox = {sandbox})")

# A client that goes away, at every octet: nothing is delivered before the last one is there.
octets = b"Subject: x\r\n\r\ntext\r\n"
whole = HELLO + START % b"" + chunks(octets, [7, 0, 8, len(octets) - 15]) + b"QUIT\r\n"
end, wrong = whole.index(b"QUIT"), []
for sandbox in ("yes", "no"):
    for k in range(whole.index(b"BDAT"), len(whole), 1 if not SANITIZED else 4):
        _, err, status = pipe(whole[:k], {"deliver": deliver, "sandbox": sandbox, "log": "stderr"})
        if len(delivered()) != (k >= end) or status or b"crash" in err: wrong.append((sandbox, k, status, err[-300:]))
equal(wrong, [], "cut at every octet: a message only where all of it has come")
_, err, _ = pipe(whole[:whole.index(b"BDAT 8")], {"deliver": deliver, "log": "stderr"})
ok(b"result=abandoned" in err and b"end=eof" in err, "a message that has begun and does not go on is in the log", err)

# Time: a chunk that does not come, a stop between two chunks.
p, s = session({"deliver": deliver, "data_timeout": "1", "log": "none"})
s.sendall(HELLO + START % b"" + b"BDAT 10\r\nSubj"); said = read_all(s)
ok(b"\r\n421 4.4.2 " in said and p.wait(20) == 0 and not delivered(), "data_timeout holds for a chunk", said[-200:])
p, s = session({"deliver": deliver, "command_timeout": "1", "log": "none"})
s.sendall(HELLO + START % b"" + b"BDAT 6\r\nA: b\r\n"); said = read_all(s)
ok(b"\r\n421 4.4.2 " in said and p.wait(20) == 0 and not delivered(), "command_timeout holds between two", said[-200:])
# The message's time goes on from chunk to chunk, and what comes buys more of it.
for rate, wait, ends in ((1000, 0.3, True), (10, 0.3, False)):
    p, s = session({"deliver": deliver, "data_timeout": "1s", "min_data_rate": str(rate), "log": "none"})
    s.sendall(HELLO + START % b"" + b"BDAT 6\r\nA: b\r\n")
    for _ in range(8):
        time.sleep(wait)
        try: s.sendall(b"BDAT 4\r\nxxxx")
        except OSError: break
    s.sendall(b"QUIT\r\n") if not ends else None
    said = read_all(s); s.close(); p.wait(20)
    ok((b"\r\n421 4.4.2 " in said) == ends and not delivered(), f"many small chunks with min_data_rate = {rate}: {'421' if ends else 'fast enough'}", said[-200:])
# HOLDFOR counts from MAIL.
p, s = session({"deliver": deliver, "future_release": "1d", "log": "none"})
s.sendall(HELLO); read_reply(s); time.sleep(2.2); before = int(time.time())
s.sendall(START.replace(b"%s", b" HOLDFOR=3600") + b"BDAT 6 LAST\r\nA: b\r\nQUIT\r\n"); read_all(s); p.wait(20); after = int(time.time())
until = [l.split("=")[1] for f in os.listdir(directory) if f.endswith(".env") for l in open(os.path.join(directory, f)).read().split("\n") if l.startswith("SMTPIN_RELEASE=")]; clear(directory)
ok(len(until) == 1 and before + 3600 <= calendar.timegm(time.strptime(until[0], "%Y-%m-%dT%H:%M:%SZ")) <= after + 3601, "HOLDFOR counts from MAIL on, not from the greeting", (until, before, after))

for between in (True, False):
    p, s = session({"deliver": deliver, "log": "none"})
    s.sendall(HELLO + START % b"" + b"BDAT 6\r\nA: b\r\n" + (b"" if between else b"BDAT 6 LAST\r\nC:"))
    said = b""
    while said.count(b"\r\n250 2.0.0 OK\r\n") < 1: said += s.recv(4096)
    time.sleep(0.3); p.send_signal(signal.SIGTERM); time.sleep(0.3)
    if not between: s.sendall(b" d\r\n")
    said += read_all(s); got = delivered()
    ok(p.wait(20) == 0 and len(got) == (0 if between else 1) and said.rstrip().rsplit(b"\r\n", 1)[-1][:3] == b"421", f"SIGTERM {'between two chunks: 421' if between else 'within the last chunk: the message is taken, then 421'}", said[-300:])

# Memory: a chunk of 1 GiB, a million chunks of one octet. Neither is kept in this process.
def peak(pids): return max(int(l.split()[1]) for pid in pids for l in open(f"/proc/{pid}/status") if l.startswith("VmHWM"))


nothing = write("nothing", "#!/bin/sh\nexec /bin/true\n")
size = 1 << (30 if not SANITIZED else 24)
for body, sandbox in ((b"", "yes"), (b" BODY=BINARYMIME", "no")):
    p, s = session({"deliver": nothing, "max_message_size": "2G", "binarymime": "yes", "spool_dir": TMP, "sandbox": sandbox, "log": "none"})
    block = (b"x" * 76 + b"\r\n") * 840; n = (size - 14) // len(block)
    s.sendall(HELLO + START % body + b"BDAT %d LAST\r\nSubject: x\r\n\r\n" % (14 + n * len(block)))
    for _ in range(n): s.sendall(block)
    said = b""
    while b" id=" not in said: said += s.recv(4096)
    most = peak([p.pid, *open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()])
    s.sendall(b"QUIT\r\n"); read_all(s); p.wait(30)
    ok(most < (4096 if not SANITIZED else 200000), f"a chunk of {size >> 20} MiB{body.decode()}: memory stays flat ({most} KiB, sandbox = {sandbox})", most)
count = 1020000 if not SANITIZED else 60000
p, s = session({"deliver": nothing, "max_commands": "2000000", "log": "none"})
threading.Thread(target=lambda: s.sendall(HELLO + START % b"" + b"BDAT 14\r\nSubject: x\r\n\r\n" + b"BDAT 1\r\nx" * 60000 + b"BDAT 2\r\n\r\n" + (b"BDAT 1\r\nx" * 60000 + b"BDAT 2\r\n\r\n") * (count // 60000 - 1) + b"BDAT 0 LAST\r\nNOOP\r\n")).start()
said, tail = 0, b""
while b" id=" not in tail:
    piece = s.recv(1 << 20); said += piece.count(b"\n"); tail = tail[-200:] + piece
    if not piece: break
most = peak([p.pid, *open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()])
s.sendall(b"QUIT\r\n"); read_all(s); p.wait(30)
ok(said > count // 60000 * 60000 and most < (4096 if not SANITIZED else 200000), f"{said} chunks of one octet: memory stays flat ({most} KiB)", (said, most, tail[-300:]))

# What a recording has of chunks is played with the same end, with the text and without.
played = {"fine": whole, "two at once": HELLO + START % b"" + chunks(octets, [len(octets)]) + START % b"" + chunks(TEXT, cut(len(TEXT), 9000)) + b"QUIT\r\n",
          "bare LF": HELLO + START % b"" + b"BDAT 8\r\nA: b\r\nx\nBDAT 3\r\na\nbBDAT 2 LAST\r\n\r\nQUIT\r\n", "bare CR": HELLO + START % b"" + b"BDAT 5\r\nA: b\rBDAT 1 LAST\r\nxQUIT\r\n",
          "refused": HELLO + b"BDAT 6 LAST\r\nQUIT\r\nQUIT\r\n", "reset": HELLO + START % b"" + b"BDAT 3\r\nA: RSET\r\nQUIT\r\n", "hops": HELLO + START % b"" + b"BDAT 30 LAST\r\nReceived: a\r\nReceived: b\r\n\r\n\r\nQUIT\r\n",
          "long line": HELLO + START % b"" + b"BDAT 700\r\n" + b"x" * 700 + b"BDAT 700 LAST\r\n" + b"x" * 700 + b"QUIT\r\n", "binary": HELLO + START % b" BODY=BINARYMIME" + chunks(b"A: b\r\n\r\n\n\r\0", [5, 3, 3]) + b"QUIT\r\n",
          "CR at the end": HELLO + START % b"" + b"BDAT 9 LAST\r\nA: b\r\n\r\n\rQUIT\r\n", "binary, hops": HELLO + START % b" BODY=BINARYMIME" + b"BDAT 15\r\nReceived: a\r\nReBDAT 17 LAST\r\nceived: b\r\n\r\n.\r\nQUIT\r\n",
          "cut": HELLO + START % b"" + b"BDAT 30 LAST\r\nA: b\r\nabc"}
for name, data in played.items():
    for text in ("yes", "no"):
        traces = os.path.join(TMP, "traces"); os.makedirs(traces, exist_ok=True)
        out, _, _ = pipe(data, {"deliver": deliver, "trace": traces, "trace_messages": text, "max_received": "1", "max_text_line": "1000", "binarymime": "yes", "log": "none"}); clear(directory)
        recorded = [os.path.join(traces, f) for f in os.listdir(traces)]
        conf = write("replay.conf", "domains = example.org\nmax_received = 1\nmax_text_line = 1000\nbinarymime = yes\ndeliver = /bin/cat\n", 0o644)
        r = [subprocess.run([REPLAY, "--smtpin", SMTPIN, "-f", conf, *more, *recorded], capture_output=True, text=True, timeout=60) for more in ([], ["--in-process"])]
        ok(len(recorded) == 1 and [x.returncode for x in r] == [0, 0], f"recorded and played: {name}{' with its text' if text == 'yes' else ''}", (out[-200:], [x.stdout[-600:] for x in r], open(recorded[0]).read()[-900:]))
        for f in recorded: os.unlink(f)

# smtpin-lmtp hands a binary message on to a server that takes it, here another smtpin, and to no other.
def listen(settings):
    """smtpin for each that connects: (socket, port, its processes)."""
    listener = socket.create_server(("127.0.0.1", free_port())); children = []

    def serve():
        while True:
            try: c, _ = listener.accept()
            except OSError: return
            children.append(subprocess.Popen(arguments(settings), stdin=c, stdout=c)); c.close()
    threading.Thread(target=serve, daemon=True).start()
    return listener, listener.getsockname()[1], children


LMTP = os.path.join(BUILD, "smtpin-lmtp")
octets = b"Subject: x\r\n\r\n\0\n\r.\r\n.\n" + chance.randbytes(200000)
for protocol, option in (("lmtp", ()), ("smtp", ("-s",))):
    for takes in ("yes", "no"):
        listener, port, children = listen({"deliver": deliver, "binarymime": takes, "protocol": protocol, "log": "none"})
        out, _, _ = pipe(HELLO + START % b" BODY=BINARYMIME" + chunks(octets, [100, len(octets) - 100]) + b"QUIT\r\n", {"deliver": " ".join((LMTP, *option, f"127.0.0.1:{port}", "--", "${sender}", "${recipient}")), "binarymime": "yes", "trace_headers": "", "log": "none"})
        for c in children: c.wait(30)
        got = [without_trace(m, b"\r\n") for m in delivered()]
        reply = codes(out)[-2], b"\r\n554 5.6.3 No server takes BINARYMIME\r\n" in out
        equal((got == [octets], reply), (True, ("250", False)) if takes == "yes" else (False, ("554", True)), f"smtpin-lmtp, {protocol.upper()}, the next server has binarymime = {takes}")
        listener.close()

# What is known of a message that is refused is the same with and without the sandbox.
for data in (b"BDAT 3\r\nxxxBDAT 99000 LAST\r\n" + b"x" * 99000, b"BDAT 200000 LAST\r\n" + b"x" * 200000, b"BDAT 30 LAST\r\n" + b"A: b\nx\r\n" + b"y" * 22):
    sizes = [re.findall(rb" size=(\d+) ", pipe(HELLO + START % b"" + data + b"QUIT\r\n", {"deliver": deliver, "log": "stderr", "sandbox": sandbox})[1]) for sandbox in ("yes", "no")]
    equal(sizes, [[b"%d" % sum(map(int, re.findall(rb"BDAT (\d+)", data)))]] * 2, f"a message that is refused: its size in the log is that of its chunks ({data[:30]!r})")

# Exim sends in chunks: MAIL, RCPT, BDAT LAST, the octets and QUIT in one write; a large body as one chunk.
if ROOT and os.path.exists(PEERS + "/exim4-daemon-light/usr/sbin/exim4"):
    traces = os.path.join(TMP, "exim-traces"); os.mkdir(traces)
    listener, port, children = listen({"deliver": deliver, "trace": traces, "log": "none"})
    transport = f"  driver = smtp\n  port = {port}\n  hosts_try_fastopen =\n  hosts_avoid_tls = *\n"
    exim, spool = own_exim("exim", "".join(f"{n}:\n  driver = manualroute\n  senders = {n}@example.com\n  route_list = * 127.0.0.1\n  self = send\n  transport = {n}\n" for n in ("chunks", "data")),
                           f"chunks:\n{transport}data:\n{transport}  hosts_try_chunking =\n")
    for name, body in (("small", b"one\n.\n..two\n\xc3\xa9\n"), ("large", b"".join(b".%d and so on\n" % i for i in range(60000))), ("no line end", b"one")):
        got = []
        for way in ("chunks", "data"):
            subprocess.run([*exim, "-odi", "-oi", "-f", f"{way}@example.com", "b@example.org"], input=b"From: a@example.com\nMessage-ID: <1@example.com>\nDate: Mon, 23 Nov 2026 00:00:00 +0000\nSubject: x\n\n" + body, capture_output=True, timeout=60)
            for c in children: c.wait(30)
            got += [m.split(b"Subject: x\n")[1] for m in delivered()]
        traced = {f: open(os.path.join(traces, f), errors="replace").read() for f in os.listdir(traces)}
        ok(sum("\nC: BDAT " in t for t in traced.values()) == 1 and sum("\nC: DATA\n" in t for t in traced.values()) == 1, f"Exim, {name}: once with BDAT, once with DATA", list(traced.values()))
        ok(len(got) == 2 and got[0] == got[1] and got[0].rstrip(b"\n") == (b"\n" + body).rstrip(b"\n"), f"Exim, {name}: the command gets the same octets", [g[:200] for g in got])
        for f in traced: os.unlink(os.path.join(traces, f))
    p = subprocess.run([*exim, "-odi", "-f", "chunks@example.com", "nobody@elsewhere.example"], input=b"Subject: RSET\n\nQUIT\n", capture_output=True, timeout=60)
    for c in children: c.wait(30)
    traced = "".join(open(os.path.join(traces, f)).read() for f in os.listdir(traces))
    ok("S: 550 5.7.1 Relaying denied\n" in traced and "S: 554 5.5.1 No valid recipients\n" in traced and "S: 221 " in traced and "S: 500" not in traced and not delivered(), "Exim, every recipient refused: the octets behind BDAT are no commands", traced)
    listener.close()
else: skip("Exim sends with BDAT", "needs root and Exim unpacked")
done()
