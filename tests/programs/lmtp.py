"""smtpin-lmtp: hostile, stopping and plain next servers, what becomes of each recipient's answer, restarts under load."""
import concurrent.futures, grp, itertools, pwd, smtplib, threading
from harness import *

ROOT = os.geteuid() == 0
LMTP = os.path.join(BUILD, "smtpin-lmtp")
STATIC = os.environ.get("SMTPIN_STATIC") == "1"
MESSAGE = b"Subject: test\r\n\r\nline\r\n.dot\r\nlast\r\n"
WIRE = MESSAGE.replace(b"\r\n.", b"\r\n..")
os.chmod(TMP, 0o755)


numbers = itertools.count()


def listen(name=None):
    path = os.path.join(TMP, name or f"server{next(numbers)}")
    s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(256); os.chmod(path, 0o777)
    return s, path


def fake_server(script):
    """script(connection): what a server does; returns its path."""
    s, path = listen()

    def one(c):
        try: script(c)
        except OSError: pass
        c.close()

    def run():
        while True: threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    return path


class Server:
    """A next server. Replies are octets, or a list of octets, seconds to wait, and None: it closes. `rcpt` and `each`: a
    recipient's word to the reply to RCPT, and to that after the dot, where otherwise `final` is sent. What it has been told and has
    taken is in `said` and `taken`."""

    def __init__(self, final=b"250 2.0.0 stored\r\n", quit=b"221 bye\r\n", rcpt=None, mail=b"250 ok\r\n", data=b"354 go\r\n", hello=b"250-x\r\n250 PIPELINING\r\n", each=None):
        self.final, self.quit, self.rcpt, self.mail, self.data, self.hello, self.each = final, quit, rcpt or {}, mail, data, hello, each
        self.said, self.taken = [], []
        self.path = fake_server(self.serve)

    def send(self, c, actions):
        for a in actions if isinstance(actions, (list, tuple)) else [actions]:
            if isinstance(a, bytes): c.sendall(a)
            elif a is None: c.shutdown(socket.SHUT_RDWR)
            else: time.sleep(a)

    def serve(self, c):
        f = c.makefile("rb"); c.sendall(b"220 x\r\n"); accepted = []
        for line in f:
            self.said.append(line)
            word = line[:4].upper()
            if word in (b"EHLO", b"LHLO"): self.send(c, self.hello)
            elif word == b"MAIL": self.send(c, self.mail); accepted = []
            elif word == b"RCPT":
                name = line.split(b"<")[1].split(b"@")[0].rstrip(b"0123456789").decode()
                reply = self.rcpt.get(name, b"250 ok\r\n")
                if reply.startswith(b"250"): accepted.append(line.split(b"<")[1].split(b">")[0].decode())
                self.send(c, reply)
            elif word == b"DATA":
                self.send(c, self.data)
                if not self.data.startswith(b"354"): continue
                data = b""
                for line in f:
                    if line == b".\r\n": break
                    data += line
                else: return
                if self.each:  # by the recipient's word
                    for a in accepted:
                        reply = self.each.get(a.split("@")[0].rstrip("0123456789"), b"250 2.0.0 stored\r\n")
                        if reply.startswith(b"250"): self.taken.append((a, data))
                        c.sendall(reply)
                else:
                    self.taken.append((accepted, data))
                    self.send(c, self.final)
            elif word == b"QUIT":
                self.send(c, self.quit)
                return


def run(servers, rcpt=("jane@example.org",), replies="each", options=("-t", "20s"), message=MESSAGE, sender="s@example.com", body=None, **more):
    """smtpin-lmtp alone: (status, lines, seconds)."""
    path = os.path.join(TMP, f"message{next(numbers)}")
    with open(path, "wb") as f: f.write(message)
    environment = {k: v for k, v in os.environ.items() if "SAN" in k}
    if replies: environment["SMTPIN_REPLIES"] = replies
    if body: environment["SMTPIN_BODY"] = body
    start = time.monotonic()
    with open(path, "rb") as f:
        p = subprocess.run([LMTP, *options, *([servers] if isinstance(servers, str) else servers), "--", sender, *rcpt], stdin=f, capture_output=True, timeout=60, env=environment, **more)
    return p.returncode, p.stdout.decode().splitlines(), time.monotonic() - start


def heads(lines): return [l[:3] for l in lines]


def send(settings, rcpt="jane@example.org", body=WIRE, sender="s@example.com"):
    data = f"EHLO x\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{rcpt}>\r\nDATA\r\n".encode() + body + b".\r\nQUIT\r\n"
    p = subprocess.run(arguments({"log": "stderr", **settings}), input=data, capture_output=True, timeout=120)
    return final_reply(p.stdout) or p.stdout.decode() + p.stderr.decode()


# A hostile next server.
def answering(*replies):
    def script(c):
        f = c.makefile("rb")
        for i, r in enumerate(replies):
            if i:
                line = f.readline()
                if i == len(replies) - 1 and replies[i - 1].startswith(b"354"):
                    while line and line != b".\r\n": line = f.readline()
            c.sendall(r)
        time.sleep(0.1)
    return fake_server(script)


H = (b"220 x\r\n", b"250-x\r\n250 PIPELINING\r\n", b"250 ok\r\n", b"250 ok\r\n")
for what, path, reply in (("dies before the greeting", fake_server(lambda c: None), "451"), ("defers the greeting", answering(b"421 busy\r\n"), "451"),
                          ("says nonsense", answering(b"220 x\r\n", b"hello there\r\n"), "451"), ("refuses MAIL", answering(H[0], H[1], b"550 5.7.1 not you\r\n"), "550 5.7.1 not you"),
                          ("defers MAIL", answering(H[0], H[1], b"451 later\r\n"), "451"), ("refuses RCPT in two lines", answering(*H[:3], b"550-5.1.1 no\r\n550 5.1.1 nobody\r\n"), "550 5.1.1 nobody"),
                          ("refuses DATA", answering(*H, b"554 5.6.0 no\r\n"), "554 5.6.0 no"), ("dies after the dot", answering(*H, b"354 go\r\n", b""), "451 4.4.2"),
                          ("speaks with bare LF", answering(b"220 x\n"), "451"), ("says 250 OK", answering(*H, b"354 go\r\n", b"250 2.0.0 stored\r\n"), "250 2.0.0 stored"),
                          ("answers DATA with 250", answering(*H, b"250 2.0.0 queued\r\n"), "451"), ("greets twice", answering(b"220 a\r\n220 b\r\n", *H[1:], b"354 go\r\n", b"250 ok\r\n"), "451"),
                          ("answers before the message has come", answering(*H, b"354 go\r\n250 early\r\n", b""), "451"), ("says 421 to RCPT", answering(*H[:3], b"421 going\r\n"), "451"),
                          ("gives a reply too many", answering(*H, b"354 go\r\n", b"250 a\r\n250 b\r\n"), "451 4.4.2"), ("says 550 4.2.2", answering(*H[:3], b"550 4.2.2 odd\r\n"), "550"),
                          ("says 250 without an end", answering(*H, b"354 go\r\n", b"250-stored\r\n"), "451 4.4.2"),
                          ("has two codes in a reply", answering(*H, b"354 go\r\n", b"250-stored\r\n550 not stored\r\n"), "451 4.4.2"),
                          ("says 250 with another class behind blanks", answering(*H, b"354 go\r\n", b"250  5.1.1 stored\r\n"), "250 2.0.0 stored")):
    got = send({"deliver": f"{LMTP} -t 2s {path} -- ${{sender}} ${{recipient}}", "deliver_replies": "each"})
    ok(got.startswith(reply), f"a next server that {what}: {reply}", got)
got = send({"deliver": f"{LMTP} -t 300ms {fake_server(lambda c: time.sleep(5))} -- ${{sender}} ${{recipient}}", "deliver_replies": "each"})
ok(got.startswith("451"), "a next server that says nothing: 451", got)
for eol in ("lf", "crlf"):
    sink = Server()
    send({"deliver": f"{LMTP} {sink.path} -- ${{sender}} ${{recipient}}", "deliver_replies": "each", "line_ending": eol, "trace_headers": ""})
    equal([d for _, d in sink.taken], [WIRE], f"line_ending = {eol}: the next server gets CRLF and stuffed dots")
for args in ((), ("/x", "--"), ("/x", "--", "s@x"), ("/x", "--", "s@x", "a@b> x"), ("/x", "--", "bad", "a@b"), ("-t", "x", "/x", "--", "", "a@b"), ("/x", "--", "s@x", "a@b_c.example")):
    equal(subprocess.run([LMTP, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=20).returncode, 64, f"smtpin-lmtp {' '.join(args)[:30]}: 64")
MESSAGE_FILE = os.path.join(TMP, "message")
with open(MESSAGE_FILE, "wb") as f: f.write(MESSAGE)
sink = Server()
p = subprocess.run(["sh", "-c", f"exec {LMTP} {sink.path} -- s@example.com jane@example.org <{MESSAGE_FILE} >&- 2>&-"], timeout=30)
equal((p.returncode, len(sink.taken), any(b"250" in l for l in sink.said)), (0, 1, False), "standard output closed: what is printed does not go to the server")

# A next server that stops (RFC 5321 3.8): what it has said counts.
OK = b"250 2.0.0 stored\r\n"
stops = (
        ("421 behind it", OK + b"421 4.3.2 stopping\r\n", b"", "250"), ("421 in a packet of its own", [OK, 0.02, b"421 4.3.2 stopping\r\n"], b"", "250"),
        ("a 421 of two lines", OK + b"421-4.3.2 stop\r\n421 4.3.2 ping\r\n", b"", "250"), ("a 421 without a text", OK + b"421\r\n", b"", "250"), ("two times 421", OK + b"421 a\r\n421 b\r\n", b"", "250"),
        ("the beginning of a 421, and the end", [OK + b"42", None], b"", "250"), ("half a line of a 421, and the end", [OK + b"421 stopp", None], b"", "250"),
        ("the first line of a 421, and the end", [OK + b"421-stop\r\n", None], b"", "250"), ("a 421 up to its CR, and the end", [OK + b"421 x\r", None], b"", "250"),
        ("the beginning of a 421, and silence", [OK + b"4", 30], b"", "250"), ("a 421 in two pieces", [OK + b"42", 0.3, b"1 stopping\r\n"], b"", "250"),
        ("the beginning of a 421 that becomes 422", [OK + b"42", 0.3, b"2 odd\r\n"], b"", "451 4.4.2"),
        ("the end", [OK, None], b"", "250"), ("the beginning of a 250, and the end", [OK + b"25", None], b"", "451 4.4.2"), ("a blank line", OK + b"\r\n", b"", "451 4.4.2"), ("4219", OK + b"4219 x\r\n", b"", "451 4.4.2"),
        ("42 as a line", OK + b"42\r\n", b"", "451 4.4.2"), ("a 421 with a bare LF", OK + b"421 x\n", b"", "451 4.4.2"), ("a 421 with a bare CR", OK + b"421 x\ry\r\n", b"", "451 4.4.2"),
        ("a 250", OK + b"250 b\r\n", b"", "451 4.4.2"), ("a 421 and a 250", OK + b"421 a\r\n250 b\r\n", b"", "451 4.4.2"), ("a 421 that goes on as 250", OK + b"421-a\r\n250 b\r\n", b"", "451 4.4.2"),
        ("a 421 without an end", OK + b"421 " + b"x" * 20000, b"", "451 4.4.2"), ("thousands of 421", OK + b"421 x\r\n" * 5000, b"", "4"),
        ("554 and 421", b"554 5.6.0 no\r\n421 stopping\r\n", b"", "554 5.6.0 no"), ("554 and 250", b"554 5.6.0 no\r\n250 yes\r\n", b"", "451 4.4.2"), ("421 alone", [b"421 4.3.2 stopping\r\n", None], b"", "451 4.4.2"),
        ("250 to QUIT", OK, b"250 bye\r\n", "250"), ("500 to QUIT", OK, b"500 what\r\n", "250"), ("421 to QUIT", OK, b"421 gone\r\n", "250"), ("nonsense to QUIT", OK, b"\0\n\r\xff", "250"),
        ("silence to QUIT", OK, [30], "250"), ("a reply to QUIT that never ends", OK, [b"221-x\r\n" * 9, 0.2] * 150, "250"))
# A next server's silence of 30 seconds, the same time that -t gives: nobody waits for its end.
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for (what, final, quit, reply), (status, lines, took) in zip(stops, pool.map(lambda s: run(Server(final=s[1], quit=s[2]).path), stops)):
        ok(status == 0 and len(lines) == 1 and lines[0].startswith(reply) and took < 25, f"the result and {what}: {reply}", (status, lines, took))
server = Server(quit=[30])
with open(MESSAGE_FILE, "rb") as f:
    p = subprocess.Popen([LMTP, "-t", "20s", server.path, "--", "s@example.com", "jane@example.org"], stdin=f, stdout=subprocess.PIPE)
start = time.monotonic(); line = p.stdout.readline(); first = time.monotonic() - start; p.wait(20)
ok(line.startswith(b"250") and first < 15, "the result is printed before QUIT is answered", (line, first)); p.stdout.close()
three = ("a@example.org", "b@example.org", "c@example.org")
for what, final, want, options, rcpt in (
        ("250, 421", OK + b"421 stop\r\n", "250 451 451", (), three), ("421", b"421 stop\r\n", "451 451 451", (), three), ("250, 550, the end", [OK + b"550 5.2.2 full\r\n"], "250 550 451", (), three),
        ("250, 421, 250", OK + b"421 stop\r\n" + OK, "250 451 451", (), three), ("250, 550, 250 and 421", OK + b"550 5.2.2 full\r\n" + OK + b"421 stop\r\n", "250 550 250", (), three),
        ("250, 550, 250 and 250", OK + b"550 5.2.2 full\r\n" + OK * 2, "451 451 451", (), three), ("SMTP: 250 and 421", OK + b"421 stop\r\n", "250 250 250", ("-s",), three),
        ("SMTP: 421", b"421 stop\r\n", "451 451 451", ("-s",), three), ("SMTP: 250 and 250", OK * 2, "451 451 451", ("-s",), three), ("a refused one, 250, 250 and 250", OK * 3, "550 451 451", (), ("no@example.org", *three[1:])),
        ("a refused one, 250, 250 and 421", OK * 2 + b"421 x\r\n", "550 250 250", (), ("no@example.org", *three[1:]))):
    status, lines, _ = run(Server(final=final, rcpt={"no": b"550 5.1.1 nobody\r\n"}).path, rcpt, options=("-t", "1s", *options))
    equal((status, " ".join(heads(lines))), (0, want), f"three recipients, {what}: {want}")
# Before the message: a refusal counts, a server that goes is passed over.
for what, server, want, used in (("refuses MAIL, and stops", Server(mail=b"550 5.7.1 not you\r\n421 stop\r\n"), "550 5.7.1 not you", 0), ("refuses RCPT, and stops", Server(rcpt={"jane": b"550 5.1.1 no\r\n421 stop\r\n"}), "550 5.1.1 no", 0),
                                 ("refuses DATA, and stops", Server(data=b"554 5.6.0 no\r\n421 stop\r\n"), "554 5.6.0 no", 0), ("takes RCPT, and stops", Server(rcpt={"jane": b"250 ok\r\n421 stop\r\n"}), "250", 1),
                                 ("takes MAIL, and stops", Server(mail=b"250 ok\r\n421 stop\r\n"), "250", 1), ("stops in the message", Server(data=b"354 go\r\n421 stop\r\n"), "250", 1), ("stops at DATA", Server(data=b"421 stop\r\n"), "250", 1),
                                 ("refuses MAIL, and takes it", Server(mail=b"550 5.7.1 no\r\n250 yes\r\n"), "250", 1), ("refuses RCPT, and takes it", Server(rcpt={"jane": b"550 5.1.1 no\r\n250 yes\r\n"}), "250", 1),
                                 ("refuses DATA, and takes it", Server(data=b"554 5.6.0 no\r\n354 go\r\n"), "250", 1)):
    other = Server()
    status, lines, _ = run([server.path, other.path])
    ok(status == 0 and len(lines) == 1 and lines[0].startswith(want) and len(other.taken) == used, f"a next server that {what}: {want}{' of the next' * used}", (status, lines, other.taken))

# What becomes of a refusal: SMTPIN_REPLIES.
for rcpt, reply, want, status in ((("good",), {}, "250 2.0.0 stored", 0), (("good", "good2"), {}, "250 2.0.0 stored", 0), (("no",), {"no": b"550 5.1.1 nobody\r\n"}, "550 5.1.1 nobody", 67),
                                  (("no",), {"no": b"550 5.1.2 no host\r\n"}, "550 5.1.2 no host", 68), (("no",), {"no": b"550 5.7.26 not you\r\n"}, "550 5.7.26 not you", 77), (("no",), {"no": b"552 5.2.2 full\r\n"}, "552 5.2.2 full", 100),
                                  (("no",), {"no": b"553 no such name\r\n"}, "554 5.3.0 no such name", 100), (("no",), {"no": b"550 2.1.1 odd\r\n"}, "550 5.2.0 odd", 100), (("no", "bad"), {"no": b"550 5.1.1 x\r\n", "bad": b"554 5.7.1 y\r\n"}, "554 5.7.1 y", 77),
                                  (("good", "no"), {"no": b"550 5.1.1 x\r\n"}, "451 4.3.0 ", 75), (("no", "good"), {"no": b"550 5.1.1 x\r\n"}, "451 4.3.0 ", 75), (("no", "later"), {"no": b"550 5.1.1 x\r\n", "later": b"450 4.2.1 busy\r\n"}, "450 4.2.1 busy", 75),
                                  (("good", "later"), {"later": b"452 full\r\n"}, "452 4.3.1 full", 75), (("later",), {"later": b"450 5.2.1 odd\r\n"}, "450 4.2.0 odd", 75)):
    for where in ("rcpt", "each"):
        server = Server(**{where: reply} if reply else {"final": OK * len(rcpt)})
        if where == "rcpt" and reply: server.final = OK * sum(r.rstrip("2") not in reply for r in rcpt)
        for replies in (None, "one", "else"):
            got = run(server.path, [r + "@example.org" for r in rcpt], replies)
            as_lines = replies is None and len(got[1]) == len(rcpt) and all(l[0] == want[0] for l in got[1])  # not set: lines, unless mixed
            ok(got[0] == status and (as_lines or (len(got[1]) == 1 and got[1][0].startswith(want))), f"SMTPIN_REPLIES {replies}, {'+'.join(rcpt)} at {where}: {want.strip()}, {status}", got)
for replies, want in (("each", 0), ("merged", 0), (None, 67)):
    equal(run(Server(rcpt={"no": b"550 5.1.1 nobody\r\n"}).path, ("no@example.org",), replies)[:2], (want, ["550 5.1.1 nobody"]), f"SMTPIN_REPLIES {replies}, refused: {want}")
    equal(run(TMP + "/none", three, replies)[:2], (75, ["451 4.4.1 No server takes the message now"]), f"SMTPIN_REPLIES {replies}, no server: 75")
ways = {"each": {"deliver_replies": "each"}, "one": {}, "recipient": {"deliver_per": "recipient"}, "qmail-queue": {"deliver_format": "qmail-queue"}}
kinds = ("good",), ("no",), ("late",), ("good", "good2"), ("good", "no"), ("no", "good"), ("no", "late"), ("late", "good"), ("good", "later"), ("no", "later")
server = Server(rcpt={"no": b"550 no such user\r\n"}, each={"late": b"550 5.2.2 full\r\n", "later": b"450 4.2.1 busy\r\n", "none": b""})
wrong, runs = [], 0
for way, settings in ways.items():
    for exit_map in ("", "qmail", "sysexits"):
        for protocol in ("smtp", "lmtp"):
            for rcpt in kinds if exit_map != "sysexits" or way == "one" else kinds[:6]:
                server.taken.clear(); runs += 1
                names = [r + "@example.org" for r in rcpt]
                data = (("LHLO" if protocol == "lmtp" else "EHLO") + " x\r\nMAIL FROM:<s@example.com>\r\n" + "".join(f"RCPT TO:<{n}>\r\n" for n in names) + "DATA\r\n").encode() + WIRE + b".\r\n"
                out, err, _ = pipe(data, {"deliver": f"{LMTP} {server.path} -- ${{sender}} ${{recipient}}", "protocol": protocol, **({"exit_map": exit_map} if exit_map else {}), **settings})
                told = codes(out)[4 + len(names):]
                has = [n in [t for t, _ in server.taken] for n in names]
                if protocol == "smtp": good = len(told) == 1 and (told != ["250"] or all(has)) and (told[0][0] != "5" or not any(has)) and (told[0][0] == "2" if all(has) else told[0][0] != "2")
                else: good = len(told) == len(names) and all((t != "250" or h) and (t[0] != "5" or not h) for t, h in zip(told, has))
                if way == "each" and protocol == "lmtp": good = good and [t == "250" for t in told] == has
                if not good: wrong.append((way, exit_map, protocol, rcpt, told, has))
equal(wrong, [], f"{runs} ways to deliver: never 250 for a refused recipient, never 5yz for an accepted one")
got = send({"deliver": f"{LMTP} {server.path} -- ${{sender}} ${{recipient}}"}, "no@example.org")
equal(got, "550 5.2.0 no such user", "without deliver_replies = each the next server's refusal is the client's")

# SMTPUTF8 and 8BITMIME (RFC 6531 3.2, 3.4; RFC 6152).
PLAIN, EIGHT, ALL = b"250 x\r\n", b"250-x\r\n250 8BITMIME\r\n", b"250-x\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
ASCII, BODY8, HEADER8 = b"Subject: x\n\nx\n", b"Subject: x\n\n\xc3\xbc\n", b"Subject: \xc3\xbc\n\nx\n"
TRACED = "Return-Path: <s@müller.example>\nDelivered-To: jane@müller.example\nReceived: from x\n\tby y\n\tfor <jane@müller.example>;\n\tnow\nSubject: x\n\nx\n".encode()
NO, HEADER, LATER = "550 5.6.7", "554 5.6.9", "451 4.3.5"
idn = LATER if STATIC else "250"
plain_idn = [] if STATIC else ["MAIL FROM:<s@example.com>", "RCPT TO:<jane@xn--mller-kva.example>"]
U = "jane@müller.example"
for what, hello, message, body, sender, rcpt, reply, want in (
        ("SMTPUTF8 said, all ASCII, a server without", PLAIN, ASCII, "SMTPUTF8", "s@example.com", "jane@example.org", "250", ["MAIL FROM:<s@example.com>", "RCPT TO:<jane@example.org>"]),
        ("SMTPUTF8 said, all ASCII, a server with it", ALL, ASCII, "SMTPUTF8", "s@example.com", "jane@example.org", "250", ["MAIL FROM:<s@example.com>"]),
        ("SMTPUTF8 said, the body alone has 8 bits, a server without", EIGHT, BODY8, "SMTPUTF8", "s@example.com", "jane@example.org", "250", ["MAIL FROM:<s@example.com> BODY=8BITMIME"]),
        ("SMTPUTF8 said, the header has 8 bits, a server without", EIGHT, HEADER8, "SMTPUTF8", "s@example.com", "jane@example.org", HEADER, []),
        ("SMTPUTF8 said, the header has 8 bits, a server with it", ALL, HEADER8, "SMTPUTF8", "s@example.com", "jane@example.org", "250", ["MAIL FROM:<s@example.com> BODY=8BITMIME SMTPUTF8"]),
        ("SMTPUTF8 not said, the header has 8 bits", ALL, HEADER8, "8BITMIME", "s@example.com", "jane@example.org", "250", ["MAIL FROM:<s@example.com> BODY=8BITMIME"]),
        ("8BITMIME said, all ASCII", ALL, ASCII, "8BITMIME", "s@example.com", "jane@example.org", "250", ["MAIL FROM:<s@example.com>"]),
        ("7BIT said, 8 bits", EIGHT, BODY8, "7BIT", "s@example.com", "jane@example.org", "250", ["MAIL FROM:<s@example.com> BODY=8BITMIME"]),
        ("8 bits, a server without 8BITMIME", PLAIN, BODY8, "8BITMIME", "s@example.com", "jane@example.org", "250", ["MAIL FROM:<s@example.com>"]),
        ("no header, 8 bits", PLAIN, "Schöne Grüße: das ist alles\n".encode(), "SMTPUTF8", "s@example.com", "jane@example.org", "250", ["MAIL FROM:<s@example.com>"]),
        ("a U-label, a server with SMTPUTF8", ALL, ASCII, "SMTPUTF8", "s@example.com", U, "250", ["MAIL FROM:<s@example.com> SMTPUTF8", f"RCPT TO:<{U}>"]),
        ("a U-label, a server without", EIGHT, ASCII, "SMTPUTF8", "s@example.com", U, idn, plain_idn), ("a U-label, no SMTPIN_BODY", EIGHT, ASCII, None, "s@example.com", U, idn, plain_idn),
        ("a U-label in trace fields", EIGHT, TRACED, "SMTPUTF8", "s@example.com", U, idn, plain_idn and [plain_idn[0] + " BODY=8BITMIME", plain_idn[1]]),
        ("a sender with a U-label", PLAIN, ASCII, "SMTPUTF8", U, "jane@example.org", idn, [] if STATIC else ["MAIL FROM:<jane@xn--mller-kva.example>", "RCPT TO:<jane@example.org>"]),
        ("a quoted local-part", PLAIN, ASCII, "SMTPUTF8", "s@example.com", '"a@b c"@müller.example', idn, [] if STATIC else ["MAIL FROM:<s@example.com>", 'RCPT TO:<"a@b c"@xn--mller-kva.example>']),
        ("a domain that can be none", PLAIN, ASCII, "SMTPUTF8", "s@example.com", "jane@\u00ad.example", LATER if STATIC else NO, []),
        ("a local-part that is not ASCII", EIGHT, ASCII, "SMTPUTF8", "s@example.com", "jürgen@example.org", NO, []), ("a local-part that is not ASCII, and a U-label", EIGHT, ASCII, "SMTPUTF8", "jürgen@example.org", U, NO, []),
        ("a header that is not ASCII, and a U-label", EIGHT, HEADER8, "SMTPUTF8", "s@example.com", U, HEADER, []),
        ("a header and a local-part that are not ASCII", EIGHT, HEADER8, "SMTPUTF8", "s@example.com", "jürgen@example.org", NO, []),
        ("the same, a server with SMTPUTF8", ALL, HEADER8, "SMTPUTF8", "s@example.com", "jürgen@example.org", "250", ["MAIL FROM:<s@example.com> BODY=8BITMIME SMTPUTF8", "RCPT TO:<jürgen@example.org>"])):
    server = Server(hello=hello)
    status, lines, _ = run(server.path, (rcpt,), message=message, body=body, sender=sender)
    commands = [l.decode().strip() for l in server.said if l[:4] in (b"MAIL", b"RCPT")]
    ok(lines and lines[0].startswith(reply) and commands[:len(want)] == want and (want or not commands), f"{what}: {reply}", (status, lines, commands))
    if reply == "250": equal([d for _, d in server.taken], [message.replace(b"\n", b"\r\n")], f"{what}: the message as it is")
for what, servers, message, reply in (("one without SMTPUTF8 and one with it", (Server(hello=PLAIN).path, Server(hello=ALL).path), HEADER8, "250"), ("one without SMTPUTF8 and one that is not there", (Server(hello=PLAIN).path, TMP + "/none"), HEADER8, "451 4.4.1"),
                                      ("two without SMTPUTF8", (Server(hello=PLAIN).path, Server(hello=EIGHT).path), HEADER8, HEADER)):
    for replies in ("each", None):
        status, lines, _ = run(servers, message=message, body="SMTPUTF8", replies=replies)
        ok(lines[0].startswith(reply) and status == (0 if reply == "250" or (replies and reply == HEADER) else 75 if reply != HEADER else 100), f"{what}, SMTPIN_REPLIES {replies}: {reply}", (status, lines))
server = Server(hello=EIGHT)
through = {"deliver": f"{LMTP} {server.path} -- ${{sender}} ${{recipient}}", "deliver_replies": "each", "domains": "example.org müller.example"}
data = f"EHLO x\r\nMAIL FROM:<s@example.com> SMTPUTF8\r\nRCPT TO:<{U}>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n".encode()
got = final_reply(pipe(data, through)[0])
ok(got.startswith("451 4.3.5" if STATIC else "250") and (STATIC or any(b"<jane@xn--mller-kva.example>" in l for l in server.said)), "through smtpin, with all its trace fields", (got, server.said))
got = final_reply(pipe(data.replace(U.encode(), b"jane@example.org"), through)[0])
ok(got.startswith("250"), "SMTPUTF8 said for nothing, as by Go: 250", got)

# A sender that smtpin takes.
server = Server()
got = send({"deliver": f"{LMTP} {server.path} -- ${{sender}} ${{recipient}}", "deliver_replies": "each"}, sender="root@build_1.client.example")
ok(got.startswith("250") and b"MAIL FROM:<root@build_1.client.example>\r\n" in server.said, "a sender with an underscore in its domain", (got, server.said))

# Restarts under load. The clients are real ones: after 4yz, or a lost connection, they send again.
def start_listening(listener, name, settings):
    """A listening smtpin on this socket."""
    shim = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[2], sys.argv[2:])"
    return subprocess.Popen([sys.executable, "-c", shim, str(listener.fileno()), *arguments({"log": "none", **settings})], pass_fds=(listener.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": name})


def end(process):
    process.terminate()
    try: process.wait(30)
    except subprocess.TimeoutExpired: process.kill(); process.wait()


def load(port, restart, times=5, clients=20, each=5):
    """100 messages, `restart` five times in between: how many times a client was sent away."""
    finished, again, limit = [], [], time.monotonic() + 150

    def client(i):
        for k in range(each):
            while time.monotonic() < limit:
                try:
                    with smtplib.SMTP("127.0.0.1", port, timeout=30) as c: c.sendmail("s@example.com", ["jane@example.org"], f"Subject: number {i}-{k}.\r\n\r\nx\r\n")
                    finished.append((i, k)); break
                except smtplib.SMTPResponseException as e:
                    if e.smtp_code >= 500: again.append(e); return
                    again.append(e.smtp_error)
                except (OSError, smtplib.SMTPException) as e: again.append(e)
                time.sleep(0.1)

    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for t in threads: t.start()
    for r in range(times):
        while len(finished) < 10 + r * 17 and time.monotonic() < limit: time.sleep(0.002)
        restart()
    for t in threads: t.join(180)
    return again


def counted(texts):
    """(lost, doubled) of the messages in there."""
    found = [t.split(b"Subject: number ")[1].split(b".")[0].decode() for t in texts]
    wanted = [f"{i}-{k}" for i in range(20) for k in range(5)]
    return sum(w not in found for w in wanted), len(found) - len(set(found))


front = socket.create_server(("127.0.0.1", 0), backlog=256)
unix, path = listen("next.sock")
directory, _ = taker("stored")
slowly = write("slowly", f'#!/bin/sh\ncat >"{directory}/$SMTPIN_ID.part" && sleep 0.05 && mv "{directory}/$SMTPIN_ID.part" "{directory}/$SMTPIN_ID.msg"\n')
back = start_listening(unix, "lmtp", {"deliver": slowly, "max_connections_per_source": "0"})
first = start_listening(front, "smtp", {"trace_headers": "received", "deliver": f"{LMTP} {path} -- ${{sender}} ${{recipient}}", "deliver_replies": "each", "max_connections_per_source": "0"})


def restart_smtpin():
    global back
    end(back)
    back = start_listening(unix, "lmtp", {"deliver": slowly, "max_connections_per_source": "0"})


again = load(front.getsockname()[1], restart_smtpin)
equal(counted(messages(directory)), (0, 0), f"an LMTP smtpin restarted five times under 100 messages: none lost, none doubled")
print("# sent again:", len(again), set(map(str, again)))
end(first); end(back)

# The same with Dovecot. As it comes (shutdown_clients = yes) it says 421 at its end for a message that it has stored already: that
# one is sent again, and nobody before it can know better.
if have("dovecot"):
    dv = os.path.join(TMP, "dv"); os.makedirs(dv + "/mail"); os.makedirs(dv + "/run")
    nobody = pwd.getpwnam("nobody") if ROOT else pwd.getpwuid(os.geteuid())
    group = grp.getgrgid(nobody.pw_gid).gr_name
    if ROOT: os.chown(dv + "/mail", nobody.pw_uid, nobody.pw_gid)
    write("dv/users", "jane@example.org:{PLAIN}x::::::\njane@xn--mller-kva.example:{PLAIN}x::::::\n", 0o644)
    any_may = lambda service, *listeners: f"service {service} {{\n  chroot =\n" + "".join(f"  unix_listener {l} {{\n    mode = 0666\n  }}\n" for l in listeners) + "}\n"
    write("dv/conf", f"""base_dir = {dv}/run
state_dir = {dv}
log_path = {dv}/log
protocols = lmtp
ssl = no
shutdown_clients = no
mail_location = maildir:{dv}/mail/%u
first_valid_uid = 1
default_internal_user = {nobody.pw_name}
default_internal_group = {group}
default_login_user = {nobody.pw_name}
passdb {{
  driver = passwd-file
  args = {dv}/users
}}
userdb {{
  driver = passwd-file
  args = {dv}/users
  default_fields = uid={nobody.pw_uid} gid={nobody.pw_gid} home={dv}/mail/%u
}}
protocol lmtp {{
  postmaster_address = postmaster@example.org
}}
""" + any_may("auth", "auth-userdb") + any_may("lmtp", "lmtp") + any_may("stats", "stats-writer") + any_may("anvil"), 0o644)

    def start_dovecot():
        for n in ("lmtp", "auth-userdb"):
            if os.path.exists(f"{dv}/run/{n}"): os.unlink(f"{dv}/run/{n}")
        p = subprocess.Popen(["dovecot", "-F", "-c", dv + "/conf"], stderr=subprocess.DEVNULL)
        for _ in range(2000):
            if os.path.exists(dv + "/run/lmtp") and os.path.exists(dv + "/run/auth-userdb"): break
            time.sleep(0.02)
        return p

    def restart_dovecot():
        global dovecot
        end(dovecot)
        dovecot = start_dovecot()

    def stored(user="jane@example.org"):
        return [open(f"{dv}/mail/{user}/new/{n}", "rb").read() for n in os.listdir(f"{dv}/mail/{user}/new")] if os.path.isdir(f"{dv}/mail/{user}/new") else []

    dovecot = start_dovecot()
    settings = {"trace_headers": "received", "deliver": f"{LMTP} {dv}/run/lmtp -- ${{sender}} ${{recipient}}", "deliver_replies": "each", "max_connections_per_source": "0"}
    first = start_listening(front, "smtp", settings)
    again = load(front.getsockname()[1], restart_dovecot)
    equal(counted(stored()), (0, 0), "Dovecot restarted five times under 100 messages: none lost, none doubled")
    print("# sent again:", len(again), set(map(str, again)))
    end(first)
    got = final_reply(pipe(data.replace(U.encode(), b"jane@example.org"), settings)[0])
    ok(got.startswith("250") and len(stored()) == 101, "Dovecot, SMTPUTF8 said for nothing: 250", got)
    asked = data.replace(U.encode() + b">", b"jane@example.org> NOTIFY=SUCCESS ORCPT=rfc822;Jane@old.example").replace(b" SMTPUTF8", b" RET=HDRS ENVID=x")
    got = final_reply(pipe(asked, {**settings, "dsn": "yes"})[0])
    ok(got.startswith("250") and len(stored()) == 102, "Dovecot, which does not announce DSN, gets a message with its parameters without them", got)
    got = final_reply(pipe(data, {**settings, "domains": "müller.example"})[0])
    ok(got.startswith("451 4.3.5" if STATIC else "250") and len(stored("jane@xn--mller-kva.example")) == (not STATIC), "Dovecot, a U-label: delivered to the A-label", got)
    end(dovecot)
else: skip("Dovecot restarted under load", "no dovecot-lmtpd")
# A server that is silent to QUIT holds nobody up: what was said is said, and the time is not over.
server = Server(quit=[b"", 30, b"221 late\r\n"])
start = time.monotonic()
out, err, _ = pipe(mail(envelope=ENVELOPE), {"deliver": f"{LMTP} {server.path} -- ${{sender}} ${{recipient}}", "deliver_replies": "each", "deliver_timeout": "20s"})
ok(final_reply(out).startswith("250") and time.monotonic() - start < 15, "silence to QUIT: 250 at once", (out, err))
done()
